//! How everything stands at one moment: what the page shows and `/api/v1/live` sends. All figures are entries, read in the
//! same way as `/api/v1/entries` reads them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use utoipa::ToSchema;

use crate::alert::{Alarm, Hold, Level as AlarmLevel, Priority};
use crate::cluster::{self, Entity, Topology};
use crate::emission::{Column, Flag};
use crate::http::entries::{Asked, fetch_beside};
use crate::http::problem::Problem;
use crate::http::rate::{Rate, rates};
use crate::http::server::App;
use crate::http::views::RuleView;
use crate::ledger::Entry;
use crate::quantity::{Span, Time, Window};

/// Totals of days and longer change slowly.
const TOTALS_EVERY: Duration = Duration::from_secs(5);
/// The course of the last day has a point a quarter-hour.
const COURSE_EVERY: Duration = Duration::from_secs(60);
/// A board is good for so long.
const FRESH_FOR: Duration = Duration::from_millis(900);
/// So many alarms that are over and that nobody has seen are shown.
const UNSEEN_MAX: usize = 100;

/// How everything stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Board {
    /// Counts the boards since the start.
    pub number: u64,
    #[schema(format = DateTime)]
    pub at: String,
    /// Everything before is closed.
    #[schema(format = DateTime)]
    pub watermark: String,
    /// The hash of the plan in force.
    pub plan: String,
    /// No figure is a measurement.
    pub simulated: bool,
    /// There is a database that all is written to.
    pub has_database: bool,
    /// The days, months and years are of this time.
    #[schema(format = DateTime)]
    pub totals_at: String,
    pub state: Lamps,
    /// Networks, clusters and facilities.
    pub rows: Vec<Row>,
    /// The alarms that go on, and those of the last day that are over and that nobody has seen: what nobody has seen first, and
    /// of that what is most urgent.
    pub alarms: Vec<AlarmLine>,
    /// Of each row, kg CO2e an hour, both scopes (location-based), by quarter-hour of the last day; `null`: nothing measured.
    pub courses: Courses,
}

/// By row: kilograms an hour by quarter-hour.
pub(crate) type Courses = BTreeMap<String, Vec<Option<i64>>>;

/// How the parts are that it hangs on, in words; `null`: well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Lamps {
    pub broker: Option<String>,
    /// Without a database nothing can be wrong with it: see `has_database`.
    pub database: Option<String>,
    /// Nothing is taken in.
    pub intake: Option<String>,
    pub configuration: Option<String>,
}

/// An entity at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Row {
    /// `facility/steelworks`.
    pub key: String,
    /// `network`, `cluster` or `facility`.
    pub level: &'static str,
    pub id: String,
    pub name: Option<String>,
    /// What it is part of.
    pub parent: Option<String>,
    /// The time zone of its days.
    pub zone: String,
    /// What it emitted in the latest minutes that are measured.
    pub rate: Option<Rate>,
    pub day: Option<Figure>,
    pub month: Option<Figure>,
    pub year: Option<Figure>,
    /// The rule that is nearest to its limit.
    pub limit: Option<RuleView>,
    /// Its budget, if it has one.
    pub budget: Option<RuleView>,
    /// Its pathway, if it has one.
    pub pathway: Option<RuleView>,
    pub alarms: AlarmCount,
}

/// What was emitted in a window, as `/api/v1/entries` has it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Figure {
    pub window: &'static str,
    pub from: String,
    pub to: String,
    pub scope1_mg: i128,
    pub scope2_location_mg: i128,
    pub scope2_market_mg: i128,
    /// Eliminated as bought inside.
    pub eliminated_location_mg: i128,
    pub eliminated_market_mg: i128,
    pub coverage: f64,
    /// 0 while the window is open.
    pub revision: u32,
    pub flags: Vec<&'static str>,
}

/// The alarms of an entity and of what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct AlarmCount {
    pub active: usize,
    /// How many of them nobody has seen.
    pub unseen: usize,
    /// How many go on besides and are not told: shelved, out of service, or hidden by others.
    pub held: usize,
    pub level: Option<AlarmLevel>,
    pub priority: Option<Priority>,
}

/// An alarm at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct AlarmLine {
    pub id: String,
    pub rule: String,
    pub entity: String,
    pub level: AlarmLevel,
    pub priority: Priority,
    /// As in `/api/v1/alarms`.
    pub condition: &'static str,
    /// Why nobody is told of it.
    pub held: Option<String>,
    pub since: String,
    pub until: Option<String>,
    pub value: f64,
    pub limit: f64,
    pub unit: String,
    pub detail: Option<String>,
    pub response: String,
    pub acknowledged_by: Option<String>,
    pub provisional: bool,
    #[serde(skip)]
    pub facility: Option<String>,
    #[serde(skip)]
    pub cluster: Option<String>,
}

/// Makes boards, and keeps what changes slowly.
#[derive(Default)]
pub(crate) struct Boards {
    latest: Option<(Instant, Arc<Board>)>,
    totals: Option<(Instant, [BTreeMap<Entity, Figure>; 3])>,
    courses: Option<(Instant, Courses)>,
    totals_at: String,
    /// Of another configuration nothing is kept.
    plan: String,
}

impl Boards {
    /// A board of this moment, or of just before.
    pub(crate) async fn board(&mut self, app: &Arc<App>) -> Result<Arc<Board>, Problem> {
        if let Some((_, board)) = self.latest.as_ref().filter(|(made, _)| made.elapsed() < FRESH_FOR) {
            return Ok(Arc::clone(board));
        }
        let board = Arc::new(self.make(app).await?);
        self.latest = Some((instant(), Arc::clone(&board)));
        Ok(board)
    }

    async fn make(&mut self, app: &Arc<App>) -> Result<Board, Problem> {
        let desk = app.desk().await?;
        if self.plan != desk.plan {
            (self.totals, self.courses) = (None, None);
            self.plan.clone_from(&desk.plan);
        }
        let (now, topology) = (desk.now, &app.rules.topology);
        let entities: Vec<Entity> = topology.entities();
        let totals = self.totals(app, &entities, now).await?;
        let courses = self.courses(app, &entities, now).await?;
        let rates = rates(app, &entities, now).await?;
        let since = now.minus(Span::days(1));
        let alarms =
            Arc::clone(app).alarms(move |store| Ok((store.active()?, store.unseen(since, UNSEEN_MAX)?))).await?;
        let mut alarms: Vec<AlarmLine> = alarms.0.into_iter().chain(alarms.1).map(AlarmLine::of).collect();
        alarms.sort_by_key(AlarmLine::order);
        let standings = (app.standings)();
        let mut rules: BTreeMap<&str, Vec<&RuleView>> = BTreeMap::new();
        for rule in &standings {
            rules.entry(rule.entity.as_str()).or_default().push(rule);
        }
        let row = |entity: &Entity| {
            let figure = |window: usize| totals[window].get(entity).cloned();
            let figures = [figure(0), figure(1), figure(2)];
            row(topology, *entity, (figures, rates.get(entity).cloned()), (&rules, &alarms))
        };
        let rows = entities.iter().map(row).collect();
        Ok(Board {
            number: self.latest.as_ref().map_or(1, |(_, board)| board.number + 1),
            at: now.to_string(),
            watermark: desk.watermark.to_string(),
            plan: desk.plan.clone(),
            simulated: app.simulated,
            has_database: app.database.is_some(),
            totals_at: self.totals_at.clone(),
            state: lamps(app, desk.held),
            rows,
            alarms,
            courses,
        })
    }

    /// The days, months and years that go on.
    async fn totals(
        &mut self,
        app: &Arc<App>,
        entities: &[Entity],
        now: Time,
    ) -> Result<[BTreeMap<Entity, Figure>; 3], Problem> {
        if let Some((_, totals)) = self.totals.as_ref().filter(|(made, _)| made.elapsed() < TOTALS_EVERY) {
            return Ok(totals.clone());
        }
        let mut totals = [BTreeMap::new(), BTreeMap::new(), BTreeMap::new()];
        let reach = [(Window::Day, 2), (Window::Month, 33), (Window::Year, 368)];
        for (of, (window, days)) in totals.iter_mut().zip(reach) {
            let asked = Asked::of(entities.to_vec(), window, (now.minus(Span::days(days)), now.plus(Span::days(1))));
            let entries = fetch_beside(Arc::clone(app), asked).await?;
            let topology = &app.rules.topology;
            let running = entries.iter().filter(|entry| entry.key.start <= now && now < entry.key.end(topology));
            of.extend(running.map(|entry| (entry.key.entity, Figure::of(entry, topology))));
        }
        self.totals_at = now.to_string();
        self.totals = Some((instant(), totals.clone()));
        Ok(totals)
    }

    async fn courses(&mut self, app: &Arc<App>, entities: &[Entity], now: Time) -> Result<Courses, Problem> {
        if let Some((_, courses)) = self.courses.as_ref().filter(|(made, _)| made.elapsed() < COURSE_EVERY) {
            return Ok(courses.clone());
        }
        let (from, to) = (now.minus(Span::days(1)).quarter(), now.quarter());
        let asked = Asked::of(entities.to_vec(), Window::Quarter, (from.start(), to.start()));
        let length = usize::try_from(to.0 - from.0).unwrap_or(0);
        let topology = &app.rules.topology;
        let mut courses: Courses = entities.iter().map(|entity| (key(topology, *entity), vec![None; length])).collect();
        for entry in fetch_beside(Arc::clone(app), asked).await? {
            let at = usize::try_from(entry.key.start.quarter().0 - from.0).unwrap_or(usize::MAX);
            let course = courses.get_mut(&key(topology, entry.key.entity));
            if let Some(point) = course.and_then(|course| course.get_mut(at)) {
                let mg = entry.tally.mg(Column::Scope1) + entry.tally.mg(Column::Scope2Location);
                *point = i64::try_from(mg * 4 / 1_000_000).ok();
            }
        }
        self.courses = Some((instant(), courses.clone()));
        Ok(courses)
    }
}

impl Figure {
    pub(crate) fn of(entry: &Entry, topology: &Topology) -> Figure {
        let flags = Flag::ALL.into_iter().filter(|flag| entry.tally.flag_count(*flag) > 0);
        Figure {
            window: entry.key.window.name(),
            from: entry.key.start.to_string(),
            to: entry.key.end(topology).to_string(),
            scope1_mg: entry.tally.mg(Column::Scope1),
            scope2_location_mg: entry.tally.mg(Column::Scope2Location),
            scope2_market_mg: entry.tally.mg(Column::Scope2Market),
            eliminated_location_mg: entry.tally.mg(Column::EliminatedLocation),
            eliminated_market_mg: entry.tally.mg(Column::EliminatedMarket),
            coverage: f64::from(entry.coverage_e4) / 10_000.0,
            revision: entry.revision,
            flags: flags.map(Flag::name).collect(),
        }
    }
}

impl AlarmLine {
    fn of(alarm: Alarm) -> AlarmLine {
        AlarmLine {
            condition: alarm.condition(),
            held: alarm.held.as_ref().map(Hold::text),
            id: alarm.id,
            rule: alarm.rule,
            entity: alarm.entity,
            level: alarm.level,
            priority: alarm.priority,
            since: alarm.since,
            until: alarm.until,
            value: alarm.value,
            limit: alarm.limit,
            unit: alarm.unit,
            detail: alarm.detail,
            response: alarm.response,
            acknowledged_by: alarm.acknowledged.map(|acknowledged| acknowledged.by),
            provisional: alarm.provisional,
            facility: alarm.facility,
            cluster: alarm.cluster,
        }
    }

    /// What is to be looked at first.
    fn order(&self) -> (bool, bool, Reverse<Priority>, Reverse<AlarmLevel>, Reverse<String>) {
        let is_over = self.until.is_some();
        (is_over, !self.is_unseen(), Reverse(self.priority), Reverse(self.level), Reverse(self.since.clone()))
    }

    /// It is to be looked at.
    pub(crate) fn is_unseen(&self) -> bool {
        self.condition == "active-unacknowledged"
    }
}

pub(crate) fn key(topology: &Topology, entity: Entity) -> String {
    format!("{}/{}", entity.level().name(), topology.id(entity))
}

fn row(
    topology: &Topology,
    entity: Entity,
    ([day, month, year], rate): ([Option<Figure>; 3], Option<Rate>),
    (rules, alarms): (&BTreeMap<&str, Vec<&RuleView>>, &[AlarmLine]),
) -> Row {
    let key = key(topology, entity);
    let own = rules.get(key.as_str()).map_or(&[][..], Vec::as_slice);
    let nearness = |rule: &RuleView| rule.value.zip(rule.limit).map_or(0.0, |(value, limit)| value / limit.max(1e-9));
    let limits = own.iter().filter(|rule| rule.kind == "limit");
    let limit = limits.max_by(|a, b| nearness(a).total_cmp(&nearness(b))).map(plain);
    let first = |kind: &str| own.iter().find(|rule| rule.kind == kind).map(plain);
    Row {
        level: entity.level().name(),
        id: topology.id(entity).to_string(),
        name: name(topology, entity),
        parent: parent(topology, entity).map(|parent| self::key(topology, parent)),
        zone: topology.zone(entity).name().to_owned(),
        rate,
        day,
        month,
        year,
        limit,
        budget: first("budget"),
        pathway: first("pathway"),
        alarms: count(topology, entity, alarms),
        key,
    }
}

/// Without the line of its plan, which hardly changes.
fn plain(rule: &&RuleView) -> RuleView {
    let planned = Vec::new();
    RuleView { planned, ..(*rule).clone() }
}

/// As people call it, if it has such a name.
pub(crate) fn name(topology: &Topology, entity: Entity) -> Option<String> {
    match entity {
        Entity::Network(ix) => topology.network(ix).name.clone(),
        Entity::Cluster(ix) => topology.cluster(ix).name.clone(),
        Entity::Facility(ix) => topology.facility(ix).name.clone(),
        Entity::Meter(_) => None,
    }
}

fn parent(topology: &Topology, entity: Entity) -> Option<Entity> {
    match entity {
        Entity::Network(_) => None,
        Entity::Cluster(ix) => topology.cluster(ix).network.map(Entity::Network),
        Entity::Facility(ix) => Some(Entity::Cluster(topology.facility(ix).cluster)),
        Entity::Meter(ix) => Some(Entity::Facility(topology.meter(ix).facility)),
    }
}

/// The alarms of an entity and of what is in it.
fn count(topology: &Topology, entity: Entity, alarms: &[AlarmLine]) -> AlarmCount {
    let id = topology.id(entity).as_str();
    let is_in = |alarm: &&AlarmLine| match entity.level() {
        cluster::Level::Facility => alarm.facility.as_deref() == Some(id),
        cluster::Level::Cluster => alarm.cluster.as_deref() == Some(id),
        cluster::Level::Network => alarm.entity == key(topology, entity) || is_in_network(topology, entity, alarm),
        cluster::Level::Meter => alarm.entity == key(topology, entity),
    };
    let is_told = |alarm: &&AlarmLine| matches!(alarm.condition, "active-unacknowledged" | "active-acknowledged");
    let is_held = |alarm: &&AlarmLine| alarm.until.is_none() && !is_told(alarm);
    let held = alarms.iter().filter(is_in).filter(is_held).count();
    let mine: Vec<&AlarmLine> = alarms.iter().filter(is_in).filter(is_told).collect();
    AlarmCount {
        held,
        active: mine.len(),
        unseen: mine.iter().filter(|alarm| alarm.is_unseen()).count(),
        level: mine.iter().map(|alarm| alarm.level).max(),
        priority: mine.iter().map(|alarm| alarm.priority).max(),
    }
}

fn is_in_network(topology: &Topology, entity: Entity, alarm: &AlarmLine) -> bool {
    let cluster = alarm.cluster.as_deref().and_then(|id| topology.find(cluster::Level::Cluster, id));
    cluster.is_some_and(|cluster| parent(topology, cluster) == Some(entity))
}

fn lamps(app: &App, held: Option<&'static str>) -> Lamps {
    let broker = (app.broker)();
    let is_up = broker.connected && broker.subscribed;
    let why = || broker.trouble.clone().unwrap_or_else(|| "no session".to_owned());
    let database = app.database.as_ref().map(|look| look());
    let behind = |view: crate::http::DatabaseView| Some(format!("{} records behind: {}", view.behind, view.trouble?));
    let rejected = (app.config)().last_reload.filter(|reload| !reload.applied);
    Lamps {
        broker: (!is_up).then(why),
        database: database.and_then(behind),
        intake: held.map(str::to_owned),
        configuration: rejected.map(|reload| format!("the last one was rejected at {}", reload.at)),
    }
}

#[expect(clippy::disallowed_methods, reason = "how long it is good for, not booking")]
fn instant() -> Instant {
    Instant::now()
}

//! A rule as declared, and how it is judged over time.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::alert::plan::Plan;
use crate::alert::{
    Align, Budget, Burn, Checkpoint, Coverage, Finding, Guard, Imbalance, Judged, Limit, NoData, Pathway, Period,
    Profile, Quality, Series, Stale, Watched,
};
use crate::cluster::{Category, Entity, MeterIx};
use crate::emission::{Column, SourceKey, Tally};
use crate::quantity::{Id, Span, Time, Window, Zone};

/// How far a rule is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It will be, as things are going.
    Projected,
    /// Nearly, or earlier than planned.
    Warning,
    /// It is.
    Over,
    /// By far.
    Critical,
}

impl Level {
    /// From the least to the worst.
    pub const ALL: [Level; 4] = [Level::Projected, Level::Warning, Level::Over, Level::Critical];

    /// How soon somebody must act at this level of a rule.
    pub fn priority(self, rule: Priority) -> Priority {
        match self {
            Level::Projected | Level::Warning => Priority::Low,
            Level::Over => rule,
            Level::Critical => Priority::High,
        }
    }

    /// By the number that findings have.
    pub fn of(number: u8) -> Option<Level> {
        match number {
            1 => Some(Level::Projected),
            2 => Some(Level::Warning),
            3 => Some(Level::Over),
            4 => Some(Level::Critical),
            _ => None,
        }
    }

    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Level::Projected => "projected",
            Level::Warning => "warning",
            Level::Over => "over",
            Level::Critical => "critical",
        }
    }
}

/// How soon somebody must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// When there is time.
    Low,
    /// Soon.
    Medium,
    /// Now.
    High,
}

impl Priority {
    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Medium => "medium",
            Priority::High => "high",
        }
    }
}

/// What of an entry a rule looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The sum of these.
    Columns(Vec<Column>),
    /// What one category emits, in CO2e, location-based.
    Category(Category),
}

impl Signal {
    /// Its milligrams in an entry.
    pub fn of(&self, tally: &Tally) -> i128 {
        match self {
            Signal::Columns(columns) => columns.iter().map(|column| tally.mg(*column)).sum(),
            Signal::Category(category) => tally.category_mg(*category),
        }
    }
}

/// What a rule compares.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// An average rate.
    Limit(Limit),
    /// A period's total.
    Budget(Budget),
    /// How quickly headroom goes.
    Burn(Burn),
    /// A year's total on the way to a target.
    Pathway(Pathway),
    /// How much was measured.
    Coverage(Coverage),
    /// What was sent against what was received.
    Imbalance(Imbalance),
    /// Meters that are not heard.
    Stale(Stale),
    /// Readings of no use.
    Quality(Quality),
    /// The daemon itself.
    Daemon,
}

impl Kind {
    /// As written.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Limit(_) => "limit",
            Kind::Budget(_) => "budget",
            Kind::Burn(_) => "burn",
            Kind::Pathway(_) => "pathway",
            Kind::Coverage(_) => "coverage",
            Kind::Imbalance(_) => "imbalance",
            Kind::Stale(_) => "stale",
            Kind::Quality(_) => "quality",
            Kind::Daemon => "daemon",
        }
    }

    /// The unit in which its values are shown.
    pub fn unit(&self) -> &'static str {
        match self {
            Kind::Limit(_) => "kg/h",
            Kind::Budget(_) | Kind::Burn(_) | Kind::Pathway(_) => "kg",
            Kind::Coverage(_) | Kind::Imbalance(_) | Kind::Quality(_) => "%",
            Kind::Stale(_) => "s",
            Kind::Daemon => "",
        }
    }

    /// How a total is meant to spread.
    pub(crate) fn profile(&self) -> Option<&Profile> {
        match self {
            Kind::Budget(budget) => Some(&budget.profile),
            Kind::Burn(burn) => Some(&burn.profile),
            Kind::Pathway(pathway) => Some(&pathway.profile),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub(crate) fn profile_mut(&mut self) -> Option<&mut Profile> {
        match self {
            Kind::Budget(budget) => Some(&mut budget.profile),
            Kind::Burn(burn) => Some(&mut burn.profile),
            Kind::Pathway(pathway) => Some(&mut pathway.profile),
            _ => None,
        }
    }

    /// It is about silence.
    pub fn is_stale(&self) -> bool {
        matches!(self, Kind::Stale(_))
    }

    /// It is judged by what is booked.
    pub fn is_booked(&self) -> bool {
        !matches!(self, Kind::Stale(_) | Kind::Quality(_) | Kind::Daemon)
    }

    /// Its values are of an hour.
    pub fn is_rate(&self) -> bool {
        matches!(self, Kind::Limit(_))
    }
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its id.
    pub id: Id,
    /// What is watched: each of these for itself.
    pub watched: Vec<Watched>,
    /// What of them.
    pub signal: Signal,
    /// Against what.
    pub kind: Kind,
    /// With which delays.
    pub guard: Guard,
    /// How soon somebody must act when it is over; warnings are low.
    pub priority: Priority,
    /// What to do then.
    pub response: String,
    /// Who is told.
    pub notify: Vec<String>,
    /// Why nobody is.
    pub out_of_service: Option<String>,
}

impl Rule {
    /// Tells one state of the rule from another: another one is about something else.
    pub fn print(&self) -> String {
        // What is watched may grow.
        let kind = if self.kind.is_booked() { format!("{:?}", self.kind) } else { self.kind.name().to_owned() };
        SourceKey::of("rule", &format!("{kind} {:?} {:?}", self.signal, self.guard)).0.to_string()
    }

    /// The parts of time that it is judged by.
    pub fn step(&self) -> Window {
        match &self.kind {
            Kind::Limit(_) => Window::Minute,
            Kind::Burn(burn) if burn.period == Window::Month => Window::Minute,
            Kind::Coverage(_) => Window::Minute,
            _ => Window::Quarter,
        }
    }

    /// The start of the period that `at` ends in, of what is counted by the calendar.
    fn period(&self, zone: &Zone, at: Time) -> Option<Time> {
        match &self.kind {
            Kind::Budget(budget) if !matches!(budget.period, Period::Rolling(_)) => Some(budget.bounds(zone, at).0),
            Kind::Pathway(_) => Some(Pathway::bounds(zone, at).0),
            _ => None,
        }
    }

    /// Whether whole days will do for what lies behind. The days of a network are its clusters' own.
    pub(crate) fn takes_days(&self, entity: Entity) -> bool {
        let is_calendar = match &self.kind {
            Kind::Budget(budget) => !matches!(budget.period, Period::Rolling(_)),
            Kind::Pathway(_) => true,
            _ => false,
        };
        is_calendar && matches!(entity, Entity::Facility(_) | Entity::Cluster(_))
    }

    /// From when on sums matter at `at`.
    pub fn reach(&self, zone: &Zone, at: Time) -> Time {
        match &self.kind {
            // A projection looks at what is just before.
            Kind::Limit(limit) => limit.window(zone, at).0.minus(Span::minutes(5)),
            Kind::Budget(budget) => budget.bounds(zone, at).0,
            Kind::Burn(burn) => at.minus(burn.paces.iter().map(|pace| pace.long).max().unwrap_or(Span(0))),
            Kind::Pathway(_) => Pathway::bounds(zone, at).0,
            Kind::Coverage(coverage) => at.minus(coverage.average),
            Kind::Imbalance(imbalance) => at.minus(imbalance.average),
            Kind::Stale(_) | Kind::Quality(_) | Kind::Daemon => at,
        }
    }

    /// How long the window is that ends at `at`, over which a rate was too high: each moment counts once. `None`: it is open,
    /// or no rate is looked at.
    fn ends_window(&self, zone: &Zone, at: Time) -> Option<Span> {
        let Kind::Limit(limit) = &self.kind else {
            return None;
        };
        let (from, to) = limit.window(zone, at);
        match limit.align {
            Align::Sliding => Some(self.step().shortest()),
            Align::Clock => (at == to).then_some(to.since(from)),
        }
    }

    /// How long what is found at `at` has lasted by then: a window that ends is over as a whole.
    fn lasted(&self, zone: &Zone, at: Time) -> Span {
        match &self.kind {
            Kind::Limit(limit) if limit.align == Align::Clock => self.ends_window(zone, at).unwrap_or(Span(0)),
            _ => Span(0),
        }
    }

    /// When all is in that is found at `at`.
    fn closes(&self, zone: &Zone, at: Time) -> Time {
        match &self.kind {
            Kind::Limit(limit) => limit.window(zone, at).1,
            _ => at,
        }
    }

    /// What begins at a time hangs on nothing that lies further before it than this: an alarm that was about to be would be
    /// one by then.
    pub fn lead(&self) -> Span {
        let window = match &self.kind {
            // A local day may have 25 hours.
            Kind::Limit(limit) if limit.align == Align::Clock => Span(limit.average.0 + Span::minutes(60).0),
            _ => Span(0),
        };
        Span(self.guard.lasting.0 + self.guard.keep.0 + self.step().shortest().0 + window.0)
    }

    /// All whose figures it is judged by, of what it watches.
    pub fn sources(&self, watched: &Watched) -> Vec<Entity> {
        let meters: Vec<MeterIx> = match &self.kind {
            Kind::Limit(limit) => limit.gate.iter().map(|gate| gate.meter).collect(),
            Kind::Imbalance(imbalance) => vec![imbalance.sent, imbalance.received],
            _ => Vec::new(),
        };
        watched.entity().into_iter().chain(meters.into_iter().map(Entity::Meter)).collect()
    }
}

/// Plans of the periods that are being looked at; working one out takes longer than looking at it.
#[derive(Debug, Default)]
struct Plans(Vec<((Time, Time), Plan)>);

impl Plans {
    /// The plans of a period and of the one before it.
    fn of(&mut self, profile: &Profile, zone: &Zone, periods: &[(Time, Time)]) -> &[((Time, Time), Plan)] {
        let known = self.0.iter().map(|(period, _)| period);
        if !known.eq(periods) {
            self.0 = periods.iter().map(|period| (*period, Plan::new(profile, zone, *period))).collect();
        }
        &self.0
    }
}

/// How far a rule is judged.
#[derive(Clone, Copy, Debug)]
pub struct Until {
    /// Up to here.
    pub to: Time,
    /// Up to here nothing but late readings is to come.
    pub closed_to: Time,
    /// Up to here nothing changes of what is there without notice.
    pub settled: Time,
}

/// What a rule is judged by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// What it is about.
    pub main: Series,
    /// What that is compared with, or the plant's state.
    pub other: Option<Series>,
}

/// Judges a rule at the ends of the parts of its series after `begin` and up to `to`, each with what lies behind it. Up to
/// `closed_to` nothing but late readings is to come, and up to `settled` nothing changes of what is there without notice.
pub(crate) fn judge(
    rule: &Rule,
    zone: &Zone,
    sources: &Sources,
    begin: Checkpoint,
    Until { to, closed_to, settled }: Until,
) -> Judged {
    let mut plans = Plans::default();
    let (after, mut machine) = (begin.at, begin.machine);
    let mut judged = Judged { episodes: begin.episode.into_iter().collect(), ..Judged::default() };
    let (series, nothing) = (&sources.main, Series::default());
    let other = sources.other.as_ref().unwrap_or(&nothing);
    for at in series.ends(after, to) {
        let closed = at <= closed_to;
        let finding = match &rule.kind {
            Kind::Limit(limit) => match limit.gate.as_ref().map(|gate| gate.is_open(other, at)) {
                None | Some(Some(true)) => limit.find(zone, series, at, closed),
                Some(Some(false)) => Finding::Aside,
                Some(None) if closed => Finding::Unknown,
                Some(None) => Finding::Hold,
            },
            Kind::Budget(budget) if matches!(budget.period, Period::Rolling(_)) => {
                let plan = Plan::new(&Profile::Linear, zone, budget.bounds(zone, at));
                budget.find(zone, &plan, series, at, closed)
            }
            Kind::Budget(budget) => one(plans.of(&budget.profile, zone, &[budget.bounds(zone, at)]), |plan| {
                budget.find(zone, plan, series, at, closed)
            }),
            Kind::Burn(burn) => {
                let period = burn.bounds(zone, at);
                let before = burn.bounds(zone, period.0);
                burn.find(plans.of(&burn.profile, zone, &[before, period]), series, at, closed)
            }
            Kind::Pathway(pathway) => one(plans.of(&pathway.profile, zone, &[Pathway::bounds(zone, at)]), |plan| {
                pathway.find(zone, plan, series, at, closed)
            }),
            Kind::Coverage(coverage) => coverage.find(series, at, closed),
            Kind::Imbalance(imbalance) => imbalance.find(series, other, at, closed),
            // They are not judged by the books.
            Kind::Stale(_) | Kind::Quality(_) | Kind::Daemon => Finding::Hold,
        };
        let finding = if closed { finding } else { finding.rising() };
        let is_lost = finding == Finding::Unknown && rule.guard.no_data == NoData::Unknown;
        let lapsed = rule.period(zone, at).filter(|_| is_lost);
        let turn = match lapsed.and_then(|start| machine.lapse(start, at)) {
            Some(turn) => Some(turn),
            None => machine.step_after(at, rule.lasted(zone, at), finding),
        };
        let ends = rule.ends_window(zone, at);
        judged.note(rule, (at, ends, rule.closes(zone, at)), finding, turn);
        if at <= settled.min(closed_to) {
            judged.checkpoint = Some(Checkpoint { at, machine: machine.clone(), episode: judged.open().cloned() });
        }
    }
    judged
}

fn one(plans: &[((Time, Time), Plan)], find: impl Fn(&Plan) -> Finding) -> Finding {
    plans.first().map_or(Finding::Hold, |(_, plan)| find(plan))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Episode, Sum};
    use crate::quantity::Ratio;

    fn rule(kind: Kind) -> Rule {
        let guard = Guard { lasting: Span::minutes(2), keep: Span::minutes(3), no_data: NoData::Unknown, alarm: 3 };
        Rule {
            id: Id::parse("r").unwrap(),
            watched: Vec::new(),
            signal: Signal::Columns(Vec::new()),
            kind,
            guard,
            priority: Priority::Medium,
            response: String::new(),
            notify: Vec::new(),
            out_of_service: None,
        }
    }

    fn limit() -> Kind {
        Kind::Limit(Limit {
            per_day: 1_440 * 100,
            average: Span::minutes(5),
            align: Align::Clock,
            levels: vec![Ratio::whole(0), Ratio::new(9, 10).unwrap(), Ratio::ONE, Ratio::new(12, 10).unwrap()],
            clear: Ratio::new(97, 100).unwrap(),
            min_coverage_e4: 7_500,
            projected: 1,
            gate: None,
            events: Vec::new(),
        })
    }

    /// Judging on from a checkpoint is the same as judging all of it.
    #[test]
    fn a_checkpoint_leaves_nothing_out() {
        let mut random = fastrand::Rng::with_seed(7);
        let rule = rule(limit());
        for _ in 0..200 {
            let mut sources = Sources { main: Series::new(Time(0)), other: None };
            for minute in 1..=300 {
                let covered_ms = if random.u8(..) < 20 { 0 } else { 60_000 };
                let sum = Sum { mg: random.i128(60..140), covered_ms, valid_ms: 60_000, ..Sum::default() };
                sources.main.push(Time(minute * 60_000), sum);
            }
            let to = Time(300 * 60_000);
            let whole = judge(
                &rule,
                &Zone::UTC,
                &sources,
                Checkpoint::new(&rule, Time(0)),
                Until { to, closed_to: to, settled: to },
            );
            let settled = Time(random.i64(1..300) * 60_000);
            let until = Until { to, closed_to: to, settled };
            let begun = judge(&rule, &Zone::UTC, &sources, Checkpoint::new(&rule, Time(0)), until);
            let checkpoint = begun.checkpoint.unwrap();
            assert_eq!(checkpoint.at, settled);
            let rest = judge(&rule, &Zone::UTC, &sources, checkpoint, until);
            let after = |episodes: &[Episode]| -> Vec<Episode> {
                episodes.iter().filter(|episode| episode.end.is_none_or(|end| end > settled)).cloned().collect()
            };
            assert_eq!(after(&rest.episodes), after(&whole.episodes));
        }
    }
}

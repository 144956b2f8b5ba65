//! How the data and the daemon are, as found every few seconds: this is not in the books, and begins anew with the process.

use std::collections::BTreeMap;

use crate::alert::{
    Alarm, Came, Episode, Finding, Followed, Judged, Kind, Lately, Level, Line, Machine, Part, Rule, Seen, State,
    Watched, follow,
};
use crate::cluster::{Entity, MeterIx, Topology};
use crate::daemon::alarms::standings::Standings;
use crate::http::{BrokerView, DatabaseView, DeskView, HeardView, Look};
use crate::notify::{Record, Records};
use crate::quantity::{Span, Time};
use crate::tls::{Expiry, SOON_DAYS, VERY_SOON_DAYS};

/// What is looked at from outside.
pub(crate) struct Surroundings {
    /// The broker session.
    pub broker: Look<BrokerView>,
    /// The database writer, if there is one.
    pub database: Option<Look<DatabaseView>>,
    /// How notifiers get through.
    pub records: Records,
    /// Until when certificates are valid.
    pub certificates: Look<Vec<Expiry>>,
}

/// Less room than this is too little.
const DISK_MIN: u64 = 1 << 30;
/// The books may be ahead of the clock by so much.
const CLOCK_MAX_MS: i64 = 2_000;
/// `over`.
const WRONG: u8 = 3;
/// `warning`.
const SOON: u8 = 2;

/// Watches what is not in the books.
#[derive(Default)]
pub(crate) struct Health {
    machines: BTreeMap<Line, Machine>,
    lately: BTreeMap<Line, Lately>,
}

/// What is found now.
pub(crate) struct Now<'a> {
    pub at: Time,
    pub topology: &'a Topology,
    pub heard: &'a HeardView,
    pub desk: &'a DeskView,
    pub surroundings: &'a Surroundings,
}

/// A finding, with what there is to say of it.
type Found = (Finding, Option<String>);

impl Health {
    /// Looks at all that a rule watches. `active`: the alarms that go on.
    pub(crate) fn look(
        &mut self,
        rule: &Rule,
        now: &Now<'_>,
        active: &[Alarm],
        standings: &mut Standings,
    ) -> Vec<Followed> {
        let mut followed = Vec::new();
        for watched in &rule.watched {
            let line = (rule.id.to_string(), watched.text(now.topology));
            let Some((finding, detail)) = self.find(rule, watched, &line, now) else {
                continue;
            };
            let kept = active.iter().find(|alarm| alarm.line() == line).cloned();
            let known = kept.as_ref().map_or(0, |_| WRONG);
            let machine = self.machines.entry(line).or_insert_with(|| Machine::resume(rule.guard, known));
            let turn = machine.step(now.at, finding);
            let last = finding.seen();
            let mut judged = Judged { turns: turn.into_iter().collect(), last, ..Judged::default() };
            standings.note(rule, watched, now.topology, (&judged, now.at));
            judged.episodes = episode((machine.state(), now.at), last, kept.as_ref(), detail).into_iter().collect();
            if !judged.episodes.is_empty() {
                let subject = watched.subject(now.topology);
                followed.extend(follow(rule, &subject, (kept.into_iter().collect(), &|_| false), &judged, now.at));
            }
        }
        followed
    }

    fn find(&mut self, rule: &Rule, watched: &Watched, line: &Line, now: &Now<'_>) -> Option<Found> {
        match (&rule.kind, watched) {
            (Kind::Quality(quality), Watched::Entity(Entity::Meter(MeterIx(ix)))) => {
                let (readings, refused) = now.heard.meters.get(*ix as usize)?.came;
                let lately = self.lately.entry(line.clone()).or_default();
                let came = lately.note(now.at, Came { readings, refused }, quality.average);
                let detail = format!("{} of {} readings refused", came.refused, came.readings);
                Some((quality.find(came), Some(detail)))
            }
            (Kind::Daemon, Watched::Part(part)) => Some(of_part(*part, now)),
            _ => None,
        }
    }
}

/// The alarm as it goes on, begins or ends. `None`: there is none.
fn episode(
    (state, at): (State, Time),
    last: Option<Seen>,
    kept: Option<&Alarm>,
    detail: Option<String>,
) -> Option<Episode> {
    let is_over = state.level() > 0;
    if kept.is_none() && !is_over {
        return None;
    }
    let millionths = |value: f64| (value * 1e6).round() as i128;
    let before =
        |alarm: &Alarm| Seen { value: millionths(alarm.value), limit: millionths(alarm.limit), ..Seen::default() };
    let start = kept.and_then(|alarm| Time::parse_rfc3339(&alarm.since)).unwrap_or(at);
    let known = kept.map(|alarm| millionths(alarm.peak));
    let peak = known.max(last.filter(|_| is_over).map(|seen| seen.value));
    // It changes all the time: what there was to say at the worst is kept.
    let detail = if peak > known { detail } else { kept.and_then(|alarm| alarm.detail.clone()) };
    Some(Episode {
        start,
        closes: at,
        end: (!is_over).then_some(at),
        levels: Level::of(if is_over { state.level() } else { WRONG })
            .map(|level| (start, level))
            .into_iter()
            .collect(),
        seen: kept.map(before).or(last),
        peak: peak.unwrap_or(0),
        excess_mg: 0,
        is_firm: true,
        is_certain: false,
        detail,
    })
}

fn of_part(part: Part, now: &Now<'_>) -> Found {
    let (level, trouble) = match part {
        Part::Certificates => certificates(now),
        other => {
            let trouble = trouble(other, now);
            (if trouble.is_some() { WRONG } else { 0 }, trouble)
        }
    };
    // What gets worse is told anew.
    let value = match level {
        0 => 0,
        SOON => 500_000,
        _ => 1_000_000,
    };
    let seen = Seen { over: level, held: level, value, limit: 0, is_firm: true };
    (Finding::Seen(seen), trouble)
}

/// The certificate that ends first.
fn certificates(now: &Now<'_>) -> (u8, Option<String>) {
    let all = (now.surroundings.certificates)();
    let Some(first) = all.iter().min_by_key(|expiry| expiry.not_after) else {
        return (0, None);
    };
    let end = Time(first.not_after.saturating_mul(1_000));
    let level = match end.since(now.at) {
        left if left < Span::days(VERY_SOON_DAYS) => WRONG,
        left if left < Span::days(SOON_DAYS) => SOON,
        _ => return (0, None),
    };
    let word = if end <= now.at { "ended" } else { "ends" };
    (level, Some(format!("{} {word} {end}: renew it, and `systemctl reload emissiond`", first.what)))
}

fn trouble(part: Part, now: &Now<'_>) -> Option<String> {
    match part {
        Part::Broker => {
            let view = (now.surroundings.broker)();
            let why = || view.trouble.unwrap_or_else(|| "no session".to_owned());
            (!view.connected || !view.subscribed).then(|| format!("the broker: {}", why()))
        }
        Part::Database => {
            let view = now.surroundings.database.as_ref().map(|look| look());
            view.and_then(|view| Some(format!("the database, {} records behind: {}", view.behind, view.trouble?)))
        }
        Part::Disk => {
            let low = now.desk.disk_free.filter(|free| *free < DISK_MIN);
            let held = now.desk.held.map(|held| format!("nothing is taken in: {held}"));
            held.or_else(|| low.map(|free| format!("only {} MiB are free for the store", free >> 20)))
        }
        Part::Clock => {
            let ahead = Some(now.desk.ahead_of_clock_ms).filter(|ahead| *ahead > CLOCK_MAX_MS);
            ahead.map(|ahead| format!("the system's clock is {} s behind the books", ahead / 1_000))
        }
        Part::Notifiers => {
            let troubled = |(id, record): (String, Record)| Some((id, record.trouble?));
            let first = now.surroundings.records.all().into_iter().find_map(troubled);
            first.map(|(id, (since, why))| format!("`{id}` is not told since {since}: {why}"))
        }
        Part::Certificates => None,
    }
}

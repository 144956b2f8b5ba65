//! Meters that are silent for too long, and gateways whose meters are.

use std::collections::BTreeMap;

use crate::alert::{Episode, Judged, Level, MILLION, Seen, State, Turn};
use crate::cluster::{Meter, MeterIx};
use crate::quantity::{Span, Time, Zone};

/// Silence of meters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stale {
    /// The meters behind each gateway; one alone tells nothing of it.
    pub gateways: BTreeMap<String, Vec<MeterIx>>,
}

/// When a meter was heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The times of good readings, in order; the first may lie before the time that is looked at.
    pub times: Vec<Time>,
    /// Since when its gateway says that it is gone.
    pub gone: Option<Time>,
}

/// A meter was silent for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Silence {
    /// From here,
    pub from: Time,
    /// to here. `None`: it still is.
    pub to: Option<Time>,
    /// Its gateway said so, or nobody was ever heard: no late reading undoes that.
    pub is_certain: bool,
}

/// The silences of a meter up to `now`. `began`: nobody listened before.
pub fn silences(meter: &Meter, zone: &Zone, heard: &Heard, (began, now): (Time, Time)) -> Vec<Silence> {
    let due = |heard: Time| meter.schedule.after(zone, heard, meter.stale_after);
    let mut silences: Vec<Silence> = Vec::new();
    let first = heard.times.first().copied().unwrap_or_else(|| meter.valid_from.max(began));
    let mut last = first;
    for at in heard.times.iter().copied().skip(1) {
        let silent = due(last);
        if silent < at {
            silences.push(Silence { from: silent, to: Some(at), is_certain: false });
        }
        last = at;
    }
    // A gateway that says so is believed at once.
    let gone = heard.gone.filter(|gone| *gone >= last);
    let due = due(last);
    let from = gone.map_or(due, |gone| gone.min(due));
    if from <= now.min(meter.valid_to) {
        let to = (meter.valid_to <= now).then_some(meter.valid_to);
        silences.push(Silence { from, to, is_certain: from < due || heard.times.is_empty() });
    }
    silences.retain(|silence| silence.from < meter.valid_to);
    silences
}

/// The silences of a gateway: more than half of its meters are silent.
pub(crate) fn together(meters: &[Vec<Silence>]) -> Vec<Silence> {
    let mut edges: Vec<(Time, i64, bool)> = Vec::new();
    for Silence { from, to, is_certain } in meters.iter().flatten() {
        edges.push((*from, 1, *is_certain));
        edges.extend(to.map(|to| (to, -1, false)));
    }
    edges.sort_unstable();
    let (mut silent, mut silences) = (0, Vec::<Silence>::new());
    for (at, change, is_certain) in edges {
        silent += change;
        let is_silent = silent * 2 > meters.len() as i64;
        match silences.last_mut().filter(|silence| silence.to.is_none()) {
            Some(silence) if !is_silent => silence.to = Some(at),
            None if is_silent => silences.push(Silence { from: at, to: None, is_certain }),
            _ => {}
        }
    }
    silences
}

/// Silences after a time, as turns and alarms. `heard`: when something was heard first.
pub(crate) fn judged(silences: &[Silence], after: Time, heard: Option<Time>, limit: Span) -> Judged {
    let mut judged = Judged::default();
    let limit = i128::from(limit.0) * MILLION / 1_000;
    let seen = |silent: i64| Seen {
        over: SILENT,
        held: SILENT,
        value: limit + i128::from(silent) * MILLION / 1_000,
        limit,
        is_firm: true,
    };
    judged.turns.extend(heard.map(|at| Turn { at, state: State::Normal, seen: None }));
    let later = silences.iter().copied().filter(|silence| silence.to.is_none_or(|to| to > after));
    for Silence { from, to, is_certain } in later {
        let peak = to.map_or(limit, |to| seen(to.since(from).0).value);
        judged.turns.push(Turn { at: from, state: State::Over(SILENT), seen: Some(seen(0)) });
        judged.turns.extend(to.map(|at| Turn { at, state: State::Normal, seen: None }));
        let levels = Level::of(SILENT).map(|level| (from, level)).into_iter().collect();
        let detail = Some(format!("silent since {from}"));
        judged.episodes.push(Episode {
            start: from,
            closes: from,
            end: to,
            levels,
            seen: Some(seen(0)),
            peak,
            excess_mg: 0,
            is_firm: true,
            is_certain,
            detail,
        });
    }
    judged
}

const SILENT: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(silences: &[Silence]) -> Vec<(i64, Option<i64>)> {
        silences.iter().map(|silence| (silence.from.0 / 60_000, silence.to.map(|to| to.0 / 60_000))).collect()
    }

    #[test]
    fn a_gateway_is_silent_when_most_of_it_is() {
        let at = |minute: i64| Time(minute * 60_000);
        let silent = |from: i64, to: Option<i64>| Silence { from: at(from), to: to.map(at), is_certain: false };
        let meters = vec![
            vec![silent(10, Some(50))],
            vec![silent(12, Some(51))],
            vec![silent(14, Some(20)), silent(30, None)],
            vec![],
        ];
        // Three of four from 14 to 20, and from 30 until the first is back.
        assert_eq!(minutes(&together(&meters)), [(14, Some(20)), (30, Some(50))]);
        assert_eq!(minutes(&together(&[vec![silent(1, None)], vec![silent(2, None)]])), [(2, None)]);
    }
}

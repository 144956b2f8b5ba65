//! From entries to the sums that rules are judged by, and from there to what turns.

use std::collections::BTreeMap;

use crate::alert::{Machine, Rule, Series, Sum, Turn, judge};
use crate::cluster::{Entity, Topology};
use crate::ledger::Entry;
use crate::pipeline::{Amounts, Pipeline, meter_entries};
use crate::quantity::{Span, Time, Window};

/// A turn of a rule for an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Turned<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// For what.
    pub entity: Entity,
    /// What it turned to.
    pub turn: Turn,
}

/// All turns of an offline pipeline, in the order of their times: nothing more is to come.
pub fn turns<'r>(pipeline: &Pipeline, rules: &'r [Rule], now: Time) -> Vec<Turned<'r>> {
    let mut all = Vec::new();
    for rule in rules {
        for entity in &rule.entities {
            let turned = |turn| Turned { rule, entity: *entity, turn };
            all.extend(turns_of(pipeline, rule, *entity, now).into_iter().map(turned));
        }
    }
    all.sort_by(|a, b| (a.turn.at, &a.rule.id, a.entity).cmp(&(b.turn.at, &b.rule.id, b.entity)));
    all
}

fn turns_of(pipeline: &Pipeline, rule: &Rule, entity: Entity, now: Time) -> Vec<Turn> {
    let topology = &pipeline.rules().topology;
    let entries = entries(pipeline, entity, rule.step());
    let Some(first) = entries.first().map(|entry| entry.key.start) else {
        return Vec::new();
    };
    let zone = topology.zone(entity);
    // The part of time that `now` is in is the last.
    let to = zone.end(rule.step(), zone.start(rule.step(), Time(now.0 - 1)));
    let from = rule.reach(zone, Time(first.0 + 1)).min(first);
    let series = series(rule, topology, entity, (zone.start(rule.step(), from), to), &entries);
    judge(rule, zone, &series, &mut Machine::new(rule.guard), (first, to, to)).turns
}

/// The entries in memory of one entity, in the order of their times.
fn entries(pipeline: &Pipeline, entity: Entity, window: Window) -> Vec<Entry> {
    let Entity::Meter(ix) = entity else {
        return pipeline.open_entries(|of, length| of == entity && length == window);
    };
    let rules = pipeline.rules();
    let load = |ix| Ok::<_, std::convert::Infallible>(pipeline.open_activities(ix));
    let Ok(amounts) = Amounts::collect(rules, ix, load);
    meter_entries(rules, ix, window, &amounts, Time::MAX)
}

/// The sums of what a rule looks at in `[from, to)`; where there is no entry, nothing was measured.
pub fn series(rule: &Rule, topology: &Topology, entity: Entity, (from, to): (Time, Time), entries: &[Entry]) -> Series {
    let step = rule.step().shortest();
    let known: BTreeMap<Time, &Entry> = entries.iter().map(|entry| (entry.key.start, entry)).collect();
    let valid = Valid::new(topology, entity, (from, to), step);
    let mut series = Series::new(from);
    let mut at = from;
    while at < to {
        let end = at.plus(step);
        let entry = known.get(&at);
        let mg = entry.map_or(0, |entry| rule.signal.of(&entry.tally));
        let covered_ms = entry.map_or(0, |entry| entry.tally.covered_ms);
        series.push(end, Sum { mg, covered_ms, valid_ms: valid.of(at, end) });
        at = end;
    }
    series
}

/// The meter time of each part. That of a cluster takes a while to add up, and is the same nearly always.
struct Valid<'t> {
    topology: &'t Topology,
    entity: Entity,
    /// The same for every part.
    same: Option<i64>,
}

impl Valid<'_> {
    fn new(topology: &Topology, entity: Entity, (from, to): (Time, Time), step: Span) -> Valid<'_> {
        let all = topology.valid_ms(entity, from, to);
        let one = topology.valid_ms(entity, from, from.plus(step));
        let parts = to.since(from).0 / step.0.max(1);
        // Meters come and go by whole days at most: where the first part is like all together, each is.
        let same = (one.saturating_mul(parts) == all).then_some(one);
        Valid { topology, entity, same }
    }

    fn of(&self, from: Time, to: Time) -> i64 {
        self.same.unwrap_or_else(|| self.topology.valid_ms(self.entity, from, to))
    }
}

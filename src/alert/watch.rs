//! From entries to the sums that rules are judged by, and from there to what turns.

use std::collections::BTreeMap;

use crate::alert::{Machine, Rule, Series, Sum, Turn, judge};
use crate::cluster::{Entity, Topology};
use crate::ledger::Entry;
use crate::pipeline::{Amounts, Pipeline, meter_entries};
use crate::quantity::{Time, Window};

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
    // Adding it up takes a while, and mostly all parts are alike.
    let one = |at: Time| topology.valid_ms(entity, at, at.plus(step));
    let same = topology.is_steady(entity, from, to).then(|| one(from));
    let mut series = Series::new(from);
    let mut at = from;
    while at < to {
        let end = at.plus(step);
        let entry = known.get(&at);
        let mg = entry.map_or(0, |entry| rule.signal.of(&entry.tally));
        let covered_ms = entry.map_or(0, |entry| entry.tally.covered_ms);
        series.push(end, Sum { mg, covered_ms, valid_ms: same.unwrap_or_else(|| one(at)) });
        at = end;
    }
    series
}

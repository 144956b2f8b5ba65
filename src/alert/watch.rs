//! All turns of a replay.

use std::convert::Infallible;

use crate::alert::{Begin, Facts, Heard, Rule, Turn, Until, Watched, look};
use crate::cluster::{Entity, MeterIx};
use crate::ledger::Entry;
use crate::pipeline::{Amounts, Over, Pipeline, meter_entries};
use crate::quantity::{Quarter, Time, Window};
use crate::window::Activity;

/// A turn of a rule for one of what it watches.
#[derive(Clone, Debug, PartialEq)]
pub struct Turned<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// For what.
    pub watched: &'r Watched,
    /// What it turned to.
    pub turn: Turn,
}

/// All turns of an offline pipeline up to `now`, in the order of their times: nothing more is to come.
pub fn turns<'r>(pipeline: &Pipeline, rules: &'r [Rule], now: Time) -> Vec<Turned<'r>> {
    let mut all = Vec::new();
    for rule in rules {
        for watched in &rule.watched {
            let turned = |turn| Turned { rule, watched, turn };
            all.extend(turns_of(pipeline, rule, watched, now).into_iter().map(turned));
        }
    }
    all.sort_by(|a, b| (a.turn.at, &a.rule.id, a.watched).cmp(&(b.turn.at, &b.rule.id, b.watched)));
    all
}

fn turns_of(pipeline: &Pipeline, rule: &Rule, watched: &Watched, now: Time) -> Vec<Turn> {
    let topology = &pipeline.rules().topology;
    let Some((first, to)) = reach(pipeline, rule, watched, now) else {
        return Vec::new();
    };
    let Ok(judged) = look(
        rule,
        watched,
        topology,
        &Replayed(pipeline),
        (Begin::After(first), Until { to, closed_to: to, settled: first }),
    );
    judged.turns
}

/// From when to when there is anything to judge. `None`: nothing was ever seen.
fn reach(pipeline: &Pipeline, rule: &Rule, watched: &Watched, now: Time) -> Option<(Time, Time)> {
    let zone = watched.zone(&pipeline.rules().topology);
    let step = rule.step();
    // The part of time that `now` is in is the last.
    let to = zone.end(step, zone.start(step, Time(now.0 - 1)));
    let first = match watched {
        Watched::Entity(entity) if !rule.kind.is_stale() => {
            entries(pipeline, *entity, step).first().map(|entry| entry.key.start)?
        }
        _ => {
            let meters = (0u32..).zip(&pipeline.rules().topology.meters).map(|(ix, _)| MeterIx(ix));
            zone.start(step, meters.filter_map(|ix| pipeline.heard(ix).first().copied()).min()?)
        }
    };
    Some((first, if rule.kind.is_stale() { now } else { to }))
}

/// The entries in memory of one entity, in the order of their times.
fn entries(pipeline: &Pipeline, entity: Entity, window: Window) -> Vec<Entry> {
    let Entity::Meter(ix) = entity else {
        return pipeline.open_entries(|of, length| of == entity && length == window);
    };
    let rules = pipeline.rules();
    let load = |ix| Ok::<_, Infallible>(pipeline.open_activities(ix));
    let Ok(amounts) = Amounts::collect(rules, ix, load);
    meter_entries(rules, ix, window, &amounts, Over::ALL)
}

/// All of it is in memory.
struct Replayed<'p>(&'p Pipeline);

impl Facts for Replayed<'_> {
    type Error = Infallible;

    fn entries(&self, entity: Entity, window: Window, (from, to): (Time, Time)) -> Result<Vec<Entry>, Infallible> {
        let mut entries = entries(self.0, entity, window);
        entries.retain(|entry| from <= entry.key.start && entry.key.start < to);
        Ok(entries)
    }

    fn amounts(&self, meter: MeterIx, (from, to): (Time, Time)) -> Result<Vec<(Quarter, Activity)>, Infallible> {
        let all = self.0.open_activities(meter).into_iter();
        let within = all.filter(|(quarter, ..)| from < quarter.end() && quarter.start() < to);
        Ok(within.map(|(quarter, activity, _)| (quarter, activity)).collect())
    }

    fn stored_from(&self, _entity: Entity) -> Result<Option<Time>, Infallible> {
        Ok(None)
    }

    fn heard(&self, meter: MeterIx, _since: Time) -> Result<Heard, Infallible> {
        let rules = self.0.rules();
        let gone = rules.routes.gone(meter, self.0.births());
        Ok(Heard { times: self.0.heard(meter), gone })
    }

    /// Of a meter that has no reading at all, nothing is known.
    fn began(&self) -> Time {
        Time::MAX
    }
}

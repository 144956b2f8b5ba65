//! What rules are judged by, wherever it is: in the memory of a replay, or in the store beside a running daemon.

use std::collections::BTreeMap;

use crate::alert::rule::{Sources, Until, judge};
use crate::alert::{
    Checkpoint, Heard, Judged, Kind, MILLION, Period, Profile, Rule, Series, Silence, Stale, Sum, Watched, silences,
    stale,
};
use crate::cluster::{Cluster, Entity, MeterIx, Topology};
use crate::emission::Column;
use crate::ledger::Entry;
use crate::quantity::{QUARTER_MS, Quarter, Span, Time, Window, Zone};
use crate::window::Activity;

/// Where the figures are.
pub trait Facts {
    /// Why they cannot be read.
    type Error;

    /// The entries of one length that begin in a time, in order.
    fn entries(&self, entity: Entity, window: Window, span: (Time, Time)) -> Result<Vec<Entry>, Self::Error>;

    /// What a meter showed in the quarters of a time.
    fn amounts(&self, meter: MeterIx, span: (Time, Time)) -> Result<Vec<(Quarter, Activity)>, Self::Error>;

    /// Since when anything of an entity is stored. `None`: nothing is.
    fn stored_from(&self, entity: Entity) -> Result<Option<Time>, Self::Error>;

    /// When a meter was heard since a time, and last before it.
    fn heard(&self, meter: MeterIx, since: Time) -> Result<Heard, Self::Error>;

    /// Since when anybody listens.
    fn began(&self) -> Time;
}

/// Where judging begins.
#[derive(Clone, Debug)]
pub enum Begin {
    /// After this time, with nothing known.
    After(Time),
    /// Where it has been before.
    From(Box<Checkpoint>),
}

/// Judges a rule for one of what it watches. Without a checkpoint it begins at `after`, with nothing known.
pub fn look<F: Facts>(
    rule: &Rule,
    watched: &Watched,
    topology: &Topology,
    facts: &F,
    (begin, until): (Begin, Until),
) -> Result<Judged, F::Error> {
    let begin = match begin {
        Begin::After(time) => Checkpoint::new(rule, time),
        Begin::From(checkpoint) => *checkpoint,
    };
    let (after, to) = (begin.at, until.to);
    if let Kind::Stale(stale) = &rule.kind {
        return silent(stale, watched, topology, facts, (after, to));
    }
    let zone = watched.zone(topology);
    let seasonal = as_last_year(rule, watched, topology, facts, (after, to))?;
    let rule = seasonal.as_ref().unwrap_or(rule);
    let step = rule.step();
    let range = (zone.start(step, rule.reach(zone, Time(after.0 + 1)).min(after)), to);
    let mut sources = Sources::default();
    match (&rule.kind, watched) {
        (Kind::Imbalance(imbalance), _) => {
            sources.main = amounts(topology, facts, imbalance.sent, (step, range))?;
            sources.other = Some(amounts(topology, facts, imbalance.received, (step, range))?);
        }
        (_, Watched::Entity(entity)) => {
            sources.main = emissions(rule, topology, facts, *entity, (range.0, after, range.1))?
        }
        // Nothing of theirs is in the books.
        _ => return Ok(Judged::default()),
    }
    if let Kind::Limit(limit) = &rule.kind
        && let Some(gate) = &limit.gate
    {
        sources.other = Some(amounts(topology, facts, gate.meter, (step, range))?);
    }
    let mut judged = judge(rule, zone, &sources, begin, until);
    if let Kind::Budget(budget) = &rule.kind
        && !matches!(budget.period, Period::Rolling(_))
    {
        judged.forecast =
            sources.main.ends(after, until.closed_to).last().map(|at| budget.forecast(zone, &sources.main, at));
    }
    Ok(judged)
}

/// The rule with the plans that the years before make. `None`: it does not hang on that.
fn as_last_year<F: Facts>(
    rule: &Rule,
    watched: &Watched,
    topology: &Topology,
    facts: &F,
    (after, to): (Time, Time),
) -> Result<Option<Rule>, F::Error> {
    let Some(entity) = watched.entity().filter(|_| rule.kind.profile() == Some(&Profile::LastYear)) else {
        return Ok(None);
    };
    let mut rule = rule.clone();
    let zone = watched.zone(topology);
    let mut years = BTreeMap::new();
    // Of the year before as well: a burn looks behind the period.
    let mut year = zone.start(Window::Year, Time(zone.start(Window::Year, after).0 - 1));
    while year < to {
        let before = zone.start(Window::Year, Time(year.0 - 1));
        let months = facts.entries(entity, Window::Month, (before, year))?;
        years.extend(weights(&rule, zone, &months).map(|weights| (zone.year(year), weights)));
        year = zone.end(Window::Year, year);
    }
    if let Some(profile) = rule.kind.profile_mut() {
        *profile = Profile::Years(years);
    }
    Ok(Some(rule))
}

/// What each month is of all, in millionths. `None`: nothing is known of them.
fn weights(rule: &Rule, zone: &Zone, months: &[Entry]) -> Option<[u32; 12]> {
    let total: i128 = months.iter().map(|entry| rule.signal.of(&entry.tally).max(0)).sum();
    let mut weights = [0u32; 12];
    for entry in months {
        let share = rule.signal.of(&entry.tally).max(0).saturating_mul(MILLION) / total.max(1);
        weights[zone.month(entry.key.start)] = u32::try_from(share).unwrap_or(0);
    }
    (total > 0).then_some(weights)
}

/// The sums of what a rule looks at in `[from, to)`; where there is no entry, nothing was measured.
fn emissions<F: Facts>(
    rule: &Rule,
    topology: &Topology,
    facts: &F,
    entity: Entity,
    (from, after, to): (Time, Time, Time),
) -> Result<Series, F::Error> {
    let (window, step) = (rule.step(), rule.step().shortest());
    let mut series = Series::new(from);
    let meters = meters_of(topology, entity);
    // Of a long period, days are enough for what lies behind.
    let split = if rule.takes_days(entity) { topology.zone(entity).start(Window::Day, after).max(from) } else { from };
    if from < split {
        let days = facts.entries(entity, Window::Day, (from, split))?;
        let days: BTreeMap<Time, Sum> =
            days.iter().map(|entry| (entry.key.start, sum_of(rule, entry, meters))).collect();
        let mut day = from;
        while day < split {
            let end = topology.zone(entity).end(Window::Day, day);
            let sum = days.get(&day).copied().unwrap_or_default();
            series.push(end, Sum { valid_ms: topology.valid_ms(entity, day, end), ..sum });
            day = end;
        }
    }
    let from = split;
    let mut sums: BTreeMap<Time, Sum> = BTreeMap::new();
    for entry in facts.entries(entity, window, (from, to))? {
        sums.insert(entry.key.start, sum_of(rule, &entry, meters));
    }
    if let Kind::Limit(limit) = &rule.kind {
        for event in &limit.events {
            for entry in facts.entries(Entity::Meter(*event), window, (from, to))? {
                let sum = sums.entry(entry.key.start).or_default();
                sum.mg = sum.mg.saturating_sub(rule.signal.of(&entry.tally));
            }
        }
    }
    // Before anybody measured, nothing is missing.
    let begun = match rule.kind {
        Kind::Coverage(_) => facts.stored_from(entity)?.or_else(|| sums.keys().next().copied()).unwrap_or(to),
        _ => from,
    };
    // Adding it up takes a while, and mostly all parts are alike.
    let one = |at: Time| topology.valid_ms(entity, at, at.plus(step));
    let same = topology.is_steady(entity, from, to).then(|| one(from));
    let mut at = from;
    while at < to {
        let sum = sums.get(&at).copied().unwrap_or_default();
        let valid_ms = if at < begun { 0 } else { same.unwrap_or_else(|| one(at)) };
        series.push(at.plus(step), Sum { valid_ms, ..sum });
        at = at.plus(step);
    }
    Ok(series)
}

fn meters_of(topology: &Topology, entity: Entity) -> i128 {
    let facilities = |cluster: &Cluster| -> i128 {
        cluster.facilities.iter().map(|ix| meters_of(topology, Entity::Facility(*ix))).sum()
    };
    match entity {
        Entity::Meter(_) => 1,
        Entity::Facility(ix) => topology.facility(ix).meters.len() as i128,
        Entity::Cluster(ix) => facilities(topology.cluster(ix)),
        Entity::Network(ix) => topology.network(ix).clusters.iter().map(|ix| facilities(topology.cluster(*ix))).sum(),
    }
}

fn sum_of(rule: &Rule, entry: &Entry, meters: i128) -> Sum {
    let tally = &entry.tally;
    let soft_mg = tally.mg(Column::Substituted).saturating_add(tally.mg(Column::Interpolated));
    // A quarter is rounded once; a minute is cut out of it, for each meter.
    let rounded = match entry.key.window {
        _ if tally.is_empty() => 0,
        Window::Minute => meters,
        window => i128::from(window.shortest().0 / QUARTER_MS),
    };
    Sum { mg: rule.signal.of(tally), soft_mg, rounded, covered_ms: tally.covered_ms, valid_ms: 0 }
}

/// What a meter showed, in its base unit.
fn amounts<F: Facts>(
    topology: &Topology,
    facts: &F,
    meter: MeterIx,
    (step, (from, to)): (Window, (Time, Time)),
) -> Result<Series, F::Error> {
    let mut known: BTreeMap<Time, Sum> = BTreeMap::new();
    for (quarter, activity) in facts.amounts(meter, (from, to))? {
        for (minute, part) in (0..).zip(activity.parts()) {
            // What is known of the quarter as a whole counts at its beginning.
            let at = if minute < 15 { Time(quarter.start().0 + minute * 60_000) } else { quarter.start() };
            let at = if step == Window::Minute { at } else { quarter.start() };
            let sum = known.entry(at).or_default();
            sum.mg = sum.mg.saturating_add(i128::from(part.amount));
            sum.covered_ms = sum.covered_ms.saturating_add(i64::from(part.covered_ms));
        }
    }
    let length = step.shortest();
    let mut series = Series::new(from);
    let mut at = from;
    while at < to {
        let end = at.plus(length);
        let sum = known.get(&at).copied().unwrap_or_default();
        series.push(end, Sum { valid_ms: topology.meter(meter).valid_ms(at, end), ..sum });
        at = end;
    }
    Ok(series)
}

/// The silences of a meter, or of most meters of a gateway.
fn silent<F: Facts>(
    stale: &Stale,
    watched: &Watched,
    topology: &Topology,
    facts: &F,
    (after, now): (Time, Time),
) -> Result<Judged, F::Error> {
    let of = |ix: MeterIx| -> Result<(Vec<Silence>, Option<Time>), F::Error> {
        let (meter, heard) = (topology.meter(ix), facts.heard(ix, after)?);
        let zone = topology.zone(Entity::Meter(ix));
        Ok((silences(meter, zone, &heard, (facts.began(), now)), heard.times.first().copied()))
    };
    match watched {
        Watched::Entity(Entity::Meter(ix)) => {
            let (silences, heard) = of(*ix)?;
            Ok(stale::judged(&silences, after, heard, topology.meter(*ix).stale_after))
        }
        Watched::Gateway(gateway) => {
            let meters = stale.gateways.get(gateway).map_or(&[][..], Vec::as_slice);
            let mut all = Vec::new();
            let (mut first, mut longest) = (None, None);
            for ix in meters {
                let (silences, heard) = of(*ix)?;
                first = [first, heard].into_iter().flatten().min();
                longest = longest.max(Some(topology.meter(*ix).stale_after));
                all.push(silences);
            }
            Ok(stale::judged(&stale::together(&all), after, first, longest.unwrap_or(Span(0))))
        }
        _ => Ok(Judged::default()),
    }
}

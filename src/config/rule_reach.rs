//! The most that the meters under a rule can show, by their `max_rate`: a limit above that never raises an alarm.

use crate::alert::{Kind, Limit, Rule, Watched};
use crate::cluster::{Entity, FacilityIx, MeterIx};
use crate::config::checker::Checker;
use crate::config::problem::Severity;
use crate::emission::{Flag, Tally};
use crate::pipeline::{Amounts, Over, Rules, facility_quarter, meter_entries};
use crate::quantity::{Quarter, Time, Window};
use crate::window::{Activity, Minute};

/// Quarters of a day.
const QUARTERS: i64 = 96;
/// The number of this level.
const CRITICAL: u8 = 4;
/// Factors are taken as they are then: the latest there are.
const LATE: Time = Time(4_070_908_800_000);

/// Warns of limits that cannot be reached.
pub(crate) fn check_reach(checker: &mut Checker, alarms: &[Rule], rules: &Rules) {
    for rule in alarms {
        let entities = rule.watched.iter().filter_map(|watched| match watched {
            Watched::Entity(entity) => Some(*entity),
            _ => None,
        });
        for entity in entities {
            if let Some(most) = most(rules, rule, entity) {
                for key in out_of_reach(&rule.kind, most) {
                    let message = format!(
                        "{} can emit at most {:.0} kg/h by the `max_rate` of its meters: this is never reached",
                        rules.topology.id(entity),
                        most as f64 / 24e6
                    );
                    checker.push("C020", Severity::Warning, &["rules", rule.id.as_str(), key], message, None);
                }
            }
        }
        check_gate(checker, rule, rules);
    }
}

/// The keys that say more than `most`, in milligrams a day.
fn out_of_reach(kind: &Kind, most: i128) -> Vec<&'static str> {
    match kind {
        Kind::Limit(limit) if most <= limit.per_day => vec!["limit"],
        Kind::Limit(limit) => {
            let critical = limit.levels.get(usize::from(CRITICAL) - 1).filter(|part| part.is_positive());
            let is_beyond = critical.is_some_and(|part| most <= part.of_floor(limit.per_day));
            if is_beyond { vec!["critical_at"] } else { Vec::new() }
        }
        Kind::Budget(budget) if most.saturating_mul(budget.period.most_days()) <= budget.total => vec!["budget"],
        _ => Vec::new(),
    }
}

fn check_gate(checker: &mut Checker, rule: &Rule, rules: &Rules) {
    let Kind::Limit(Limit { gate: Some(gate), .. }) = &rule.kind else {
        return;
    };
    let meter = rules.topology.meter(gate.meter);
    if meter.max_rate.is_some_and(|most| i128::from(most) <= gate.above_per_day) {
        let message = format!("`{}` never shows as much, by its `max_rate`: the rule never counts", meter.id);
        checker.push("C020", Severity::Warning, &["rules", rule.id.as_str(), "when"], message, None);
    }
}

/// Milligrams a day. `None`: some meter has no most, or its figures cannot be told from it.
fn most(rules: &Rules, rule: &Rule, entity: Entity) -> Option<i128> {
    let facilities: Vec<FacilityIx> = match entity {
        Entity::Facility(facility) => vec![facility],
        Entity::Cluster(cluster) => rules.topology.cluster(cluster).facilities.clone(),
        Entity::Meter(meter) => return most_of_meter(rules, rule, meter),
        Entity::Network(_) => return None,
    };
    let quarter = LATE.quarter();
    let mut sum = 0i128;
    for facility in facilities {
        let tally = full(rules, rule, facility, quarter)?;
        sum = sum.checked_add(rule.signal.of(&tally))?;
    }
    sum.checked_mul(i128::from(QUARTERS))
}

fn most_of_meter(rules: &Rules, rule: &Rule, meter: MeterIx) -> Option<i128> {
    let quarter = LATE.quarter();
    let amounts = Amounts::collect(rules, meter, |ix| at_most(rules, rule, ix, quarter)).ok()?;
    let entries = meter_entries(rules, meter, Window::Quarter, &amounts, Over::ALL);
    let tally = &entries.first()?.tally;
    is_sure(tally).then(|| rule.signal.of(tally))?.checked_mul(i128::from(QUARTERS))
}

/// What a facility emits in a quarter with all its meters at their most.
fn full(rules: &Rules, rule: &Rule, facility: FacilityIx, quarter: Quarter) -> Option<Tally> {
    let load = |ix: MeterIx| at_most(rules, rule, ix, quarter);
    let amounts = Amounts::of(rules.topology.facility(facility).inputs.iter().copied(), load).ok()?;
    let tally = facility_quarter(rules, facility, quarter, &amounts);
    is_sure(&tally).then_some(tally)
}

/// A meter at its most. `Err`: it has none.
fn at_most(rules: &Rules, rule: &Rule, ix: MeterIx, quarter: Quarter) -> Result<Vec<(Quarter, Activity, u32)>, ()> {
    let meter = rules.topology.meter(ix);
    // Events have no rate, so a limit leaves them out; a budget has them.
    let is_left_out = !meter.covers_time() && matches!(rule.kind, Kind::Limit(_));
    if meter.category.is_memo() || is_left_out {
        return Ok(Vec::new());
    }
    let amount = meter.max_rate.ok_or(())? / QUARTERS / 15;
    let mut activity = Activity::default();
    let minute = Minute { amount, covered_ms: 60_000, ..Minute::default() };
    (0..15).for_each(|at| activity.add(at, minute));
    Ok(vec![(quarter, activity, 1)])
}

/// Nothing stands in it for what is not known.
fn is_sure(tally: &Tally) -> bool {
    let unsure = [Flag::PropertyMissing, Flag::Substituted, Flag::SupplierUnknown];
    unsure.iter().all(|flag| tally.flag_count(*flag) == 0)
}

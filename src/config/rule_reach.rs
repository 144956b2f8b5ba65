//! The most that the meters under a rule can show, by their `max_rate`: a limit above that never raises an alarm.

use crate::alert::{Kind, Rule, Watched};
use crate::cluster::{Entity, FacilityIx, MeterIx};
use crate::config::checker::Checker;
use crate::config::problem::Severity;
use crate::emission::{Flag, Tally};
use crate::pipeline::{Amounts, Rules, facility_quarter};
use crate::quantity::{Quarter, Time};
use crate::window::{Activity, Minute};

/// Quarters of a day.
const QUARTERS: i64 = 96;
/// Factors are taken as they are then: the latest there are.
const LATE: Time = Time(4_070_908_800_000);

/// Warns of limits that cannot be reached.
pub(crate) fn check_reach(checker: &mut Checker, alarms: &[Rule], rules: &Rules) {
    for rule in alarms {
        let Kind::Limit(limit) = &rule.kind else {
            continue;
        };
        let entities = rule.watched.iter().filter_map(|watched| match watched {
            Watched::Entity(entity) => Some(entity),
            _ => None,
        });
        for entity in entities {
            let Some(most) = most(rules, rule, *entity).filter(|most| *most <= limit.per_day) else {
                continue;
            };
            let message = format!(
                "{} can emit at most {:.0} kg/h by the `max_rate` of its meters: the limit is never reached",
                rules.topology.id(*entity),
                most as f64 / 24e6
            );
            checker.push("C020", Severity::Warning, &["rules", rule.id.as_str(), "limit"], message, None);
        }
    }
}

/// Milligrams a day. `None`: some meter has no most, or its figures cannot be told from it.
fn most(rules: &Rules, rule: &Rule, entity: Entity) -> Option<i128> {
    let facilities: Vec<FacilityIx> = match entity {
        Entity::Facility(facility) => vec![facility],
        Entity::Cluster(cluster) => rules.topology.cluster(cluster).facilities.clone(),
        Entity::Meter(_) | Entity::Network(_) => return None,
    };
    let quarter = LATE.quarter();
    let mut sum = 0i128;
    for facility in facilities {
        let tally = full(rules, facility, quarter)?;
        sum = sum.checked_add(rule.signal.of(&tally))?;
    }
    sum.checked_mul(i128::from(QUARTERS))
}

/// What a facility emits in a quarter with all its meters at their most.
fn full(rules: &Rules, facility: FacilityIx, quarter: Quarter) -> Option<Tally> {
    let load = |ix: MeterIx| -> Result<Vec<(Quarter, Activity, u32)>, ()> {
        let meter = rules.topology.meter(ix);
        if meter.category.is_memo() || !meter.covers_time() {
            return Ok(Vec::new());
        }
        let amount = meter.max_rate.ok_or(())? / QUARTERS / 15;
        let mut activity = Activity::default();
        let minute = Minute { amount, covered_ms: 60_000, ..Minute::default() };
        (0..15).for_each(|at| activity.add(at, minute));
        Ok(vec![(quarter, activity, 1)])
    };
    let amounts = Amounts::of(rules.topology.facility(facility).inputs.iter().copied(), load).ok()?;
    let tally = facility_quarter(rules, facility, quarter, &amounts);
    let unsure = [Flag::PropertyMissing, Flag::Substituted, Flag::SupplierUnknown];
    unsure.iter().all(|flag| tally.flag_count(*flag) == 0).then_some(tally)
}

//! `emissiond check --impact`: what a plan would change in the closed figures. Nothing is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use crate::cli::Failure;
use crate::cli::run::failure;
use crate::cluster::{Entity, FacilityIx};
use crate::config::Plan;
use crate::emission::Column;
use crate::pipeline::{Amounts, Comparison, Touched, facility_quarter};
use crate::quantity::{Quarter, Time, Window};
use crate::store::{Reader, StoreError};

const SHOWN: [Column; 3] = [Column::Scope1, Column::Scope2Location, Column::Scope2Market];

/// What a facility's figures of some quarters add up to, and would.
#[derive(Default)]
struct Change {
    quarters: usize,
    sums: [(i128, i128); 3],
    from: Option<Time>,
    to: Option<Time>,
}

/// For people: a line for each facility.
pub(crate) fn impact(plan: &Plan) -> Result<String, Failure> {
    let state = &plan.daemon.state_dir;
    if !state.join("ledger.db").exists() {
        return Ok(format!("impact: none; there are no books at {}\n", state.display()));
    }
    let look = || -> Result<String, StoreError> {
        let reader = Reader::beside(state, Arc::clone(&plan.rules.topology))?;
        let gone = reader.gone()?;
        let touched = Comparison::of(&plan.rules, |ix| reader.booked(ix), &gone)?.touched;
        let changes = changes(plan, &reader, &touched)?;
        Ok(text(plan, &touched, &changes))
    };
    look().map_err(|error| failure(error.into()))
}

fn changes(plan: &Plan, reader: &Reader, touched: &Touched) -> Result<BTreeMap<FacilityIx, Change>, StoreError> {
    let (rules, open) = (&plan.rules, reader.open_from()?);
    let mut changes = BTreeMap::new();
    for (facility, ranges) in &touched.facilities {
        let inputs = &rules.topology.facility(*facility).inputs;
        let mut quarters = BTreeSet::new();
        for (from, to) in ranges {
            let range = (from.quarter(), to.quarter().min(open));
            let mut stored = reader.stored_quarters(inputs, range)?;
            stored.extend(reader.entered(Entity::Facility(*facility), range)?);
            quarters.extend(stored.into_iter().flat_map(|quarter| rules.accounts.together(*facility, quarter)));
        }
        changes.insert(*facility, change(plan, reader, *facility, &quarters)?);
    }
    Ok(changes)
}

fn change(
    plan: &Plan,
    reader: &Reader,
    facility: FacilityIx,
    quarters: &BTreeSet<Quarter>,
) -> Result<Change, StoreError> {
    let mut change = Change::default();
    let (Some(first), Some(last)) = (quarters.first(), quarters.last()) else {
        return Ok(change);
    };
    // Whole hours, by which contracts cover.
    let range = (Quarter(first.0 - 8), Quarter(last.0 + 8));
    let inputs = plan.rules.topology.facility(facility).inputs.iter().copied();
    let amounts = Amounts::of(inputs, |ix| reader.activities(ix, range))?;
    let stored = reader.entries(Entity::Facility(facility), Window::Quarter, (first.start(), last.end()))?;
    for closed in stored.iter().filter(|closed| quarters.contains(&closed.key.start.quarter())) {
        let after = facility_quarter(&plan.rules, facility, closed.key.start.quarter(), &amounts);
        let before = &closed.balance.own;
        if SHOWN.iter().all(|column| before.mg(*column) == after.mg(*column)) {
            continue;
        }
        change.quarters += 1;
        change.from.get_or_insert(closed.key.start);
        change.to = Some(closed.key.start.quarter().end());
        for (sum, column) in change.sums.iter_mut().zip(SHOWN) {
            (sum.0, sum.1) = (sum.0 + before.mg(column), sum.1 + after.mg(column));
        }
    }
    Ok(change)
}

fn text(plan: &Plan, touched: &Touched, changes: &BTreeMap<FacilityIx, Change>) -> String {
    let topology = &plan.rules.topology;
    let meters: Vec<&str> = touched.meters.keys().map(|ix| topology.meter(*ix).id.as_str()).collect();
    if touched.is_empty() {
        return "impact: none; every meter is booked as before\n".to_owned();
    }
    let mut text = format!("impact: booked differently: {}\n", meters.join(", "));
    for (facility, change) in changes {
        let id = &topology.facility(*facility).id;
        let (Some(from), Some(to)) = (change.from, change.to) else {
            let _ = writeln!(text, "  {id}: no closed figure changes");
            continue;
        };
        let _ = writeln!(text, "  {id}: {} quarter-hours from {from} to {to}", change.quarters);
        for (column, (before, after)) in SHOWN.iter().zip(change.sums).filter(|(_, (b, a))| b != a) {
            let tonnes = |mg: i128| mg as f64 / 1e9;
            let name = column.name();
            let _ = writeln!(text, "    {name}: {:.6} t, and would be {:.6} t", tonnes(before), tonnes(after));
        }
    }
    text
}

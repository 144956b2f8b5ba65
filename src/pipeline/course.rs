//! How a meter is booked over time, to compare two plans: where it is the same, so are the figures of the same amounts.

use crate::cluster::{FacilityIx, Kind, MeterIx};
use crate::emission::{Contract, SourceKey, Special, Volume};
use crate::pipeline::Rules;
use crate::quantity::Time;

/// The parts of time, each up to its end, with a mark of how the meter is booked in it.
pub type Course = Vec<(Time, u64)>;

/// A course, and whose figures hang on it: in another plan they may be others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booked {
    /// How the meter is booked over time.
    pub course: Course,
    /// The ids of the facilities whose figures its amounts decide.
    pub facilities: Vec<String>,
    /// It has no readings of its own: when it goes, its figures go with it.
    pub is_derived: bool,
}

/// How a meter is booked under these rules.
pub fn booked(rules: &Rules, ix: MeterIx) -> Booked {
    let facilities = rules.accounts.affected(ix).iter().map(|f| facility(rules, *f)).collect();
    let is_derived = rules.topology.meter(ix).kind == Kind::Derived;
    Booked { course: course(rules, ix), facilities, is_derived }
}

/// A course that is neither of two where they differ: figures on the way from one to the other.
pub fn between(before: &Course, after: &Course) -> Course {
    let differ = differences(before, after);
    let mark = |course: &Course, at: Time| course.iter().find(|(to, _)| at < *to).map_or(NEITHER, |(_, mark)| *mark);
    let mut edges: Vec<Time> = before.iter().chain(after).map(|(to, _)| *to).collect();
    edges.sort_unstable();
    edges.dedup();
    let mut from = Time::MIN;
    let mut course = Course::new();
    for to in edges {
        let differs = differ.iter().any(|(start, end)| *start <= from && from < *end);
        course.push((to, if differs { NEITHER } else { mark(after, from) }));
        from = to;
    }
    course
}

/// The mark of no plan.
const NEITHER: u64 = 0;

/// The course of a meter.
fn course(rules: &Rules, ix: MeterIx) -> Course {
    let account = rules.accounts.meter(ix);
    let mut edges: Vec<Time> = account.method.edges().chain([Time::MAX]).collect();
    let contracts: Vec<&Contract> = contracts(rules, ix);
    edges.extend(contracts.iter().flat_map(|contract| [contract.from, contract.to]));
    edges.extend(contracts.iter().flat_map(|contract| contract.method.edges()));
    edges.retain(|edge| *edge > Time::MIN);
    edges.sort_unstable();
    edges.dedup();
    let always = always(rules, ix);
    let mut from = Time::MIN;
    let mut course: Course = Vec::new();
    for to in edges {
        let in_force = contracts.iter().filter(|contract| contract.from <= from && to <= contract.to);
        let covered: Vec<String> = in_force.map(|contract| text(rules, contract, from)).collect();
        let own = account.method.text_at(from, |meter| id(rules, meter));
        let mark = SourceKey::of("course", &format!("{always} {own} {covered:?}")).0;
        match course.last_mut() {
            Some(last) if last.1 == mark => last.0 = to,
            _ => course.push((to, mark)),
        }
        from = to;
    }
    course
}

/// The parts of time in which two courses differ.
pub fn differences(before: &Course, after: &Course) -> Vec<(Time, Time)> {
    let mark = |course: &Course, at: Time| course.iter().find(|(to, _)| at < *to).map(|(_, mark)| *mark);
    let mut edges: Vec<Time> = before.iter().chain(after).map(|(to, _)| *to).collect();
    edges.sort_unstable();
    edges.dedup();
    let mut from = Time::MIN;
    let mut differ: Vec<(Time, Time)> = Vec::new();
    for to in edges {
        if mark(before, from) != mark(after, from) {
            match differ.last_mut() {
                Some(last) if last.1 == from => last.1 = to,
                _ => differ.push((from, to)),
            }
        }
        from = to;
    }
    differ
}

fn id(rules: &Rules, meter: MeterIx) -> String {
    rules.topology.meter(meter).id.to_string()
}

fn ids(rules: &Rules, meters: &[MeterIx]) -> String {
    meters.iter().map(|meter| id(rules, *meter)).collect::<Vec<_>>().join(",")
}

fn facility(rules: &Rules, facility: FacilityIx) -> String {
    rules.topology.facility(facility).id.to_string()
}

/// What is declared for all time.
fn always(rules: &Rules, ix: MeterIx) -> String {
    let (accounts, account) = (&rules.accounts, rules.accounts.meter(ix));
    let holders: Vec<String> = accounts.holders(ix).map(|holder| facility(rules, holder)).collect();
    let mut text = format!("{} {:?} {holders:?}", account.category.name(), account.error);
    for transfer in accounts.transfers.iter().filter(|transfer| transfer.received == ix || transfer.sent == ix) {
        let (sent, received) = (id(rules, transfer.sent), id(rules, transfer.received));
        text.push_str(&format!(" {sent} to {received} within {}", transfer.tolerance));
    }
    if let Some(special) = &account.special {
        text.push_str(&of_special(rules, special));
    }
    text
}

fn of_special(rules: &Rules, special: &Special) -> String {
    let accounts = &rules.accounts;
    let mut text = String::new();
    for (meter, coefficient) in &special.terms {
        text.push_str(&format!(" + {coefficient} {}", id(rules, *meter)));
    }
    for share in &special.shares {
        text.push_str(&format!(" {} from {} to {}", facility(rules, share.facility), share.from, share.to));
    }
    let deduct = special.capture.map(|capture| capture.deduct);
    text.push_str(&format!(" {} {} {deduct:?}", special.resold, special.sold));
    if let Some(purchase) = &special.purchase {
        let (supplier, bases) = (facility(rules, purchase.supplier), (purchase.by_location, purchase.by_market));
        text.push_str(&format!(" by {supplier} {:?} {bases:?} {}", purchase.eliminated, purchase.resold));
        if let Some(chp) = purchase.chp.and_then(|at| accounts.chps.get(at)) {
            let [fuels, heat, power] = [&chp.fuels, &chp.heat, &chp.power].map(|meters| ids(rules, meters));
            let (by_heat, by_power) = (chp.heat_efficiency, chp.power_efficiency);
            text.push_str(&format!(" plant {fuels} {heat} {power} {by_heat} {by_power}"));
        }
    }
    let taken_from = special.capture.and_then(|capture| capture.stack);
    for stack in special.stack.into_iter().chain(taken_from).filter_map(|at| accounts.stacks.get(at)) {
        text.push_str(&format!(" stack {} {}", id(rules, stack.cems), ids(rules, &stack.fuels)));
    }
    text
}

/// The contracts that may cover a meter.
pub(super) fn contracts(rules: &Rules, ix: MeterIx) -> Vec<&Contract> {
    let accounts = &rules.accounts;
    if !accounts.meter(ix).is_contractable() {
        return Vec::new();
    }
    let mut all: Vec<usize> = accounts.holders(ix).flat_map(|f| accounts.facility(f).contracts.clone()).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().filter_map(|at| accounts.contracts.get(at)).collect()
}

fn text(rules: &Rules, contract: &Contract, at: Time) -> String {
    let volume = match &contract.volume {
        Volume::Generation { meter, share } => format!("{} x {share}", id(rules, *meter)),
        // Delivered evenly, so the ends matter too.
        Volume::Amount(amount) => format!("{amount} {} {}", contract.from, contract.to),
        Volume::Share(share) => format!("share {share}"),
    };
    let members: Vec<String> = contract.facilities.iter().map(|f| facility(rules, *f)).collect();
    format!("{} {volume} {members:?} {}", contract.id, contract.method.text_at(at, |meter| id(rules, meter)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn courses_differ_where_their_marks_do() {
        let before = vec![(Time(10), 1), (Time(20), 2), (Time::MAX, 3)];
        let after = vec![(Time(15), 1), (Time::MAX, 3)];
        assert_eq!(differences(&before, &after), [(Time(10), Time(20))]);
        assert_eq!(differences(&after, &before), [(Time(10), Time(20))]);
        assert!(differences(&after, &after).is_empty());
        assert_eq!(differences(&Vec::new(), &after), [(Time::MIN, Time::MAX)]);
    }
}

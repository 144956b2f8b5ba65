//! Why a meter's quarter is booked as it is: from its readings to every mass of its entry.

use crate::cluster::MeterIx;
use crate::emission::{Booking, Evaluation, Plant};
use crate::meter::{Held, Track, Usage, Verdict};
use crate::pipeline::{Amounts, Rules};
use crate::quantity::{Quarter, Ratio, Time};
use crate::window::Sheet;

/// A usage, and the part of it that is in the quarter.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The whole.
    pub usage: Usage,
    /// What of it is in the quarter, in base units.
    pub amount: i64,
}

/// A quarter of a meter, explained.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The meter.
    pub meter: MeterIx,
    /// Its quarter.
    pub quarter: Quarter,
    /// The usages that reach into it. Empty where its readings are gone, or it has none of its own.
    pub parts: Vec<Part>,
    /// What its amount is the sum of: meters, factors, amounts. Empty: of its own readings alone.
    pub terms: Vec<(MeterIx, Ratio, i64)>,
    /// What the plant burned and made that it is supplied by.
    pub plant: Option<Plant>,
    /// What was booked: once, or once for each facility that shares the meter.
    pub bookings: Vec<Booking<'static>>,
}

/// Explains a quarter, from the amounts of all meters it hangs on, and from the meter's own readings around it.
pub fn explain(
    rules: &Rules,
    (meter, quarter): (MeterIx, Quarter),
    amounts: &Amounts,
    (held, verdicts): (Vec<Held>, &[(Time, Verdict)]),
) -> Explanation {
    let facts = |ix: MeterIx, quarter: Quarter| amounts.activity(ix, quarter);
    let evaluation = Evaluation::new(&rules.accounts, quarter, &facts);
    let bookings = evaluation.bookings(meter).into_iter().map(Booking::into_owned).collect();
    // An operator set the amount: what was read does not count.
    let is_set = amounts.activity(meter, quarter).is_some_and(|activity| activity.is_adjusted());
    let parts = if is_set { Vec::new() } else { parts(rules, (meter, quarter), held, verdicts) };
    let plant = rules.accounts.meter(meter).purchase().and_then(|purchase| evaluation.plant(purchase.chp?));
    Explanation { meter, quarter, parts, terms: evaluation.terms(meter), plant, bookings }
}

fn parts(rules: &Rules, (ix, quarter): (MeterIx, Quarter), held: Vec<Held>, verdicts: &[(Time, Verdict)]) -> Vec<Part> {
    let meter = rules.topology.meter(ix);
    let mut track = Track::stored();
    track.supply(Quarter(i32::MIN), held, None);
    verdicts.iter().for_each(|(time, verdict)| track.judge(*time, *verdict));
    let mut parts = Vec::new();
    track.work_out(meter, &mut Vec::new(), |usage| {
        let is_event = usage.from == usage.to;
        let within =
            usage.from < quarter.end() && (usage.to > quarter.start() || is_event && usage.from >= quarter.start());
        if within {
            let mut sheet = Sheet::default();
            sheet.add(usage, quarter);
            let mine = sheet.quarters().iter().find(|(at, _)| *at == quarter);
            parts.extend(mine.map(|(_, activity)| Part { usage, amount: activity.total().amount }));
        }
    });
    parts
}

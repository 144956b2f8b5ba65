//! What follows from one reading by itself: its usage since the one before, and what that emits. For looking on, not for booking.

use crate::cluster::MeterIx;
use crate::decode::Reading;
use crate::emission::{Evaluation, Tally};
use crate::meter::{Point, Track, Usage};
use crate::pipeline::Rules;
use crate::quantity::{Quarter, Time};
use crate::window::{Activity, Sheet};

/// The usages up to a reading, from the reading before it, if that is known, with what each emits by itself: without
/// contracts, netting and what else hangs on other meters. `None`: the reading would be set aside.
pub fn follow(rules: &Rules, reading: &Reading, before: Option<(Time, i64)>) -> Option<Vec<(Usage, Tally)>> {
    let meter = rules.topology.meter(reading.meter);
    let mut track = Track::complete();
    let earlier = before.map(|(time, value)| (time, Point::new(time, reading.received, value)));
    let point = Point::new(reading.time, reading.received, reading.value);
    for (time, point) in earlier.into_iter().chain([(reading.time, point)]) {
        track.insert(meter, time, point);
    }
    let mut usages = Vec::new();
    track.work_out(meter, &mut Vec::new(), |usage| usages.push(usage));
    if track.set_aside().any(|(time, _)| time == reading.time) {
        return None;
    }
    let of_this = |usage: &Usage| usage.to == reading.time || usage.from == reading.time;
    Some(usages.into_iter().filter(of_this).map(|usage| (usage, weigh(rules, reading.meter, usage))).collect())
}

fn weigh(rules: &Rules, ix: MeterIx, usage: Usage) -> Tally {
    let mut sheet = Sheet::default();
    sheet.add(usage, Quarter(i32::MIN));
    let mut sum = Tally::default();
    for (quarter, activity) in sheet.quarters() {
        let facts = |meter: MeterIx, at: Quarter| -> Option<std::borrow::Cow<'_, Activity>> {
            (meter == ix && at == *quarter).then_some(std::borrow::Cow::Borrowed(activity))
        };
        Evaluation::new(&rules.accounts, *quarter, &facts).meter(ix).iter().for_each(|part| sum.merge(part));
    }
    sum
}

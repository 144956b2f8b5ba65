//! Splitting usage over minutes by cumulative floor, so that the parts always add up.

use crate::meter::{Quality, Usage};
use crate::quantity::{QUARTER_MS, Quarter, Time};
use crate::window::{Activity, Minute};

const MINUTE_MS: i64 = 60_000;

/// The quarters of one meter that are being worked out, in order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    quarters: Vec<(Quarter, Box<Activity>)>,
}

impl Sheet {
    /// The quarters with activity, in order of time.
    pub fn quarters(&self) -> &[(Quarter, Box<Activity>)] {
        &self.quarters
    }

    /// The same, taken out.
    pub fn into_quarters(self) -> Vec<(Quarter, Box<Activity>)> {
        self.quarters
    }

    /// Adds a usage, leaving out what lies before `from`. A usage spread over time is even; the part up to an
    /// edge is the floor of its share, so every quarter gets the same part whatever else is left out.
    pub fn add(&mut self, usage: Usage, from: Quarter) {
        if usage.from == usage.to {
            return self.add_event(usage, from);
        }
        let mut start = usage.from;
        if start.quarter() < from {
            start = from.start();
        }
        let mut done = usage.share(start);
        let grain_ms = if usage.quality == Quality::Long { QUARTER_MS } else { MINUTE_MS };
        while start < usage.to {
            let end = Time((start.0.div_euclid(grain_ms) + 1) * grain_ms).min(usage.to);
            let upto = usage.share(end);
            let amount = upto - done;
            let covered = end.since(start.max(usage.covers_from)).0.max(0);
            let (at, interpolated) = match usage.quality {
                Quality::Measured => (minute_of(start), 0),
                Quality::Interpolated => (minute_of(start), amount),
                Quality::Long => (Activity::WHOLE, amount),
            };
            let covered_ms = u32::try_from(covered).unwrap_or(0);
            self.activity(start.quarter()).add(at, Minute { amount, interpolated, covered_ms, events: 0 });
            (start, done) = (end, upto);
        }
    }

    fn add_event(&mut self, usage: Usage, from: Quarter) {
        if usage.from.quarter() >= from {
            let event = Minute { amount: usage.amount, events: 1, ..Minute::default() };
            self.activity(usage.from.quarter()).add(minute_of(usage.from), event);
        }
    }

    fn activity(&mut self, quarter: Quarter) -> &mut Activity {
        let at = match self.quarters.last() {
            Some((last, _)) if *last == quarter => self.quarters.len() - 1,
            Some((last, _)) if *last < quarter => self.quarters.len(),
            _ => self.quarters.partition_point(|(q, _)| *q < quarter),
        };
        if self.quarters.get(at).is_none_or(|(q, _)| *q != quarter) {
            self.quarters.insert(at, (quarter, Box::default()));
        }
        &mut self.quarters[at].1
    }
}

/// Which minute of its quarter an instant is in.
fn minute_of(time: Time) -> usize {
    (time.since(time.quarter().start()).0 / MINUTE_MS).unsigned_abs() as usize
}

impl Usage {
    /// The part of the amount used before `time`, rounded down.
    fn share(&self, time: Time) -> i64 {
        if time >= self.to {
            return self.amount;
        }
        if time <= self.from {
            return 0;
        }
        let (elapsed, whole) = (time.since(self.from).0, self.to.since(self.from).0);
        match self.amount.checked_mul(elapsed) {
            Some(product) => product.div_euclid(whole),
            None => {
                let part = (i128::from(self.amount) * i128::from(elapsed)).div_euclid(i128::from(whole));
                i64::try_from(part).unwrap_or(self.amount)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(from: i64, to: i64, amount: i64) -> Usage {
        Usage { from: Time(from), to: Time(to), amount, quality: Quality::Measured, covers_from: Time(from) }
    }

    #[test]
    fn parts_add_up() {
        let mut sheet = Sheet::default();
        sheet.add(usage(10_000, 3_000_001, 1_000_003), Quarter(0));
        let total: i64 = sheet.quarters().iter().map(|(_, a)| a.total().amount).sum();
        let covered: u32 = sheet.quarters().iter().map(|(_, a)| a.total().covered_ms).sum();
        assert_eq!((total, covered), (1_000_003, 2_990_001));
    }

    #[test]
    fn leaving_out_the_past_changes_no_later_quarter() {
        let (mut whole, mut late) = (Sheet::default(), Sheet::default());
        whole.add(usage(10_000, 3_000_001, 1_000_003), Quarter(0));
        late.add(usage(10_000, 3_000_001, 1_000_003), Quarter(2));
        assert_eq!(whole.quarters()[2..], *late.quarters());
    }

    #[test]
    fn a_quarter_interval_stays_in_its_quarter() {
        let mut sheet = Sheet::default();
        sheet.add(usage(900_000, 1_800_000, 3_170), Quarter(0));
        assert_eq!(sheet.quarters().len(), 1);
        assert_eq!(sheet.quarters()[0].1.total().amount, 3_170);
    }

    #[test]
    fn a_long_gap_has_quarters_and_no_minutes() {
        let mut sheet = Sheet::default();
        sheet.add(Usage { quality: Quality::Long, ..usage(450_000, 2_700_000, 50) }, Quarter(0));
        let wholes: Vec<i64> = sheet.quarters().iter().map(|(_, a)| a.part(Activity::WHOLE).amount).collect();
        assert_eq!(wholes, [10, 20, 20]);
        assert!(sheet.quarters().iter().all(|(_, a)| a.parts().take(15).all(|m| m == Minute::default())));
        assert_eq!(sheet.quarters()[0].1.part(Activity::WHOLE).covered_ms, 450_000);
    }

    #[test]
    fn an_event_is_booked_in_its_minute() {
        let mut sheet = Sheet::default();
        sheet.add(usage(119_999, 119_999, 7), Quarter(0));
        assert_eq!(sheet.quarters()[0].1.part(1).amount, 7);
        assert_eq!(sheet.quarters()[0].1.total().covered_ms, 0);
    }
}

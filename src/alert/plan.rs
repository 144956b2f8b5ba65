//! How a year's or a month's emission is meant to spread over it.

use std::collections::BTreeMap;

use crate::quantity::{Time, Window, Zone};

/// The shape of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// The same at all times.
    #[default]
    Linear,
    /// Weights of the months January to December; even within each.
    Months([u32; 12]),
    /// Weights of the 168 hours of a week, from Monday 00:00 local time.
    Hours(Box<[u32; 168]>),
    /// As the months of the year before went; even where nothing is known of it.
    LastYear,
    /// The weights of the months by year.
    Years(BTreeMap<i16, [u32; 12]>),
}

/// A plan of one period: the weight of all up to each of some instants, even in between.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    edges: Vec<(Time, i128)>,
}

impl Plan {
    /// The plan of the period `[from, to)`.
    pub(crate) fn new(profile: &Profile, zone: &Zone, (from, to): (Time, Time)) -> Plan {
        if let Profile::Years(years) = profile {
            let of = years.get(&zone.year(from)).map_or(Profile::Linear, |weights| Profile::Months(*weights));
            return Plan::new(&of, zone, (from, to));
        }
        let window = match profile {
            Profile::Linear | Profile::LastYear | Profile::Years(_) => {
                return Plan { edges: vec![(from, 0), (to, i128::from(to.since(from).0))] };
            }
            Profile::Months(_) => Window::Month,
            Profile::Hours(_) => Window::Hour,
        };
        let mut edges = vec![(from, 0)];
        let (mut at, mut sum) = (from, 0i128);
        while at < to {
            let start = zone.start(window, at);
            let end = zone.end(window, start);
            let next = end.min(to);
            let length = i128::from(next.since(at).0);
            let (weight, whole) = match profile {
                Profile::Linear | Profile::LastYear | Profile::Years(_) => (1, 1),
                Profile::Months(weights) => (of(weights, zone.month(start)), i128::from(end.since(start).0)),
                Profile::Hours(weights) => (of(&**weights, zone.hour_of_week(start)), 3_600_000),
            };
            sum += weight * STEPS * length / whole.max(1);
            at = next;
            edges.push((at, sum));
        }
        Plan { edges }
    }

    /// The planned part of `amount` in `[from, to)`.
    pub(crate) fn part(&self, amount: i128, from: Time, to: Time) -> i128 {
        let total = self.edges.last().map_or(0, |(_, sum)| *sum);
        if total == 0 {
            return 0;
        }
        let weight = self.up_to(to) - self.up_to(from);
        amount.saturating_mul(weight) / total
    }

    /// When the planned part of `amount` since `from` reaches `part`. `None`: not before the end.
    pub(crate) fn reaches(&self, amount: i128, from: Time, part: i128) -> Option<Time> {
        let end = self.edges.last().map_or(from, |(at, _)| *at);
        if self.part(amount, from, end) < part {
            return None;
        }
        let (mut low, mut high) = (from.0, end.0);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.part(amount, from, Time(middle)) >= part { high = middle } else { low = middle + 1 }
        }
        Some(Time(low))
    }

    fn up_to(&self, at: Time) -> i128 {
        let next = self.edges.partition_point(|(edge, _)| *edge <= at);
        let before = next.checked_sub(1).and_then(|last| self.edges.get(last));
        match (before, self.edges.get(next)) {
            (Some((start, sum)), Some((end, whole))) => {
                let length = i128::from(end.since(*start).0).max(1);
                sum + (whole - sum) * i128::from(at.since(*start).0) / length
            }
            (Some((_, sum)), None) => *sum,
            (None, _) => 0,
        }
    }
}

/// Weights are whole numbers; parts of them are kept as finely as this.
const STEPS: i128 = 1_000_000_000;

fn of(weights: &[u32], at: usize) -> i128 {
    i128::from(weights.get(at).copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        Time::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn plans_spread_over_their_period() {
        let utc = Zone::UTC;
        let year = (time("2026-01-01T00:00:00Z"), time("2027-01-01T00:00:00Z"));
        let linear = Plan::new(&Profile::Linear, &utc, year);
        assert_eq!(linear.part(365, year.0, time("2026-01-11T00:00:00Z")), 10);
        let mut weights = [1; 12];
        weights[0] = 9;
        let months = Plan::new(&Profile::Months(weights), &utc, year);
        assert_eq!(months.part(200, year.0, time("2026-02-01T00:00:00Z")), 90);
        assert_eq!(months.part(200, year.0, time("2026-03-01T00:00:00Z")), 100);
        assert_eq!(months.part(200, time("2026-06-01T00:00:00Z"), time("2026-06-16T00:00:00Z")), 5);
        assert_eq!(months.reaches(200, year.0, 90), Some(time("2026-02-01T00:00:00Z")));
        assert_eq!(months.reaches(200, year.0, 201), None);
    }

    #[test]
    fn a_week_has_its_hours_in_local_time() {
        let zone = Zone::parse("Europe/Paris").unwrap();
        // Mondays from 08:00 to 10:00 only.
        let mut weights = [0; 168];
        (weights[8], weights[9]) = (1, 1);
        let march = (time("2026-02-28T23:00:00Z"), time("2026-03-31T22:00:00Z"));
        let plan = Plan::new(&Profile::Hours(Box::new(weights)), &zone, march);
        // The 2nd, 9th, 16th, 23rd in winter time, the 30th in summer time.
        assert_eq!(plan.part(100, march.0, time("2026-03-02T07:00:00Z")), 0);
        assert_eq!(plan.part(100, march.0, time("2026-03-02T08:00:00Z")), 10);
        assert_eq!(plan.part(100, march.0, time("2026-03-30T06:00:00Z")), 80);
        assert_eq!(plan.part(100, march.0, time("2026-03-30T08:00:00Z")), 100);
    }
}

//! A second, naive implementation of the books, in exact fractions over the set of readings: no pipeline, no store, no
//! windows that stay open. It shares no code with the first.

use std::collections::BTreeMap;

pub const MINUTE: i64 = 60_000;
pub const QUARTER: i64 = 15 * MINUTE;

/// A reading as it was committed: all in milliseconds and thousandths.
#[derive(Clone, Debug)]
pub struct Reading {
    pub meter: &'static str,
    pub time: i64,
    pub received: i64,
    pub milli: i64,
}

/// What the configuration of the simulation says, once more.
pub struct Rules {
    pub late_horizon: i64,
    pub rollover_milli: i64,
    pub interval: i64,
    pub max_gap: i64,
    /// Milligrams a kilowatt-hour.
    pub grid_mg: i128,
}

/// Milligrams by the start of the quarter: scope 1, and scope 2.
pub type Quarters = BTreeMap<i64, (i128, i128)>;

/// Not late, and not ahead of the daemon's clock.
fn is_bookable(rules: &Rules, reading: &Reading) -> bool {
    (-5 * MINUTE..=rules.late_horizon).contains(&(reading.received - reading.time))
}

/// One reading a time: of several the first received, then the smaller text.
fn standing(rules: &Rules, readings: &[Reading], meter: &str) -> Vec<(i64, i64)> {
    let mut kept: BTreeMap<i64, (i64, String, i64)> = BTreeMap::new();
    let mine = readings.iter().filter(|r| r.meter == meter && is_bookable(rules, r));
    for reading in mine {
        let (whole, rest) = (reading.milli / 1_000, format!("{:03}", reading.milli % 1_000));
        let text = format!("{whole}.{rest}").trim_end_matches('0').trim_end_matches('.').to_owned();
        let candidate = (reading.received, text, reading.milli);
        let best = kept.entry(reading.time).or_insert_with(|| candidate.clone());
        if (candidate.0, &candidate.1) < (best.0, &best.1) {
            *best = candidate;
        }
    }
    kept.into_iter().map(|(time, (_, _, milli))| (time, milli)).collect()
}

/// `amount` over `[from, to)`, cut at the quarters: what is used up to a cut is rounded down.
fn spread(amounts: &mut BTreeMap<i64, i128>, (from, to): (i64, i64), amount: i128) {
    let upto = |cut: i64| (amount * i128::from(cut - from)).div_euclid(i128::from(to - from));
    let mut at = from;
    while at < to {
        let cut = (at.div_euclid(QUARTER) * QUARTER + QUARTER).min(to);
        *amounts.entry(at.div_euclid(QUARTER) * QUARTER).or_default() += upto(cut) - upto(at);
        at = cut;
    }
}

fn half_even(numerator: i128, denominator: i128) -> i128 {
    let (floor, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    floor + i128::from(2 * rest > denominator || 2 * rest == denominator && floor % 2 == 1)
}

/// Milligrams of bought electricity from millijoules.
fn electricity(rules: &Rules, quarters: &mut Quarters, millijoules: &BTreeMap<i64, i128>) {
    for (start, amount) in millijoules {
        quarters.entry(*start).or_default().1 += half_even(amount * rules.grid_mg, 3_600_000_000);
    }
}

/// Thousandths of a kilowatt-hour in millijoules.
const MILLI_KWH: i128 = 3_600_000;

/// The books of the one facility.
pub fn books(rules: &Rules, readings: &[Reading]) -> Quarters {
    let mut quarters = Quarters::new();
    let mut register = BTreeMap::new();
    for pair in standing(rules, readings, "register").windows(2) {
        let ((from, before), (to, after)) = (pair[0], pair[1]);
        let milli = if after < before { after + rules.rollover_milli - before } else { after - before };
        spread(&mut register, (from, to), i128::from(milli) * MILLI_KWH);
    }
    electricity(rules, &mut quarters, &register);
    let mut interval = BTreeMap::new();
    for (end, milli) in standing(rules, readings, "interval") {
        spread(&mut interval, (end - rules.interval, end), i128::from(milli) * MILLI_KWH);
    }
    electricity(rules, &mut quarters, &interval);
    let mut rate = BTreeMap::new();
    for pair in standing(rules, readings, "rate").windows(2) {
        let ((from, first), (to, second)) = (pair[0], pair[1]);
        if to - from <= rules.max_gap {
            // Watts by milliseconds are millijoules.
            let twice = i128::from(first + second) * i128::from(to - from);
            spread(&mut rate, (from, to), half_even(twice, 2));
        }
    }
    electricity(rules, &mut quarters, &rate);
    for (time, milli) in standing(rules, readings, "event") {
        // Thousandths of a kilogram are grams.
        quarters.entry(time.div_euclid(QUARTER) * QUARTER).or_default().0 += i128::from(milli) * 1_000;
    }
    quarters
}

/// Sums over windows of `length` that begin `offset` after those of UTC.
pub fn sums(quarters: &Quarters, length: i64, offset: i64) -> Quarters {
    let mut sums = Quarters::new();
    for (start, (scope1, scope2)) in quarters {
        let sum = sums.entry((start + offset).div_euclid(length) * length - offset).or_default();
        sum.0 += scope1;
        sum.1 += scope2;
    }
    sums
}

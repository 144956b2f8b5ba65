//! The amounts that a quarter is worked out from: of a meter, of a sum of meters, of a share of one; and the means of
//! properties.

use std::borrow::Cow;

use crate::cluster::{FacilityIx, MeterIx};
use crate::emission::account::Share;
use crate::emission::evaluate::Evaluation;
use crate::quantity::{Dimension, Quarter, Ratio};
use crate::window::{Activity, Minute};

/// A state comes times the seconds it held.
const GAUGE_MS: i128 = 1_000;
/// Means of properties are rounded to this part of their unit.
const PROPERTY_STEPS: i128 = 1_000_000_000;
/// Temperatures in microkelvin and pressures in thousandths of a pascal are rounded to thousands of these.
const STATE_STEP: i128 = 1_000;

impl<'a> Evaluation<'a> {
    /// What a meter itself showed. A quarter that is only known to have readings has no amount.
    fn read(&self, meter: MeterIx, quarter: Quarter) -> Option<Cow<'a, Activity>> {
        (self.facts)(meter, quarter).filter(|activity| !activity.is_empty())
    }

    /// What a meter showed, whatever of it is booked at its sub-meters; a sum of meters shows what it adds up to.
    fn shown(&self, meter: MeterIx, quarter: Quarter) -> Option<Cow<'a, Activity>> {
        let is_derived = self.accounts.meter(meter).special.as_ref().is_some_and(|special| special.is_derived);
        if is_derived { self.net(meter, quarter) } else { self.read(meter, quarter) }
    }

    /// The amounts of a meter, of its terms where it has them.
    pub(crate) fn net(&self, meter: MeterIx, quarter: Quarter) -> Option<Cow<'a, Activity>> {
        let account = self.accounts.meter(meter);
        if account.terms().is_empty() {
            return self.read(meter, quarter);
        }
        let is_derived = account.special.as_ref().is_some_and(|special| special.is_derived);
        let mut inputs = Vec::new();
        for (input, coefficient) in account.terms() {
            let activity = self.shown(*input, quarter);
            match activity {
                Some(activity) => inputs.push((activity, *coefficient, is_derived || *input == meter)),
                None if *input == meter => return None,
                // What one of the terms had is not known, so neither is the sum.
                None if is_derived && self.accounts.meter(*input).covers_time => return None,
                None => inputs.push((Cow::Owned(Activity::default()), *coefficient, is_derived)),
            }
        }
        let sum = sum(&inputs);
        (!sum.is_empty()).then_some(Cow::Owned(sum))
    }

    /// What a sum of meters is made of, and a main meter with sub-meters: each with its factor and its amount.
    pub fn terms(&self, meter: MeterIx) -> Vec<(MeterIx, Ratio, i64)> {
        let amount = |input| self.shown(input, self.quarter).map_or(0, |activity| activity.total().amount);
        let terms = self.accounts.meter(meter).terms().iter();
        terms.map(|(input, coefficient)| (*input, *coefficient, amount(*input))).collect()
    }

    /// One facility's part of the amounts.
    pub(crate) fn part(
        &self,
        meter: MeterIx,
        facility: Option<FacilityIx>,
        quarter: Quarter,
    ) -> Option<Cow<'a, Activity>> {
        let activity = self.net(meter, quarter)?;
        let account = self.accounts.meter(meter);
        let mine = |share: &&Share| Some(share.facility) == facility;
        let activity = match account.shares().iter().find(mine) {
            Some(share) => Cow::Owned(cut(&activity, share)),
            None => activity,
        };
        match &account.special {
            Some(special) if special.resold => Some(Cow::Owned(sum(&[(activity, Ratio::whole(-1), true)]))),
            _ => Some(activity),
        }
    }

    /// The amount of a meter that is one facility's.
    pub(crate) fn amount_of(&self, meter: MeterIx, facility: FacilityIx, quarter: Quarter) -> i128 {
        self.part(meter, Some(facility), quarter).map_or(0, |activity| i128::from(activity.total().amount))
    }

    /// The amount of a meter.
    pub(crate) fn total_of(&self, meter: MeterIx, quarter: Quarter) -> i128 {
        self.net(meter, quarter).map_or(0, |activity| i128::from(activity.total().amount))
    }

    /// The course of the amounts is not measured.
    pub(crate) fn is_interpolated(&self, meter: MeterIx, quarter: Quarter) -> bool {
        self.net(meter, quarter).is_some_and(|activity| activity.parts().any(|minute| minute.interpolated != 0))
    }

    /// What a property's meter shows in the mean of the quarter, weighted by time.
    pub(crate) fn mean(&self, meter: MeterIx, dimension: Dimension) -> Option<Ratio> {
        let total = self.net(meter, self.quarter)?.total();
        if total.covered_ms == 0 {
            return None;
        }
        let mean = Ratio::new(i128::from(total.amount) * GAUGE_MS, i128::from(total.covered_ms))?;
        match dimension {
            Dimension::Temperature | Dimension::Pressure => {
                mean.over(Ratio::whole(STATE_STEP))?.rounded(1)?.times(Ratio::whole(STATE_STEP))
            }
            _ => dimension.as_property(mean)?.rounded(PROPERTY_STEPS),
        }
    }
}

/// The sum of activities, part by part. Each amount is rounded down cumulatively, so that the parts add up to the whole. What
/// is covered is what all that count for it cover.
fn sum(inputs: &[(Cow<'_, Activity>, Ratio, bool)]) -> Activity {
    let mut result = Activity::default();
    let mut upto: Vec<(i128, i128, i128, i128)> = vec![(0, 0, 0, 0); inputs.len()];
    for at in 0..=Activity::WHOLE {
        let (mut amount, mut interpolated) = (0, 0);
        let (mut covered, mut events) = (None, 0);
        for ((activity, coefficient, counts), state) in inputs.iter().zip(&mut upto) {
            let minute = activity.part(at);
            let scaled = |value: i128| coefficient.of(value).unwrap_or(0);
            state.0 += i128::from(minute.amount);
            state.1 += i128::from(minute.interpolated);
            let (all, uncertain) = (scaled(state.0), scaled(state.1));
            amount += all - state.2;
            interpolated += uncertain - state.3;
            (state.2, state.3) = (all, uncertain);
            if *counts {
                covered = Some(covered.map_or(minute.covered_ms, |least: u32| least.min(minute.covered_ms)));
                events = events.max(minute.events);
            }
        }
        let whole = |value: i128| i64::try_from(value).unwrap_or(i64::MAX);
        let minute = Minute {
            amount: whole(amount),
            interpolated: whole(interpolated),
            covered_ms: covered.unwrap_or(0),
            events,
        };
        result.add(at, minute);
    }
    inputs.iter().for_each(|(activity, ..)| result.mark_like(activity));
    result
}

/// A facility's share of each part; the shares of all facilities add up.
fn cut(activity: &Activity, share: &Share) -> Activity {
    let mut result = Activity::default();
    let (mut whole, mut uncertain) = (0i128, 0i128);
    let between = |value: i128| share.to.of_floor(value) - share.from.of_floor(value);
    let (mut done, mut doubted) = (0, 0);
    for (at, minute) in activity.parts().enumerate() {
        whole += i128::from(minute.amount);
        uncertain += i128::from(minute.interpolated);
        let (upto, doubt) = (between(whole), between(uncertain));
        let small = |value: i128| i64::try_from(value).unwrap_or(i64::MAX);
        let part = Minute { amount: small(upto - done), interpolated: small(doubt - doubted), ..minute };
        (done, doubted) = (upto, doubt);
        result.add(at, part);
    }
    result.mark_like(activity);
    result
}

//! From the number a device sends to base units, and back to the text it must have sent.

use crate::quantity::{Decimal, Ratio, Unit};

/// More decimals than a device writes.
const DECIMALS_MAX: i32 = 20;

/// How a device's number becomes base units: `(number x scale + offset) units`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conversion {
    /// The unit.
    pub unit: Unit,
    /// The number is multiplied with this,
    pub scale: Ratio,
    /// and then this is added, both in the unit.
    pub offset: Ratio,
}

impl Conversion {
    /// Rounds once, half to even. `None`: no quantity is that large.
    pub fn to_base(self, number: Decimal) -> Option<i64> {
        if self.scale == Ratio::ONE
            && self.offset == Ratio::whole(0)
            && let Some(base) = self.unit.base.of_decimal(number)
        {
            return i64::try_from(base).ok();
        }
        self.exactly(number)
    }

    fn exactly(self, number: Decimal) -> Option<i64> {
        let value = Ratio::from_decimal(number)?.times(self.scale)?.plus(self.offset)?;
        self.unit.to_base(value)
    }

    /// The shortest decimal that converts to `base`: what the device wrote, but for trailing zeros and exponents.
    pub fn text(self, base: i64) -> String {
        self.shortest(base).map_or_else(|| base.to_string(), |number| number.to_string())
    }

    fn shortest(self, base: i64) -> Option<Decimal> {
        let shift = self.offset.times(Ratio::whole(-1))?;
        let number = Ratio::whole(i128::from(base)).over(self.unit.base)?.plus(shift)?.over(self.scale)?;
        (0..=DECIMALS_MAX).find_map(|decimals| {
            let mantissa = number.of(10i128.pow(decimals.unsigned_abs()))?;
            let candidate = Decimal::new(mantissa, -decimals)?;
            (self.to_base(candidate) == Some(base)).then_some(candidate)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_quick_way_gives_the_same(mantissa in -10i128.pow(20)..10i128.pow(20), exponent in -22i32..6, unit in 0usize..6) {
            let unit = Unit::parse(["kWh", "therm", "gal", "Mt", "J", "Btu/h"][unit]).unwrap();
            let conversion = Conversion { unit, scale: Ratio::ONE, offset: Ratio::whole(0) };
            let number = Decimal::new(mantissa, exponent).unwrap();
            prop_assert_eq!(conversion.to_base(number), conversion.exactly(number));
        }
    }

    #[test]
    fn the_text_of_a_base_value_is_what_was_sent() {
        let ratio = |text: &str| Ratio::from_decimal(Decimal::parse(text).unwrap()).unwrap();
        for (unit, scale, offset) in [("kWh", "1", "0"), ("therm", "0.1", "0"), ("gal", "1", "-3"), ("t/h", "2.5", "0")]
        {
            let conversion =
                Conversion { unit: Unit::parse(unit).unwrap(), scale: ratio(scale), offset: ratio(offset) };
            for text in ["9", "10", "1234.5", "0.07", "100.001"] {
                let base = conversion.to_base(Decimal::parse(text).unwrap()).unwrap();
                assert_eq!(conversion.text(base), text, "{unit} x {scale} + {offset}");
            }
        }
    }
}

//! Exact fractions, and the one rounding rule: half to even.

use std::fmt;

use ethnum::I256;

use crate::quantity::Decimal;

/// A reduced fraction with a positive denominator. Arithmetic is checked: `None` is an overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    numerator: i128,
    denominator: i128,
}

/// `5`, or `1/3`.
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denominator {
            1 => write!(f, "{}", self.numerator),
            denominator => write!(f, "{}/{denominator}", self.numerator),
        }
    }
}

impl Ratio {
    /// One.
    pub const ONE: Ratio = Ratio { numerator: 1, denominator: 1 };

    /// `numerator / denominator`, reduced. `None` when the denominator is nought.
    pub fn new(numerator: i128, denominator: i128) -> Option<Ratio> {
        if denominator == 0 {
            return None;
        }
        let divisor = gcd(numerator.unsigned_abs(), denominator.unsigned_abs());
        let divisor = i128::try_from(divisor).ok()? * denominator.signum();
        Some(Ratio { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    /// A whole number.
    pub const fn whole(value: i128) -> Ratio {
        Ratio { numerator: value, denominator: 1 }
    }

    /// The exact value of a decimal.
    pub fn from_decimal(value: Decimal) -> Option<Ratio> {
        let power = 10i128.checked_pow(value.exponent.unsigned_abs())?;
        if value.exponent >= 0 {
            Some(Ratio::whole(value.mantissa.checked_mul(power)?))
        } else {
            Ratio::new(value.mantissa, power)
        }
    }

    /// The product.
    pub fn times(self, other: Ratio) -> Option<Ratio> {
        let left = Ratio::new(self.numerator, other.denominator)?;
        let right = Ratio::new(other.numerator, self.denominator)?;
        Some(Ratio {
            numerator: left.numerator.checked_mul(right.numerator)?,
            denominator: left.denominator.checked_mul(right.denominator)?,
        })
    }

    /// The quotient. `None` also for a division by nought.
    pub fn over(self, other: Ratio) -> Option<Ratio> {
        self.times(Ratio::new(other.denominator, other.numerator)?)
    }

    /// The sum.
    pub fn plus(self, other: Ratio) -> Option<Ratio> {
        let left = self.numerator.checked_mul(other.denominator)?;
        let right = other.numerator.checked_mul(self.denominator)?;
        Ratio::new(left.checked_add(right)?, self.denominator.checked_mul(other.denominator)?)
    }

    /// The difference.
    pub fn minus(self, other: Ratio) -> Option<Ratio> {
        self.plus(Ratio { numerator: other.numerator.checked_neg()?, ..other })
    }

    /// Rounded half to even to a multiple of `1 / steps`.
    pub fn rounded(self, steps: i128) -> Option<Ratio> {
        Ratio::new(self.of(steps)?, steps)
    }

    /// True below nought.
    pub fn is_negative(self) -> bool {
        self.numerator < 0
    }

    /// True above nought.
    pub fn is_positive(self) -> bool {
        self.numerator > 0
    }

    /// The nearest float, for display only.
    pub fn to_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// `amount x self`, rounded down; held at the ends of `i128`.
    pub fn of_floor(self, amount: i128) -> i128 {
        match amount.checked_mul(self.numerator) {
            Some(product) => product.div_euclid(self.denominator),
            None => {
                let product = I256::from(amount) * I256::from(self.numerator);
                i128::try_from(product.div_euclid(I256::from(self.denominator))).unwrap_or(i128::MAX)
            }
        }
    }

    /// The product with a decimal, rounded half to even. `None`: beyond what is multiplied without a detour.
    pub(crate) fn of_decimal(self, number: Decimal) -> Option<i128> {
        let power = *POWERS.get(number.exponent.unsigned_abs() as usize)?;
        let product = self.numerator.checked_mul(number.mantissa)?;
        if number.exponent >= 0 {
            return Some(div_half_even(product.checked_mul(power)?, self.denominator));
        }
        Some(div_half_even(product, self.denominator.checked_mul(power)?))
    }

    /// `amount x self`, rounded once, half to even. `None` when the result leaves `i128`.
    pub fn of(self, amount: i128) -> Option<i128> {
        match amount.checked_mul(self.numerator) {
            Some(product) => Some(div_half_even(product, self.denominator)),
            None => div_half_even_wide(I256::from(amount) * I256::from(self.numerator), I256::from(self.denominator)),
        }
    }
}

/// Powers of ten that most numbers of meters are divided by.
const POWERS: [i128; 19] = {
    let mut powers = [1; 19];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

fn gcd(a: u128, b: u128) -> u128 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// Quotient rounded half to even; the denominator is positive.
fn div_half_even(numerator: i128, denominator: i128) -> i128 {
    // Far quicker, and most quotients are of such numbers.
    if let (Ok(numerator), Ok(denominator)) = (i64::try_from(numerator), i64::try_from(denominator)) {
        let floor = numerator.div_euclid(denominator);
        let rest = numerator.rem_euclid(denominator);
        let up = match rest.cmp(&(denominator - rest)) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Greater => 1,
            std::cmp::Ordering::Equal => floor & 1,
        };
        return i128::from(floor) + i128::from(up);
    }
    let floor = numerator.div_euclid(denominator);
    let rest = numerator.rem_euclid(denominator);
    match rest.cmp(&(denominator - rest)) {
        std::cmp::Ordering::Less => floor,
        std::cmp::Ordering::Greater => floor + 1,
        std::cmp::Ordering::Equal => floor + (floor & 1),
    }
}

fn div_half_even_wide(numerator: I256, denominator: I256) -> Option<i128> {
    let floor = numerator.div_euclid(denominator);
    let rest = numerator.rem_euclid(denominator);
    let up = match rest.cmp(&(denominator - rest)) {
        std::cmp::Ordering::Less => I256::ZERO,
        std::cmp::Ordering::Greater => I256::ONE,
        std::cmp::Ordering::Equal => floor & I256::ONE,
    };
    i128::try_from(floor + up).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(numerator: i128, denominator: i128) -> Ratio {
        Ratio::new(numerator, denominator).unwrap()
    }

    #[test]
    fn rounds_half_to_even() {
        let half = ratio(1, 2);
        let rounded: Vec<i128> = [1, 3, 5, -1, -3, 4].iter().map(|n| half.of(*n).unwrap()).collect();
        assert_eq!(rounded, [0, 2, 2, 0, -2, 2]);
        assert_eq!(ratio(2, 3).of(1), Some(1));
        assert_eq!(ratio(1, 3).of(1), Some(0));
    }

    #[test]
    fn wide_products_do_not_overflow() {
        let big = ratio(i128::MAX / 3, i128::MAX / 7);
        let exact = 10i128.pow(18) * 7 / 3;
        assert!((big.of(10i128.pow(18)).unwrap() - exact).abs() <= 1);
        assert_eq!(Ratio::whole(i128::MAX).of(2), None);
    }

    #[test]
    fn arithmetic_is_exact() {
        let sum = ratio(1, 3).plus(ratio(1, 6)).unwrap();
        assert_eq!(sum, ratio(1, 2));
        assert_eq!(ratio(3, 4).over(ratio(3, 8)), Some(ratio(2, 1)));
        assert_eq!(ratio(1, 2).over(Ratio::whole(0)), None);
        assert_eq!(Ratio::from_decimal(Decimal::parse("0.125").unwrap()), Some(ratio(1, 8)));
    }
}

//! Decimal numbers read from text without a binary float in between.

use std::fmt;

/// `mantissa x 10^exponent`, with the mantissa free of trailing zeros.
///
/// ```
/// use emissiond::quantity::Decimal;
/// assert_eq!(Decimal::parse("1.50e3"), Some(Decimal { mantissa: 15, exponent: 2 }));
/// assert_eq!(Decimal::parse("1e400000000000"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// The significant digits, signed.
    pub mantissa: i128,
    /// The power of ten they are multiplied with.
    pub exponent: i32,
}

/// More digits than this do not fit an `i128` after a unit conversion; no meter sends as many.
const DIGITS_MAX: u32 = 30;
/// So many digits are gathered before they are added to the rest.
const SHIFT_MAX: u64 = 10u64.pow(18);
/// Beyond this power of ten no physical quantity lies.
const EXPONENT_MAX: i32 = 60;

impl Decimal {
    /// Nought.
    pub const ZERO: Decimal = Decimal { mantissa: 0, exponent: 0 };

    /// Reads plain or scientific notation. `None`: not a number, or out of range.
    pub fn parse(text: &str) -> Option<Decimal> {
        let bytes = text.as_bytes();
        let (negative, mut rest) = match bytes {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, bytes),
        };
        let mut mantissa: i128 = 0;
        // The digits so far that are not in `mantissa` yet, and what that is to be multiplied with.
        let (mut few, mut shift) = (0u64, 1u64);
        let mut exponent: i32 = 0;
        let (mut digits, mut significant, mut after_point) = (0u32, 0u32, false);
        while let [byte, tail @ ..] = rest {
            match byte {
                b'0'..=b'9' => {
                    digits += 1;
                    significant += u32::from(significant > 0 || *byte != b'0');
                    if significant > DIGITS_MAX {
                        // Behind the point they are below any base unit; before it the number is too large.
                        if !after_point {
                            return None;
                        }
                        rest = tail;
                        continue;
                    }
                    if shift == SHIFT_MAX {
                        mantissa = mantissa * i128::from(shift) + i128::from(few);
                        (few, shift) = (0, 1);
                    }
                    few = few * 10 + u64::from(byte - b'0');
                    shift *= 10;
                    exponent -= i32::from(after_point);
                }
                b'.' if !after_point => after_point = true,
                b'e' | b'E' => {
                    exponent = exponent.checked_add(exponent_of(tail)?)?;
                    break;
                }
                _ => return None,
            }
            rest = tail;
        }
        let mantissa = if shift > 1 { mantissa * i128::from(shift) + i128::from(few) } else { mantissa };
        let value = Decimal { mantissa: if negative { -mantissa } else { mantissa }, exponent };
        (digits > 0).then(|| value.reduced()).flatten()
    }

    /// `mantissa x 10^exponent`. `None`: out of range.
    pub fn new(mantissa: i128, exponent: i32) -> Option<Decimal> {
        Decimal { mantissa, exponent }.reduced()
    }

    /// The exact sum. `None`: out of range.
    pub fn plus(self, other: Decimal) -> Option<Decimal> {
        let exponent = self.exponent.min(other.exponent);
        let at = |d: Decimal| d.mantissa.checked_mul(10i128.checked_pow((d.exponent - exponent).unsigned_abs())?);
        Decimal::new(at(self)?.checked_add(at(other)?)?, exponent)
    }

    /// Whether it is no more than the other. `None`: they are too far apart to tell exactly.
    pub fn is_at_most(self, other: Decimal) -> Option<bool> {
        let difference = self.plus(Decimal { mantissa: -other.mantissa, exponent: other.exponent })?;
        Some(difference.mantissa <= 0)
    }

    /// The shortest decimal that reads back as this float. `None` for NaN, infinities and out of range.
    pub fn from_f64(value: f64) -> Option<Decimal> {
        value.is_finite().then(|| Decimal::parse(&format!("{value:e}")))?
    }

    fn reduced(mut self) -> Option<Decimal> {
        if self.mantissa == 0 {
            return Some(Decimal::ZERO);
        }
        if let Ok(mut few) = i64::try_from(self.mantissa) {
            // Far quicker, and most numbers have few digits.
            while few % 10 == 0 {
                few /= 10;
                self.exponent += 1;
            }
            self.mantissa = i128::from(few);
        } else {
            while self.mantissa % 10 == 0 {
                self.mantissa /= 10;
                self.exponent += 1;
            }
        }
        if self.exponent < -EXPONENT_MAX {
            return Some(Decimal::ZERO);
        }
        (self.exponent <= EXPONENT_MAX).then_some(self)
    }
}

fn exponent_of(digits: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(digits).ok()?;
    let value: i32 = text.parse().ok()?;
    (-1_000..=1_000).contains(&value).then_some(value)
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.exponent {
            0 => write!(f, "{}", self.mantissa),
            e @ 1..=18 => write!(f, "{}{:0>width$}", self.mantissa, "", width = e as usize),
            e @ -18..=-1 => {
                let scale = 10i128.pow(e.unsigned_abs());
                let sign = if self.mantissa < 0 { "-" } else { "" };
                let (whole, part) = (self.mantissa.abs() / scale, self.mantissa.abs() % scale);
                write!(f, "{sign}{whole}.{part:0width$}", width = e.unsigned_abs() as usize)
            }
            e => write!(f, "{}e{e}", self.mantissa),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(Decimal::parse(text).map(|d| d.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn reads_what_meters_write() {
        check("3.17", Some("3.17"));
        check("-0.50", Some("-0.5"));
        check("1e9", Some("1000000000"));
        check("1.2E-3", Some("0.0012"));
        check("000", Some("0"));
        check("+7", Some("7"));
        check("1e-75", Some("0"));
        check("0.1000000000000000055511151231257827", Some("100000000000000005551115123125e-30"));
    }

    #[test]
    fn refuses_what_is_no_number() {
        for text in ["", "-", ".", "NaN", "inf", "1,5", "1e", "1e9999999999", "1e-2147483648", "0x10", "1.2.3", "12 "] {
            check(text, None);
        }
        check(&"9".repeat(31), None);
    }

    #[test]
    fn floats_pass_through_their_shortest_decimal() {
        assert_eq!(Decimal::from_f64(0.1), Decimal::parse("0.1"));
        assert_eq!(Decimal::from_f64(1e9), Decimal::parse("1e9"));
        assert_eq!(Decimal::from_f64(f64::NAN), None);
    }
}

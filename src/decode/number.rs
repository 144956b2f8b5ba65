//! The `number` format, and the reading of a number's text into base units.

use crate::decode::Refusal;
use crate::quantity::{Conversion, Decimal};

/// Rounds once, half to even.
pub(crate) fn to_base(conversion: Conversion, number: Decimal) -> Result<i64, Refusal> {
    let base = conversion.to_base(number).ok_or(Refusal::OutOfRange)?;
    if base < 0 { Err(Refusal::Negative) } else { Ok(base) }
}

/// Reads the text of a number; surrounding blanks are allowed.
pub(crate) fn parse(text: &str) -> Result<Decimal, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Refusal::MissingValue);
    }
    Decimal::parse(text).ok_or_else(|| unreadable(text))
}

/// A number too large to hold is another fault than a word.
fn unreadable(text: &str) -> Refusal {
    let numeric = text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c)) && text.parse::<f64>().is_ok();
    if numeric { Refusal::OutOfRange } else { Refusal::NotANumber }
}

/// Reads a whole payload as one number.
pub(crate) fn payload(bytes: &[u8]) -> Result<Decimal, Refusal> {
    parse(std::str::from_utf8(bytes).map_err(|_| Refusal::Malformed)?)
}

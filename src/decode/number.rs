//! How devices write numbers, and the way from there to base units.

use std::borrow::Cow;

use crate::decode::Refusal;
use crate::quantity::{Conversion, Decimal, Unit};

/// No number has as many characters.
const TEXT_MAX: usize = 128;

/// The sign before the decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// `1234.5`
    #[default]
    Point,
    /// `1234,5`, also `1.234,5` and `1 234,5`
    Comma,
}

/// What 16-bit registers of a Modbus device hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// A whole number without a sign, of as many registers as there are.
    Unsigned,
    /// A whole number with a sign.
    Signed,
    /// A float of two or four registers.
    Float,
}

/// Several 16-bit registers that make one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// What they hold.
    pub word: Word,
    /// How many there are: one, two or four.
    pub count: usize,
    /// The lowest part comes first.
    pub low_first: bool,
}

/// How a device writes its numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notation {
    /// The sign before the decimals.
    pub mark: Mark,
    /// The unit as it may stand behind the number. Another one there is refused.
    pub unit: String,
    /// Texts and numbers that say that there is no value.
    pub nulls: Vec<String>,
    /// The number is in raw registers.
    pub registers: Option<Registers>,
}

impl Notation {
    /// Reads the text of a number; surrounding blanks are allowed.
    pub(crate) fn read(&self, text: &str) -> Result<Decimal, Refusal> {
        if text.len() > TEXT_MAX {
            return Err(Refusal::OverLimit);
        }
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        if text.is_empty() {
            return Err(Refusal::MissingValue);
        }
        if self.nulls.iter().any(|null| null == text) {
            return Err(Refusal::NullValue);
        }
        match self.registers {
            Some(registers) => registers.read(text),
            None => self.plain(text),
        }
    }

    /// Reads a number of a format that has its own way of writing them, with a point.
    pub(crate) fn read_plain(&self, text: &str) -> Result<Decimal, Refusal> {
        let plain = self.mark == Mark::Point || self.registers.is_some();
        let number = if plain { None } else { Decimal::parse(text).filter(|_| text.len() <= TEXT_MAX) };
        match number {
            Some(number) => self.unless_null(number),
            None => self.read(text),
        }
    }

    fn plain(&self, text: &str) -> Result<Decimal, Refusal> {
        if self.mark == Mark::Point
            && let Some(number) = Decimal::parse(text)
        {
            return self.unless_null(number);
        }
        let (number, unit) = split_unit(text);
        if unit == self.unit && !unit.is_empty() {
            return self.decimal(number);
        }
        let is_unit = Unit::parse(unit).or_else(|_| Unit::parse_property(unit)).is_ok();
        let is_number = is_unit && Decimal::parse(&self.with_point(number)?).is_some();
        if is_number { Err(Refusal::OtherUnit) } else { self.decimal(text) }
    }

    fn decimal(&self, text: &str) -> Result<Decimal, Refusal> {
        let text = self.with_point(text)?;
        let number = Decimal::parse(&text).ok_or_else(|| unreadable(&text))?;
        self.unless_null(number)
    }

    pub(crate) fn unless_null(&self, number: Decimal) -> Result<Decimal, Refusal> {
        let is_null = |null: &String| Decimal::parse(null) == Some(number);
        if self.nulls.iter().any(is_null) { Err(Refusal::NullValue) } else { Ok(number) }
    }

    /// The number with a decimal point. Thousands may be set apart where the comma is the mark, in groups of three.
    fn with_point<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, Refusal> {
        if self.mark == Mark::Point {
            return Ok(text.into());
        }
        let (whole, decimals) = text.split_once(',').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
        let is_gap = |c: char| matches!(c, '.' | '\'' | ' ' | '\u{a0}' | '\u{202f}');
        let groups: Vec<&str> = whole.split(is_gap).collect();
        let digits = groups.first().map_or("", |first| first.trim_start_matches(['+', '-']));
        let leads = (1..=3).contains(&digits.len()) && !digits.starts_with('0');
        let grouped = groups.len() == 1 || leads && groups.iter().skip(1).all(|group| group.len() == 3);
        if !grouped || decimals.is_some_and(|d| d.contains(['.', ','])) {
            return Err(Refusal::NotANumber);
        }
        Ok(match decimals {
            Some(decimals) => format!("{}.{decimals}", groups.concat()).into(),
            None => groups.concat().into(),
        })
    }
}

impl Registers {
    /// Reads `[17, 42105]`, or `17,42105`.
    fn read(self, text: &str) -> Result<Decimal, Refusal> {
        let inner = text.strip_prefix('[').map_or(Some(text), |rest| rest.strip_suffix(']'));
        let parts = inner.ok_or(Refusal::NotANumber)?.split(',').map(|part| part.trim().parse::<u16>());
        let mut parts = parts.collect::<Result<Vec<_>, _>>().map_err(|_| Refusal::NotANumber)?;
        if parts.len() != self.count {
            return Err(Refusal::NotANumber);
        }
        if self.low_first {
            parts.reverse();
        }
        let bits = parts.iter().fold(0u64, |bits, part| bits << 16 | u64::from(*part));
        let width = 16 * self.count as u32;
        let number = match self.word {
            Word::Unsigned => Decimal::new(i128::from(bits), 0),
            // Shifted to the top and back, so that the sign spreads.
            Word::Signed => Decimal::new(i128::from((bits << (64 - width)) as i64 >> (64 - width)), 0),
            Word::Float if self.count == 2 => from_f32(f32::from_bits(bits as u32)),
            Word::Float => from_f64(f64::from_bits(bits)),
        };
        number.ok_or(Refusal::NotANumber)
    }
}

/// The shortest decimal that reads back as this float.
pub(crate) fn from_f64(value: f64) -> Option<Decimal> {
    // No two decimals of up to 15 digits are the same float, so the first that is this one is the shortest.
    let mut power = 1.0;
    for decimals in 0..5 {
        let digits = (value * power).round();
        if digits.abs() < 1e15 && digits / power == value {
            return Decimal::new(digits as i128, -decimals);
        }
        power *= 10.0;
    }
    value.is_finite().then(|| Decimal::parse(zmij::Buffer::new().format_finite(value)))?
}

/// The shortest decimal that reads back as this float.
pub(crate) fn from_f32(value: f32) -> Option<Decimal> {
    value.is_finite().then(|| Decimal::parse(zmij::Buffer::new().format_finite(value)))?
}

/// Rounds once, half to even.
pub(crate) fn to_base(conversion: Conversion, number: Decimal) -> Result<i64, Refusal> {
    let base = conversion.to_base(number).ok_or(Refusal::OutOfRange)?;
    if base < 0 { Err(Refusal::Negative) } else { Ok(base) }
}

/// The number in front, and what stands behind it.
fn split_unit(text: &str) -> (&str, &str) {
    let is_of_number =
        |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | ',' | '\'' | '\u{a0}' | '\u{202f}');
    let end = text.find(|c: char| !is_of_number(c) && c != ' ').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number.trim_end(), unit.trim())
}

/// A number too large to hold is another fault than a word.
fn unreadable(text: &str) -> Refusal {
    let numeric = text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c)) && text.parse::<f64>().is_ok();
    if numeric { Refusal::OutOfRange } else { Refusal::NotANumber }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(notation: &Notation, text: &str, expected: Result<&str, Refusal>) {
        let number = notation.read(text).map(|number| number.to_string());
        assert_eq!(number, expected.map(str::to_owned), "{text}");
    }

    #[test]
    fn numbers_as_devices_write_them() {
        let point = Notation { unit: "kWh".to_owned(), ..Notation::default() };
        check(&point, " 45\r\n", Ok("45"));
        check(&point, "12.5 kWh", Ok("12.5"));
        check(&point, "12.5kWh", Ok("12.5"));
        check(&point, "12.5 MWh", Err(Refusal::OtherUnit));
        check(&point, "12,5", Err(Refusal::NotANumber));
        check(&point, "1 234.5", Err(Refusal::NotANumber));
        for word in ["nan", "True", "kWh", "inf", "0x10"] {
            check(&point, word, Err(Refusal::NotANumber));
        }
        check(&point, "1e400", Err(Refusal::OutOfRange));
        check(&point, &"1".repeat(129), Err(Refusal::OverLimit));
    }

    #[test]
    fn a_decimal_comma_is_declared() {
        let comma = Notation { mark: Mark::Comma, unit: "m3".to_owned(), ..Notation::default() };
        check(&comma, "1.234,5", Ok("1234.5"));
        check(&comma, "1 234 567,25 m3", Ok("1234567.25"));
        check(&comma, "12", Ok("12"));
        check(&comma, "12.5", Err(Refusal::NotANumber));
        for text in ["1,2,3", "1234.567", "0.123", ".123", "12.345.6"] {
            check(&comma, text, Err(Refusal::NotANumber));
        }
        assert_eq!(comma.read_plain("12.345").map(|number| number.to_string()).as_deref(), Ok("12.345"));
        check(&comma, "1,5 L", Err(Refusal::OtherUnit));
    }

    #[test]
    fn sentinels_are_no_values() {
        let nulls = ["9999.9999", "n/a", "-1"].map(str::to_owned).to_vec();
        let notation = Notation { nulls, ..Notation::default() };
        for text in ["9999.9999", "9999.99990", "n/a", "-1.0"] {
            check(&notation, text, Err(Refusal::NullValue));
        }
        check(&notation, "9999.9", Ok("9999.9"));
    }

    #[test]
    fn raw_registers_are_put_together() {
        let check = |word, count, low_first, text: &str, expected: Result<&str, Refusal>| {
            let registers = Some(Registers { word, count, low_first });
            check(&Notation { registers, ..Notation::default() }, text, expected);
        };
        check(Word::Unsigned, 2, false, "[17, 42105]", Ok("1156217"));
        check(Word::Unsigned, 2, true, "42105,17", Ok("1156217"));
        check(Word::Signed, 1, false, "65535", Ok("-1"));
        check(Word::Float, 2, false, "[17142, 59769]", Ok("123.456"));
        check(Word::Unsigned, 4, false, "[0,0,1,0]", Ok("65536"));
        check(Word::Unsigned, 2, false, "[17]", Err(Refusal::NotANumber));
        check(Word::Unsigned, 2, false, "[17, 70000]", Err(Refusal::NotANumber));
        check(Word::Float, 2, false, "[32704, 0]", Err(Refusal::NotANumber));
    }

    #[test]
    fn floats_pass_through_their_shortest_decimal() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let value = random.i64(-10i64.pow(15)..10i64.pow(15)) as f64 / 10f64.powi(random.i32(0..12));
            assert_eq!(from_f64(value), Decimal::parse(&format!("{value}")), "{value}");
        }
        for text in ["0.1", "184233.25", "0.0001", "-7", "123456789012345680"] {
            assert_eq!(from_f64(text.parse().unwrap()), Decimal::parse(text), "{text}");
        }
        assert_eq!(from_f32(412.3), Decimal::parse("412.3"));
    }
}

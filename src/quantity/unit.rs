//! Units of measurement, with exact ratios to the base units.
//!
//! Constants: international foot, pound, gallon and Btu(IT) as defined; 1 therm = 100,000 Btu(IT);
//! 1 cal(IT) = 4.1868 J. Reference gas volumes follow the ideal gas law between the reference conditions:
//! Nm3 0 °C, Sm3 15 °C, scf60 60 °F and 14.696 psia, scf68 68 °F; all others 101.325 kPa.

use std::fmt;

use crate::quantity::units::{AMBIGUOUS, POWERS, STATES, UNITS};
use crate::quantity::{Decimal, Ratio};

/// The temperature and pressure a gas volume is stated at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A liquid, or a gas as it is in the pipe.
    Actual,
    /// 0 °C, 101.325 kPa.
    Normal,
    /// 15 °C, 101.325 kPa.
    Standard,
    /// 60 °F, 14.696 psia.
    Scf60,
    /// 68 °F, 101.325 kPa.
    Scf68,
}

/// What an amount measures, and its base unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// Millijoules.
    Energy,
    /// Micrograms.
    Mass,
    /// Microlitres at the stated reference.
    Volume(Reference),
    /// Microkelvin above absolute zero.
    Temperature,
    /// Thousandths of a pascal, absolute.
    Pressure,
    /// Parts of a thousand million.
    Share,
    /// What one base unit of the second holds of the first, in parts of a thousand million: a heat content, a density.
    Quotient(Top, Bottom),
}

/// What a property says how much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Top {
    /// Of energy.
    Energy,
    /// Of mass.
    Mass,
}

/// What a property says it per.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bottom {
    /// Per energy.
    Energy,
    /// Per mass.
    Mass,
    /// Per volume.
    Volume(Reference),
}

/// Base units of a property in the property's own unit: shares and quotients are kept to nine decimals.
pub const PROPERTY_BASE: i128 = 1_000_000_000;

/// The time in the denominator of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// Per second.
    Second,
    /// Per minute.
    Minute,
    /// Per hour.
    Hour,
    /// Per day of 24 hours.
    Day,
}

/// A unit: what it measures and how many base units (or base units a day, for a rate) make one of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// What is measured.
    pub dimension: Dimension,
    /// Present for a rate.
    pub per: Option<Period>,
    /// Base units in one of this unit; for a rate, base units a day.
    pub base: Ratio,
    /// Where the unit's nought lies, in the unit: degrees count from above absolute zero.
    pub zero: Ratio,
}

/// A number with its unit, as written in configuration: `"42 t/h"`, `"39.5 MJ/Nm3"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// The number.
    pub value: Decimal,
    /// The unit.
    pub unit: Unit,
}

/// Why a unit was not understood. `Display` says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnitProblem {
    /// The letters mean different things to different people.
    Ambiguous(&'static str),
    /// No such unit.
    Unknown(String),
    /// No number in front.
    NoNumber(String),
    /// No unit behind the number.
    NoUnit(String),
    /// Not the unit of a property.
    NoProperty(String),
}

impl fmt::Display for UnitProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnitProblem::Ambiguous(choice) => f.write_str(choice),
            UnitProblem::Unknown(text) => match nearest(text) {
                Some(near) => write!(f, "unknown unit `{text}`; did you mean `{near}`?"),
                None => write!(f, "unknown unit `{text}`; units are {}", names().join(" ")),
            },
            UnitProblem::NoNumber(text) if text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(',') => {
                write!(f, "`{text}`: write the number with a point before the decimals, and nothing between thousands")
            }
            UnitProblem::NoNumber(text) => write!(f, "`{text}` has no number in front of the unit"),
            UnitProblem::NoUnit(text) => write!(f, "`{text}` needs a unit, such as `{text} t`"),
            UnitProblem::NoProperty(text) => {
                let states: Vec<&str> = STATES.iter().map(|row| row.0).collect();
                write!(
                    f,
                    "`{text}` is no unit of a property; those are {} and quotients such as `MJ/Nm3`, `kg/L`, `kg/kg`",
                    states.join(" ")
                )
            }
        }
    }
}

fn names() -> Vec<&'static str> {
    UNITS.iter().map(|u| u.0).chain(POWERS.iter().map(|p| p.0)).collect()
}

fn nearest(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase().replace('³', "3");
    names().into_iter().find(|n| n.to_lowercase() == lower)
}

impl Period {
    /// Seconds in the period.
    pub fn seconds(self) -> i128 {
        match self {
            Period::Second => 1,
            Period::Minute => 60,
            Period::Hour => 3_600,
            Period::Day => 86_400,
        }
    }

    fn parse(text: &str) -> Option<Period> {
        match text {
            "s" => Some(Period::Second),
            "min" => Some(Period::Minute),
            "h" => Some(Period::Hour),
            "d" => Some(Period::Day),
            _ => None,
        }
    }
}

impl Unit {
    /// What a rate of this unit adds up to in a period. `None`: not a rate.
    pub fn over(self, period: Period) -> Option<Unit> {
        self.per?;
        let of_a_day = Ratio::new(period.seconds(), Period::Day.seconds())?;
        Some(Unit { per: None, base: self.base.times(of_a_day)?, ..self })
    }

    /// Reads a unit such as `kWh`, `Nm3`, `kW` or `t/h`.
    pub fn parse(text: &str) -> Result<Unit, UnitProblem> {
        let text = text.trim();
        match text.rsplit_once('/') {
            Some((top, bottom)) => Unit::rate(text, top.trim(), bottom),
            None => Unit::single(text),
        }
    }

    /// A unit without a stroke.
    fn single(text: &str) -> Result<Unit, UnitProblem> {
        if let Some((_, choice)) = AMBIGUOUS.iter().find(|(name, _)| *name == text) {
            return Err(UnitProblem::Ambiguous(choice));
        }
        if let Some((_, mj_per_s)) = POWERS.iter().find(|(name, _)| *name == text) {
            let base = Ratio::whole(mj_per_s * 86_400);
            return Ok(Unit::plain(Dimension::Energy, Some(Period::Second), base));
        }
        let unknown = || UnitProblem::Unknown(text.to_owned());
        let row = UNITS.iter().find(|u| u.0 == text).ok_or_else(unknown)?;
        Ok(Unit::plain(row.1, None, Ratio::new(row.2, row.3).ok_or_else(unknown)?))
    }

    fn plain(dimension: Dimension, per: Option<Period>, base: Ratio) -> Unit {
        Unit { dimension, per, base, zero: Ratio::whole(0) }
    }

    /// Reads the unit of a property: `degC`, `bar`, `%`, or a quotient such as `MJ/Nm3`.
    pub fn parse_property(text: &str) -> Result<Unit, UnitProblem> {
        let text = text.trim();
        if let Some((_, dimension, base, divisor, zero)) = STATES.iter().find(|row| row.0 == text) {
            let unknown = || UnitProblem::Unknown(text.to_owned());
            let base = Ratio::new(*base, *divisor).ok_or_else(unknown)?;
            let zero = Ratio::new(zero.0, zero.1).ok_or_else(unknown)?;
            return Ok(Unit { dimension: *dimension, per: None, base, zero });
        }
        let (top, bottom) = text.split_once('/').ok_or_else(|| UnitProblem::NoProperty(text.to_owned()))?;
        Unit::quotient(text, &Unit::parse(top)?, &Unit::parse(bottom)?)
    }

    fn quotient(text: &str, top: &Unit, bottom: &Unit) -> Result<Unit, UnitProblem> {
        let unknown = || UnitProblem::NoProperty(text.to_owned());
        if top.per.is_some() || bottom.per.is_some() {
            return Err(unknown());
        }
        let above = match top.dimension {
            Dimension::Energy => Top::Energy,
            Dimension::Mass => Top::Mass,
            _ => return Err(unknown()),
        };
        let below = Bottom::of(bottom.dimension).ok_or_else(unknown)?;
        let base = top.base.over(bottom.base).and_then(|base| base.times(Ratio::whole(PROPERTY_BASE)));
        Ok(Unit::plain(Dimension::Quotient(above, below), None, base.ok_or_else(unknown)?))
    }

    fn rate(text: &str, top: &str, bottom: &str) -> Result<Unit, UnitProblem> {
        let unknown = || UnitProblem::Unknown(text.to_owned());
        let unit = Unit::single(top)?;
        let period = Period::parse(bottom).ok_or_else(unknown)?;
        if unit.per.is_some() {
            return Err(unknown());
        }
        let per_day = Ratio::new(86_400, period.seconds()).ok_or_else(unknown)?;
        Ok(Unit { per: Some(period), base: unit.base.times(per_day).ok_or_else(unknown)?, ..unit })
    }

    /// The value in base units, rounded once, half to even. `None`: beyond `i64`.
    pub fn to_base(self, value: Ratio) -> Option<i64> {
        i64::try_from(value.times(self.base)?.of(1)?).ok()
    }
}

impl Amount {
    /// Reads `"42 t/h"`.
    pub fn parse(text: &str) -> Result<Amount, UnitProblem> {
        let (number, unit) = split_number(text);
        let value = Decimal::parse(number).ok_or_else(|| UnitProblem::NoNumber(text.to_owned()))?;
        if unit.is_empty() {
            return Err(UnitProblem::NoUnit(text.to_owned()));
        }
        Ok(Amount { value, unit: Unit::parse(unit)? })
    }

    /// Reads a property, such as the heat content `"39.5 MJ/Nm3"`, the temperature `"15 degC"`, or `"68 %"`.
    pub fn parse_property(text: &str) -> Result<Amount, UnitProblem> {
        let (number, unit) = split_number(text);
        let value = Decimal::parse(number).ok_or_else(|| UnitProblem::NoNumber(text.to_owned()))?;
        if unit.is_empty() {
            return Err(UnitProblem::NoUnit(text.to_owned()));
        }
        Ok(Amount { value, unit: Unit::parse_property(unit)? })
    }

    /// A property's exact value in base units of its dimension, divided by [`PROPERTY_BASE`] where it is a share or a
    /// quotient.
    pub fn to_property(self) -> Option<Ratio> {
        let base = Ratio::from_decimal(self.value)?.plus(self.unit.zero)?.times(self.unit.base)?;
        self.unit.dimension.as_property(base)
    }

    /// The amount in base units. `None`: beyond `i64`.
    pub fn to_base(self) -> Option<i64> {
        self.unit.to_base(Ratio::from_decimal(self.value)?)
    }
}

fn split_number(text: &str) -> (&str, &str) {
    let text = text.trim();
    match text.find(char::is_whitespace) {
        Some(gap) => (&text[..gap], text[gap..].trim()),
        None => (text, ""),
    }
}

impl Dimension {
    /// What the base unit is called, for messages.
    pub fn noun(self) -> &'static str {
        match self {
            Dimension::Energy => "energy",
            Dimension::Mass => "mass",
            Dimension::Volume(Reference::Actual) => "volume (m3, L, gal)",
            Dimension::Volume(Reference::Normal) => "gas volume at 0 °C (Nm3)",
            Dimension::Volume(Reference::Standard) => "gas volume at 15 °C (Sm3)",
            Dimension::Volume(Reference::Scf60) => "gas volume at 60 °F (scf60)",
            Dimension::Volume(Reference::Scf68) => "gas volume at 68 °F (scf68)",
            Dimension::Temperature => "temperature",
            Dimension::Pressure => "pressure",
            Dimension::Share => "share",
            Dimension::Quotient(Top::Energy, _) => "heat content",
            Dimension::Quotient(Top::Mass, _) => "mass per amount",
        }
    }

    /// The value of a property from base units of it.
    pub fn as_property(self, base: Ratio) -> Option<Ratio> {
        match self {
            Dimension::Share | Dimension::Quotient(..) => base.over(Ratio::whole(PROPERTY_BASE)),
            _ => Some(base),
        }
    }

    /// An amount of something, and no state.
    pub fn is_amount(self) -> bool {
        matches!(self, Dimension::Energy | Dimension::Mass | Dimension::Volume(_))
    }

    /// How many base units of `other` make one base unit of this dimension, without any declared property:
    /// gas volumes between reference conditions. `None`: a property (heat content, density) is needed.
    pub fn convert(self, other: Dimension) -> Option<Ratio> {
        match (self, other) {
            (a, b) if a == b => Some(Ratio::ONE),
            (Dimension::Volume(a), Dimension::Volume(b)) => a.normal()?.over(b.normal()?),
            _ => None,
        }
    }
}

impl Bottom {
    /// `None`: nothing is stated per such a thing.
    pub fn of(dimension: Dimension) -> Option<Bottom> {
        match dimension {
            Dimension::Energy => Some(Bottom::Energy),
            Dimension::Mass => Some(Bottom::Mass),
            Dimension::Volume(reference) => Some(Bottom::Volume(reference)),
            _ => None,
        }
    }

    /// What it measures.
    pub fn dimension(self) -> Dimension {
        match self {
            Bottom::Energy => Dimension::Energy,
            Bottom::Mass => Dimension::Mass,
            Bottom::Volume(reference) => Dimension::Volume(reference),
        }
    }
}

impl Reference {
    /// Microlitres at 0 °C and 101.325 kPa that one microlitre at this reference becomes.
    fn normal(self) -> Option<Ratio> {
        match self {
            Reference::Actual => None,
            Reference::Normal => Some(Ratio::ONE),
            Reference::Standard => Ratio::new(27_315, 28_815),
            Reference::Scf68 => Ratio::new(27_315, 29_315),
            Reference::Scf60 => {
                // 60 °F is 519.67 / 1.8 K, and 14.696 psi are 14.696 x 6894.757293168 Pa.
                let temperature = Ratio::new(27_315 * 18, 519_670)?;
                let pressure =
                    Ratio::new(14_696 * 6_894_757_293_168, 1_000 * 1_000_000_000)?.over(Ratio::whole(101_325))?;
                temperature.times(pressure)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> Option<i64> {
        Amount::parse(text).unwrap().to_base()
    }

    #[test]
    fn exact_constants() {
        assert_eq!(base("1 kWh"), Some(3_600_000_000));
        assert_eq!(base("1 mmBtu"), Some(1_055_055_852_620));
        assert_eq!(base("10 Btu"), Some(10_550_559));
        assert_eq!(base("1 short_ton"), Some(907_184_740_000));
        assert_eq!(base("1 gal"), Some(3_785_412));
        assert_eq!(base("1 MW"), Some(86_400_000_000_000));
        assert_eq!(base("1 t/h"), Some(24_000_000_000_000));
        assert_eq!(base("16 Mt"), None);
    }

    #[test]
    fn gas_references_follow_the_ideal_gas_law() {
        let ratio = |from: &str, to: &str| {
            let (from, to) = (Unit::parse(from).unwrap(), Unit::parse(to).unwrap());
            let per_base = from.dimension.convert(to.dimension).unwrap();
            from.base.times(per_base).unwrap().over(to.base).unwrap().to_f64()
        };
        assert!((ratio("Sm3", "Nm3") - 0.947944).abs() < 1e-6);
        assert!((ratio("scf60", "Nm3") - 0.026_791_22).abs() < 1e-8);
        assert!((ratio("scf68", "Nm3") - 0.026_384_95).abs() < 1e-8);
        assert!((ratio("Nm3", "scf60") - 37.325_66).abs() < 1e-4);
        assert_eq!(Unit::parse("m3").unwrap().dimension.convert(Dimension::Volume(Reference::Normal)), None);
    }

    #[test]
    fn ambiguous_units_spell_out_the_choice() {
        for (text, cure) in [("MMBtu", "mmBtu"), ("ton", "short_ton"), ("scf", "scf60"), ("kwh", "did you mean `kWh`")]
        {
            let problem = Unit::parse(text).unwrap_err().to_string();
            assert!(problem.contains(cure), "{text}: {problem}");
        }
        assert!(Amount::parse("42").unwrap_err().to_string().contains("needs a unit"));
        assert!(Unit::parse(&format!("t{}", "/h".repeat(1_000_000))).is_err());
    }

    #[test]
    fn properties() {
        let read = |text: &str| {
            let amount = Amount::parse_property(text).unwrap();
            (amount.unit.dimension, amount.to_property().unwrap())
        };
        let content = Dimension::Quotient(Top::Energy, Bottom::Volume(Reference::Normal));
        assert_eq!(read("39.5 MJ/Nm3"), (content, Ratio::new(395, 10).unwrap()));
        assert_eq!(read("68 %"), (Dimension::Share, Ratio::new(68, 100).unwrap()));
        assert_eq!(read("10 degC"), (Dimension::Temperature, Ratio::whole(283_150_000)));
        assert_eq!(read("50 degF").1, read("10 degC").1);
        assert_eq!(read("4 bar"), (Dimension::Pressure, Ratio::whole(400_000_000)));
        assert!(Amount::parse_property("4 kWh").unwrap_err().to_string().contains("no unit of a property"));
    }
}

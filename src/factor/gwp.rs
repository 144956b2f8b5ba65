//! Global warming potentials over 100 years, by assessment report.

use crate::factor::{Catalogue, Gas};
use crate::quantity::{Decimal, Ratio};

/// The assessment report whose potentials are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GwpSet {
    /// Fourth.
    Ar4,
    /// Fifth.
    Ar5,
    /// Sixth.
    Ar6,
}

impl GwpSet {
    /// Reads `ar4`, `ar5` or `ar6`.
    pub fn parse(text: &str) -> Option<GwpSet> {
        [GwpSet::Ar4, GwpSet::Ar5, GwpSet::Ar6].into_iter().find(|set| set.name() == text)
    }

    /// As written in configuration.
    pub fn name(self) -> &'static str {
        match self {
            GwpSet::Ar4 => "ar4",
            GwpSet::Ar5 => "ar5",
            GwpSet::Ar6 => "ar6",
        }
    }

    /// Kilograms CO2e for one kilogram of `gas`. Methane that is burned or biogenic takes the non-fossil value,
    /// leaks and vents of fossil gas the fossil one; a report with one value uses it for both. `None`: the report has
    /// no value for the gas.
    pub fn potential(self, catalogue: &Catalogue, gas: &Gas, fossil: bool) -> Option<Ratio> {
        let name = format!("gwp_{}", self.name());
        let rows: Vec<_> = catalogue.set(&name).into_iter().filter(|row| row.gas == *gas).collect();
        let row = rows.iter().find(|row| row.biogenic != fossil).or(rows.first())?;
        Decimal::parse(&row.value).and_then(Ratio::from_decimal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methane_by_report_and_origin() {
        let catalogue = Catalogue::shipped();
        let methane = |set: GwpSet, fossil| set.potential(&catalogue, &Gas::Ch4, fossil).map(Ratio::to_f64);
        assert_eq!(methane(GwpSet::Ar6, true), Some(29.8));
        assert_eq!(methane(GwpSet::Ar6, false), Some(27.0));
        assert_eq!(methane(GwpSet::Ar5, true), methane(GwpSet::Ar5, false));
        assert_eq!(methane(GwpSet::Ar4, false), Some(25.0));
        assert_eq!(GwpSet::Ar6.potential(&catalogue, &Gas::Other("XYZ".into()), true), None);
    }
}

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

/// Refrigerant blends by mass, in hundredths (ANSI/ASHRAE Standard 34).
const BLENDS: &[(&str, &[(&str, i128)])] = &[
    ("R-404A", &[("HFC-125", 44), ("HFC-143a", 52), ("HFC-134a", 4)]),
    ("R-407C", &[("HFC-32", 23), ("HFC-125", 25), ("HFC-134a", 52)]),
    ("R-410A", &[("HFC-32", 50), ("HFC-125", 50)]),
    ("R-507A", &[("HFC-125", 50), ("HFC-143a", 50)]),
];

impl GwpSet {
    /// All of them, oldest first.
    pub const ALL: [GwpSet; 3] = [GwpSet::Ar4, GwpSet::Ar5, GwpSet::Ar6];

    /// Reads `ar4`, `ar5` or `ar6`.
    pub fn parse(text: &str) -> Option<GwpSet> {
        GwpSet::ALL.into_iter().find(|set| set.name() == text)
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
    /// no value for the gas. A blend is computed from its components where all of them have one.
    pub fn potential(self, catalogue: &Catalogue, gas: &Gas, fossil: bool) -> Option<Ratio> {
        self.of_blend(catalogue, gas).or_else(|| self.of_species(catalogue, gas, fossil))
    }

    fn of_blend(self, catalogue: &Catalogue, gas: &Gas) -> Option<Ratio> {
        let (_, parts) = BLENDS.iter().find(|(name, _)| *name == gas.name())?;
        parts.iter().try_fold(Ratio::whole(0), |sum, (species, hundredths)| {
            let potential = self.of_species(catalogue, &Gas::parse(species), false)?;
            sum.plus(potential.times(Ratio::new(*hundredths, 100)?)?)
        })
    }

    fn of_species(self, catalogue: &Catalogue, gas: &Gas, fossil: bool) -> Option<Ratio> {
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

    #[test]
    fn blends_are_computed_from_their_components() {
        let catalogue = Catalogue::shipped();
        let of = |set: GwpSet, name| set.potential(&catalogue, &Gas::parse(name), false).map(Ratio::to_f64);
        assert_eq!(of(GwpSet::Ar6, "R-410A"), Some(2_255.5));
        assert_eq!(of(GwpSet::Ar5, "R-410A"), Some(1_923.5));
        // One of its components has no value in the table: the table's own figure stands.
        assert_eq!(of(GwpSet::Ar6, "R-513A"), Some(673.0));
        assert!(BLENDS.iter().all(|(_, parts)| parts.iter().map(|(_, part)| part).sum::<i128>() == 100));
    }
}

//! One row of a factor table: a figure with its unit, gas, basis, validity and source.

use crate::quantity::{Dimension, Ratio, Reference, Unit};

/// A greenhouse gas, as the catalogue names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Gas {
    /// Carbon dioxide.
    Co2,
    /// Methane.
    Ch4,
    /// Nitrous oxide.
    N2o,
    /// All gases together, in CO2 equivalents.
    Co2e,
    /// Any other species or blend, by name.
    Other(String),
}

impl Gas {
    /// The family under whose CO2e a species is reported. `None`: a gas reported by mass, or one of no family.
    pub fn family(&self) -> Option<Family> {
        let Gas::Other(name) = self else {
            return None;
        };
        match name.as_str() {
            "SF6" => Some(Family::Sf6),
            "NF3" => Some(Family::Nf3),
            "CF4" | "C2F6" | "C3F8" | "C4F10" | "c-C4F8" | "C5F12" | "C6F14" => Some(Family::Pfc),
            name if name.starts_with("PFC-") => Some(Family::Pfc),
            name if name.starts_with("HFC-") || name.starts_with("R-") => Some(Family::Hfc),
            _ => None,
        }
    }

    /// Reads the catalogue's name.
    pub fn parse(text: &str) -> Gas {
        match text {
            "CO2" => Gas::Co2,
            "CH4" => Gas::Ch4,
            "N2O" => Gas::N2o,
            "CO2e" => Gas::Co2e,
            other => Gas::Other(other.to_owned()),
        }
    }

    /// The catalogue's name.
    pub fn name(&self) -> &str {
        match self {
            Gas::Co2 => "CO2",
            Gas::Ch4 => "CH4",
            Gas::N2o => "N2O",
            Gas::Co2e => "CO2e",
            Gas::Other(name) => name,
        }
    }
}

/// Gases reported together, in CO2e.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Hydrofluorocarbons, and the blends of them.
    Hfc,
    /// Perfluorocarbons.
    Pfc,
    /// Sulphur hexafluoride.
    Sf6,
    /// Nitrogen trifluoride.
    Nf3,
}

/// What a row may be used for (column `use`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Activity of an inventory: fuels, processes, steam.
    Inventory,
    /// A grid average, for the location-based method.
    Grid,
    /// A residual mix, for the market-based method.
    Residual,
    /// Figures of one generating technology: not for an inventory.
    Technology,
    /// Life-cycle figures: not for scope 2.
    Lifecycle,
    /// Marginal figures for avoided emissions: not for an inventory.
    Margin,
    /// A global warming potential.
    Gwp,
}

impl Use {
    /// Reads the column.
    pub fn parse(text: &str) -> Option<Use> {
        Some(match text {
            "inventory" => Use::Inventory,
            "grid" => Use::Grid,
            "residual" => Use::Residual,
            "technology" => Use::Technology,
            "lifecycle" => Use::Lifecycle,
            "margin" => Use::Margin,
            "gwp" => Use::Gwp,
            _ => return None,
        })
    }

    /// As written in the column.
    pub fn name(self) -> &'static str {
        match self {
            Use::Inventory => "inventory",
            Use::Grid => "grid",
            Use::Residual => "residual",
            Use::Technology => "technology",
            Use::Lifecycle => "lifecycle",
            Use::Margin => "margin",
            Use::Gwp => "gwp",
        }
    }
}

/// The heating value an energy amount is stated on. Mixing the two costs 10 % on gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Higher (gross) heating value.
    Hhv,
    /// Lower (net) heating value.
    Lhv,
}

impl Basis {
    /// Reads `HHV` or `LHV`.
    pub fn parse(text: &str) -> Option<Basis> {
        match text {
            "HHV" => Some(Basis::Hhv),
            "LHV" => Some(Basis::Lhv),
            _ => None,
        }
    }

    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Basis::Hhv => "HHV",
            Basis::Lhv => "LHV",
        }
    }
}

/// A row of the catalogue.
#[derive(Clone, Debug)]
pub struct Row {
    /// Unique.
    pub id: String,
    /// One vintage; its rows are the gases.
    pub set: String,
    /// All vintages of one factor.
    pub series: String,
    /// For people.
    pub name: String,
    /// What it may be used for.
    pub usage: Use,
    /// Of which gas.
    pub gas: Gas,
    /// The figure as printed.
    pub value: String,
    /// The unit as printed.
    pub unit: String,
    /// Milligrams for one base unit of `per`.
    pub mg: Ratio,
    /// What one multiplies with. `None`: a denominator that no meter can measure.
    pub per: Option<Denominator>,
    /// The product behind the unit of the denominator: `t CO2/t clinker`.
    pub product: Option<String>,
    /// The unit says CO2e: never multiplied by a GWP.
    pub is_co2e: bool,
    /// The heating value its energy is stated on.
    pub basis: Option<Basis>,
    /// The table's own heat content: millijoules for one base unit of the dimension.
    pub heat_content: Option<(Denominator, Ratio)>,
    /// Half the width of its 95 % interval, in hundredths of it, as the table says.
    pub uncertainty_pct: Option<Ratio>,
    /// The GWP set that a row in CO2e was computed with.
    pub gwp_set: Option<String>,
    /// First day of validity, `2024-01-01`.
    pub valid_from: Option<String>,
    /// Last day of validity, `2024-12-31`.
    pub valid_to: Option<String>,
    /// Where it applies.
    pub region: String,
    /// CO2: a memo outside the scopes. CH4, N2O: the non-fossil GWP.
    pub biogenic: bool,
    /// Where the figure was read.
    pub source: String,
}

/// What a figure is stated per.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denominator {
    /// What it measures.
    pub dimension: Dimension,
    /// Tables of the United States say `scf` and leave the temperature open: one for each of a meter, at 60 °F or 68 °F.
    pub any_scf: bool,
}

impl Denominator {
    /// Of a dimension.
    pub fn of(dimension: Dimension) -> Denominator {
        Denominator { dimension, any_scf: false }
    }

    /// How many base units of it make one base unit of `from`, without any declared property.
    pub fn reached_from(self, from: Dimension) -> Option<Ratio> {
        if !self.any_scf {
            return from.convert(self.dimension);
        }
        let is_scf = matches!(from, Dimension::Volume(Reference::Scf60 | Reference::Scf68));
        is_scf.then_some(Ratio::ONE)
    }
}

/// The words tables use in denominators, in our units. Other words behind a unit name a product.
const DENOMINATORS: &[(&str, &str)] =
    &[("gal (US)", "gal"), ("short ton", "short_ton"), ("Gg (= GJ/t)", "kt"), ("scf", "scf60")];

/// The denominator of a figure such as `mmBtu`, `gal (US)` or `t clinker`: what it measures, base units, and the product.
pub(crate) fn denominator(text: &str) -> Option<(Denominator, Ratio, Option<String>)> {
    let known = |unit: &str| Unit::parse(unit).ok().filter(|unit| unit.per.is_none());
    if text == "kL" {
        return known("m3").map(|unit| (Denominator::of(unit.dimension), unit.base, None));
    }
    if let Some((word, unit)) = DENOMINATORS.iter().find(|(word, _)| *word == text) {
        let unit = known(unit)?;
        return Some((Denominator { dimension: unit.dimension, any_scf: *word == "scf" }, unit.base, None));
    }
    let (unit, product) = text.split_once(' ').unwrap_or((text, ""));
    let unit = known(unit)?;
    let product = Some(product.trim()).filter(|product| !product.is_empty());
    Some((Denominator::of(unit.dimension), unit.base, product.map(str::to_owned)))
}

/// Milligrams in one unit of the numerator, and whether it says CO2e.
pub(crate) fn numerator(text: &str) -> Option<(Ratio, bool)> {
    let (unit, gas) = text.split_once(' ').unwrap_or((text, ""));
    let unit = Unit::parse(unit).ok().filter(|u| u.dimension == Dimension::Mass && u.per.is_none())?;
    let mg = unit.base.over(Ratio::whole(1_000))?;
    Some((mg, gas == "CO2e"))
}

//! One row of a factor table: a figure with its unit, gas, basis, validity and source.

use crate::quantity::{Dimension, Ratio, Unit};

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
    pub per: Option<Dimension>,
    /// The unit says CO2e: never multiplied by a GWP.
    pub is_co2e: bool,
    /// The heating value its energy is stated on.
    pub basis: Option<Basis>,
    /// The table's own heat content: millijoules for one base unit of the dimension.
    pub heat_content: Option<(Dimension, Ratio)>,
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

/// The words tables use in denominators, in our units. Other words behind a unit name a product.
const DENOMINATORS: &[(&str, &str)] =
    &[("gal (US)", "gal"), ("short ton", "short_ton"), ("Gg (= GJ/t)", "kt"), ("MJ", "MJ")];
const KILOLITRE: &str = "kL";

/// The dimension and base units of a denominator such as `mmBtu` or `gal (US)`.
pub(crate) fn denominator(text: &str) -> Option<(Dimension, Ratio)> {
    if text == KILOLITRE {
        return Unit::parse("m3").ok().map(|u| (u.dimension, u.base));
    }
    let spelled = DENOMINATORS.iter().find(|(word, _)| *word == text).map(|(_, unit)| *unit);
    let first = text.split_whitespace().next()?;
    let unit = Unit::parse(spelled.unwrap_or(first)).ok()?;
    unit.per.is_none().then_some((unit.dimension, unit.base))
}

/// Milligrams in one unit of the numerator, and whether it says CO2e.
pub(crate) fn numerator(text: &str) -> Option<(Ratio, bool)> {
    let (unit, gas) = text.split_once(' ').unwrap_or((text, ""));
    let unit = Unit::parse(unit).ok().filter(|u| u.dimension == Dimension::Mass && u.per.is_none())?;
    let mg = unit.base.over(Ratio::whole(1_000))?;
    Some((mg, gas == "CO2e"))
}

//! Why no method can be worked out.

use std::fmt;

use crate::factor::{Basis, Use};
use crate::quantity::Dimension;

/// Why no method can be worked out. `Display` names the cure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MethodProblem {
    /// The table's rows are not meant for this.
    NotAllowed {
        /// The set.
        set: String,
        /// What it is for.
        usage: Use,
        /// What would be right.
        allowed: &'static [Use],
    },
    /// The meter's unit does not reach the factor's.
    NoPath {
        /// The set.
        set: String,
        /// The factor's unit.
        unit: String,
        /// What the meter measures.
        measures: Dimension,
    },
    /// Higher and lower heating value meet.
    Basis {
        /// The set.
        set: String,
        /// The factor's.
        factor: Basis,
        /// The meter's.
        meter: Option<Basis>,
    },
    /// The GWP set has no value for a gas.
    NoPotential {
        /// The gas.
        gas: String,
        /// The set asked for.
        gwp: &'static str,
        /// Sets that have it.
        known: Vec<&'static str>,
        /// A gas of almost that name.
        near: Option<String>,
    },
    /// A factor of a fuel for electricity.
    OfFuel(String),
    /// The factor is of one product and the meter counts another.
    Product {
        /// The set.
        set: String,
        /// The factor's.
        factor: Option<String>,
        /// The meter's.
        meter: Option<String>,
    },
    /// All gases in one figure, of which only CO2 is measured or biogenic.
    Undivided(String),
    /// The figures are too large to multiply exactly.
    Overflow(String),
}

impl fmt::Display for MethodProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MethodProblem::NotAllowed { set, usage, allowed } => {
                let allowed: Vec<_> = allowed.iter().map(|u| u.name()).collect();
                let (usage, why) = (usage.name(), reason(*usage));
                write!(f, "factor set `{set}` has use `{usage}`{why}; here only {} will do", allowed.join(" or "))
            }
            MethodProblem::NoPath { set, unit, measures } => write!(
                f,
                "the meter measures {0}, factor set `{set}` is in {unit}; to get from one to the other it needs {1}",
                measures.noun(),
                way(*measures, unit)
            ),
            MethodProblem::Basis { set, factor, meter: Some(meter) } => write!(
                f,
                "factor set `{set}` is on {} and the meter on {}; the two differ by 5 to 10 %: choose a factor on the meter's basis",
                factor.name(),
                meter.name()
            ),
            MethodProblem::Basis { set, factor, meter: None } => write!(
                f,
                "factor set `{set}` is on {}; say with `basis = \"HHV\"` or `basis = \"LHV\"` which heating value the meter's energy or heat content is stated on",
                factor.name()
            ),
            MethodProblem::NoPotential { gas, near: Some(near), .. } => {
                write!(f, "no gas is called {gas}; did you mean `{near}`?")
            }
            MethodProblem::OfFuel(set) => write!(
                f,
                "factor set `{set}` is of a fuel, by its heating value, and not of electricity; see `emissiond factors list`"
            ),
            MethodProblem::NoPotential { gas, gwp, known, .. } if known.is_empty() => {
                write!(
                    f,
                    "no GWP set has a value for {gas}, `{gwp}` among them; a `[factors]` file may add a row to it"
                )
            }
            MethodProblem::NoPotential { gas, gwp, known, .. } => {
                write!(f, "GWP set `{gwp}` has no value for {gas}; sets that have one: {}", known.join(", "))
            }
            MethodProblem::Product { set, factor: Some(factor), meter } => {
                let counts = meter.as_ref().map_or("names none".to_owned(), |meter| format!("counts `{meter}`"));
                write!(
                    f,
                    "factor set `{set}` is per {factor}, and the meter {counts}; write `product = \"{factor}\"` if it counts that"
                )
            }
            MethodProblem::Product { set, factor: None, meter } => {
                let product = meter.as_deref().unwrap_or("");
                write!(
                    f,
                    "the meter counts `{product}`, and factor set `{set}` is of no product; remove `product` or choose another factor"
                )
            }
            MethodProblem::Undivided(set) => write!(
                f,
                "factor set `{set}` gives all gases in one figure, of which CO2 alone cannot be told; choose a factor by gas"
            ),
            MethodProblem::Overflow(set) => write!(f, "the figures of factor set `{set}` are too large to be exact"),
        }
    }
}

/// Why rows of a use are no factors of an inventory.
fn reason(usage: Use) -> &'static str {
    match usage {
        Use::Lifecycle => ": it holds the emissions of building and fuel supply, which are scope 3",
        Use::Technology => ": it is one kind of plant, not what a grid delivers",
        Use::Margin => ": it is the margin of a grid, for emissions avoided",
        Use::Gwp => ": it is a warming potential",
        Use::Inventory | Use::Grid | Use::Residual => "",
    }
}

/// Which properties lead from what is measured to the unit of a factor.
fn way(measures: Dimension, unit: &str) -> String {
    let here = match measures {
        Dimension::Energy => "MJ",
        Dimension::Mass => "kg",
        Dimension::Volume(crate::quantity::Reference::Actual) => "m3",
        Dimension::Volume(crate::quantity::Reference::Normal) => "Nm3",
        Dimension::Volume(crate::quantity::Reference::Standard) => "Sm3",
        Dimension::Volume(crate::quantity::Reference::Scf60) => "scf60",
        Dimension::Volume(crate::quantity::Reference::Scf68) => "scf68",
        _ => return "an amount, not a property".to_owned(),
    };
    let bottom = unit.rsplit_once('/').map_or(unit, |(_, bottom)| bottom);
    let is_energy = crate::quantity::Unit::parse(bottom).is_ok_and(|unit| unit.dimension == Dimension::Energy);
    match (measures, is_energy) {
        (Dimension::Energy, _) => format!("a factor per energy: a property cannot turn energy into {bottom}"),
        (Dimension::Volume(crate::quantity::Reference::Actual), true) => format!(
            "a `heat_content` (such as \"36 MJ/{here}\"); for a gas in the pipe, `temperature` and `pressure` as well and the heat content per Nm3"
        ),
        (_, true) => format!("a `heat_content` (such as \"40 MJ/{here}\")"),
        _ => "a `density` (such as \"0.84 kg/L\")".to_owned(),
    }
}

//! How a meter's activity becomes emissions: worked out once from the declaration and the factors in force.

use std::fmt;

use crate::cluster::Category;
use crate::emission::{Column, Flag};
use crate::factor::{Basis, Catalogue, Gas, GwpSet, Row, Slice, Use, Vintages};
use crate::quantity::{Dimension, Quarter, Ratio, Time};

/// What a meter declares about what it measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Declared {
    /// What it is booked as.
    pub category: Category,
    /// What its base unit measures.
    pub dimension: Dimension,
    /// The heating value that its energy, or its heat content, is stated on.
    pub basis: Option<Basis>,
    /// Millijoules for one base unit of the dimension.
    pub heat_content: Option<(Dimension, Ratio)>,
    /// Micrograms for one base unit of the dimension.
    pub density: Option<(Dimension, Ratio)>,
    /// The potentials of the meter's cluster.
    pub gwp: GwpSet,
    /// Those of its network, where they differ.
    pub network_gwp: Option<GwpSet>,
}

/// Which total a factor feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Scope 1.
    Scope1,
    /// Scope 2, location-based.
    Location,
    /// Scope 2, market-based.
    Market,
}

/// One factor over time, and the total it feeds.
#[derive(Clone, Debug)]
pub struct Term {
    /// The total.
    pub slot: Slot,
    /// The factor.
    pub vintages: Vintages,
    /// Which rows may stand here.
    pub allowed: &'static [Use],
}

/// The factors of one meter.
pub type Factors = Vec<Term>;

/// One product: so many milligrams a base unit, into one column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Post {
    /// Where it goes.
    pub column: Column,
    /// Milligrams a base unit, in the cluster's GWP set.
    pub own: Ratio,
    /// The same in the network's, where that differs.
    pub network: Option<Ratio>,
    /// The factor is of another year.
    pub provisional: bool,
}

/// The posts of a stretch of time.
#[derive(Clone, Debug, PartialEq)]
struct Stretch {
    to: Time,
    posts: Vec<Post>,
    flags: Vec<Flag>,
}

/// How a meter's activity becomes emissions, over all time.
#[derive(Clone, Debug, PartialEq)]
pub struct Method {
    /// What the meter is booked as.
    pub category: Category,
    stretches: Vec<Stretch>,
}

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
        gwp: GwpSet,
        /// Sets that have it.
        known: Vec<&'static str>,
    },
    /// The figures are too large to multiply exactly.
    Overflow(String),
}

impl fmt::Display for MethodProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MethodProblem::NotAllowed { set, usage, allowed } => {
                let allowed: Vec<_> = allowed.iter().map(|u| u.name()).collect();
                write!(f, "factor set `{set}` has use `{}`; here only {} will do", usage.name(), allowed.join(" or "))
            }
            MethodProblem::NoPath { set, unit, measures } => write!(
                f,
                "the meter measures {0}, factor set `{set}` is in {unit}; to get from one to the other it needs a `heat_content` (such as \"39.5 MJ/Nm3\") or a `density` (such as \"0.84 kg/L\") per {0}",
                measures.noun()
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
            MethodProblem::NoPotential { gas, gwp, known } => {
                write!(f, "GWP set `{}` has no value for {gas}; sets that have one: {}", gwp.name(), known.join(", "))
            }
            MethodProblem::Overflow(set) => write!(f, "the figures of factor set `{set}` are too large to be exact"),
        }
    }
}

impl Method {
    /// Works out the method. A CEMS measures CO2 itself and has no factors.
    pub fn new(declared: &Declared, factors: &Factors, catalogue: &Catalogue) -> Result<Method, MethodProblem> {
        let mut edges: Vec<Time> =
            factors.iter().flat_map(|t| t.vintages.slices()).flat_map(|s| [s.from, s.to]).collect();
        edges.extend([Time::MIN, Time::MAX]);
        edges.sort_unstable();
        edges.dedup();
        let mut stretches = Vec::new();
        for pair in edges.windows(2) {
            let mut stretch = Stretch { to: pair[1], posts: measured(declared.category), flags: Vec::new() };
            for term in factors {
                let slices = term.vintages.slices();
                if let Some(slice) = slices.iter().find(|s| s.from <= pair[0] && pair[0] < s.to) {
                    stretch.add(declared, term, slice, catalogue)?;
                }
            }
            stretch.flags.sort_unstable();
            stretch.flags.dedup();
            stretches.push(stretch);
        }
        Ok(Method { category: declared.category, stretches })
    }

    /// The posts and flags in force in a quarter; vintages change only at its edges.
    pub fn at(&self, quarter: Quarter) -> (&[Post], &[Flag]) {
        let time = quarter.start();
        let at = self.stretches.partition_point(|s| s.to <= time).min(self.stretches.len().saturating_sub(1));
        self.stretches.get(at).map_or((&[], &[]), |s| (s.posts.as_slice(), s.flags.as_slice()))
    }
}

/// A CEMS' activity is the CO2 itself, in micrograms.
fn measured(category: Category) -> Vec<Post> {
    let milligrams = Ratio::new(1, 1_000).unwrap_or(Ratio::ONE);
    let post = |column| Post { column, own: milligrams, network: None, provisional: false };
    match category {
        Category::CemsCo2 => vec![post(Column::Co2), post(Column::Scope1)],
        Category::StationaryCombustion | Category::PurchasedElectricity => Vec::new(),
    }
}

impl Stretch {
    fn add(
        &mut self,
        declared: &Declared,
        term: &Term,
        slice: &Slice,
        catalogue: &Catalogue,
    ) -> Result<(), MethodProblem> {
        for row in catalogue.set(&slice.set) {
            if !term.allowed.contains(&row.usage) {
                let set = slice.set.clone();
                return Err(MethodProblem::NotAllowed { set, usage: row.usage, allowed: term.allowed });
            }
            let per_base = factor_per_base(declared, row)?;
            let before = self.posts.len();
            self.post(declared, term.slot, row, per_base, catalogue)?;
            for post in self.posts.iter_mut().skip(before) {
                post.provisional = slice.provisional || slice.backcast;
            }
            if term.slot == Slot::Market && row.usage == Use::Grid {
                self.flags.push(Flag::GridAsResidual);
            }
            let foreign = row.is_co2e && row.gas != Gas::Co2;
            if foreign && row.gwp_set.as_deref().is_some_and(|set| set != declared.gwp.name()) {
                self.flags.push(Flag::ForeignGwp);
            }
        }
        self.flags.extend(slice.provisional.then_some(Flag::FactorProvisional));
        self.flags.extend(slice.backcast.then_some(Flag::FactorBackcast));
        Ok(())
    }

    fn post(
        &mut self,
        declared: &Declared,
        slot: Slot,
        row: &Row,
        per_base: Ratio,
        catalogue: &Catalogue,
    ) -> Result<(), MethodProblem> {
        let plain = |column| Post { column, own: per_base, network: None, provisional: false };
        if row.gas == Gas::Co2 && row.biogenic {
            // Once: bought energy has a location- and a market-based factor.
            self.posts.extend((slot != Slot::Market).then(|| plain(Column::BiogenicCo2)));
            return Ok(());
        }
        let mass = match (&row.gas, row.is_co2e) {
            (Gas::Co2, _) => Some(Column::Co2),
            (Gas::Ch4, false) => Some(Column::Ch4),
            (Gas::N2o, false) => Some(Column::N2o),
            _ => None,
        };
        self.posts.extend(mass.filter(|_| slot == Slot::Scope1).map(plain));
        let equivalent = |gwp| -> Result<Ratio, MethodProblem> {
            let potential = potential(catalogue, row, gwp)?;
            per_base.times(potential).ok_or_else(|| MethodProblem::Overflow(row.set.clone()))
        };
        let column = match slot {
            Slot::Scope1 => Column::Scope1,
            Slot::Location => Column::Scope2Location,
            Slot::Market => Column::Scope2Market,
        };
        let network = declared.network_gwp.map(equivalent).transpose()?;
        self.posts.push(Post { column, own: equivalent(declared.gwp)?, network, provisional: false });
        Ok(())
    }
}

/// Methane from combustion and in grid rates takes the non-fossil potential: its carbon is counted as CO2 already.
fn potential(catalogue: &Catalogue, row: &Row, gwp: GwpSet) -> Result<Ratio, MethodProblem> {
    if row.is_co2e || matches!(row.gas, Gas::Co2 | Gas::Co2e) {
        return Ok(Ratio::ONE);
    }
    let known = || {
        let sets = [GwpSet::Ar4, GwpSet::Ar5, GwpSet::Ar6].into_iter();
        sets.filter(|set| set.potential(catalogue, &row.gas, false).is_some()).map(GwpSet::name).collect()
    };
    let found = gwp.potential(catalogue, &row.gas, false);
    found.ok_or_else(|| MethodProblem::NoPotential { gas: row.gas.name().to_owned(), gwp, known: known() })
}

/// Milligrams for one base unit of what the meter measures, through the declared properties.
fn factor_per_base(declared: &Declared, row: &Row) -> Result<Ratio, MethodProblem> {
    let no_path =
        || MethodProblem::NoPath { set: row.set.clone(), unit: row.unit.clone(), measures: declared.dimension };
    let overflow = || MethodProblem::Overflow(row.set.clone());
    let per = row.per.ok_or_else(no_path)?;
    let (amount, through_energy) = reach(declared, row, per).ok_or_else(no_path)?;
    if let Some(factor) = row.basis.filter(|_| through_energy && declared.basis != row.basis) {
        // The table's own heat content is on the table's own basis.
        let own_content = declared.heat_content.is_none() && declared.dimension != Dimension::Energy;
        if !own_content || declared.basis.is_some() {
            return Err(MethodProblem::Basis { set: row.set.clone(), factor, meter: declared.basis });
        }
    }
    row.mg.times(amount).ok_or_else(overflow)
}

/// Base units of `per` for one base unit of the meter, and whether a heating value is involved.
fn reach(declared: &Declared, row: &Row, per: Dimension) -> Option<(Ratio, bool)> {
    let direct = |from: Dimension, to: Dimension| from.convert(to);
    if let Some(ratio) = direct(declared.dimension, per) {
        return Some((ratio, per == Dimension::Energy));
    }
    if let Some((volume, density)) = declared.density {
        if let (Some(ratio), Dimension::Mass) = (direct(declared.dimension, volume), per) {
            return Some((ratio.times(density)?, false));
        }
        if let (Dimension::Mass, Some(ratio)) = (declared.dimension, direct(volume, per)) {
            return Some((ratio.over(density)?, false));
        }
    }
    if per != Dimension::Energy {
        return None;
    }
    let (bottom, content) = declared.heat_content.or(row.heat_content)?;
    if let Some(ratio) = direct(declared.dimension, bottom) {
        return Some((ratio.times(content)?, true));
    }
    let (volume, density) = declared.density?;
    if bottom == Dimension::Mass {
        let ratio = direct(declared.dimension, volume)?;
        return Some((ratio.times(density)?.times(content)?, true));
    }
    let ratio = direct(volume, bottom).filter(|_| declared.dimension == Dimension::Mass)?;
    Some((ratio.over(density)?.times(content)?, true))
}

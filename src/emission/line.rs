//! One figure of a factor as it is applied to a meter, and the products that follow from it.

use std::sync::Arc;

use crate::cluster::Category;
use crate::emission::method::{Declared, Slot};
use crate::emission::problem::MethodProblem;
use crate::emission::property::{PropertyKind, Values};
use crate::emission::reach::reach;
use crate::emission::{Column, SourceKey};
use crate::factor::{Basis, Catalogue, Denominator, Family, Gas, GwpSet, Row};
use crate::quantity::{Dimension, Ratio};

/// One product: so many milligrams a base unit, into one column.
#[derive(Clone, Debug, PartialEq)]
pub struct Post {
    /// Where it goes.
    pub column: Column,
    /// Milligrams a base unit, in the cluster's GWP set.
    pub own: Ratio,
    /// The same in the network's, where that differs.
    pub network: Option<Ratio>,
    /// The potential that is in it, in the cluster's set; one for a mass.
    pub potential: Ratio,
    /// The factor is of another year.
    pub provisional: bool,
    /// A stack measures this: it is calculated, and not booked.
    pub replaced: bool,
    /// The row of the factor, or how else it is computed.
    pub row: Arc<str>,
    /// The gas.
    pub gas: Gas,
    /// The error of the factor: whose, and half the width of its 95 % interval in millionths.
    pub error: Option<(SourceKey, i64)>,
}

/// A table's own heat content: millijoules for one base unit of the denominator.
type HeatContent = Option<(Denominator, Ratio)>;

/// How the figure of a line is known.
#[derive(Clone, Debug, PartialEq)]
enum Figure {
    /// A row of a table: milligrams for one base unit of the denominator.
    Row { mg: Ratio, per: Option<Denominator>, basis: Option<Basis>, heat_content: HeatContent, unit: String },
    /// The carbon of the fuel, as CO2.
    Carbon,
    /// The gas itself.
    Mass,
}

/// One figure of a factor set, with the potentials it is weighted with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// The row's id.
    pub row: Arc<str>,
    /// Its set.
    pub set: Arc<str>,
    /// The total it feeds.
    pub slot: Slot,
    /// Of which gas.
    pub gas: Gas,
    /// Biogenic CO2 is a memo.
    pub biogenic: bool,
    /// Fossil CO2 that a stack measures.
    pub(crate) replaced: bool,
    is_co2e: bool,
    /// The row says that the gas comes of biomass.
    of_biomass: bool,
    provisional: bool,
    own: Ratio,
    network: Option<Ratio>,
    /// The potentials of the part that comes of biomass, where they are others.
    of_biomass_share: Option<(Ratio, Option<Ratio>)>,
    figure: Figure,
    error: Option<(SourceKey, i64)>,
}

/// A mole of CO2 weighs 44, its carbon 12 (40 CFR 98.33, equations C-3 to C-5; IPCC 2006).
const CO2_OF_CARBON: (i128, i128) = (44, 12);
const MICROGRAMS_A_MILLIGRAM: i128 = 1_000;

impl Line {
    /// A row of the catalogue.
    pub(crate) fn of_row(row: &Row, slot: Slot, provisional: bool) -> Line {
        let millionths = |pct: Ratio| pct.of(10_000).and_then(|millionths| i64::try_from(millionths).ok());
        let error = row.uncertainty_pct.and_then(millionths);
        Line {
            row: row.id.as_str().into(),
            set: row.set.as_str().into(),
            slot,
            gas: row.gas.clone(),
            biogenic: row.biogenic && row.gas == Gas::Co2,
            replaced: false,
            is_co2e: row.is_co2e,
            of_biomass: row.biogenic,
            provisional,
            own: Ratio::ONE,
            network: None,
            of_biomass_share: None,
            figure: Figure::Row {
                mg: row.mg,
                per: row.per,
                basis: row.basis,
                heat_content: row.heat_content,
                unit: row.unit.clone(),
            },
            error: error.map(|error| (SourceKey::of("factor", &row.id), error)),
        }
    }

    /// CO2 from the carbon of the fuel.
    pub(crate) fn of_carbon(biogenic: bool) -> Line {
        Line { biogenic, ..Line::plain("carbon", Gas::Co2, Figure::Carbon) }
    }

    /// The gas that the meter measures.
    pub(crate) fn of_gas(gas: Gas) -> Line {
        Line::plain("gas", gas, Figure::Mass)
    }

    fn plain(row: &str, gas: Gas, figure: Figure) -> Line {
        Line {
            row: row.into(),
            set: row.into(),
            slot: Slot::Scope1,
            gas,
            biogenic: false,
            replaced: false,
            is_co2e: false,
            of_biomass: false,
            provisional: false,
            own: Ratio::ONE,
            network: None,
            of_biomass_share: None,
            figure,
            error: None,
        }
    }

    /// With the potentials of the meter's cluster and network.
    pub(crate) fn with_potentials(
        mut self,
        declared: &Declared,
        catalogue: &Catalogue,
        what: &str,
    ) -> Result<Line, MethodProblem> {
        if self.is_co2e || matches!(self.gas, Gas::Co2 | Gas::Co2e) {
            return Ok(self);
        }
        // The carbon of burned methane is counted as CO2 already; that of a leak is not.
        let fossil = declared.category == Category::Fugitive && !self.of_biomass;
        let potential = |gwp: GwpSet, fossil: bool| {
            let found = gwp.potential(catalogue, &self.gas, fossil);
            found.ok_or_else(|| {
                let known = known(catalogue, &self.gas);
                let near = if known.is_empty() { near(catalogue, &self.gas) } else { None };
                MethodProblem::NoPotential {
                    gas: format!("{} ({what})", self.gas.name()),
                    gwp: gwp.name(),
                    known,
                    near,
                }
            })
        };
        let both = |fossil: bool| -> Result<(Ratio, Option<Ratio>), MethodProblem> {
            let network = declared.network_gwp.map(|gwp| potential(gwp, fossil)).transpose()?;
            Ok((potential(declared.gwp, fossil)?, network))
        };
        let (fossil, biogenic) = (both(fossil)?, both(false)?);
        (self.own, self.network) = fossil;
        self.of_biomass_share = (self.slot == Slot::Scope1 && fossil != biogenic).then_some(biogenic);
        Ok(self)
    }

    /// What the factor is stated per, its table's own heat content, and its basis, if it has one.
    pub(crate) fn heating(&self) -> Option<(Denominator, HeatContent, Basis)> {
        match &self.figure {
            Figure::Row { per: Some(per), basis: Some(basis), heat_content, .. } => Some((*per, *heat_content, *basis)),
            _ => None,
        }
    }

    /// Adds the products of one base unit of what a meter measures.
    pub(crate) fn posts(
        &self,
        measured: Dimension,
        values: &Values,
        posts: &mut Vec<Post>,
    ) -> Result<(), MethodProblem> {
        let mg = self.milligrams(measured, values)?;
        let overflow = || MethodProblem::Overflow(self.set.to_string());
        let weighted = |potential: Ratio| mg.times(potential).ok_or_else(overflow);
        let (potential, of_network) = self.potentials(values).ok_or_else(overflow)?;
        let (own, network) = (weighted(potential)?, of_network.map(weighted).transpose()?);
        let mut post = |column: Column, own: Ratio, network: Option<Ratio>| {
            let potential = if column.is_weighted() { potential } else { Ratio::ONE };
            posts.push(Post { potential, ..self.post(column, own, network) });
        };
        if self.biogenic {
            // Once: bought energy has a location- and a market-based factor.
            if self.slot != Slot::Market {
                post(Column::BiogenicCo2, mg, None);
            }
            return Ok(());
        }
        let share = values.share(PropertyKind::BiomassShare).filter(|_| self.slot == Slot::Scope1);
        match (&self.gas, self.slot) {
            (Gas::Co2, Slot::Scope1) => {
                let fossil = match share {
                    None => mg,
                    Some(share) => {
                        let memo = mg.times(share).ok_or_else(overflow)?;
                        post(Column::BiogenicCo2, memo, None);
                        mg.minus(memo).ok_or_else(overflow)?
                    }
                };
                post(Column::Co2, fossil, None);
                post(Column::Scope1, fossil, None);
            }
            (Gas::Co2e, Slot::Scope1) if share.is_some() => {
                return Err(MethodProblem::Undivided(self.set.to_string()));
            }
            (gas, Slot::Scope1) => {
                match (gas, self.is_co2e) {
                    (Gas::Ch4, false) => post(Column::Ch4, mg, None),
                    (Gas::N2o, false) => post(Column::N2o, mg, None),
                    _ => {}
                }
                if let Some(family) = gas.family() {
                    post(column_of(family), own, network);
                }
                post(Column::Scope1, own, network);
            }
            (_, Slot::Location) => post(Column::Scope2Location, own, network),
            (_, Slot::Market) => post(Column::Scope2Market, own, network),
        }
        Ok(())
    }

    /// The potentials, mixed by the share of biomass where that matters.
    fn potentials(&self, values: &Values) -> Option<(Ratio, Option<Ratio>)> {
        let share = values.share(PropertyKind::BiomassShare);
        let Some((share, (own, network))) = share.zip(self.of_biomass_share) else {
            return Some((self.own, self.network));
        };
        let mixed =
            |fossil: Ratio, biogenic: Ratio| fossil.times(Ratio::ONE.minus(share)?)?.plus(biogenic.times(share)?);
        let network = match self.network.zip(network) {
            Some((fossil, biogenic)) => Some(mixed(fossil, biogenic)?),
            None => None,
        };
        Some((mixed(self.own, own)?, network))
    }

    fn post(&self, column: Column, own: Ratio, network: Option<Ratio>) -> Post {
        Post {
            column,
            own,
            network: network.filter(|network| *network != own),
            potential: Ratio::ONE,
            provisional: self.provisional,
            replaced: self.replaced && column != Column::BiogenicCo2,
            row: Arc::clone(&self.row),
            gas: self.gas.clone(),
            error: self.error,
        }
    }

    /// Milligrams of the gas for one base unit of what a meter measures.
    fn milligrams(&self, measured: Dimension, values: &Values) -> Result<Ratio, MethodProblem> {
        let overflow = || MethodProblem::Overflow(self.set.to_string());
        let no_path =
            |unit: &str| MethodProblem::NoPath { set: self.set.to_string(), unit: unit.to_owned(), measures: measured };
        match &self.figure {
            Figure::Row { mg, per, heat_content, unit, .. } => {
                let per = per.ok_or_else(|| no_path(unit))?;
                let reached = reach(measured, values, per, *heat_content).ok_or_else(|| no_path(unit))?;
                mg.times(reached.ratio).ok_or_else(overflow)
            }
            Figure::Carbon => {
                let (per, content) = values.per(PropertyKind::Carbon).ok_or_else(|| no_path("carbon"))?;
                let unit = || no_path(&format!("carbon/{}", per.noun()));
                let reached = reach(measured, values, Denominator::of(per), None).ok_or_else(unit)?;
                let (co2, carbon) = CO2_OF_CARBON;
                let mg = Ratio::new(co2, carbon * MICROGRAMS_A_MILLIGRAM).ok_or_else(overflow)?;
                content.times(reached.ratio).and_then(|carbon| carbon.times(mg)).ok_or_else(overflow)
            }
            Figure::Mass => {
                let mass = Denominator::of(Dimension::Mass);
                let reached = reach(measured, values, mass, None).ok_or_else(|| no_path("kg/kg"))?;
                reached.ratio.over(Ratio::whole(MICROGRAMS_A_MILLIGRAM)).ok_or_else(overflow)
            }
        }
    }
}

fn known(catalogue: &Catalogue, gas: &Gas) -> Vec<&'static str> {
    let sets = GwpSet::ALL.into_iter();
    sets.filter(|set| set.potential(catalogue, gas, false).is_some()).map(GwpSet::name).collect()
}

/// A gas that has a potential and is written almost like this one.
fn near(catalogue: &Catalogue, gas: &Gas) -> Option<String> {
    let letters = |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let wanted = letters(gas.name());
    let sets = GwpSet::ALL.into_iter().flat_map(|set| catalogue.set(&format!("gwp_{}", set.name())));
    let mut names = sets.map(|row| row.gas.name());
    let is_near = |name: &&str| letters(name).starts_with(&wanted) || wanted.starts_with(&letters(name));
    names.find(is_near).map(str::to_owned)
}

/// The column of a family's CO2e.
fn column_of(family: Family) -> Column {
    match family {
        Family::Hfc => Column::HfcCo2e,
        Family::Pfc => Column::PfcCo2e,
        Family::Sf6 => Column::Sf6Co2e,
        Family::Nf3 => Column::Nf3Co2e,
    }
}

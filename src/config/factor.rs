//! The factors of each meter: which series its category takes, and which rows may stand there.

use crate::cluster::{Category, FacilityIx, MeterIx};
use crate::config::account::AccountCheck;
use crate::config::meter::SUPPLIER;
use crate::config::problem::Severity;
use crate::config::value::Names;
use crate::emission::{Factors, Properties, PropertyKind, Slot, Special, Term};
use crate::factor::{Use, Vintages};
use crate::quantity::{Dimension, Zone};

const FUEL: &[Use] = &[Use::Inventory];
const GRID: &[Use] = &[Use::Grid];
const OWN_LOCATION: &[Use] = &[Use::Grid, Use::Inventory];
const RESIDUAL: &[Use] = &[Use::Residual, Use::Grid];
pub(crate) const OWN_MARKET: &[Use] = &[Use::Residual, Use::Grid, Use::Inventory];

impl AccountCheck<'_> {
    pub(crate) fn factors(
        &mut self,
        ix: MeterIx,
        special: &Special,
        properties: &Properties,
        zone: &Zone,
    ) -> Option<Factors> {
        let meter = self.topology.meter(ix);
        let has_carbon = properties.get(PropertyKind::Carbon).is_some();
        match meter.category {
            Category::CemsCo2 | Category::CapturedCo2 => {
                if meter.dimension != Dimension::Mass {
                    let message = "this is a mass of CO2, such as \"t\", \"short_ton\" or \"t/h\"".to_owned();
                    self.error("C008", "unit", message);
                }
                Some(Vec::new())
            }
            Category::StationaryCombustion | Category::MobileCombustion | Category::Process | Category::Fugitive => {
                let needless = has_carbon || self.section.gas.is_some();
                if self.section.gas.is_some() && (self.section.factor.is_some() || has_carbon) {
                    let message =
                        "`gas` says that the meter measures the gas itself: it takes neither `factor` nor `carbon`";
                    self.error("C006", "gas", message.to_owned());
                }
                let Some(names) = self.section.factor.clone() else {
                    if !needless {
                        let help = match meter.category {
                            Category::Fugitive => {
                                "`gas` for a gas that is measured itself, such as \"R-410A\" or \"CH4\"; or a factor series"
                            }
                            _ => {
                                "a factor series such as \"epa98_natural_gas\" (see `emissiond factors list`), or the fuel's `carbon`"
                            }
                        };
                        self.missing(if meter.category == Category::Fugitive { "gas" } else { "factor" }, help);
                        return None;
                    }
                    return Some(Vec::new());
                };
                Some(vec![self.term(Slot::Scope1, &names, zone, FUEL)?])
            }
            Category::PurchasedElectricity => self.electricity(meter.facility, meter.dimension, special, zone),
            Category::PurchasedSteam | Category::PurchasedHeat | Category::PurchasedCooling => {
                self.delivered(special, zone)
            }
            Category::Generation if special.sold => self.sold(meter.facility, zone),
            Category::Generation | Category::Export | Category::Production | Category::Property | Category::Memo => {
                Some(Vec::new())
            }
        }
    }

    fn term(&self, slot: Slot, names: &Names, zone: &Zone, allowed: &'static [Use]) -> Option<Term> {
        let names: Vec<String> = names.0.iter().filter(|name| *name != SUPPLIER).cloned().collect();
        // Unknown names are reported where they stand.
        let vintages = Vintages::of(self.declarations.catalogue, &names, zone).ok()?;
        Some(Term { slot, vintages, allowed })
    }

    /// The grid and the residual mix where a facility is.
    fn mixes(&self, facility: FacilityIx) -> (Option<Names>, Option<Names>) {
        let facility = self.topology.facility(facility);
        let cluster = self.topology.cluster(facility.cluster);
        let written = self.declarations.file.facilities.get(facility.id.as_str());
        let rules = self.declarations.cluster_rules.get(cluster.id.as_str());
        let grid = written.and_then(|f| f.grid.clone()).or_else(|| rules.and_then(|r| r.grid.clone()));
        let residual = written.and_then(|f| f.residual.clone()).or_else(|| rules.and_then(|r| r.residual.clone()));
        (grid, residual)
    }

    fn electricity(
        &mut self,
        facility: FacilityIx,
        dimension: Dimension,
        special: &Special,
        zone: &Zone,
    ) -> Option<Factors> {
        if dimension != Dimension::Energy {
            self.error("C008", "unit", "electricity is an energy, such as \"kWh\" or \"kW\"".to_owned());
            return None;
        }
        let section = self.section;
        let (grid, residual) = self.mixes(facility);
        let own = section.factor.clone();
        if special.purchase.is_some_and(|purchase| purchase.chp.is_some()) && self.only_supplier() {
            return Some(Vec::new());
        }
        let location = match (section.factor_location.clone(), &own, &grid) {
            (Some(names), _, _) => Some((names, OWN_LOCATION)),
            (None, Some(names), _) => Some((names.clone(), OWN_LOCATION)),
            (None, None, Some(names)) => Some((names.clone(), GRID)),
            (None, None, None) => None,
        };
        let Some(location) = location else {
            let message = format!("bought electricity of `{}` has no location-based factor", self.id);
            let help = "declare `grid` in its cluster or facility, or `factor_location` here".to_owned();
            let severity = Severity::Error;
            self.checker.push("C005", severity, &["meters", self.id], message, Some(help));
            return None;
        };
        let market = match (section.factor_market.clone(), own, residual) {
            (Some(names), _, _) => (names, OWN_MARKET),
            (None, Some(names), _) => (names, OWN_MARKET),
            (None, None, Some(names)) => (names, RESIDUAL),
            (None, None, None) => (location.0.clone(), OWN_MARKET),
        };
        let location = self.term(Slot::Location, &location.0, zone, location.1);
        let market = self.term(Slot::Market, &market.0, zone, market.1);
        Some(vec![location?, market?])
    }

    /// No factor but the supplier's own.
    fn only_supplier(&self) -> bool {
        let section = self.section;
        let mut names = [&section.factor, &section.factor_location, &section.factor_market].into_iter().flatten();
        names.all(|names| names.0 == [SUPPLIER])
    }

    /// Steam, heat and cooling: a plain factor serves both bases.
    fn delivered(&mut self, special: &Special, zone: &Zone) -> Option<Factors> {
        let section = self.section;
        if special.purchase.is_some_and(|purchase| purchase.chp.is_some()) && self.only_supplier() {
            return Some(Vec::new());
        }
        let location = section.factor_location.clone().or_else(|| section.factor.clone());
        let market = section.factor_market.clone().or_else(|| section.factor.clone());
        let (Some(location), Some(market)) = (location, market) else {
            let other = section.factor_location.is_some() || section.factor_market.is_some();
            let help = if other {
                "`factor_location` and `factor_market` are needed together; a plain `factor` serves both"
            } else {
                "such as \"epahub_steam\", or \"supplier\" where the supplier has a `[chp]`; a plain `factor` serves both bases"
            };
            self.missing("factor", help);
            return None;
        };
        let location = self.term(Slot::Location, &location, zone, OWN_LOCATION);
        let market = self.term(Slot::Market, &market, zone, OWN_MARKET);
        Some(vec![location?, market?])
    }

    /// Own generation whose certificates are sold takes the residual mix.
    fn sold(&mut self, facility: FacilityIx, zone: &Zone) -> Option<Factors> {
        let (grid, residual) = self.mixes(facility);
        let own = self.section.factor_market.clone();
        let Some(names) = own.or(residual).or(grid) else {
            self.missing(
                "factor_market",
                "what replaces the sold certificates; or `residual` in its cluster or facility",
            );
            return None;
        };
        Some(vec![self.term(Slot::Market, &names, zone, OWN_MARKET)?])
    }
}

//! What is bought from a member, and what is resold: who made it, and whether it is eliminated.

use crate::cluster::{Category, ClusterIx, FacilityIx, MeterIx};
use crate::config::account::AccountCheck;
use crate::config::meter::SUPPLIER;
use crate::config::value::Names;
use crate::emission::{Inside, Purchase};
use crate::factor::GwpSet;

/// Nobody in this configuration.
const OUTSIDE: &str = "outside";

impl AccountCheck<'_> {
    /// Whether it measures what is handed on to somebody.
    pub(crate) fn buyer(&mut self) -> bool {
        let Some(buyer) = &self.section.buyer else {
            return false;
        };
        if buyer != OUTSIDE && self.find_facility("buyer", buyer).is_none() {
            return false;
        }
        true
    }

    /// Bought from a member: made by it, or only resold.
    pub(crate) fn purchase(&mut self, ix: MeterIx) -> Option<Purchase> {
        let written = self.section.supplier.as_ref().filter(|written| *written != OUTSIDE);
        let plants = self.has_supplier_factor();
        let Some(written) = written else {
            if plants {
                self.missing("supplier", "the facility whose plant `factor = \"supplier\"` means");
            }
            return None;
        };
        let supplier = self.find_facility("supplier", written)?;
        let mine = self.topology.meter(ix).facility;
        let shared = self.section.allocate.as_ref().is_some_and(|shares| shares.contains_key(written));
        if supplier == mine || shared {
            self.error("C006", "supplier", format!("`{written}` cannot be its own supplier"));
            return None;
        }
        let chp = self.relations.chp_of.get(&supplier).copied();
        if plants && chp.is_none() {
            let message = format!(
                "`factor = \"supplier\"` needs a plant of `{written}`: declare `[chp.<id>]` with `facility = \"{written}\"`"
            );
            self.error("C009", "factor", message);
        }
        let (buyer_cluster, maker) = (self.topology.facility(mine).cluster, self.topology.facility(supplier).cluster);
        let network = |cluster| self.topology.cluster(cluster).network;
        let is_power = self.topology.meter(ix).category == Category::PurchasedElectricity;
        let resold = is_power && self.is_resale(written, mine);
        let eliminated = if resold {
            None
        } else if buyer_cluster == maker {
            Some(Inside::Cluster)
        } else {
            network(maker).filter(|n| Some(*n) == network(buyer_cluster)).map(|_| Inside::Network)
        };
        if plants && self.gwp_of(buyer_cluster) != self.gwp_of(maker) {
            let message = format!(
                "the plant of `{written}` is of a cluster that counts with another `gwp`: declare a factor, or one `gwp` for both"
            );
            self.error("C009", "factor", message);
        }
        let section = self.section;
        let own = |names: &Option<Names>| {
            names.as_ref().or(section.factor.as_ref()).is_some_and(|n| n.0.iter().any(|n| n == SUPPLIER))
        };
        let (by_location, by_market) = (own(&section.factor_location), own(&section.factor_market));
        let chp = chp.filter(|_| plants);
        Some(Purchase { supplier, eliminated, chp, by_location, by_market, resold: resold && chp.is_none() })
    }

    fn has_supplier_factor(&self) -> bool {
        let section = self.section;
        let names = [&section.factor, &section.factor_location, &section.factor_market].into_iter().flatten();
        names.flat_map(|names| &names.0).any(|name| name == SUPPLIER)
    }

    fn gwp_of(&self, cluster: ClusterIx) -> Option<GwpSet> {
        let id = self.topology.cluster(cluster).id.as_str();
        self.declarations.cluster_rules.get(id).map(|rules| rules.gwp)
    }

    /// The supplier measures what it resells to this facility.
    fn is_resale(&self, supplier: &str, buyer: FacilityIx) -> bool {
        let buyer = self.topology.facility(buyer).id.as_str();
        self.declarations.file.meters.values().any(|other| {
            other.category.as_deref() == Some(Category::PurchasedElectricity.name())
                && other.facility.as_deref() == Some(supplier)
                && other.buyer.as_deref() == Some(buyer)
        })
    }
}

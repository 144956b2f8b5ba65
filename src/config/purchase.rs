//! What is bought from a member, and what is resold: who made it, and whether it is eliminated.

use crate::cluster::{Category, FacilityIx, MeterIx};
use crate::config::account::AccountCheck;
use crate::config::meter::SUPPLIER;
use crate::emission::{Inside, Purchase};

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
        if supplier == mine {
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
        let eliminated = if self.is_resale(written, mine) {
            None
        } else if buyer_cluster == maker {
            Some(Inside::Cluster)
        } else {
            network(maker).filter(|n| Some(*n) == network(buyer_cluster)).map(|_| Inside::Network)
        };
        Some(Purchase { supplier, eliminated, chp: chp.filter(|_| plants) })
    }

    fn has_supplier_factor(&self) -> bool {
        let section = self.section;
        let names = [&section.factor, &section.factor_location, &section.factor_market].into_iter().flatten();
        names.flat_map(|names| &names.0).any(|name| name == SUPPLIER)
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

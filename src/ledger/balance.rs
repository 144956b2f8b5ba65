//! A sum in the cluster's GWP set, with the same sum in the network's where that differs.

use crate::emission::Tally;

/// What a window of an entity adds up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// In the entity's own GWP set.
    pub own: Tally,
    /// In its network's, where that differs.
    pub network: Option<Box<Tally>>,
}

impl Balance {
    /// Adds another balance of the same books.
    pub fn merge(&mut self, other: &Balance) {
        self.own.merge(&other.own);
        if let Some(theirs) = &other.network {
            self.network.get_or_insert_default().merge(theirs);
        }
    }

    /// The sum as the network counts it.
    pub fn as_network(&self) -> &Tally {
        self.network.as_deref().unwrap_or(&self.own)
    }
}

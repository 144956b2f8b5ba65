//! A sum as an entity counts it, and as those above it do where that differs.

use crate::emission::Tally;

/// What a window of an entity adds up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// As the entity counts.
    pub own: Tally,
    /// As its cluster counts it, where that differs: without what a member bought from another.
    pub cluster: Option<Box<Tally>>,
    /// As its network counts it, where that differs: in its GWP set, and without what was bought inside.
    pub network: Option<Box<Tally>>,
}

impl Balance {
    /// Adds another balance of the same books.
    pub fn merge(&mut self, other: &Balance) {
        // A part from before the views differed counts as it is.
        if self.cluster.is_some() || other.cluster.is_some() {
            let mut cluster = self.as_cluster().clone();
            cluster.merge(other.as_cluster());
            self.cluster = Some(Box::new(cluster));
        }
        if self.network.is_some() || other.network.is_some() {
            let mut network = self.as_network().clone();
            network.merge(other.as_network());
            self.network = Some(Box::new(network));
        }
        self.own.merge(&other.own);
    }

    /// Adds what a member adds to its cluster.
    pub fn merge_member(&mut self, member: &Balance) {
        if self.network.is_some() || member.network.is_some() {
            let mut network = self.as_network().clone();
            network.merge(member.as_network());
            self.network = Some(Box::new(network));
        }
        self.own.merge(member.as_cluster());
    }

    /// The sum as the cluster counts it.
    pub fn as_cluster(&self) -> &Tally {
        self.cluster.as_deref().unwrap_or(&self.own)
    }

    /// The sum as the network counts it.
    pub fn as_network(&self) -> &Tally {
        self.network.as_deref().unwrap_or(&self.own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emission::Column;

    fn balance(own: i128, network: Option<i128>) -> Balance {
        let tally = |mg| {
            let mut tally = Tally::default();
            tally.add(Column::Scope1, mg);
            tally
        };
        Balance { own: tally(own), cluster: None, network: network.map(|mg| Box::new(tally(mg))) }
    }

    #[test]
    fn parts_of_one_set_and_of_two_add_up_for_the_network() {
        for (first, second, expected) in
            [((100, None), (7, Some(9)), 109), ((7, Some(9)), (100, None), 109), ((1, None), (2, None), 3)]
        {
            let mut sum = balance(first.0, first.1);
            sum.merge(&balance(second.0, second.1));
            assert_eq!(sum.as_network().mg(Column::Scope1), expected);
            assert_eq!(sum.own.mg(Column::Scope1), first.0 + second.0);
        }
    }
}

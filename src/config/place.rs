//! Networks, clusters and facilities.

use std::collections::BTreeMap;

use crate::cluster::{Cluster, ClusterIx, Facility, FacilityIx, Network, NetworkIx, Topology};
use crate::config::checker::Checker;
use crate::config::file::{ClusterSection, File, GoalSection};
use crate::config::value::Names;
use crate::factor::{Catalogue, GwpSet};
use crate::quantity::Amount;

/// What a cluster decides for its members.
#[derive(Clone)]
pub(crate) struct ClusterRules {
    pub gwp: GwpSet,
    pub network_gwp: Option<GwpSet>,
    pub grid: Option<Names>,
    pub residual: Option<Names>,
}

impl Checker {
    fn gwp(&mut self, path: &[&str], written: Option<&String>) -> Option<GwpSet> {
        self.word(path, written, &[("ar4", GwpSet::Ar4), ("ar5", GwpSet::Ar5), ("ar6", GwpSet::Ar6)])
    }

    pub(crate) fn topology(
        &mut self,
        file: &File,
        catalogue: &Catalogue,
    ) -> (Topology, BTreeMap<String, ClusterRules>) {
        let default_gwp = self.gwp(&["factors", "gwp"], file.factors.gwp.as_ref()).unwrap_or(GwpSet::Ar6);
        let mut topology = Topology::default();
        let mut networks = BTreeMap::new();
        for (id, section) in &file.networks {
            let gwp = self.gwp(&["networks", id, "gwp"], section.gwp.as_ref()).unwrap_or(default_gwp);
            if let Some(parsed) = self.id("networks", id) {
                networks.insert(id.clone(), (NetworkIx(networks.len() as u32), gwp));
                topology.networks.push(Network { id: parsed, name: section.name.clone(), clusters: Vec::new() });
            }
        }
        let mut clusters = BTreeMap::new();
        let mut rules = BTreeMap::new();
        for (id, section) in &file.clusters {
            self.factor_names(&["clusters", id, "grid"], section.grid.as_ref(), catalogue);
            self.factor_names(&["clusters", id, "residual"], section.residual.as_ref(), catalogue);
            if let Some((cluster, cluster_rules)) = self.cluster(id, section, &networks, default_gwp) {
                let ix = ClusterIx(clusters.len() as u32);
                if let Some(network) = cluster.network {
                    topology.networks[network.0 as usize].clusters.push(ix);
                }
                clusters.insert(id.clone(), ix);
                rules.insert(id.clone(), cluster_rules);
                topology.clusters.push(cluster);
            }
        }
        let mut facilities = 0;
        for (id, section) in &file.facilities {
            let parsed = self.id("facilities", id);
            self.factor_names(&["facilities", id, "grid"], section.grid.as_ref(), catalogue);
            self.factor_names(&["facilities", id, "residual"], section.residual.as_ref(), catalogue);
            let Some(written) = &section.cluster else {
                self.missing(&["facilities", id, "cluster"], "name the cluster it is a member of");
                continue;
            };
            if file.clusters.contains_key(written) && !clusters.contains_key(written) {
                // The cluster has a problem of its own, which is reported there.
                continue;
            }
            let cluster = self.reference(&["facilities", id, "cluster"], written, &clusters, "clusters");
            if let (Some(parsed), Some(cluster)) = (parsed, cluster) {
                topology.clusters[cluster.0 as usize].facilities.push(FacilityIx(facilities));
                let name = section.name.clone();
                let (meters, inputs) = (Vec::new(), Vec::new());
                topology.facilities.push(Facility { id: parsed, name, cluster, meters, inputs });
                facilities += 1;
            }
        }
        (topology, rules)
    }

    fn cluster(
        &mut self,
        id: &str,
        section: &ClusterSection,
        networks: &BTreeMap<String, (NetworkIx, GwpSet)>,
        default_gwp: GwpSet,
    ) -> Option<(Cluster, ClusterRules)> {
        let parsed = self.id("clusters", id);
        let zone = match &section.timezone {
            Some(name) => self.zone(&["clusters", id, "timezone"], name),
            None => {
                self.missing(
                    &["clusters", id, "timezone"],
                    "an IANA name such as \"Europe/Paris\"; its days and months follow it",
                );
                None
            }
        };
        let written = section.network.as_ref();
        let network = written.and_then(|name| self.reference(&["clusters", id, "network"], name, networks, "networks"));
        let gwp = self.gwp(&["clusters", id, "gwp"], section.gwp.as_ref()).unwrap_or(default_gwp);
        self.goal(&["clusters", id, "baseline"], section.baseline.as_ref());
        self.goal(&["clusters", id, "target"], section.target.as_ref());
        let rules = ClusterRules {
            gwp,
            network_gwp: network.map(|(_, set)| set).filter(|set| *set != gwp),
            grid: section.grid.clone(),
            residual: section.residual.clone(),
        };
        let network = network.map(|(ix, _)| ix);
        Some((Cluster { id: parsed?, name: section.name.clone(), network, zone: zone?, facilities: Vec::new() }, rules))
    }

    fn goal(&mut self, path: &[&str], goal: Option<&GoalSection>) {
        let Some(goal) = goal else {
            return;
        };
        let key = |name: &'static str| -> Vec<&str> { path.iter().copied().chain([name]).collect() };
        match goal.year {
            None => self.missing(&key("year"), "such as `year = 2021`"),
            Some(year) if !(1990..=2100).contains(&year) => {
                self.error("C006", &key("year"), format!("`year` is {year}; expected 1990 to 2100"));
            }
            Some(_) => {}
        }
        match goal.value.as_deref().map(Amount::parse) {
            None => self.missing(&key("value"), "such as `value = \"16 Mt\"`"),
            Some(Err(problem)) => self.error("C008", &key("value"), problem.to_string()),
            Some(Ok(_)) => {}
        }
        for scope in goal.scopes.iter().flatten().filter(|s| !(1..=2).contains(*s)) {
            self.error("C006", &key("scopes"), format!("scope {scope} is not kept here; scopes are 1 and 2"));
        }
        if let Some(gas) = goal.gas.as_ref().filter(|g| *g != "CO2" && *g != "CO2e") {
            self.not_one_of(&key("gas"), gas, &["CO2", "CO2e"]);
        }
    }
}

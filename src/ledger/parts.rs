//! What an entry is the sum of, and which stored entries must be at hand before it can be added up.

use crate::cluster::{Entity, FacilityIx, Topology};
use crate::ledger::Key;
use crate::quantity::{Quarter, Time, Window};

/// The entries of one entity and window that begin in `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    /// Whose.
    pub entity: Entity,
    /// The length of window.
    pub window: Window,
    /// The first start,
    pub from: Time,
    /// and the end of starts.
    pub to: Time,
}

/// The facility, its cluster and its network: whose entries a facility's quarter changes.
pub(crate) fn chain(topology: &Topology, facility: FacilityIx) -> Vec<Entity> {
    let cluster = topology.facility(facility).cluster;
    let network = topology.cluster(cluster).network.map(Entity::Network);
    [Entity::Facility(facility), Entity::Cluster(cluster)].into_iter().chain(network).collect()
}

/// The members whose sum an entity is, in its quarters.
pub(crate) fn members(topology: &Topology, entity: Entity) -> Vec<Entity> {
    match entity {
        Entity::Meter(_) | Entity::Facility(_) => Vec::new(),
        Entity::Cluster(ix) => topology.cluster(ix).facilities.iter().map(|f| Entity::Facility(*f)).collect(),
        Entity::Network(ix) => topology.network(ix).clusters.iter().map(|c| Entity::Cluster(*c)).collect(),
    }
}

/// The windows longer than a quarter that hold it, finest first.
pub(crate) fn holders(topology: &Topology, entity: Entity, quarter: Quarter) -> [Key; 4] {
    let zone = topology.zone(entity);
    [Window::Hour, Window::Day, Window::Month, Window::Year].map(|window| {
        let start = zone.start(window, quarter.start());
        Key { entity, window, start }
    })
}

/// A network's day, month or year: the clusters' periods of the same date.
pub(crate) fn same_date(topology: &Topology, key: Key) -> Option<Vec<Key>> {
    let Entity::Network(ix) = key.entity else {
        return None;
    };
    if key.window < Window::Day {
        return None;
    }
    let utc = topology.zone(key.entity);
    let periods = topology.network(ix).clusters.iter().map(|c| {
        let entity = Entity::Cluster(*c);
        Key { entity, start: utc.same_date(key.start, topology.zone(entity)), ..key }
    });
    Some(periods.collect())
}

/// The network's windows that a cluster's quarter changes: by date of the cluster's own zone from a day up.
pub(crate) fn network_holders(topology: &Topology, cluster: Entity, network: Entity, quarter: Quarter) -> [Key; 4] {
    let (local, utc) = (topology.zone(cluster), topology.zone(network));
    [Window::Hour, Window::Day, Window::Month, Window::Year].map(|window| {
        let start = match window {
            Window::Hour => utc.start(window, quarter.start()),
            _ => local.same_date(local.start(window, quarter.start()), utc),
        };
        Key { entity: network, window, start }
    })
}

/// Every stored entry that adding up a facility's quarter may read or change.
pub(crate) fn ranges(topology: &Topology, facility: FacilityIx, quarter: Quarter) -> Vec<Range> {
    let cluster = Entity::Cluster(topology.facility(facility).cluster);
    let mut ranges = Vec::new();
    for entity in chain(topology, facility) {
        for of in members(topology, entity).into_iter().chain([entity]) {
            for window in [Window::Minute, Window::Quarter] {
                ranges.push(Range { entity: of, window, from: quarter.start(), to: quarter.end() });
            }
        }
        let holders = match entity {
            Entity::Network(_) => network_holders(topology, cluster, entity, quarter),
            _ => holders(topology, entity, quarter),
        };
        for key in holders {
            ranges.extend(parts(topology, key));
        }
    }
    ranges
}

/// The entry itself, and what it is the sum of.
fn parts(topology: &Topology, key: Key) -> Vec<Range> {
    let single = |k: Key| Range { entity: k.entity, window: k.window, from: k.start, to: Time(k.start.0 + 1) };
    let mut ranges = vec![single(key)];
    match (same_date(topology, key), key.window.child()) {
        (Some(periods), _) => ranges.extend(periods.into_iter().map(single)),
        (None, Some(window)) => {
            ranges.push(Range { entity: key.entity, window, from: key.start, to: key.end(topology) });
        }
        (None, None) => {}
    }
    ranges
}

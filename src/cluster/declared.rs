//! Networks, clusters and facilities, and who belongs to whom.

use crate::cluster::{Meter, MeterIx};
use crate::quantity::{Id, Time, Window, Zone};

/// The position of a network in its [`Topology`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkIx(pub u32);

/// The position of a cluster in its [`Topology`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterIx(pub u32);

/// The position of a facility in its [`Topology`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FacilityIx(pub u32);

/// The four levels of a rollup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// One meter.
    Meter,
    /// One member of a cluster.
    Facility,
    /// A cluster.
    Cluster,
    /// Clusters together.
    Network,
}

impl Level {
    /// In the order entries are printed.
    pub const ALL: [Level; 4] = [Level::Meter, Level::Facility, Level::Cluster, Level::Network];

    /// As written in entries and tags.
    pub fn name(self) -> &'static str {
        match self {
            Level::Meter => "meter",
            Level::Facility => "facility",
            Level::Cluster => "cluster",
            Level::Network => "network",
        }
    }

    /// The section of the configuration that declares entities of this level.
    pub fn section(self) -> &'static str {
        match self {
            Level::Meter => "meters",
            Level::Facility => "facilities",
            Level::Cluster => "clusters",
            Level::Network => "networks",
        }
    }

    /// Reads [`Level::name`].
    pub fn parse(text: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|l| l.name() == text)
    }
}

/// Whose an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// A meter; its entries are derived on read.
    Meter(MeterIx),
    /// A facility.
    Facility(FacilityIx),
    /// A cluster.
    Cluster(ClusterIx),
    /// A network.
    Network(NetworkIx),
}

impl Entity {
    /// The level of the entity.
    pub fn level(self) -> Level {
        match self {
            Entity::Meter(_) => Level::Meter,
            Entity::Facility(_) => Level::Facility,
            Entity::Cluster(_) => Level::Cluster,
            Entity::Network(_) => Level::Network,
        }
    }
}

/// A network of clusters.
#[derive(Clone, Debug)]
pub struct Network {
    /// Unique among networks.
    pub id: Id,
    /// A name for people.
    pub name: Option<String>,
    /// Its clusters.
    pub clusters: Vec<ClusterIx>,
}

/// A cluster of facilities.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Unique among clusters.
    pub id: Id,
    /// A name for people.
    pub name: Option<String>,
    /// The network it belongs to.
    pub network: Option<NetworkIx>,
    /// Its windows' time zone.
    pub zone: Zone,
    /// Its members.
    pub facilities: Vec<FacilityIx>,
}

/// A member of a cluster.
#[derive(Clone, Debug)]
pub struct Facility {
    /// Unique among facilities.
    pub id: Id,
    /// A name for people.
    pub name: Option<String>,
    /// The cluster it belongs to.
    pub cluster: ClusterIx,
    /// Its meters, shared ones among them.
    pub meters: Vec<MeterIx>,
    /// Every meter that its figures are worked out from, sorted: its own, and what these depend on.
    pub inputs: Vec<MeterIx>,
}

/// Everything declared, sorted by id at each level.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    /// The networks.
    pub networks: Vec<Network>,
    /// The clusters.
    pub clusters: Vec<Cluster>,
    /// The facilities.
    pub facilities: Vec<Facility>,
    /// The meters.
    pub meters: Vec<Meter>,
}

/// What the figures of an id mean: as long as `key` stays the same, old and new ones may stand together. It is stored, and its
/// form must not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What is compared.
    pub key: String,
    /// The same for people.
    pub text: String,
}

static NETWORK_ZONE: Zone = Zone::UTC;

impl Topology {
    /// The network at an index of this topology.
    pub fn network(&self, ix: NetworkIx) -> &Network {
        &self.networks[ix.0 as usize]
    }

    /// The cluster at an index of this topology.
    pub fn cluster(&self, ix: ClusterIx) -> &Cluster {
        &self.clusters[ix.0 as usize]
    }

    /// The facility at an index of this topology.
    pub fn facility(&self, ix: FacilityIx) -> &Facility {
        &self.facilities[ix.0 as usize]
    }

    /// The meter at an index of this topology.
    pub fn meter(&self, ix: MeterIx) -> &Meter {
        &self.meters[ix.0 as usize]
    }

    /// Finds a meter by its id.
    pub fn find_meter(&self, id: &str) -> Option<MeterIx> {
        let found = self.meters.binary_search_by(|m| m.id.as_str().cmp(id)).ok()?;
        u32::try_from(found).ok().map(MeterIx)
    }

    /// Finds an entity by level and id.
    pub fn find(&self, level: Level, id: &str) -> Option<Entity> {
        let position = |found: Result<usize, usize>| found.ok().and_then(|i| u32::try_from(i).ok());
        match level {
            Level::Meter => self.find_meter(id).map(Entity::Meter),
            Level::Facility => position(self.facilities.binary_search_by(|f| f.id.as_str().cmp(id)))
                .map(|i| Entity::Facility(FacilityIx(i))),
            Level::Cluster => position(self.clusters.binary_search_by(|c| c.id.as_str().cmp(id)))
                .map(|i| Entity::Cluster(ClusterIx(i))),
            Level::Network => position(self.networks.binary_search_by(|n| n.id.as_str().cmp(id)))
                .map(|i| Entity::Network(NetworkIx(i))),
        }
    }

    /// All facilities, clusters and networks, in the order entries are printed.
    pub fn entities(&self) -> Vec<Entity> {
        let facilities = (0u32..).zip(&self.facilities).map(|(i, _)| Entity::Facility(FacilityIx(i)));
        let clusters = (0u32..).zip(&self.clusters).map(|(i, _)| Entity::Cluster(ClusterIx(i)));
        let networks = (0u32..).zip(&self.networks).map(|(i, _)| Entity::Network(NetworkIx(i)));
        facilities.chain(clusters).chain(networks).collect()
    }

    /// The id of an entity.
    pub fn id(&self, entity: Entity) -> &Id {
        match entity {
            Entity::Meter(ix) => &self.meter(ix).id,
            Entity::Facility(ix) => &self.facility(ix).id,
            Entity::Cluster(ix) => &self.cluster(ix).id,
            Entity::Network(ix) => &self.network(ix).id,
        }
    }

    /// The meters of an entity.
    pub fn meters_of(&self, entity: Entity) -> Vec<MeterIx> {
        let facilities = |ix: &ClusterIx| self.cluster(*ix).facilities.iter().flat_map(|f| &self.facility(*f).meters);
        match entity {
            Entity::Meter(ix) => vec![ix],
            Entity::Facility(ix) => self.facility(ix).meters.clone(),
            Entity::Cluster(ix) => facilities(&ix).copied().collect(),
            Entity::Network(ix) => self.network(ix).clusters.iter().flat_map(facilities).copied().collect(),
        }
    }

    /// What the figures of an entity's id mean. `None`: a network's are what its clusters' are.
    pub fn identity(&self, entity: Entity) -> Option<Identity> {
        match entity {
            Entity::Meter(ix) => {
                let meter = self.meter(ix);
                Some(meter.identity(&self.facility(meter.facility).id))
            }
            Entity::Facility(ix) => {
                let cluster = &self.cluster(self.facility(ix).cluster).id;
                Some(Identity { key: format!("1 {cluster}"), text: format!("of cluster {cluster}") })
            }
            Entity::Cluster(ix) => {
                let zone = self.cluster(ix).zone.name();
                Some(Identity { key: format!("1 {zone}"), text: format!("in time zone {zone}") })
            }
            Entity::Network(_) => None,
        }
    }

    /// The zone of an entity's windows: the cluster's; UTC for a network.
    pub fn zone(&self, entity: Entity) -> &Zone {
        match entity {
            Entity::Meter(ix) => self.zone(Entity::Facility(self.meter(ix).facility)),
            Entity::Facility(ix) => &self.cluster(self.facility(ix).cluster).zone,
            Entity::Cluster(ix) => &self.cluster(ix).zone,
            Entity::Network(_) => &NETWORK_ZONE,
        }
    }

    /// The end of an entity's window. A network's day, month and year last until its last cluster's period of that date
    /// is over.
    pub fn window_end(&self, entity: Entity, window: Window, start: Time) -> Time {
        let own = self.zone(entity).end(window, start);
        let Entity::Network(ix) = entity else {
            return own;
        };
        if window < Window::Day {
            return own;
        }
        let local = |c: &ClusterIx| {
            let zone = &self.cluster(*c).zone;
            zone.end(window, NETWORK_ZONE.same_date(start, zone))
        };
        self.network(ix).clusters.iter().map(local).max().unwrap_or(own)
    }

    /// The cluster an entity belongs to. `None` for a network.
    pub fn cluster_of(&self, entity: Entity) -> Option<ClusterIx> {
        match entity {
            Entity::Meter(ix) => Some(self.facility(self.meter(ix).facility).cluster),
            Entity::Facility(ix) => Some(self.facility(ix).cluster),
            Entity::Cluster(ix) => Some(ix),
            Entity::Network(_) => None,
        }
    }

    /// No meter of the entity comes or goes within `(from, to)`: its valid time is the same in all parts of that.
    pub fn is_steady(&self, entity: Entity, from: Time, to: Time) -> bool {
        let within = |edge: Time| from < edge && edge < to;
        match entity {
            Entity::Meter(ix) => !within(self.meter(ix).valid_from) && !within(self.meter(ix).valid_to),
            Entity::Facility(ix) => {
                self.facility(ix).meters.iter().all(|meter| self.is_steady(Entity::Meter(*meter), from, to))
            }
            Entity::Cluster(ix) => {
                self.cluster(ix).facilities.iter().all(|f| self.is_steady(Entity::Facility(*f), from, to))
            }
            Entity::Network(ix) => {
                self.network(ix).clusters.iter().all(|c| self.is_steady(Entity::Cluster(*c), from, to))
            }
        }
    }

    /// The milliseconds of valid meter time in `[from, to)`: the denominator of coverage.
    pub fn valid_ms(&self, entity: Entity, from: Time, to: Time) -> i64 {
        match entity {
            Entity::Meter(ix) if self.meter(ix).covers_time() => self.meter(ix).valid_ms(from, to),
            Entity::Meter(_) => 0,
            Entity::Facility(ix) => {
                let counted = self.facility(ix).meters.iter().filter(|m| !self.meter(**m).category.is_memo());
                counted.map(|m| self.valid_ms(Entity::Meter(*m), from, to)).sum()
            }
            Entity::Cluster(ix) => {
                self.cluster(ix).facilities.iter().map(|f| self.valid_ms(Entity::Facility(*f), from, to)).sum()
            }
            Entity::Network(ix) => {
                self.network(ix).clusters.iter().map(|c| self.valid_ms(Entity::Cluster(*c), from, to)).sum()
            }
        }
    }
}

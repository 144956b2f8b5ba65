//! What a rule can watch.

use crate::alert::Subject;
use crate::cluster::{Entity, Topology};
use crate::quantity::{Id, Zone};

/// A part of the daemon or of what it hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The broker's session.
    Broker,
    /// The database.
    Database,
    /// Room for the store.
    Disk,
    /// The system's clock.
    Clock,
    /// Those that are told of alarms.
    Notifiers,
    /// How long certificates are valid yet.
    Certificates,
}

impl Part {
    /// As written.
    pub const NAMES: [(&str, Part); 6] = [
        ("broker", Part::Broker),
        ("database", Part::Database),
        ("disk", Part::Disk),
        ("clock", Part::Clock),
        ("notifiers", Part::Notifiers),
        ("certificates", Part::Certificates),
    ];

    fn name(self) -> &'static str {
        Part::NAMES.iter().find(|(_, part)| *part == self).map_or("", |(name, _)| name)
    }
}

/// What a rule watches, each for itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Watched {
    /// A meter, or what lies above.
    Entity(Entity),
    /// All meters behind a gateway.
    Gateway(String),
    /// A transfer with its two meters.
    Transfer(Id),
    /// A part of the daemon.
    Part(Part),
}

impl Watched {
    /// `facility/steelworks`, `gateway/gw-1`, `transfer/steam`, `daemon/broker`.
    pub fn text(&self, topology: &Topology) -> String {
        match self {
            Watched::Entity(entity) => format!("{}/{}", entity.level().name(), topology.id(*entity)),
            Watched::Gateway(gateway) => format!("gateway/{gateway}"),
            Watched::Transfer(transfer) => format!("transfer/{transfer}"),
            Watched::Part(part) => format!("daemon/{}", part.name()),
        }
    }

    /// What the books know it as.
    pub fn entity(&self) -> Option<Entity> {
        match self {
            Watched::Entity(entity) => Some(*entity),
            Watched::Gateway(_) | Watched::Transfer(_) | Watched::Part(_) => None,
        }
    }

    /// By which local time its windows lie.
    pub fn zone<'t>(&self, topology: &'t Topology) -> &'t Zone {
        const UTC: &Zone = &Zone::UTC;
        match self {
            Watched::Entity(entity) => topology.zone(*entity),
            Watched::Gateway(_) | Watched::Transfer(_) | Watched::Part(_) => UTC,
        }
    }

    /// What an alarm of it says that it is about.
    pub fn subject(&self, topology: &Topology) -> Subject {
        let entity = self.entity();
        let facility = entity.and_then(|entity| match entity {
            Entity::Meter(meter) => Some(topology.meter(meter).facility),
            Entity::Facility(facility) => Some(facility),
            Entity::Cluster(_) | Entity::Network(_) => None,
        });
        let cluster = entity.and_then(|entity| topology.cluster_of(entity));
        Subject {
            entity: self.text(topology),
            facility: facility.map(|facility| topology.facility(facility).id.to_string()),
            cluster: cluster.map(|cluster| topology.cluster(cluster).id.to_string()),
        }
    }
}

//! Which meters lie under what a rule may watch; worked out once for all rules.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::{Entity, FacilityIx, Kind, Level, MeterIx, Topology};
use crate::quantity::Span;

/// The meters of each entity, as far as rules ask.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// The meter itself, and all that it is a part of; by meter index.
    above: Vec<Vec<Entity>>,
    /// Meters of amounts at an instant.
    events: BTreeMap<Entity, Vec<MeterIx>>,
    /// What has meters of another kind that are booked.
    timed: BTreeSet<Entity>,
    /// The longest time between two readings of a meter; one of amounts at an instant has none.
    slowest: BTreeMap<Entity, Span>,
}

impl Members {
    pub(crate) fn new(topology: &Topology) -> Members {
        let mut members = Members { above: vec![Vec::new(); topology.meters.len()], ..Members::default() };
        for (at, facility) in (0u32..).zip(&topology.facilities) {
            let facility_and_up = up(topology, Entity::Facility(FacilityIx(at)));
            for MeterIx(ix) in &facility.meters {
                if let Some(above) = members.above.get_mut(*ix as usize) {
                    above.extend(facility_and_up.iter().copied());
                }
            }
        }
        for (ix, meter) in (0u32..).zip(&topology.meters) {
            let above = &mut members.above[ix as usize];
            above.push(Entity::Meter(MeterIx(ix)));
            above.sort_unstable();
            above.dedup();
            for entity in above.iter() {
                if meter.kind == Kind::Event {
                    members.events.entry(*entity).or_default().push(MeterIx(ix));
                    continue;
                }
                let slowest = members.slowest.entry(*entity).or_insert(meter.expected_every);
                *slowest = meter.expected_every.max(*slowest);
                if !meter.category.is_memo() {
                    members.timed.insert(*entity);
                }
            }
        }
        members
    }

    /// The entity itself and all that it is a part of.
    pub(crate) fn above(&self, topology: &Topology, entity: Entity) -> Vec<Entity> {
        match entity {
            Entity::Meter(MeterIx(ix)) => self.above.get(ix as usize).cloned().unwrap_or_default(),
            _ => up(topology, entity),
        }
    }

    /// All entities of a level.
    pub(crate) fn of_level(topology: &Topology, level: Level) -> Vec<Entity> {
        let meters = (0u32..).zip(&topology.meters).map(|(ix, _)| Entity::Meter(MeterIx(ix)));
        meters.chain(topology.entities()).filter(|entity| entity.level() == level).collect()
    }

    /// Its meters of amounts at an instant.
    pub(crate) fn events(&self, entity: Entity) -> &[MeterIx] {
        self.events.get(&entity).map_or(&[], Vec::as_slice)
    }

    /// Whether it has other meters that are booked.
    pub(crate) fn is_timed(&self, entity: Entity) -> bool {
        self.timed.contains(&entity)
    }

    /// The longest time between two readings of a meter of these.
    pub(crate) fn slowest(&self, entities: &[Entity]) -> Option<Span> {
        entities.iter().filter_map(|entity| self.slowest.get(entity).copied()).max()
    }
}

/// What is above the meters: the entity itself, its cluster and its network.
fn up(topology: &Topology, entity: Entity) -> Vec<Entity> {
    let mut chain = vec![entity];
    if let Some(cluster) = topology.cluster_of(entity) {
        chain.push(Entity::Cluster(cluster));
        chain.extend(topology.cluster(cluster).network.map(Entity::Network));
    }
    chain.dedup();
    chain
}

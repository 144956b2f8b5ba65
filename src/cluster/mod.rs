//! The cluster as declared: networks, clusters, facilities, meters, and what each meter's number means.
//!
//! Entities are addressed by index; indices are positions in the sorted ids of one plan and are never stored.

mod declared;
mod meter;

pub use declared::{Cluster, ClusterIx, Entity, Facility, FacilityIx, Identity, Level, Network, NetworkIx, Topology};
pub use meter::{Category, Kind, Meter, MeterIx, Reset, Shape, Stamp};

//! What the pipeline is told once: the part of the plan that decides figures.

use std::sync::Arc;

use crate::cluster::{FacilityIx, Kind, Meter, MeterIx, Stamp, Topology};
use crate::decode::Routes;
use crate::emission::Method;
use crate::quantity::Span;

/// The declarations and methods that turn messages into entries.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Who belongs to whom.
    pub topology: Arc<Topology>,
    /// Which meters listen to which topic.
    pub routes: Routes,
    /// How each meter's activity becomes emissions, by meter index.
    pub methods: Vec<Arc<Method>>,
    /// Whether a cluster's network counts in another GWP set, by cluster index.
    pub two_sets: Vec<bool>,
    /// A reading that arrives later than this after its time is not booked.
    pub late_horizon: Span,
    /// A window closes this long after its end.
    pub close_after: Span,
}

impl Rules {
    /// The method of a meter.
    pub fn method(&self, ix: MeterIx) -> &Method {
        &self.methods[ix.0 as usize]
    }

    /// Whether a facility's books are kept in two GWP sets.
    pub fn has_two_sets(&self, facility: FacilityIx) -> bool {
        let cluster = self.topology.facility(facility).cluster;
        self.two_sets.get(cluster.0 as usize).copied().unwrap_or(false)
    }

    /// How long before the first open quarter a message may have arrived and still matter to it: clocks that run ahead,
    /// and intervals stamped with their start.
    pub fn lookback(&self) -> Span {
        let reach = |meter: &Meter| match meter.kind {
            Kind::Interval { length, stamp: Stamp::Start } => length.0,
            _ => 0,
        };
        let longest = self.topology.meters.iter().map(reach).max().unwrap_or(0);
        Span(longest + Span::minutes(5).0)
    }
}

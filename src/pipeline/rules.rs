//! What the pipeline is told once: the part of the plan that decides figures.

use std::sync::Arc;

use crate::cluster::{Kind, Meter, Stamp, Topology};
use crate::decode::Routes;
use crate::emission::Accounts;
use crate::quantity::Span;

/// The declarations and methods that turn messages into entries.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Who belongs to whom.
    pub topology: Arc<Topology>,
    /// Which meters listen to which topic.
    pub routes: Routes,
    /// How activity becomes emissions.
    pub accounts: Accounts,
    /// A reading that arrives later than this after its time is not booked.
    pub late_horizon: Span,
    /// A window closes this long after its end.
    pub close_after: Span,
}

impl Rules {
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

//! The checked configuration: what each room is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::alert;
use crate::decode::Mapping;
use crate::factor::{Catalogue, GwpSet};
use crate::influx;
use crate::mqtt;
use crate::notify;
use crate::pipeline::Rules;
use crate::quantity::Span;
use crate::tls;

/// Everything the daemon needs to know, free of mistakes.
#[derive(Debug)]
pub struct Plan {
    /// What decides figures.
    pub rules: Arc<Rules>,
    /// What raises alarms.
    pub alarms: Arc<[alert::Rule]>,
    /// How calm it is kept.
    pub calm: alert::Calm,
    /// Who is told of them.
    pub notifiers: Vec<notify::Options>,
    /// How each meter's readings are found in its payloads, by meter index.
    pub mappings: Vec<Mapping>,
    /// The potentials each cluster counts with, by cluster index.
    pub gwp: Vec<GwpSet>,
    /// The factors, shipped and the user's.
    pub catalogue: Arc<Catalogue>,
    /// The process.
    pub daemon: Daemon,
    /// The broker.
    pub mqtt: mqtt::Options,
    /// The database, if any.
    pub influx: Option<influx::Options>,
    /// Whether gateways are asked for births that are lacking: else the daemon only listens.
    pub rebirth_requests: bool,
    /// How long things are kept.
    pub retention: Retention,
    /// No meter exists: said wherever figures are shown.
    pub simulated: bool,
    /// What each part of the configuration says, as a print of it: by section, and id or key.
    pub parts: Parts,
    /// Identifies the plan: SHA-256 of the merged configuration and the factor files.
    pub hash: String,
}

/// Prints of the parts of a configuration, by section, and id or key.
pub type Parts = BTreeMap<(String, String), u64>;

/// HTTP over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Https {
    /// Where.
    pub address: SocketAddr,
    /// Who we are.
    pub files: tls::ServerFiles,
}

/// The process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Where the store is.
    pub state_dir: PathBuf,
    /// Where the HTTP server listens.
    pub http: SocketAddr,
    /// Where the token is that changes over HTTP must show.
    pub token_file: Option<PathBuf>,
    /// Where it listens besides, over TLS.
    pub https: Option<Https>,
}

/// How long things are kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Received messages; shorter than `late_horizon` will do, since the ledger keeps what a late reading may change.
    pub journal_keep: Span,
    /// The most the journal may take.
    pub journal_max_bytes: u64,
    /// Activity by quarter.
    pub keep_activity: Span,
}

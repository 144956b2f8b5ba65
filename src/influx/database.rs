//! What is asked of a database, and what its answers mean for the next request.

use std::future::Future;
use std::time::Duration;

/// One bucket of a database.
pub trait Database: Send + Sync {
    /// Sends lines; a repetition overwrites.
    fn write(&self, lines: &str) -> impl Future<Output = Result<(), WriteError>> + Send;

    /// Asks in Flux; the answer is annotated CSV.
    fn query(&self, flux: &str) -> impl Future<Output = Result<String, QueryError>> + Send;

    /// How long the bucket keeps points: the seconds of its shortest rule, 0 for ever. `None`: it does not say. An error: it
    /// was not told, as InfluxDB 1 and others have no buckets.
    fn retention_seconds(&self, bucket: &str) -> impl Future<Output = Result<Option<i64>, QueryError>> + Send;
}

/// Why a batch is not known to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// Send it later: the database is away, busy, or does not let us in.
    Later {
        /// What it said.
        trouble: String,
        /// How long it asks us to wait.
        after: Option<Duration>,
        /// No answer came: the lines may be stored, now or still to come.
        in_doubt: bool,
    },
    /// The server failed at it; a batch that does so again and again is halved.
    Broken(String),
    /// Send it in smaller parts: too large, or one of its lines will not be taken.
    Split(String),
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Ask again later.
    #[error("{0}")]
    Away(String),
    /// The database does not speak Flux, or does not let us read.
    #[error("{0}")]
    Refused(String),
}

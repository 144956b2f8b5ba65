//! What the database writer is told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::cluster::Level;
use crate::quantity::Window;

/// The bucket, and what goes into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `http://host:port`.
    pub url: String,
    /// The organisation.
    pub org: String,
    /// The bucket.
    pub bucket: String,
    /// The file that holds the token.
    pub token_file: Option<PathBuf>,
    /// Which windows of which level are written.
    pub windows: BTreeMap<Level, Vec<Window>>,
    /// Whether activity is written too.
    pub activity: bool,
}

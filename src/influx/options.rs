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

impl Options {
    /// The length of the longest window that is written.
    pub(crate) fn longest_seconds(&self) -> i64 {
        let longest = self.windows.values().flatten().max();
        longest.map_or(0, |window| match window {
            Window::Minute => 60,
            Window::Quarter => 900,
            Window::Hour => 3_600,
            Window::Day => 25 * 3_600,
            Window::Month => 31 * 86_400,
            Window::Year => 366 * 86_400,
        })
    }
}

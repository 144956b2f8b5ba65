//! What the database writer needs of the process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::influx::Health;
use crate::ledger::Entry;
use crate::quantity::{Time, Window};
use crate::store::{Cursors, Reader, StoreError};

/// Asks the desk for the open entries of these windows.
pub type AskOpen = Arc<dyn Fn(Vec<Window>, oneshot::Sender<Vec<Entry>>) + Send + Sync>;

/// What the writer needs of the process.
pub struct World {
    /// The state directory.
    pub state: PathBuf,
    /// The name of the state directory.
    pub incarnation: String,
    /// When the ledger was sealed last before the process began.
    pub opened: Time,
    /// What is stored.
    pub reader: Reader,
    /// How far it got.
    pub cursors: Cursors,
    /// The way to the desk.
    pub ask: AskOpen,
    /// Where it shows how it is.
    pub health: Arc<Health>,
    /// The clock, which tells open windows of meters from closed ones.
    pub now: fn() -> Time,
}

impl World {
    /// Opens what the writer needs of a state directory.
    pub fn open(
        state: &Path,
        incarnation: String,
        reader: Reader,
        ask: AskOpen,
        now: fn() -> Time,
    ) -> Result<World, StoreError> {
        let (_, opened) = reader.latest()?;
        Ok(World {
            opened,
            state: state.to_owned(),
            incarnation,
            reader,
            cursors: Cursors::open(state)?,
            ask,
            health: Arc::default(),
            now,
        })
    }
}

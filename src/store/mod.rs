//! The store: SQLite files in the state directory, owned by one process.
//!
//! `journal/YYYY-MM-DD.db` holds blocks of messages as they were received; `ledger.db` the quarters of meters, the
//! entries above them, and how far both go. Each record carries a checksum of ours, verified on every read, because
//! SQLite does not notice a flipped bit in a payload; digests tell of rows that vanished. `cursors.db` holds how
//! far each sink has confirmed; losing it only makes a sink repeat itself. `alarms.db` holds alarms and what is told of them.
//! `progress` says how far the process got, `poison` which messages it refuses because they ended it, `incarnation` the name
//! of the directory, `lost` the times that an old copy of it has lost, `ledger.suspect` that reading the ledger failed. A file that is damaged is set aside as `*.damaged-1`, and
//! what is sound of it goes on.

mod adjustment;
mod alarms;
mod backup;
mod births;
mod bytes;
mod codec;
mod counters;
mod courses;
mod cursors;
mod days;
mod digest;
mod error;
mod identity;
mod incarnation;
mod journal;
mod judgement;
mod ledger;
mod lock;
mod lost;
mod names;
mod notes;
mod notices;
mod poison;
mod progress;
mod raw;
mod reader;
mod records;
mod refused;
mod rescue;
mod retention;
mod salvage;
mod schema;
mod space;

pub use adjustment::{Adjustment, Settled};
pub use alarms::{AlarmStore, AlarmsOf, Noted};
pub use backup::{BackupError, Copied, Manifest, back_up, forget_restored, restore, restored};
pub use codec::{read_activity, read_balance, read_held};
pub use counters::read_counters;
pub use cursors::{Cursors, SetAside};
pub use error::StoreError;
pub use journal::{Block, Journal, Record};
pub use judgement::Judgement;
pub use ledger::{Ledger, Position};
pub use lock::{Lock, finished};
pub use lost::Lost;
pub use names::Names;
pub use notes::{BROKER_DROPPED, Gap, RESTORED, SESSION_LOST};
pub use notices::{Lane, Notice, Welcome};
pub use poison::Poison;
pub use progress::{NONE, Place, Position as ProgressPosition, Progress, WHOLE};
pub use raw::received;
pub use reader::{Changed, Reader};
pub use refused::Refused;
pub(crate) use rescue::suspect;
pub use retention::Keep;
pub use space::Space;

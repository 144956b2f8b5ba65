//! The name of a state directory, in a file of its own: the session with the broker hangs on it, and must not go with a
//! ledger that is lost.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::store::StoreError;
use crate::store::codec::checksum;

/// `None`: there is none yet, or it is damaged.
pub(crate) fn read(state: &Path) -> Option<String> {
    let text = std::fs::read_to_string(state.join("incarnation")).ok()?;
    let (name, crc) = text.trim_end().split_once(' ')?;
    (checksum(&[], &[name.as_bytes()]).to_string() == crc).then(|| name.to_owned())
}

/// Writes it, durably.
pub(crate) fn write(state: &Path, name: &str) -> Result<(), StoreError> {
    let path = state.join("incarnation");
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&path)?;
        writeln!(file, "{name} {}", checksum(&[], &[name.as_bytes()]))?;
        file.sync_all()?;
        File::open(state)?.sync_all()
    };
    write().map_err(StoreError::io(&path))
}

//! How far the process got, in one small file that is overwritten in place: no fsync, since a crash of the process loses
//! nothing that was written, and after a power cut an older position only means a little more work.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::store::StoreError;
use crate::store::codec::checksum;

/// Where the process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The last block in the journal.
    pub committed: i64,
    /// How many starts in a row ended before the journal was replayed.
    pub starts: i64,
    /// The message that is being applied on its own. [`NONE`]: none is.
    pub applying: Place,
    /// The message on which the start before ended.
    pub suspect: Place,
}

/// A message of the journal: its block and its place in it.
pub type Place = (i64, i64);

/// No message.
pub const NONE: Place = (0, 0);

/// All messages of a block at once.
pub const WHOLE: i64 = -1;

/// The open file.
#[derive(Debug)]
pub struct Progress {
    path: PathBuf,
    file: File,
    position: Position,
}

const FIELDS: usize = 7;

impl Progress {
    /// Opens or creates the file of a state directory. A damaged one is as good as none.
    pub fn open(state: &Path) -> Result<Progress, StoreError> {
        let path = state.join("progress");
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
        let file = file.map_err(StoreError::io(&path))?;
        let mut bytes = [0u8; FIELDS * 8];
        let position = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => parse(&bytes),
            Err(_) => None,
        };
        Ok(Progress { path, file, position: position.unwrap_or_default() })
    }

    /// Where the last process was.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Notes where this one is.
    pub fn note(&mut self, position: Position) -> Result<(), StoreError> {
        self.position = position;
        let Position { committed, starts, applying, suspect } = position;
        let fields = [committed, starts, applying.0, applying.1, suspect.0, suspect.1];
        let crc = checksum(&fields, &[]);
        let bytes: Vec<u8> = fields.into_iter().chain([crc]).flat_map(i64::to_le_bytes).collect();
        self.file.write_all_at(&bytes, 0).map_err(StoreError::io(&self.path))
    }
}

fn parse(bytes: &[u8]) -> Option<Position> {
    let mut fields = [0i64; FIELDS];
    for (field, part) in fields.iter_mut().zip(bytes.chunks_exact(8)) {
        *field = i64::from_le_bytes(part.try_into().ok()?);
    }
    let [committed, starts, block, index, suspect_block, suspect_index, crc] = fields;
    let position = Position { committed, starts, applying: (block, index), suspect: (suspect_block, suspect_index) };
    (checksum(&fields[..FIELDS - 1], &[]) == crc).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_and_a_damaged_one_does_not() {
        let state = tempfile::tempdir().unwrap();
        let position = Position { committed: 7, starts: 1, applying: (3, 2), suspect: NONE };
        Progress::open(state.path()).unwrap().note(position).unwrap();
        assert_eq!(Progress::open(state.path()).unwrap().position(), position);
        let path = state.path().join("progress");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[0] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(Progress::open(state.path()).unwrap().position(), Position::default());
    }
}

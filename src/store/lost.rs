//! Times whose books are lost, because the state directory was restored from an old copy: one line each in a file of its
//! own, synced, and kept until an operator decides otherwise.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::quantity::Time;
use crate::store::StoreError;
use crate::store::codec::checksum;

/// A time of which this ledger has lost its books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The copy ends here.
    pub from: Time,
    /// The ledger had been sealed at this time.
    pub to: Time,
}

impl Lost {
    /// All that are known of a state directory. A damaged line does not count.
    pub fn read(state: &Path) -> Result<Vec<Lost>, StoreError> {
        let path = state.join("lost");
        match std::fs::read(&path) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).lines().filter_map(parse).collect()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(StoreError::io(path)(error)),
        }
    }

    /// Notes this one, durably.
    pub fn note(self, state: &Path) -> Result<(), StoreError> {
        let mut all = Lost::read(state)?;
        all.push(self);
        Lost::keep(state, &all)
    }

    /// These and no others are lost: about the rest, the operator has decided for the ledger. All or nothing.
    pub fn keep(state: &Path, all: &[Lost]) -> Result<(), StoreError> {
        let (path, fresh) = (state.join("lost"), state.join("lost.fresh"));
        let line = |Lost { from, to }: &Lost| format!("{} {} {}\n", from.0, to.0, checksum(&[from.0, to.0], &[]));
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&fresh)?;
            file.write_all(all.iter().map(line).collect::<String>().as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&fresh, &path)?;
            File::open(state)?.sync_all()
        };
        write().map_err(StoreError::io(&path))
    }
}

fn parse(line: &str) -> Option<Lost> {
    let numbers: Vec<i64> = line.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
    match numbers[..] {
        [from, to, crc] if checksum(&[from, to], &[]) == crc => Some(Lost { from: Time(from), to: Time(to) }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_times_add_up_until_they_are_forgotten() {
        let state = tempfile::tempdir().unwrap();
        let times = [Lost { from: Time(1), to: Time(2) }, Lost { from: Time(5), to: Time(9) }];
        assert_eq!(Lost::read(state.path()).unwrap(), []);
        times.iter().for_each(|lost| lost.note(state.path()).unwrap());
        assert_eq!(Lost::read(state.path()).unwrap(), times);
        let text = std::fs::read_to_string(state.path().join("lost")).unwrap();
        std::fs::write(state.path().join("lost"), text.replacen('1', "7", 1)).unwrap();
        assert_eq!(Lost::read(state.path()).unwrap(), times[1..]);
        Lost::keep(state.path(), &times[1..]).unwrap();
        assert_eq!(Lost::read(state.path()).unwrap(), times[1..]);
        Lost::keep(state.path(), &[]).unwrap();
        assert_eq!(Lost::read(state.path()).unwrap(), []);
    }
}

//! Messages that ended the process more than once: they are refused from then on.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::store::codec::checksum;
use crate::store::{Place, StoreError};

/// The list, one line a message: block, place in it, checksum.
#[derive(Debug)]
pub struct Poison {
    path: PathBuf,
    messages: BTreeSet<(i64, i64)>,
}

impl Poison {
    /// Reads the list of a state directory; there mostly is none. A damaged line does not count.
    pub fn open(state: &Path) -> Result<Poison, StoreError> {
        let path = state.join("poison");
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(StoreError::io(path)(error)),
        };
        Ok(Poison { path, messages: text.lines().filter_map(parse).collect() })
    }

    /// Whether a message is refused.
    pub fn holds(&self, block: i64, index: usize) -> bool {
        self.messages.contains(&(block, index as i64))
    }

    /// Whether any message of a block is refused.
    pub fn touches(&self, block: i64) -> bool {
        self.messages.range((block, 0)..(block + 1, 0)).next().is_some()
    }

    /// Adds a message, durably.
    pub fn add(&mut self, (block, index): Place) -> Result<(), StoreError> {
        let fail = |error| StoreError::io(&self.path)(error);
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path).map_err(fail)?;
        writeln!(file, "{block} {index} {}", checksum(&[block, index], &[])).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        self.messages.insert((block, index));
        Ok(())
    }
}

fn parse(line: &str) -> Option<(i64, i64)> {
    let numbers: Vec<i64> = line.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
    match numbers[..] {
        [block, index, crc] if checksum(&[block, index], &[]) == crc => Some((block, index)),
        _ => None,
    }
}

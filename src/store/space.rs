//! Room on the disk, looked at before it is gone.

use std::path::Path;

use rustix::fs::statvfs;

/// Below this, or below a twentieth of a small disk, nothing more is taken in.
const LOW: u64 = 64 << 20;
const LOW_PART: u64 = 20;

/// The room of the file system a directory is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that can still be written.
    pub free: u64,
    /// All bytes.
    pub size: u64,
}

impl Space {
    /// Looks. `None`: the file system does not say.
    pub fn of(directory: &Path) -> Option<Space> {
        let found = statvfs(directory).ok()?;
        Some(Space { free: found.f_bavail * found.f_frsize, size: found.f_blocks * found.f_frsize })
    }

    /// Time to stop taking in; or, having stopped, not yet time to go on.
    pub fn is_low(self, stopped: bool) -> bool {
        let low = LOW.min(self.size / LOW_PART);
        self.free < if stopped { 2 * low } else { low }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_is_low_until_there_is_twice_as_much() {
        let space = |free: u64| Space { free, size: 100 << 30 };
        let found = [63, 65, 127, 129].map(|mib| (space(mib << 20).is_low(false), space(mib << 20).is_low(true)));
        assert_eq!(found, [(true, true), (false, true), (false, true), (false, false)]);
        assert!(!Space { free: 1 << 20, size: 10 << 20 }.is_low(false));
    }
}

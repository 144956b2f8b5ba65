//! Whole days of the journal that are no longer needed.

use std::path::PathBuf;

use crate::quantity::{Span, Time};
use crate::store::journal::{length, open_file};
use crate::store::{Journal, StoreError};

impl Journal {
    /// Whole days that are older than `keep`, and the oldest ones beyond `max_bytes`; never a day that a restart needs,
    /// which begins at `replay_from`.
    pub fn old_days(
        &self,
        now: Time,
        replay_from: Time,
        keep: Span,
        max_bytes: u64,
    ) -> Result<Vec<PathBuf>, StoreError> {
        let files = self.files()?;
        let mut total: u64 = files.iter().map(|(_, path)| length(path)).sum();
        let mut old = Vec::new();
        for (day, path) in files {
            let end = day.plus(Span::days(1));
            let is_old = end.plus(keep) < now;
            if end <= replay_from && end <= now && (is_old || total > max_bytes) {
                total -= length(&path);
                old.push(path);
            }
        }
        Ok(old)
    }

    /// The first block of the days other than these.
    pub fn first_beside(&self, days: &[PathBuf]) -> Result<i64, StoreError> {
        let Some((_, path)) = self.files()?.into_iter().find(|(_, path)| !days.contains(path)) else {
            return Ok(self.next);
        };
        let first =
            open_file(&path)?.query_row("SELECT min(number) FROM block", [], |row| row.get::<_, Option<i64>>(0));
        Ok(first.map_err(StoreError::database(path))?.unwrap_or(self.next))
    }

    /// Unlinks days.
    pub fn remove(&self, days: &[PathBuf]) -> Result<(), StoreError> {
        for path in days {
            for suffix in ["-wal", "-shm", ""] {
                let part = PathBuf::from(format!("{}{suffix}", path.display()));
                if part.exists() {
                    std::fs::remove_file(&part).map_err(StoreError::io(&part))?;
                }
            }
        }
        Ok(())
    }
}

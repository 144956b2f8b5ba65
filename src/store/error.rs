//! Trouble with the store, cut by what the caller does.

use std::path::PathBuf;

use crate::store::rescue::is_damage;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process owns the state directory: do not start.
    #[error("the state directory {0} is in use by another emissiond; stop it first, or set another `daemon.state_dir`")]
    Locked(PathBuf),
    /// The directory was written by a newer version: do not start, and leave it alone.
    #[error(
        "{path} has format {found}, this version knows {known}; start the newer version again, or use another directory"
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Neither what was there nor the copy: do not start.
    #[error("a restore into {0} was interrupted: run it again; what was there is in the directories `replaced-*`")]
    Unfinished(PathBuf),
    /// The configuration gives ids that are in use another meaning: do not start.
    #[error(
        "the configuration gives another meaning to what is in the books of {path}:\n  {}\nDeclare it, and what \
         belongs to it, under new ids, and give the old meters `valid_to`; or set it back. Topics, limits and factors may change \
         at any time",
        changes.join("\n  ")
    )]
    Redeclared {
        /// The file.
        path: PathBuf,
        /// Each with what it was and what it is now.
        changes: Vec<String>,
    },
    /// A file or directory cannot be used: do not start.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database failed: stop, and let a fresh process replay the journal.
    #[error("{path}: {source}")]
    Database {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// A record does not match its checksum.
    #[error("{0}: the checksum does not match; the record is set aside")]
    Damaged(String),
}

impl StoreError {
    /// The disk is full: what was to be written is not, and can be tried again.
    pub fn is_full(&self) -> bool {
        match self {
            StoreError::Database { source, .. } => source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            StoreError::Io { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
            _ => false,
        }
    }

    /// What is on disk is to blame, and not the disk, the rights, or another process.
    pub fn is_damage(&self) -> bool {
        match self {
            StoreError::Database { source, .. } => is_damage(source),
            StoreError::Damaged(_) => true,
            _ => false,
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> StoreError {
        let path = path.into();
        move |source| StoreError::Io { path, source }
    }

    pub(crate) fn database(path: impl Into<PathBuf>) -> impl FnOnce(rusqlite::Error) -> StoreError {
        let path = path.into();
        move |source| StoreError::Database { path, source }
    }
}

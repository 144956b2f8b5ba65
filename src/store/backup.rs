//! Copies of a state directory, made while the daemon runs, and the way back.
//!
//! Each database is copied as it is at one moment; what is copied first may be behind what is copied later, and never ahead of
//! it: cursors and alarms behind the ledger, the ledger behind the journal. So a copy is a state that a crash could have left,
//! and a start brings it up to its journal.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, backup::Backup};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::quantity::Time;
use crate::store::lock::{UNFINISHED, finished};
use crate::store::{Lock, StoreError};

/// Before the ledger, and behind it.
const DATABASES: [&str; 3] = ["cursors.db", "alarms.db", "ledger.db"];
/// Small files that change hardly ever. `progress` belongs to the process.
const SMALL: [&str; 3] = ["incarnation", "poison", "lost"];
const MANIFEST: &str = "backup.json";
const RESTORED: &str = "restored";

/// What a copy consists of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The version that made it.
    pub version: String,
    /// When.
    pub made: String,
    /// Its files.
    pub files: Vec<Copied>,
}

/// A file of a copy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Copied {
    /// Below the directory.
    pub name: String,
    /// How long it is.
    pub bytes: u64,
    /// What is in it.
    pub sha256: String,
}

/// Why there is no copy, or no way back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The directory is not as it should be.
    #[error("{0}")]
    Unfit(String),
}

/// Copies a state directory into a new directory, also while a daemon runs on it.
pub fn back_up(state: &Path, to: &Path, now: Time) -> Result<Manifest, BackupError> {
    finished(state)?;
    if !state.join("ledger.db").exists() {
        return Err(BackupError::Unfit(format!("there is no ledger in {}; see `daemon.state_dir`", state.display())));
    }
    outside(to, state)?;
    if to.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(BackupError::Unfit(format!("{} is not empty: name a new directory", to.display())));
    }
    make_directory(&to.join("journal"))?;
    let mut names: Vec<String> = Vec::new();
    for name in SMALL {
        if copy_file(&state.join(name), &to.join(name))? {
            names.push(name.to_owned());
        }
    }
    let days = || -> Result<Vec<String>, StoreError> {
        let directory = state.join("journal");
        let entries = std::fs::read_dir(&directory).map_err(StoreError::io(&directory))?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut days: Vec<String> =
            names.filter(|name| name.ends_with(".db")).map(|name| format!("journal/{name}")).collect();
        days.sort();
        Ok(days)
    };
    for name in DATABASES.map(str::to_owned) {
        names.extend(copy_database(&state.join(&name), &to.join(&name))?.then_some(name));
    }
    // A day that began meanwhile is among them.
    for name in days()? {
        names.extend(copy_database(&state.join(&name), &to.join(&name))?.then_some(name));
    }
    let files = names.into_iter().map(|name| copied(to, name)).collect::<Result<_, _>>()?;
    let manifest = Manifest { version: env!("CARGO_PKG_VERSION").to_owned(), made: now.to_string(), files };
    let text = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
    write(&to.join(MANIFEST), &text)?;
    sync(&to.join("journal"))?;
    sync(to)?;
    Ok(manifest)
}

/// Puts a copy in the place of a state directory. What was there is moved aside, into the directory that is returned. Nothing is
/// moved before all of the copy is there, durably: what fails before leaves the state as it was; what fails later is noted, and
/// nothing opens the state until another restore is done.
pub fn restore(from: &Path, state: &Path) -> Result<(Manifest, Option<PathBuf>), BackupError> {
    outside(from, state)?;
    let manifest = verified(from)?;
    let _lock = Lock::take_unfinished(state)?;
    forget_attempts(state)?;
    let fresh = free(state, "restoring");
    copy_into(&fresh, from, &manifest, state).inspect_err(|_| drop(std::fs::remove_dir_all(&fresh)))?;
    // From here on the state is neither what it was nor the copy: nothing starts on it before another restore is done.
    let unfinished = state.join(UNFINISHED);
    write(&unfinished, from.as_os_str().as_bytes())?;
    sync(state)?;
    let aside = move_all(state, &free(state, "replaced"), |name| !is_kept(name))?;
    move_all(&fresh, state, |_| true)?;
    std::fs::remove_dir(&fresh).map_err(StoreError::io(&fresh))?;
    sync(state)?;
    std::fs::remove_file(&unfinished).map_err(StoreError::io(&unfinished))?;
    sync(state)?;
    Ok((manifest, aside))
}

/// What earlier ones left of their copies when they were interrupted.
fn forget_attempts(state: &Path) -> Result<(), StoreError> {
    let entries = std::fs::read_dir(state).map_err(StoreError::io(state))?;
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("restoring-")) {
        std::fs::remove_dir_all(entry.path()).map_err(StoreError::io(entry.path()))?;
    }
    Ok(())
}

/// All of a copy, as whoever owns the state directory will read it.
fn copy_into(fresh: &Path, from: &Path, manifest: &Manifest, state: &Path) -> Result<(), BackupError> {
    make_directory(&fresh.join("journal"))?;
    for file in &manifest.files {
        if !copy_file(&from.join(&file.name), &fresh.join(&file.name))? {
            return Err(BackupError::Unfit(format!("{} is gone", from.join(&file.name).display())));
        }
    }
    write(&fresh.join(RESTORED), manifest.made.as_bytes())?;
    let owner = std::fs::metadata(state).map_err(StoreError::io(state))?;
    let mine = manifest.files.iter().map(|file| fresh.join(&file.name));
    for path in mine.chain([fresh.join("journal"), fresh.join(RESTORED), state.join("lock")]) {
        chown(&path, Some(owner.uid()), Some(owner.gid())).map_err(StoreError::io(&path))?;
    }
    sync(&fresh.join("journal"))?;
    Ok(sync(fresh)?)
}

/// A copy within the state would be moved away with it.
fn outside(copy: &Path, state: &Path) -> Result<(), BackupError> {
    let absolute = |path: &Path| std::path::absolute(path).and_then(|path| path.canonicalize().or(Ok(path)));
    match (absolute(copy), absolute(state)) {
        (Ok(copy), Ok(state)) if copy.starts_with(&state) => {
            let message = format!("{} is in the state directory: name another place", copy.display());
            Err(BackupError::Unfit(message))
        }
        _ => Ok(()),
    }
}

/// The time of the copy that a state directory was restored from, once.
pub fn restored(state: &Path) -> Option<Time> {
    Time::parse_rfc3339(std::fs::read_to_string(state.join(RESTORED)).ok()?.trim())
}

/// It is noted.
pub fn forget_restored(state: &Path) -> Result<(), StoreError> {
    let path = state.join(RESTORED);
    std::fs::remove_file(&path).map_err(StoreError::io(path))
}

fn verified(from: &Path) -> Result<Manifest, BackupError> {
    let path = from.join(MANIFEST);
    let text = match std::fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(BackupError::Unfit(format!("there is no backup in {}", from.display())));
        }
        read => read.map_err(StoreError::io(&path))?,
    };
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| BackupError::Unfit(format!("{} is no list of a backup: {error}", path.display())))?;
    for file in &manifest.files {
        let is_inside = Path::new(&file.name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if !is_inside {
            return Err(BackupError::Unfit(format!("{} names `{}`, which is not in it", path.display(), file.name)));
        }
        if copied(from, file.name.clone())?.sha256 != file.sha256 {
            let message = format!("{} is not what was backed up: take another copy", from.join(&file.name).display());
            return Err(BackupError::Unfit(message));
        }
    }
    Ok(manifest)
}

/// The lock, and what was moved aside before.
fn is_kept(name: &str) -> bool {
    name == "lock" || name == UNFINISHED || name.starts_with("replaced-") || name.starts_with("restoring-")
}

/// A name in a directory that nothing has.
fn free(state: &Path, name: &str) -> PathBuf {
    let free = (1u32..).map(|number| state.join(format!("{name}-{number}"))).find(|path| !path.exists());
    free.unwrap_or_else(|| state.join(name))
}

/// Moves what is meant from one directory to another; `None`: there was nothing.
fn move_all(from: &Path, to: &Path, is_meant: impl Fn(&str) -> bool) -> Result<Option<PathBuf>, StoreError> {
    let entries = std::fs::read_dir(from).map_err(StoreError::io(from))?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let names: Vec<String> = names.filter(|name| is_meant(name)).collect();
    if names.is_empty() {
        return Ok(None);
    }
    make_directory(to)?;
    for name in names {
        let path = from.join(&name);
        std::fs::rename(&path, to.join(&name)).map_err(StoreError::io(path))?;
    }
    Ok(Some(to.to_owned()))
}

/// As it is at one moment. False: there is none.
fn copy_database(from: &Path, to: &Path) -> Result<bool, StoreError> {
    if !from.exists() {
        return Ok(false);
    }
    drop(create(to)?);
    let copy = || -> rusqlite::Result<()> {
        let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        source.busy_timeout(std::time::Duration::from_secs(30))?;
        let mut target = Connection::open(to)?;
        let backup = Backup::new(&source, &mut target)?;
        // In one step: what is written meanwhile does not make it begin anew.
        backup.step(-1)?;
        drop(backup);
        // One file, for whoever carries it away.
        target.pragma_update(None, "journal_mode", "delete")
    };
    copy().map_err(StoreError::database(from))?;
    File::open(to).and_then(|file| file.sync_all()).map_err(StoreError::io(to))?;
    Ok(true)
}

/// False: there is none.
fn copy_file(from: &Path, to: &Path) -> Result<bool, StoreError> {
    let mut source = match File::open(from) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        opened => opened.map_err(StoreError::io(from))?,
    };
    let mut target = create(to)?;
    std::io::copy(&mut source, &mut target).map_err(StoreError::io(to))?;
    target.sync_all().map_err(StoreError::io(to))?;
    Ok(true)
}

fn copied(directory: &Path, name: String) -> Result<Copied, StoreError> {
    let path = directory.join(&name);
    let mut file = File::open(&path).map_err(StoreError::io(&path))?;
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).map_err(StoreError::io(&path))? {
            0 => break,
            read => {
                hash.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
    Ok(Copied { name, bytes, sha256: format!("{:x}", hash.finalize()) })
}

fn create(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path);
    file.map_err(StoreError::io(path))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = create(path)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(StoreError::io(path))
}

fn make_directory(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(StoreError::io(path))
}

fn sync(directory: &Path) -> Result<(), StoreError> {
    File::open(directory).and_then(|file| file.sync_all()).map_err(StoreError::io(directory))
}

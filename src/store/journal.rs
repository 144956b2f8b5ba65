//! The journal: what was received, in blocks, one SQLite file a day of receipt (UTC).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::decode::Message;
use crate::quantity::{Span, Time, Window, Zone};
use crate::store::bytes::{Cursor, Writer};
use crate::store::codec::checksum;
use crate::store::rescue::is_damage;
use crate::store::{Adjustment, Judgement, StoreError, adjustment, judgement, records, salvage, schema};

const COMPRESSION: i32 = 1;
/// A block never unpacks to more: the desk commits long before.
const BLOCK_MAX: usize = 1 << 30;
/// What one byte can unpack to, at the most: Zstandard repeats a byte 128 Ki times in the four bytes of a block (RFC 8878,
/// 3.1.1.2).
const UNPACKED_MAX: usize = 1 << 15;
/// A message has four numbers, each of a byte or more.
const MESSAGE_MIN: usize = 4;

/// What a block holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Messages as received.
    Messages(Vec<Message>),
    /// A tick that closed a quarter.
    Tick(Time),
    /// The plan in force from here on, by its hash.
    Plan(String),
    /// What an operator decided.
    Judgement(Judgement),
    /// What an operator corrected.
    Adjustment(Adjustment),
}

/// One committed block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its number; numbers rise without end over all files.
    pub number: i64,
    /// What it holds.
    pub record: Record,
}

impl Block {
    /// Reads a block from the columns of its row: number, kind, how many messages, body. `None`: malformed.
    pub fn decode([number, kind, count]: [i64; 3], body: &[u8]) -> Option<Block> {
        let (length, packed) = body.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        // A length that is not true must not take the memory.
        let told = zstd::zstd_safe::get_frame_content_size(packed).ok()?;
        if told != Some(length as u64) || length > BLOCK_MAX || length / UNPACKED_MAX > packed.len() {
            return None;
        }
        let bytes = zstd::bulk::decompress(packed, length).ok()?;
        let mut cursor = Cursor(&bytes);
        let record = match kind {
            0 => Record::Messages(messages(&mut cursor, count)?),
            1 => Record::Tick(Time(cursor.integer()?)),
            2 => Record::Plan(String::from_utf8(cursor.bytes()?.to_vec()).ok()?),
            3 => Record::Judgement(judgement::read(&mut cursor)?),
            4 => Record::Adjustment(adjustment::read(&mut cursor)?),
            _ => return None,
        };
        Some(Block { number, record })
    }
}

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    current: Option<(Time, Connection)>,
    pub(crate) next: i64,
    /// The first block that was never removed for its age, where that is known.
    kept_from: Option<i64>,
    scratch: Writer,
    found: Vec<String>,
}

impl Journal {
    /// Opens the journal of a state directory and finds its end.
    pub fn open(state: &Path) -> Result<Journal, StoreError> {
        let directory = state.join("journal");
        std::fs::create_dir_all(&directory).map_err(StoreError::io(&directory))?;
        let mut journal = Journal {
            directory,
            current: None,
            next: 1,
            kept_from: None,
            scratch: Writer::default(),
            found: Vec::new(),
        };
        journal.finish_replacements()?;
        for (_, path) in journal.files()? {
            let last = match last_number(&path) {
                Err(StoreError::Database { source, .. }) if is_damage(&source) => {
                    journal.rescue(&path, &source)?;
                    last_number(&path)?
                }
                last => last?,
            };
            journal.next = journal.next.max(last + 1);
        }
        Ok(journal)
    }

    /// Numbers up to `number` were given out, whatever can still be read of them; they are never given again.
    pub fn skip_to(&mut self, number: i64) {
        self.next = self.next.max(number + 1);
    }

    /// All blocks from this number on must be there.
    pub fn expect_from(&mut self, number: i64) {
        self.kept_from = Some(number);
    }

    /// What was found damaged, and could not be taken over.
    pub fn found_damage(&self) -> &[String] {
        &self.found
    }

    fn finish_replacements(&self) -> Result<(), StoreError> {
        let entries = std::fs::read_dir(&self.directory).map_err(StoreError::io(&self.directory))?;
        let fresh = entries.flatten().filter_map(|e| Some(e.path().to_str()?.strip_suffix(".fresh")?.to_owned()));
        fresh.collect::<Vec<_>>().iter().try_for_each(|path| salvage::finish(Path::new(path)))
    }

    /// Sets a damaged file aside; its readable blocks move to a fresh one.
    fn rescue(&mut self, path: &Path, trouble: &rusqlite::Error) -> Result<(), StoreError> {
        self.current = None;
        let left = salvage::replace(path, &[records::BLOCK], open_file, |_, _| Ok(()))?;
        tracing::error!(
            file = %path.display(), aside = %left.aside.display(), error = %trouble, lost = ?left.rows,
            "a file of the journal was damaged; it is set aside, and what is sound is taken over"
        );
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("journal");
        self.found
            .extend(left.rows.into_iter().chain([trouble.to_string()]).map(|what| format!("journal {name}: {what}")));
        Ok(())
    }

    /// Makes a record durable; returns its number once it is.
    pub fn append(&mut self, record: &Record, received: Time) -> Result<i64, StoreError> {
        let (kind, count) = self.encode(record);
        let packed = zstd::bulk::compress(&self.scratch.0, COMPRESSION).map_err(StoreError::io(&self.directory))?;
        // The length comes first: blanks shrink ten-thousandfold, so it cannot be guessed when reading.
        let mut body = (self.scratch.0.len() as u64).to_le_bytes().to_vec();
        body.extend(packed);
        let (first, last) = reach(record, received);
        let number = self.next;
        let crc = checksum(&[number, kind, count, first.0, last.0], &[&body]);
        let day = Zone::UTC.start(Window::Day, received);
        if self.current.as_ref().is_none_or(|(open, _)| *open != day) {
            self.current = Some((day, open_file(&self.path(day))?));
        }
        let Some((_, connection)) = &self.current else {
            return Ok(number);
        };
        let sql = "INSERT INTO block(number, kind, count, first, last, body, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let insert = |connection: &Connection| {
            connection.prepare_cached(sql)?.execute((number, kind, count, first.0, last.0, &body, crc))
        };
        let inserted = match insert(connection) {
            Err(error) if is_damage(&error) => {
                let path = self.path(day);
                self.rescue(&path, &error)?;
                let fresh = open_file(&path)?;
                let again = insert(&fresh);
                self.current = Some((day, fresh));
                again
            }
            other => other,
        };
        inserted.map_err(StoreError::database(self.path(day)))?;
        self.next += 1;
        Ok(number)
    }

    /// When the oldest message still in the journal arrived.
    pub fn first_received(&self) -> Result<Option<Time>, StoreError> {
        for (_, path) in self.files()? {
            let connection = open_file(&path)?;
            let first: Option<i64> = connection
                .query_row("SELECT min(first) FROM block", [], |row| row.get(0))
                .map_err(StoreError::database(&path))?;
            if let Some(first) = first {
                return Ok(Some(Time(first)));
            }
        }
        Ok(None)
    }

    /// The number of the last block.
    pub fn last(&self) -> i64 {
        self.next - 1
    }

    /// Reads, in order, every block with something received at `from` or later. A damaged or missing block is handed over
    /// as an error, and the rest goes on.
    pub fn replay<E: From<StoreError>>(
        &mut self,
        from: Time,
        mut each: impl FnMut(Result<Block, StoreError>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut earlier = self.files()?;
        let files = earlier.split_off(earlier.partition_point(|(day, _)| day.plus(Span::days(2)) < from));
        // Where that cannot be read, the first one that can is taken for the first.
        let mut before = match earlier.last() {
            Some((_, path)) => last_number(path).ok(),
            None => self.kept_from.map(|number| number - 1),
        };
        let mut known = BTreeSet::new();
        for (_, path) in &files {
            let mut after = 0;
            // Twice: what stops the first reading is rescued.
            for is_last in [false, true] {
                match replay_file(path, (from, &mut after), &mut known, &mut each)? {
                    Some(error) if is_damage(&error) && !is_last => self.rescue(path, &error)?,
                    Some(error) => return Err(E::from(StoreError::database(path)(error))),
                    None => break,
                }
            }
        }
        for number in known.into_iter().chain([self.next]) {
            let expected = before.map_or(number, |b: i64| b + 1);
            if before.is_some_and(|b| number <= b) {
                continue;
            }
            if number > expected {
                let what = format!("journal blocks {expected} to {} are missing", number - 1);
                each(Err(StoreError::Damaged(what)))?;
            }
            before = Some(number);
        }
        Ok(())
    }

    /// Bytes on disk.
    pub fn size(&self) -> u64 {
        let files = self.files().unwrap_or_default();
        let wal = |path: &Path| PathBuf::from(format!("{}-wal", path.display()));
        files.iter().map(|(_, path)| length(path) + length(&wal(path))).sum()
    }

    fn path(&self, day: Time) -> PathBuf {
        let text = day.to_string();
        self.directory.join(format!("{}.db", text.get(..10).unwrap_or(&text)))
    }

    /// The files with the day each begins at, oldest first.
    pub(crate) fn files(&self) -> Result<Vec<(Time, PathBuf)>, StoreError> {
        let entries = std::fs::read_dir(&self.directory).map_err(StoreError::io(&self.directory))?;
        let mut files = Vec::new();
        for path in entries.flatten().map(|e| e.path()) {
            let stem = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".db"));
            if let Some((day, _)) = stem.and_then(|day| Zone::UTC.day_of_text(day)) {
                files.push((day, path));
            }
        }
        files.sort();
        Ok(files)
    }

    fn encode(&mut self, record: &Record) -> (i64, i64) {
        let writer = &mut self.scratch;
        writer.0.clear();
        match record {
            Record::Messages(messages) => {
                let mut before = 0;
                for message in messages {
                    writer.signed(i128::from(message.received.0 - before));
                    before = message.received.0;
                    let flags = u8::from(message.retain) | u8::from(message.dup) << 1 | u8::from(message.oversize) << 2;
                    writer.unsigned(u128::from(flags));
                    writer.bytes(message.topic.as_bytes());
                    writer.bytes(&message.payload);
                }
                (0, messages.len() as i64)
            }
            Record::Tick(time) => {
                writer.signed(i128::from(time.0));
                (1, 1)
            }
            Record::Plan(hash) => {
                writer.bytes(hash.as_bytes());
                (2, 1)
            }
            Record::Judgement(judgement) => {
                judgement::write(writer, judgement);
                (3, 1)
            }
            Record::Adjustment(adjustment) => {
                adjustment::write(writer, adjustment);
                (4, 1)
            }
        }
    }
}

/// Hands over the blocks after number `after` of one file. `Some`: why reading stopped.
fn replay_file<E>(
    path: &Path,
    (from, after): (Time, &mut i64),
    known: &mut BTreeSet<i64>,
    each: &mut impl FnMut(Result<Block, StoreError>) -> Result<(), E>,
) -> Result<Option<rusqlite::Error>, E>
where
    E: From<StoreError>,
{
    let connection = open_file(path)?;
    if let Err(error) = skip_old(&connection, from, after, known) {
        return Ok(Some(error));
    }
    let sql = "SELECT number, kind, count, first, last, body, crc FROM block WHERE number > ?1 ORDER BY number";
    let mut statement = match connection.prepare(sql) {
        Ok(statement) => statement,
        Err(error) => return Ok(Some(error)),
    };
    let mut rows = match statement.query([*after]) {
        Ok(rows) => rows,
        Err(error) => return Ok(Some(error)),
    };
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(None),
            Err(error) => return Ok(Some(error)),
        };
        let number = row.get(0).unwrap_or(*after);
        known.insert(number);
        *after = number;
        if row.get::<_, i64>(4).is_ok_and(|last| last < from.0) && records::BLOCK.is_sound(row) {
            continue;
        }
        each(read_block(row, path))?;
    }
}

/// Moves `after` to shortly before the first block with something received at `from` or later, without reading bodies.
/// The few before it are looked at, so that one whose time is damaged is not left out in silence.
fn skip_old(connection: &Connection, from: Time, after: &mut i64, known: &mut BTreeSet<i64>) -> rusqlite::Result<()> {
    const MARGIN: usize = 8;
    let mut statement = connection.prepare("SELECT number, last FROM block WHERE number > ?1 ORDER BY number")?;
    let mut rows = statement.query([*after])?;
    let mut old = Vec::new();
    while let Some(row) = rows.next()? {
        if !row.get::<_, i64>(1).is_ok_and(|last| last < from.0) {
            break;
        }
        old.push(row.get::<_, i64>(0)?);
    }
    old.truncate(old.len().saturating_sub(MARGIN));
    *after = old.last().copied().unwrap_or(*after);
    known.extend(old);
    Ok(())
}

pub(crate) fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |m| m.len())
}

fn last_number(path: &Path) -> Result<i64, StoreError> {
    let last = open_file(path)?.query_row("SELECT max(number) FROM block", [], |row| row.get::<_, Option<i64>>(0));
    Ok(last.map_err(StoreError::database(path))?.unwrap_or(0))
}

fn reach(record: &Record, received: Time) -> (Time, Time) {
    match record {
        Record::Messages(messages) => {
            let times = messages.iter().map(|m| m.received);
            (times.clone().min().unwrap_or(received), times.max().unwrap_or(received))
        }
        Record::Tick(_) | Record::Plan(_) | Record::Judgement(_) | Record::Adjustment(_) => (received, received),
    }
}

fn read_block(row: &rusqlite::Row<'_>, path: &Path) -> Result<Block, StoreError> {
    let read = || -> rusqlite::Result<_> {
        let key: [i64; 5] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        let crc: i64 = row.get(6)?;
        let body = row.get_ref(5)?.as_blob()?;
        let [number, kind, count, ..] = key;
        let is_sound = checksum(&key, &[body]) == crc;
        Ok((key, is_sound.then(|| Block::decode([number, kind, count], body)).flatten()))
    };
    match read() {
        Ok((_, Some(block))) => Ok(block),
        Ok((key, None)) => {
            let (first, last) = (Time(key[3]), Time(key[4]));
            Err(StoreError::Damaged(format!("{} block {}, received {first} to {last}", path.display(), key[0])))
        }
        Err(_) => Err(StoreError::Damaged(format!("{} a block", path.display()))),
    }
}

fn messages(cursor: &mut Cursor<'_>, count: i64) -> Option<Vec<Message>> {
    let count = usize::try_from(count).ok()?;
    let mut messages = Vec::with_capacity(count.min(cursor.0.len() / MESSAGE_MIN));
    let mut before = 0i64;
    for _ in 0..count {
        let received = before.checked_add(cursor.integer()?)?;
        before = received;
        let flags: u8 = cursor.number()?;
        messages.push(Message {
            received: Time(received),
            topic: String::from_utf8(cursor.bytes()?.to_vec()).ok()?,
            payload: cursor.bytes()?.into(),
            retain: flags & 1 != 0,
            dup: flags & 2 != 0,
            oversize: flags & 4 != 0,
        });
    }
    Some(messages)
}

pub(crate) fn open_file(path: &Path) -> Result<Connection, StoreError> {
    let open = || {
        let connection = Connection::open(path)?;
        schema::write_ahead(&connection)?;
        connection.execute_batch(
            "PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 4000;
             PRAGMA cache_size = -500;
             CREATE TABLE IF NOT EXISTS block(
                 number INTEGER PRIMARY KEY, kind INTEGER NOT NULL, count INTEGER NOT NULL,
                 first INTEGER NOT NULL, last INTEGER NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL);",
        )?;
        Ok(connection)
    };
    open().map_err(StoreError::database(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(received: i64, payload: &str) -> Message {
        let (topic, payload) = ("a/b".to_owned(), payload.as_bytes().into());
        Message { received: Time(received), topic, payload, retain: false, dup: true, oversize: false }
    }

    fn all(journal: &mut Journal, from: i64) -> Vec<Block> {
        let mut blocks = Vec::new();
        journal
            .replay(Time(from), |block| {
                blocks.extend(block.ok());
                Ok::<(), StoreError>(())
            })
            .unwrap();
        blocks
    }

    #[test]
    fn what_was_appended_is_replayed_after_reopening() {
        let state = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(state.path()).unwrap();
        let day = 86_400_000;
        let first = Record::Messages(vec![message(5, "x"), message(7, "y")]);
        let second = Record::Messages(vec![message(day + 5, "z")]);
        assert_eq!(journal.append(&first, Time(7)).unwrap(), 1);
        assert_eq!(journal.append(&Record::Tick(Time(9)), Time(9)).unwrap(), 2);
        assert_eq!(journal.append(&second, Time(day + 5)).unwrap(), 3);
        let mut journal = Journal::open(state.path()).unwrap();
        assert_eq!(journal.last(), 3);
        let records: Vec<Record> = all(&mut journal, 0).into_iter().map(|b| b.record).collect();
        assert_eq!(records, [first, Record::Tick(Time(9)), second.clone()]);
        assert_eq!(all(&mut journal, day).into_iter().map(|b| b.record).collect::<Vec<_>>(), [second]);
    }

    #[test]
    fn a_megabyte_of_blanks_comes_back() {
        let state = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(state.path()).unwrap();
        let record = Record::Messages(vec![message(1, &" ".repeat(1 << 20))]);
        journal.append(&record, Time(1)).unwrap();
        assert_eq!(all(&mut journal, 0).into_iter().map(|b| b.record).collect::<Vec<_>>(), [record]);
    }

    #[test]
    fn old_days_are_unlinked_but_never_what_a_restart_needs() {
        let state = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(state.path()).unwrap();
        let day = |n: i64| Time(n * 86_400_000 + 1);
        for n in 0..4 {
            journal.append(&Record::Tick(day(n)), day(n)).unwrap();
        }
        let old = |journal: &Journal, now, replay_from, max_bytes| {
            let days = journal.old_days(now, replay_from, Span::days(7), max_bytes).unwrap();
            journal.remove(&days).unwrap();
            days.len()
        };
        assert_eq!(old(&journal, day(20), day(1), u64::MAX), 1);
        assert_eq!(old(&journal, day(3), day(3), 0), 2);
        assert_eq!(all(&mut journal, 0).len(), 1);
    }

    #[test]
    fn a_flipped_bit_is_noticed_and_the_rest_goes_on() {
        let state = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(state.path()).unwrap();
        for n in 0..3 {
            journal.append(&Record::Messages(vec![message(n, "payload")]), Time(n)).unwrap();
        }
        let path = journal.path(Time(0));
        let connection = Connection::open(path).unwrap();
        connection.execute("UPDATE block SET body = zeroblob(length(body)) WHERE number = 2", []).unwrap();
        let mut damaged = 0;
        journal
            .replay(Time(0), |block| {
                damaged += usize::from(block.is_err());
                Ok::<(), StoreError>(())
            })
            .unwrap();
        assert_eq!((damaged, all(&mut journal, 0).len()), (1, 2));
    }
}

//! Digests: how many rows a table has and what they add up to, so that a row that vanished is noticed, which no
//! checksum of a row can tell. Kept by bucket of entities, so that a difference says where to look.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};

/// The tables that have digests. The numbers are part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Quarter = 0,
    Day = 1,
    Entry = 2,
    Verdict = 3,
    Adjustment = 4,
    Audit = 5,
}

impl Kind {
    pub(crate) const ALL: [Kind; 6] =
        [Kind::Quarter, Kind::Day, Kind::Entry, Kind::Verdict, Kind::Adjustment, Kind::Audit];

    pub(crate) fn table(self) -> &'static str {
        match self {
            Kind::Quarter => "quarter",
            Kind::Day => "day",
            Kind::Entry => "entry",
            Kind::Verdict => "verdict",
            Kind::Adjustment => "adjustment",
            Kind::Audit => "audit",
        }
    }

    /// Selects number, start, window, changed and checksum.
    pub(crate) fn marks(self) -> &'static str {
        match self {
            Kind::Quarter => "SELECT meter, start, 0, changed, crc FROM quarter",
            Kind::Day => "SELECT meter, start, 0, 0, crc FROM day",
            Kind::Entry => "SELECT entity, start, window, changed, crc FROM entry",
            Kind::Verdict => "SELECT number, decided, 0, 0, crc FROM verdict",
            Kind::Adjustment => "SELECT number, decided, 0, 0, crc FROM adjustment",
            Kind::Audit => "SELECT number, decided, 0, 0, crc FROM audit",
        }
    }
}

/// How many buckets there are.
pub(crate) const BUCKETS: i64 = 64;

/// What identifies one state of a row: number, start, window, changed, checksum.
pub(crate) type Mark = [i64; 5];

pub(crate) fn read_mark(row: &Row<'_>) -> rusqlite::Result<Mark> {
    Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?])
}

/// A sum over rows that does not depend on their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest {
    pub count: i64,
    pub sum: i64,
}

impl Digest {
    pub(crate) fn add(&mut self, mark: Mark) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(mix(mark));
    }

    fn remove(&mut self, mark: Mark) {
        self.count -= 1;
        self.sum = self.sum.wrapping_sub(mix(mark));
    }

    fn merge(&mut self, other: Digest) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// Every bit of the mark changes half of the result (the finisher of SplitMix64).
fn mix(mark: Mark) -> i64 {
    let mut hash = 0u64;
    for part in mark {
        hash = (hash ^ part as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^= hash >> 31;
    }
    hash as i64
}

/// Changes to the digests that go with the changes of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Changes(BTreeMap<(i64, i64), Digest>);

impl Changes {
    pub(crate) fn replace(&mut self, kind: Kind, old: Option<Mark>, new: Option<Mark>) {
        if let Some(mark) = old {
            self.0.entry((kind as i64, bucket(mark[0]))).or_default().remove(mark);
        }
        if let Some(mark) = new {
            self.0.entry((kind as i64, bucket(mark[0]))).or_default().add(mark);
        }
    }

    pub(crate) fn write(self, connection: &Connection) -> rusqlite::Result<()> {
        for ((kind, bucket), change) in self.0 {
            let mut digest = read(connection, kind, bucket)?;
            digest.merge(change);
            store(connection, (kind, bucket), digest)?;
        }
        Ok(())
    }
}

pub(crate) fn bucket(number: i64) -> i64 {
    number.rem_euclid(BUCKETS)
}

pub(crate) fn read(connection: &Connection, kind: i64, bucket: i64) -> rusqlite::Result<Digest> {
    let mut statement = connection.prepare_cached("SELECT count, sum FROM digest WHERE kind = ?1 AND bucket = ?2")?;
    let mut rows = statement.query((kind, bucket))?;
    match rows.next()? {
        Some(row) => Ok(Digest { count: row.get(0)?, sum: row.get(1)? }),
        None => Ok(Digest::default()),
    }
}

fn store(connection: &Connection, (kind, bucket): (i64, i64), digest: Digest) -> rusqlite::Result<()> {
    let sql = "INSERT INTO digest(kind, bucket, count, sum) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT(kind, bucket) DO UPDATE SET count = ?3, sum = ?4";
    connection.prepare_cached(sql)?.execute((kind, bucket, digest.count, digest.sum)).map(drop)
}

/// Works out all digests from the rows that are there.
pub(crate) fn recount(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM digest", [])?;
    let mut changes = Changes::default();
    for kind in Kind::ALL {
        let mut statement = connection.prepare(kind.marks())?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            changes.replace(kind, None, Some(read_mark(row)?));
        }
    }
    changes.write(connection)
}

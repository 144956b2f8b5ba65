//! A mark in the database says how far this ledger was when it last wrote there. A state directory that was restored from
//! an old copy knows less than its mark: what it would write may be older than what stands.

use crate::influx::client::{Bucket, QueryError};
use crate::influx::{World, points};
use crate::ledger::Entry;
use crate::pipeline::Rules;
use crate::quantity::{Span, Time};
use crate::store::StoreError;

/// The ledger was at this change already, before it was restored from an old copy.
const BEHIND: &str = "influxdb.behind";
/// Windows of one length asked for with one question, of all entities.
const WINDOWS_A_QUESTION: i64 = 100;
/// How old a copy may be and still be noticed.
const REACH: Span = Span::days(400);

/// The mark of one ledger.
#[derive(Debug)]
pub(crate) struct Mark {
    /// The latest change when the process began, and when that was sealed.
    opened: (i64, Time),
    checked: bool,
    written: i64,
    /// The ledger was at this change already, and is not any more.
    pub behind: Option<i64>,
}

impl Mark {
    pub(crate) fn read(world: &World) -> Result<Mark, StoreError> {
        let behind = world.cursors.get(BEHIND)?.filter(|known| *known > 0);
        world.health.behind_mark(behind.is_some());
        Ok(Mark { opened: world.reader.latest()?, checked: false, written: 0, behind })
    }

    /// Asks once for the mark, before anything is written. An error: it is not known yet.
    pub(crate) async fn check(
        &mut self,
        bucket: &Bucket,
        name: &str,
        world: &mut World,
    ) -> Result<Result<(), String>, StoreError> {
        if self.checked {
            return Ok(Ok(()));
        }
        let now = (world.now)();
        let tags = [("incarnation", world.incarnation.as_str())];
        let range = (now.minus(REACH), now.plus(Span::days(1)));
        let rows = match points::ask(bucket, name, ("ledger", &tags), range).await {
            Ok(rows) => rows,
            Err(QueryError::Away(trouble)) => return Ok(Err(trouble)),
            Err(QueryError::Refused(trouble)) => {
                tracing::info!(
                    trouble,
                    "the database cannot be asked: an old copy of the state directory would go unnoticed"
                );
                Vec::new()
            }
        };
        self.checked = true;
        let known = rows.iter().filter_map(|row| row.get("changed")?.parse().ok()).max();
        let (latest, sealed) = self.opened;
        self.written = known.unwrap_or(0);
        if known <= Some(latest) {
            self.show(None, world)?;
        } else {
            tracing::error!(
                %sealed, "the database knows a later state of this ledger: the state directory is an old copy, and what was \
                received since is lost here; windows of a higher revision in the database are left alone"
            );
            self.show(known, world)?;
        }
        Ok(Ok(()))
    }

    fn show(&mut self, behind: Option<i64>, world: &mut World) -> Result<(), StoreError> {
        if behind == self.behind {
            return Ok(());
        }
        self.behind = behind;
        world.health.behind_mark(behind.is_some());
        world.cursors.set(&[(BEHIND, behind.unwrap_or(0))])
    }

    /// Moves the mark to what the database has confirmed, but never back. There is one point a day.
    pub(crate) async fn advance(
        &mut self,
        bucket: &Bucket,
        confirmed: i64,
        world: &mut World,
    ) -> Result<(), StoreError> {
        if confirmed <= self.written || self.behind.is_some_and(|known| confirmed <= known) {
            return Ok(());
        }
        let day = (world.now)().0.div_euclid(86_400_000) * 86_400;
        let line = format!("ledger,incarnation={} changed={confirmed}i {day}\n", world.incarnation);
        // A mark that is not moved is no trouble: the next step tries again.
        if bucket.write(&line).await.is_ok() {
            self.written = confirmed;
            self.show(None, world)?;
        }
        Ok(())
    }
}

/// The entries of which the database has no higher revision.
pub(crate) async fn leave_newer(
    bucket: &Bucket,
    name: &str,
    rules: &Rules,
    entries: Vec<Entry>,
) -> Result<Vec<Entry>, QueryError> {
    let mut kept = Vec::with_capacity(entries.len());
    let kind = |entry: &Entry| (entry.key.entity.level(), entry.key.window);
    // A late reading and a live one are far apart; all between them would be asked for.
    let stretch = |entry: &Entry| entry.key.start.0.div_euclid(WINDOWS_A_QUESTION * entry.key.window.shortest().0);
    let mut entries = entries;
    entries.sort_by_key(|entry| (kind(entry), entry.key.start));
    for alike in entries.chunk_by(|a, b| kind(a) == kind(b) && stretch(a) == stretch(b)) {
        let starts = || alike.iter().map(|entry| entry.key.start);
        let (Some(from), Some(to)) = (starts().min(), starts().max()) else {
            continue;
        };
        let theirs = points::of_entries(bucket, name, kind(&alike[0]), (from, to.plus(Span::seconds(1)))).await?;
        kept.extend(
            alike
                .iter()
                .filter(|entry| {
                    let key = (rules.topology.id(entry.key.entity).to_string(), entry.key.start.0);
                    theirs.get(&key).is_none_or(|row| points::revision(row) <= entry.revision)
                })
                .cloned(),
        );
    }
    Ok(kept)
}

//! A mark in the database says how far this ledger was when it last wrote there. A state directory that was restored from
//! an old copy knows less than its mark: what it would write may be poorer than what stands.

use crate::influx::{Database, QueryError, World, WriteError, points};
use crate::quantity::{Span, Time};
use crate::store::{Lost, StoreError};

/// How old a copy may be and still be noticed.
const REACH: Span = Span::days(400);

/// When the ledger had been sealed at the first of the starts since the database was asked; 0: it was asked.
const UNASKED: &str = "influxdb.unasked";

/// Whether the database's figure of a window with this end stands against the ledger's: it is of a higher revision; or the
/// window closed in a lost time, whatever is known here of it now; or both restated it, each in its own way.
pub(crate) fn stands(lost: &[Lost], end: Time, ours: u32, theirs: u32) -> bool {
    let better = |lost: &Lost| theirs > 0 && end <= lost.to && (end > lost.from || theirs == ours);
    theirs > ours || lost.iter().any(better)
}

/// The mark of one ledger.
#[derive(Debug)]
pub(crate) struct Mark {
    /// When the ledger was sealed last before the process began.
    opened: Time,
    checked: bool,
    /// The change that the database's mark stands at.
    written: i64,
    refused: bool,
    pub lost: Vec<Lost>,
}

impl Mark {
    pub(crate) fn read(world: &mut World) -> Result<Mark, StoreError> {
        // The database may not have been asked yet when the process before ended.
        let unasked = world.cursors.get(UNASKED)?.filter(|time| *time > 0).map(Time);
        let opened = unasked.unwrap_or(world.opened).min(world.opened);
        world.cursors.set(&[(UNASKED, opened.0)])?;
        let lost = Lost::read(&world.state)?;
        world.health.lost(&lost);
        Ok(Mark { opened, checked: false, written: 0, refused: false, lost })
    }

    /// Asks once for the mark, before anything is written. The inner error: it is not known yet, and until it is, nothing may
    /// be written.
    pub(crate) async fn check(
        &mut self,
        bucket: &impl Database,
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
                tracing::warn!(
                    trouble,
                    "the database cannot be asked: an old copy of the state directory would go unnoticed"
                );
                Vec::new()
            }
        };
        let sealed = rows.iter().filter_map(|row| row.get("sealed_ms")?.parse().ok()).max().map(Time);
        if let Some(to) = sealed.filter(|sealed| *sealed > self.opened) {
            let lost = Lost { from: self.opened, to };
            tracing::error!(
                from = %lost.from, %to, "the database knows a later state of this ledger: the state directory is an old copy, \
                and what was received in this time is lost here; what the database has of it is left alone"
            );
            lost.note(&world.state)?;
        }
        world.cursors.set(&[(UNASKED, 0)])?;
        // Were it still there after a power cut, the next mark would look like a later state of a lost ledger.
        world.cursors.sync()?;
        self.checked = true;
        Ok(Ok(()))
    }

    /// An operator may have decided meanwhile.
    pub(crate) fn look(&mut self, world: &World) -> Result<(), StoreError> {
        self.lost = Lost::read(&world.state)?;
        world.health.lost(&self.lost);
        Ok(())
    }

    /// Moves the mark to where the ledger is, before anything of that is written: what the database has, its mark has too.
    /// There is one point a day. Returns up to which change may be written.
    pub(crate) async fn advance(
        &mut self,
        bucket: &impl Database,
        world: &mut World,
    ) -> Result<Result<i64, WriteError>, StoreError> {
        let (latest, sealed) = world.reader.latest()?;
        if latest <= self.written || self.lost.iter().any(|lost| sealed <= lost.to) {
            return Ok(Ok(latest));
        }
        let day = (world.now)().0.div_euclid(86_400_000) * 86_400;
        let line =
            format!("ledger,incarnation={} changed={latest}i,sealed_ms={}i {day}\n", world.incarnation, sealed.0);
        match bucket.write(&line).await {
            Ok(()) => self.written = latest,
            Err(error @ WriteError::Later { .. }) => return Ok(Err(error)),
            // Figures do not wait for it; the next step tries again.
            Err(WriteError::Split(trouble) | WriteError::Broken(trouble)) if !self.refused => {
                self.refused = true;
                tracing::warn!(
                    trouble,
                    "the database takes no mark: an old copy of the state directory would go unnoticed"
                );
            }
            Err(WriteError::Split(_) | WriteError::Broken(_)) => {}
        }
        Ok(Ok(latest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_database_knows_better_stands() {
        let lost = [Lost { from: Time(100), to: Time(200) }, Lost { from: Time(400), to: Time(500) }];
        let table = [
            ("closed in the lost time", 150, 1, 1, true),
            ("and restated here from what is left", 150, 3, 1, true),
            ("closed in the other lost time", 450, 3, 1, true),
            ("still open there", 150, 1, 0, false),
            ("closed before, the same", 90, 1, 1, true),
            ("closed before, and restated there", 90, 1, 2, true),
            ("closed before, and restated here", 90, 2, 1, false),
            ("closed between, and restated here", 300, 2, 1, false),
            ("closes later", 600, 1, 0, false),
            ("closed later, sent again", 600, 1, 1, false),
        ];
        for (what, end, ours, theirs, expected) in table {
            assert_eq!(stands(&lost, Time(end), ours, theirs), expected, "{what}");
        }
    }
}

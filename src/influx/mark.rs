//! A mark in the database says how far this ledger was when it last wrote there. A state directory that was restored from
//! an old copy knows less than its mark: what it would write may be poorer than what stands.

use crate::influx::{Database, QueryError, World, WriteError, points};
use crate::quantity::{Span, Time};
use crate::store::{Cursors, StoreError};

const LOST_FROM: &str = "influxdb.lost-from";
const LOST_TO: &str = "influxdb.lost-to";
/// How old a copy may be and still be noticed.
const REACH: Span = Span::days(400);
/// A database that takes lines may be unable to answer: after so many tries it is no longer asked.
const TRIES_MAX: u32 = 10;

/// A time of which this ledger has lost its books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The copy ends here.
    pub from: Time,
    /// The ledger had been sealed at this time.
    pub to: Time,
}

impl Lost {
    /// `None`: nothing is known to be lost.
    pub fn read(cursors: &Cursors) -> Result<Option<Lost>, StoreError> {
        let times = cursors.get(LOST_FROM)?.zip(cursors.get(LOST_TO)?);
        Ok(times.map(|(from, to)| Lost { from: Time(from), to: Time(to) }).filter(|lost| lost.from < lost.to))
    }

    fn write(lost: Option<Lost>, cursors: &mut Cursors) -> Result<(), StoreError> {
        let Lost { from, to } = lost.unwrap_or(Lost { from: Time(0), to: Time(0) });
        cursors.set(&[(LOST_FROM, from.0), (LOST_TO, to.0)])
    }

    /// Whether the database's figure of a window with this end stands against the ledger's: it is of a higher revision; or
    /// the window closed in the lost time, whatever is known here of it now; or both restated it, each in its own way.
    pub(crate) fn stands(self, end: Time, ours: u32, theirs: u32) -> bool {
        let closed_before = end <= self.to && theirs > 0;
        theirs > ours || closed_before && (end > self.from || theirs == ours)
    }
}

/// The mark of one ledger.
#[derive(Debug)]
pub(crate) struct Mark {
    /// When the ledger was sealed last before the process began.
    opened: Time,
    checked: bool,
    tries: u32,
    /// The change that the database's mark stands at.
    written: i64,
    refused: bool,
    pub lost: Option<Lost>,
}

impl Mark {
    pub(crate) fn read(world: &World) -> Result<Mark, StoreError> {
        let lost = Lost::read(&world.cursors)?;
        world.health.lost(lost);
        let (_, opened) = world.reader.latest()?;
        Ok(Mark { opened, checked: false, tries: 0, written: 0, refused: false, lost })
    }

    /// Asks once for the mark, before anything is written. The inner error: it is not known yet.
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
            Err(QueryError::Away(trouble)) if self.tries < TRIES_MAX => {
                self.tries += 1;
                return Ok(Err(trouble));
            }
            Err(QueryError::Away(trouble) | QueryError::Refused(trouble)) => {
                tracing::warn!(
                    trouble,
                    "the database cannot be asked: an old copy of the state directory would go unnoticed"
                );
                Vec::new()
            }
        };
        self.checked = true;
        let sealed = rows.iter().filter_map(|row| row.get("sealed_ms")?.parse().ok()).max().map(Time);
        if let Some(to) = sealed.filter(|sealed| *sealed > self.opened) {
            self.notice(to, world)?;
        }
        Ok(Ok(()))
    }

    fn notice(&mut self, to: Time, world: &mut World) -> Result<(), StoreError> {
        let from = self.lost.map_or(self.opened, |earlier| earlier.from.min(self.opened));
        tracing::error!(
            %from, %to, "the database knows a later state of this ledger: the state directory is an old copy, and what was \
            received in this time is lost here; what the database has of it is left alone"
        );
        self.show(Some(Lost { from, to }), world)
    }

    fn show(&mut self, lost: Option<Lost>, world: &mut World) -> Result<(), StoreError> {
        self.lost = lost;
        world.health.lost(lost);
        Lost::write(lost, &mut world.cursors)
    }

    /// Moves the mark to where the ledger is, before anything of that is written: what the database has, its mark has too.
    /// There is one point a day. Returns up to which change may be written.
    pub(crate) async fn advance(
        &mut self,
        bucket: &impl Database,
        late_horizon: Span,
        world: &mut World,
    ) -> Result<Result<i64, WriteError>, StoreError> {
        let (latest, sealed) = world.reader.latest()?;
        if self.lost.is_some_and(|lost| sealed.since(lost.to) > late_horizon) {
            // Nothing can restate a window of that time any more.
            self.show(None, world)?;
        }
        if latest <= self.written || self.lost.is_some_and(|lost| sealed <= lost.to) {
            return Ok(Ok(latest));
        }
        let day = (world.now)().0.div_euclid(86_400_000) * 86_400;
        let line =
            format!("ledger,incarnation={} changed={latest}i,sealed_ms={}i {day}\n", world.incarnation, sealed.0);
        match bucket.write(&line).await {
            Ok(()) => self.written = latest,
            // Figures do not wait for it; the next step tries again.
            Err(WriteError::Split(trouble)) if !self.refused => {
                self.refused = true;
                tracing::warn!(
                    trouble,
                    "the database takes no mark: an old copy of the state directory would go unnoticed"
                );
            }
            Err(WriteError::Split(_)) => {}
            Err(error) => return Ok(Err(error)),
        }
        Ok(Ok(latest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_database_knows_better_stands() {
        let lost = Lost { from: Time(100), to: Time(200) };
        let table = [
            ("closed in the lost time", 150, 1, 1, true),
            ("and restated here from what is left", 150, 3, 1, true),
            ("still open there", 150, 1, 0, false),
            ("closed before, the same", 90, 1, 1, true),
            ("closed before, and restated there", 90, 1, 2, true),
            ("closed before, and restated here", 90, 2, 1, false),
            ("closes later", 300, 1, 0, false),
            ("closed later, sent again", 300, 1, 1, false),
        ];
        for (what, end, ours, theirs, stands) in table {
            assert_eq!(lost.stands(Time(end), ours, theirs), stands, "{what}");
        }
    }
}

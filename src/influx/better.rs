//! Leaving alone what the database knows better than a ledger that was restored from an old copy.

use std::collections::BTreeMap;

use crate::influx::lines::{Line, Lines};
use crate::influx::mark::stands;
use crate::influx::points::{self, Row};
use crate::influx::{Database, QueryError};
use crate::ledger::Entry;
use crate::quantity::{Span, Time};
use crate::store::Lost;

/// Points asked for with one question.
const POINTS_A_QUESTION: i64 = 5_000;

/// The lines of the entries of which the database knows no better. Where it does not let us read, it may.
pub(crate) async fn leave_better(
    bucket: &impl Database,
    lines: &Lines,
    lost: &[Lost],
    entries: Vec<Entry>,
) -> Result<Vec<Line>, QueryError> {
    let end = |entry: &Entry| {
        let key = entry.key;
        lines.rules.topology.window_end(key.entity, key.window, key.start)
    };
    let last = lost.iter().map(|lost| lost.to).max().unwrap_or(Time::MIN);
    let (mut doubtful, sure): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| end(entry) <= last);
    let mut kept = lines.encode(&sure);
    let kind = |entry: &Entry| (entry.key.entity.level(), entry.key.window);
    // A late reading and a live one are far apart; all between them would be asked for.
    let stretch = |entry: &Entry| {
        let windows = (POINTS_A_QUESTION / lines.entities(entry.key.entity.level()).len().max(1) as i64).max(1);
        entry.key.start.0.div_euclid(windows * entry.key.window.shortest().0)
    };
    doubtful.sort_by_key(|entry| (kind(entry), entry.key.start));
    for alike in doubtful.chunk_by(|a, b| kind(a) == kind(b) && stretch(a) == stretch(b)) {
        let theirs = match theirs(bucket, lines, alike).await {
            Err(QueryError::Refused(trouble)) => {
                tracing::warn!(trouble, "the database cannot be asked what it has of the lost time: it is left alone");
                continue;
            }
            answered => answered?,
        };
        for entry in alike {
            kept.extend(lines.encode(std::slice::from_ref(entry)).into_iter().filter(|line| {
                let known = theirs.get(&(line.series().to_owned(), entry.key.start));
                known.is_none_or(|row| !stands(lost, end(entry), entry.revision, points::revision(row)))
            }));
        }
    }
    Ok(kept)
}

/// What the database has of entries of one kind.
async fn theirs(
    bucket: &impl Database,
    lines: &Lines,
    alike: &[Entry],
) -> Result<BTreeMap<(String, Time), Row>, QueryError> {
    let starts = || alike.iter().map(|entry| entry.key.start);
    let (Some(first), Some(from), Some(to)) = (alike.first(), starts().min(), starts().max()) else {
        return Ok(BTreeMap::new());
    };
    let kind = (first.key.entity.level(), first.key.window);
    points::of_entries(bucket, &lines.options.bucket, kind, (from, to.plus(Span::seconds(1)))).await
}

//! What entities emit now: the latest minutes, as an hour of them would be.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::cluster::Entity;
use crate::emission::Column;
use crate::http::entries::{Asked, fetch_beside};
use crate::http::problem::Problem;
use crate::http::server::App;
use crate::ledger::Entry;
use crate::quantity::{Span, Time, Window};

/// A rate is of so many minutes.
const RATE_MINUTES: usize = 5;
/// Minutes so covered are complete enough for a rate.
const COMPLETE_E4: u32 = 9_000;
/// A rate is not looked for further back.
const RATE_REACH: Span = Span::minutes(60);

/// What was emitted in a few minutes, as an hour of it would be.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Rate {
    /// The minutes from here,
    pub from: String,
    /// to here.
    pub to: String,
    pub scope1_kg_per_hour: f64,
    pub scope2_location_kg_per_hour: f64,
    pub scope2_market_kg_per_hour: f64,
    /// Of the meters' time in these minutes.
    pub coverage: f64,
    /// All of these minutes are measured well enough: else it is more.
    pub complete: bool,
}

/// The latest minutes that are measured, of each.
pub(crate) async fn rates(app: &Arc<App>, entities: &[Entity], now: Time) -> Result<BTreeMap<Entity, Rate>, Problem> {
    let span = (now.minus(RATE_REACH), now);
    let entries = fetch_beside(Arc::clone(app), Asked::of(entities.to_vec(), Window::Minute, span)).await?;
    let mut minutes: BTreeMap<Entity, Vec<&Entry>> = BTreeMap::new();
    // The minute that goes on is not over.
    for entry in entries.iter().filter(|entry| entry.key.start.plus(Span::minutes(1)) <= now) {
        minutes.entry(entry.key.entity).or_default().push(entry);
    }
    Ok(minutes.into_iter().filter_map(|(entity, minutes)| Some((entity, rate(&minutes)?))).collect())
}

/// The latest minutes in a row that are all measured well enough; if there are none, the latest, which are incomplete. Minutes
/// in their order.
fn rate(minutes: &[&Entry]) -> Option<Rate> {
    let length = Span::minutes(1);
    let is_complete = |row: &&[&Entry]| {
        let in_a_row = row.windows(2).all(|pair| pair[0].key.start.plus(length) == pair[1].key.start);
        in_a_row && row.iter().all(|minute| minute.coverage_e4 >= COMPLETE_E4)
    };
    let complete = minutes.windows(RATE_MINUTES).rev().find(is_complete);
    let last = complete.and_then(<[&Entry]>::last).or(minutes.last())?;
    let end = last.key.start.plus(length);
    let begin = end.minus(Span::minutes(RATE_MINUTES as i64));
    let within: Vec<&&Entry> = minutes.iter().filter(|m| begin <= m.key.start && m.key.start < end).collect();
    let of = |column: Column| {
        let mg: i128 = within.iter().map(|minute| minute.tally.mg(column)).sum();
        mg as f64 * 60.0 / RATE_MINUTES as f64 / 1e6
    };
    let covered: u32 = within.iter().map(|minute| minute.coverage_e4).sum();
    Some(Rate {
        from: begin.to_string(),
        to: end.to_string(),
        scope1_kg_per_hour: of(Column::Scope1),
        scope2_location_kg_per_hour: of(Column::Scope2Location),
        scope2_market_kg_per_hour: of(Column::Scope2Market),
        coverage: f64::from(covered) / 10_000.0 / RATE_MINUTES as f64,
        complete: complete.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::FacilityIx;
    use crate::emission::Tally;
    use crate::ledger::Key;

    fn minute(at: i64, coverage_e4: u32) -> Entry {
        let key = Key { entity: Entity::Facility(FacilityIx(0)), window: Window::Minute, start: Time(at * 60_000) };
        Entry { key, tally: Tally::default(), coverage_e4, revision: 0 }
    }

    #[test]
    fn a_rate_is_of_minutes_that_are_measured() {
        let shown = |coverage: &[(i64, u32)]| {
            let minutes: Vec<Entry> = coverage.iter().map(|(at, coverage)| minute(*at, *coverage)).collect();
            rate(&minutes.iter().collect::<Vec<_>>()).map(|rate| (rate.to[11..16].to_owned(), rate.complete))
        };
        let all: Vec<(i64, u32)> = (0..10).map(|at| (at, 10_000)).collect();
        assert_eq!(shown(&all), Some(("00:10".to_owned(), true)));
        // One meter is not in yet: what is known of all is older.
        let late: Vec<(i64, u32)> = (0..10).map(|at| (at, if at < 7 { 9_500 } else { 2_000 })).collect();
        assert_eq!(shown(&late), Some(("00:07".to_owned(), true)));
        let gap: Vec<(i64, u32)> = late.iter().copied().filter(|(at, _)| *at != 4).collect();
        assert_eq!(shown(&gap), Some(("00:10".to_owned(), false)));
        assert_eq!(shown(&[]), None);
    }
}

//! Which lines a change of the ledger makes.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cluster::{Entity, Level, MeterIx};
use crate::format::entry_line;
use crate::influx::Options;
use crate::ledger::{Closed, Entry};
use crate::pipeline::{Rules, meter_entries};
use crate::quantity::{Quarter, Time, Window};
use crate::store::{Changed, Reader, StoreError};

/// Turns entries into lines, as far as the configuration wants them.
pub(crate) struct Lines {
    pub rules: Arc<Rules>,
    pub options: Options,
}

impl Lines {
    /// The windows wanted of a level.
    pub(crate) fn windows(&self, level: Level) -> &[Window] {
        self.options.windows.get(&level).map(Vec::as_slice).unwrap_or_default()
    }

    /// One line an entry; what line protocol cannot carry is logged and left out.
    pub(crate) fn encode(&self, entries: &[Entry]) -> Vec<String> {
        let wanted = entries.iter().filter(|e| self.windows(e.key.entity.level()).contains(&e.key.window));
        let lines = wanted.filter_map(|entry| {
            let mut line = String::with_capacity(600);
            match entry_line(entry, &self.rules.topology, &mut line) {
                Ok(()) => Some(line),
                Err(error) => {
                    tracing::error!(%error, "an entry cannot be written to the database");
                    None
                }
            }
        });
        lines.collect()
    }

    /// The entries of what changed: those above the meters as stored, those of meters derived from their quarters.
    pub(crate) fn changed(&self, reader: &Reader, changed: &Changed, now: Time) -> Result<Vec<Entry>, StoreError> {
        let topology = &self.rules.topology;
        let closed = |c: &Closed| Entry::new(c.key, c.balance.own.clone(), c.revision, topology, Time::MAX);
        let mut entries: Vec<Entry> = changed.entries.iter().map(closed).collect();
        let mut touched: BTreeSet<(MeterIx, Window, Time)> = BTreeSet::new();
        for (meter, quarter) in &changed.quarters {
            let zone = topology.zone(Entity::Meter(*meter));
            for window in self.windows(Level::Meter) {
                touched.insert((*meter, *window, zone.start(*window, quarter.start())));
            }
        }
        for (meter, window, start) in touched {
            entries.extend(self.meter_window(reader, (meter, window, start), now)?);
        }
        Ok(entries)
    }

    /// One meter's window, derived from its quarters; none where nothing is stored.
    pub(crate) fn meter_window(
        &self,
        reader: &Reader,
        (meter, window, start): (MeterIx, Window, Time),
        now: Time,
    ) -> Result<Vec<Entry>, StoreError> {
        let end = self.rules.topology.zone(Entity::Meter(meter)).end(window, start);
        let range = (start.quarter(), Quarter(end.quarter().0.max(start.quarter().0 + 1)));
        let quarters = reader.activities(meter, range)?.into_iter();
        // A minute's quarter holds its neighbours too.
        let entries = meter_entries(&self.rules, meter, window, quarters, now);
        Ok(entries.into_iter().filter(|entry| window == Window::Minute || entry.key.start == start).collect())
    }

    /// The windows of meters that are open at `now`, and those before, which may have closed while nobody looked.
    pub(crate) fn recent_meter_windows(&self, now: Time) -> Vec<(MeterIx, Window, Time)> {
        let mut recent = Vec::new();
        for (ix, _) in (0u32..).zip(&self.rules.topology.meters) {
            let zone = self.rules.topology.zone(Entity::Meter(MeterIx(ix)));
            for window in self.windows(Level::Meter) {
                let start = zone.start(*window, now);
                recent.push((MeterIx(ix), *window, start));
                recent.push((MeterIx(ix), *window, zone.start(*window, Time(start.0 - 1))));
            }
        }
        recent
    }

    /// When a meter's window closes.
    pub(crate) fn closes(&self, (meter, window, start): (MeterIx, Window, Time)) -> Time {
        self.rules.topology.zone(Entity::Meter(meter)).end(window, start).plus(self.rules.close_after)
    }
}

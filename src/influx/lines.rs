//! Which lines a change of the ledger makes.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cluster::{Entity, Level, MeterIx};
use crate::format::entry_line;
use crate::influx::Options;
use crate::ledger::{Closed, Entry, Key};
use crate::pipeline::{Amounts, Rules, meter_entries, quarters_of};
use crate::quantity::{Time, Window};
use crate::store::{Changed, Reader, StoreError};

/// One line, and the entry it tells of: level, id, window, start.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub key: String,
    pub text: String,
}

impl Line {
    /// Its tags: `cluster=c,level=cluster,window=1h`.
    pub(crate) fn series(&self) -> &str {
        let head = self.text.split(' ').next().unwrap_or_default();
        head.split_once(',').map_or("", |(_, tags)| tags)
    }
}

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

    /// All entities of a level.
    pub(crate) fn entities(&self, level: Level) -> Vec<Entity> {
        let topology = &self.rules.topology;
        let meters = (0u32..).zip(&topology.meters).map(|(ix, _)| Entity::Meter(MeterIx(ix)));
        meters.chain(topology.entities()).filter(|entity| entity.level() == level).collect()
    }

    /// One line an entry; what line protocol cannot carry is logged and left out.
    pub(crate) fn encode(&self, entries: &[Entry]) -> Vec<Line> {
        let wanted = entries.iter().filter(|e| self.windows(e.key.entity.level()).contains(&e.key.window));
        let lines = wanted.filter_map(|entry| {
            let mut text = String::with_capacity(600);
            match entry_line(entry, &self.rules.topology, &mut text) {
                Ok(()) => Some(Line { key: self.key(entry), text }),
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
        let mut entries: Vec<Entry> = changed.entries.iter().map(|c| self.closed(c)).collect();
        let mut touched: BTreeSet<(MeterIx, Window, Time)> = BTreeSet::new();
        for (meter, quarter) in &changed.quarters {
            for (meter, quarter) in self.rules.accounts.derived_from(*meter, *quarter) {
                let zone = topology.zone(Entity::Meter(meter));
                for window in self.windows(Level::Meter) {
                    touched.insert((meter, *window, zone.start(*window, quarter.start())));
                }
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
        let range = quarters_of(&self.rules, meter, window, (start, start));
        let amounts = Amounts::collect(&self.rules, meter, |ix| reader.activities(ix, range))?;
        let entries = meter_entries(&self.rules, meter, window, &amounts, reader.over(now)?);
        // A minute's quarter holds its neighbours too.
        let quarter = start.quarter();
        let wanted = |at: Time| if window == Window::Minute { at.quarter() == quarter } else { at == start };
        Ok(entries.into_iter().filter(|entry| wanted(entry.key.start)).collect())
    }

    fn key(&self, entry: &Entry) -> String {
        let Key { entity, window, start } = entry.key;
        format!("{}/{}/{window}/{}", entity.level().name(), self.rules.topology.id(entity), start.0)
    }

    /// The entry of a line's key as it is now; none where nothing is stored, or nobody is declared.
    pub(crate) fn find(&self, reader: &Reader, key: &str, now: Time) -> Result<Vec<Entry>, StoreError> {
        let parts: Vec<&str> = key.split('/').collect();
        let [level, id, window, start] = parts[..] else {
            return Ok(Vec::new());
        };
        let topology = &self.rules.topology;
        let entity = Level::parse(level).and_then(|level| topology.find(level, id));
        let (Some(entity), Some(window), Ok(start)) = (entity, Window::parse(window), start.parse().map(Time)) else {
            return Ok(Vec::new());
        };
        if let Entity::Meter(meter) = entity {
            let entries = self.meter_window(reader, (meter, window, start), now)?;
            return Ok(entries.into_iter().filter(|entry| entry.key.start == start).collect());
        }
        let stored = reader.entries(entity, window, (start, Time(start.0 + 1)))?;
        Ok(stored.iter().map(|c| self.closed(c)).collect())
    }

    pub(crate) fn closed(&self, closed: &Closed) -> Entry {
        Entry::new(closed.key, closed.balance.own.clone(), closed.revision, &self.rules.topology, Time::MAX)
    }

    /// The windows of meters longer than a quarter that close after `from`, up to the one that is open at `now`: they may
    /// close while nobody looks.
    pub(crate) fn meter_windows_closing(&self, from: Time, now: Time) -> Vec<(MeterIx, Window, Time)> {
        let mut windows = Vec::new();
        for (ix, _) in (0u32..).zip(&self.rules.topology.meters) {
            let zone = self.rules.topology.zone(Entity::Meter(MeterIx(ix)));
            for window in self.windows(Level::Meter).iter().filter(|w| **w > Window::Quarter) {
                let mut key = (MeterIx(ix), *window, zone.start(*window, now));
                while self.closes(key) > from {
                    windows.push(key);
                    key.2 = zone.start(*window, Time(key.2.0 - 1));
                }
            }
        }
        windows
    }

    /// When a meter's window closes.
    pub(crate) fn closes(&self, (meter, window, start): (MeterIx, Window, Time)) -> Time {
        self.rules.topology.zone(Entity::Meter(meter)).end(window, start).plus(self.rules.close_after)
    }
}

//! What keeps alarms from being told.

use std::collections::BTreeMap;

use crate::alert::{Alarm, Hold, Line, Rule, Shelf};

/// What holds at one look.
pub(crate) struct Holds {
    /// Rules that are out of service, and why.
    out_of_service: BTreeMap<String, String>,
    /// What somebody put aside.
    pub shelves: BTreeMap<Line, Shelf>,
    /// What something else says as much, and what.
    pub hidden: BTreeMap<Line, String>,
}

impl Holds {
    pub(crate) fn new(rules: &[Rule]) -> Holds {
        let reason = |rule: &Rule| Some((rule.id.to_string(), rule.out_of_service.clone()?));
        let out_of_service = rules.iter().filter_map(reason).collect();
        Holds { out_of_service, shelves: BTreeMap::new(), hidden: BTreeMap::new() }
    }

    /// Why nobody is to be told of an alarm.
    pub(crate) fn of(&self, alarm: &Alarm) -> Option<Hold> {
        let line = alarm.line();
        let out = self.out_of_service.get(&alarm.rule).cloned().map(|reason| Hold::OutOfService { reason });
        let shelved = || self.shelves.get(&line).cloned().map(Hold::Shelved);
        let hidden = || self.hidden.get(&line).cloned().map(|by| Hold::Hidden { by });
        out.or_else(shelved).or_else(hidden)
    }
}

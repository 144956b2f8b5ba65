//! The state of an alarm over time: levels with delays on both sides, and not knowing.

use crate::quantity::{Span, Time};

/// A rule knows no more levels than these: projected, warning, over, critical.
const LEVELS: usize = 4;

/// What a rule finds at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Not over so far, and not settled yet: all stays as it is.
    Hold,
    /// Too little was measured to tell.
    Unknown,
    /// The plant is in a state in which it does not count.
    Aside,
    /// More than a level already, and not settled yet: it may rise; no level is left for it.
    Rising(Seen),
    /// Enough was measured, or more than the limit.
    Seen(Seen),
}

impl Finding {
    /// The same while more may come.
    pub(crate) fn rising(self) -> Finding {
        match self {
            Finding::Seen(seen) => Finding::Rising(seen),
            other => other,
        }
    }

    /// What was seen, if anything was.
    pub fn seen(self) -> Option<Seen> {
        match self {
            Finding::Rising(seen) | Finding::Seen(seen) => Some(seen),
            Finding::Hold | Finding::Unknown | Finding::Aside => None,
        }
    }
}

/// A value and where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The highest level that it is over; 0: none.
    pub over: u8,
    /// The highest level that it has not fallen clear of, by the deadband.
    pub held: u8,
    /// In millionths of the rule's unit: milligrams, or milligrams an hour.
    pub value: i128,
    /// What it is held against, in the same unit.
    pub limit: i128,
    /// What was measured is enough to be over.
    pub is_firm: bool,
}

/// What to make of missing data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoData {
    /// It is said that nothing is known.
    #[default]
    Unknown,
    /// It is an alarm.
    Alarm,
    /// It is as if nothing had been emitted.
    Normal,
}

/// How quickly a rule turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// So long must a level be exceeded.
    pub lasting: Span,
    /// So long it stays after it was held last.
    pub keep: Span,
    /// What to make of missing data.
    pub no_data: NoData,
    /// The level that missing data is, where it is an alarm.
    pub alarm: u8,
}

/// How things stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing is over.
    Normal,
    /// Too little was measured to tell, so far or of late.
    #[default]
    Unknown,
    /// The plant is in a state in which the rule does not count.
    Suppressed,
    /// This level is exceeded.
    Over(u8),
}

impl State {
    /// 0: none.
    pub fn level(self) -> u8 {
        match self {
            State::Over(level) => level,
            State::Normal | State::Unknown | State::Suppressed => 0,
        }
    }
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When, in the time of the readings.
    pub at: Time,
    /// From here on.
    pub state: State,
    /// What was seen then. `None`: too little.
    pub seen: Option<Seen>,
}

/// Takes findings in the order of their times.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    guard: Guard,
    state: State,
    /// Since when each level is exceeded without a break.
    rising: [Option<Time>; LEVELS + 1],
    /// When each level was held last.
    met: [Option<Time>; LEVELS + 1],
}

impl Machine {
    /// Begins with nothing known.
    pub fn new(guard: Guard) -> Machine {
        Machine { guard, state: State::Unknown, rising: Default::default(), met: Default::default() }
    }

    /// Goes on at a level; 0: with nothing known.
    pub fn resume(guard: Guard, level: u8) -> Machine {
        let state = if level > 0 { State::Over(level) } else { State::Unknown };
        Machine { state, ..Machine::new(guard) }
    }

    /// How things stand.
    pub fn state(&self) -> State {
        self.state
    }

    /// Takes what was found at `at`. Returns the turn that it makes, if any.
    pub fn step(&mut self, at: Time, finding: Finding) -> Option<Turn> {
        self.step_after(at, Span(0), finding)
    }

    /// The same, of what had lasted so long when it was found: an hour that was over as a whole.
    pub(crate) fn step_after(&mut self, at: Time, lasted: Span, finding: Finding) -> Option<Turn> {
        let (seen, shown) = match (finding, self.guard.no_data) {
            (Finding::Hold, _) => return None,
            (Finding::Aside, _) => return self.put_aside(at),
            (Finding::Rising(seen), _) => return self.rise(at, seen),
            (Finding::Seen(seen), _) => (seen, Some(seen)),
            (Finding::Unknown, NoData::Unknown) => return self.lose(at),
            (Finding::Unknown, NoData::Alarm) => (level(self.guard.alarm), None),
            (Finding::Unknown, NoData::Normal) => (level(0), None),
        };
        self.note((at, lasted), seen);
        let before = usize::from(self.state.level());
        let levels = || (1..=LEVELS).rev();
        let risen = self.risen(at);
        let kept = levels().find(|level| *level <= before && self.is_kept(*level, at, seen)).unwrap_or(0);
        self.turn(at, State::over(risen.max(kept)), shown)
    }

    /// No level is left, and none that is left over is held.
    fn rise(&mut self, at: Time, seen: Seen) -> Option<Turn> {
        self.note((at, Span(0)), Seen { held: seen.over, ..seen });
        let before = usize::from(self.state.level());
        let level = self.risen(at).max(before);
        if level == 0 { None } else { self.turn(at, State::over(level), Some(seen)) }
    }

    /// The highest level that has been exceeded for long enough.
    fn risen(&self, at: Time) -> usize {
        (1..=LEVELS).rev().find(|level| self.has_lasted(*level, at)).unwrap_or(0)
    }

    /// Nothing is known: what is over stays so, and what was about to be begins anew.
    fn lose(&mut self, at: Time) -> Option<Turn> {
        self.rising = Default::default();
        if self.state.level() > 0 { None } else { self.turn(at, State::Unknown, None) }
    }

    /// What was over in a period before this one is over no more, though nothing is known of this one.
    pub(crate) fn lapse(&mut self, start: Time, at: Time) -> Option<Turn> {
        let level = usize::from(self.state.level());
        let is_old = self.met.get(level).copied().flatten().is_none_or(|met| met <= start);
        if level == 0 || !is_old {
            return None;
        }
        (self.rising, self.met) = Default::default();
        self.turn(at, State::Unknown, None)
    }

    /// Nothing is over, whatever was.
    fn put_aside(&mut self, at: Time) -> Option<Turn> {
        (self.rising, self.met) = Default::default();
        self.turn(at, State::Suppressed, None)
    }

    fn turn(&mut self, at: Time, state: State, seen: Option<Seen>) -> Option<Turn> {
        let is_news = state != std::mem::replace(&mut self.state, state);
        is_news.then_some(Turn { at, state, seen })
    }

    fn note(&mut self, (at, lasted): (Time, Span), seen: Seen) {
        for (level, rising) in self.rising.iter_mut().enumerate().skip(1) {
            let is_over = level <= usize::from(seen.over);
            let since = at.minus(lasted);
            *rising = is_over.then_some(rising.map_or(since, |known| known.min(since)));
        }
        for (level, met) in self.met.iter_mut().enumerate().skip(1) {
            if level <= usize::from(seen.held.max(seen.over)) {
                *met = Some(at);
            }
        }
    }

    fn has_lasted(&self, level: usize, at: Time) -> bool {
        let since = self.rising.get(level).copied().flatten();
        since.is_some_and(|since| at.since(since) >= self.guard.lasting)
    }

    fn is_kept(&self, level: usize, at: Time, seen: Seen) -> bool {
        let met = self.met.get(level).copied().flatten();
        usize::from(seen.held) >= level || met.is_some_and(|met| at.since(met) < self.guard.keep)
    }
}

impl State {
    fn over(level: usize) -> State {
        match u8::try_from(level) {
            Ok(level @ 1..) => State::Over(level),
            _ => State::Normal,
        }
    }
}

fn level(level: u8) -> Seen {
    Seen { over: level, held: level, value: 0, limit: 0, is_firm: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values a minute apart: over 100 is level 1, over 200 level 2; 90 and 180 clear them; `?` is unknown, `.` not settled.
    fn turns(lasting: i64, keep: i64, no_data: NoData, values: &str) -> Vec<String> {
        let guard = Guard { lasting: Span::minutes(lasting), keep: Span::minutes(keep), no_data, alarm: 1 };
        let mut machine = Machine::new(guard);
        let finding = |text: &str| match text {
            "?" => Finding::Unknown,
            "." => Finding::Hold,
            value => {
                let value: i128 = value.parse().unwrap();
                let level = |first, second| u8::from(value > first) + u8::from(value > second);
                Finding::Seen(Seen { over: level(100, 200), held: level(90, 180), value, limit: 100, is_firm: true })
            }
        };
        let step = |(at, text): (usize, &str)| {
            let turn = machine.step(Time(at as i64 * 60_000), finding(text))?;
            Some(format!("{at} {:?}", turn.state))
        };
        values.split(' ').enumerate().filter_map(step).collect()
    }

    #[test]
    fn levels_rise_and_fall_with_a_deadband() {
        let seen = turns(0, 0, NoData::Unknown, "50 101 95 90 150 250 190 180 90");
        assert_eq!(seen, ["0 Normal", "1 Over(1)", "3 Normal", "4 Over(1)", "5 Over(2)", "7 Over(1)", "8 Normal"]);
    }

    #[test]
    fn what_does_not_last_is_no_alarm() {
        let seen = turns(2, 0, NoData::Unknown, "50 101 101 50 101 101 101 50");
        assert_eq!(seen, ["0 Normal", "6 Over(1)", "7 Normal"]);
        // The higher level has its own time to last.
        assert_eq!(turns(2, 0, NoData::Unknown, "50 101 201 201 201"), ["0 Normal", "3 Over(1)", "4 Over(2)"]);
        let seen = turns(2, 0, NoData::Unknown, "101 ? 101 101 101");
        assert_eq!(seen, ["0 Normal", "1 Unknown", "2 Normal", "4 Over(1)"]);
    }

    #[test]
    fn what_was_over_is_kept_for_a_while() {
        assert_eq!(turns(0, 3, NoData::Unknown, "101 50 50 101 50 50 50 50"), ["0 Over(1)", "6 Normal"]);
    }

    #[test]
    fn missing_data_is_never_normal() {
        let seen = turns(0, 0, NoData::Unknown, "? . 50 ? ? 101 ? 50 .");
        assert_eq!(seen, ["2 Normal", "3 Unknown", "5 Over(1)", "7 Normal"]);
        assert_eq!(turns(0, 0, NoData::Alarm, "50 ? 50"), ["0 Normal", "1 Over(1)", "2 Normal"]);
        assert_eq!(turns(0, 0, NoData::Normal, "101 ? 101"), ["0 Over(1)", "1 Normal", "2 Over(1)"]);
    }
}

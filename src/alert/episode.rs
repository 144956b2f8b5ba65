//! From the first turn away from normal to the turn back: one record.

use crate::alert::{Finding, Forecast, Kind, Level, Machine, Rule, Seen, State, Turn};
use crate::quantity::{Span, Time};

/// An alarm from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// When it began.
    pub start: Time,
    /// When the time is over that it began in: until then it may prove to be none.
    pub closes: Time,
    /// When it ended. `None`: it goes on.
    pub end: Option<Time>,
    /// Its levels over time; the first begins with it.
    pub levels: Vec<(Time, Level)>,
    /// What was seen when it began, or its level was another last. `None`: too little, which is an alarm of this rule.
    pub seen: Option<Seen>,
    /// The highest value, in the unit of the rule.
    pub peak: i128,
    /// What was emitted above the limit, in milligrams.
    pub excess_mg: i128,
    /// What was measured was enough to be over.
    pub is_firm: bool,
    /// Something told it: what comes late does not undo it.
    pub is_certain: bool,
    /// What there is to say of it, in words.
    pub detail: Option<String>,
}

impl Episode {
    /// The highest level that it had.
    pub fn highest(&self) -> Level {
        self.levels.iter().map(|(_, level)| *level).max().unwrap_or(Level::Projected)
    }

    /// The level that it has, or had last.
    pub fn level(&self) -> Level {
        self.levels.last().map_or(Level::Projected, |(_, level)| *level)
    }
}

/// What judging a rule came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// Every change of state.
    pub turns: Vec<Turn>,
    /// The alarms.
    pub episodes: Vec<Episode>,
    /// What was found last.
    pub last: Option<Seen>,
    /// Where a budget is going.
    pub forecast: Option<Forecast>,
    /// From where judging can go on.
    pub checkpoint: Option<Checkpoint>,
}

/// How things stood at a time before which nothing changes but by late readings.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The time.
    pub at: Time,
    pub(crate) machine: Machine,
    /// The alarm that went on then.
    pub(crate) episode: Option<Episode>,
}

impl Checkpoint {
    /// With nothing known.
    pub(crate) fn new(rule: &Rule, at: Time) -> Checkpoint {
        Checkpoint { at, machine: Machine::new(rule.guard), episode: None }
    }
}

/// An hour in milliseconds.
const HOUR_MS: i128 = 3_600_000;

impl Judged {
    /// Takes what was found at a time, and the turn that it made.
    pub(crate) fn note(
        &mut self,
        rule: &Rule,
        (at, window, closes): (Time, Option<Span>, Time),
        finding: Finding,
        turn: Option<Turn>,
    ) {
        if let Some(turn) = turn {
            self.turns.push(turn);
            self.turned(turn, closes);
        }
        self.last = match (finding, self.last) {
            // A rate of minutes that are not all in yet is only a part of it: the one before says more.
            (Finding::Rising(seen), Some(before)) if rule.kind.is_rate() && seen.value < before.value => Some(before),
            _ => finding.seen().or(self.last),
        };
        let open = self.episodes.last_mut().filter(|episode| episode.end.is_none_or(|end| end == at));
        let (Some(episode), Some(seen)) = (open, finding.seen()) else {
            return;
        };
        // What is only expected was never reached.
        if Level::of(seen.over) != Some(Level::Projected) || window.is_some() {
            episode.peak = match rule.kind {
                // The less, the worse.
                Kind::Coverage(_) if seen.over > 0 && episode.peak > 0 => episode.peak.min(seen.value),
                Kind::Coverage(_) if episode.peak > 0 => episode.peak,
                _ => episode.peak.max(seen.value),
            };
        }
        episode.is_firm |= seen.over > 0 && seen.is_firm;
        if !matches!(rule.kind.unit(), "kg" | "kg/h") {
            return;
        }
        let above = (seen.value - seen.limit).max(0);
        match window {
            Some(length) => episode.excess_mg += above * i128::from(length.0) / HOUR_MS,
            None if rule.kind.is_rate() => {}
            None => episode.excess_mg = episode.excess_mg.max(above),
        }
    }

    /// The alarm that goes on.
    pub(crate) fn open(&self) -> Option<&Episode> {
        self.episodes.last().filter(|episode| episode.end.is_none())
    }

    fn turned(&mut self, turn: Turn, closes: Time) {
        let open = self.episodes.last_mut().filter(|episode| episode.end.is_none());
        match (open, turn.state) {
            (None, State::Normal | State::Unknown | State::Suppressed) => {}
            (Some(open), State::Normal | State::Unknown | State::Suppressed) => open.end = Some(turn.at),
            (Some(open), State::Over(level)) => {
                open.levels.extend(Level::of(level).map(|level| (turn.at, level)));
                open.seen = turn.seen.or(open.seen);
            }
            (None, State::Over(level)) => {
                let levels = Level::of(level).map(|level| (turn.at, level)).into_iter().collect();
                let Turn { at: start, seen, .. } = turn;
                let is_firm = seen.is_none();
                self.episodes.push(Episode {
                    start,
                    closes,
                    end: None,
                    levels,
                    seen,
                    peak: 0,
                    excess_mg: 0,
                    is_firm,
                    is_certain: false,
                    detail: None,
                });
            }
        }
    }
}

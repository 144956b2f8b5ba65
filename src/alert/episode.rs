//! From the first turn away from normal to the turn back: one record.

use crate::alert::{Level, Seen, State, Turn};
use crate::quantity::Time;

/// An alarm from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// When it began.
    pub start: Time,
    /// When it ended. `None`: it goes on.
    pub end: Option<Time>,
    /// Its levels over time; the first begins with it.
    pub levels: Vec<(Time, Level)>,
    /// What was seen when it began. `None`: too little, which is an alarm of this rule.
    pub seen: Option<Seen>,
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

/// The episodes that turns make.
pub fn episodes(turns: &[Turn]) -> Vec<Episode> {
    let mut episodes: Vec<Episode> = Vec::new();
    for turn in turns {
        let open = episodes.last_mut().filter(|episode| episode.end.is_none());
        match (open, turn.state) {
            (None, State::Normal | State::Unknown) => {}
            (Some(open), State::Normal | State::Unknown) => open.end = Some(turn.at),
            (Some(open), State::Over(level)) => open.levels.extend(Level::of(level).map(|level| (turn.at, level))),
            (None, State::Over(level)) => {
                let levels = Level::of(level).map(|level| (turn.at, level)).into_iter().collect();
                episodes.push(Episode { start: turn.at, end: None, levels, seen: turn.seen });
            }
        }
    }
    episodes
}

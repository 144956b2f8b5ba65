//! The parts of the daemon that must go on, and when each was last seen to do so: what feeds the watchdog.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::daemon::desk::instant;

/// A part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Desk,
    Session,
    Database,
    Alarms,
    Http,
}

impl Stage {
    const ALL: [Stage; 5] = [Stage::Desk, Stage::Session, Stage::Database, Stage::Alarms, Stage::Http];

    fn name(self) -> &'static str {
        match self {
            Stage::Desk => "desk",
            Stage::Session => "broker session",
            Stage::Database => "database writer",
            Stage::Alarms => "watch for alarms",
            Stage::Http => "HTTP server",
        }
    }
}

/// A part that only waits is looked after so often.
const BEAT_EVERY: Duration = Duration::from_millis(500);

/// When each part was last seen to go on; those that do not run have no time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stages(Arc<Mutex<[Option<Instant>; Stage::ALL.len()]>>);

impl Stages {
    /// A part goes on.
    pub(crate) fn beat(&self, stage: Stage) {
        self.set(stage, Some(instant()));
    }

    /// All that run go on, as far as anybody can tell: something long is being done, and they wait for it.
    pub(crate) fn beat_all(&self) {
        let now = instant();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter_mut().flatten().for_each(|at| *at = now);
    }

    /// A part does not run any more, and is not missed.
    pub(crate) fn rest(&self, stage: Stage) {
        self.set(stage, None);
    }

    /// The parts that run and were not seen to go on for so long.
    pub(crate) fn late(&self, limit: Duration) -> Vec<&'static str> {
        let seen = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_late = |stage: &Stage| seen[*stage as usize].is_some_and(|at| at.elapsed() >= limit);
        Stage::ALL.into_iter().filter(is_late).map(Stage::name).collect()
    }

    /// Does the work of a part: as long as it comes back to wait for something, it goes on.
    pub(crate) async fn look_after<F: Future>(self, stage: Stage, work: F) -> F::Output {
        let mut work = pin!(work);
        let mut beat = tokio::time::interval(BEAT_EVERY);
        loop {
            tokio::select! {
                biased;
                done = &mut work => {
                    self.rest(stage);
                    return done;
                }
                _ = beat.tick() => self.beat(stage),
            }
        }
    }

    fn set(&self, stage: Stage, at: Option<Instant>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[stage as usize] = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_blocks_is_missed_and_one_that_waits_is_not() {
        let stages = Stages::default();
        assert!(stages.late(Duration::ZERO).is_empty(), "nothing runs");
        let waits = tokio::spawn(stages.clone().look_after(Stage::Session, std::future::pending::<()>()));
        let (release, held) = std::sync::mpsc::channel::<()>();
        let blocks = std::thread::spawn({
            let stages = stages.clone();
            move || {
                stages.beat(Stage::Desk);
                let _ = held.recv();
            }
        });
        while stages.late(Duration::from_millis(1_200)) != ["desk"] {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stages.beat_all();
        assert!(stages.late(Duration::from_millis(1_200)).is_empty());
        waits.abort();
        drop(release);
        blocks.join().unwrap();
    }
}

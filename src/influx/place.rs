//! How far the writer is, and when it tries again.

use std::time::Duration;

use tokio::time::Instant;

/// A batch the server fails at so often in a row is sent in parts.
const BROKEN_MAX: u32 = 3;

/// How far the database has confirmed: all up to `done`, and all of `(head_from, head]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub done: i64,
    pub head_from: i64,
    pub head: i64,
}

/// When to try again.
#[derive(Debug)]
pub(crate) struct Pause {
    pub until: Instant,
    pub next: Duration,
    pub broken: u32,
}

impl Place {
    /// The new has overtaken the old.
    pub(crate) fn is_split(self) -> bool {
        self.done < self.head_from
    }

    /// The old has reached where the new began: one cursor will do.
    pub(crate) fn merged(self) -> Place {
        if self.is_split() {
            return self;
        }
        let done = self.done.max(self.head);
        Place { done, head_from: done, head: done }
    }
}

impl Pause {
    /// The server fails at it however often it is sent.
    pub(crate) fn is_stubborn(&self) -> bool {
        self.broken >= BROKEN_MAX
    }
}

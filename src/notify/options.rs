//! What a notifier is told once.

use std::path::PathBuf;

/// A notifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Its id.
    pub id: String,
    /// How it tells.
    pub channel: Channel,
}

/// A way of telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// HTTP POST of what Alertmanager sends to its webhooks, version 4.
    Webhook {
        /// Where.
        url: String,
        /// Where the token is that it must show.
        token_file: Option<PathBuf>,
    },
    /// Topics of the broker below this one: `ROOT/alarm/RULE/LEVEL/ENTITY`.
    Mqtt {
        /// The first levels.
        root: String,
    },
}

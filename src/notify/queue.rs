//! The queue of one notifier: what it has not confirmed is sent again, later and later.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;

use crate::alert::Rule;
use crate::mqtt;
use crate::notify::topic::Topics;
use crate::notify::webhook::Webhook;
use crate::notify::{Channel, Options};
use crate::quantity::{Span, Time};
use crate::store::{AlarmStore, Notice, StoreError};

/// Why something was not told.
pub struct Failed {
    /// For the log.
    pub why: String,
    /// Sending it again is of no use.
    pub is_final: bool,
}

const WAIT_FIRST: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(60);
/// What could not be told for so long is given up.
const GIVE_UP_AFTER: Span = Span::days(1);

/// How a notifier tells.
enum Way {
    Webhook(Webhook),
    Topics(Topics),
}

impl Way {
    async fn send(&self, notice: &Notice) -> Result<(), Failed> {
        match self {
            Way::Webhook(webhook) => webhook.send(notice).await,
            Way::Topics(topics) => topics.send(notice).await,
        }
    }
}

/// One notifier at work.
pub struct Queue {
    id: String,
    way: Way,
    /// The rules whose alarms it is not told of.
    others: HashSet<String>,
    state: PathBuf,
    now: fn() -> Time,
}

impl Queue {
    /// A notifier is told of all rules that do not name others.
    pub fn new(
        options: &Options,
        broker: &mqtt::Options,
        rules: &[Rule],
        (state, now): (&Path, fn() -> Time),
    ) -> io::Result<Queue> {
        let way = match &options.channel {
            Channel::Webhook { url, token_file } => Way::Webhook(Webhook::new(&options.id, url, token_file.as_ref())?),
            Channel::Mqtt { root } => Way::Topics(Topics::new(root, broker)),
        };
        let is_others = |rule: &&Rule| !rule.notify.is_empty() && !rule.notify.contains(&options.id);
        Ok(Queue {
            id: options.id.clone(),
            way,
            others: rules.iter().filter(is_others).map(|rule| rule.id.to_string()).collect(),
            state: state.to_owned(),
            now,
        })
    }

    /// Tells what is to be told, until the process ends. `news` changes when there is more.
    pub async fn run(self, mut news: watch::Receiver<u64>) {
        loop {
            if let Err(error) = self.tell_all().await {
                tracing::error!(notifier = self.id, %error, "what is to be told cannot be read; it is tried again");
                tokio::time::sleep(WAIT_MAX).await;
                continue;
            }
            if news.changed().await.is_err() {
                return;
            }
        }
    }

    async fn tell_all(&self) -> Result<(), StoreError> {
        // A connection of its own each time: none is held over a wait.
        let open = || AlarmStore::open(&self.state);
        loop {
            let Some(notice) = open()?.next(&self.id)? else {
                return Ok(());
            };
            if !self.others.contains(&notice.alarm.rule) {
                self.tell(&notice).await;
            }
            open()?.confirm(&self.id, notice.number)?;
        }
    }

    /// Sends it until it is taken, or given up.
    async fn tell(&self, notice: &Notice) {
        let mut wait = WAIT_FIRST;
        while let Err(failed) = self.way.send(notice).await {
            let made = Time::parse_rfc3339(&notice.made).unwrap_or(Time::MIN);
            if failed.is_final || (self.now)().since(made) > GIVE_UP_AFTER {
                tracing::error!(
                    notifier = self.id,
                    key = notice.alarm.key(),
                    why = failed.why,
                    "an alarm could not be told"
                );
                return;
            }
            tracing::warn!(notifier = self.id, why = failed.why, "an alarm is not told yet; it is tried again");
            tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64())).await;
            wait = (wait * 2).min(WAIT_MAX);
        }
    }
}

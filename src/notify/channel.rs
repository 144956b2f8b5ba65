//! A notifier's way of telling, ready to be used.

use std::io;
use std::time::Duration;

use crate::alert::Alarm;
use crate::mqtt;
use crate::notify::alertmanager::{Alertmanager, REFRESH_EVERY};
use crate::notify::mail::Mail;
use crate::notify::queue::Failed;
use crate::notify::topic::Topics;
use crate::notify::webhook::Webhook;
use crate::notify::{Channel, Letter, Options};
use crate::quantity::{Span, Time};

/// Tells.
pub struct Teller {
    way: Way,
    now: fn() -> Time,
}

enum Way {
    Webhook(Box<Webhook>),
    Alertmanager(Alertmanager),
    Topics(Topics),
    Mail(Mail),
}

impl Teller {
    /// Makes it ready.
    pub fn new(options: &Options, broker: &mqtt::Options, now: fn() -> Time) -> io::Result<Teller> {
        let way = match &options.channel {
            Channel::Webhook { url, token_file, body } => {
                Way::Webhook(Box::new(Webhook::new(&options.id, (url, body), token_file.as_ref())?))
            }
            Channel::Alertmanager { url, token_file } => {
                Way::Alertmanager(Alertmanager::new(url, token_file.as_ref(), now)?)
            }
            Channel::Mqtt { root } => Way::Topics(Topics::new(root, broker)),
            Channel::Mail(mail) => Way::Mail(Mail::new(mail)),
        };
        Ok(Teller { way, now })
    }

    /// Tells it once.
    pub async fn send(&self, letter: &Letter) -> Result<(), Failed> {
        match &self.way {
            Way::Webhook(webhook) => webhook.send(letter).await,
            Way::Alertmanager(alertmanager) => alertmanager.send(letter).await,
            Way::Topics(topics) => topics.send(letter).await,
            Way::Mail(mail) => mail.send(letter).await,
        }
    }

    /// What would be sent.
    pub fn render(&self, letter: &Letter) -> Result<String, String> {
        match &self.way {
            Way::Webhook(webhook) => webhook.render(letter),
            Way::Alertmanager(alertmanager) => Ok(alertmanager.body(letter).to_string()),
            Way::Topics(topics) => Ok(topics.render(letter)),
            Way::Mail(mail) => mail.render(letter),
        }
    }

    /// Whether people read it, who are told many things together. Topics and Alertmanager keep states apart.
    pub(crate) fn collects(&self) -> bool {
        matches!(self.way, Way::Webhook(_) | Way::Mail(_))
    }

    /// How often all that goes on is to be told again. `None`: never.
    pub(crate) fn refresh_every(&self) -> Option<Duration> {
        matches!(self.way, Way::Alertmanager(_) | Way::Topics(_)).then_some(REFRESH_EVERY)
    }

    pub(crate) async fn refresh(&self, alarms: Vec<Alarm>) -> Result<(), Failed> {
        match &self.way {
            Way::Alertmanager(alertmanager) => alertmanager.refresh(alarms).await,
            Way::Topics(topics) => topics.refresh(alarms).await,
            Way::Webhook(_) | Way::Mail(_) => Ok(()),
        }
    }

    pub(crate) async fn beat(&self, every: Span) -> Result<(), Failed> {
        let now = (self.now)();
        match &self.way {
            Way::Webhook(webhook) => webhook.beat(now).await,
            Way::Alertmanager(alertmanager) => alertmanager.beat(every).await,
            Way::Topics(topics) => topics.beat(now, every).await,
            Way::Mail(mail) => mail.beat(now).await,
        }
    }
}

//! What a notifier is told once.

use std::path::PathBuf;

use crate::notify::Label;
use crate::quantity::Span;

/// A notifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Its id.
    pub id: String,
    /// How it tells.
    pub channel: Channel,
    /// What is told together.
    pub group_by: Vec<Label>,
    /// How often it says that it lives. `None`: it does not.
    pub heartbeat: Option<Span>,
}

/// A way of telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// HTTP POST.
    Webhook {
        /// Where.
        url: String,
        /// Where the token is that it must show.
        token_file: Option<PathBuf>,
        /// What is posted.
        body: Body,
    },
    /// The second version of Alertmanager's API.
    Alertmanager {
        /// The server, without a path of the API.
        url: String,
        /// Where the token is that it must show.
        token_file: Option<PathBuf>,
    },
    /// Topics of the broker below this one: `ROOT/alarm/RULE/LEVEL/ENTITY`.
    Mqtt {
        /// The first levels.
        root: String,
    },
    /// Mail.
    Mail(MailOptions),
}

/// What a webhook is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// What Alertmanager sends to its webhooks, version 4.
    Alertmanager,
    /// What a template makes.
    Template {
        /// In minijinja.
        text: String,
        /// Its media type.
        content_type: String,
        /// For who needs to know.
        topic: String,
    },
}

/// How mail is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// TLS after STARTTLS, or nothing.
    StartTls,
    /// None: to this machine only.
    Plain,
}

/// Where mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailOptions {
    /// The server's name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way there is secured.
    pub security: Security,
    /// Who says that the server is who it is; else the system's authorities.
    pub ca_file: Option<PathBuf>,
    /// Who we are there.
    pub username: Option<String>,
    /// Where the password is.
    pub password_file: Option<PathBuf>,
    /// From whom.
    pub from: String,
    /// To whom.
    pub to: Vec<String>,
}

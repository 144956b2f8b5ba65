//! The `[notify.*]` tables: who is told of alarms, and how; and `[alarms]`: how calm it is kept.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::alert::Calm;
use crate::config::checker::Checker;
use crate::config::file::File;
use crate::config::file_rule::NotifySection;
use crate::config::problem::Severity;
use crate::notify::{Body, Channel, Label, MailOptions, Options, Security, TEMPLATES, check_template};
use crate::quantity::Span;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Webhook,
    Alertmanager,
    Mqtt,
    Smtp,
}

const KINDS: [(&str, Way); 4] =
    [("webhook", Way::Webhook), ("alertmanager", Way::Alertmanager), ("mqtt", Way::Mqtt), ("smtp", Way::Smtp)];
/// What is told together where nothing is said.
const GROUP_BY: [Label; 2] = [Label::Kind, Label::Facility];
/// More often is a burden, and says no more.
const HEARTBEAT_MIN: Span = Span::seconds(5);

/// Checks all notifiers, and that rules name no others.
pub(crate) fn check_notifiers(checker: &mut Checker, file: &File) -> Vec<Options> {
    let known: BTreeMap<String, ()> = file.notify.keys().map(|id| (id.clone(), ())).collect();
    for (id, section) in &file.rules {
        for name in section.notify.iter().flat_map(|names| &names.0) {
            checker.reference(&["rules", id, "notify"], name, &known, "notify");
        }
        if known.is_empty() && section.priority.as_deref() == Some("high") {
            let message = "an alarm of high priority, and nobody is told of it".to_owned();
            let help = Some(
                "declare `[notify.<id>]`; until then it is in the log, and `emissiond alarms list` shows it".to_owned(),
            );
            checker.push("C023", Severity::Warning, &["rules", id], message, help);
        }
    }
    file.notify
        .iter()
        .filter_map(|(id, section)| NotifyCheck { checker: &mut *checker, id, section }.options())
        .collect()
}

/// How calm it is kept.
pub(crate) fn check_calm(checker: &mut Checker, file: &File) -> Calm {
    let (section, usual) = (&file.alarms, Calm::default());
    Calm {
        chatter_above: section.chatter_above.unwrap_or(usual.chatter_above),
        flood_above: section.flood_above.unwrap_or(usual.flood_above),
        repeat: checker.span(&["alarms", "repeat"], section.repeat.as_ref(), usual.repeat),
        repeat_low: checker.span(&["alarms", "repeat_low"], section.repeat_low.as_ref(), usual.repeat_low),
    }
}

struct NotifyCheck<'a> {
    checker: &'a mut Checker,
    id: &'a str,
    section: &'a NotifySection,
}

impl NotifyCheck<'_> {
    fn options(&mut self) -> Option<Options> {
        let id = self.checker.id("notify", self.id)?;
        let Some(kind) = &self.section.kind else {
            self.missing("kind", "one of webhook, alertmanager, mqtt, smtp");
            return None;
        };
        let way = self.checker.word(&["notify", self.id, "kind"], Some(kind), &KINDS)?;
        self.out_of_place(way, kind);
        let group_by = self.group_by();
        let heartbeat = self.heartbeat();
        let channel = match way {
            Way::Webhook => self.webhook()?,
            Way::Alertmanager => {
                let url = self.web_address("such as `url = \"http://127.0.0.1:9093\"`")?;
                Channel::Alertmanager { url, token_file: self.secret("token_file", self.section.token_file.as_ref()) }
            }
            Way::Mqtt => self.topics()?,
            Way::Smtp => self.mail()?,
        };
        Some(Options { id: id.to_string(), channel, group_by, heartbeat })
    }

    fn error(&mut self, key: &str, message: String) {
        self.checker.error("C006", &["notify", self.id, key], message);
    }

    fn missing(&mut self, key: &str, help: &str) {
        self.checker.missing(&["notify", self.id, key], help);
    }

    fn secret(&mut self, key: &str, written: Option<&String>) -> Option<std::path::PathBuf> {
        written.map(|written| self.checker.secret(&["notify", self.id, key], written))
    }

    fn out_of_place(&mut self, way: Way, kind: &str) {
        let section = self.section;
        let keys = [
            ("url", section.url.is_some(), &[Way::Webhook, Way::Alertmanager, Way::Smtp][..]),
            ("token_file", section.token_file.is_some(), &[Way::Webhook, Way::Alertmanager]),
            ("topic", section.topic.is_some(), &[Way::Mqtt, Way::Webhook]),
            ("format", section.format.is_some(), &[Way::Webhook]),
            ("template_file", section.template_file.is_some(), &[Way::Webhook]),
            ("content_type", section.content_type.is_some(), &[Way::Webhook]),
            ("username", section.username.is_some(), &[Way::Smtp]),
            ("password_file", section.password_file.is_some(), &[Way::Smtp]),
            ("ca_file", section.ca_file.is_some(), &[Way::Smtp]),
            ("from", section.from.is_some(), &[Way::Smtp]),
            ("to", section.to.is_some(), &[Way::Smtp]),
        ];
        for (key, _, _) in keys.iter().filter(|(_, written, ways)| *written && !ways.contains(&way)) {
            self.error(key, format!("`{key}` is of no use to a notifier of kind `{kind}`"));
        }
    }

    fn group_by(&mut self) -> Vec<Label> {
        let Some(written) = &self.section.group_by else {
            return GROUP_BY.to_vec();
        };
        let path = ["notify", self.id, "group_by"];
        written.iter().filter_map(|name| self.checker.word(&path, Some(name), &Label::NAMES)).collect()
    }

    fn heartbeat(&mut self) -> Option<Span> {
        let written = self.section.heartbeat.as_ref()?;
        let every = self.checker.span(&["notify", self.id, "heartbeat"], Some(written), HEARTBEAT_MIN);
        if every < HEARTBEAT_MIN {
            self.error("heartbeat", format!("`heartbeat` is {every}; at least {HEARTBEAT_MIN}"));
        }
        Some(every)
    }

    fn web_address(&mut self, help: &str) -> Option<String> {
        let Some(url) = &self.section.url else {
            self.missing("url", help);
            return None;
        };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            // It may hold a secret.
            self.error("url", format!("`url` is no address of a web server; {help}"));
        }
        if self.section.token_file.is_some() {
            self.checker.web_in_clear(&["notify", self.id, "url"], url, "the token");
        }
        Some(url.clone())
    }

    fn webhook(&mut self) -> Option<Channel> {
        let url = self.web_address("such as `url = \"http://127.0.0.1:9000/alarm\"`")?;
        let token_file = self.secret("token_file", self.section.token_file.as_ref());
        Some(Channel::Webhook { url, token_file, body: self.body()? })
    }

    fn body(&mut self) -> Option<Body> {
        let content_type = self.section.content_type.clone().unwrap_or_else(|| "application/json".to_owned());
        let topic = self.section.topic.clone().unwrap_or_default();
        if let Some(written) = &self.section.template_file {
            let path = self.checker.layers.secret(&["notify", self.id, "template_file"], written);
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()));
            let checked = text.and_then(|text| check_template(&text).map_or(Ok(text), Err));
            return match checked {
                Ok(text) => Some(Body::Template { text, content_type, topic }),
                Err(message) => {
                    self.error("template_file", message);
                    None
                }
            };
        }
        let named = TEMPLATES.map(|(name, text)| (name, Some(text)));
        let words: Vec<(&str, Option<&str>)> = [("alertmanager", None)].into_iter().chain(named).collect();
        let path = ["notify", self.id, "format"];
        let text = self.checker.word(&path, self.section.format.as_ref(), &words).flatten();
        if self.section.format.as_deref() == Some("ntfy") && topic.is_empty() {
            self.missing("topic", "the topic of ntfy that people listen to; `url` is the server alone");
        }
        Some(match text {
            None => Body::Alertmanager,
            Some(text) => Body::Template { text: text.to_owned(), content_type, topic },
        })
    }

    fn topics(&mut self) -> Option<Channel> {
        let root = self.section.topic.clone().unwrap_or_else(|| "emissiond".to_owned());
        if root.is_empty() || root.starts_with('$') || root.contains(['#', '+', '\0']) || root.ends_with('/') {
            let message = format!("`topic` is `{root}`; write the first levels of topics, such as \"plant/emissiond\"");
            self.error("topic", message);
            return None;
        }
        Some(Channel::Mqtt { root })
    }

    fn mail(&mut self) -> Option<Channel> {
        let help = "such as `url = \"smtps://mail.example.com\"`, or `smtp://` for STARTTLS";
        let Some(url) = &self.section.url else {
            self.missing("url", help);
            return None;
        };
        let parsed = url.split_once("://").and_then(|(scheme, rest)| {
            let is_tls = [("smtps", true), ("smtp", false)].iter().find(|(name, _)| *name == scheme)?.1;
            let rest = rest.trim_end_matches('/');
            let (host, port) = match rest.rsplit_once(':') {
                Some((host, port)) => (host, port.parse().ok()?),
                None => (rest, if is_tls { 465 } else { 587 }),
            };
            (!host.is_empty() && !host.contains(['@', '/'])).then(|| (is_tls, host.to_owned(), port))
        });
        let Some((is_tls, host, port)) = parsed else {
            self.error("url", format!("`url` is no address of a mail server; {help}; no user or password in it"));
            return None;
        };
        let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let security = match (is_tls, is_here) {
            (true, _) => Security::Tls,
            (false, true) => Security::Plain,
            (false, false) => Security::StartTls,
        };
        if self.section.username.is_some() != self.section.password_file.is_some() {
            self.error("username", "`username` and `password_file` are needed together".to_owned());
        }
        let (from, to) = (self.section.from.clone(), self.section.to.clone().map(|names| names.0));
        let (Some(from), Some(to)) = (from, to) else {
            let key = if self.section.from.is_none() { "from" } else { "to" };
            self.missing(key, "such as \"gateway@example.com\"");
            return None;
        };
        for address in to.iter().chain([&from]).filter(|address| !address.contains('@')) {
            self.error("to", format!("`{address}` is no mail address"));
        }
        Some(Channel::Mail(MailOptions {
            host,
            port,
            security,
            ca_file: self.secret("ca_file", self.section.ca_file.as_ref()),
            username: self.section.username.clone(),
            password_file: self.secret("password_file", self.section.password_file.as_ref()),
            from,
            to,
        }))
    }
}

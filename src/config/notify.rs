//! The `[notify.*]` tables: who is told of alarms, and how.

use std::collections::BTreeMap;

use crate::config::checker::Checker;
use crate::config::file::{File, NotifySection};
use crate::config::problem::Severity;
use crate::notify::{Channel, Options};

#[derive(Clone, Copy)]
enum Way {
    Webhook,
    Mqtt,
}

const KINDS: [(&str, Way); 2] = [("webhook", Way::Webhook), ("mqtt", Way::Mqtt)];

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
    file.notify.iter().filter_map(|(id, section)| checker.notifier(id, section)).collect()
}

impl Checker {
    fn notifier(&mut self, id: &str, section: &NotifySection) -> Option<Options> {
        let parsed = self.id("notify", id)?;
        let path = |key: &'static str| ["notify", id, key];
        let Some(kind) = &section.kind else {
            self.missing(&path("kind"), "webhook or mqtt");
            return None;
        };
        let way = self.word(&path("kind"), Some(kind), &KINDS)?;
        let others = match way {
            Way::Webhook => [("topic", section.topic.is_some())].to_vec(),
            Way::Mqtt => [("url", section.url.is_some()), ("token_file", section.token_file.is_some())].to_vec(),
        };
        for (key, _) in others.into_iter().filter(|(_, written)| *written) {
            self.error("C006", &path(key), format!("`{key}` is of no use to a notifier of kind `{kind}`"));
        }
        let channel = match way {
            Way::Webhook => self.webhook(id, section)?,
            Way::Mqtt => self.topics(id, section)?,
        };
        Some(Options { id: parsed.to_string(), channel })
    }

    fn webhook(&mut self, id: &str, section: &NotifySection) -> Option<Channel> {
        let Some(url) = &section.url else {
            self.missing(&["notify", id, "url"], "such as `url = \"http://127.0.0.1:9000/alarm\"`");
            return None;
        };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            // It may hold a secret.
            let message = "`url` is no address of a web server; write \"http://127.0.0.1:9000/alarm\"".to_owned();
            self.error("C006", &["notify", id, "url"], message);
        }
        let token_file = section.token_file.as_ref().map(|written| self.secret(&["notify", id, "token_file"], written));
        Some(Channel::Webhook { url: url.clone(), token_file })
    }

    fn topics(&mut self, id: &str, section: &NotifySection) -> Option<Channel> {
        let root = section.topic.clone().unwrap_or_else(|| "emissiond".to_owned());
        if root.is_empty() || root.starts_with('$') || root.contains(['#', '+', '\0']) || root.ends_with('/') {
            let message = format!("`topic` is `{root}`; write the first levels of topics, such as \"plant/emissiond\"");
            self.error("C006", &["notify", id, "topic"], message);
            return None;
        }
        Some(Channel::Mqtt { root })
    }
}

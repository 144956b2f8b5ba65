//! The `[notify.*]` tables: who is told of alarms, and how.

use std::collections::BTreeMap;

use crate::config::checker::Checker;
use crate::config::file::{File, NotifySection};
use crate::config::problem::Severity;
use crate::notify::{Channel, Options};

const KINDS: [(&str, ()); 1] = [("webhook", ())];

/// Checks all notifiers, and that rules name no others.
pub(crate) fn check_notifiers(checker: &mut Checker, file: &File) -> Vec<Options> {
    let known: BTreeMap<String, ()> = file.notify.keys().map(|id| (id.clone(), ())).collect();
    for (id, section) in &file.rules {
        for name in section.notify.iter().flat_map(|names| &names.0) {
            checker.reference(&["rules", id, "notify"], name, &known, "notify");
        }
        if known.is_empty() {
            let message = "nobody is told of its alarms".to_owned();
            let help = Some("declare `[notify.<id>]`; until then they are on the page and in the log".to_owned());
            checker.push("C023", Severity::Warning, &["rules", id], message, help);
        }
    }
    file.notify.iter().filter_map(|(id, section)| checker.notifier(id, section)).collect()
}

impl Checker {
    fn notifier(&mut self, id: &str, section: &NotifySection) -> Option<Options> {
        let parsed = self.id("notify", id);
        if section.kind.is_none() {
            self.missing(&["notify", id, "kind"], "such as `kind = \"webhook\"`");
        }
        self.word(&["notify", id, "kind"], section.kind.as_ref(), &KINDS);
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
        parsed.map(|id| Options { id: id.to_string(), channel: Channel::Webhook { url: url.clone(), token_file } })
    }
}

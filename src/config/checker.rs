//! What every section is checked with: problems with their place, words, references and spans.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::config::layers::{self, Layers};
use crate::config::problem::{Problem, Severity};
use crate::config::value::Names;
use crate::factor::Catalogue;
use crate::quantity::{Id, Span, Zone};

/// What is collected while checking.
pub(crate) struct Checker {
    pub layers: Layers,
    pub problems: Vec<Problem>,
}

impl Checker {
    pub(crate) fn push(
        &mut self,
        code: &'static str,
        severity: Severity,
        path: &[&str],
        message: String,
        help: Option<String>,
    ) {
        let place = (1..=path.len()).rev().find_map(|n| {
            let part = path.get(..n)?;
            if n == path.len() { self.layers.value_place(part) } else { self.layers.key_place(part) }
        });
        // What the environment says stands in no file.
        let place = place.filter(|_| std::env::var_os(layers::variable(path)).is_none());
        self.problems.push(Problem { code, severity, path: path.join("."), place, message, help });
    }

    pub(crate) fn error(&mut self, code: &'static str, path: &[&str], message: String) {
        self.push(code, Severity::Error, path, message, None);
    }

    /// A key that another one asks for; that one is where the mistake shows.
    pub(crate) fn missing_for(&mut self, path: &[&str], by: &str, help: &str) {
        let before = self.problems.len();
        self.missing(path, help);
        let beside: Vec<&str> = path.iter().copied().take(path.len().saturating_sub(1)).chain([by]).collect();
        if let Some(place) = self.layers.value_place(&beside)
            && let Some(problem) = self.problems.get_mut(before)
        {
            problem.place = Some(place);
        }
    }

    pub(crate) fn missing(&mut self, path: &[&str], help: &str) {
        let name = path.last().copied().unwrap_or("");
        let misspelt = format!("did you mean `{name}`?");
        let parents = path.get(..path.len().saturating_sub(1)).unwrap_or_default().join(".");
        let whole = path.join(".");
        let is_known = |p: &Problem| {
            // Written, but unreadable: that is reported already.
            if p.path == whole {
                return true;
            }
            p.help.as_ref() == Some(&misspelt) && p.path.rsplit_once('.').is_some_and(|(parent, _)| parent == parents)
        };
        if self.problems.iter().any(is_known) {
            return;
        }
        self.push("C005", Severity::Error, path, format!("`{parents}` needs `{name}`"), Some(help.to_owned()));
    }

    /// A key with a fixed set of words.
    pub(crate) fn word<T: Copy>(&mut self, path: &[&str], written: Option<&String>, words: &[(&str, T)]) -> Option<T> {
        let text = written?;
        let found = words.iter().find(|(word, _)| word == text).map(|(_, value)| *value);
        if found.is_none() {
            let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.not_one_of(path, text, &allowed);
        }
        found
    }

    pub(crate) fn not_one_of(&mut self, path: &[&str], text: &str, allowed: &[&str]) {
        let help = match nearest(text, allowed.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? allowed: {}", allowed.join(", ")),
            None => format!("allowed: {}", allowed.join(", ")),
        };
        let name = path.last().copied().unwrap_or("");
        self.push("C006", Severity::Error, path, format!("`{name}` cannot be `{text}`"), Some(help));
    }

    pub(crate) fn span(&mut self, path: &[&str], written: Option<&String>, default: Span) -> Span {
        let Some(text) = written else {
            return default;
        };
        /// Longer is surely a slip, and dates would leave the calendar.
        const LONGEST: Span = Span::days(200 * 366);
        match Span::parse(text).filter(|span| span.0 > 0) {
            Some(span) if span > LONGEST => {
                let name = path.last().copied().unwrap_or("");
                self.error("C006", path, format!("`{name}` is longer than 200 years: `{text}`"));
                default
            }
            Some(span) => span,
            None => {
                let name = path.last().copied().unwrap_or("");
                let message =
                    format!("`{name}` is no duration: `{text}`; write \"10s\", \"15m\", \"1h\", \"7d\" or \"10y\"");
                self.error("C006", path, message);
                default
            }
        }
    }

    pub(crate) fn id(&mut self, section: &str, id: &str) -> Option<Id> {
        let parsed = Id::parse(id);
        if parsed.is_none() {
            let message = format!("`{id}` is no id: lower-case letters, digits, `-` and `_`, at most 100");
            let place = self.layers.key_place(&[section, id]);
            let path = format!("{section}.{id}");
            self.problems.push(Problem { code: "C010", severity: Severity::Error, path, place, message, help: None });
        }
        parsed
    }

    /// Reports factor series and sets that the catalogue does not have.
    pub(crate) fn factor_names(&mut self, path: &[&str], names: Option<&Names>, catalogue: &Catalogue) {
        for name in names.iter().flat_map(|names| &names.0) {
            if catalogue.vintages(name).is_some() {
                continue;
            }
            let help = match nearest(name, catalogue.names().into_iter()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "see `emissiond factors list`, or add a table with `[factors] files`".to_owned(),
            };
            self.push("C009", Severity::Error, path, format!("unknown factor `{name}`"), Some(help));
        }
    }

    /// Whether something is written under that id: what is wrong with it is reported there.
    pub(crate) fn is_declared(&self, section: &str, id: &str) -> bool {
        self.layers.tree.get(section).and_then(|table| table.get(id)).is_some()
    }

    /// Looks up a name another section declares.
    pub(crate) fn reference<T: Copy>(
        &mut self,
        path: &[&str],
        written: &str,
        known: &BTreeMap<String, T>,
        section: &str,
    ) -> Option<T> {
        if let Some(found) = known.get(written) {
            return Some(*found);
        }
        let help = match nearest(written, known.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("declare `[{section}.{written}]`"),
        };
        let name = path.last().copied().unwrap_or("");
        self.push("C007", Severity::Error, path, format!("unknown {name} `{written}`"), Some(help));
        None
    }

    pub(crate) fn zone(&mut self, path: &[&str], name: &str) -> Option<Zone> {
        let zone = Zone::parse(name);
        if zone.is_none() {
            self.error("C006", path, format!("`{name}` is no time zone; write an IANA name such as \"Europe/Paris\""));
        }
        zone
    }

    /// A secret that is sent to another machine in clear is anybody's on the way.
    pub(crate) fn in_clear(&mut self, path: &[&str], host: &str, what: &str) {
        let host = host.trim_matches(['[', ']']);
        let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if !is_here {
            let message = format!("{what} goes to {host} in clear: whoever is on the way reads it");
            let help = "encrypt it: `mqtts://` or `https://`".to_owned();
            self.push("C026", Severity::Warning, path, message, Some(help));
        }
    }

    /// The same of an address of the web.
    pub(crate) fn web_in_clear(&mut self, path: &[&str], url: &str, what: &str) {
        if let Some(rest) = url.strip_prefix("http://") {
            let authority = rest.split(['/', '?']).next().unwrap_or(rest);
            let port = authority.rfind(':').filter(|at| authority[at + 1..].bytes().all(|byte| byte.is_ascii_digit()));
            self.in_clear(path, &authority[..port.unwrap_or(authority.len())], what);
        }
    }

    /// A secret's file. That it is not there is no mistake of the configuration: it may be checked elsewhere than it is used.
    pub(crate) fn secret(&mut self, key: &[&str], written: &str) -> PathBuf {
        let path = self.layers.secret(key, written);
        if let Err(error) = std::fs::metadata(&path) {
            let message = match error.kind() {
                ErrorKind::PermissionDenied => format!("`{}` cannot be seen by this user", path.display()),
                _ => format!("there is no file `{}`: `run` will need it", path.display()),
            };
            let help =
                "write it; of the package's service all secrets are in /etc/emissiond/secrets, which is root's alone"
                    .to_owned();
            self.push("C016", Severity::Warning, key, message, Some(help));
        }
        path
    }
}

/// The name that is most like the one written, if it is like it at all.
pub(crate) fn nearest<'a>(written: &str, allowed: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    let scored = allowed.map(|name| (strsim::jaro_winkler(&written, &name.to_lowercase()), name));
    scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

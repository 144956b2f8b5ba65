//! Another configuration while the daemon runs: what of it can be taken, what needs a restart, and what became of the last one.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::clock;
use crate::config::{self, Parts, Plan, Severity, load};
use crate::daemon::secure::{Secrets, unfit};
use crate::http::{ConfigView, Look, ReloadView};
use crate::influx;
use crate::mqtt;
use crate::store::{Reader, StoreError};

/// Ids that are named where many have changed.
const NAMED: usize = 5;

/// What holds for as long as the process lives.
#[derive(Debug)]
pub(crate) struct Standing {
    pub daemon: config::Daemon,
    pub mqtt: mqtt::Options,
    pub influx: Option<influx::Options>,
    /// What the configuration in force says, by part.
    pub parts: Parts,
}

impl Standing {
    pub(crate) fn of(plan: &Plan) -> Standing {
        Standing {
            daemon: plan.daemon.clone(),
            mqtt: plan.mqtt.clone(),
            influx: plan.influx.clone(),
            parts: plan.parts.clone(),
        }
    }

    /// The plan as it can be taken now, and the sections that it cannot be taken in.
    pub(crate) fn fit(&self, mut plan: Plan) -> (Plan, Vec<&'static str>) {
        let mut restart = Vec::new();
        if plan.daemon != self.daemon {
            restart.push("daemon");
        }
        let subscribe = Arc::clone(&plan.mqtt.subscribe);
        let asked = mqtt::Options { subscribe: Arc::clone(&self.mqtt.subscribe), ..plan.mqtt.clone() };
        if asked != self.mqtt {
            restart.push("mqtt");
        }
        if plan.influx != self.influx {
            restart.push("influxdb");
        }
        plan.daemon = self.daemon.clone();
        plan.mqtt = mqtt::Options { subscribe, ..self.mqtt.clone() };
        plan.influx = self.influx.clone();
        (plan, restart)
    }
}

/// The configuration that can be taken instead of the one in force.
pub(crate) struct Fresh {
    pub plan: Plan,
    /// What has changed, for people.
    pub changes: String,
    /// Sections whose change waits for a restart.
    pub restart: Vec<&'static str>,
    /// What the files of the HTTP server hold now.
    pub secrets: Secrets,
}

/// Reads the configuration again. An error says why it is not taken.
pub(crate) fn read(file: Option<&PathBuf>, standing: &Standing) -> Result<Fresh, String> {
    let (plan, report) = load(file.map(PathBuf::as_path));
    let Some(plan) = plan else {
        let errors = report.problems.iter().filter(|problem| problem.severity == Severity::Error);
        let first = report.problems.iter().find(|problem| problem.severity == Severity::Error);
        let first = first.map_or_else(String::new, |problem| report.line(problem));
        return Err(format!("{} error(s), the first: {first}; `emissiond check` shows them all", errors.count()));
    };
    // Whatever else is wrong with the books is not the configuration's.
    let beside = Reader::beside(&standing.daemon.state_dir, Arc::clone(&plan.rules.topology));
    if let Err(error @ StoreError::Redeclared { .. }) = beside {
        return Err(error.to_string());
    }
    let changes = difference(&standing.parts, &plan.parts);
    let (plan, restart) = standing.fit(plan);
    let unread = |error: io::Error| format!("{error}; what was read before stays in use");
    unfit(&plan).into_iter().next().map_or(Ok(()), Err).map_err(unread)?;
    let secrets = Secrets::read(&plan.daemon).map_err(unread)?;
    Ok(Fresh { plan, changes, restart, secrets })
}

/// `meters: 2 new (a, b), 1 changed (c); rules`.
fn difference(before: &Parts, after: &Parts) -> String {
    let mut sections: BTreeMap<&str, [Vec<&str>; 3]> = BTreeMap::new();
    for ((section, id), print) in after {
        match before.get(&(section.clone(), id.clone())) {
            Some(old) if old == print => {}
            Some(_) => sections.entry(section).or_default()[1].push(id),
            None => sections.entry(section).or_default()[0].push(id),
        }
    }
    for (section, id) in before.keys().filter(|key| !after.contains_key(*key)) {
        sections.entry(section).or_default()[2].push(id);
    }
    let section = |(name, lists): (&str, [Vec<&str>; 3])| {
        let words = ["new", "changed", "removed"];
        let told = words.into_iter().zip(lists).filter(|(_, ids)| !ids.is_empty());
        let told: Vec<String> = told.map(|(word, ids)| format!("{} {word} ({})", ids.len(), names(&ids))).collect();
        format!("{name}: {}", told.join(", "))
    };
    let told: Vec<String> = sections.into_iter().map(section).collect();
    if told.is_empty() { "nothing changed".to_owned() } else { told.join("; ") }
}

fn names(ids: &[&str]) -> String {
    let named = ids.iter().take(NAMED).copied().collect::<Vec<_>>().join(" ");
    if ids.len() > NAMED { format!("{named} ...") } else { named }
}

/// What can be seen of the configuration.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<ConfigView>>);

impl Seen {
    pub(crate) fn look(&self) -> Look<ConfigView> {
        let view = Arc::clone(&self.0);
        Arc::new(move || view.lock().map(|view| view.clone()).unwrap_or_default())
    }

    /// A plan is in force.
    pub(crate) fn loaded(&self, hash: &str) {
        if let Ok(mut view) = self.0.lock() {
            view.plan = hash.to_owned();
            view.loaded = Some(clock::now());
        }
    }

    /// What became of the last one, in a few words.
    pub(crate) fn word(&self) -> &'static str {
        match self.0.lock().ok().and_then(|view| view.last_reload.as_ref().map(|reload| reload.applied)) {
            Some(false) => "running; the last configuration was rejected: see the journal",
            _ => "running",
        }
    }

    /// Another one was tried.
    pub(crate) fn tried(&self, result: Result<(&str, &[&'static str]), &str>) {
        if let Ok(mut view) = self.0.lock() {
            if let Ok((_, restart)) = result {
                view.needs_restart = restart.to_vec();
            }
            let detail = result.map_or_else(str::to_owned, |(changes, _)| changes.to_owned());
            view.last_reload = Some(ReloadView { at: clock::now(), applied: result.is_ok(), detail });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_by_section() {
        let parts = |list: &[(&str, &str, u64)]| -> Parts {
            list.iter().map(|(section, id, print)| (((*section).to_owned(), (*id).to_owned()), *print)).collect()
        };
        let before = parts(&[("meters", "a", 1), ("meters", "b", 1), ("ledger", "late_horizon", 1)]);
        let after = parts(&[("meters", "b", 2), ("meters", "c", 1), ("ledger", "late_horizon", 1)]);
        assert_eq!(difference(&before, &after), "meters: 1 new (c), 1 changed (b), 1 removed (a)");
        assert_eq!(difference(&before, &before), "nothing changed");
    }
}

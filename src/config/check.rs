//! From the files as written to the plan: every section checked, every problem collected.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::cluster::Cluster;
use crate::config::account::check_accounts;
use crate::config::checker::{Checker, nearest};
use crate::config::contract::inline_set;
use crate::config::file::File;
use crate::config::layers::{self, List};
use crate::config::meter::{Declarations, check_meters};
use crate::config::notify::{check_calm, check_notifiers};
use crate::config::owner::check_owners;
use crate::config::plan::{Parts, Plan};
use crate::config::problem::{Problem, Report, Severity};
use crate::config::rule::check_rules;
use crate::config::rule_reach::check_reach;
use crate::config::service::{DEFAULT_HTTP, DEFAULT_STATE_DIR};
use crate::decode::Routes;
use crate::factor::{Catalogue, GwpSet};
use crate::pipeline::Rules;
use crate::quantity::{Decimal, Span};

/// A configuration that was read.
#[derive(Debug)]
pub struct Loaded {
    /// What follows from it. `None`: it has errors.
    pub plan: Option<Plan>,
    /// Every problem.
    pub report: Report,
    /// Its lists of meters.
    pub lists: Vec<List>,
    /// The meters of its files, as written.
    pub written: BTreeMap<String, Map<String, Value>>,
}

/// Reads and checks a configuration. The report holds every problem; without errors there is a plan.
pub fn load(file: Option<&Path>) -> (Option<Plan>, Report) {
    let Loaded { plan, report, .. } = load_with(file, None);
    (plan, report)
}

/// The same, with another list of meters for the first one that the configuration names.
pub fn load_with(file: Option<&Path>, list: Option<&Path>) -> Loaded {
    let layers = layers::read(file, list);
    let written = layers.written.clone();
    let mut checker = Checker { problems: Vec::new(), layers };
    checker.problems.append(&mut checker.layers.problems);
    let plan = checker.run();
    // A mistake in a template is one mistake, however many meters have it.
    let mut known = BTreeSet::new();
    let is_new = |problem: &Problem| match &problem.place {
        Some(place) => known.insert((place.source, place.start, problem.message.clone())),
        None => true,
    };
    let problems = checker.problems.into_iter().filter(is_new).collect();
    let lists = checker.layers.lists;
    let mut report = Report { problems, sources: checker.layers.sources };
    report.sort();
    let plan = if report.has_errors() { None } else { plan };
    Loaded { plan, report, lists, written }
}

/// Where the daemon of a configuration listens, whatever else is wrong with that.
pub fn address(file: Option<&Path>) -> Option<SocketAddr> {
    let tree = layers::read(file, None).tree;
    let written = tree.get("daemon").and_then(|daemon| daemon.get("http"));
    written.map_or(Some(DEFAULT_HTTP), |written| written.as_str()?.parse().ok())
}

/// Where the daemon of a configuration keeps its state, whatever else is wrong with that.
pub fn state_dir(file: Option<&Path>) -> Option<PathBuf> {
    let layers = layers::read(file, None);
    match layers.tree.get("daemon").and_then(|daemon| daemon.get("state_dir")) {
        Some(written) => written.as_str().map(|written| layers.resolve(&["daemon", "state_dir"], written)),
        // What cannot be read may say anything.
        None => layers.problems.is_empty().then(|| PathBuf::from(DEFAULT_STATE_DIR)),
    }
}

/// The plan, or all problems.
pub fn check(file: Option<&Path>) -> Result<Plan, Report> {
    match load(file) {
        (Some(plan), _) => Ok(plan),
        (None, report) => Err(report),
    }
}

impl Checker {
    fn run(&mut self) -> Option<Plan> {
        let file = self.deserialize();
        let mut hash = Sha256::new();
        hash.update(self.layers.tree.to_string());
        let catalogue = self.catalogue(&file, &mut hash);
        let (mut topology, cluster_rules) = self.topology(&file, &catalogue);
        let declarations = Declarations { file: &file, cluster_rules: &cluster_rules, catalogue: &catalogue };
        let mappings = check_meters(self, &declarations, &mut topology);
        check_owners(self, &file, &topology, &mappings);
        let accounts = check_accounts(self, &declarations, &mut topology);
        let late_horizon = self.span(&["ledger", "late_horizon"], file.ledger.late_horizon.as_ref(), Span::days(7));
        let close_after = self.span(&["ledger", "close_after"], file.ledger.close_after.as_ref(), Span::minutes(5));
        let gwp = |cluster: &Cluster| cluster_rules.get(cluster.id.as_str()).map_or(GwpSet::Ar6, |rules| rules.gwp);
        let gwp = topology.clusters.iter().map(gwp).collect();
        self.unknown_templates(&file);
        let alarms = check_rules(self, &file, &topology, &accounts);
        let routes = Routes::new(&mappings);
        let mqtt = self.mqtt(&file, &routes);
        let rules = Rules { topology: Arc::new(topology), routes, accounts, late_horizon, close_after };
        // Of what is faulty no figures can be told.
        if self.problems.iter().all(|problem| problem.severity != Severity::Error) {
            check_reach(self, &alarms, &rules);
        }
        Some(Plan {
            rules: Arc::new(rules),
            alarms: alarms.into(),
            calm: check_calm(self, &file),
            notifiers: check_notifiers(self, &file),
            mappings,
            daemon: self.daemon(&file),
            mqtt: mqtt?,
            influx: self.influx(&file),
            rebirth_requests: file.sparkplug.rebirth_requests.unwrap_or(false),
            retention: self.retention(&file),
            parts: parts(&self.layers.tree, &catalogue),
            simulated: false,
            hash: hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
            gwp,
            catalogue: Arc::new(catalogue),
        })
    }

    /// A key that cannot be read is reported and left out, and the rest is read again: one mistake hides no other.
    fn deserialize(&mut self) -> File {
        let mut tree = self.layers.tree.clone();
        loop {
            let error = match serde_path_to_error::deserialize(&tree) {
                Ok(file) => return file,
                Err(error) => error,
            };
            let path: Vec<String> = error
                .path()
                .iter()
                .map_while(|segment| match segment {
                    serde_path_to_error::Segment::Map { key } => Some(key.clone()),
                    _ => None,
                })
                .collect();
            let keys: Vec<&str> = path.iter().map(String::as_str).collect();
            self.unreadable(&keys, &error.inner().to_string());
            if !remove(&mut tree, &keys) {
                return File::default();
            }
        }
    }

    fn unreadable(&mut self, path: &[&str], message: &str) {
        let name = path.last().copied().unwrap_or("");
        let Some((_, expected)) = message.strip_prefix("unknown field").and_then(|m| m.split_once("`, expected"))
        else {
            if message.ends_with("expected a string") {
                let help =
                    Some("write it as text in quotes, with its unit where it has one, such as \"60s\"".to_owned());
                return self.push("C004", Severity::Error, path, format!("`{name}`: {message}"), help);
            }
            let help = (path == ["meters"]).then(|| "write each meter as a table of its own, `[meters.<id>]`: lists of one file replace those of another".to_owned());
            let message = format!("`{name}`: {message}");
            return self.push("C004", Severity::Error, path, message, help);
        };
        let allowed: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        let near = nearest(name, allowed.iter().copied());
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("allowed here: {}", allowed.join(", ")),
        };
        let place = self.layers.key_place(path);
        let problem = Problem {
            code: "C003",
            severity: Severity::Error,
            path: path.join("."),
            place,
            message: format!("unknown key `{name}`"),
            help: Some(help),
        };
        self.problems.push(problem);
    }

    fn unknown_templates(&mut self, file: &File) {
        let known: BTreeMap<String, ()> = file.templates.keys().map(|id| (id.clone(), ())).collect();
        for (id, section) in &file.meters {
            if let Some(template) = &section.template {
                self.reference(&["meters", id, "template"], template, &known, "templates");
            }
        }
        for (id, section) in &file.templates {
            if section.template.is_some() {
                self.error("C006", &["templates", id, "template"], "a template has no template of its own".to_owned());
            }
        }
    }

    fn catalogue(&mut self, file: &File, hash: &mut Sha256) -> Catalogue {
        let mut catalogue = Catalogue::shipped();
        for written in &file.factors.files {
            let path = self.layers.resolve(&["factors", "files"], written);
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    hash.update(&text);
                    for problem in catalogue.add_csv(&text) {
                        self.error("C009", &["factors", "files"], format!("{}: {problem}", path.display()));
                    }
                }
                Err(error) => {
                    let message = format!("cannot read the factor file `{}`: {error}", path.display());
                    self.error("C001", &["factors", "files"], message);
                }
            }
        }
        for (id, section) in &file.contracts {
            if let Some(text) = section.factor.as_ref().and_then(|names| names.0.first()) {
                self.inline_factor(&mut catalogue, id, text);
            }
        }
        catalogue
    }

    /// A contract may say its figure itself: `"0 kg/kWh"`.
    fn inline_factor(&mut self, catalogue: &mut Catalogue, id: &str, text: &str) {
        let Some((value, unit)) = text.trim().split_once(' ').filter(|(value, _)| Decimal::parse(value).is_some())
        else {
            return;
        };
        let unit = if unit.contains("CO2e") { unit.to_owned() } else { unit.replacen('/', " CO2e/", 1) };
        let (set, quoted) = (inline_set(id), unit.replace('"', ""));
        let csv = format!(
            "id,set,name,use,gas,value,unit,source\n{set},{set},contract,inventory,CO2e,{value},\"{quoted}\",contract\n"
        );
        for problem in catalogue.add_csv(&csv) {
            self.error("C009", &["contracts", id, "factor"], format!("`{text}`: {}", problem.message));
        }
    }
}

/// A print of every part of the merged tree, and of the factors.
fn parts(tree: &Value, catalogue: &Catalogue) -> Parts {
    let print = |text: String| {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        hasher.finish()
    };
    let mut parts = Parts::new();
    for (section, keys) in tree.as_object().into_iter().flatten() {
        for (key, value) in keys.as_object().into_iter().flatten() {
            parts.insert((section.clone(), key.clone()), print(value.to_string()));
        }
    }
    let rows: String = catalogue.rows().map(|row| format!("{row:?}")).collect();
    parts.insert(("factors".to_owned(), "rows".to_owned()), print(rows));
    parts
}

fn remove(tree: &mut Value, path: &[&str]) -> bool {
    let Some((last, parents)) = path.split_last() else {
        return false;
    };
    let parent = parents.iter().try_fold(tree, |node, key| node.get_mut(key));
    parent.and_then(Value::as_object_mut).is_some_and(|object| object.remove(*last).is_some())
}

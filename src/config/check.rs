//! From the file as written to the plan: one function per section, every problem collected.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::cluster::{Cluster, ClusterIx, Facility, FacilityIx, Level, Network, NetworkIx, Topology};
use crate::config::account::check_accounts;
use crate::config::contract::inline_set;
use crate::config::file::{ClusterSection, File, GoalSection};
use crate::config::layers::{self, Layers, List};
use crate::config::meter::{Declarations, check_meters};
use crate::config::plan::{Daemon, Parts, Plan, Retention};
use crate::config::problem::{Problem, Report, Severity};
use crate::config::value::{self, Names};
use crate::decode::Routes;
use crate::factor::{Catalogue, GwpSet};
use crate::influx;
use crate::mqtt;
use crate::pipeline::Rules;
use crate::quantity::{Amount, Decimal, Id, Span, Window, Zone};

/// For this machine only.
const DEFAULT_HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8077);

/// What is collected while checking.
pub(crate) struct Checker {
    pub layers: Layers,
    pub problems: Vec<Problem>,
}

/// What a cluster decides for its members.
#[derive(Clone)]
pub(crate) struct ClusterRules {
    pub gwp: GwpSet,
    pub network_gwp: Option<GwpSet>,
    pub grid: Option<Names>,
    pub residual: Option<Names>,
}

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
        let accounts = check_accounts(self, &declarations, &mut topology);
        let late_horizon = self.span(&["ledger", "late_horizon"], file.ledger.late_horizon.as_ref(), Span::days(7));
        let close_after = self.span(&["ledger", "close_after"], file.ledger.close_after.as_ref(), Span::minutes(5));
        let gwp = |cluster: &Cluster| cluster_rules.get(cluster.id.as_str()).map_or(GwpSet::Ar6, |rules| rules.gwp);
        let gwp = topology.clusters.iter().map(gwp).collect();
        self.unknown_templates(&file);
        let routes = Routes::new(&mappings);
        let mqtt = self.mqtt(&file, &routes);
        let rules = Rules { topology: Arc::new(topology), routes, accounts, late_horizon, close_after };
        Some(Plan {
            rules: Arc::new(rules),
            mappings,
            daemon: self.daemon(&file),
            mqtt: mqtt?,
            influx: self.influx(&file),
            rebirth_requests: file.sparkplug.rebirth_requests.unwrap_or(false),
            retention: self.retention(&file),
            parts: parts(&self.layers.tree, &catalogue),
            hash: hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
            gwp,
            catalogue,
        })
    }

    // ---- reading -------------------------------------------------------------------------------------------------

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

    // ---- reporting -----------------------------------------------------------------------------------------------

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

    fn gwp(&mut self, path: &[&str], written: Option<&String>) -> Option<GwpSet> {
        self.word(path, written, &[("ar4", GwpSet::Ar4), ("ar5", GwpSet::Ar5), ("ar6", GwpSet::Ar6)])
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

    // ---- sections ------------------------------------------------------------------------------------------------

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

    fn topology(&mut self, file: &File, catalogue: &Catalogue) -> (Topology, BTreeMap<String, ClusterRules>) {
        let default_gwp = self.gwp(&["factors", "gwp"], file.factors.gwp.as_ref()).unwrap_or(GwpSet::Ar6);
        let mut topology = Topology::default();
        let mut networks = BTreeMap::new();
        for (id, section) in &file.networks {
            let gwp = self.gwp(&["networks", id, "gwp"], section.gwp.as_ref()).unwrap_or(default_gwp);
            if let Some(parsed) = self.id("networks", id) {
                networks.insert(id.clone(), (NetworkIx(networks.len() as u32), gwp));
                topology.networks.push(Network { id: parsed, name: section.name.clone(), clusters: Vec::new() });
            }
        }
        let mut clusters = BTreeMap::new();
        let mut rules = BTreeMap::new();
        for (id, section) in &file.clusters {
            self.factor_names(&["clusters", id, "grid"], section.grid.as_ref(), catalogue);
            self.factor_names(&["clusters", id, "residual"], section.residual.as_ref(), catalogue);
            if let Some((cluster, cluster_rules)) = self.cluster(id, section, &networks, default_gwp) {
                let ix = ClusterIx(clusters.len() as u32);
                if let Some(network) = cluster.network {
                    topology.networks[network.0 as usize].clusters.push(ix);
                }
                clusters.insert(id.clone(), ix);
                rules.insert(id.clone(), cluster_rules);
                topology.clusters.push(cluster);
            }
        }
        let mut facilities = 0;
        for (id, section) in &file.facilities {
            let parsed = self.id("facilities", id);
            self.factor_names(&["facilities", id, "grid"], section.grid.as_ref(), catalogue);
            self.factor_names(&["facilities", id, "residual"], section.residual.as_ref(), catalogue);
            let Some(written) = &section.cluster else {
                self.missing(&["facilities", id, "cluster"], "name the cluster it is a member of");
                continue;
            };
            if file.clusters.contains_key(written) && !clusters.contains_key(written) {
                // The cluster has a problem of its own, which is reported there.
                continue;
            }
            let cluster = self.reference(&["facilities", id, "cluster"], written, &clusters, "clusters");
            if let (Some(parsed), Some(cluster)) = (parsed, cluster) {
                topology.clusters[cluster.0 as usize].facilities.push(FacilityIx(facilities));
                let name = section.name.clone();
                let (meters, inputs) = (Vec::new(), Vec::new());
                topology.facilities.push(Facility { id: parsed, name, cluster, meters, inputs });
                facilities += 1;
            }
        }
        (topology, rules)
    }

    fn cluster(
        &mut self,
        id: &str,
        section: &ClusterSection,
        networks: &BTreeMap<String, (NetworkIx, GwpSet)>,
        default_gwp: GwpSet,
    ) -> Option<(Cluster, ClusterRules)> {
        let parsed = self.id("clusters", id);
        let zone = match &section.timezone {
            Some(name) => self.zone(&["clusters", id, "timezone"], name),
            None => {
                self.missing(
                    &["clusters", id, "timezone"],
                    "an IANA name such as \"Europe/Paris\"; its days and months follow it",
                );
                None
            }
        };
        let written = section.network.as_ref();
        let network = written.and_then(|name| self.reference(&["clusters", id, "network"], name, networks, "networks"));
        let gwp = self.gwp(&["clusters", id, "gwp"], section.gwp.as_ref()).unwrap_or(default_gwp);
        self.goal(&["clusters", id, "baseline"], section.baseline.as_ref());
        self.goal(&["clusters", id, "target"], section.target.as_ref());
        let rules = ClusterRules {
            gwp,
            network_gwp: network.map(|(_, set)| set).filter(|set| *set != gwp),
            grid: section.grid.clone(),
            residual: section.residual.clone(),
        };
        let network = network.map(|(ix, _)| ix);
        Some((Cluster { id: parsed?, name: section.name.clone(), network, zone: zone?, facilities: Vec::new() }, rules))
    }

    pub(crate) fn zone(&mut self, path: &[&str], name: &str) -> Option<Zone> {
        let zone = Zone::parse(name);
        if zone.is_none() {
            self.error("C006", path, format!("`{name}` is no time zone; write an IANA name such as \"Europe/Paris\""));
        }
        zone
    }

    fn goal(&mut self, path: &[&str], goal: Option<&GoalSection>) {
        let Some(goal) = goal else {
            return;
        };
        let key = |name: &'static str| -> Vec<&str> { path.iter().copied().chain([name]).collect() };
        match goal.year {
            None => self.missing(&key("year"), "such as `year = 2021`"),
            Some(year) if !(1990..=2100).contains(&year) => {
                self.error("C006", &key("year"), format!("`year` is {year}; expected 1990 to 2100"));
            }
            Some(_) => {}
        }
        match goal.value.as_deref().map(Amount::parse) {
            None => self.missing(&key("value"), "such as `value = \"16 Mt\"`"),
            Some(Err(problem)) => self.error("C008", &key("value"), problem.to_string()),
            Some(Ok(_)) => {}
        }
        for scope in goal.scopes.iter().flatten().filter(|s| !(1..=2).contains(*s)) {
            self.error("C006", &key("scopes"), format!("scope {scope} is not kept here; scopes are 1 and 2"));
        }
        if let Some(gas) = goal.gas.as_ref().filter(|g| *g != "CO2" && *g != "CO2e") {
            self.not_one_of(&key("gas"), gas, &["CO2", "CO2e"]);
        }
    }

    fn daemon(&mut self, file: &File) -> Daemon {
        let section = &file.daemon;
        let http = section.http.clone().unwrap_or_else(|| DEFAULT_HTTP.to_string());
        let parsed = http.parse::<SocketAddr>();
        if parsed.is_err() {
            self.error(
                "C006",
                &["daemon", "http"],
                format!("`http` is no address: `{http}`; write \"127.0.0.1:8077\""),
            );
        }
        let state_dir = match &section.state_dir {
            Some(written) => self.layers.resolve(&["daemon", "state_dir"], written),
            None => PathBuf::from("state"),
        };
        let token_file = section.token_file.as_ref().map(|w| self.secret(&["daemon", "token_file"], w));
        if token_file.is_none() && parsed.as_ref().is_ok_and(|address| !address.ip().is_loopback()) {
            let message =
                format!("the server listens beyond this machine at {http}, and nothing can be changed over it");
            let help = "for changes, set `token_file`; for this machine only, write \"127.0.0.1:8077\"".to_owned();
            self.push("C017", Severity::Warning, &["daemon", "http"], message, Some(help));
        }
        let http = parsed.unwrap_or(DEFAULT_HTTP);
        Daemon { state_dir, http, token_file }
    }

    fn mqtt(&mut self, file: &File, routes: &Routes) -> Option<mqtt::Options> {
        let section = &file.mqtt;
        let url = section.url.clone().unwrap_or_else(|| "mqtt://127.0.0.1:1883".to_owned());
        let server = mqtt::Server::parse(&url);
        if server.is_none() {
            // It may hold a password that should not be there.
            let shown = if url.contains('@') { "…@…" } else { &url };
            let message = format!(
                "`url` is no broker: `{shown}`; write \"mqtt://host:1883\" or \"mqtts://host:8883\", and who you are with `username` and `password_file`"
            );
            self.error("C006", &["mqtt", "url"], message);
        }
        let inflight = section.inflight.unwrap_or(16);
        if !(1..=60_000).contains(&inflight) {
            self.error("C006", &["mqtt", "inflight"], format!("`inflight` is {inflight}; expected 1 to 60000"));
        }
        let max_packet = match &section.max_packet {
            None => 1 << 20,
            Some(text) => value::bytes(text).filter(|n| (1_024..=100 << 20).contains(n)).unwrap_or_else(|| {
                let message = format!("`max_packet` is `{text}`; write a size from \"1 KiB\" to \"100 MiB\"");
                self.error("C006", &["mqtt", "max_packet"], message);
                1 << 20
            }),
        };
        if section.client_id.as_ref().is_some_and(|id| id.trim().is_empty()) {
            self.error(
                "C006",
                &["mqtt", "client_id"],
                "`client_id` is empty; leave the key out for one of the daemon's own".to_owned(),
            );
        }
        if section.password_file.is_some() && section.username.is_none() {
            self.missing_for(&["mqtt", "username"], "password_file", "a password needs its user");
        }
        for filter in section.subscribe.iter().flatten().filter(|f| !is_filter(f)) {
            let message = format!("`{filter}` is no topic filter: `+` stands for a whole level, `#` for all the rest");
            self.error("C006", &["mqtt", "subscribe"], message);
        }
        if section.ca_file.is_some() && server.as_ref().is_some_and(|s| !s.tls) {
            self.error(
                "C006",
                &["mqtt", "ca_file"],
                "certificates need an encrypted connection: write `mqtts://`".to_owned(),
            );
        }
        if section.cert_file.is_some() != section.key_file.is_some() {
            self.error("C005", &["mqtt", "cert_file"], "`cert_file` and `key_file` are needed together".to_owned());
        }
        let password_file = section.password_file.as_ref().map(|w| self.secret(&["mqtt", "password_file"], w));
        let layers = &self.layers;
        let path =
            |key: &'static str, written: &Option<String>| written.as_ref().map(|w| layers.resolve(&["mqtt", key], w));
        let topics = routes.filters();
        Some(mqtt::Options {
            server: server?,
            client_id: section.client_id.clone(),
            username: section.username.clone(),
            password_file,
            ca_file: path("ca_file", &section.ca_file),
            cert_file: path("cert_file", &section.cert_file),
            key_file: path("key_file", &section.key_file),
            inflight: usize::try_from(inflight).unwrap_or(16),
            max_packet: usize::try_from(max_packet).unwrap_or(1 << 20),
            subscribe: section.subscribe.clone().unwrap_or(topics).into(),
        })
    }

    fn influx(&mut self, file: &File) -> Option<influx::Options> {
        let section = file.influxdb.as_ref()?;
        for (key, value) in [("url", &section.url), ("org", &section.org), ("bucket", &section.bucket)] {
            if value.is_none() {
                self.missing(&["influxdb", key], "without `[influxdb]` the embedded store alone is used");
            }
        }
        let url = section.url.clone().unwrap_or_default();
        if section.url.is_some() && !url.starts_with("http://") && !url.starts_with("https://") {
            self.error("C006", &["influxdb", "url"], format!("`url` is `{url}`; write \"http://127.0.0.1:8086\""));
        }
        let token_file = section.token_file.as_ref().map(|w| self.secret(&["influxdb", "token_file"], w));
        Some(influx::Options {
            url,
            org: section.org.clone().unwrap_or_default(),
            bucket: section.bucket.clone().unwrap_or_default(),
            token_file,
            windows: self.influx_windows(&section.windows),
            activity: section.activity.unwrap_or(false),
        })
    }

    /// A secret's file. That it is not there is no mistake of the configuration: it may be checked elsewhere than it is used.
    fn secret(&mut self, key: &[&str], written: &str) -> PathBuf {
        let path = self.layers.secret(key, written);
        if !path.is_file() {
            let message = format!("there is no file `{}`: `run` will need it", path.display());
            let help = "a file with nothing but the secret, or a systemd credential of the same name".to_owned();
            self.push("C016", Severity::Warning, key, message, Some(help));
        }
        path
    }

    fn influx_windows(&mut self, written: &BTreeMap<String, Vec<String>>) -> BTreeMap<Level, Vec<Window>> {
        let all = Window::ALL.to_vec();
        let meter = vec![Window::Quarter, Window::Hour, Window::Day];
        let mut windows: BTreeMap<Level, Vec<Window>> =
            Level::ALL.into_iter().map(|level| (level, all.clone())).collect();
        windows.insert(Level::Meter, meter);
        for (name, list) in written {
            let Some(level) = Level::parse(name) else {
                let allowed = Level::ALL.map(Level::name);
                self.not_one_of(&["influxdb", "windows", name], name, &allowed);
                continue;
            };
            let mut parsed = Vec::new();
            for text in list {
                match Window::parse(text) {
                    Some(window) => parsed.push(window),
                    None => self.not_one_of(&["influxdb", "windows", name], text, &Window::ALL.map(Window::name)),
                }
            }
            windows.insert(level, parsed);
        }
        windows
    }

    fn retention(&mut self, file: &File) -> Retention {
        let journal_max_bytes = match &file.journal.max_bytes {
            None => 20 << 30,
            Some(text) => value::bytes(text).filter(|n| *n >= 1 << 20).unwrap_or_else(|| {
                let message =
                    format!("`max_bytes` is `{text}`; write a size of at least \"1 MiB\", such as \"20 GiB\"");
                self.error("C006", &["journal", "max_bytes"], message);
                20 << 30
            }),
        };
        Retention {
            journal_keep: self.span(&["journal", "keep"], file.journal.keep.as_ref(), Span::days(7)),
            journal_max_bytes,
            keep_activity: self.span(
                &["ledger", "keep_activity"],
                file.ledger.keep_activity.as_ref(),
                Span::days(3_653),
            ),
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

/// Whether text is an MQTT topic filter.
fn is_filter(text: &str) -> bool {
    let levels: Vec<&str> = text.split('/').collect();
    let last = levels.len() - 1;
    let good = |(at, level): (usize, &&str)| match *level {
        "#" => at == last,
        "+" => true,
        other => !other.contains(['#', '+', '\0']),
    };
    !text.is_empty() && levels.iter().enumerate().all(good)
}

/// The name that is most like the one written, if it is like it at all.
pub(crate) fn nearest<'a>(written: &str, allowed: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    let scored = allowed.map(|name| (strsim::jaro_winkler(&written, &name.to_lowercase()), name));
    scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

fn remove(tree: &mut Value, path: &[&str]) -> bool {
    let Some((last, parents)) = path.split_last() else {
        return false;
    };
    let parent = parents.iter().try_fold(tree, |node, key| node.get_mut(key));
    parent.and_then(Value::as_object_mut).is_some_and(|object| object.remove(*last).is_some())
}

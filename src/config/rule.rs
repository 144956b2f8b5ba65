//! The `[rules.*]` tables: what each watches, and against what.

use std::collections::BTreeMap;

use crate::alert::{Guard, Kind, NoData, Priority, Rule, Signal, Watched};
use crate::cluster::{Category, Cluster, Entity, Facility, Level, MeterIx, Topology};
use crate::config::checker::Checker;
use crate::config::file::{ClusterSection, File};
use crate::config::file_rule::RuleSection;
use crate::config::problem::Severity;
use crate::config::rule_health;
use crate::config::rule_members::Members;
use crate::config::value::{Names, Written};
use crate::emission::{Accounts, Column, Transfer};
use crate::quantity::{Amount, Dimension, Ratio, Span};

/// Checks all rules. One with a kind that differs by entity gives several.
pub(crate) fn check_rules(checker: &mut Checker, file: &File, topology: &Topology, accounts: &Accounts) -> Vec<Rule> {
    let mut rules = Vec::new();
    let members = &Members::new(topology);
    for (id, section) in &file.rules {
        let transfers = &accounts.transfers;
        let mut check = RuleCheck { checker: &mut *checker, file, topology, members, transfers, id, section };
        rules.extend(check.rules());
    }
    warn_of_many(checker, &rules);
    rules
}

/// Rules of high priority among so many rules are not many by chance.
const MANY: usize = 20;

/// Warns of rules that say the same, and of more calls than anybody can heed.
fn warn_of_many(checker: &mut Checker, rules: &[Rule]) {
    for (at, rule) in rules.iter().enumerate() {
        if let Some(same) = rules[..at].iter().find(|other| other.id != rule.id && is_alike(rule, other)) {
            let message = format!("it watches the same in the same way as `{}`", same.id);
            let help = Some("one rule may have several levels: see `warn_at` and `critical_at`".to_owned());
            checker.push("C024", Severity::Warning, &["rules", rule.id.as_str()], message, help);
        }
    }
    let ids: BTreeMap<&str, Priority> = rules.iter().map(|rule| (rule.id.as_str(), rule.priority)).collect();
    let high = ids.values().filter(|priority| **priority == Priority::High).count();
    if ids.len() >= MANY && high * 20 > ids.len() {
        let message = format!("{high} of {} rules are of high priority: where all is urgent, nothing is", ids.len());
        let help = Some("about one of twenty should be; ISA-18.2 suggests 80 % low, 15 % medium, 5 % high".to_owned());
        checker.push("C024", Severity::Warning, &["rules"], message, help);
    }
}

/// Whether two rules differ in their bounds alone.
fn is_alike(one: &Rule, other: &Rule) -> bool {
    let kinds = match (&one.kind, &other.kind) {
        (Kind::Limit(a), Kind::Limit(b)) => a.average == b.average && a.align == b.align && a.gate == b.gate,
        (Kind::Budget(a), Kind::Budget(b)) => a.period == b.period,
        (Kind::Burn(a), Kind::Burn(b)) => a.period == b.period,
        (a, b) => a.name() == b.name(),
    };
    kinds && one.signal == other.signal && one.watched == other.watched
}

pub(crate) struct RuleCheck<'a> {
    pub checker: &'a mut Checker,
    pub file: &'a File,
    pub topology: &'a Topology,
    pub members: &'a Members,
    pub transfers: &'a [Transfer],
    pub id: &'a str,
    pub section: &'a RuleSection,
}

/// The kinds of rules about what is emitted.
const KINDS: [&str; 4] = ["limit", "budget", "burn", "pathway"];
/// The part of the meter time that must be covered to call something normal.
const MIN_COVERAGE: (i128, i128) = (75, 100);
/// Where nothing is said, a rate must fall this far below a level to be clear of it.
const DEADBAND: (i128, i128) = (3, 100);

impl<'a> RuleCheck<'a> {
    fn rules(&mut self) -> Vec<Rule> {
        let parsed = self.checker.id("rules", self.id);
        let Some(kind) = &self.section.kind else {
            self.missing("kind", &format!("one of {}, {}", KINDS.join(", "), rule_health::KINDS.join(", ")));
            return Vec::new();
        };
        let kinds = [&KINDS[..], &rule_health::KINDS[..]].concat();
        if !kinds.contains(&kind.as_str()) {
            self.checker.not_one_of(&["rules", self.id, "kind"], kind, &kinds);
            return Vec::new();
        }
        self.out_of_place(kind);
        let guard = self.guard(kind);
        let priority = self.priority();
        let notify = self.section.notify.as_ref().map(|names| names.0.clone()).unwrap_or_default();
        let response = self.section.response.clone().unwrap_or_default();
        let out_of_service = self.section.out_of_service.clone();
        let (signal, watched) = (RuleCheck::no_signal(), Vec::new());
        let Some(id) = parsed else {
            return Vec::new();
        };
        let plain = Rule { id, watched, signal, kind: Kind::Daemon, guard, priority, response, notify, out_of_service };
        if rule_health::KINDS.contains(&kind.as_str()) {
            return self.health(kind, &plain);
        }
        let mut rules: Vec<Rule> = Vec::new();
        for entity in self.entities(None) {
            let Some((kind, signal)) = self.kind(kind, entity) else {
                continue;
            };
            self.must_be_fed(entity, &signal);
            match rules.iter_mut().find(|rule| rule.kind == kind && rule.signal == signal) {
                Some(rule) => rule.watched.push(Watched::Entity(entity)),
                None => rules.push(Rule { watched: vec![Watched::Entity(entity)], signal, kind, ..plain.clone() }),
            }
        }
        rules.iter().for_each(|rule| self.hints(rule));
        rules
    }

    // ---- what is watched -----------------------------------------------------------------------------------------

    /// Those of the chosen level that lie in all that is named; `of`: there is no choice.
    pub(crate) fn entities(&mut self, of: Option<Level>) -> Vec<Entity> {
        let select = &self.section.select;
        let named = [
            (Level::Meter, &select.meter),
            (Level::Facility, &select.facility),
            (Level::Cluster, &select.cluster),
            (Level::Network, &select.network),
        ];
        for (level, names) in named {
            self.unknown_names(level, names.as_ref());
        }
        let deepest = named.iter().find(|(_, names)| names.is_some()).map(|(level, _)| *level);
        let levels = Level::ALL.map(|level| (level.name(), level));
        let per = self.checker.word(&["rules", self.id, "per"], self.section.per.as_ref(), &levels);
        let level = of.or(per).or(deepest).unwrap_or(Level::Cluster);
        let (topology, members) = (self.topology, self.members);
        let is_in = |entity: Entity| {
            let holds = |(level, names): &(Level, &Option<Names>)| match names {
                None => true,
                Some(names) => members.above(topology, entity).iter().any(|above| {
                    let id = topology.id(*above).as_str();
                    above.level() == *level && names.0.iter().any(|name| name == "*" || name == id)
                }),
            };
            named.iter().filter(|(named, _)| *named >= level).all(holds)
        };
        if per.is_some_and(|per| deepest.is_some_and(|deepest| deepest < per)) {
            let message = "`per` is above what `select` names: each of these is watched for itself".to_owned();
            self.checker.error("C006", &["rules", self.id, "per"], message);
        }
        let found: Vec<Entity> =
            Members::of_level(topology, level).into_iter().filter(|entity| is_in(*entity)).collect();
        if found.is_empty() {
            self.selects_nothing(level.name(), "see `select`; `{ facility = \"*\" }` is every facility");
        }
        found
    }

    pub(crate) fn selects_nothing(&mut self, what: &str, help: &str) {
        let message = format!("it selects no {what}: it will never raise an alarm");
        self.checker.push("C019", Severity::Warning, &["rules", self.id, "select"], message, Some(help.to_owned()));
    }

    /// A rule about what no meter emits is none.
    fn must_be_fed(&mut self, entity: Entity, signal: &Signal) {
        let topology = self.topology;
        let of_facility = |facility: &Facility| [facility.meters.clone(), facility.inputs.clone()].concat();
        let of_cluster = |cluster: &Cluster| -> Vec<MeterIx> {
            cluster.facilities.iter().flat_map(|ix| of_facility(topology.facility(*ix))).collect()
        };
        let meters = match entity {
            Entity::Meter(ix) => vec![ix],
            Entity::Facility(ix) => of_facility(topology.facility(ix)),
            Entity::Cluster(ix) => of_cluster(topology.cluster(ix)),
            Entity::Network(ix) => {
                topology.network(ix).clusters.iter().flat_map(|ix| of_cluster(topology.cluster(*ix))).collect()
            }
        };
        let categories = meters.into_iter().map(|ix| topology.meter(ix).category);
        let is_fed = |category: Category| match signal {
            Signal::Category(wanted) => category == *wanted,
            Signal::Columns(columns) => columns.iter().any(|column| match column {
                Column::Scope2Location | Column::Scope2Market => category.is_purchase(),
                _ => !category.is_purchase() && (!category.is_memo() || category == Category::Generation),
            }),
        };
        if !categories.into_iter().any(is_fed) {
            let what = format!("meter of {} that emits what it asks for", topology.id(entity));
            self.selects_nothing(
                &what,
                "see `scope`, `category` and `gas` of `select`, and the `category` of the meters",
            );
        }
    }

    fn unknown_names(&mut self, level: Level, names: Option<&Names>) {
        let known: BTreeMap<String, ()> = self.known(level);
        for name in names.iter().flat_map(|names| &names.0).filter(|name| *name != "*") {
            if !known.contains_key(name) && !self.checker.is_declared(level.section(), name) {
                self.checker.reference(&["rules", self.id, "select", level.name()], name, &known, level.section());
            }
        }
    }

    fn known(&self, level: Level) -> BTreeMap<String, ()> {
        Members::of_level(self.topology, level)
            .into_iter()
            .map(|entity| (self.topology.id(entity).to_string(), ()))
            .collect()
    }

    // ---- how it turns --------------------------------------------------------------------------------------------

    fn guard(&mut self, kind: &str) -> Guard {
        let section = self.section;
        // A daemon that is started takes a moment until all its connections are up.
        let default = if kind == "daemon" { Span::minutes(1) } else { Span(0) };
        let lasting = self.delay("for", section.lasting.as_ref(), default);
        let keep = self.delay("keep", section.keep.as_ref(), Span(0));
        let words = [("unknown", NoData::Unknown), ("alarm", NoData::Alarm), ("ok", NoData::Normal)];
        let path = ["rules", self.id, "on_no_data"];
        let no_data = self.checker.word(&path, section.on_no_data.as_ref(), &words).unwrap_or_default();
        Guard { lasting, keep, no_data, alarm: 3 }
    }

    /// A span that may be nought.
    fn delay(&mut self, key: &'static str, written: Option<&String>, default: Span) -> Span {
        match written.map(|text| Span::parse(text)) {
            Some(Some(Span(0))) => Span(0),
            _ => self.checker.span(&["rules", self.id, key], written, default),
        }
    }

    fn priority(&mut self) -> Priority {
        let words = [Priority::Low, Priority::Medium, Priority::High].map(|priority| (priority.name(), priority));
        let path = ["rules", self.id, "priority"];
        let priority = self.checker.word(&path, self.section.priority.as_ref(), &words).unwrap_or(Priority::Medium);
        let is_high = priority == Priority::High || self.section.critical_at.is_some();
        if is_high && self.section.response.as_ref().is_none_or(|text| text.trim().is_empty()) {
            let path = if priority == Priority::High { path } else { ["rules", self.id, "critical_at"] };
            let message = "an alarm of high priority needs a `response`: what the operator is to do".to_owned();
            let help = Some("where nothing is to be done, it is `priority = \"low\"`".to_owned());
            self.checker.push("C021", Severity::Warning, &path, message, help);
        }
        priority
    }

    /// What works, but hardly as it is meant.
    fn hints(&mut self, rule: &Rule) {
        let entities = rule.watched.iter().filter_map(|watched| match watched {
            Watched::Entity(entity) => Some(*entity),
            _ => None,
        });
        let slowest = self.members.slowest(&entities.collect::<Vec<_>>());
        if let Some(slowest) = slowest.filter(|slowest| rule.guard.lasting.0 > 0 && rule.guard.lasting < *slowest) {
            let message = format!("`for` is shorter than the time between two readings, {slowest}: it changes nothing");
            self.checker.push("C022", Severity::Warning, &["rules", self.id, "for"], message, None);
        }
        if let Kind::Limit(limit) = &rule.kind
            && limit.clear == Ratio::ONE
        {
            let message = "without a deadband, a value that lies at its limit raises alarm after alarm".to_owned();
            self.checker.push("C022", Severity::Warning, &["rules", self.id, "deadband"], message, None);
        }
    }

    // ---- values --------------------------------------------------------------------------------------------------

    pub(crate) fn missing(&mut self, key: &str, help: &str) {
        self.checker.missing_for(&["rules", self.id, key], "kind", help);
    }

    pub(crate) fn error(&mut self, key: &str, message: String) {
        self.checker.error("C006", &["rules", self.id, key], message);
    }

    /// A share from nought up to `most`.
    pub(crate) fn share(&mut self, key: &str, written: Option<&Written>, default: (i128, i128), most: i128) -> Ratio {
        let default = Ratio::new(default.0, default.1).unwrap_or(Ratio::ONE);
        let Some(written) = written else {
            return default;
        };
        let fits =
            |share: &Ratio| !share.is_negative() && !Ratio::whole(most).minus(*share).is_some_and(Ratio::is_negative);
        written.share().filter(fits).unwrap_or_else(|| {
            let message = format!("`{key}` is {}; write a share up to {most}, such as 0.05 or \"5 %\"", written.0);
            self.error(key, message);
            default
        })
    }

    /// What is left of a level when it is cleared.
    pub(crate) fn clear(&mut self, is_rate: bool) -> Ratio {
        let default = if is_rate { DEADBAND } else { (0, 1) };
        let deadband = self.share("deadband", self.section.deadband.as_ref(), default, 1);
        Ratio::ONE.minus(deadband).unwrap_or(Ratio::ONE)
    }

    pub(crate) fn min_coverage_e4(&mut self) -> u32 {
        let share = self.share("min_coverage", self.section.min_coverage.as_ref(), MIN_COVERAGE, 1);
        u32::try_from(share.of_floor(10_000)).unwrap_or(10_000)
    }

    /// Milligrams, or milligrams a day for a rate.
    pub(crate) fn mass(&mut self, key: &str, text: &str, is_rate: bool) -> Option<i128> {
        let amount = match Amount::parse(text) {
            Ok(amount) => amount,
            Err(problem) => {
                self.checker.error("C008", &["rules", self.id, key], problem.to_string());
                return None;
            }
        };
        let fits = amount.unit.dimension == Dimension::Mass && amount.unit.per.is_some() == is_rate;
        let micrograms = Ratio::from_decimal(amount.value).and_then(|value| value.times(amount.unit.base));
        let mg = micrograms.map(|mass| mass.of_floor(1) / 1_000).filter(|mg| *mg > 0);
        if !fits || mg.is_none() {
            let such = if is_rate { "a mass over time, such as \"820 kg/h\"" } else { "a mass, such as \"4200 t\"" };
            self.error(key, format!("`{key}` is `{text}`; write {such}"));
            return None;
        }
        mg
    }

    pub(crate) fn cluster(&self, entity: Entity) -> Option<&'a ClusterSection> {
        let cluster = self.topology.cluster_of(entity)?;
        self.file.clusters.get(self.topology.cluster(cluster).id.as_str())
    }
}

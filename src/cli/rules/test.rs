//! `emissiond rules test`: readings of meters in few words, through the whole chain, against the turns that are expected.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde::Deserialize;

use crate::alert::{Kind, Turned, turns};
use crate::cli::rules::notation::{readings, time_of};
use crate::cli::{CONFIGURATION, FAILED, Failure, plan};
use crate::cluster::{Entity, MeterIx};
use crate::config::Plan;
use crate::decode::{Decoded, Reading};
use crate::format::{kg_text, state_name};
use crate::pipeline::{Event, Pipeline};
use crate::quantity::{Span, Time, Zone};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The tests, a TOML file
    tests: PathBuf,
    /// The configuration with the rules
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
    /// Only tests whose name holds this
    #[arg(long)]
    run: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tests: Vec<Test>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    name: String,
    /// The time of the first reading, local or with an offset.
    start: String,
    /// The time between two readings.
    #[serde(default = "a_minute")]
    every: String,
    /// The rules that are tested. Empty: all.
    #[serde(default)]
    rules: BTreeSet<String>,
    /// By meter, in its declared unit.
    readings: BTreeMap<String, String>,
    /// All turns, in any order.
    turns: Vec<Expected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    at: String,
    rule: String,
    entity: String,
    state: String,
    /// In kg/h or kg, where it matters.
    value: Option<f64>,
}

fn a_minute() -> String {
    "1m".to_owned()
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let plan = plan(Some(&arguments.config))?;
    let file = read(&arguments.tests)?;
    let wanted = |test: &&Test| arguments.run.as_ref().is_none_or(|part| test.name.contains(part));
    let (mut passed, mut failed) = (0, 0);
    for test in file.tests.iter().filter(wanted) {
        let wrong = |what: String| {
            let place = format!("{}: test `{}`: {what}", arguments.tests.display(), test.name);
            Failure::new(CONFIGURATION, place)
        };
        let differences = test.differences(&plan).map_err(wrong)?;
        let (word, count) = if differences.is_empty() { ("ok", &mut passed) } else { ("FAILED", &mut failed) };
        *count += 1;
        // Whoever expects nothing is told that nothing was found.
        let note = if test.turns.is_empty() && word == "ok" { " (no rule turned at all)" } else { "" };
        println!("{word:<7} {}{note}\n{differences}", test.name);
    }
    match (passed, failed) {
        (0, 0) => Err(Failure::new(FAILED, "no test has such a name")),
        (_, 0) => {
            println!("{passed} passed");
            Ok(())
        }
        _ => Err(Failure::new(FAILED, format!("{failed} of {} failed", passed + failed))),
    }
}

fn read(path: &Path) -> Result<File, Failure> {
    let wrong = |what: String| Failure::new(CONFIGURATION, format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    toml_edit::de::from_str(&text).map_err(|error| wrong(error.to_string()))
}

impl Test {
    /// Lines of what is expected and not found, `-`, and the other way round, `+`. An error: the test is none.
    fn differences(&self, plan: &Plan) -> Result<String, String> {
        let zone = self.zone(plan)?;
        let problems = self.problems(plan, &zone);
        if !problems.is_empty() {
            return Err(problems.join("\n  "));
        }
        let mut pipeline = Pipeline::offline(Arc::clone(&plan.rules));
        let mut effects = Vec::new();
        let (messages, last) = self.messages(plan, &zone)?;
        for (at, decoded) in messages {
            pipeline.apply(Event::Message { received: at, decoded, counted: true }, &mut effects);
            effects.clear();
        }
        let refused = pipeline.counters().readings.received - pipeline.counters().readings.accepted;
        if refused > 0 {
            return Err(format!("{refused} of its readings would be refused or set apart"));
        }
        let set_aside = self.readings.keys().filter_map(|id| plan.rules.topology.find_meter(id));
        let set_aside: usize = set_aside.map(|ix| pipeline.meter_view(ix).quarantined).sum();
        if set_aside > 0 {
            return Err(format!("{set_aside} of its readings are set aside, as dips, spikes or above `max_rate`"));
        }
        pipeline.apply(Event::Tick(Time::MAX), &mut effects);
        pipeline.refresh();
        let tested = |turned: &Turned<'_>| self.rules.is_empty() || self.rules.contains(turned.rule.id.as_str());
        let all = turns(&pipeline, &plan.alarms, last);
        self.compare(plan, &zone, all.into_iter().filter(tested).collect())
    }

    /// What it asks for that cannot be, all of it.
    fn problems(&self, plan: &Plan, zone: &Zone) -> Vec<String> {
        let known = |rule: &str| plan.alarms.iter().any(|known| known.id.as_str() == rule);
        let unknown = |rule: &String| format!("no rule is called `{rule}`; see `emissiond rules list`");
        let named = self.rules.iter().filter(|rule| !known(rule)).map(unknown);
        let turns = self.turns.iter().zip(1..);
        let of_turns = turns.flat_map(|(turn, number)| {
            let place = move |problem: String| format!("turn {number}: {problem}");
            turn.problems(plan, zone).into_iter().map(place).collect::<Vec<_>>()
        });
        let not_tested = |turn: &&Expected| !self.rules.is_empty() && !self.rules.contains(&turn.rule);
        let aside =
            self.turns.iter().filter(not_tested).map(|turn| format!("`{}` is not among its `rules`", turn.rule));
        named.chain(of_turns).chain(aside).collect()
    }

    /// The zone in which its local times are.
    fn zone(&self, plan: &Plan) -> Result<Zone, String> {
        let topology = &plan.rules.topology;
        let unknown = |id: &String| format!("no meter is called `{id}`");
        let mut meters = self.readings.keys().map(|id| topology.find_meter(id).ok_or_else(|| unknown(id)));
        let first = meters.next().ok_or("it has no readings")??;
        Ok(topology.zone(Entity::Meter(first)).clone())
    }

    /// Readings in the order of their times, and when the test ends.
    fn messages(&self, plan: &Plan, zone: &Zone) -> Result<(Vec<(Time, Decoded)>, Time), String> {
        let start = time_of(&self.start, zone).map_err(|problem| format!("`start`: {problem}"))?;
        let every = Span::parse(&self.every).filter(|span| span.0 > 0);
        let every = every.ok_or_else(|| format!("`every` is no duration: `{}`", self.every))?;
        let mut messages = Vec::new();
        let mut last = start;
        for (id, text) in &self.readings {
            let ix = plan.rules.topology.find_meter(id).ok_or_else(|| format!("no meter is called `{id}`"))?;
            let read = readings(text, (start, every), zone).map_err(|error| format!("`{id}`: {error}"));
            let (readings, end) = read?;
            last = last.max(end);
            for (at, number) in readings {
                let conversion = &plan.rules.topology.meter(ix).conversion;
                let value = conversion.to_base(number).ok_or_else(|| format!("`{id}`: {number} is out of range"))?;
                messages.push((at, of(ix, at, value)));
            }
        }
        messages.sort_by_key(|(at, _)| *at);
        Ok((messages, last))
    }

    fn compare(&self, plan: &Plan, zone: &Zone, found: Vec<Turned<'_>>) -> Result<String, String> {
        let mut text = String::new();
        let mut left = found;
        for expected in &self.turns {
            let at = time_of(&expected.at, zone)?;
            let is_it = |turned: &Turned<'_>| expected.is(turned, at, plan);
            match left.iter().position(is_it) {
                Some(place) => drop(left.remove(place)),
                None => {
                    let value = expected.value.map_or(String::new(), |value| format!(" at {value}"));
                    let Expected { rule, entity, state, .. } = expected;
                    let _ = writeln!(text, "  - {} {rule} {entity} {state}{value}", zone.text(SHOWN, at));
                }
            }
        }
        for turned in &left {
            let Turned { rule, watched, turn } = turned;
            let entity = watched.text(&plan.rules.topology);
            let value =
                turn.seen.map_or(String::new(), |seen| format!(" at {} {}", kg_text(seen.value), rule.kind.unit()));
            let (at, state) = (zone.text(SHOWN, turn.at), state_name(turn.state));
            let _ = writeln!(text, "  + {at} {} {entity} {state}{value}", rule.id);
        }
        Ok(text)
    }
}

/// What a rule can turn to.
const STATES: [&str; 7] = ["normal", "unknown", "suppressed", "projected", "warning", "over", "critical"];

/// Local time with its offset.
const SHOWN: &str = "%Y-%m-%dT%H:%M:%S%:z";

impl Expected {
    /// What cannot be.
    fn problems(&self, plan: &Plan, zone: &Zone) -> Vec<String> {
        let mut problems = Vec::new();
        if let Err(problem) = time_of(&self.at, zone) {
            problems.push(format!("`at`: {problem}"));
        }
        if !STATES.contains(&self.state.as_str()) {
            problems.push(format!("`state` cannot be `{}`; allowed: {}", self.state, STATES.join(", ")));
        }
        let topology = &plan.rules.topology;
        let has_no_turns = |kind: &Kind| matches!(kind, Kind::Quality(_) | Kind::Daemon);
        if plan.alarms.iter().any(|rule| rule.id.as_str() == self.rule && has_no_turns(&rule.kind)) {
            problems.push(format!("`{}` is about what comes while the daemon runs: it has no turns here", self.rule));
        }
        let mut rules = plan.alarms.iter().filter(|rule| rule.id.as_str() == self.rule).peekable();
        if rules.peek().is_none() {
            problems.push(format!("no rule is called `{}`; see `emissiond rules list`", self.rule));
        } else if !rules.flat_map(|rule| &rule.watched).any(|watched| watched.text(topology) == self.entity) {
            problems
                .push(format!("the rule `{}` does not watch `{}`; see `emissiond rules list`", self.rule, self.entity));
        }
        problems
    }

    fn is(&self, turned: &Turned<'_>, at: Time, plan: &Plan) -> bool {
        let Turned { rule, watched, turn } = turned;
        let value = |expected: f64| turn.seen.is_some_and(|seen| (seen.value as f64 / 1e6 - expected).abs() < 0.000_5);
        turn.at == at
            && rule.id.as_str() == self.rule
            && watched.text(&plan.rules.topology) == self.entity
            && state_name(turn.state) == self.state
            && self.value.is_none_or(value)
    }
}

fn of(meter: MeterIx, time: Time, value: i64) -> Decoded {
    Decoded::Readings(vec![(meter, Ok(Reading { meter, time, value, received: time }))])
}

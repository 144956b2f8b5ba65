//! `emissiond notify`: what notifiers are told, before it matters.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::alert::{Alarm, Kind, News, Phase, Rule};
use crate::cli::{FAILED, Failure, USAGE, plan, runtime};
use crate::clock;
use crate::cluster::Topology;
use crate::config::Plan;
use crate::notify::{Letter, Options, Teller, sample};
use crate::store::Notice;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Send a notifier an alarm that is marked as a test, and that it is over
    Test(Test),
    /// Print what each notifier would be sent of a rule's alarm
    Preview(Preview),
}

#[derive(Args)]
struct Test {
    /// The notifier's id
    notifier: String,
    /// The configuration of the daemon
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
}

#[derive(Args)]
struct Preview {
    /// The rule's id
    rule: String,
    /// The configuration of the daemon
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.action {
        Action::Test(test) => send(test),
        Action::Preview(wanted) => preview(wanted),
    }
}

fn send(test: &Test) -> Result<(), Failure> {
    let plan = plan(Some(&test.config))?;
    let Some(options) = plan.notifiers.iter().find(|options| options.id == test.notifier) else {
        let known: Vec<&str> = plan.notifiers.iter().map(|options| options.id.as_str()).collect();
        let message = format!("no notifier is called `{}`; there are: {}", test.notifier, known.join(", "));
        return Err(Failure::new(USAGE, message));
    };
    let teller = teller(options, &plan)?;
    let raised = Alarm {
        rule: "test".to_owned(),
        entity: "test/emissiond".to_owned(),
        response: "nothing: this is a test".to_owned(),
        ..example()
    };
    let runtime = runtime()?;
    for letter in [letter(News::Raised, raised.clone()), letter(News::Returned, over(raised))] {
        let sent = runtime.block_on(teller.send(&letter));
        sent.map_err(|failed| Failure::new(FAILED, format!("`{}` was not told: {}", options.id, failed.why)))?;
    }
    println!("`{}` took an alarm and its end, both marked as a test", options.id);
    Ok(())
}

fn preview(wanted: &Preview) -> Result<(), Failure> {
    let plan = plan(Some(&wanted.config))?;
    let Some(rule) = plan.alarms.iter().find(|rule| rule.id.as_str() == wanted.rule) else {
        let message = format!("no rule is called `{}`; see `emissiond rules list`", wanted.rule);
        return Err(Failure::new(USAGE, message));
    };
    let told = |options: &&Options| rule.notify.is_empty() || rule.notify.contains(&options.id);
    let mut notifiers = plan.notifiers.iter().filter(told).peekable();
    if notifiers.peek().is_none() {
        println!("nobody is told of `{}`: declare `[notify.<id>]`", wanted.rule);
    }
    let raised = of_rule(rule, &plan.rules.topology);
    for options in notifiers {
        let teller = teller(options, &plan)?;
        for (what, letter) in
            [("raised", letter(News::Raised, raised.clone())), ("ended", letter(News::Returned, over(raised.clone())))]
        {
            let text = teller.render(&letter).map_err(|why| Failure::new(FAILED, why))?;
            println!("---- {}, {what}\n{}", options.id, text.trim_end());
        }
    }
    Ok(())
}

fn teller(options: &Options, plan: &Plan) -> Result<Teller, Failure> {
    Ok(Teller::new(options, &plan.mqtt, clock::now)?)
}

fn letter(news: News, alarm: Alarm) -> Letter {
    let made = clock::now().to_string();
    Letter { group: Default::default(), notices: vec![Notice { number: 0, made, news, alarm }] }
}

/// An alarm of now.
fn example() -> Alarm {
    let since = clock::now().to_string();
    let id = format!("test/emissiond/{since}");
    Alarm { id, sequence: 0, state: Phase::Active, since, until: None, ..sample() }
}

fn over(alarm: Alarm) -> Alarm {
    Alarm { sequence: 1, state: Phase::Returned, until: Some(clock::now().to_string()), ..alarm }
}

fn of_rule(rule: &Rule, topology: &Topology) -> Alarm {
    let limit_mg = match &rule.kind {
        Kind::Limit(limit) => limit.per_day / 24,
        Kind::Budget(budget) => budget.total,
        Kind::Burn(burn) => burn.headroom,
        Kind::Pathway(pathway) => pathway.target.1,
        _ => 0,
    };
    let limit = limit_mg as f64 / 1e6;
    let subject = rule.watched.first().map(|watched| watched.subject(topology));
    let entity = subject.as_ref().map(|subject| subject.entity.clone()).unwrap_or_default();
    let alarm = example();
    Alarm {
        id: format!("{}/{entity}/{}", rule.id, alarm.since),
        rule: rule.id.to_string(),
        kind: rule.kind.name().to_owned(),
        entity,
        facility: subject.as_ref().and_then(|subject| subject.facility.clone()),
        cluster: subject.and_then(|subject| subject.cluster),
        priority: rule.priority,
        rule_priority: rule.priority,
        value: limit * 1.05,
        peak: limit * 1.05,
        limit,
        unit: rule.kind.unit().to_owned(),
        excess_kg: 0.0,
        detail: detail(&rule.kind, &alarm.since),
        response: rule.response.clone(),
        ..alarm
    }
}

/// What such an alarm says of itself.
fn detail(kind: &Kind, since: &str) -> Option<String> {
    match kind {
        Kind::Stale(_) => Some(format!("silent since {since}")),
        Kind::Quality(_) => Some("40 of 83 readings refused".to_owned()),
        Kind::Daemon => Some("the broker: no session".to_owned()),
        _ => None,
    }
}

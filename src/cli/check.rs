//! `emissiond check`: validate a configuration without starting anything.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use clap::{Args, ValueEnum};

use crate::cli::impact::impact;
use crate::cli::tap::show_one;
use crate::cli::{CONFIGURATION, Failure, USAGE};
use crate::clock;
use crate::config::{Plan, Problem, Severity, load};
use crate::daemon::unfit;
use crate::decode::Message;
use crate::quantity::Time;
use crate::store::{Reader, StoreError};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The configuration file; `conf.d/*.toml` beside it and EMISSIOND__* variables are read too
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
    /// How to print problems
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Also show what would be restated in the closed figures of the state directory
    #[arg(long)]
    impact: bool,
    /// Also show what a message on this topic would become; fails where no meter takes anything from it
    #[arg(long, requires = "message")]
    topic: Option<String>,
    /// The payload of that message
    #[arg(long, group = "message", requires = "topic", allow_hyphen_values = true)]
    payload: Option<String>,
    /// The payload in base64
    #[arg(long, group = "message", requires = "topic")]
    payload_base64: Option<String>,
    /// A file with the payload
    #[arg(long, group = "message", requires = "topic")]
    payload_file: Option<PathBuf>,
    /// When the message was received, RFC 3339; without it, now
    #[arg(long, requires = "topic")]
    received: Option<String>,
}

#[derive(Clone, Copy, ValueEnum, PartialEq)]
enum Format {
    Text,
    Json,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (mut plan, mut report) = load(Some(&arguments.config));
    if let Some(problem) = plan.as_ref().and_then(against_the_books) {
        plan = plan.filter(|_| problem.severity == Severity::Warning);
        report.problems.push(problem);
    }
    if let Some(problem) = plan.as_ref().and_then(unfit_secret) {
        plan = None;
        report.problems.push(problem);
    }
    if let (Some(topic), Some(plan)) = (&arguments.topic, &plan) {
        eprint!("{}", report.to_text());
        let message = message(arguments, topic, plan)?;
        return show_one(plan, &message, arguments.format == Format::Json);
    }
    if arguments.format == Format::Json {
        println!("{}", report.to_json());
        return match plan {
            Some(_) => Ok(()),
            None => Err(Failure::new(CONFIGURATION, "")),
        };
    }
    let Some(plan) = plan else {
        return Err(Failure::new(CONFIGURATION, report.to_text()));
    };
    eprint!("{}", report.to_text());
    let topology = &plan.rules.topology;
    println!(
        "{}: {}; {} network(s), {} cluster(s), {} facilities, {} meters, plan {}",
        arguments.config.display(),
        if report.problems.is_empty() {
            "ok".to_owned()
        } else {
            format!("ok, with {} warning(s)", report.problems.len())
        },
        topology.networks.len(),
        topology.clusters.len(),
        topology.facilities.len(),
        topology.meters.len(),
        &plan.hash[..12]
    );
    if topology.meters.is_empty() {
        eprintln!("no meter is declared: nothing would be measured; see emissiond.toml(5), or the tutorial");
    }
    if arguments.impact {
        print!("{}", impact(&plan)?);
    }
    Ok(())
}

fn message(arguments: &Arguments, topic: &str, plan: &Plan) -> Result<Message, Failure> {
    let usage = |what: String| Failure::new(USAGE, what);
    let payload = match (&arguments.payload, &arguments.payload_base64, &arguments.payload_file) {
        (Some(text), ..) => text.clone().into_bytes(),
        (_, Some(text), _) => {
            let engine = base64::engine::general_purpose::STANDARD;
            engine.decode(text).map_err(|e| usage(format!("`--payload-base64`: {e}")))?
        }
        (.., Some(file)) => std::fs::read(file).map_err(|e| usage(format!("{}: {e}", file.display())))?,
        _ => Vec::new(),
    };
    let received = match &arguments.received {
        None => clock::now(),
        Some(text) => Time::parse_rfc3339(text)
            .ok_or_else(|| usage(format!("`--received` is no time: `{text}`; write 2026-01-31T12:00:00Z")))?,
    };
    let oversize = payload.len() > plan.mqtt.max_packet;
    Ok(Message { received, topic: topic.to_owned(), payload: payload.into(), retain: false, dup: false, oversize })
}

/// A secret or a certificate that is there and cannot be used. What is not there, or not to be seen, is said already: it may be
/// checked elsewhere than it is used.
fn unfit_secret(plan: &Plan) -> Option<Problem> {
    let unfit = unfit(plan).into_iter().find(|error| error.kind() == ErrorKind::InvalidInput)?;
    let (path, place, help) = (String::new(), None, None);
    Some(Problem { code: "C016", severity: Severity::Error, path, place, message: unfit.to_string(), help })
}

/// What the books that are there say to the plan. Other trouble with these is not the configuration's.
fn against_the_books(plan: &Plan) -> Option<Problem> {
    let problem = |code, severity, message| {
        let (path, place, help) = (String::new(), None, None);
        Some(Problem { code, severity, path, place, message, help })
    };
    match Reader::beside(&plan.daemon.state_dir, Arc::clone(&plan.rules.topology)) {
        Err(error @ StoreError::Redeclared { .. }) => problem("C012", Severity::Error, error.to_string()),
        Ok(reader) => {
            let ids = reader.undeclared().ok().filter(|ids| !ids.is_empty())?.join(", ");
            let cure = "what a late reading restates of their facility is restated without them; declare them, with `valid_to`";
            problem(
                "C013",
                Severity::Warning,
                format!("meters with recent readings are not declared any more: {ids}; {cure}"),
            )
        }
        Err(_) => None,
    }
}

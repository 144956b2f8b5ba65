//! `emissiond alarms`: what is over, what was, and who has seen it. They are in a file of their own, which is read and written
//! beside a running daemon.

use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::alert::{Alarm, Phase};
use crate::cli::run::failure;
use crate::cli::{FAILED, Failure, USAGE, address, state_dir};
use crate::clock;
use crate::http::{Acknowledgement, AlarmView, Shelving, alarms_json, seen_before, shelve};
use crate::notify::shown;
use crate::store::{AlarmStore, AlarmsOf, Noted, StoreError};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show the alarms that go on
    List(Of),
    /// Show all alarms, the latest first
    History(Of),
    /// Show one alarm
    Show(One),
    /// Say that you have seen an alarm
    Ack(Ack),
    /// Put the alarms of a rule for an entity aside for a while
    Shelve(Shelve),
}

#[derive(Args)]
struct Of {
    /// The configuration of the daemon
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Args)]
struct One {
    /// The configuration of the daemon
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
    /// The alarm's id, as `list --json` shows it
    id: String,
}

#[derive(Args)]
struct Ack {
    #[command(flatten)]
    one: One,
    /// Who has seen it
    #[arg(long)]
    by: String,
    /// What there is to say
    #[arg(long, default_value = "")]
    note: String,
}

#[derive(Args)]
struct Shelve {
    #[command(flatten)]
    one: One,
    /// Who does
    #[arg(long)]
    by: String,
    /// Why
    #[arg(long)]
    reason: String,
    /// For how long, up to 12h; 0s ends it
    #[arg(long = "for", default_value = "1h")]
    lasts: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.action {
        Action::List(of) => {
            let store = open(&of.config)?;
            note_old(&of.config)?;
            print(of, store.active().map_err(|e| failure(e.into()))?);
        }
        Action::History(of) => {
            print(of, open(&of.config)?.latest(&AlarmsOf::default(), of.limit).map_err(|e| failure(e.into()))?)
        }
        Action::Show(one) => {
            let alarm = open(&one.config)?.alarm(&one.id).map_err(|e| failure(e.into()))?;
            let alarm = AlarmView::of(alarm.ok_or_else(|| unknown(&one.id))?);
            println!("{}", serde_json::to_string_pretty(&alarm).map_err(|e| Failure::new(FAILED, e))?);
        }
        Action::Ack(ack) => {
            let acknowledgement = Acknowledgement { by: ack.by.clone(), note: ack.note.clone() };
            let acknowledged = acknowledgement.checked(clock::now()).map_err(|message| Failure::new(USAGE, message))?;
            noted(&ack.one, open(&ack.one.config)?.acknowledge(&ack.one.id, &acknowledged))?;
            println!("acknowledged by {}", acknowledged.by);
        }
        Action::Shelve(Shelve { one, by, reason, lasts }) => {
            let shelving = Shelving { by: by.clone(), reason: reason.clone(), lasts: lasts.clone() };
            let shelf = shelving.checked(clock::now()).map_err(|message| Failure::new(USAGE, message))?;
            noted(one, shelve(&open(&one.config)?, &one.id, &shelf))?;
            println!(
                "nobody is told of such alarms of its rule and entity until {}; they stay in the list",
                shelf.until
            );
        }
    }
    Ok(())
}

fn open(config: &PathBuf) -> Result<AlarmStore, Failure> {
    let state = state_dir(Some(config))?;
    if !state.is_dir() {
        let message = format!("there is no state directory at {}; see `daemon.state_dir`", state.display());
        return Err(Failure::new(FAILED, message));
    }
    AlarmStore::open(&state).map_err(|e| failure(e.into()))
}

/// Whoever reads a list must know how old it is.
fn note_old(config: &PathBuf) -> Result<(), Failure> {
    let address = address(Some(config))?;
    if TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_err() {
        eprintln!("no emissiond answers at {address}: this is how the alarms stood when it ended");
    }
    Ok(())
}

fn noted(one: &One, result: Result<Noted, StoreError>) -> Result<(), Failure> {
    match result.map_err(|e| failure(e.into()))? {
        Noted::Done => Ok(()),
        Noted::Before(first) => Err(Failure::new(FAILED, seen_before(&first))),
        Noted::Unknown => Err(unknown(&one.id)),
    }
}

fn unknown(id: &str) -> Failure {
    Failure::new(FAILED, format!("no alarm has the id `{id}`; see `emissiond alarms history --json`"))
}

fn print(of: &Of, mut alarms: Vec<Alarm>) {
    alarms.truncate(of.limit);
    if of.json {
        return print!("{}", alarms_json(alarms));
    }
    if alarms.is_empty() {
        eprintln!("no alarms");
    }
    for alarm in &alarms {
        let Alarm { since, entity, rule, unit, .. } = alarm;
        // Of what is over, the worst of it.
        let goes_on = alarm.state == Phase::Active;
        let (level, value) = if goes_on { (alarm.level, alarm.value) } else { (alarm.highest, alarm.peak) };
        let (level, priority) = (level.name(), alarm.priority.name());
        let state = match (alarm.state, &alarm.acknowledged) {
            (Phase::Withdrawn, _) => "withdrawn".to_owned(),
            (Phase::Returned, _) => format!("until {}", alarm.until.as_deref().unwrap_or("")),
            (Phase::Active, Some(seen)) => format!("acknowledged by {}", seen.by),
            (Phase::Active, None) => "not acknowledged".to_owned(),
        };
        let held = alarm.held.as_ref().map(|held| format!("; not told: {}", held.text())).unwrap_or_default();
        let seen = match &alarm.detail {
            Some(detail) => detail.clone(),
            None => format!("{} against {}", shown(value, unit), shown(alarm.limit, unit)),
        };
        let digest = if alarm.digest { "; told in a digest" } else { "" };
        println!("{since} {level:<9} {priority:<6} {entity} {rule}: {seen}; {state}{held}{digest}; id {}", alarm.id);
    }
}

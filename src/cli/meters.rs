//! `emissiond meters`: lists of meters in and out.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use crate::cli::{CONFIGURATION, FAILED, Failure, USAGE, plan};
use crate::config::{List, Report, Severity, load_with, to_csv};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Take a list (CSV or XLSX) for the first file of `[registry] files`: all of it, or nothing
    Import(Import),
    /// Write the meters of the lists as one CSV; without a list, those of the configuration
    Export(Of),
    /// Show all meters
    List(Of),
}

#[derive(Args)]
struct Import {
    /// The list
    list: PathBuf,
    /// The configuration
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args)]
struct Of {
    /// The configuration
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
}

type Meters = BTreeMap<String, Map<String, Value>>;

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.action {
        Action::Import(import) => take(import),
        Action::Export(of) => export(of),
        Action::List(of) => list(of),
    }
}

fn take(arguments: &Import) -> Result<(), Failure> {
    let loaded = load_with(Some(&arguments.config), Some(&arguments.list));
    let Some(fresh) = loaded.lists.first() else {
        let text = loaded.report.to_text();
        let help = "there is no list to import into: name a file with `[registry] files = [\"meters.csv\"]`";
        return Err(Failure::new(CONFIGURATION, format!("{text}{help}")));
    };
    // What was there may be faulty, or not there at all.
    let before = load_with(Some(&arguments.config), None).lists;
    let before = before.into_iter().find(|list| list.path == fresh.path).map(|list| list.meters).unwrap_or_default();
    let rejected = loaded.report.has_errors();
    print!("{}", changes(&before, &fresh.meters, &loaded.report));
    if rejected {
        // What is in a cell is told above.
        let mut elsewhere = loaded.report;
        let is_elsewhere: Vec<bool> = elsewhere.problems.iter().map(|p| elsewhere.cell(p).is_none()).collect();
        let mut is_elsewhere = is_elsewhere.into_iter();
        elsewhere.problems.retain(|_| is_elsewhere.next() == Some(true));
        let message = format!("{}nothing is applied", elsewhere.to_text());
        return Err(Failure::new(CONFIGURATION, message));
    }
    eprint!("{}", loaded.report.to_text());
    if arguments.dry_run {
        return Ok(());
    }
    if fresh.path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("csv")) {
        let message = format!(
            "{} is no CSV, and is not written over; name a CSV first in `[registry] files`",
            fresh.path.display()
        );
        return Err(Failure::new(USAGE, message));
    }
    write(fresh)?;
    println!("{} meters in {}; a running daemon takes them with SIGHUP", fresh.meters.len(), fresh.path.display());
    Ok(())
}

/// In the place of the old file at once, or not at all.
fn write(list: &List) -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::new(FAILED, format!("{}: {e}", list.path.display()));
    let beside = list.path.with_extension("csv.new");
    let mut file = std::fs::File::create(&beside).map_err(failed)?;
    file.write_all(to_csv(&list.meters).as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&beside, &list.path).map_err(failed)
}

/// New, changed, removed and rejected, a line each.
fn changes(before: &Meters, after: &Meters, report: &Report) -> String {
    let mut text = String::new();
    let mut counts = [0usize; 4];
    let errors = || report.problems.iter().filter(|problem| problem.severity == Severity::Error);
    let faulty: HashSet<&str> = errors().filter_map(|problem| problem.path.split('.').nth(1)).collect();
    for (id, keys) in after.iter().filter(|(id, _)| !faulty.contains(id.as_str())) {
        match before.get(id) {
            None => {
                counts[0] += 1;
                let _ = writeln!(text, "new       {id}");
            }
            Some(old) if old != keys => {
                counts[1] += 1;
                let _ = writeln!(text, "changed   {id}: {}", difference(old, keys));
            }
            Some(_) => {}
        }
    }
    for id in before.keys().filter(|id| !after.contains_key(*id)) {
        counts[2] += 1;
        let _ = writeln!(text, "removed   {id}");
    }
    for problem in errors() {
        if let Some(cell) = report.cell(problem) {
            counts[3] += 1;
            let help = problem.help.as_ref().map_or_else(String::new, |help| format!("; {help}"));
            let _ = writeln!(text, "rejected  {cell}: {}{help}", problem.message);
        }
    }
    let [new, changed, removed, rejected] = counts;
    let _ = writeln!(text, "{new} new, {changed} changed, {removed} removed, {rejected} rejected");
    text
}

fn difference(old: &Map<String, Value>, new: &Map<String, Value>) -> String {
    let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let shown = |keys: &Map<String, Value>, key: &str| keys.get(key).map_or_else(|| "-".to_owned(), Value::to_string);
    let changed = keys.into_iter().filter(|key| old.get(*key) != new.get(*key));
    changed.map(|key| format!("{key} {} -> {}", shown(old, key), shown(new, key))).collect::<Vec<_>>().join(", ")
}

fn export(arguments: &Of) -> Result<(), Failure> {
    let loaded = load_with(Some(&arguments.config), None);
    if loaded.plan.is_none() {
        return Err(Failure::new(CONFIGURATION, loaded.report.to_text()));
    }
    let mut meters: Meters = loaded.lists.into_iter().flat_map(|list| list.meters).collect();
    if meters.is_empty() {
        meters = loaded.written;
    }
    Ok(std::io::stdout().lock().write_all(to_csv(&meters).as_bytes())?)
}

fn list(arguments: &Of) -> Result<(), Failure> {
    let plan = plan(Some(&arguments.config))?;
    let topology = &plan.rules.topology;
    let topics: BTreeMap<_, _> =
        plan.mappings.iter().map(|mapping| (mapping.meter.0, mapping.topic.as_str())).collect();
    let mut text = format!("{:<24} {:<20} {:<8} {:<24} {}\n", "meter", "facility", "unit", "category", "topic");
    for (ix, meter) in (0u32..).zip(&topology.meters) {
        let facility = &topology.facility(meter.facility).id;
        let topic = topics.get(&ix).copied().unwrap_or("(a sum of meters)");
        let (id, category) = (meter.id.as_str(), meter.category.name());
        let _ = writeln!(text, "{id:<24} {:<20} {:<8} {category:<24} {topic}", facility.as_str(), meter.unit);
    }
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

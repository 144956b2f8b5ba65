//! `emissiond report`: a period of a cluster as one page of HTML that needs nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::Value;

use crate::cli::export::entries;
use crate::cli::run::failure;
use crate::cli::{FAILED, Failure, USAGE, plan};
use crate::clock;
use crate::cluster::{ClusterIx, Entity, FacilityIx, Level, MeterIx};
use crate::config::Plan;
use crate::emission::{Column, Flag};
use crate::factor::Use;
use crate::format::{Change, Factor, Figures, Instrument, Report, report_html};
use crate::http::{EntriesQuery, EntryView};
use crate::pipeline::{Amounts, Made, Source, add_sources};
use crate::quantity::{Quarter, Time, Window, Zone};
use crate::store::{Reader, StoreError};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The configuration of the daemon
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
    /// The cluster
    #[arg(long)]
    cluster: String,
    /// A local year, month or day: 2026, 2026-11, 2026-11-26
    #[arg(long)]
    period: String,
    /// Write to this file instead of standard output
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// The time that is reported.
struct Span {
    window: Window,
    from: Time,
    to: Time,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let plan = plan(Some(&arguments.config))?;
    let found = plan.rules.topology.find(Level::Cluster, &arguments.cluster);
    let Some(Entity::Cluster(cluster)) = found else {
        return Err(Failure::new(USAGE, format!("no cluster has the id `{}`", arguments.cluster)));
    };
    let zone = plan.rules.topology.zone(Entity::Cluster(cluster)).clone();
    let span = Span::parse(&arguments.period, &zone).ok_or_else(|| {
        let message =
            format!("`--period` is `{}`; write a year, month or day: 2026, 2026-11, 2026-11-26", arguments.period);
        Failure::new(USAGE, message)
    })?;
    let html = report_html(&report(arguments, &plan, cluster, (&zone, &span))?);
    match &arguments.output {
        Some(path) => std::fs::write(path, html)
            .map_err(|error| Failure::new(FAILED, format!("cannot write {}: {error}", path.display()))),
        None => Ok(std::io::stdout().lock().write_all(html.as_bytes())?),
    }
}

impl Span {
    fn parse(text: &str, zone: &Zone) -> Option<Span> {
        let (first, window) = match text.len() {
            4 => (format!("{text}-01-01"), Window::Year),
            7 => (format!("{text}-01"), Window::Month),
            _ => (text.to_owned(), Window::Day),
        };
        let (from, _) = zone.day_of_text(&first)?;
        Some(Span { window, from, to: zone.end(window, from) })
    }

    /// What its course is drawn by, and how one part of it is called.
    fn parts(&self) -> (Window, &'static str) {
        match self.window {
            Window::Year => (Window::Month, "%b"),
            Window::Month => (Window::Day, "%d"),
            _ => (Window::Hour, "%H:%M"),
        }
    }
}

fn report(
    arguments: &Arguments,
    plan: &Plan,
    cluster: ClusterIx,
    (zone, span): (&Zone, &Span),
) -> Result<Report, Failure> {
    let topology = &plan.rules.topology;
    let declared = topology.cluster(cluster);
    let of = |level: Level, entity: Option<&str>, window: Window| read(plan, (level, entity, window), span);
    let id = declared.id.as_str();
    let whole = of(Level::Cluster, Some(id), span.window)?.into_iter().next();
    let nothing = || Failure::new(FAILED, format!("nothing is booked of `{id}` in {}", arguments.period));
    let whole = whole.ok_or_else(nothing)?;
    let mine: BTreeSet<&str> = declared.facilities.iter().map(|ix| topology.facility(*ix).id.as_str()).collect();
    let facilities = of(Level::Facility, None, span.window)?;
    let (part, form) = span.parts();
    let course = of(Level::Cluster, Some(id), part)?;
    let (sources, closed_to) = sources(plan, cluster, span).map_err(|e| failure(e.into()))?;
    let course = whole_course(course, (part, form), (zone, span));
    Ok(Report {
        name: declared.name.clone().unwrap_or_else(|| id.to_owned()),
        id: id.to_owned(),
        period: arguments.period.clone(),
        from: zone.text("%Y-%m-%d %H:%M", span.from),
        to: zone.text("%Y-%m-%d %H:%M", span.to),
        zone: zone.name().to_owned(),
        made: clock::now().to_string(),
        plan: plan.hash.clone(),
        gwp: plan.gwp.get(cluster.0 as usize).map_or("", |set| set.name()).to_owned(),
        total: figures(whole),
        facilities: facilities.into_iter().filter(|entry| mine.contains(entry.entity.as_str())).map(figures).collect(),
        course,
        instruments: instruments(plan, &sources),
        instruments_to: zone.text("%Y-%m-%d %H:%M", closed_to.min(span.to)),
        factors: factors(plan, &sources),
        trail: trail(plan, cluster, span).map_err(|e| failure(e.into()))?,
        boundary: boundary(plan, cluster),
    })
}

/// Each part of the time, with nothing where nothing was booked.
fn whole_course(entries: Vec<EntryView>, (part, form): (Window, &str), (zone, span): (&Zone, &Span)) -> Vec<Figures> {
    let time = |entry: &EntryView| Time::parse_rfc3339(&entry.start).unwrap_or(Time::MIN);
    let mut known: BTreeMap<Time, Figures> = entries.into_iter().map(|entry| (time(&entry), figures(entry))).collect();
    let mut course = Vec::new();
    let mut at = span.from;
    while at < span.to {
        course.push(Figures { name: zone.text(form, at), ..known.remove(&at).unwrap_or_default() });
        at = zone.end(part, at);
    }
    course
}

/// The entries of a level whose windows lie in the time.
fn read(
    plan: &Plan,
    (level, entity, window): (Level, Option<&str>, Window),
    span: &Span,
) -> Result<Vec<EntryView>, Failure> {
    let query = EntriesQuery {
        level: Some(level.name().to_owned()),
        entity: entity.map(str::to_owned),
        window: Some(window.name().to_owned()),
        from: Some(span.from.to_string()),
        to: Some(span.to.to_string()),
        ..EntriesQuery::default()
    };
    let (text, damage) = entries(plan, &query)?;
    if !damage.is_empty() {
        eprintln!("the store was damaged; what is missing:\n  {}", damage.join("\n  "));
    }
    serde_json::from_str(&text).map_err(|error| Failure::new(FAILED, error))
}

fn figures(entry: EntryView) -> Figures {
    let columns = Column::ALL.map(|column| (column.name(), entry.mg(column)));
    Figures {
        name: entry.entity,
        scope1_mg: entry.scope1_mg,
        scope2_location_mg: entry.scope2_location_mg,
        scope2_market_mg: entry.scope2_market_mg,
        columns: columns.to_vec(),
        categories: entry.by_category.into_iter().collect(),
        coverage: entry.coverage,
        uncertainty_pct: entry.uncertainty_pct,
        flags: entry.flags.into_iter().map(explained).collect(),
        revision: entry.revision,
    }
}

/// A flag, with what it says.
fn explained(flag: String) -> (String, &'static str) {
    let about = Flag::ALL.into_iter().find(|known| known.name() == flag).map_or("", Flag::about);
    (flag, about)
}

type Sources = BTreeMap<Source, Made>;

/// What was booked by which factor in the closed part of the time, and up to when that is.
fn sources(plan: &Plan, cluster: ClusterIx, span: &Span) -> Result<(Sources, Time), StoreError> {
    let (rules, topology) = (&plan.rules, &plan.rules.topology);
    let reader = Reader::beside(&plan.daemon.state_dir, Arc::clone(topology))?;
    let closed_to = reader.open_from()?.start();
    let facilities = &topology.cluster(cluster).facilities;
    let meters: Vec<MeterIx> = facilities.iter().flat_map(|ix| topology.facility(*ix).meters.clone()).collect();
    let inputs: BTreeSet<MeterIx> = facilities.iter().flat_map(|ix| topology.facility(*ix).inputs.clone()).collect();
    let mut sources = Sources::new();
    let end = span.to.min(closed_to).quarter();
    let mut day = span.from.quarter();
    // A day at a time: a year of all meters is more than memory should hold.
    while day < end {
        let next = Quarter(day.0 + 96).min(end);
        let amounts = Amounts::of(inputs.iter().copied(), |ix| reader.activities(ix, (day, next)))?;
        for quarter in (day.0..next.0).map(Quarter) {
            add_sources(&mut sources, rules, (&meters, quarter), &amounts);
        }
        day = next;
    }
    Ok((sources, closed_to))
}

fn instruments(plan: &Plan, sources: &Sources) -> Vec<Instrument> {
    let mut lines: BTreeMap<(FacilityIx, bool, Option<usize>, String), Instrument> = BTreeMap::new();
    for (source, made) in sources {
        if !matches!(source.column, Column::Scope2Location | Column::Scope2Market) {
            continue;
        }
        let (is_market, row) = (source.column == Column::Scope2Market, plan.catalogue.row(&source.row));
        let set = row.map_or_else(|| source.row.to_string(), |row| row.set.clone());
        let contract = source.contract.and_then(|at| plan.rules.accounts.contracts.get(at));
        let of_no_contract = row.is_some_and(|row| matches!(row.usage, Use::Residual | Use::Grid));
        let key = (source.facility, is_market, source.contract, set.clone());
        let line = lines.entry(key).or_insert_with(|| Instrument {
            facility: plan.rules.topology.facility(source.facility).id.to_string(),
            is_market,
            row: set,
            contract: contract.map(|contract| contract.id.to_string()),
            is_uncovered: contract.is_none() && of_no_contract,
            energy_mj: 0,
            mg: 0,
        });
        // The gases of a set are factors of the same energy.
        line.energy_mj = line.energy_mj.max(made.energy_mj);
        line.mg += made.mg;
    }
    lines.into_values().collect()
}

/// Each once; what is no row has no source.
fn factors(plan: &Plan, sources: &Sources) -> Vec<Factor> {
    let ids: BTreeSet<&str> = sources.keys().map(|source| &*source.row).collect();
    let factor = |id: &str| match plan.catalogue.row(id) {
        Some(row) => Factor {
            id: row.id.clone(),
            name: row.name.clone(),
            value: row.value.clone(),
            unit: row.unit.clone(),
            valid: [&row.valid_from, &row.valid_to].map(|day| day.as_deref().unwrap_or("")).join(" to "),
            source: row.source.clone(),
        },
        None => Factor {
            id: id.to_owned(),
            name: "worked out: no row of the catalogue".to_owned(),
            value: String::new(),
            unit: String::new(),
            valid: String::new(),
            source: String::new(),
        },
    };
    ids.into_iter().map(factor).collect()
}

/// What the trail says about the cluster in a time that meets that of the report.
fn trail(plan: &Plan, cluster: ClusterIx, span: &Span) -> Result<Vec<Change>, StoreError> {
    let topology = &plan.rules.topology;
    let reader = Reader::beside(&plan.daemon.state_dir, Arc::clone(topology))?;
    let mine: BTreeSet<&str> =
        topology.cluster(cluster).facilities.iter().map(|ix| topology.facility(*ix).id.as_str()).collect();
    let lines = reader.audit()?.into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    Ok(lines.filter(|line| meets(line, &mine, span)).map(|line| change(&line, &mine)).collect())
}

/// What does not say where or when is shown.
fn meets(line: &Value, mine: &BTreeSet<&str>, span: &Span) -> bool {
    let time = |key: &str| {
        let text = line["detail"][key].as_str()?;
        Time::parse_rfc3339(text).or_else(|| Some(Zone::UTC.day_of_text(text)?.0))
    };
    let facilities = line["facilities"].as_object().filter(|facilities| !facilities.is_empty());
    facilities.is_none_or(|facilities| facilities.keys().any(|id| mine.contains(id.as_str())))
        && time("from").is_none_or(|from| from < span.to)
        && time("to").is_none_or(|to| to > span.from)
}

fn change(line: &Value, mine: &BTreeSet<&str>) -> Change {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let said = |key: &str| line[key].as_str().unwrap_or("").to_owned();
    let detail = line["detail"].as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value)));
    let mg = |value: &Value| value.as_str().and_then(|text| text.parse::<i128>().ok()).unwrap_or(0);
    let facilities = line["facilities"].as_object().into_iter().flatten().filter(|(id, _)| mine.contains(id.as_str()));
    let figures = facilities.flat_map(|(id, figures)| {
        let pairs = figures.as_object().into_iter().flatten();
        pairs.map(move |(name, pair)| {
            (format!("{id} {}", name.trim_end_matches("_mg")), mg(&pair["before"]), mg(&pair["after"]))
        })
    });
    // A backfill books what was not there, and notes no figure of before.
    let is_noted = line["facilities"].as_object().is_some_and(|facilities| !facilities.is_empty());
    Change {
        otherwise: if is_noted { "no figure of this cluster is another" } else { "not noted: see what it was of" },
        at: said("at"),
        what: said("what"),
        by: said("by"),
        reason: said("reason"),
        detail: detail.collect(),
        figures: figures.filter(|(_, before, after)| before != after).collect(),
    }
}

fn boundary(plan: &Plan, cluster: ClusterIx) -> Vec<(String, Vec<String>)> {
    let topology = &plan.rules.topology;
    let meter = |ix: &MeterIx| {
        let meter = topology.meter(*ix);
        format!("{} ({})", meter.id, meter.category.name())
    };
    let facility = |ix: &FacilityIx| {
        let facility = topology.facility(*ix);
        let name = facility.name.as_deref().unwrap_or(facility.id.as_str()).to_owned();
        (name, facility.meters.iter().map(meter).collect())
    };
    topology.cluster(cluster).facilities.iter().map(facility).collect()
}

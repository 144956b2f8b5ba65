//! A meter: its state, its course, its readings with what became of them, its factors, and why it is booked as it is.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use crate::cluster::{Entity, Kind, Level, Meter, MeterIx};
use crate::http::factors::{FactorLine, lines, vintage};
use crate::http::live::Live;
use crate::http::page::facility::{hours as hours_of, table as hours_table};
use crate::http::page::number::Behind;
use crate::http::page::{page, parts};
use crate::http::problem::{Asked, Problem};
use crate::http::readings::{ReadingLine, Told, latest};
use crate::http::server::App;
use crate::http::{MeterRow, Question};
use crate::quantity::{Span, Time, Zone};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    /// A time in the quarter-hour to explain, local or RFC 3339.
    at: Option<String>,
}

pub(crate) async fn show(
    State(live): State<Live>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Asked(query): Asked<Query>,
) -> Result<Response, Problem> {
    let missing = || Problem::Missing(format!("there is no meter `{id}`; the overview is at /"));
    let Some(Entity::Meter(ix)) = app.rules.topology.find(Level::Meter, &id) else {
        return Err(missing());
    };
    let board = live.board(&app).await?;
    let rows = app.question(Question::Meters).await?;
    let row = rows.get(ix.0 as usize).ok_or_else(missing)?;
    let (meter, zone) = (app.rules.topology.meter(ix), app.rules.topology.zone(Entity::Meter(ix)).clone());
    let now = Time::parse_rfc3339(&board.at).unwrap_or(Time::MAX);
    let hours = hours_of(&app, Entity::Meter(ix), now).await?;
    let readings = latest(Arc::clone(&app), ix, (now.minus(Span::days(1)), now.plus(Span::minutes(1)))).await?;
    let set_aside = set_aside(&app, ix, &zone).await?;
    // What a reading is booked for ends with it.
    let booked = readings.iter().rev().find_map(|told| told.reading.usage).map(|usage| usage.to.minus(Span(1)));
    let latest = booked.unwrap_or(now).quarter().start();
    let watermark = Time::parse_rfc3339(&board.watermark).unwrap_or(Time::MIN);
    let explained = explained(&app, ix, (query.at.as_deref(), watermark), &zone).await?;
    let behind = Behind { zone: zone.clone(), factors: vintage(&app, &[ix], now), is_network: false };
    let facility = app.rules.topology.facility(meter.facility);
    let body = html! {
        h1 {
            (meter.name.as_deref().unwrap_or(&id))
            small { " meter " (id) " of " a href=(format!("/facility/{}", facility.id)) { (facility.name.as_deref().unwrap_or(facility.id.as_str())) } }
        }
        div data-refresh="facts" { (facts(meter, row, &zone)) }
        section .charts hidden data-charts="meter" data-entity=(id) data-level="meter" data-zone=(zone.name()) data-kind=(kind(meter)) {
            @if !matches!(meter.kind, Kind::Gauge { .. }) { (parts::trend()) }
            @if meter.kind != Kind::Derived { (shown()) }
        }
        @if meter.kind == Kind::Derived { (terms(&app, ix)) }
        @else {
            section aria-label="Latest readings" data-refresh="readings" {
                h2 { "Latest readings" small { " times in " (zone.name()) } }
                div .scroll tabindex="0" role="region" aria-label="Latest readings" { (readings_table(meter, &readings, &zone)) }
                p { a href=(format!("/api/v1/readings?meter={id}&format=csv")) { "The readings of the last day as CSV" } }
            }
        }
        section aria-label="The last day by the hour" data-refresh="hours" {
            h2 { "The last day by the hour" }
            div .scroll tabindex="0" role="region" aria-label="The last day by the hour" { (hours_table(&hours, &behind)) }
        }
        section aria-label="Readings that wait for a decision" data-refresh="aside" { h2 { "Set aside" } (set_aside) }
        section aria-label="Factors in force" {
            h2 { "Factors in force" }
            div .scroll tabindex="0" role="region" aria-label="Factors in force" { (factors_table(&lines(&app, &[ix], now))) }
        }
        section aria-label="Why it is booked as it is" {
            h2 { "Why it is booked as it is" }
            form method="get" {
                label for="at-input" { "A quarter-hour, in " (zone.name()) " " }
                input #at-input name="at" type="text" placeholder="2026-11-26 14:00" value=(query.at.as_deref().unwrap_or(""));
                button type="submit" { "Explain" }
                " " a href=(format!("?at={latest}")) { "the latest" }
            }
            (explained)
        }
    };
    Ok(page(&id, &board, &zone, &body))
}

/// Drawn by `charts.js`; without it the table of readings says the same.
fn shown() -> Markup {
    html! {
        h2 { "What it shows" }
        div .buttons role="group" aria-label="Time of the readings" {
            button type="button" data-hours="2" aria-pressed="true" { "2 hours" }
            button type="button" data-hours="24" aria-pressed="false" { "24 hours" }
        }
        div #shown role="img" aria-label="what the meter shows; what is set aside and where a register begins anew are marked" {}
        div #used role="img" aria-label="what was used, an hour" {}
    }
}

/// What a meter without readings is the sum of.
fn terms(app: &App, ix: MeterIx) -> Markup {
    let topology = &app.rules.topology;
    html! {
        section aria-label="Sum of" {
            h2 { "Sum of" }
            ul {
                @for (of, times) in app.rules.accounts.meter(ix).terms() {
                    @let meter = topology.meter(*of);
                    li { (times) " \u{d7} " a href=(format!("/meter/{}", meter.id)) { (meter.name.as_deref().unwrap_or(meter.id.as_str())) } }
                }
            }
        }
    }
}

fn kind(meter: &Meter) -> &'static str {
    match meter.kind {
        Kind::Register { .. } => "register",
        Kind::Interval { .. } => "interval",
        Kind::Rate { .. } => "rate",
        Kind::Event => "event",
        Kind::Gauge { .. } => "gauge",
        Kind::Derived => "sum of meters",
    }
}

fn facts(meter: &Meter, row: &MeterRow, zone: &Zone) -> Markup {
    let state = if row.gone.is_some() {
        "\u{25b3} its gateway is gone"
    } else if row.stale {
        "\u{25b3} stale"
    } else {
        "well"
    };
    html! {
        dl .facts {
            dt { "State" } dd { (state) }
            @if meter.kind != Kind::Derived {
                dt { "Last value" }
                dd {
                @if let Some((time, base)) = row.view.latest {
                    data .n value=(base) { (meter.conversion.text(base)) } " " (row.unit) " at " (zone.text("%Y-%m-%d %H:%M:%S", time)) " " (zone.name())
                } @else { "never read" }
                }
            }
            dt { "Kind" } dd { (kind(meter)) ", in " (row.unit) }
            dt { "Booked as" } dd { (row.category) }
            @if meter.kind != Kind::Derived {
                dt { "Due every" } dd { (row.expected_every) }
                dt { "Set aside, in the open past" } dd { (row.view.quarantined) }
            }
            @if let Some(gateway) = &meter.gateway { dt { "Gateway" } dd { (gateway) } }
        }
    }
}

/// Rows of the table of readings.
const READINGS: usize = 20;

/// The latest, and before them all that are not as usual.
fn readings_table(meter: &Meter, readings: &[Told], zone: &Zone) -> Markup {
    let (before, latest) = readings.split_at(readings.len().saturating_sub(READINGS));
    let unusual = before.iter().rev().filter(|told| !told.reading.is_usual()).take(READINGS);
    html! {
        table {
            thead { tr {
                th scope="col" { "Time" } th .n scope="col" { "Shown, " (meter.unit) } th .n scope="col" { "Used" }
                th scope="col" { "State" } th scope="col" { "Came" }
            } }
            tbody {
                @for told in latest.iter().rev().chain(unusual) {
                    @let line = ReadingLine::of(meter, told);
                    tr {
                        th scope="row" { (zone.text("%Y-%m-%d %H:%M:%S", told.reading.time)) }
                        td .n { (line.value) }
                        td .n { (line.used.as_deref().unwrap_or("-")) }
                        td {
                            @if !told.reading.is_usual() { "\u{25b3} " }
                            (line.state) @if let Some(step) = line.step { ", " (step) } @if told.is_adjusted { ", amount set by an operator" }
                        }
                        td { (zone.text("%H:%M:%S", told.reading.received)) }
                    }
                }
            }
        }
        @if readings.is_empty() { p { "None in the last day." } }
    }
}

/// What waits for a decision, of any age.
async fn set_aside(app: &Arc<App>, ix: MeterIx, zone: &Zone) -> Result<Markup, Problem> {
    let open = app.question(Question::SetAside).await?;
    let meter = app.rules.topology.meter(ix);
    let mine: Vec<(Time, i64)> =
        open.into_iter().filter(|(of, ..)| *of == ix).map(|(_, time, base)| (time, base)).collect();
    Ok(html! {
        @if mine.is_empty() { p { "No reading of it waits for a decision." } }
        @else {
            ul {
                @for (time, base) in &mine {
                    li { (zone.text("%Y-%m-%d %H:%M:%S", *time)) ": " (meter.conversion.text(*base)) " " (meter.unit) }
                }
            }
            p { "Decide with " code { "emissiond quarantine release" } " or " code { "reject" } "." }
        }
    })
}

fn factors_table(factors: &[FactorLine]) -> Markup {
    html! {
        @if factors.is_empty() { p { "None of the catalogue: it is worked out in another way, which an explanation shows." } }
        @else {
            table {
                thead { tr {
                    th scope="col" { "Factor" } th scope="col" { "Gas" } th .n scope="col" { "Value" } th scope="col" { "Valid" }
                    th scope="col" { "Source" }
                } }
                tbody {
                    @for factor in factors {
                        tr {
                            th scope="row" { (factor.name) " " small { (factor.id) } }
                            td { (factor.gas) }
                            td .n { (factor.value) " " (factor.unit) @if let Some(basis) = factor.basis { " " (basis) } }
                            td { (factor.valid()) }
                            td .t { (factor.source) }
                        }
                    }
                }
            }
        }
    }
}

async fn explained(
    app: &Arc<App>,
    ix: MeterIx,
    (at, watermark): (Option<&str>, Time),
    zone: &Zone,
) -> Result<Markup, Problem> {
    let Some(text) = at.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(html! {});
    };
    let local = |form| zone.parse_local(form, text);
    let time = Time::parse_rfc3339(text).or_else(|| local("%Y-%m-%d %H:%M")).or_else(|| local("%Y-%m-%dT%H:%M"));
    let Some(time) = time else {
        return Ok(html! { p role="alert" { "That is no time; write it like 2026-11-26 14:00." } });
    };
    let quarter = time.quarter();
    let found = app.explained((ix, quarter), false).await?;
    let from = zone.text("%Y-%m-%d %H:%M %:z", quarter.start());
    Ok(html! {
        p {
            "The quarter-hour from " (from) " (" (zone.name()) ")"
            @if quarter.start() >= watermark { ", which is not closed: provisional." } @else { "." }
            " Times below are in UTC."
        }
        pre tabindex="0" { (found.as_deref().unwrap_or("Nothing is booked.")) }
    })
}

//! A meter: its state, its course, what is set aside, and why it is booked as it is.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use crate::cluster::{Entity, Kind, Level, Meter, MeterIx};
use crate::http::live::Live;
use crate::http::page::facility::{hours as hours_of, table as hours_table};
use crate::http::page::{number, page, parts};
use crate::http::problem::{Asked, Problem};
use crate::http::server::App;
use crate::http::{MeterRow, Question};
use crate::quantity::{Quarter, Time, Zone};

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
    let set_aside = set_aside(&app, ix, &zone).await?;
    let explained = explained(&app, ix, query.at.as_deref(), &zone).await?;
    let facility = app.rules.topology.facility(meter.facility);
    let body = html! {
        h1 {
            (meter.name.as_deref().unwrap_or(&id))
            small { " meter " (id) " of " a href=(format!("/facility/{}", facility.id)) { (facility.name.as_deref().unwrap_or(facility.id.as_str())) } }
        }
        div data-refresh="facts" { (facts(meter, row, &zone)) }
        section .charts hidden data-charts="meter" data-entity=(id) data-level="meter" data-zone=(zone.name()) {
            (parts::trend())
        }
        section aria-label="The last day by the hour" data-refresh="hours" {
            h2 { "The last day by the hour" }
            div .scroll tabindex="0" role="region" aria-label="The last day by the hour" { (hours_table(&hours, &zone)) }
        }
        section aria-label="Readings that are set aside" data-refresh="aside" { h2 { "Set aside" } (set_aside) }
        section aria-label="Why it is booked as it is" {
            h2 { "Why it is booked as it is" }
            form method="get" {
                label for="at-input" { "A quarter-hour, in " (zone.name()) " " }
                input #at-input name="at" type="text" placeholder="2026-11-26 14:00" value=(query.at.as_deref().unwrap_or(""));
                button type="submit" { "Explain" }
            }
            (explained)
        }
    };
    Ok(page(&id, &board, &zone, &body))
}

fn facts(meter: &Meter, row: &MeterRow, zone: &Zone) -> Markup {
    let kind = match meter.kind {
        Kind::Register { .. } => "register",
        Kind::Interval { .. } => "interval",
        Kind::Rate { .. } => "rate",
        Kind::Event => "event",
        Kind::Gauge { .. } => "gauge",
        Kind::Derived => "sum of meters",
    };
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
            dt { "Last value" }
            dd {
                @if let Some((time, base)) = row.view.latest {
                    data .n value=(base) { (meter.conversion.text(base)) } " " (row.unit) " at " (zone.text("%Y-%m-%d %H:%M:%S", time)) " " (zone.name())
                } @else { "never read" }
            }
            dt { "Kind" } dd { (kind) ", in " (row.unit) }
            dt { "Booked as" } dd { (row.category) }
            dt { "Due every" } dd { (row.expected_every) }
            dt { "Set aside, in the open past" } dd { (row.view.quarantined) }
            @if let Some(gateway) = &meter.gateway { dt { "Gateway" } dd { (gateway) } }
        }
    }
}

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

async fn explained(app: &Arc<App>, ix: MeterIx, at: Option<&str>, zone: &Zone) -> Result<Markup, Problem> {
    let Some(text) = at.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(html! {});
    };
    let local = |form| zone.parse_local(form, text);
    let time = Time::parse_rfc3339(text).or_else(|| local("%Y-%m-%d %H:%M")).or_else(|| local("%Y-%m-%dT%H:%M"));
    let Some(time) = time else {
        return Ok(html! { p role="alert" { "That is no time; write it like 2026-11-26 14:00." } });
    };
    let quarter: Quarter = time.quarter();
    let app = Arc::clone(app);
    let explain = Arc::clone(&app.explain);
    let found = app.read(move |_, reader| explain(reader, ix, quarter, false)).await?;
    let nothing = format!(
        "Nothing is booked, or it is open yet: the quarter-hour from {}.",
        number::local(&quarter.start().to_string(), zone)
    );
    Ok(html! { pre tabindex="0" { (found.unwrap_or(nothing)) } })
}

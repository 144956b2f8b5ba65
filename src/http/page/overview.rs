//! All clusters: a line a facility.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use crate::http::board::{Board, Figure, Row};
use crate::http::live::Live;
use crate::http::page::{number, page, parts};
use crate::http::problem::{Asked, Problem};
use crate::http::server::App;
use crate::quantity::Zone;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    /// Only this network.
    network: Option<String>,
}

pub(crate) async fn show(
    State(live): State<Live>,
    State(app): State<Arc<App>>,
    Asked(query): Asked<Query>,
) -> Result<Response, Problem> {
    let board = live.board(&app).await?;
    let networks: Vec<&Row> = board.rows.iter().filter(|row| row.level == "network").collect();
    if let Some(wanted) = query.network.as_ref().filter(|wanted| !networks.iter().any(|row| row.id == **wanted)) {
        return Err(Problem::Missing(format!("there is no network `{wanted}`")));
    }
    let parent = query.network.map(|id| format!("network/{id}"));
    let is_meant = |row: &&Row| row.level == "cluster" && (parent.is_none() || row.parent == parent);
    let clusters: Vec<&Row> = board.rows.iter().filter(is_meant).collect();
    let zone = clusters.first().map_or(Zone::UTC, |row| parts::zone(row));
    let body = html! {
        h1 { "Emissions now" }
        @if !networks.is_empty() { (switch(&networks, parent.as_deref())) }
        @for cluster in &clusters { (table(&board, cluster)) }
        @if clusters.is_empty() { p { "No cluster is declared: see `[clusters.<id>]` in the README." } }
    };
    Ok(page("Overview", &board, &zone, &body))
}

fn switch(networks: &[&Row], parent: Option<&str>) -> Markup {
    html! {
        nav .switch aria-label="Networks" {
            a href="/" aria-current=[parent.is_none().then_some("page")] { "All" }
            @for row in networks {
                a href=(format!("/?network={}", row.id)) aria-current=[(parent == Some(&row.key)).then_some("page")] {
                    (parts::called(row))
                }
            }
        }
    }
}

fn table(board: &Board, cluster: &Row) -> Markup {
    let zone = parts::zone(cluster);
    let facilities = board.rows.iter().filter(|row| row.parent.as_deref() == Some(&cluster.key));
    html! {
        section aria-label=(parts::called(cluster)) data-zone=(cluster.zone) {
            h2 { a href=(format!("/cluster/{}", cluster.id)) { (parts::called(cluster)) } small { " times in " (cluster.zone) } }
            div .scroll tabindex="0" role="region" aria-label=(format!("Facilities of {}", parts::called(cluster))) {
                table {
                    thead { (heads()) }
                    tbody .total {
                        (line(board, cluster, &zone))
                        (eliminated(cluster, &zone))
                    }
                    tbody {
                        @for row in facilities { (line(board, row, &zone)) }
                    }
                }
            }
        }
    }
}

fn heads() -> Markup {
    html! {
        tr {
            th scope="col" { "Facility" }
            th scope="col" { "Alarms" }
            th .n scope="col" { "Rate now" }
            th scope="col" { "of its limit" }
            th scope="col" { "24 hours" }
            th .n scope="col" { "Today scope 1" }
            th .n scope="col" { "scope 2 location" }
            th .n scope="col" { "scope 2 market" }
            th .n scope="col" { "Coverage" }
            th .n scope="col" { "Month (1 + 2 loc.)" }
            th scope="col" { "of its budget" }
            th scope="col" { "Forecast" }
        }
    }
}

fn line(board: &Board, row: &Row, zone: &Zone) -> Markup {
    let day = row.day.as_ref();
    let course = board.courses.get(&row.key).map_or(&[][..], Vec::as_slice);
    html! {
        tr data-key=(row.key) {
            th scope="row" {
                @if row.level == "facility" { a href=(format!("/facility/{}", row.id)) { (parts::called(row)) } }
                @else { "Total" }
            }
            td { (parts::worst(&row.alarms)) }
            td .n { (parts::rate(row.rate.as_ref(), zone)) (parts::split(row.rate.as_ref())) }
            td { (parts::bar(row.limit.as_ref(), "limit")) }
            td { (parts::course(&row.key, course)) }
            td .n { (parts::mass(day, |day| day.scope1_mg, "day.scope1_mg", zone)) }
            td .n { (parts::mass(day, |day| day.scope2_location_mg, "day.scope2_location_mg", zone)) }
            td .n { (parts::mass(day, |day| day.scope2_market_mg, "day.scope2_market_mg", zone)) }
            td .n { span data-f="day" data-k="coverage" { (coverage(day)) } }
            td .n { (parts::mass(row.month.as_ref(), parts::total, "month.total", zone)) }
            td { (parts::bar(row.budget.as_ref(), "budget")) }
            td .t { span data-f="budget" data-k="forecast" { (parts::forecast(row.budget.as_ref(), zone)) } }
        }
    }
}

fn coverage(day: Option<&Figure>) -> String {
    day.map_or_else(|| "-".to_owned(), |day| number::percent(day.coverage))
}

/// What the facilities sold to each other, which is not in the total.
fn eliminated(cluster: &Row, zone: &Zone) -> Markup {
    let day = cluster.day.as_ref();
    let month = |month: &Figure| month.eliminated_location_mg;
    html! {
        tr .eliminated data-key=(cluster.key) {
            th scope="row" { "Eliminated as bought inside" }
            td colspan="5" {}
            td .n { (parts::mass(day, |day| day.eliminated_location_mg, "day.eliminated_location_mg", zone)) }
            td .n { (parts::mass(day, |day| day.eliminated_market_mg, "day.eliminated_market_mg", zone)) }
            td {}
            td .n { (parts::mass(cluster.month.as_ref(), month, "month.eliminated_location_mg", zone)) }
            td colspan="2" {}
        }
    }
}

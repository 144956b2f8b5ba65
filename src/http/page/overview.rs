//! All clusters: a line a facility.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use crate::http::board::{Board, Figure, Row};
use crate::http::live::Live;
use crate::http::page::number::{self, Behind};
use crate::http::page::{page, parts};
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
    let shown = networks.iter().copied().filter(|row| parent.as_ref().is_none_or(|parent| *parent == row.key));
    let shown: Vec<&Row> = shown.collect();
    let zone = clusters.first().map_or(Zone::UTC, |row| parts::zone(row));
    let body = html! {
        h1 { "Emissions now" }
        @if !networks.is_empty() { (switch(&networks, parent.as_deref())) }
        p .note { "Today, month and year go on: their figures are provisional. What stands behind a figure is told where it is pointed at." }
        @if !shown.is_empty() { (whole(&app, &board, &shown)) }
        @for cluster in &clusters { (table(&app, &board, cluster)) }
        @if clusters.is_empty() { p { "No cluster is declared: see `[clusters.<id>]` in the README." } }
    };
    Ok(page("Overview", &board, &zone, &body))
}

/// The networks: of each date, what the clusters emitted on it by their own clocks.
fn whole(app: &App, board: &Board, networks: &[&Row]) -> Markup {
    html! {
        section aria-label="Networks" {
            h2 { "Networks" small { " days are each cluster's own" } }
            div .scroll tabindex="0" role="region" aria-label="Networks" {
                table {
                    thead { (heads("Network")) }
                    @for row in networks {
                        tbody .total {
                            (line(board, row, &parts::behind(app, row)))
                            (eliminated(row, &parts::behind(app, row)))
                        }
                    }
                }
            }
            @for row in networks { (year(row, &parts::behind(app, row))) }
        }
    }
}

/// The year, and where it stands on the way to the target.
fn year(row: &Row, behind: &Behind) -> Markup {
    let market = |figure: &Figure| figure.scope1_mg + figure.scope2_market_mg;
    html! {
        p .note data-key=(row.key) data-factors=(behind.factors) {
            (parts::called(row)) ", year so far, scope 1 and 2: "
            (parts::mass(row.year.as_ref(), parts::total, "year.total", behind)) " location-based, "
            (parts::mass(row.year.as_ref(), market, "year.market", behind)) " market-based"
            @if let Some(rule) = &row.pathway { "; pathway " span data-f="pathway" data-k="rule" { (parts::bar_about(rule)) } }
        }
    }
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

fn table(app: &App, board: &Board, cluster: &Row) -> Markup {
    let behind = parts::behind(app, cluster);
    let facilities = board.rows.iter().filter(|row| row.parent.as_deref() == Some(&cluster.key));
    html! {
        section aria-label=(parts::called(cluster)) data-zone=(cluster.zone) {
            h2 { a href=(format!("/cluster/{}", cluster.id)) { (parts::called(cluster)) } small { " times in " (cluster.zone) } }
            div .scroll tabindex="0" role="region" aria-label=(format!("Facilities of {}", parts::called(cluster))) {
                table {
                    thead { (heads("Facility")) }
                    tbody .total {
                        (line(board, cluster, &behind))
                        (eliminated(cluster, &behind))
                    }
                    tbody {
                        @for row in facilities { (line(board, row, &parts::behind(app, row))) }
                    }
                }
            }
            (year(cluster, &behind))
        }
    }
}

fn heads(first: &str) -> Markup {
    html! {
        tr {
            th scope="col" { (first) }
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

fn line(board: &Board, row: &Row, behind: &Behind) -> Markup {
    let day = row.day.as_ref();
    let course = board.courses.get(&row.key).map_or(&[][..], Vec::as_slice);
    html! {
        tr data-key=(row.key) data-factors=(behind.factors) {
            th scope="row" {
                @match row.level {
                    "facility" => a href=(format!("/facility/{}", row.id)) { (parts::called(row)) },
                    "cluster" => "Total",
                    _ => (parts::called(row)),
                }
            }
            td { (parts::worst(&row.alarms)) }
            td .n { (parts::rate(row.rate.as_ref(), behind)) (parts::split(row.rate.as_ref())) }
            td { (parts::bar(row.limit.as_ref(), "limit")) }
            td { (parts::course(&row.key, course)) }
            td .n { (parts::mass(day, |day| day.scope1_mg, "day.scope1_mg", behind)) }
            td .n { (parts::mass(day, |day| day.scope2_location_mg, "day.scope2_location_mg", behind)) }
            td .n { (parts::mass(day, |day| day.scope2_market_mg, "day.scope2_market_mg", behind)) }
            td .n { span data-f="day" data-k="coverage" { (coverage(day)) } }
            td .n { (parts::mass(row.month.as_ref(), parts::total, "month.total", behind)) }
            td { (parts::bar(row.budget.as_ref(), "budget")) }
            td .t { span data-f="budget" data-k="forecast" { (parts::forecast(row.budget.as_ref(), &behind.zone)) } }
        }
    }
}

fn coverage(day: Option<&Figure>) -> String {
    day.map_or_else(|| "-".to_owned(), |day| number::percent(day.coverage))
}

/// What the facilities sold to each other, which is not in the total.
fn eliminated(cluster: &Row, behind: &Behind) -> Markup {
    let day = cluster.day.as_ref();
    let month = |month: &Figure| month.eliminated_location_mg;
    html! {
        tr .eliminated data-key=(cluster.key) data-factors=(behind.factors) {
            th scope="row" { @if behind.is_network { "Eliminated as bought of another cluster" } @else { "Eliminated as bought inside" } }
            td colspan="5" {}
            td .n { (parts::mass(day, |day| day.eliminated_location_mg, "day.eliminated_location_mg", behind)) }
            td .n { (parts::mass(day, |day| day.eliminated_market_mg, "day.eliminated_market_mg", behind)) }
            td {}
            td .n { (parts::mass(cluster.month.as_ref(), month, "month.eliminated_location_mg", behind)) }
            td colspan="2" {}
        }
    }
}

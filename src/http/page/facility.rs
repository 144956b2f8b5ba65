//! A facility, or a cluster: its course, its budget, its meters.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};

use crate::cluster::{Entity, Level, MeterIx};
use crate::emission::Column;
use crate::http::board::{Figure, Row};
use crate::http::entries::{Asked, fetch};
use crate::http::live::Live;
use crate::http::page::number::{self, Behind};
use crate::http::page::{page, parts};
use crate::http::problem::Problem;
use crate::http::server::App;
use crate::http::{MeterRow, Question, RuleView};
use crate::pipeline::Rules;
use crate::quantity::{Ratio, Span, Time, Window, Zone};

pub(crate) async fn show(
    State(live): State<Live>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    entity(&live, &app, (Level::Facility, &id)).await
}

/// A cluster has the same page, without meters.
pub(crate) async fn show_cluster(
    State(live): State<Live>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    entity(&live, &app, (Level::Cluster, &id)).await
}

async fn entity(live: &Live, app: &Arc<App>, (level, id): (Level, &str)) -> Result<Response, Problem> {
    let missing = || Problem::Missing(format!("there is no {} `{id}`; the overview is at /", level.name()));
    let entity = app.rules.topology.find(level, id).ok_or_else(missing)?;
    let board = live.board(app).await?;
    let key = format!("{}/{id}", level.name());
    let row = board.rows.iter().find(|row| row.key == key).ok_or_else(missing)?;
    let behind = parts::behind(app, row);
    let zone = &behind.zone;
    let now = Time::parse_rfc3339(&board.at).unwrap_or(Time::MAX);
    let hours = hours(app, entity, now).await?;
    let meters = if level == Level::Facility { Some(meters(app, entity, now).await?) } else { None };
    let rules: Vec<RuleView> = (app.standings)().into_iter().filter(|rule| rule.entity == key).collect();
    let course = board.courses.get(&key).map_or(&[][..], Vec::as_slice);
    let csv = format!("/api/v1/entries?level={}&entity={id}&window=1h&format=csv", level.name());
    let body = html! {
        h1 { (parts::called(row)) small { " " (level.name()) " " (row.id) ", times in " (row.zone) } }
        (summary(row, &behind, course))
        (charts(row))
        (limits(&rules))
        @if let Some(meters) = meters {
            section aria-label="Meters" data-refresh="meters" {
                h2 { "Meters" }
                div .scroll tabindex="0" role="region" aria-label="Meters" { (meters) }
            }
        }
        section aria-label="The last day by the hour" data-refresh="hours" {
            h2 { "The last day by the hour" }
            div .scroll tabindex="0" role="region" aria-label="The last day by the hour" { (table(&hours, &behind)) }
            p { a href=(csv) { "All hours as CSV" } }
        }
    };
    Ok(page(parts::called(row), &board, zone, &body))
}

fn summary(row: &Row, behind: &Behind, course: &[Option<i64>]) -> Markup {
    let figures = [
        ("Today so far", row.day.as_ref(), "day"),
        ("Month so far", row.month.as_ref(), "month"),
        ("Year so far", row.year.as_ref(), "year"),
    ];
    html! {
        section aria-label="Now" data-zone=(row.zone) {
            div .scroll tabindex="0" role="region" aria-label="Figures" {
                table data-key=(row.key) data-factors=(behind.factors) {
                    thead { tr {
                        th scope="col" { "Time" } th .n scope="col" { "Scope 1" } th .n scope="col" { "Scope 2 location" }
                        th .n scope="col" { "Scope 2 market" } th .n scope="col" { "Coverage" }
                    } }
                    tbody {
                        @for (name, figure, field) in figures {
                            tr {
                                th scope="row" { (name) }
                                td .n { (parts::mass(figure, |f| f.scope1_mg, &format!("{field}.scope1_mg"), behind)) }
                                td .n { (parts::mass(figure, |f| f.scope2_location_mg, &format!("{field}.scope2_location_mg"), behind)) }
                                td .n { (parts::mass(figure, |f| f.scope2_market_mg, &format!("{field}.scope2_market_mg"), behind)) }
                                td .n { span data-f=(field) data-k="coverage" {
                                    (figure.map_or_else(|| "-".to_owned(), |figure| number::percent(figure.coverage)))
                                } }
                            }
                        }
                    }
                }
            }
            dl .facts data-key=(row.key) data-factors=(behind.factors) {
                dt { "Rate now (scope 1 and 2, location)" } dd { (parts::rate(row.rate.as_ref(), behind)) (parts::split(row.rate.as_ref())) }
                dt { "24 hours" } dd { (parts::course(&row.key, course)) }
                dt { "Alarms" } dd { (parts::worst(&row.alarms)) }
                dt { "Forecast" } dd { span data-f="budget" data-k="forecast" { (parts::forecast(row.budget.as_ref(), &behind.zone)) } }
            }
        }
    }
}

/// Drawn by `charts.js`; without it the table of hours says the same.
fn charts(row: &Row) -> Markup {
    html! {
        section .charts hidden data-charts=(row.level) data-entity=(row.id) data-level=(row.level) data-zone=(row.zone) {
            (parts::trend())
            div #budget role="img" aria-label="budget: plan, actual, forecast" {}
            div #pathway role="img" aria-label="pathway from the baseline to the target" {}
        }
    }
}

/// All rules about it, as they stand.
fn limits(rules: &[RuleView]) -> Markup {
    html! {
        @if !rules.is_empty() {
            section aria-label="Rules" data-refresh="rules" {
                h2 { "Against its limits" }
                dl .facts {
                    @for rule in rules {
                        dt { (rule.kind) ", " (rule.priority.name()) }
                        dd { (parts::bar(Some(rule), "")) " " (parts::bar_about(rule)) }
                    }
                }
            }
        }
    }
}

pub(super) async fn hours(app: &Arc<App>, entity: Entity, now: Time) -> Result<Vec<Figure>, Problem> {
    let asked = Asked::of(vec![entity], Window::Hour, (now.minus(Span::days(1)), now));
    let entries = fetch(Arc::clone(app), asked).await?;
    Ok(entries.iter().rev().map(|entry| Figure::of(entry, &app.rules.topology)).collect())
}

pub(super) fn table(hours: &[Figure], behind: &Behind) -> Markup {
    html! {
        table {
            thead { tr {
                th scope="col" { "From" } th .n scope="col" { "Scope 1" } th .n scope="col" { "Scope 2 location" }
                th .n scope="col" { "Scope 2 market" } th .n scope="col" { "Coverage" } th .n scope="col" { "Revision" }
            } }
            tbody {
                @for hour in hours {
                    tr title=(number::about(hour, behind)) {
                        th scope="row" { (number::local(&hour.from, &behind.zone)) }
                        td .n { (number::mass(hour.scope1_mg)) }
                        td .n { (number::mass(hour.scope2_location_mg)) }
                        td .n { (number::mass(hour.scope2_market_mg)) }
                        td .n { (number::percent(hour.coverage)) }
                        td .n { @if hour.revision == 0 { "provisional" } @else { (hour.revision) } }
                    }
                }
            }
        }
    }
}

/// What a meter emitted: scope 1 and scope 2, location-based.
type Masses = BTreeMap<Entity, (i128, i128)>;

async fn meters(app: &Arc<App>, facility: Entity, now: Time) -> Result<Markup, Problem> {
    let topology = &app.rules.topology;
    let Entity::Facility(facility) = facility else {
        return Ok(html! {});
    };
    let all: Vec<MeterIx> = topology.facility(facility).meters.clone();
    let entities: Vec<Entity> = all.iter().map(|ix| Entity::Meter(*ix)).collect();
    let day = topology.zone(Entity::Facility(facility)).start(Window::Day, now);
    let entries = fetch(Arc::clone(app), Asked::of(entities, Window::Day, (day, now.plus(Span(1))))).await?;
    let mass = |column: Column| move |tally: &crate::emission::Tally| tally.mg(column);
    let (scope1, location) = (mass(Column::Scope1), mass(Column::Scope2Location));
    let masses: Masses =
        entries.iter().map(|entry| (entry.key.entity, (scope1(&entry.tally), location(&entry.tally)))).collect();
    let rows = app.question(Question::Meters).await?;
    let total: i128 = masses.values().map(|(scope1, location)| scope1 + location).sum();
    let zone = topology.zone(Entity::Facility(facility));
    Ok(html! {
        table {
            thead { tr {
                th scope="col" { "Meter" } th scope="col" { "State" } th .n scope="col" { "Last value" } th scope="col" { "Read" }
                th scope="col" { "Booked as" } th .n scope="col" { "Scope 1 today" } th .n scope="col" { "Scope 2 today (location)" }
                th .n scope="col" { "Share" } th .n scope="col" { "Set aside" }
            } }
            tbody {
                @for ix in &all {
                    @if let Some(row) = rows.get(ix.0 as usize) { (meter(&app.rules, *ix, row, (&masses, total), zone)) }
                }
            }
        }
    })
}

fn meter(rules: &Rules, ix: MeterIx, row: &MeterRow, (masses, total): (&Masses, i128), zone: &Zone) -> Markup {
    let declared = rules.topology.meter(ix);
    let (scope1, location) = masses.get(&Entity::Meter(ix)).copied().unwrap_or_default();
    let state = if row.gone.is_some() {
        "\u{25b3} gateway gone"
    } else if row.stale {
        "\u{25b3} stale"
    } else {
        "well"
    };
    let share = if total == 0 { 0.0 } else { (scope1 + location) as f64 / total as f64 };
    html! {
        tr {
            th scope="row" {
                a href=(format!("/meter/{}", row.id)) { (declared.name.as_deref().unwrap_or(&row.id)) }
                @if is_main(rules, ix) { small { " untracked: without its sub-meters" } }
            }
            td { (state) }
            td .n { @if let Some((_, base)) = row.view.latest { (declared.conversion.text(base)) " " (row.unit) } @else { "-" } }
            td { @if let Some((time, _)) = row.view.latest { (zone.text("%Y-%m-%d %H:%M:%S", time)) } @else { "never" } }
            td { (row.category) }
            td .n { (number::mass(scope1)) }
            td .n { (number::mass(location)) }
            td .n { (number::percent(share)) }
            td .n { (row.view.quarantined) }
        }
    }
}

/// Others are taken off what it shows: what is booked is what nobody else measures.
fn is_main(rules: &Rules, ix: MeterIx) -> bool {
    let terms = rules.accounts.meters.get(ix.0 as usize).map_or(&[][..], |account| account.terms());
    terms.iter().any(|(of, _)| *of == ix) && terms.iter().any(|(_, part)| *part == Ratio::whole(-1))
}

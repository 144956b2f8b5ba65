//! The alarms: what goes on, with what there is to do, and what was.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use crate::alert::{Alarm, Phase};
use crate::http::board::AlarmLine;
use crate::http::live::Live;
use crate::http::page::{number, page, parts};
use crate::http::problem::Problem;
use crate::http::server::App;
use crate::quantity::{Span, Time, Zone};
use crate::store::AlarmsOf;

/// Alarms that are over, on the page.
const HISTORY: usize = 200;

pub(crate) async fn show(State(live): State<Live>, State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let board = live.board(&app).await?;
    let zone = parts::home(&app);
    let history = Arc::clone(&app).alarms(|store| store.latest(&AlarmsOf::default(), HISTORY)).await?;
    let body = html! {
        h1 { "Alarms" small { " times in " (zone.name()) } }
        section aria-label="Alarms that go on, and those that ended unseen" {
            div .scroll tabindex="0" role="region" aria-label="Alarms that go on" {
                table #active data-alarms="" data-zone=(zone.name()) {
                    thead { tr {
                        th scope="col" { "Level" } th scope="col" { "Do" } th scope="col" { "What" } th scope="col" { "Value" }
                        th scope="col" { "Priority" } th scope="col" { "Since" } th scope="col" { "State" } th scope="col" { "To do" }
                    } }
                    tbody { @for alarm in &board.alarms { (active(alarm, &zone)) } }
                }
            }
            p #none hidden[!board.alarms.is_empty()] { "Nothing goes on." }
            noscript { p { "Without scripts: " code { "emissiond alarms ack -c emissiond.toml ID --by NAME" } } }
        }
        (performance(&history, &zone))
        section aria-label="What was" data-refresh="past" {
            h2 { "What was" }
            div .scroll tabindex="0" role="region" aria-label="What was" {
                table {
                    thead { tr {
                        th scope="col" { "Level" } th scope="col" { "Since" } th scope="col" { "Until" } th scope="col" { "What" }
                        th .n scope="col" { "Peak" } th .n scope="col" { "Above the limit" } th scope="col" { "State" }
                    } }
                    tbody { @for alarm in history.iter().filter(|alarm| alarm.state != Phase::Active) { (past(alarm, &zone)) } }
                }
            }
            p { a href="/api/v1/alarms?limit=10000&format=csv" { "All alarms as CSV" } }
        }
    };
    Ok(page("Alarms", &board, &zone, &body))
}

fn active(alarm: &AlarmLine, zone: &Zone) -> Markup {
    let value = alarm.detail.clone().unwrap_or_else(|| {
        format!("{} against {}", number::value(alarm.value, &alarm.unit), number::value(alarm.limit, &alarm.unit))
    });
    html! {
        tr data-id=(alarm.id) .(parts::class(Some(alarm.level))) .unseen[alarm.is_unseen()] {
            td { (parts::shape(alarm.level)) " " (alarm.level.name()) }
            td {
                button type="button" data-do="ack" disabled[alarm.acknowledged_by.is_some()] hidden { "Acknowledge" }
                button type="button" data-do="shelve" hidden { "Shelve" }
                noscript { code { (alarm.id) } }
            }
            th .t scope="row" { (alarm.entity) " " (alarm.rule) }
            td .t { (value) }
            td { (alarm.priority.name()) }
            td .t {
                (number::local(&alarm.since, zone))
                @if let Some(until) = &alarm.until { " to " (number::local(until, zone)) }
                @if alarm.provisional { " (provisional)" }
            }
            td .t {
                @if let Some(held) = &alarm.held { (number::localised(held, zone)) }
                @else { (alarm.condition) @if let Some(by) = &alarm.acknowledged_by { " by " (by) } }
            }
            td .t { (alarm.response) }
        }
    }
}

fn past(alarm: &Alarm, zone: &Zone) -> Markup {
    let is_mass = alarm.unit == "kg" || alarm.unit == "kg/h";
    html! {
        tr {
            td { (parts::shape(alarm.highest)) " " (alarm.highest.name()) }
            td { (number::local(&alarm.since, zone)) }
            td { (alarm.until.as_deref().map_or_else(String::new, |until| number::local(until, zone))) }
            th scope="row" { (alarm.entity) " " (alarm.rule) }
            td .n { (number::value(alarm.peak, &alarm.unit)) }
            td .n { @if is_mass { (number::kilograms(alarm.excess_kg)) } }
            td { (alarm.condition()) }
        }
    }
}

/// How the alarms themselves do: too many, and nobody listens.
fn performance(history: &[Alarm], zone: &Zone) -> Markup {
    let latest = history.iter().filter_map(|alarm| Time::parse_rfc3339(&alarm.since)).max();
    let day = |alarm: &&Alarm| {
        Time::parse_rfc3339(&alarm.since)
            .zip(latest)
            .is_some_and(|(since, latest)| latest.since(since) <= Span::days(1))
    };
    let recent: Vec<&Alarm> = history.iter().filter(day).collect();
    let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
    for alarm in &recent {
        *rules.entry(alarm.rule.as_str()).or_default() += 1;
    }
    let mut most: Vec<(&str, usize)> = rules.into_iter().collect();
    most.sort_by_key(|(rule, count)| (std::cmp::Reverse(*count), *rule));
    let chattering = recent.iter().filter(|alarm| alarm.chattering).count();
    let standing = history.iter().filter(|alarm| alarm.state == Phase::Active).filter(|alarm| !day(alarm)).count();
    html! {
        section aria-label="How the alarms do" data-refresh="performance" {
            h2 { "How the alarms do" }
            dl .facts {
                dt { "In the day up to " (latest.map_or_else(|| "now".to_owned(), |at| zone.text("%Y-%m-%d %H:%M", at))) }
                dd { (recent.len()) ", " (format!("{:.2}", recent.len() as f64 / 144.0)) " in ten minutes; more than 1 is more than one can follow" }
                dt { "Most often" } dd { @for (rule, count) in most.iter().take(10) { (rule) " " (count) "; " } }
                dt { "Chattering" } dd { (chattering) }
                dt { "On for longer than a day" } dd { (standing) }
            }
        }
    }
}

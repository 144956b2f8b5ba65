//! The daemon: counts that add up, what it hangs on, what it does not know.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use crate::http::live::Live;
use crate::http::page::{number, page, parts as shared};
use crate::http::problem::Problem;
use crate::http::server::App;
use crate::http::status::status;
use crate::http::views::{StatusView, Tally};
use crate::http::{Question, UnmappedTopic};
use crate::quantity::Zone;

pub(crate) async fn show(State(live): State<Live>, State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let board = live.board(&app).await?;
    let desk = app.desk().await?;
    let (topics, others) = app.question(Question::Unmapped).await?;
    let status = status(&desk, &app);
    let zone = shared::home(&app);
    let body = html! {
        h1 { "System" small { " emissiond " (status.version) ", times in " (zone.name()) } }
        section aria-label="Messages and readings" data-refresh="came" {
            h2 { "What came" }
            div .scroll tabindex="0" role="region" aria-label="Messages and readings" {
                table {
                    thead { tr {
                        th scope="col" { "Of" } th scope="col" { "Received" } th scope="col" { "Accepted" } th scope="col" { "Duplicate" }
                        th scope="col" { "Late" } th scope="col" { "Unmapped" } th scope="col" { "Retained" } th scope="col" { "Refused" }
                        th scope="col" { "Adds up" }
                    } }
                    tbody { (tally("messages", &status.messages)) (tally("readings", &status.readings)) }
                }
            }
            (refused(&status.messages))
        }
        (parts(&status, &zone))
        (config(&status, &zone))
        (unmapped(&topics, others, &zone))
    };
    Ok(page("System", &board, &zone, &body))
}

fn tally(name: &str, tally: &Tally) -> Markup {
    let refused: u64 = tally.refused.values().sum();
    let sum = tally.accepted + tally.duplicate + tally.late + tally.unmapped + tally.retained + refused;
    html! {
        tr {
            th scope="row" { (name) }
            @for count in [tally.received, tally.accepted, tally.duplicate, tally.late, tally.unmapped, tally.retained, refused] {
                td .n { (count) }
            }
            td { @if sum == tally.received { "yes" } @else { "\u{25b2} no: " (sum) } }
        }
    }
}

fn refused(messages: &Tally) -> Markup {
    let reasons: Vec<String> =
        messages.refused.iter().filter(|(_, n)| **n > 0).map(|(reason, n)| format!("{reason} {n}")).collect();
    html! { @if !reasons.is_empty() { p { "Refused: " (reasons.join(", ")) "; see " code { "emissiond refused" } } } }
}

fn parts(status: &StatusView, zone: &Zone) -> Markup {
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let mqtt = &status.mqtt;
    html! {
        section aria-label="What it hangs on" data-refresh="parts" {
            h2 { "What it hangs on" }
            dl .facts {
                dt { "Taken in" } dd { (status.held.unwrap_or("yes")) }
                dt { "Broker" }
                dd {
                    @if mqtt.connected { "connected" } @else { "\u{25b2} not connected" }
                    ", " (mqtt.unacked) " messages not acknowledged yet, " (mqtt.connects) " connections, "
                    (mqtt.sessions_lost) " sessions lost"
                    @if let Some(trouble) = &mqtt.trouble { "; " (trouble) }
                }
                dt { "Database" }
                dd {
                    @if let Some(influx) = &status.influxdb {
                        (influx.behind) " records behind, " (influx.written) " requests confirmed, " (influx.failed) " failed, "
                        (influx.rejected) " lines rejected"
                        @if let Some(trouble) = &influx.trouble { "; " (trouble) }
                    } @else { "none: the ledger is here" }
                }
                @for known in &status.certificates {
                    dt { "Certificate" } dd { (known.certificate) ", valid until " (number::local(&known.expires, zone)) }
                }
                @for notifier in &status.notifiers {
                    dt { "Notifier " (notifier.id) }
                    dd { (notifier.told) " told, " (notifier.failed) " attempts failed" @if let Some(why) = &notifier.trouble { "; \u{25b2} " (why) } }
                }
                dt { "Journal" } dd { (mib(status.journal.bytes)) " in " (status.journal.blocks) " blocks" }
                dt { "Free" } dd { (status.disk_free_bytes.map_or_else(|| "not known".to_owned(), mib)) }
                dt { "Damage found, ever" } dd { (status.store.damaged) }
                dt { "Set aside, in the open past" } dd { (status.quarantined) }
                dt { "Declared" }
                dd { (status.declared.clusters) " clusters, " (status.declared.facilities) " facilities, " (status.declared.meters) " meters" }
            }
        }
    }
}

fn config(status: &StatusView, zone: &Zone) -> Markup {
    let config = &status.config;
    html! {
        section aria-label="Configuration" data-refresh="config" {
            h2 { "Configuration" }
            dl .facts {
                dt { "Plan in force" } dd { code { (config.plan) } }
                dt { "Since" } dd { (config.loaded.as_deref().map_or_else(|| "-".to_owned(), |at| number::local(at, zone))) }
                @if let Some(reload) = &config.last_reload {
                    dt { "Last reload" } dd { (reload.result) " at " (number::local(&reload.at, zone)) pre tabindex="0" { (reload.detail) } }
                }
                @if !config.needs_restart.is_empty() { dt { "Waits for a restart" } dd { (config.needs_restart.join(", ")) } }
            }
        }
    }
}

fn unmapped(topics: &[UnmappedTopic], others: u64, zone: &Zone) -> Markup {
    html! {
        section aria-label="Topics that no meter listens to" data-refresh="unmapped" {
            h2 { "Topics that no meter listens to" }
            @if topics.is_empty() { p { "None." } }
            @else {
                div .scroll tabindex="0" role="region" aria-label="Topics that no meter listens to" {
                    table {
                        thead { tr { th scope="col" { "Topic" } th scope="col" { "Messages" } th scope="col" { "Last" } th scope="col" { "Payload" } } }
                        tbody {
                            @for topic in topics {
                                tr {
                                    th scope="row" { bdi { (topic.topic) } }
                                    td .n { (topic.count) } td { (zone.text("%Y-%m-%d %H:%M:%S", topic.last)) }
                                    td { code { bdi { (String::from_utf8_lossy(&topic.payload)) } } }
                                }
                            }
                        }
                    }
                }
                @if others > 0 { p { (others) " messages on others" } }
            }
        }
    }
}

//! `/api/v1/status`, `/api/v1/meters` and `/readyz` as JSON.

use serde_json::{Value, json};

use crate::decode::{DeviceView, GatewayView, Refusal};
use crate::http::{App, DeskView, MeterRow, NotifierView, ReloadView, UnmappedTopic};
use crate::pipeline::{Outcome, Tallied};
use crate::store::{Gap, Lost, Refused, SESSION_LOST};

/// Of lists without end, so many are shown.
const SHOWN: usize = 20;

/// The state of the daemon.
pub(crate) fn status_json(desk: &DeskView, app: &App) -> String {
    let topology = &app.rules.topology;
    let status = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "plan": desk.plan,
        "config": config(app),
        "now": desk.now.to_string(),
        "watermark": desk.watermark.to_string(),
        "messages": tallied(&desk.counters.messages),
        "readings": tallied(&desk.counters.readings),
        "held": desk.held,
        "ahead_of_clock_ms": desk.ahead_of_clock_ms,
        "disk_free_bytes": desk.disk_free,
        "quarantined": desk.quarantined,
        "journal": { "blocks": desk.journal_blocks, "bytes": desk.journal_bytes },
        "store": { "damaged": desk.damage.len(), "damage": damage(desk) },
        "mqtt": broker(desk, app),
        "influxdb": influx(app),
        "notifiers": notifiers(app),
        "gateways": gateways(desk),
        "declared": {
            "networks": topology.networks.len(),
            "clusters": topology.clusters.len(),
            "facilities": topology.facilities.len(),
            "meters": topology.meters.len(),
        },
    });
    format!("{status}\n")
}

fn config(app: &App) -> Value {
    let view = (app.config)();
    let reload = |reload: &ReloadView| {
        let result = if reload.applied { "applied" } else { "rejected" };
        json!({ "at": reload.at.to_string(), "result": result, "detail": reload.detail })
    };
    json!({
        "plan": view.plan,
        "loaded": view.loaded.map(|time| time.to_string()),
        "last_reload": view.last_reload.as_ref().map(reload),
        "needs_restart": view.needs_restart,
    })
}

fn gateways(desk: &DeskView) -> Vec<Value> {
    let device = |device: &DeviceView| json!({ "device": device.device, "alive": device.alive, "since": device.since.to_string() });
    let gateway = |gateway: &GatewayView| {
        json!({
            "id": gateway.id,
            "messages": gateway.messages,
            "missing": gateway.missing,
            "repeated": gateway.repeated,
            "births": gateway.births,
            "births_missed": gateway.births_missed,
            "devices": gateway.devices.iter().map(device).collect::<Value>(),
        })
    };
    desk.gateways.iter().map(gateway).collect()
}

/// One object a line: the topics that no meter listens to, and what came on others.
pub(crate) fn unmapped_json(topics: &[UnmappedTopic], others: u64) -> String {
    let line = |topic: &UnmappedTopic| {
        let line = json!({
            "topic": topic.topic,
            "count": topic.count,
            "last": topic.last.to_string(),
            "payload": String::from_utf8_lossy(&topic.payload),
        });
        format!("{line}\n")
    };
    let mut text: String = topics.iter().map(line).collect();
    if others > 0 {
        text.push_str(&format!("{}\n", json!({ "topic": null, "count": others })));
    }
    text
}

/// The latest of it.
fn damage(desk: &DeskView) -> Vec<Value> {
    let shown = desk.damage.iter().take(SHOWN);
    shown.map(|(found, record)| json!({ "found": found.to_string(), "record": record })).collect()
}

fn tallied(counts: &Tallied) -> Value {
    let refused: serde_json::Map<String, Value> =
        counts.reasons().map(|(r, n)| (r.name().to_owned(), n.into())).collect();
    json!({
        "received": counts.received,
        "accepted": counts.accepted,
        "duplicate": counts.duplicate,
        "late": counts.late,
        "unmapped": counts.unmapped,
        "retained": counts.retained,
        "refused": refused,
    })
}

/// The session, and what may be lost of what it should have brought.
fn broker(desk: &DeskView, app: &App) -> Value {
    let mut view = mqtt(app);
    let gap = |gap: &Gap| json!({ "from": gap.from.to_string(), "to": gap.to.to_string(), "cause": gap.cause });
    view["sessions_lost"] = desk.gaps_for(SESSION_LOST).into();
    view["possible_gaps"] = desk.gaps.iter().take(SHOWN).map(gap).collect();
    view
}

fn mqtt(app: &App) -> Value {
    let view = (app.broker)();
    json!({
        "connected": view.connected,
        "subscribed": view.subscribed,
        "client_id_contested": view.contested,
        "unacked": view.unacked,
        "connects": view.connects,
        "broker_dropped": view.dropped,
        "trouble": view.trouble,
        "refused_filters": view.refused,
    })
}

fn influx(app: &App) -> Value {
    let Some(look) = &app.database else {
        return Value::Null;
    };
    let view = look();
    let span = |lost: &Lost| json!({ "from": lost.from.to_string(), "to": lost.to.to_string() });
    json!({
        "written": view.written,
        "failed": view.failed,
        "rejected": view.rejected,
        "set_aside": view.set_aside,
        "retention_short": view.retention_short,
        "state_rolled_back": !view.lost.is_empty(),
        "lost": view.lost.iter().map(span).collect::<Value>(),
        "behind": view.behind,
        "trouble": view.trouble,
    })
}

fn notifiers(app: &App) -> Value {
    let notifier = |view: NotifierView| {
        let (since, trouble) = view.trouble.unzip();
        let since = since.map(|since| since.to_string());
        json!({ "id": view.id, "told": view.told, "failed": view.failed, "trouble": trouble, "since": since })
    };
    (app.notifiers)().into_iter().map(notifier).collect()
}

pub(crate) fn ready_json(held: Option<&str>, app: &App) -> String {
    format!("{}\n", json!({ "ready": held.is_none(), "held": held, "mqtt": mqtt(app), "influxdb": influx(app) }))
}

pub(crate) fn meters_json(rows: &[MeterRow]) -> String {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "id": row.id,
                "facility": row.facility,
                "unit": row.unit,
                "category": row.category,
                "expected_every": row.expected_every,
                "last_reading": row.view.latest.map(|(time, _)| time.to_string()),
                "stale": row.stale,
                "gateway_gone": row.gone.map(|time| time.to_string()),
                "quarantined": row.view.quarantined,
            })
        })
        .collect();
    format!("{}\n", Value::Array(rows))
}

/// Whether messages are kept for this reason. An error says which reasons there are.
pub fn is_reason(text: &str) -> Result<(), String> {
    if Outcome::reasons().any(|reason| reason == text) {
        return Ok(());
    }
    Err(format!("`reason` cannot be `{text}`; allowed: {}", Outcome::reasons().collect::<Vec<_>>().join(", ")))
}

/// What a reason means. A ledger of a later version may know more.
fn why(reason: &str) -> Option<&'static str> {
    let known = Refusal::ALL.into_iter().find(|known| known.name() == reason).map(Refusal::about);
    known.or_else(|| (reason == Outcome::Late.name()).then_some("its time is older than `ledger.late_horizon` allows"))
}

/// One object a line.
pub fn refused_json(list: &[Refused]) -> String {
    let line = |refused: &Refused| {
        let line = json!({
            "received": refused.received.to_string(),
            "reason": refused.reason,
            "why": why(&refused.reason),
            "meter": refused.meter,
            "topic": refused.topic,
            "payload": String::from_utf8_lossy(&refused.payload),
        });
        format!("{line}\n")
    };
    list.iter().map(line).collect()
}

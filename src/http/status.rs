//! `/api/v1/status`, `/api/v1/meters`, `/api/v1/unmapped`, `/readyz`: how the daemon is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use crate::decode::{DeviceView, GatewayView};
use crate::http::problem::{Asked, Problem};
use crate::http::server::App;
use crate::http::table::{Form, Page, Written, formed, table};
use crate::http::views::{
    CertificateStatus, ConfigStatus, DamageStatus, Declared, DeviceStatus, GapStatus, GatewayStatus, InfluxStatus,
    JournalStatus, LostStatus, MeterLine, MqttStatus, NotifierStatus, ReadyView, ReloadStatus, StatusView, StoreStatus,
    Tally, UnmappedLine,
};
use crate::http::{DeskView, MeterRow, NotifierView, Question, ReloadView, UnmappedTopic};
use crate::pipeline::Tallied;
use crate::quantity::Time;
use crate::store::SESSION_LOST;
use crate::tls::Expiry;

/// Of lists without end, so many are shown.
const SHOWN: usize = 20;

/// The daemon at a glance.
#[utoipa::path(get, path = "/api/v1/status", responses((status = 200, body = StatusView), (status = 500, body = String), (status = 503, body = String)))]
pub(crate) async fn show(State(app): State<Arc<App>>) -> Result<Json<StatusView>, Problem> {
    Ok(Json(status(&app.desk().await?, &app)))
}

/// The state of the daemon.
pub(crate) fn status(desk: &DeskView, app: &App) -> StatusView {
    let topology = &app.rules.topology;
    let damage = |(found, record): &(crate::quantity::Time, String)| DamageStatus {
        found: found.to_string(),
        record: record.clone(),
    };
    StatusView {
        version: env!("CARGO_PKG_VERSION"),
        plan: desk.plan.clone(),
        config: config(app),
        now: desk.now.to_string(),
        watermark: desk.watermark.to_string(),
        messages: tally(&desk.counters.messages),
        readings: tally(&desk.counters.readings),
        held: desk.held,
        ahead_of_clock_ms: desk.ahead_of_clock_ms,
        disk_free_bytes: desk.disk_free,
        quarantined: desk.quarantined,
        journal: JournalStatus { blocks: desk.journal_blocks, bytes: desk.journal_bytes },
        // The latest of it.
        store: StoreStatus { damaged: desk.damage.len(), damage: desk.damage.iter().take(SHOWN).map(damage).collect() },
        mqtt: mqtt(desk, app),
        influxdb: influx(app),
        certificates: (app.certificates)().into_iter().map(certificate).collect(),
        notifiers: (app.notifiers)().into_iter().map(notifier).collect(),
        gateways: desk.gateways.iter().map(gateway).collect(),
        declared: Declared {
            networks: topology.networks.len(),
            clusters: topology.clusters.len(),
            facilities: topology.facilities.len(),
            meters: topology.meters.len(),
        },
    }
}

fn certificate(expiry: Expiry) -> CertificateStatus {
    let expires = Time(expiry.not_after.saturating_mul(1_000)).to_string();
    CertificateStatus { certificate: expiry.what, expires }
}

fn config(app: &App) -> ConfigStatus {
    let view = (app.config)();
    let reload = |ReloadView { at, applied, detail }: ReloadView| ReloadStatus {
        at: at.to_string(),
        result: if applied { "applied" } else { "rejected" },
        detail,
    };
    ConfigStatus {
        plan: view.plan,
        loaded: view.loaded.map(|time| time.to_string()),
        last_reload: view.last_reload.map(reload),
        needs_restart: view.needs_restart,
    }
}

fn gateway(gateway: &GatewayView) -> GatewayStatus {
    let device = |device: &DeviceView| DeviceStatus {
        device: device.device.clone(),
        alive: device.alive,
        since: device.since.to_string(),
    };
    GatewayStatus {
        id: gateway.id.clone(),
        messages: gateway.messages,
        missing: gateway.missing,
        repeated: gateway.repeated,
        births: gateway.births,
        births_missed: gateway.births_missed,
        devices: gateway.devices.iter().map(device).collect(),
    }
}

fn tally(counts: &Tallied) -> Tally {
    Tally {
        received: counts.received,
        accepted: counts.accepted,
        duplicate: counts.duplicate,
        late: counts.late,
        unmapped: counts.unmapped,
        retained: counts.retained,
        refused: counts.reasons().map(|(reason, count)| (reason.name().to_owned(), count)).collect(),
    }
}

/// The session, and what may be lost of what it should have brought.
fn mqtt(desk: &DeskView, app: &App) -> MqttStatus {
    let view = (app.broker)();
    let gaps = desk.gaps.iter().take(SHOWN);
    let gap = |gap: &crate::store::Gap| GapStatus {
        from: gap.from.to_string(),
        to: gap.to.to_string(),
        cause: gap.cause.to_string(),
    };
    MqttStatus {
        connected: view.connected,
        subscribed: view.subscribed,
        client_id_contested: view.contested,
        unacked: view.unacked,
        connects: view.connects,
        broker_dropped: view.dropped,
        trouble: view.trouble,
        refused_filters: view.refused,
        sessions_lost: desk.gaps_for(SESSION_LOST),
        possible_gaps: gaps.map(gap).collect(),
    }
}

fn influx(app: &App) -> Option<InfluxStatus> {
    let view = app.database.as_ref()?();
    let lost = |lost: &crate::store::Lost| LostStatus { from: lost.from.to_string(), to: lost.to.to_string() };
    Some(InfluxStatus {
        written: view.written,
        failed: view.failed,
        rejected: view.rejected,
        set_aside: view.set_aside,
        retention_short: view.retention_short,
        state_rolled_back: !view.lost.is_empty(),
        lost: view.lost.iter().map(lost).collect(),
        behind: view.behind,
        trouble: view.trouble,
    })
}

fn notifier(view: NotifierView) -> NotifierStatus {
    let (since, trouble) = view.trouble.unzip();
    let since = since.map(|since| since.to_string());
    NotifierStatus { id: view.id, told: view.told, failed: view.failed, trouble, since }
}

/// Whether messages are taken in. The desk answers only when the journal is replayed and the store is writable: it stops the
/// process when it is not.
#[utoipa::path(get, path = "/readyz", responses((status = 200, body = ReadyView), (status = 500, body = String), (status = 503, body = String)))]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let desk = app.desk().await?;
    let held = desk.held.map(str::to_owned);
    let status = if held.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let view = ReadyView { ready: held.is_none(), held, mqtt: mqtt(&desk, &app), influxdb: influx(&app) };
    Ok((status, Json(view)).into_response())
}

/// All meters.
#[utoipa::path(get, path = "/api/v1/meters", params(Page),
    responses((status = 200, content((Vec<MeterLine> = "application/json"), (MeterLine = "application/jsonl"), (String = "text/csv"))), (status = 400, body = String), (status = 500, body = String), (status = 503, body = String)))]
pub(crate) async fn meters(
    State(app): State<Arc<App>>,
    Asked(page): Asked<Page>,
    uri: Uri,
) -> Result<Response, Problem> {
    let rows = app.question(Question::Meters).await?;
    table(rows.iter().map(meter_line), &page, &uri)
}

pub(crate) fn meter_line(row: &MeterRow) -> MeterLine {
    MeterLine {
        id: row.id.clone(),
        facility: row.facility.clone(),
        unit: row.unit.clone(),
        category: row.category,
        expected_every: row.expected_every.clone(),
        last_reading: row.view.latest.map(|(time, _)| time.to_string()),
        stale: row.stale,
        gateway_gone: row.gone.map(|time| time.to_string()),
        quarantined: row.view.quarantined,
    }
}

/// The topics that no meter listens to, one a line, and last, without a topic, how many messages came on others.
#[utoipa::path(get, path = "/api/v1/unmapped", params(Written),
    responses((status = 200, content((UnmappedLine = "application/jsonl"), (Vec<UnmappedLine> = "application/json"),
        (String = "text/csv"))), (status = 400, body = String), (status = 500, body = String), (status = 503, body = String)))]
pub(crate) async fn unmapped(State(app): State<Arc<App>>, Asked(written): Asked<Written>) -> Result<Response, Problem> {
    let (topics, others) = app.question(Question::Unmapped).await?;
    let line = |topic: &UnmappedTopic| UnmappedLine {
        topic: Some(topic.topic.clone()),
        count: topic.count,
        last: Some(topic.last.to_string()),
        payload: Some(String::from_utf8_lossy(&topic.payload).into_owned()),
    };
    let more = (others > 0).then_some(UnmappedLine { topic: None, count: others, last: None, payload: None });
    formed(&topics.iter().map(line).chain(more).collect::<Vec<_>>(), written.format.unwrap_or(Form::Jsonl))
}

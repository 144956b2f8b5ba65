//! `/metrics` in OpenMetrics text.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

use crate::http::{App, DeskView};
use crate::pipeline::Tallied;
use crate::store::{BROKER_DROPPED, SESSION_LOST};

type Labels = Vec<(&'static str, String)>;

/// Everything, as text. The numbers are the desk's own; nothing is counted twice.
pub(crate) fn render(desk: &DeskView, app: &App) -> String {
    let mut registry = Registry::with_prefix("emissiond");
    messages(&mut registry, &desk.counters.messages);
    registry.register("journal_commit_seconds", "Time to make a block durable", app.commit_seconds.clone());
    level(
        &mut registry,
        "watermark_seconds",
        "Start of the first open quarter, since 1970",
        desk.watermark.seconds() as f64,
    );
    level(&mut registry, "quarantined", "Readings set aside in the open past", desk.quarantined as f64);
    level(
        &mut registry,
        "held",
        "1 while nothing is taken in: the disk is full, or the clock unsure",
        f64::from(u8::from(desk.held.is_some())),
    );
    level(&mut registry, "disk_free_bytes", "Room where the state directory is", desk.disk_free.unwrap_or(0) as f64);
    level(&mut registry, "journal_bytes", "Size of the journal on disk", desk.journal_bytes as f64);
    level(
        &mut registry,
        "damaged_records",
        "Records of the store that were found damaged or missing",
        desk.damage.len() as f64,
    );
    let mqtt = (app.broker)();
    level(&mut registry, "mqtt_connected", "1 while the broker session is up", f64::from(u8::from(mqtt.connected)));
    level(&mut registry, "mqtt_unacked", "Messages received and not acknowledged yet", mqtt.unacked as f64);
    let contested = f64::from(u8::from(mqtt.contested));
    level(&mut registry, "mqtt_client_id_contested", "1 while connections end as soon as they begin", contested);
    level(&mut registry, "mqtt_connects", "Connections since the start", mqtt.connects as f64);
    for (name, help, cause) in [
        ("mqtt_sessions_lost", "Times the broker no longer knew the session", SESSION_LOST),
        ("mqtt_broker_drops", "Times in which the broker dropped messages for full queues", BROKER_DROPPED),
    ] {
        level(&mut registry, name, help, desk.gaps_for(cause) as f64);
    }
    config(&mut registry, app);
    gateways(&mut registry, desk);
    influx(&mut registry, app);
    rates(&mut registry, desk);
    notifiers(&mut registry, app);
    alarms(&mut registry, app);
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = encode(&mut text, &registry);
    text
}

fn level(registry: &mut Registry, name: &str, help: &str, value: f64) {
    let gauge = Gauge::<f64, AtomicU64>::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn messages(registry: &mut Registry, counts: &Tallied) {
    let refused: u64 = counts.reasons().map(|(_, n)| n).sum();
    let outcomes = [
        ("accepted", counts.accepted),
        ("duplicate", counts.duplicate),
        ("late", counts.late),
        ("refused", refused),
        ("unmapped", counts.unmapped),
        ("retained", counts.retained),
    ];

    counters(registry, "messages", "Messages by outcome", "outcome", outcomes.map(|(n, v)| (n.to_owned(), v)));
    let reasons = counts.reasons().map(|(reason, n)| (reason.name().to_owned(), n));
    counters(registry, "refused", "Messages refused, by reason", "reason", reasons);
}

fn counters(
    registry: &mut Registry,
    name: &str,
    help: &str,
    label: &'static str,
    values: impl IntoIterator<Item = (String, u64)>,
) {
    let family = Family::<Labels, Counter>::default();
    for (value, count) in values {
        family.get_or_create(&vec![(label, value)]).inc_by(count);
    }
    registry.register(name, help, family);
}

fn config(registry: &mut Registry, app: &App) {
    let view = (app.config)();
    let applied = view.last_reload.as_ref().is_none_or(|reload| reload.applied);
    let help = "1 unless the last configuration that was read was rejected";
    level(registry, "config_last_reload_successful", help, f64::from(u8::from(applied)));
    let at = view.last_reload.map(|reload| reload.at).or(view.loaded).map_or(0, |at| at.seconds());
    level(registry, "config_last_reload_seconds", "When a configuration was read last, since 1970", at as f64);
    let waits = f64::from(u8::from(!view.needs_restart.is_empty()));
    level(registry, "config_needs_restart", "1 while some of the configuration waits for a restart", waits);
}

fn gateways(registry: &mut Registry, desk: &DeskView) {
    let family = Family::<Labels, Gauge>::default();
    for gateway in &desk.gateways {
        family.get_or_create(&vec![("gateway", gateway.id.clone())]).set(gateway.missing as i64);
    }
    registry.register("gateway_messages_missing", "Messages that have not come, by their sequence numbers", family);
}

fn influx(registry: &mut Registry, app: &App) {
    let Some(view) = app.database.as_ref().map(|look| look()) else {
        return;
    };
    let results = [("ok", view.written), ("failed", view.failed), ("rejected", view.rejected)];
    counters(registry, "influx_writes", "Write requests by result", "result", results.map(|(n, v)| (n.to_owned(), v)));
    let behind = Family::<Labels, Gauge>::default();
    behind.get_or_create(&vec![("sink", "influxdb".to_owned())]).set(view.behind as i64);
    registry.register("sink_behind", "Stored records a sink has not confirmed", behind);
}

fn alarms(registry: &mut Registry, app: &App) {
    let family = Family::<Labels, Gauge>::default();
    let active = app.alarms.lock().ok().and_then(|store| store.active().ok());
    for alarm in active.unwrap_or_default() {
        let state = if alarm.acknowledged.is_some() { "acknowledged" } else { "unacknowledged" };
        let labels = vec![("state", state.to_owned()), ("priority", alarm.priority.name().to_owned())];
        family.get_or_create(&labels).inc();
    }
    registry.register("alarms", "Alarms that go on", family);
}

fn notifiers(registry: &mut Registry, app: &App) {
    let (letters, up) = (Family::<Labels, Counter>::default(), Family::<Labels, Gauge>::default());
    for view in (app.notifiers)() {
        let labels = |result: &str| vec![("notifier", view.id.clone()), ("result", result.to_owned())];
        letters.get_or_create(&labels("ok")).inc_by(view.told);
        letters.get_or_create(&labels("failed")).inc_by(view.failed);
        let is_up = i64::from(view.trouble.is_none());
        up.get_or_create(&vec![("notifier", view.id)]).set(is_up);
    }
    registry.register("notifier_letters", "What notifiers were to tell, by result of the attempt", letters);
    registry.register("notifier_up", "1 unless the last attempt failed", up);
}

fn rates(registry: &mut Registry, desk: &DeskView) {
    let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
    for rate in &desk.rates {
        for (scope, value) in ["1", "2-location", "2-market"].iter().zip(rate.kg_per_hour) {
            let labels = vec![
                ("level", rate.level.name().to_owned()),
                ("entity", rate.entity.clone()),
                ("scope", (*scope).to_owned()),
            ];
            family.get_or_create(&labels).set(value);
        }
    }
    registry.register("emission_rate_kg_per_hour", "Emission rate over the latest full quarter", family);
}

//! The daemon that runs, asked itself: what it has in use may be older than the files that are read here.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::cli::doctor::Line;
use crate::cli::get;
use crate::cluster::Kind;
use crate::config::Plan;

/// Without a plan the file is faulty, and the daemon may run all the same.
pub(crate) async fn look(address: SocketAddr, plan: Option<&Plan>) -> Vec<Line> {
    let status = match ask(address).await {
        Ok(status) => status,
        Err(line) => return vec![line],
    };
    let since = status["config"]["loaded"].as_str().unwrap_or("its start");
    let mut lines =
        vec![Line::pass("daemon", format!("it answers at {address}; its configuration is in force since {since}"))];
    lines.extend(troubles(&status));
    let Some(plan) = plan else {
        return lines;
    };
    if plan.rules.topology.meters.is_empty() {
        lines.push(Line::warn("daemon", "no meter is declared: nothing is measured", "see the tutorial"));
    } else if status["mqtt"]["subscribed"] == true && status["messages"]["received"] == 0 {
        let cure = "does a meter publish? `emissiond tap '#'` shows what arrives at all; mosquitto grants subscriptions whose \
                    messages its access rules then keep back: see deploy/emissiond.acl";
        lines.push(Line::warn("daemon", "nothing was received since it started", cure));
    } else if let Ok(text) = get(&format!("http://{address}/api/v1/meters")).await {
        lines.extend(silent(&serde_json::from_str(&text).unwrap_or_default()));
    }
    lines
}

/// One that hangs takes connections, and answers none.
const PATIENCE: Duration = Duration::from_secs(5);

async fn ask(address: SocketAddr) -> Result<Value, Line> {
    let nobody = || Line::warn("daemon", format!("nobody answers at {address}"), "systemctl start emissiond");
    let text = tokio::time::timeout(PATIENCE, get(&format!("http://{address}/api/v1/status"))).await;
    let Ok(text) = text else {
        let text = format!("what listens at {address} does not answer: it hangs, or it starts and replays");
        return Err(Line::fail("daemon", text, "journalctl -u emissiond"));
    };
    if text.is_err() && tokio::net::TcpStream::connect(address).await.is_err() {
        return Err(nobody());
    }
    let status: Option<Value> = text.ok().and_then(|text| serde_json::from_str(&text).ok());
    let is_ours = |status: &Value| status["mqtt"].is_object();
    let other = || Line::fail("daemon", format!("{address} is another program's"), "set another `daemon.http`");
    status.filter(is_ours).ok_or_else(other)
}

/// A register may send one wrong total, and the difference is no usage.
pub(crate) fn jumps(plan: &Plan) -> Option<Line> {
    let heard = plan.mappings.iter().map(|mapping| plan.rules.topology.meter(mapping.meter));
    let open = heard.filter(|meter| matches!(meter.kind, Kind::Register { .. }) && meter.max_rate.is_none());
    let ids: Vec<&str> = open.map(|meter| meter.id.as_str()).collect();
    let text = format!("{} register(s) without `max_rate`, where a false jump is booked: {}", ids.len(), named(&ids));
    let cure = "write what can flow at the most, such as `max_rate = \"500 kW\"`: what is more is set aside";
    (!ids.is_empty()).then(|| Line::warn("meters", text, cure))
}

fn troubles(status: &Value) -> Vec<Line> {
    let mut lines = Vec::new();
    let (mqtt, trouble) = (&status["mqtt"], |of: &Value| of["trouble"].as_str().map(str::to_owned));
    if mqtt["connected"] == false {
        let why = trouble(mqtt).unwrap_or_else(|| "not yet".to_owned());
        let cure =
            "after a change of a password or a key: systemctl restart emissiond; else see the lines of the broker";
        lines.push(Line::fail("daemon", format!("it has no session with the broker: {why}"), cure));
    }
    if let Some(why) = trouble(&status["influxdb"]) {
        lines.push(Line::fail("daemon", format!("its database: {why}"), "see the lines of the database"));
    }
    if let Some(held) = status["held"].as_str() {
        lines.push(Line::fail("daemon", format!("it takes nothing in: {held}"), "journalctl -u emissiond"));
    }
    let waiting = status["config"]["needs_restart"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let waiting: Vec<&str> = waiting.collect();
    if !waiting.is_empty() {
        let text = format!("changes of these sections wait for a restart: {}", waiting.join(" "));
        lines.push(Line::warn("daemon", text, "systemctl restart emissiond"));
    }
    if status["config"]["last_reload"]["result"] == "rejected" {
        let why = status["config"]["last_reload"]["detail"].as_str().unwrap_or("");
        lines.push(Line::warn("daemon", format!("the last configuration was rejected: {why}"), "emissiond check"));
    }
    lines
}

/// So many are named.
const NAMED: usize = 5;

/// Meters that are due and not heard, which is mostly a slip in their topic where they never were; and readings set aside.
fn silent(meters: &Value) -> Vec<Line> {
    let meters: Vec<&Value> = meters.as_array().into_iter().flatten().collect();
    let stale = |never: bool| -> Vec<&str> {
        let stale = meters.iter().filter(|meter| meter["stale"] == true && meter["last_reading"].is_null() == never);
        stale.filter_map(|meter| meter["id"].as_str()).collect()
    };
    let aside: u64 = meters.iter().filter_map(|meter| meter["quarantined"].as_u64()).sum();
    let mut lines = Vec::new();
    let mut warn = |count: u64, text: String, cure: &str| {
        if count > 0 {
            lines.push(Line::warn("meters", text, cure));
        }
    };
    let (never, silent) = (stale(true), stale(false));
    let text = format!("{} meter(s) without a single reading: {}", never.len(), named(&never));
    let cure =
        "is its `topic` right? `emissiond tap '#'` shows what arrives, `emissiond refused` what cannot be booked";
    warn(never.len() as u64, text, cure);
    let text = format!("{} meter(s) silent for longer than `stale_after`: {}", silent.len(), named(&silent));
    warn(silent.len() as u64, text, "see to the meter and its way to the broker");
    warn(aside, format!("{aside} reading(s) are set aside and wait for a decision"), "emissiond quarantine list");
    lines
}

fn named(ids: &[&str]) -> String {
    let more = if ids.len() > NAMED { " ..." } else { "" };
    format!("{}{more}", ids.iter().take(NAMED).copied().collect::<Vec<_>>().join(" "))
}

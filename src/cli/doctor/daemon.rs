//! The daemon that runs, asked itself: what it has in use may be older than the files that are read here.

use serde_json::Value;

use crate::cli::doctor::Line;
use crate::cli::get;
use crate::config::Plan;

pub(crate) async fn look(plan: &Plan) -> Vec<Line> {
    let address = plan.daemon.http;
    let Ok(text) = get(&format!("http://{address}/api/v1/status")).await else {
        let taken = tokio::net::TcpStream::connect(address).await.is_ok();
        return vec![if taken {
            Line::fail("daemon", format!("{address} is another program's"), "set another `daemon.http`")
        } else {
            Line::warn("daemon", format!("nobody answers at {address}"), "systemctl start emissiond")
        }];
    };
    let Ok(status) = serde_json::from_str::<Value>(&text) else {
        return vec![Line::fail("daemon", format!("{address} is another program's"), "set another `daemon.http`")];
    };
    let mut lines = vec![Line::pass("daemon", format!("it answers at {address}"))];
    let received = status["messages"]["received"].as_u64().unwrap_or(0);
    let (mqtt, trouble) = (&status["mqtt"], |of: &Value| of["trouble"].as_str().map(str::to_owned));
    if mqtt["connected"] == false {
        let why = trouble(mqtt).unwrap_or_else(|| "not yet".to_owned());
        let cure = "systemctl reload emissiond; a credential (LoadCredential) is handed over anew by a restart alone";
        lines.push(Line::fail("daemon", format!("it has no session with the broker: {why}"), cure));
    }
    if mqtt["subscribed"] == true && received == 0 && !plan.rules.topology.meters.is_empty() {
        let cure = "does a meter publish? `emissiond tap` shows what arrives; mosquitto grants subscriptions whose messages its \
                    access rules then keep back: see deploy/emissiond.acl";
        lines.push(Line::warn("daemon", "nothing was received since it started", cure));
    }
    if let Some(why) = trouble(&status["influxdb"]) {
        lines.push(Line::fail("daemon", format!("its database: {why}"), "the same"));
    }
    if let Some(held) = status["held"].as_str() {
        lines.push(Line::fail("daemon", format!("it takes nothing in: {held}"), "journalctl -u emissiond"));
    }
    if status["config"]["last_reload"]["result"] == "rejected" {
        let why = status["config"]["last_reload"]["detail"].as_str().unwrap_or("");
        lines.push(Line::warn("daemon", format!("the last configuration was rejected: {why}"), "emissiond check"));
    }
    if plan.rules.topology.meters.is_empty() {
        lines.push(Line::warn("daemon", "no meter is declared: nothing is measured", "see the tutorial"));
    }
    lines
}

//! The broker: its name, its certificate, whether it lets us in and grants what is subscribed, and what its queue covers.

use crate::cli::doctor::{Line, expiry};
use crate::mqtt::{Options, Probe, probe};
use crate::tls::expires_of_file;

/// What mosquitto holds for a client that is away, unless it is told otherwise.
const QUEUE: f64 = 1_000.0;
/// A restart of the machine takes less.
const COVER_MINUTES: f64 = 60.0;

pub(crate) async fn look(options: &Options) -> Vec<Line> {
    let server = &options.server;
    let address = tokio::net::lookup_host((server.host.as_str(), server.port)).await;
    let found = address.map(|all| all.map(|address| address.ip().to_string()).collect::<Vec<_>>());
    let mut lines = match found {
        Ok(found) if !found.is_empty() => {
            vec![Line::pass("broker name", format!("{} is {}", server.host, found.join(" ")))]
        }
        Ok(_) => vec![Line::fail("broker name", format!("{} has no address", server.host), "see `mqtt.url`, and DNS")],
        Err(error) => vec![Line::fail("broker name", format!("{}: {error}", server.host), "see `mqtt.url`, and DNS")],
    };
    let found = probe(options, format!("emissiond-doctor-{:08x}", fastrand::u32(..))).await;
    lines.push(login(options, &found));
    lines.extend(certificates(options, &found));
    if found.trouble.is_some() {
        return lines;
    }
    lines.push(match &found.refused[..] {
        [] => Line::pass("subscriptions", format!("{} granted", options.subscribe.len())),
        refused => Line::fail(
            "subscriptions",
            format!("refused: {}", refused.join(" ")),
            "let the user read these topics: see deploy/emissiond.acl",
        ),
    });
    lines.push(queue(&found));
    lines
}

fn login(options: &Options, found: &Probe) -> Line {
    let server = &options.server;
    let at = format!("{}:{}", server.host, server.port);
    match &found.trouble {
        None => {
            let version = found.version.as_deref().unwrap_or("of a kind that does not tell its version");
            let how = if server.tls { "TLS" } else { "in clear" };
            Line::pass("broker", format!("{at} lets us in, {how}: {version}"))
        }
        Some(trouble) => Line::fail("broker", format!("{at}: {trouble}"), cure(options, trouble)),
    }
}

/// What each trouble mostly comes from.
fn cure(options: &Options, trouble: &str) -> &'static str {
    let is = |words: &[&str]| words.iter().any(|word| trouble.contains(word));
    if is(&["received fatal alert"]) {
        "it does not accept who we are: see `cert_file` and `key_file` of [mqtt], and whom it trusts"
    } else if is(&["ertificate"]) {
        "the name of `mqtt.url` must be in its certificate, and `ca_file` its authority"
    } else if is(&["NotAuthorized", "BadUserNamePassword"]) {
        "see `username`, `password_file` and `cert_file` of [mqtt]"
    } else if is(&["password file", ".crt", ".key", ".pem"]) {
        "write the file, or hand it over as a credential of the unit"
    } else if is(&["refused", "timed out", "Timeout", "unreachable"]) {
        "start it, or see `mqtt.url` and the firewall"
    } else if options.server.tls {
        "does it speak TLS at this port? see `mqtt.url`: mqtt:// or mqtts://"
    } else {
        "does it speak TLS alone at this port? see `mqtt.url`: mqtt:// or mqtts://"
    }
}

fn certificates(options: &Options, found: &Probe) -> Vec<Line> {
    let mut lines = Vec::new();
    lines.extend(found.not_after.map(|end| expiry("certificate", "the broker's certificate", end)));
    if let Some(path) = &options.cert_file {
        lines.push(match expires_of_file(path) {
            Ok(end) => expiry("certificate", "our certificate for the broker", end),
            Err(error) => Line::fail("certificate", error.to_string(), "see `mqtt.cert_file`"),
        });
    }
    let is_here = ["localhost", "127.0.0.1", "::1"].contains(&options.server.host.as_str());
    if !options.server.tls && !is_here {
        lines.push(Line::warn(
            "certificate",
            "readings and password go in clear over the network",
            "mqtts:// and `ca_file`",
        ));
    }
    lines
}

/// What a broker holds for us while we are away cannot be asked for; how soon the usual would be full, can.
fn queue(found: &Probe) -> Line {
    let cure = "mosquitto: `max_queued_messages 0`, `persistence true`, and no `persistent_client_expiration` that is shorter \
                than the longest outage (deploy/mosquitto.conf); what it has set cannot be asked for over MQTT 3.1.1";
    let dropped = found.dropped.filter(|dropped| *dropped > 0);
    let text = dropped.map_or_else(String::new, |dropped| format!("; it dropped {dropped} messages since its start"));
    match found.messages_a_minute {
        Some(rate) if rate > 0.0 => {
            let minutes = QUEUE / rate;
            let text =
                format!("{rate:.0} messages a minute: the usual queue of {QUEUE:.0} covers {minutes:.1} minutes{text}");
            if minutes < COVER_MINUTES || dropped.is_some() {
                Line::warn("broker queue", text, cure)
            } else {
                Line::pass("broker queue", text)
            }
        }
        _ if dropped.is_some() => Line::warn("broker queue", format!("its load is not known{text}"), cure),
        Some(_) => Line::pass("broker queue", "no load in the last minute"),
        None => Line::warn("broker queue", "it does not tell its load ($SYS)", cure),
    }
}

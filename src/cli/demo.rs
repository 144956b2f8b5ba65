//! `emissiond demo`: everything in one process, on simulated meters, leaving nothing behind.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rumqttd::{Broker, ConnectionSettings, RouterConfig, ServerSettings};
use tokio::net::TcpStream;

use crate::alert::Alarm;
use crate::cli::run::failure;
use crate::cli::simulate::synthesise;
use crate::cli::{CONFIGURATION, FAILED, Failure, USAGE, get, runtime};
use crate::config::{Plan, load};
use crate::daemon;
use crate::mqtt::Server;
use crate::quantity::Span;
use crate::simulate::Publisher;

#[derive(Args)]
pub(crate) struct Arguments {
    /// End after this long, such as 30s; without it, at Ctrl-C
    #[arg(long = "for")]
    duration: Option<String>,
}

/// The reference clusters as shipped.
const CLUSTERS: &str = include_str!("../../config/network.toml");
/// A limit so low that it is exceeded before a minute is over.
const OVERRUN: &str = r#"
[rules.demo-overrun]
kind = "limit"
select = { facility = "dk-steelworks", scope = 1 }
average = "1m"
align = "sliding"
limit = "200 t/h"
response = "Nothing: this limit is there to be exceeded"
"#;
/// Meters report this often here, whatever they are configured for.
const EVERY: Span = Span::seconds(1);
const TABLE_EVERY: Duration = Duration::from_secs(2);
const MESSAGES_A_SECOND: f64 = 5_000.0;

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let limit = match &arguments.duration {
        None => None,
        Some(text) => Some(
            Span::parse(text)
                .ok_or_else(|| Failure::new(USAGE, format!("`{text}` is no duration; write 30s or 5m")))?,
        ),
    };
    let directory = tempfile::tempdir()?;
    let port = free_port()?;
    let plan = demo_plan(directory.path(), port)?;
    start_broker(port)?;
    let result = runtime()?.block_on(show(plan, port, limit));
    directory.close()?;
    result
}

fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn demo_plan(directory: &Path, port: u16) -> Result<Plan, Failure> {
    let parts = directory.join("conf.d");
    std::fs::create_dir(&parts)?;
    std::fs::write(parts.join("network.toml"), CLUSTERS)?;
    let own = format!(
        "[daemon]\nstate_dir = \"state\"\nhttp = \"127.0.0.1:0\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\ninflight = 100\n{OVERRUN}"
    );
    let file = directory.join("demo.toml");
    std::fs::write(&file, own)?;
    let (plan, report) = load(Some(&file));
    let plan = plan.map(|plan| Plan { simulated: true, ..plan });
    plan.ok_or_else(|| Failure::new(CONFIGURATION, report.to_text()))
}

/// The embedded broker lives on a thread of its own and ends with the process.
fn start_broker(port: u16) -> Result<(), Failure> {
    let connections = ConnectionSettings {
        connection_timeout_ms: 5_000,
        max_payload_size: 1 << 20,
        max_inflight_count: 1_000,
        auth: None,
        external_auth: None,
        dynamic_filters: false,
    };
    let server = ServerSettings {
        name: "demo".to_owned(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        tls: None,
        next_connection_delay_ms: 1,
        connections,
    };
    let config = rumqttd::Config {
        router: RouterConfig {
            max_connections: 16,
            max_outgoing_packet_count: 1_000,
            max_segment_size: 1 << 20,
            max_segment_count: 10,
            ..RouterConfig::default()
        },
        v4: Some(HashMap::from([("demo".to_owned(), server)])),
        ..rumqttd::Config::default()
    };
    let mut broker = Broker::new(config);
    std::thread::Builder::new().name("broker".to_owned()).spawn(move || {
        if let Err(error) = broker.start() {
            eprintln!("the embedded broker ended: {error}");
        }
    })?;
    Ok(())
}

async fn show(plan: Plan, port: u16, limit: Option<Span>) -> Result<(), Failure> {
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (rules, mappings) = (Arc::clone(&plan.rules), plan.mappings.clone());
    let mut running = daemon::start(plan).await.map_err(failure)?;
    let url = format!("http://{}", running.http);
    let mut out = std::io::stdout();
    writeln!(out, "SIMULATED: no figure below is a measurement")?;
    writeln!(out, "broker   mqtt://127.0.0.1:{port}")?;
    writeln!(out, "page     {url}/")?;
    writeln!(out, "status   {url}/api/v1/status\n")?;
    let server = Server { host: "127.0.0.1".to_owned(), port, tls: false };
    let publisher = Publisher::connect(&server, MESSAGES_A_SECOND).await;
    let mut publisher = publisher.map_err(|e| Failure::new(FAILED, e))?;
    let ended = async {
        match limit {
            Some(limit) => tokio::time::sleep(Duration::from_millis(limit.0.unsigned_abs())).await,
            None => std::future::pending().await,
        }
    };
    let result = tokio::select! {
        () = ended => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
        result = synthesise(&rules.topology, &mappings, &mut publisher, Some(EVERY), None) => result,
        result = table(&url) => result,
        () = running.desk_ended() => Err(Failure::new(FAILED, "the desk ended by itself")),
    };
    running.stop().await.map_err(failure)?;
    result
}

/// A table of the facilities' day so far, drawn over itself on a terminal.
async fn table(url: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let terminal = out.is_terminal();
    let mut drawn = 0;
    let mut pulse = tokio::time::interval(TABLE_EVERY);
    loop {
        pulse.tick().await;
        let entries = get(&format!("{url}/api/v1/entries?level=facility&window=1d")).await;
        let entries = entries.map_err(|e| Failure::new(FAILED, e))?;
        let entries: Vec<serde_json::Value> = serde_json::from_str(&entries).map_err(|e| Failure::new(FAILED, e))?;
        if entries.is_empty() {
            continue;
        }
        if terminal && drawn > 0 {
            write!(out, "\x1b[{drawn}A\x1b[J")?;
        }
        let alarms = get(&format!("{url}/api/v1/alarms?state=active")).await.map_err(|e| Failure::new(FAILED, e))?;
        let alarms: Vec<Alarm> = serde_json::from_str(&alarms).map_err(|e| Failure::new(FAILED, e))?;
        let lines: Vec<String> = lines(&entries).into_iter().chain(alarms.iter().map(alarm_line)).collect();
        drawn = lines.len();
        for line in &lines {
            writeln!(out, "{line}")?;
        }
        if !terminal {
            writeln!(out)?;
        }
        out.flush()?;
    }
}

fn alarm_line(alarm: &Alarm) -> String {
    let Alarm { entity, rule, value, limit, unit, .. } = alarm;
    let level = alarm.level.name();
    format!("ALARM (SIMULATED)  {entity}: {rule} is {level}: {value} {unit} against {limit} {unit}")
}

fn lines(entries: &[serde_json::Value]) -> Vec<String> {
    let head = ["facility (SIMULATED)", "scope 1", "scope 2 loc.", "scope 2 market", "kg CO2e since local midnight"];
    let mut lines = vec![format!("{:<28}{:>16}{:>16}{:>16}  {}", head[0], head[1], head[2], head[3], head[4])];
    for entry in entries {
        let kg = |key: &str| entry[key].as_f64().unwrap_or(0.0) / 1e6;
        let name = entry["entity"].as_str().unwrap_or("");
        let (scope1, location, market) = (kg("scope1_mg"), kg("scope2_location_mg"), kg("scope2_market_mg"));
        lines.push(format!("{name:<28}{scope1:>16.3}{location:>16.3}{market:>16.3}"));
    }
    lines
}

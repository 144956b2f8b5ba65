//! Secrets come out nowhere: not in logs, arguments, the environment, lists, pages, or what ends a process.

use std::process::{Command, Stdio};

use crate::broker::EVENTS;
use crate::harness::run;
use crate::servers::{Daemon, Mosquitto, Process, http_get, wait_for};

/// In each secret there is one of these; none of them is in anything else.
const CANARY: &str = "canary-5a1f";

fn secrets() -> Vec<(&'static str, String)> {
    let names = ["http-token", "mqtt-password", "influx-token", "hook-token", "mail-password"];
    names.iter().map(|name| (*name, format!("{CANARY}-{name}\n"))).collect()
}

const SECTIONS: &str = r#"
username = "emissiond"
password_file = "mqtt-password"
[influxdb]
url = "http://127.0.0.1:1"
org = "o"
bucket = "b"
token_file = "influx-token"
[rules.r]
kind = "limit"
select = { facility = "f" }
average = "1m"
align = "sliding"
limit = "1 kg/h"
[notify.hook]
kind = "webhook"
url = "http://127.0.0.1:1/alarm"
token_file = "hook-token"
[notify.mail]
kind = "smtp"
url = "smtp://127.0.0.1:1"
from = "a@example.org"
to = "b@example.org"
username = "u"
password_file = "mail-password"
"#;

/// What a process, its pages and its commands show: where, and what.
fn of_process(number: u32) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for name in ["cmdline", "environ", "status", "maps"] {
        let bytes = std::fs::read(format!("/proc/{number}/{name}")).unwrap();
        all.push((format!("/proc/{name}"), String::from_utf8_lossy(&bytes).into_owned()));
    }
    all
}

fn of_pages(daemon: &Daemon) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let document: serde_json::Value = serde_json::from_str(&emissiond::http::openapi_json()).unwrap();
    let documented: Vec<String> =
        document["paths"].as_object().unwrap().keys().filter(|path| !path.ends_with("live")).cloned().collect();
    let pages = ["/", "/facility/f", "/cluster/c", "/meter/m", "/alarms", "/system", "/metrics", "/api/openapi.json"]
        .map(str::to_owned);
    for path in documented.into_iter().chain(pages) {
        let (_, text) = daemon.get(&path).unwrap();
        all.push((path, text));
    }
    for token in [None, Some("wrong")] {
        let (code, text) = daemon.post("/api/v1/alarms/x/ack", "{\"by\":\"A. Lee\"}", token);
        assert_eq!(code, 401);
        all.push(("ack".to_owned(), text));
    }
    all
}

fn of_commands(daemon: &Daemon) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let commands = [
        "check",
        "check --format json",
        "config show",
        "config show --origin",
        "doctor",
        "status",
        "meters list",
        "rules list",
        "notify preview r",
        "notify test hook",
        "notify test mail",
        "refused",
        "unmapped",
        "quarantine list",
        "alarms list",
        "audit list",
        "reconcile --from 2026-01-01T00:00:00Z --to 2026-01-02T00:00:00Z",
        "export --level meter --window 1d",
    ];
    for name in commands {
        let output = run(&mut daemon.command(name));
        all.push((name.to_owned(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()));
    }
    all
}

#[test]
fn secrets_come_out_nowhere() {
    let broker = Mosquitto::start();
    let files = secrets();
    let list: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let daemon = Daemon::new(&broker, &format!("{SECTIONS}{EVENTS}"), &list);
    let file = daemon.files.path("c.toml");
    let text = std::fs::read_to_string(&file).unwrap().replacen("[mqtt]", "token_file = \"http-token\"\n[mqtt]", 1);
    std::fs::write(&file, text).unwrap();
    let mut all: Vec<(String, String)> = Vec::new();

    // A daemon that tells all it can.
    let mut command = daemon.command("run");
    let log = std::fs::File::create(daemon.files.path("trace")).unwrap();
    command.env("RUST_LOG", "trace").stdout(Stdio::null()).stderr(log);
    let mut process = Process::spawn("emissiond", &mut command);
    wait_for("the daemon", || {
        http_get(&format!("http://127.0.0.1:{}/readyz", daemon.http)).filter(|(code, _)| *code == 200)
    });
    wait_for("the notifiers", || {
        let log = std::fs::read_to_string(daemon.files.path("trace")).ok()?;
        (log.contains("influx") && log.contains("connected to the broker")).then_some(())
    });
    let number = process.0.id();
    all.extend(of_process(number));
    all.extend(of_pages(&daemon));
    all.extend(of_commands(&daemon));
    // What is left when it is ended by force, and what it wrote into its state.
    assert!(run(Command::new("kill").args(["-ABRT", &number.to_string()])).status.success());
    process.0.wait().unwrap();
    all.push(("its log".to_owned(), std::fs::read_to_string(daemon.files.path("trace")).unwrap()));
    for entry in std::fs::read_dir(daemon.files.path("state")).unwrap().flatten().filter(|entry| entry.path().is_file())
    {
        let bytes = std::fs::read(entry.path()).unwrap();
        all.push((entry.path().display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
    }

    // A faulty configuration that holds secrets where they should not be.
    std::fs::write(
        &file,
        format!("[mqtt]\nurl = \"mqtt://u:{CANARY}@h\"\npassword = \"{CANARY}\"\n[influxdb]\ntoken = \"{CANARY}\"\n"),
    )
    .unwrap();
    for name in ["check", "config show", "doctor", "run"] {
        let output = run(&mut daemon.command(name));
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        all.push((format!("{name}, faulty"), said));
    }
    let found: Vec<&str> =
        all.iter().filter(|(_, text)| text.contains(CANARY)).map(|(what, _)| what.as_str()).collect();
    assert!(found.is_empty(), "the secret is in {found:?}");
    assert!(all.len() > 50 && all.iter().filter(|(_, text)| !text.is_empty()).count() > 40);
}

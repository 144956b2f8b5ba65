//! `doctor`: what is well, what is not, and what to do.

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use crate::broker::EVENTS;
use crate::harness::{Files, emissiond, run};
use crate::servers::{Influx, Mosquitto};

fn doctor(config: &str, files: &[(&str, &str)]) -> (String, Output) {
    let mut list = vec![("c.toml", config)];
    list.extend(files);
    let files = Files::new(&list);
    let output = run(emissiond().arg("doctor").arg("--config").arg(files.path("c.toml")));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (text, output)
}

/// The line about something; there is one of each mark.
fn line<'t>(text: &'t str, start: &str) -> &'t str {
    text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no line `{start}`:\n{text}"))
}

#[test]
fn what_is_well_passes() {
    let (broker, influx) = (Mosquitto::start(), Influx::start());
    let config = format!(
        "[mqtt]\nurl = \"{}\"\n[influxdb]\nurl = \"{}\"\norg = \"o\"\nbucket = \"emissions\"\n{EVENTS}",
        broker.url(),
        influx.url
    );
    let (text, output) = doctor(&config, &[]);
    for start in [
        "pass  configuration",
        "pass  broker name",
        "pass  broker  ",
        "pass  subscriptions",
        "pass  database",
        "pass  write",
    ] {
        line(&text, start);
    }
    // The stand-in for InfluxDB 2 has no list of buckets, and no daemon runs here.
    let failed: Vec<&str> = text.lines().filter(|line| line.starts_with("FAIL")).collect();
    assert!(failed.iter().all(|line| line.starts_with("FAIL  bucket")), "{text}");
    assert_eq!(output.status.success(), failed.is_empty());
}

#[test]
fn what_is_not_fails_with_a_cure() {
    let config = format!(
        "[daemon]\ntoken_file = \"token\"\n[mqtt]\nurl = \"mqtts://localhost:1\"\nusername = \"u\"\npassword_file = \"absent\"\n\
         [influxdb]\nurl = \"http://127.0.0.1:1\"\norg = \"o\"\nbucket = \"b\"\n{EVENTS}"
    );
    let (text, output) = doctor(&config, &[("token", "canary")]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for start in ["warn  configuration", "FAIL  broker  ", "FAIL  database", "FAIL  secret"] {
        line(&text, start);
    }
    assert!(text.matches("-> ").count() >= 4 && !text.contains("canary"), "{text}");
    let (text, output) = doctor("[meters.x]\nfoo = 1\n", &[]);
    assert_eq!(output.status.code(), Some(78), "{text}");
    line(&text, "FAIL  configuration");
}

#[test]
fn rights_that_are_too_wide_are_told() {
    let broker = Mosquitto::start();
    let files = Files::new(&[
        (
            "c.toml",
            &format!(
                "[daemon]\nstate_dir = \"state\"\ntoken_file = \"token\"\n[mqtt]\nurl = \"{}\"\n{EVENTS}",
                broker.url()
            ),
        ),
        ("token", "canary"),
        ("state/x", ""),
    ]);
    let mode = |name: &str, mode: u32| {
        std::fs::set_permissions(files.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let look = || {
        let output = run(emissiond().arg("doctor").arg("--config").arg(files.path("c.toml")));
        String::from_utf8(output.stdout).unwrap()
    };
    mode("token", 0o644);
    mode("state", 0o755);
    let wide = look();
    assert!(line(&wide, "warn  secret").contains("644") && line(&wide, "warn  state").contains("755"), "{wide}");
    mode("token", 0o600);
    mode("state", 0o700);
    let narrow = look();
    line(&narrow, "pass  secret");
    line(&narrow, "pass  state");
}

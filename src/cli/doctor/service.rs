//! The unit of systemd: whether there is one, and how it is kept apart from the rest of the machine.

use std::collections::BTreeMap;
use std::process::Command;

use crate::cli::doctor::Line;

/// What the unit that is shipped says.
const WANTED: [(&str, &str); 6] = [
    ("DynamicUser", "yes"),
    ("NoNewPrivileges", "yes"),
    ("ProtectSystem", "strict"),
    ("PrivateDevices", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("Restart", "on-failure"),
];

pub(crate) fn look() -> Vec<Line> {
    let names: Vec<&str> =
        WANTED.iter().map(|(name, _)| *name).chain(["LoadState", "ActiveState", "WatchdogUSec"]).collect();
    let output = Command::new("systemctl").args(["show", "emissiond.service", "--property", &names.join(",")]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let found: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let of = |name: &str| found.get(name).copied().unwrap_or("");
    if of("LoadState") != "loaded" {
        let cure = "install the package, or deploy/systemd/emissiond.service";
        return vec![Line::warn("service", "systemd knows no emissiond.service", cure)];
    }
    let state = of("ActiveState");
    let mut lines = vec![match state {
        "active" => Line::pass("service", "it runs"),
        "failed" | "activating" => {
            Line::fail("service", format!("it does not come up: {state}"), "journalctl -u emissiond says why")
        }
        _ => Line::warn(
            "service",
            format!("it does not run: {state}"),
            "systemctl start emissiond; journalctl -u emissiond",
        ),
    }];
    let differs: Vec<String> = WANTED
        .into_iter()
        .filter(|(name, wanted)| of(name) != *wanted)
        .map(|(name, wanted)| format!("{name} is {}, not {wanted}", of(name)))
        .collect();
    let is_watched = !["", "0", "infinity"].contains(&of("WatchdogUSec"));
    lines.push(match (&differs[..], is_watched) {
        ([], true) => Line::pass("unit", "it is kept apart, watched and started again"),
        ([], false) => Line::warn("unit", "nobody notices when it hangs", "WatchdogSec=30"),
        _ => Line::warn("unit", differs.join("; "), "systemctl cat emissiond shows what changes it"),
    });
    lines
}

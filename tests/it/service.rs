//! The service as it is installed, under a real systemd in a namespace of its own.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::broker::EVENTS;
use crate::harness::{Files, run};

const CONFIG: &str = r#"
[daemon]
state_dir = "/var/lib/emissiond"
[mqtt]
username = "emissiond"
password_file = "mqtt-password"
[ledger]
close_after = "5m"
"#;

const BROKER: &str = "listener 1883 127.0.0.1\nallow_anonymous false\npassword_file /etc/mosquitto/passwords\n";

/// Who is not root, or has no systemd-nspawn, is told so, and the test says nothing; in CI it must run.
fn can_boot() -> bool {
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let can = is_root && Path::new("/usr/bin/systemd-nspawn").exists();
    assert!(can || std::env::var_os("CI").is_none(), "this test needs root and systemd-nspawn (systemd-container)");
    if !can {
        println!("skipped: it needs root and systemd-nspawn (systemd-container)");
    }
    can
}

/// Runs a script of `tests/systemd` in a machine of its own; every line of it must be `ok`.
fn boot(script: &str, files: &Files) {
    let mut command = Command::new("tests/systemd/boot");
    command.arg(Path::new("tests/systemd").join(script)).arg(files.0.path());
    // A campaign has other roots.
    let output = run(command.args(std::env::var_os("EMISSIOND_ROOT")));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{text}");
    assert!(output.status.success() && text.contains("ok   ") && !text.contains("FAIL"), "{text}");
}

fn password(files: &Files, user: &str, password: &str) {
    let passwords = files.path("passwords");
    if !passwords.exists() {
        std::fs::write(&passwords, "").unwrap();
    }
    let mut command = Command::new("mosquitto_passwd");
    assert!(run(command.arg("-b").arg(&passwords).args([user, password])).status.success());
}

/// The package of the binary that is tested; `deploy/package` makes it of the release as well.
#[test]
fn the_package_is_installed_used_as_documented_upgraded_removed_and_purged() {
    if !can_boot() {
        return;
    }
    let output = run(Command::new("deploy/package").arg("dev"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    let package =
        String::from_utf8_lossy(&output.stdout).lines().rev().find(|line| line.ends_with(".deb")).unwrap().to_owned();
    let files = Files::new(&[("plant.toml", EVENTS)]);
    std::fs::copy(package, files.path("emissiond.deb")).unwrap();
    std::fs::copy("tests/systemd/documents.py", files.path("documents.py")).unwrap();
    assert!(run(Command::new("cp").args(["-r", "docs"]).arg(files.path("docs"))).status.success());
    boot("package", &files);
}

#[test]
fn it_starts_reloads_hangs_dies_restarts_and_stops() {
    if !can_boot() {
        return;
    }
    let (secret, meter) = ("canary-of-the-daemon", "canary-of-a-meter");
    let files = Files::new(&[
        ("emissiond.toml", &format!("{CONFIG}{EVENTS}")),
        ("mosquitto.conf", BROKER),
        ("mqtt-password", secret),
        ("meter-password", meter),
    ]);
    password(&files, "emissiond", secret);
    password(&files, "meter", meter);
    std::fs::copy("deploy/systemd/emissiond.service", files.path("emissiond.service")).unwrap();
    for name in ["lan.conf", "import-credential.conf", "notify-reload.conf"] {
        std::fs::copy(format!("deploy/systemd/emissiond.service.d/{name}"), files.path(name)).unwrap();
    }
    std::fs::copy(env!("CARGO_BIN_EXE_emissiond"), files.path("emissiond")).unwrap();
    boot("service", &files);
}

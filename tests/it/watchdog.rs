//! systemd is told that the daemon goes on only while it does.

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::broker::EVENTS;
use crate::harness::{Files, run};
use crate::servers::{Daemon, Mosquitto, Process, wait_for};

/// What systemd would hear next; `None`: nothing for so long.
fn heard(socket: &UnixDatagram, patience: Duration) -> Option<String> {
    let mut buffer = [0; 4_096];
    socket.set_read_timeout(Some(patience)).unwrap();
    let length = socket.recv(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

fn fed(socket: &UnixDatagram) -> Option<()> {
    heard(socket, Duration::from_secs(1))?.contains("WATCHDOG=1").then_some(())
}

#[test]
fn a_disk_that_hangs_is_not_hidden_from_the_watchdog() {
    let files = Files::new(&[]);
    let socket = UnixDatagram::bind(files.path("notify")).unwrap();
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, EVENTS, &[]);
    daemon.start_in(&[("NOTIFY_SOCKET", files.path("notify").to_str().unwrap()), ("WATCHDOG_USEC", "2000000")]);
    wait_for("the watchdog to be fed", || fed(&socket));

    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:delay_enter=60s", "-p"]);
    let mut tracer = Process::spawn("strace", command.arg(daemon.id()).stdout(Stdio::null()).stderr(Stdio::null()));
    let traced = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).ok()?;
        (!status.contains("TracerPid:\t0\n")).then_some(())
    };
    wait_for("strace to be there", traced);
    let port = broker.port.to_string();
    let sent = ["-p", &port, "-q", "1", "-t", "plant/co2", "-m", "{\"kg\": 1, \"t\": 1785000000000}"];
    assert!(run(Command::new("mosquitto_pub").args(sent)).status.success());
    let log = || std::fs::read_to_string(daemon.files.path("log")).unwrap();
    wait_for("the hang to be told", || log().contains("something hangs").then_some(()));
    assert!(log().contains("desk"), "{}", log());
    while heard(&socket, Duration::from_millis(1)).is_some() {}
    let after = heard(&socket, Duration::from_millis(1_500));
    assert!(after.is_none(), "three times it would have been fed: {after:?}");

    tracer.kill();
    wait_for("the watchdog to be fed again", || fed(&socket));
    assert!(daemon.stop().success());
}

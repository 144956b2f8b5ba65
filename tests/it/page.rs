//! The page, in a browser that reaches nothing but the daemon.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::broker::{Publication, publish};
use crate::harness::{Files, run};
use crate::servers::{Daemon, Mosquitto, Process, free_port, wait_for};

/// Two facilities with names that are no text to a careless page, a limit that is exceeded, and a budget.
const PLANT: &str = r#"
[networks.n]
[clusters.c]
name = "<b>Cluster</b> \"c\""
timezone = "Europe/Paris"
network = "n"
[facilities.f]
name = "<img src=x onerror=window.pwned=1>"
cluster = "c"
[facilities.g]
cluster = "c"
[templates.minute]
format = "json"
value = "/kg"
time = "/t"
time_format = "ms"
kind = "interval"
interval = "1m"
unit = "kg"
category = "cems-co2"
[meters.m]
name = "<script>window.pwned=1</script>"
facility = "f"
template = "minute"
topic = "plant/m"
[meters.n]
facility = "g"
template = "minute"
topic = "plant/n"
[rules.minute]
kind = "limit"
select = { facility = "f" }
average = "1m"
align = "sliding"
limit = "6000 kg/h"
[rules.month]
kind = "budget"
select = { facility = "*" }
budget = "90 t"
period = "month"
"#;

fn in_page_tests(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    let output = run(command.args(arguments).current_dir("tests/page"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn scripts_are_what_their_types_say() {
    in_page_tests("node_modules/.bin/tsc", &["-p", "."]);
}

#[test]
fn a_control_room_sees_what_is_booked() {
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, &format!("subscribe = [\"plant/#\"]\n{PLANT}"), &[]);
    daemon.start();
    let now = emissiond::clock::now().0 / 60_000 * 60_000;
    let minute = |meter: &str, ago: i64, kg: i64| -> Publication {
        let payload = format!("{{\"t\":{},\"kg\":{kg}}}", now - ago * 60_000);
        (format!("plant/{meter}"), payload.into_bytes(), false)
    };
    let strange = ("plant/<img src=x>\u{202e}\"".to_owned(), b"<script>window.pwned=1</script>".to_vec(), false);
    let quiet = (1..40).flat_map(|ago| [minute("m", ago, 50 + ago % 7), minute("n", ago, 11)]);
    publish(&broker, 1e6, &quiet.chain([minute("m", 0, 120), strange]).collect::<Vec<_>>());
    wait_for("an alarm", || daemon.get("/api/v1/alarms?state=active")?.1.contains("minute/facility/f").then_some(()));
    let url = format!("http://127.0.0.1:{}", daemon.http);
    println!("{}", in_page_tests("node", &["look.mjs", &url]));
    assert!(daemon.stop().success());
}

/// Pages that are open end with the daemon, and at once.
#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is what is asked")]
fn open_pages_hold_up_no_end() {
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, PLANT, &[]);
    daemon.start();
    let look = |_| {
        let mut page = TcpStream::connect(("127.0.0.1", daemon.http)).unwrap();
        page.write_all(b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut lines = BufReader::new(page).lines().map(Result::unwrap);
        assert!(lines.by_ref().any(|line| line == "event: board"));
        lines
    };
    let pages: Vec<_> = (0..64).map(look).collect();
    let began = Instant::now();
    assert!(daemon.stop().success());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(pages);
}

/// A proxy that buffers, as they do where nobody tells them otherwise, holds back no event.
#[test]
fn events_come_through_nginx() {
    let broker = Mosquitto::start();
    let mut daemon = Daemon::new(&broker, PLANT, &[]);
    daemon.start();
    let (port, files) = (free_port(), Files::new(&[]));
    let directory = files.0.path().display();
    let config = format!(
        "daemon off;\npid {directory}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n\
         client_body_temp_path {directory}/body;\nproxy_temp_path {directory}/proxy;\nfastcgi_temp_path {directory}/f;\n\
         uwsgi_temp_path {directory}/u;\nscgi_temp_path {directory}/s;\n\
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{}; }} }}\n}}\n",
        daemon.http
    );
    std::fs::write(files.path("nginx.conf"), config).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-c").arg(files.path("nginx.conf")).stderr(Stdio::null());
    let mut nginx = Process::spawn("nginx", &mut command);
    let mut page = wait_for("nginx", || TcpStream::connect(("127.0.0.1", port)).ok());
    page.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    page.write_all(b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let lines = BufReader::new(page).lines().map(Result::unwrap);
    let events: Vec<String> = lines.filter(|line| line.starts_with("event: ")).take(3).collect();
    assert_eq!(events[0], "event: board");
    assert_eq!(events.len(), 3);
    nginx.terminate();
    assert!(daemon.stop().success());
}

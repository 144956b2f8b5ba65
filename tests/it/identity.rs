//! Who is let in and who is believed: certificates of the broker, our own, and those of facilities.

use std::path::Path;
use std::process::{Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::broker::{EVENTS, total};
use crate::harness::{Files, run};
use crate::servers::{Daemon, Process, free_port, http_get, wait_for, wait_for_long};

/// An authority, and what it signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key.
struct Signed {
    certificate: String,
    key: String,
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    fn sign(&self, params: &CertificateParams) -> Signed {
        let key = KeyPair::generate().unwrap();
        Signed { certificate: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }
}

/// Mosquitto as `deploy/` configures it, at a free port.
fn broker(files: &Files, server: &Signed) -> (Process, u16) {
    let port = free_port();
    std::fs::write(files.path("broker.crt"), &server.certificate).unwrap();
    std::fs::write(files.path("broker.key"), &server.key).unwrap();
    let shipped =
        ["deploy/mosquitto.conf", "deploy/mosquitto-tls.conf"].map(|file| std::fs::read_to_string(file).unwrap());
    let config = shipped
        .concat()
        .replace("listener 8883", &format!("listener {port} 127.0.0.1"))
        .replace("/etc/mosquitto/ca_certificates/ca.crt", files.path("ca.crt").to_str().unwrap())
        .replace("/etc/mosquitto/certs/", files.path("").to_str().unwrap())
        .replace("/etc/mosquitto/emissiond.acl", "deploy/emissiond.acl")
        .replace("persistence true", "persistence false\nuser root");
    std::fs::write(files.path("m.conf"), config).unwrap();
    let mut command = Command::new("/usr/sbin/mosquitto");
    command.arg("-c").arg(files.path("m.conf")).stdout(Stdio::null()).stderr(Stdio::null());
    let process = Process::spawn("mosquitto", &mut command);
    wait_for("mosquitto", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    (process, port)
}

fn write(files: &Files, name: &str, signed: &Signed) {
    std::fs::write(files.path(&format!("{name}.crt")), &signed.certificate).unwrap();
    std::fs::write(files.path(&format!("{name}.key")), &signed.key).unwrap();
}

/// A daemon that trusts `ca.crt` beside its configuration, and shows `emissiond.crt`.
fn daemon(port: u16, authority: &Authority, config: &str) -> Daemon {
    let daemon = Daemon::behind(port, "");
    let file = daemon.files.path("c.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("mqtt://127.0.0.1", "mqtts://localhost");
    let certificates = "ca_file = \"ca.crt\"\ncert_file = \"emissiond.crt\"\nkey_file = \"emissiond.key\"\n";
    std::fs::write(file, format!("{text}{certificates}{config}")).unwrap();
    std::fs::write(daemon.files.path("ca.crt"), &authority.pem).unwrap();
    write(&daemon.files, "emissiond", &authority.sign(&params("emissiond")));
    daemon
}

/// The first trouble with the broker, while it is not connected.
fn trouble(daemon: &Daemon, process: &mut Process) -> String {
    let seen = || {
        let (_, text) = http_get(&format!("http://127.0.0.1:{}/api/v1/status", daemon.http))?;
        let status: serde_json::Value = serde_json::from_str(&text).ok()?;
        assert_eq!(status["mqtt"]["connected"], false, "it is let in");
        status["mqtt"]["trouble"].as_str().map(str::to_owned)
    };
    let trouble = wait_for("trouble with the broker", seen);
    process.kill();
    trouble
}

fn spawn(daemon: &Daemon) -> Process {
    let mut command = daemon.command("run");
    Process::spawn("emissiond", command.stdout(Stdio::null()).stderr(Stdio::null()))
}

#[test]
fn a_broker_that_cannot_prove_who_it_is_is_not_talked_to() {
    let (ours, other) = (Authority::new("ours"), Authority::new("another"));
    let mut expired = params("localhost");
    (expired.not_before, expired.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let key = KeyPair::generate().unwrap();
    let own = params("localhost").self_signed(&key).unwrap().pem();
    let cases = [
        ("wrong name", ours.sign(&params("broker.elsewhere")), "not valid for name"),
        ("expired", ours.sign(&expired), "expired"),
        ("self-signed", Signed { certificate: own, key: key.serialize_pem() }, "UnknownIssuer"),
        ("of another authority", other.sign(&params("localhost")), "UnknownIssuer"),
    ];
    for (what, server, words) in cases {
        let files = Files::new(&[("ca.crt", &ours.pem)]);
        let (_broker, port) = broker(&files, &server);
        let daemon = daemon(port, &ours, EVENTS);
        let trouble = trouble(&daemon, &mut spawn(&daemon));
        assert!(trouble.contains(words), "{what}: {trouble}");
    }
}

#[test]
fn what_is_older_than_tls_1_2_is_not_talked_to() {
    let ours = Authority::new("ours");
    let files = Files::new(&[]);
    write(&files, "server", &ours.sign(&params("localhost")));
    for version in ["-tls1_1", "-tls1"] {
        let port = free_port();
        let mut command = Command::new("openssl");
        command.args([
            "s_server",
            "-quiet",
            version,
            "-cipher",
            "DEFAULT@SECLEVEL=0",
            "-accept",
            &format!("127.0.0.1:{port}"),
        ]);
        command.arg("-cert").arg(files.path("server.crt")).arg("-key").arg(files.path("server.key"));
        let _server =
            Process::spawn("openssl", command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()));
        wait_for("openssl", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        let daemon = daemon(port, &ours, EVENTS);
        let trouble = trouble(&daemon, &mut spawn(&daemon));
        assert!(
            trouble.to_lowercase().contains("protocolversion") || trouble.contains("alert"),
            "{version}: {trouble}"
        );
    }
}

/// Publishes by mosquitto's own client as a facility.
fn publish_as(files: &Files, port: u16, who: &str, topic: &str, payload: &str) -> bool {
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "localhost", "-p", &port.to_string(), "-q", "1", "-t", topic, "-m", payload, "-i", who]);
    command.arg("--cafile").arg(files.path("ca.crt"));
    command.arg("--cert").arg(files.path(&format!("{who}.crt"))).arg("--key").arg(files.path(&format!("{who}.key")));
    run(&mut command).status.success()
}

const FACILITIES: &str = r#"
subscribe = ["plant/#"]
[clusters.c]
timezone = "UTC"
[facilities.steel]
cluster = "c"
topics = ["plant/steel/#"]
[facilities.lime]
cluster = "c"
topics = ["plant/lime/#"]
[templates.event]
format = "json"
value = "/kg"
time = "/t"
time_format = "ms"
kind = "event"
unit = "kg"
category = "cems-co2"
[meters.a]
facility = "steel"
topic = "plant/steel/a"
template = "event"
[meters.b]
facility = "lime"
topic = "plant/lime/b"
template = "event"
"#;

#[test]
fn each_facility_speaks_for_its_own_meters_alone() {
    let ours = Authority::new("ours");
    let files = Files::new(&[("ca.crt", &ours.pem)]);
    for who in ["steel", "lime", "nobody"] {
        write(&files, who, &ours.sign(&params(who)));
    }
    let (_broker, port) = broker(&files, &ours.sign(&params("localhost")));
    let mut daemon = daemon(port, &ours, FACILITIES);
    daemon.start();
    let at = |n: i64| format!("{{\"t\":{},\"kg\":1}}", emissiond::clock::now().0 - n * 1_000);
    let spoofs = [
        ("lime", "plant/steel/a"),
        ("nobody", "plant/steel/a"),
        ("nobody", "plant/lime/b"),
        ("steel", "plant/lime/b"),
        ("steel", "plant/lime/../steel/a"),
        ("steel", "plant/+/a"),
        ("steel", "/plant/steel/a"),
        ("steel", "plant//steel/a"),
        ("lime", "plant/steel"),
        ("steel", "spBv1.0/lime/DDATA/gw/b"),
        ("steel", "$SYS/broker/publish/messages/dropped"),
        ("steel", "emissiond/alarm/x"),
    ];
    for (n, (who, topic)) in (100..).zip(spoofs) {
        // MQTT 3.1.1 has no way to say that it was refused.
        publish_as(&files, port, who, topic, &at(n));
    }
    let mut stranger = Command::new("mosquitto_pub");
    stranger.args(["-h", "localhost", "-p", &port.to_string(), "-t", "plant/steel/a", "-m", &at(1)]);
    assert!(!run(stranger.arg("--cafile").arg(files.path("ca.crt"))).status.success(), "without a certificate");
    assert!(
        publish_as(&files, port, "steel", "plant/steel/a", &at(1))
            && publish_as(&files, port, "lime", "plant/lime/b", &at(2))
    );
    wait_for("the two that are meant", || (total(&daemon, "1y") == 2_000_000).then_some(()));
    assert_eq!(daemon.received(), 2, "nothing of the others came through");
    let expires = daemon.status()["certificates"].to_string();
    assert!(
        expires.contains("the broker's certificate") && expires.contains("our certificate for the broker"),
        "{expires}"
    );

    // The configuration is held to the same.
    let stolen = FACILITIES.replace("topic = \"plant/lime/b\"", "topic = \"plant/steel/b\"");
    let config = daemon.reload(&format!("{}{stolen}", certificates(&daemon)));
    let detail = config["last_reload"]["detail"].as_str().unwrap();
    assert!(detail.contains("is one of facility `steel`"), "{detail}");
    assert!(daemon.stop().success());
}

/// The lines by which a daemon names its certificates.
fn certificates(daemon: &Daemon) -> String {
    let text = std::fs::read_to_string(daemon.files.path("c.toml")).unwrap();
    text.lines().filter(|line| line.contains(".crt") || line.contains(".key")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn certificates_are_read_again() {
    let (ours, next) = (Authority::new("ours"), Authority::new("next"));
    let files = Files::new(&[("ca.crt", &ours.pem)]);
    let (mut before, port) = broker(&files, &ours.sign(&params("localhost")));
    let mut daemon = daemon(port, &ours, EVENTS);
    daemon.start();
    before.kill();
    std::fs::write(files.path("ca.crt"), &next.pem).unwrap();
    let server = next.sign(&params("localhost"));
    std::fs::write(files.path("broker.crt"), &server.certificate).unwrap();
    std::fs::write(files.path("broker.key"), &server.key).unwrap();
    let mut command = Command::new("/usr/sbin/mosquitto");
    let _after = Process::spawn("mosquitto", command.arg("-c").arg(files.path("m.conf")).stderr(Stdio::null()));
    wait_for_long("distrust", || daemon.status()["mqtt"]["trouble"].as_str()?.contains("UnknownIssuer").then_some(()));
    std::fs::write(daemon.files.path("ca.crt"), &next.pem).unwrap();
    write(&daemon.files, "emissiond", &next.sign(&params("emissiond")));
    daemon.hang_up();
    wait_for_long("trust", || (daemon.status()["mqtt"]["subscribed"] == true).then_some(()));
    assert!(daemon.stop().success());
}

/// Asks over HTTPS, trusting an authority; the name of the server is `localhost`.
fn get(port: u16, authority: &Path, path: &str, more: &[&str]) -> (bool, String) {
    let mut command = Command::new("curl");
    command.args(["-sS", "--cacert"]).arg(authority).args(more).arg(format!("https://localhost:{port}{path}"));
    let output = run(&mut command);
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// Whoever the server is.
fn insecurely<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [more, &["-k"]].concat()
}

#[test]
fn over_tls_nothing_is_shown_or_changed_without_the_token() {
    let ours = Authority::new("ours");
    let port = free_port();
    let broker = crate::servers::Mosquitto::start();
    let https = format!(
        "https = \"127.0.0.1:{port}\"\ncert_file = \"web.crt\"\nkey_file = \"web.key\"\ntoken_file = \"token\"\n"
    );
    let mut daemon = Daemon::new(&broker, EVENTS, &[("token", "canary"), ("ca.crt", &ours.pem)]);
    let file = daemon.files.path("c.toml");
    let text = std::fs::read_to_string(&file).unwrap().replacen("[mqtt]", &format!("{https}[mqtt]"), 1);
    std::fs::write(&file, text).unwrap();
    write(&daemon.files, "web", &ours.sign(&params("localhost")));
    daemon.start();
    let authority = daemon.files.path("ca.crt");
    let bearer = ["-H", "authorization: Bearer canary"];
    for path in ["/", "/api/v1/entries?level=meter&window=quarter", "/metrics", "/assets/page.css", "/api/v1/live"] {
        let (_, head) = get(port, &authority, path, &["-D-", "-o/dev/null"]);
        assert!(head.starts_with("HTTP/1.1 401") && head.contains("Basic realm"), "{path}: {head}");
        let (_, head) = get(port, &authority, path, &["-D-", "-o/dev/null", "-u", "lee:wrong"]);
        assert!(head.starts_with("HTTP/1.1 401"), "{path}: {head}");
    }
    assert!(get(port, &authority, "/metrics", &bearer).1.contains("emissiond_"), "as Prometheus shows it");
    let (well, page) = get(port, &authority, "/", &["-u", "lee:canary"]);
    assert!(well && page.contains("Emissions now"), "as a browser shows it: {page}");
    assert!(!get(port, &authority, "/", &["--tls-max", "1.1"]).0, "TLS 1.1");
    let ack =
        ["-X", "POST", "-H", "content-type: application/json", "-d", "{\"by\":\"A. Lee\"}", "-w", " %{http_code}"];
    assert!(get(port, &authority, "/api/v1/alarms/x/ack", &ack).1.ends_with(" 401"));
    let browser = [&ack[..], &["-u", "lee:canary"]].concat();
    assert!(get(port, &authority, "/api/v1/alarms/x/ack", &browser).1.ends_with(" 401"), "a browser shows it unasked");
    let shown = [&ack[..], &bearer].concat();
    assert!(get(port, &authority, "/api/v1/alarms/x/ack", &shown).1.ends_with(" 404"), "who shows the token may");
    // Somebody who connects and says nothing, more often than there are places, holds up nobody.
    let silent: Vec<_> = (0..300).map(|_| std::net::TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    assert!(get(port, &authority, "/healthz", &["--interface", "127.0.0.2", "-m", "2"]).0);
    drop(silent);
    wait_for("its places to be free", || get(port, &authority, "/healthz", &[]).0.then_some(()));

    let next = Authority::new("next");
    std::fs::write(&authority, &next.pem).unwrap();
    assert!(!get(port, &authority, "/healthz", &[]).0);
    let server = next.sign(&params("localhost"));
    write(&daemon.files, "web", &server);
    std::fs::write(daemon.files.path("token"), "another").unwrap();
    std::fs::write(daemon.files.path("web.key"), "half a k").unwrap();
    let checked = run(daemon.command("check").args(["--format", "json"]));
    let problems = String::from_utf8(checked.stdout).unwrap();
    assert!(
        checked.status.code() == Some(78) && problems.contains("C016") && problems.contains("web.key"),
        "{problems}"
    );
    let config = daemon.hang_up();
    let rejected = &config["last_reload"];
    assert!(rejected["result"] == "rejected" && rejected["detail"].as_str().unwrap().contains("web.key"), "{rejected}");
    assert!(get(port, &authority, "/api/v1/alarms/x/ack", &insecurely(&shown)).1.ends_with(" 404"), "all is as it was");
    std::fs::write(daemon.files.path("web.key"), server.key).unwrap();
    assert_eq!(daemon.hang_up()["last_reload"]["result"], "applied");
    assert!(get(port, &authority, "/healthz", &[]).0, "the certificate is read again");
    assert!(get(port, &authority, "/api/v1/alarms/x/ack", &shown).1.ends_with(" 401"), "and the token");
    let log = std::fs::read_to_string(daemon.files.path("log")).unwrap();
    assert!(!log.contains("canary"), "{log}");
    assert!(daemon.stop().success());
}

#[test]
fn a_certificate_that_ends_soon_is_told_of() {
    let ours = Authority::new("ours");
    let files = Files::new(&[("ca.crt", &ours.pem)]);
    let mut soon = params("localhost");
    let end = emissiond::quantity::Time(emissiond::clock::now().0 + 20 * 86_400_000).to_string();
    let part = |range: std::ops::Range<usize>| end[range].parse::<u16>().unwrap();
    soon.not_after = date_time_ymd(part(0..4).into(), part(5..7) as u8, part(8..10) as u8);
    let (broker, port) = broker(&files, &ours.sign(&soon));
    let rule = "[rules.self]\nkind = \"daemon\"\nwatch = [\"certificates\"]\nfor = \"0s\"\n";
    let mut daemon = daemon(port, &ours, &format!("{EVENTS}{rule}"));
    daemon.start();
    let alarm = || {
        let (_, text) = daemon.get("/api/v1/alarms")?;
        let alarms: serde_json::Value = serde_json::from_str(&text).ok()?;
        alarms.get(0).cloned()
    };
    let alarm = wait_for_long("an alarm", alarm);
    assert_eq!(alarm["level"], "warning", "{alarm}");
    let detail = alarm["detail"].as_str().unwrap();
    assert!(detail.contains(&format!("the broker's certificate ends {}", &end[..10])), "{detail}");

    // One that is not accepted changes nothing.
    let mqtt = || daemon.status()["mqtt"].clone();
    let certificates = || daemon.status()["certificates"].to_string();
    let foreign = Authority::new("another").sign(&params("localhost"));
    std::fs::write(files.path("broker.crt"), &foreign.certificate).unwrap();
    std::fs::write(files.path("broker.key"), &foreign.key).unwrap();
    let hang_up = || assert!(run(Command::new("kill").arg("-HUP").arg(broker.0.id().to_string())).status.success());
    hang_up();
    let looked = || {
        daemon.hang_up();
        std::fs::read_to_string(daemon.files.path("log")).unwrap().contains("is not accepted").then_some(())
    };
    wait_for("the look", looked);
    assert!(certificates().contains(&end[..10]), "{}", certificates());

    // It is renewed while the connection lives on: a reload looks.
    let server = ours.sign(&params("localhost"));
    std::fs::write(files.path("broker.crt"), &server.certificate).unwrap();
    std::fs::write(files.path("broker.key"), &server.key).unwrap();
    hang_up();
    let looked = || {
        daemon.hang_up();
        (!certificates().contains(&end[..10])).then_some(())
    };
    wait_for("the renewed one", looked);
    assert_eq!(mqtt()["connects"], 1, "by the connection that was there: {}", mqtt());
    assert!(daemon.stop().success());
}

//! Ways of telling: a real Alertmanager, mail, templates, topics, the database.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::alarms::hook::{Hook, METERS, MINUTE, end_of, overrun};
use crate::broker::publish;
use crate::harness::{Files, emissiond, run};
use crate::servers::{Daemon, Influx, Mosquitto, Process, free_port, http_get, wait_for, wait_for_long};

/// Debian's Alertmanager.
struct Alertmanager {
    port: u16,
    _files: Files,
    _process: Process,
}

impl Alertmanager {
    fn start() -> Alertmanager {
        let route = "route:\n  receiver: none\n  group_by: [facility]\n  group_wait: 1s\nreceivers:\n  - name: none\n";
        let (files, port) = (Files::new(&[("a.yml", route)]), free_port());
        let mut command = Command::new("prometheus-alertmanager");
        command.arg(format!("--config.file={}", files.path("a.yml").display()));
        command.arg(format!("--storage.path={}", files.path("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--cluster.listen-address=");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::spawn("prometheus-alertmanager", &mut command);
        wait_for("Alertmanager", || {
            http_get(&format!("http://127.0.0.1:{port}/-/ready")).filter(|(code, _)| *code == 200)
        });
        Alertmanager { port, _files: files, _process: process }
    }

    /// What amtool shows of the alerts that fire.
    fn firing(&self) -> Vec<Value> {
        let url = format!("--alertmanager.url=http://127.0.0.1:{}", self.port);
        let output = run(Command::new("amtool").args([&url, "alert", "query", "-o", "json"]));
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    fn groups(&self) -> Value {
        let (_, text) = http_get(&format!("http://127.0.0.1:{}/api/v2/alerts/groups", self.port)).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

#[test]
fn alertmanager_receives_groups_and_resolves() {
    let (broker, alertmanager) = (Mosquitto::start(), Alertmanager::start());
    let second = MINUTE.replace("[rules.minute]", "[rules.second]\npriority = \"high\"\nresponse = \"look\"");
    let config = format!(
        "{METERS}{MINUTE}{second}[notify.am]\nkind = \"alertmanager\"\nurl = \"http://127.0.0.1:{}\"\nheartbeat = \"5s\"\n",
        alertmanager.port
    );
    let mut daemon = Daemon::new(&broker, &config, &[]);
    daemon.start();
    let (at, readings) = overrun();
    publish(&broker, 1e6, &readings);
    let names = || -> Vec<String> {
        let name = |alert: &Value| alert["labels"]["alertname"].as_str().unwrap().to_owned();
        let mut names: Vec<String> = alertmanager.firing().iter().map(name).collect();
        names.sort();
        names
    };
    wait_for("the alarms", || (names() == ["emissiond-alive", "minute", "second"]).then_some(()));
    let groups = alertmanager.groups();
    let of_facility = groups.as_array().unwrap().iter().find(|group| group["labels"]["facility"] == "f").unwrap();
    assert_eq!(of_facility["alerts"].as_array().unwrap().len(), 2, "{groups}");
    let priority = |name: &str| {
        let all = alertmanager.firing();
        let alert = all.iter().find(|alert| alert["labels"]["alertname"] == name).cloned().unwrap();
        alert["labels"]["priority"].as_str().unwrap().to_owned()
    };
    assert_eq!((priority("minute").as_str(), priority("second").as_str()), ("medium", "high"));
    publish(&broker, 1e6, &end_of(at));
    wait_for("their end", || (names() == ["emissiond-alive"]).then_some(()));
    assert!(daemon.stop().success());
}

/// Mails that came, as they were sent.
type Mails = Arc<Mutex<Vec<String>>>;

/// Takes mail, as a server does.
async fn take_mail(stream: impl AsyncRead + AsyncWrite + Unpin, mails: Mails) {
    let mut stream = BufReader::new(stream);
    let mut mail: Option<String> = None;
    stream.write_all(b"220 sink\r\n").await.unwrap();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        if let Some(text) = &mut mail {
            if line != ".\r\n" {
                text.push_str(&line);
                continue;
            }
            mails.lock().unwrap().extend(mail.take());
        }
        let answer = match line.split_whitespace().next() {
            Some("EHLO") => "250-sink\r\n250 AUTH PLAIN\r\n",
            Some("AUTH") => "235 welcome\r\n",
            Some("DATA") => {
                mail = Some(String::new());
                "354 go on\r\n"
            }
            Some("QUIT") => "221 bye\r\n",
            _ => "250 ok\r\n",
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// A server that takes mail; with TLS from the first byte where a certificate is given.
fn mail_server(tls: Option<Arc<rustls::ServerConfig>>) -> (u16, Mails, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let (port, mails) = (listener.local_addr().unwrap().port(), Mails::default());
    let taken = Arc::clone(&mails);
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (mails, tls) = (Arc::clone(&taken), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => take_mail(stream, mails).await,
                    Some(config) => {
                        if let Ok(stream) = tokio_rustls::TlsAcceptor::from(config).accept(stream).await {
                            take_mail(stream, mails).await;
                        }
                    }
                }
            });
        }
    });
    (port, mails, runtime)
}

fn mail_config(url: &str, more: &str) -> String {
    format!(
        "{METERS}{MINUTE}response = \"Cut boiler 2\"\n[notify.mail]\nkind = \"smtp\"\nurl = \"{url}\"\n\
         from = \"Gateway <gateway@example.com>\"\nto = [\"ops@example.com\", \"energy@example.com\"]\n{more}"
    )
}

#[test]
fn mail_is_readable_and_of_one_thread() {
    let (broker, (port, mails, _runtime)) = (Mosquitto::start(), mail_server(None));
    let mut daemon = Daemon::new(&broker, &mail_config(&format!("smtp://127.0.0.1:{port}"), ""), &[]);
    daemon.start();
    let (at, readings) = overrun();
    publish(&broker, 1e6, &readings);
    let mail = wait_for("the mail", || mails.lock().unwrap().first().cloned());
    for line in [
        "Subject: [emissiond] facility/f: minute is over: 6060 kg/h against 6000 kg/h",
        "From: Gateway <gateway@example.com>",
        "To: ops@example.com, energy@example.com",
        "to do: Cut boiler 2",
    ] {
        assert!(mail.contains(line), "{line} is not in\n{mail}");
    }
    publish(&broker, 1e6, &end_of(at));
    let over = wait_for("the end", || mails.lock().unwrap().get(1).cloned());
    assert!(over.contains("Subject: [emissiond] facility/f: minute is back to normal"), "{over}");
    assert!(daemon.stop().success());
}

#[test]
fn mail_goes_by_tls_to_whom_it_trusts() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = builder.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key.into()).unwrap();
    let (port, mails, _runtime) = mail_server(Some(Arc::new(config)));
    let test = |more: &str| {
        let account = "username = \"gateway\"\npassword_file = \"password\"\n";
        let text = mail_config(&format!("smtps://localhost:{port}"), &format!("{account}{more}"));
        let files = Files::new(&[("c.toml", &text), ("ca.pem", &cert.pem()), ("password", "s3cret\n")]);
        let output = run(emissiond().args(["notify", "test", "mail", "-c"]).arg(files.path("c.toml")));
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(test("ca_file = \"ca.pem\"\n").0, Some(0));
    let mail = mails.lock().unwrap()[0].clone();
    assert!(mail.contains("to do: nothing: this is a test"), "{mail}");
    // Who is not trusted is told nothing.
    let (code, text) = test("");
    assert!(code == Some(1) && !text.contains("s3cret"), "{text}");
    assert_eq!(mails.lock().unwrap().len(), 2);
}

#[test]
fn templates_make_what_others_expect() {
    let hook = Hook::start(0);
    let config = |more: &str| {
        format!(
            "{METERS}{MINUTE}[notify.chat]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}/alarm\"\n{more}",
            hook.port
        )
    };
    let run_with = |command: &[&str], more: &str, template: &str| {
        let files = Files::new(&[("c.toml", &config(more)), ("own.j2", template)]);
        let output = run(emissiond().args(command).arg("-c").arg(files.path("c.toml")));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
    };
    let preview = |more: &str, template: &str| run_with(&["notify", "preview", "minute"], more, template).1;
    for (format, field) in [("ntfy\"\ntopic = \"alarms", "title"), ("slack", "text"), ("teams", "attachments")] {
        let shown = preview(&format!("format = \"{format}\"\n"), "");
        let body = shown.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("{shown}"));
        let body: Value = serde_json::from_str(body).unwrap();
        assert!(body.get(field).is_some(), "{body}");
    }
    let own = "template_file = \"own.j2\"\ncontent_type = \"text/plain\"\n";
    let shown = preview(own, "{{ alerts[0].rule }} at {{ alerts[0].entity }}: {{ status }}");
    assert!(shown.contains("minute at facility/f: firing"), "{shown}");
    let (code, text) = run_with(&["check"], own, "{{ alerts[0].nothing.there }}");
    assert!(code == Some(78) && text.contains("template"), "{text}");
    let (code, text) = run_with(&["notify", "test", "chat"], "", "");
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(hook.messages(), 2);
    assert_eq!(run_with(&["notify", "test", "nobody"], "", "").0, Some(64));
}

#[test]
fn turns_of_alarms_are_points_in_the_database() {
    let (broker, influx) = (Mosquitto::start(), Influx::start());
    let section = format!("[influxdb]\nurl = \"{}\"\norg = \"o\"\nbucket = \"emissions\"\n", influx.url);
    let mut daemon = Daemon::new(&broker, &format!("{METERS}{MINUTE}{section}"), &[]);
    daemon.start();
    let (at, readings) = overrun();
    publish(&broker, 1e6, &readings);
    let active = || (daemon.get("/api/v1/alarms?state=active")?.1 != "[]\n").then_some(());
    wait_for("the alarm", active);
    publish(&broker, 1e6, &end_of(at));
    let points = || -> Option<(usize, String)> {
        let answer = influx.query("SELECT state, value, \"limit\", excess_kg, rule, entity, priority FROM alarms");
        let rows = answer["results"][0]["series"][0]["values"].as_array()?.clone();
        (rows.len() == 2).then(|| (rows.len(), answer.to_string()))
    };
    let (_, text) = wait_for_long("both turns", points);
    for part in ["\"active\"", "\"returned\"", "6060", "6000", "\"minute\"", "\"facility/f\"", "\"medium\""] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

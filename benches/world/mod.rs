//! What benches of the whole daemon share: a real mosquitto, the daemon, a publisher.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};

/// A process that ends with the value.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A free port.
pub(crate) fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits for a condition.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(120), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A mosquitto that lets a thousand messages be on their way.
pub(crate) fn broker(directory: &Path) -> (Running, u16) {
    let port = port();
    let text = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 1000\nmax_queued_messages 0\nset_tcp_nodelay true\n"
    );
    std::fs::write(directory.join("m.conf"), text).unwrap();
    let child =
        Command::new("/usr/sbin/mosquitto").arg("-c").arg(directory.join("m.conf")).stderr(Stdio::null()).spawn();
    let running = Running(child.expect("mosquitto is needed: tests/run installs it"));
    until("mosquitto", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    (running, port)
}

/// Publishes `count` messages from three clients, paced when `rate` is given.
pub(crate) fn publish(
    broker: u16,
    topic: impl Fn(usize) -> String + Send + 'static,
    count: usize,
    rate: Option<f64>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut options = MqttOptions::new(format!("bench-{}", fastrand::u32(..)), "127.0.0.1", broker);
            options.set_inflight(1_000);
            let (client, mut events) = AsyncClient::new(options, 1_000);
            let started = Instant::now();
            let sending = async {
                for n in 0..count {
                    if let Some(rate) = rate {
                        let due = started + Duration::from_secs_f64(n as f64 / rate);
                        if due > Instant::now() {
                            tokio::time::sleep_until(due.into()).await;
                        }
                    }
                    let now = emissiond::clock::now().0;
                    let payload = format!("{{\"ts\":{now},\"v\":1,\"q\":\"good\",\"n\":{n}}}");
                    client.publish(topic(n), QoS::AtLeastOnce, false, payload).await.unwrap();
                }
            };
            let receiving = async {
                let mut acknowledged = 0;
                while acknowledged < count {
                    if let Event::Incoming(Packet::PubAck(_)) = events.poll().await.unwrap() {
                        acknowledged += 1;
                    }
                }
            };
            tokio::join!(sending, receiving);
        });
    })
}

/// What the daemon answers.
pub(crate) fn get(http: u16, path: &str) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = client.get(format!("http://127.0.0.1:{http}{path}")).send().await.ok()?;
        response.text().await.ok()
    })
}

/// The daemon, once it listens to the broker.
pub(crate) fn daemon(config: &Path, http: u16) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emissiond"));
    let running = Running(command.args(["run", "--config"]).arg(config).stderr(Stdio::null()).spawn().unwrap());
    until("the daemon", || get(http, "/readyz").is_some());
    until("the session", || get(http, "/metrics").is_some_and(|text| text.contains("emissiond_mqtt_connected 1")));
    running
}

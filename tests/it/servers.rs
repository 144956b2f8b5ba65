//! Real servers on free loopback ports: mosquitto, influxdb 1.6 behind a shim, victoria-metrics, and the daemon itself.
//!
//! A server that is not installed is named, and fails the test: `tests/run` installs what is needed.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde_json::Value;

use crate::harness::{Files, emissiond, number, run, shared_data};

/// How long a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A free port, given once, and below those that the system gives to connections, which come and go while the tests run.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let from = 11_000 + (std::process::id() % 150) as u16 * 100;
    loop {
        let port = from + GIVEN.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "giving up after a while, not booking")]
fn wait<T>(what: &str, patience: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < patience, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits for a condition; `what` names it when it never comes.
pub fn wait_for<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    wait(what, PATIENCE, condition)
}

/// The same for what takes its back-offs.
pub fn wait_for_long<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    wait(what, 5 * PATIENCE, condition)
}

fn wait_for_port(what: &str, port: u16) {
    wait_for(what, || TcpStream::connect(("127.0.0.1", port)).ok());
}

/// A child process that ends with the value.
pub struct Process(pub Child);

impl Process {
    pub fn spawn(program: &str, command: &mut Command) -> Process {
        let spawned = command.stdin(Stdio::null()).spawn();
        Process(
            spawned.unwrap_or_else(|e| panic!("{program} cannot be started ({e}); run tests/run, which installs it")),
        )
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// SIGTERM; returns how it ended.
    pub fn terminate(&mut self) -> ExitStatus {
        run(Command::new("kill").arg("-TERM").arg(self.0.id().to_string()));
        self.0.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Debian's mosquitto.
pub struct Mosquitto {
    pub port: u16,
    process: Process,
    files: Files,
}

impl Mosquitto {
    /// At its default limits, without persistence.
    pub fn start() -> Mosquitto {
        Mosquitto::with(|_| String::new())
    }

    /// With the settings that are shipped, so that those are tested.
    pub fn as_shipped() -> Mosquitto {
        Mosquitto::with(|directory| {
            let shipped = std::fs::read_to_string("deploy/mosquitto.conf").unwrap();
            format!("user root\npersistence_location {}/\n{shipped}", directory.display())
        })
    }

    fn with(settings: impl Fn(&Path) -> String) -> Mosquitto {
        let port = free_port();
        let files = Files::new(&[]);
        let text = format!("listener {port} 127.0.0.1\nallow_anonymous true\n{}", settings(files.0.path()));
        std::fs::write(files.path("m.conf"), text).unwrap();
        let process = spawn_mosquitto(&files, port);
        Mosquitto { port, process, files }
    }

    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Killed and started again: without persistence, sessions and queues are gone.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = spawn_mosquitto(&self.files, self.port);
    }

    /// Told to end, and started again.
    pub fn restart_gently(&mut self) {
        self.process.terminate();
        self.process = spawn_mosquitto(&self.files, self.port);
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }
}

fn spawn_mosquitto(files: &Files, port: u16) -> Process {
    let mut command = Command::new("/usr/sbin/mosquitto");
    command.arg("-c").arg(files.path("m.conf")).stdout(Stdio::null()).stderr(Stdio::null());
    let process = Process::spawn("mosquitto", &mut command);
    wait_for_port("mosquitto", port);
    process
}

/// A daemon with its own state directory and port.
pub struct Daemon {
    pub files: Files,
    pub http: u16,
    process: Option<Process>,
}

impl Daemon {
    /// `extra` is appended to the sections that connect it.
    pub fn new(broker: &Mosquitto, config: &str, more: &[(&str, &str)]) -> Daemon {
        Daemon::with(&broker.url(), config, more)
    }

    /// A daemon that reaches its broker by way of another port.
    pub fn behind(port: u16, config: &str) -> Daemon {
        Daemon::with(&format!("mqtt://127.0.0.1:{port}"), config, &[])
    }

    fn with(url: &str, config: &str, more: &[(&str, &str)]) -> Daemon {
        let http = free_port();
        let text =
            format!("[daemon]\nstate_dir = \"state\"\nhttp = \"127.0.0.1:{http}\"\n[mqtt]\nurl = \"{url}\"\n{config}");
        let mut list = vec![("c.toml", text.as_str())];
        list.extend(more);
        Daemon { files: Files::new(&list), http, process: None }
    }

    pub fn start(&mut self) {
        self.start_in(&[]);
    }

    /// With more in its environment.
    pub fn start_in(&mut self, environment: &[(&str, &str)]) {
        let mut command = self.command("run");
        command.envs(environment.iter().copied());
        command.stdout(Stdio::null()).stderr(File::create(self.files.path("log")).unwrap());
        self.process = Some(Process::spawn("emissiond", &mut command));
        wait_for("the daemon to be ready", || (self.get("/readyz")?.0 == 200).then_some(()));
        // What is published before the first subscription is nobody's.
        wait_for_long("its subscriptions", || (self.status()["mqtt"]["subscribed"] == true).then_some(()));
    }

    /// Starts with the state directory on a small disk of its own; `None` where that cannot be had. Returns the
    /// directory as seen from here.
    pub fn start_on_disk(&mut self, mebibytes: u32) -> Option<PathBuf> {
        let can = Command::new("unshare").args(["-m", "true"]).status();
        if !can.is_ok_and(|status| status.success()) {
            assert!(std::env::var_os("CI").is_none(), "CI can unshare mounts");
            eprintln!("SKIPPED: a mount namespace needs root");
            return None;
        }
        let state = self.files.path("state");
        std::fs::create_dir_all(&state).unwrap();
        let run = self.command("run");
        let mount = format!("mount -t tmpfs -o size={mebibytes}m tmpfs \"$0\" && exec \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &mount]).arg(&state).arg(run.get_program()).args(run.get_args());
        command.stdout(Stdio::null()).stderr(File::create(self.files.path("log")).unwrap());
        let process = Process::spawn("unshare", &mut command);
        let root = PathBuf::from(format!("/proc/{}/root", process.0.id()));
        self.process = Some(process);
        wait_for("the daemon to be ready", || (self.get("/readyz")?.0 == 200).then_some(()));
        Some(root.join(state.strip_prefix("/").unwrap()))
    }

    /// The id of its process.
    pub fn id(&self) -> String {
        self.process.as_ref().unwrap().0.id().to_string()
    }

    pub fn kill(&mut self) {
        self.process.as_mut().unwrap().kill();
    }

    /// SIGTERM; returns how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        self.process.as_mut().unwrap().terminate()
    }

    /// SIGHUP, once the configuration is as given behind what connects the daemon; waits until it is applied or rejected,
    /// and returns what status says of it.
    pub fn reload(&self, config: &str) -> Value {
        let file = self.files.path("c.toml");
        let before = std::fs::read_to_string(&file).unwrap();
        let connected: String = before.split_inclusive('\n').take(5).collect();
        std::fs::write(&file, format!("{connected}{config}")).unwrap();
        self.hang_up()
    }

    /// SIGHUP.
    pub fn hang_up(&self) -> Value {
        let last = || self.status()["config"]["last_reload"]["at"].clone();
        let before = last();
        assert!(run(Command::new("kill").arg("-HUP").arg(self.id())).status.success());
        wait_for_long("the reload", || (last() != before).then_some(()));
        self.status()["config"].clone()
    }

    pub fn command(&self, name: &str) -> Command {
        let mut command = emissiond();
        command.args(name.split(' ')).arg("--config").arg(self.files.path("c.toml"));
        command
    }

    pub fn post(&self, path: &str, body: &str, token: Option<&str>) -> (u16, String) {
        let url = format!("http://127.0.0.1:{}{path}", self.http);
        block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let mut request = client.post(url).header("content-type", "application/json").body(body.to_owned());
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        })
    }

    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        http_get(&format!("http://127.0.0.1:{}{path}", self.http))
    }

    pub fn status(&self) -> Value {
        // A question that falls into a reload is asked again.
        let text = wait_for("a status", || self.get("/api/v1/status").filter(|(code, _)| *code == 200)).1;
        serde_json::from_str(&text).unwrap()
    }

    pub fn received(&self) -> u64 {
        self.status()["messages"]["received"].as_u64().unwrap()
    }

    /// Entries as the API gives them.
    pub fn entries(&self, level: &str, window: &str) -> Vec<Value> {
        let (code, text) = self.get(&format!("/api/v1/entries?level={level}&window={window}")).unwrap();
        assert_eq!(code, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }
}

/// Plays the steel works' month through the broker, as a user would.
pub fn run_player(daemon: &Daemon) {
    let output = run(&mut player(daemon));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The command of [`run_player`].
pub fn player(daemon: &Daemon) -> Command {
    let mut command = daemon.command("simulate");
    command.arg("--csv").arg(shared_data().unwrap().join("steel_meter_sample.csv"));
    command.args(["--time-column", "date", "--time-format", "%d/%m/%Y %H:%M", "--zone", "Asia/Seoul"]);
    command.args(["--midnight-closes-day", "--column", "Usage_kWh=kr/steel/el:/kwh", "--rate"]);
    command.arg(number("EMISSIOND_RATE", 400).to_string());
    command
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// `None`: nobody answers.
pub fn http_get(url: &str) -> Option<(u16, String)> {
    block_on(async {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        let response = client.get(url).send().await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    })
}

/// Debian's influxdb 1.6, which has the storage engine and the overwrite rule of InfluxDB 2, and a shim that maps
/// `/api/v2/write?bucket=` to `/write?db=`. The shim stays up when the database is killed.
pub struct Influx {
    pub url: String,
    port: u16,
    rpc: u16,
    directory: PathBuf,
    process: Option<Process>,
    _files: Files,
}

impl Influx {
    pub fn start() -> Influx {
        let files = Files::new(&[]);
        let (port, rpc) = (free_port(), free_port());
        let url = start_shim(port);
        let directory = files.0.path().to_owned();
        let mut influx = Influx { url, port, rpc, directory, process: None, _files: files };
        influx.restart();
        influx.query("CREATE DATABASE emissions");
        influx
    }

    pub fn restart(&mut self) {
        let text = config(&self.directory, self.port, self.rpc);
        let path = self.directory.join("influxdb.conf");
        std::fs::write(&path, text).unwrap();
        let mut command = Command::new("influxd");
        command.arg("-config").arg(path).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(Process::spawn("influxd", &mut command));
        let ping = format!("http://127.0.0.1:{}/ping", self.port);
        wait_for("influxd", || http_get(&ping).filter(|(code, _)| *code == 204));
    }

    pub fn kill(&mut self) {
        self.process.as_mut().unwrap().kill();
    }

    /// Writes a line; returns what the database answers.
    pub fn write(&self, line: &str) -> u16 {
        let url = format!("{}/api/v2/write?bucket=emissions&precision=s", self.url);
        block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            client.post(url).body(line.to_owned()).send().await.unwrap().status().as_u16()
        })
    }

    pub fn query(&self, text: &str) -> Value {
        let url = format!("http://127.0.0.1:{}/query", self.port);
        let parameters = [("q", text), ("db", "emissions"), ("epoch", "s")];
        let answer = block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            client.post(url).query(&parameters).send().await.unwrap().text().await.unwrap()
        });
        serde_json::from_str(&answer).unwrap()
    }

    /// Rows of the first series: time and the selected columns.
    pub fn rows(&self, text: &str) -> Vec<Vec<Value>> {
        let answer = self.query(text);
        let rows = answer["results"][0]["series"][0]["values"].as_array().cloned().unwrap_or_default();
        rows.into_iter().map(|row| row.as_array().unwrap().clone()).collect()
    }
}

fn config(directory: &Path, port: u16, rpc: u16) -> String {
    let directory = directory.display();
    format!(
        "reporting-disabled = true\nbind-address = \"127.0.0.1:{rpc}\"\n[meta]\n dir = \"{directory}/meta\"\n\
         [data]\n dir = \"{directory}/data\"\n wal-dir = \"{directory}/wal\"\n query-log-enabled = false\n\
         [http]\n enabled = true\n bind-address = \"127.0.0.1:{port}\"\n log-enabled = false\n"
    )
}

/// The one question that is asked in Flux, in the language of the older database, and its answer as annotated CSV.
async fn translate(State(target): State<Arc<(reqwest::Client, String)>>, body: String) -> (StatusCode, String) {
    let question: Value = serde_json::from_str(&body).unwrap();
    let flux = question["query"].as_str().unwrap();
    let after = |mark: &str| flux.split(mark).nth(1).unwrap().split(['"', ',', ')']).next().unwrap();
    let tag = |part: &str| {
        let (name, value) = part.split_once(" == ").unwrap();
        format!("\"{name}\" = '{}'", value.split('"').nth(1).unwrap())
    };
    let tags: Vec<String> = flux.split(" and r.").skip(1).map(tag).collect();
    let text = format!(
        "SELECT * FROM {} WHERE {} AND time >= '{}' AND time < '{}'",
        after("r._measurement == \""),
        tags.join(" AND "),
        after("start: "),
        after("stop: "),
    );
    let url = target.1.replace("/write", "/query");
    let query = [("q", text.as_str()), ("db", after("bucket: \""))];
    let answer = match target.0.post(url).query(&query).send().await {
        Ok(answer) => answer.text().await.unwrap(),
        Err(error) => return (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    };
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let series = &answer["results"][0]["series"][0];
    let Some(columns) = series["columns"].as_array() else {
        return (StatusCode::OK, String::new());
    };
    let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string().replace("null", ""), str::to_owned);
    let line = |head: &str, cells: &[Value]| {
        let cells: Vec<String> = cells.iter().map(cell).collect();
        format!("{head},{}\r\n", cells.join(","))
    };
    let head = line(",result,table", columns).replace(",time,", ",_time,");
    let rows = series["values"].as_array().unwrap().iter().map(|row| line(",_result,0", row.as_array().unwrap()));
    (StatusCode::OK, format!("#datatype\r\n{head}{}\r\n", rows.collect::<String>()))
}

type Parameters = std::collections::HashMap<String, String>;

fn start_shim(port: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let target = Arc::new((client, format!("http://127.0.0.1:{port}/write")));
    std::thread::spawn(move || {
        block_on(async {
            let router = Router::new()
                .route("/api/v2/write", post(forward))
                .route("/api/v2/query", post(translate))
                .route("/ping", get(|| async {}))
                .with_state(target);
            axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await.unwrap();
        });
    });
    url
}

async fn forward(
    State(target): State<Arc<(reqwest::Client, String)>>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let query = [("db", &parameters["bucket"]), ("precision", &parameters["precision"])];
    let mut request = target.0.post(&target.1).query(&query).body(body.to_vec());
    if let Some(encoding) = headers.get("content-encoding") {
        request = request.header("content-encoding", encoding.to_str().unwrap());
    }
    match request.send().await {
        Ok(response) => {
            let code = StatusCode::from_u16(response.status().as_u16()).unwrap();
            (code, response.text().await.unwrap_or_default())
        }
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

/// Debian's victoria-metrics: speaks `/api/v2/write`, rounds, and is no oracle.
pub struct VictoriaMetrics {
    pub port: u16,
    _process: Process,
    _files: Files,
}

impl VictoriaMetrics {
    pub fn start() -> VictoriaMetrics {
        let files = Files::new(&[]);
        let port = free_port();
        let mut command = Command::new("victoria-metrics");
        command
            .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
            .arg(format!("-storageDataPath={}", files.path("data").display()))
            .arg("-retentionPeriod=50y")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Process::spawn("victoria-metrics", &mut command);
        wait_for_port("victoria-metrics", port);
        VictoriaMetrics { port, _process: process, _files: files }
    }
}

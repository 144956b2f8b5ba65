//! Start and stop: one function a part, in the order in which the parts need each other.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prometheus_client::metrics::histogram::Histogram;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use crate::clock;
use crate::config::Plan;
use crate::daemon::desk::{Desk, Inbox, Lines};
use crate::daemon::Books;
use crate::daemon::systemd;
use crate::http::{self, App, Ask};
use crate::influx;
use crate::mqtt;
use crate::store::{Lock, Reader, Record, StoreError};

/// Why the daemon did not start, or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The HTTP port.
    #[error("cannot listen on {address}: {source}; set another `daemon.http`")]
    Port {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A secret, a certificate, a thread.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A daemon that runs.
pub struct Running {
    /// Where its HTTP server listens.
    pub http: SocketAddr,
    inbox: Sender<Inbox>,
    desk: JoinHandle<Result<(), StoreError>>,
    ended: watch::Receiver<bool>,
    stop_http: Option<oneshot::Sender<()>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    _lock: Lock,
}

/// Runs until a signal, or until the store fails.
pub async fn run(plan: Plan) -> Result<(), StartError> {
    let mut running = start(plan).await?;
    systemd::ready();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("told to stop"),
        _ = interrupt.recv() => tracing::info!("told to stop"),
        () = running.desk_ended() => tracing::error!("the desk ended by itself"),
    }
    systemd::stopping();
    running.stop().await
}

/// Starts all parts; returns when the journal is replayed and the HTTP server listens.
pub async fn start(plan: Plan) -> Result<Running, StartError> {
    let state = plan.daemon.state_dir.clone();
    let lock = Lock::take(&state)?;
    let address = plan.daemon.http;
    let listener = TcpListener::bind(address).await.map_err(|source| StartError::Port { address, source })?;
    let http = listener.local_addr()?;

    let mut books = Books::open(&state, &plan, clock::now())?;
    books.seal()?;
    books.journal.append(&Record::Plan(plan.hash.clone()), clock::now())?;
    let stale = books.ledger.exchange_filters(&plan.mqtt.subscribe)?;
    books.ledger.set_plan(&plan.hash)?;
    let incarnation = books.ledger.incarnation()?;
    let names = books.ledger.names().clone();
    let topology = Arc::new(plan.rules.topology.clone());
    tracing::info!(messages = books.replayed, plan = &plan.hash[..12], "the journal is replayed");

    let (inbox, inbox_receiver) = channel();
    let (committed, committed_receiver) = watch::channel(0);
    let (progress, progress_receiver) = watch::channel(instant());
    let (ended_sender, ended) = watch::channel(false);
    let commit_seconds = Histogram::new([0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0]);
    let lines = Lines { inbox: inbox_receiver, committed, progress, commit_seconds: commit_seconds.clone() };
    let desk = Desk::new(books, &plan, lines);
    let desk = std::thread::Builder::new().name("desk".to_owned()).spawn(move || {
        let result = desk.run();
        if let Err(error) = &result {
            tracing::error!(%error, "nothing more can be made durable");
        }
        ended_sender.send_replace(true);
        result
    })?;

    let mut tasks = vec![tokio::spawn(systemd::watchdog(progress_receiver))];
    let mqtt_health = Arc::new(mqtt::Health::default());
    let client_id = plan.mqtt.client_id.clone().unwrap_or_else(|| format!("emissiond-{incarnation}"));
    let session = mqtt::Session::new(plan.mqtt.clone(), client_id, stale, Arc::clone(&mqtt_health))?;
    let deliveries = inbox.clone();
    tasks.push(tokio::spawn(session.run(committed_receiver, move |d| deliveries.send(Inbox::Delivery(d)).is_ok())));

    let influx_health = plan.influx.as_ref().map(|_| Arc::new(influx::Health::default()));
    if let (Some(options), Some(health)) = (plan.influx.clone(), influx_health.clone()) {
        let reader = Reader::open(&state, names.clone(), Arc::clone(&topology))?;
        let questions = inbox.clone();
        let ask: influx::AskOpen = Arc::new(move |windows, reply| {
            // When the desk is gone, so is the answer's sender, which the writer notices.
            let _ = questions.send(Inbox::Open(windows, reply));
        });
        let sink = influx::Sink::new(options, Arc::clone(&plan.rules), reader, ask, health)?.with_clock(clock::now);
        tasks.push(tokio::spawn(async move {
            if let Err(error) = sink.run().await {
                tracing::error!(%error, "the database writer cannot read the store");
            }
        }));
    }

    let questions = inbox.clone();
    let ask: Ask = Arc::new(move |question| {
        let _ = questions.send(Inbox::Question(question));
    });
    let app = App {
        ask,
        reader: Mutex::new(Reader::open(&state, names, topology)?),
        rules: Arc::clone(&plan.rules),
        mqtt: mqtt_health,
        influx: influx_health,
        commit_seconds,
    };
    let (stop_http, stopped) = oneshot::channel::<()>();
    tasks.push(tokio::spawn(async move {
        let stop = async move {
            let _ = stopped.await;
        };
        if let Err(error) = http::serve(listener, Arc::new(app), stop).await {
            tracing::error!(%error, "the HTTP server ended");
        }
    }));
    tracing::info!(%http, state = %state.display(), "ready");
    Ok(Running { http, inbox, desk, ended, stop_http: Some(stop_http), tasks, _lock: lock })
}

impl Running {
    /// Ends when the desk does.
    pub async fn desk_ended(&mut self) {
        // A dropped sender means the same.
        let _ = self.ended.wait_for(|ended| *ended).await;
    }

    /// Commits and seals what is there, then ends all parts.
    pub async fn stop(mut self) -> Result<(), StartError> {
        let _ = self.inbox.send(Inbox::Stop);
        let _ = tokio::time::timeout(Duration::from_secs(25), self.ended.wait_for(|ended| *ended)).await;
        if let Some(stop) = self.stop_http.take() {
            let _ = stop.send(());
        }
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        match self.desk.join() {
            Ok(result) => Ok(result?),
            Err(_) => Err(StartError::Io(io::Error::other("the desk panicked"))),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "waiting, not booking")]
fn instant() -> Instant {
    Instant::now()
}

//! Start and stop: one function a part, in the order in which the parts need each other.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock;
use crate::config::Plan;
use crate::daemon::alarms;
use crate::daemon::books::suspect_if_damaged;
use crate::daemon::desk::{Desk, Inbox, Lines};
use crate::daemon::parts::{Identity, Task, questions, start_http, start_scrub, start_session, start_sink};
use crate::daemon::reload::{self, Fresh, Seen, Standing};
use crate::daemon::secure::{Secrets, Secure, certificates};
use crate::daemon::stages::Stages;
use crate::daemon::systemd;
use crate::daemon::unmapped::Unmapped;
use crate::daemon::{Books, Explainer};
use crate::http::{
    App, Ask, BrokerView, ConfigView, DatabaseView, Guard, Listeners, Look, NotifierView, Question, RuleView, Shared,
};
use crate::mqtt::Wanting;
use crate::store::{AlarmStore, Gap, Lock, RESTORED, Record, StoreError, forget_restored, restored};
use crate::tls::Expiry;

/// Why the daemon did not start, or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The HTTP port.
    #[error("cannot listen on {address}: {source}; set another `daemon.{key}`")]
    Port {
        /// By which key of the configuration.
        key: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A secret, a certificate, a thread.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl StartError {
    /// Another process has what this one needs.
    pub fn is_taken(&self) -> bool {
        match self {
            StartError::Store(error) => matches!(error, StoreError::Locked(_)),
            StartError::Port { source, .. } => source.kind() == io::ErrorKind::AddrInUse,
            StartError::Io(_) => false,
        }
    }
}

type DeskThread = JoinHandle<Result<Lines, StoreError>>;

/// A daemon that runs.
pub struct Running {
    /// Where its HTTP server listens.
    pub http: SocketAddr,
    inbox: Sender<Inbox>,
    desk: DeskThread,
    ended: watch::Receiver<bool>,
    stop_http: Option<oneshot::Sender<()>>,
    /// The database writers, if there is a database.
    sink: Vec<Task>,
    /// The watch for alarms and the notifiers.
    alarms: Vec<Task>,
    tasks: Vec<Task>,
    app: Shared,
    wanted: Wanting,
    broker: Look<BrokerView>,
    guard: Guard,
    ask: Ask,
    standing: Standing,
    seen: Seen,
    stages: Stages,
    secure: Option<Secure>,
    _lock: Lock,
}

/// Runs until a signal, or until the store fails. SIGHUP reads the configuration again.
pub async fn run(plan: Plan, file: Option<PathBuf>) -> Result<(), StartError> {
    // First of all: a signal that comes while the daemon starts must not end it.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut running = start(plan).await?;
    systemd::ready("running");
    loop {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("told to stop"),
            _ = interrupt.recv() => tracing::info!("told to stop"),
            () = running.desk_ended() => tracing::error!("the desk ended by itself"),
            _ = hang_up.recv() => {
                systemd::reloading();
                running = running.reload(file.as_ref()).await?;
                systemd::ready(running.seen.word());
                continue;
            }
        }
        break;
    }
    systemd::stopping();
    running.stop().await
}

/// Starts all parts; returns when the journal is replayed and the HTTP server listens.
pub async fn start(plan: Plan) -> Result<Running, StartError> {
    let lock = patiently(async || Lock::take(&plan.daemon.state_dir).map_err(StartError::Store)).await?;
    let (listeners, secure, guard) = listen(&plan).await?;
    let http = listeners.plain.local_addr()?;
    let stages = Stages::default();
    let books = systemd::with_more_time(&stages, || open_books(&plan))?;
    let identity = identity(&plan, &books)?;

    let (inbox, inbox_receiver) = channel();
    let (committed, committed_receiver) = watch::channel(0);
    let commit_seconds = Histogram::new([0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0]);
    let (outbox, publish) = mpsc::unbounded_channel();
    let lines = Lines {
        inbox: inbox_receiver,
        committed,
        stages: stages.clone(),
        commit_seconds: commit_seconds.clone(),
        outbox,
        unmapped: Unmapped::default(),
        pending: Vec::new(),
    };
    let (desk, ended) = start_desk(Desk::new(books, &plan, lines))?;

    let mut tasks = vec![tokio::spawn(systemd::watchdog(stages.clone()))];
    let (session, broker, wanted) = start_session(&plan, &identity, (&inbox, &stages), (committed_receiver, publish))?;
    tasks.push(session);
    let (sink, database) = start_sink(&plan, &identity, (&inbox, &stages))?;
    let seen = Seen::default();
    seen.loaded(&plan.hash);
    let ask = questions(&inbox, &plan.rules);
    let certificates = certificates(&broker, secure.as_ref());
    let looks = looks(&broker, database.as_ref(), &certificates);
    let watching = alarms::start(&plan, (&ask, &stages), identity.reader(&plan)?, looks)?;
    let around = Around {
        ask: Arc::clone(&ask),
        standings: watching.rules,
        notifiers: watching.notifiers,
        broker: Arc::clone(&broker),
        database,
        certificates,
        config: seen.look(),
        commit_seconds,
        guard: guard.clone(),
    };
    let app = Shared::new(around.app(&plan, &identity)?);
    start_scrub(identity.reader(&plan)?, &inbox)?;
    let (stop_http, stopped) = oneshot::channel();
    tasks.push(start_http(listeners, app.clone(), stopped, &stages));
    tracing::info!(%http, state = %plan.daemon.state_dir.display(), "ready");
    let standing = Standing::of(&plan);
    let stop_http = Some(stop_http);
    Ok(Running {
        http,
        inbox,
        desk,
        ended,
        stop_http,
        sink,
        alarms: watching.tasks,
        tasks,
        app,
        wanted,
        broker,
        guard,
        ask,
        standing,
        seen,
        stages,
        secure,
        _lock: lock,
    })
}

/// The ports of HTTP, in clear and over TLS, and who may ask.
async fn listen(plan: &Plan) -> Result<(Listeners, Option<Secure>, Guard), StartError> {
    let secrets = Secrets::read(&plan.daemon)?;
    let bind = async |key: &'static str, address: SocketAddr| {
        patiently(async || TcpListener::bind(address).map_err(|source| StartError::Port { key, address, source })).await
    };
    let secure = Secure::of(&secrets);
    let mut listeners = Listeners { plain: bind("http", plan.daemon.http).await?, secure: None };
    if let (Some(https), Some(secure)) = (&plan.daemon.https, &secure) {
        listeners.secure = Some((bind("https", https.address).await?, secure.config.clone()));
    }
    Ok((listeners, secure, secrets.guard))
}

/// A command that holds the state's lock, or a connection that still holds the port, is over in a moment, and a service that
/// gives up for it stays down.
const PATIENCE: Duration = Duration::from_secs(5);
const TRY_EVERY: Duration = Duration::from_millis(100);

async fn patiently<T>(attempt: impl AsyncFn() -> Result<T, StartError>) -> Result<T, StartError> {
    let until = tokio::time::Instant::now() + PATIENCE;
    let mut told = false;
    loop {
        match attempt().await {
            Err(taken) if taken.is_taken() && tokio::time::Instant::now() < until => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(reason = %taken, "waiting for it");
                }
                tokio::time::sleep(TRY_EVERY).await;
            }
            done => return done,
        }
    }
}

/// What the HTTP server sees beside the plan and the store.
struct Around {
    ask: Ask,
    standings: Look<Vec<RuleView>>,
    notifiers: Look<Vec<NotifierView>>,
    broker: Look<BrokerView>,
    database: Option<Look<DatabaseView>>,
    certificates: Look<Vec<Expiry>>,
    config: Look<ConfigView>,
    commit_seconds: Histogram,
    guard: Guard,
}

impl Around {
    fn app(self, plan: &Plan, identity: &Identity) -> Result<App, StoreError> {
        Ok(App {
            ask: self.ask,
            reader: Mutex::new(identity.reader(plan)?),
            page_reader: Mutex::new(identity.reader(plan)?),
            alarms: Mutex::new(AlarmStore::open(&plan.daemon.state_dir)?),
            rules: Arc::clone(&plan.rules),
            standings: self.standings,
            notifiers: self.notifiers,
            broker: self.broker,
            database: self.database,
            certificates: self.certificates,
            config: self.config,
            commit_seconds: self.commit_seconds,
            explain: Explainer::new(plan).ask(),
            catalogue: Arc::clone(&plan.catalogue),
            guard: self.guard,
            simulated: plan.simulated,
            now: clock::now,
        })
    }
}

fn looks(
    broker: &Look<BrokerView>,
    database: Option<&Look<DatabaseView>>,
    certificates: &Look<Vec<Expiry>>,
) -> alarms::Looks {
    let (broker, certificates) = (Arc::clone(broker), Arc::clone(certificates));
    alarms::Looks { broker, database: database.cloned(), certificates }
}

fn open_books(plan: &Plan) -> Result<Books, StoreError> {
    let mut books = Books::open(&plan.daemon.state_dir, plan, clock::now())?;
    books.seal()?;
    let now = books.pipeline.now();
    books.journal.append(&Record::Plan(plan.hash.clone()), now)?;
    if books.ledger.plan()?.is_some_and(|before| before != plan.hash) {
        tracing::info!("the configuration is another than before: closed figures that it changes are worked out again");
    }
    books.ledger.set_plan(&plan.hash)?;
    let state = &plan.daemon.state_dir;
    if let Some(from) = restored(state) {
        let to = clock::now().max(from);
        tracing::warn!(%from, %to, "the store is a copy: what came after it is not in it");
        books.ledger.note_gap(&Gap { from, to, cause: RESTORED.to_owned() })?;
        forget_restored(state)?;
    }
    let undeclared = books.ledger.undeclared()?;
    if !undeclared.is_empty() {
        tracing::warn!(
            meters = undeclared.join(" "),
            "these have readings within the late horizon and are not declared any more: what a late reading restates of their \
             facility is restated without them; declare them with `valid_to` until then"
        );
    }
    tracing::info!(messages = books.replayed, plan = &plan.hash[..12], "the journal is replayed");
    Ok(books)
}

fn identity(plan: &Plan, books: &Books) -> Result<Identity, StoreError> {
    Ok(Identity {
        opened: books.opened,
        incarnation: books.ledger.incarnation()?,
        stale_filters: books.ledger.stale_filters(&plan.mqtt.subscribe)?,
        names: Arc::clone(books.ledger.names()),
        topology: Arc::clone(&plan.rules.topology),
    })
}

fn start_desk(desk: Desk) -> io::Result<(DeskThread, watch::Receiver<bool>)> {
    let (sender, ended) = watch::channel(false);
    let state = desk.state_dir.clone();
    let thread = std::thread::Builder::new().name("desk".to_owned()).spawn(move || {
        let result = desk.run();
        if let Err(error) = &result {
            suspect_if_damaged(&state, error);
            tracing::error!(%error, "nothing more can be made durable");
        }
        sender.send_replace(true);
        result
    })?;
    Ok((thread, ended))
}

impl Running {
    /// Ends when the desk does.
    pub async fn desk_ended(&mut self) {
        // A dropped sender means the same.
        let _ = self.ended.wait_for(|ended| *ended).await;
    }

    /// Reads the configuration again. What is wrong with it is said, and the one in force stays. An error: the books could
    /// not be opened any more; the process must end, and a fresh one replays.
    async fn reload(self, file: Option<&PathBuf>) -> Result<Running, StartError> {
        let fresh = match self.held().await {
            Some(why) => Err(format!("nothing is taken in for now ({why}): try again when that is over")),
            None => tokio::task::block_in_place(|| reload::read(file, &self.standing)),
        };
        match fresh {
            Ok(Fresh { plan, changes, restart, secrets }) => {
                let waits = restart.join(" ");
                let running = self.take(plan, secrets).await?;
                running.seen.tried(Ok((&changes, &restart)));
                tracing::info!(changes, needs_restart = waits, "the configuration is applied");
                Ok(running)
            }
            Err(problem) => {
                tracing::error!(problem, "the configuration is rejected; the one before stays in force");
                self.seen.tried(Err(&problem));
                Ok(self)
            }
        }
    }

    /// Why the desk takes nothing in: then nothing can be sealed either.
    async fn held(&self) -> Option<&'static str> {
        let (reply, answer) = oneshot::channel();
        (self.ask)(Question::Desk(reply));
        answer.await.ok()?.held
    }

    /// The desk seals and makes way for one with the new plan, which replays what is open: a restart, but for the session
    /// with the broker and the HTTP server. What arrives meanwhile waits for it.
    async fn take(mut self, plan: Plan, secrets: Secrets) -> Result<Running, StartError> {
        let _ = self.inbox.send(Inbox::Stop);
        self.sink.iter().chain(&self.alarms).for_each(Task::abort);
        let desk = self.desk;
        // It may seal for a while.
        let joined = tokio::task::block_in_place(|| systemd::waited_for(&self.stages, || desk.join()));
        let lines = joined.map_err(|_| panicked())??;
        let commit_seconds = lines.commit_seconds.clone();
        let (books, identity) = tokio::task::block_in_place(|| -> Result<_, StartError> {
            let books = systemd::waited_for(&self.stages, || open_books(&plan))?;
            let identity = identity(&plan, &books)?;
            Ok((books, identity))
        })?;
        (self.desk, self.ended) = start_desk(Desk::new(books, &plan, lines))?;
        self.wanted.change(identity.wanted(&plan));
        let (sink, database) = start_sink(&plan, &identity, (&self.inbox, &self.stages))?;
        self.sink = sink;
        self.seen.loaded(&plan.hash);
        self.ask = questions(&self.inbox, &plan.rules);
        self.secure.iter().for_each(|secure| secure.show(&secrets));
        self.guard = secrets.guard;
        let certificates = certificates(&self.broker, self.secure.as_ref());
        let looks = looks(&self.broker, database.as_ref(), &certificates);
        let watching = alarms::start(&plan, (&self.ask, &self.stages), identity.reader(&plan)?, looks)?;
        self.alarms = watching.tasks;
        let around = Around {
            ask: Arc::clone(&self.ask),
            standings: watching.rules,
            notifiers: watching.notifiers,
            broker: Arc::clone(&self.broker),
            database,
            certificates,
            config: self.seen.look(),
            commit_seconds,
            guard: self.guard.clone(),
        };
        self.app.replace(around.app(&plan, &identity)?);
        self.standing = Standing { parts: plan.parts, ..self.standing };
        Ok(self)
    }

    /// Commits and seals what is there, then ends all parts.
    pub async fn stop(mut self) -> Result<(), StartError> {
        let _ = self.inbox.send(Inbox::Stop);
        if let Some(stop) = self.stop_http.take() {
            let _ = stop.send(());
        }
        let desk = self.desk;
        let lines = tokio::task::block_in_place(|| systemd::with_more_time(&self.stages, || desk.join()));
        self.tasks.iter().chain(&self.sink).chain(&self.alarms).for_each(Task::abort);
        Ok(lines.map_err(|_| panicked())?.map(drop)?)
    }
}

fn panicked() -> StartError {
    StartError::Io(io::Error::other("the desk panicked"))
}

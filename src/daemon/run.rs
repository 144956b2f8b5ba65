//! Start and stop: one function a part, in the order in which the parts need each other.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prometheus_client::metrics::histogram::Histogram;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock;
use crate::cluster::Topology;
use crate::config::Plan;
use crate::daemon::alarms;
use crate::daemon::books::suspect_if_damaged;
use crate::daemon::desk::{Desk, Inbox, Lines};
use crate::daemon::reload::{self, Fresh, Seen, Standing};
use crate::daemon::systemd;
use crate::daemon::unmapped::Unmapped;
use crate::daemon::{Books, Explainer};
use crate::http::{self, App, Ask, BrokerView, DatabaseView, Guard, Look, Question, Shared};
use crate::influx;
use crate::mqtt::{self, Orders, Wanted, Wanting};
use crate::pipeline::Rules;
use crate::quantity::Time;
use crate::store::{AlarmStore, Lock, Names, Reader, Record, StoreError};

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

/// When the ledger is looked through for the first time, and then again.
const SCRUB_FIRST: Duration = Duration::from_secs(600);
const SCRUB_EVERY: Duration = Duration::from_secs(86_400);

type Task = tokio::task::JoinHandle<()>;
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
    _lock: Lock,
}

/// Runs until a signal, or until the store fails. SIGHUP reads the configuration again.
pub async fn run(plan: Plan, file: Option<PathBuf>) -> Result<(), StartError> {
    // First of all: a signal that comes while the daemon starts must not end it.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut running = start(plan).await?;
    systemd::ready();
    loop {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("told to stop"),
            _ = interrupt.recv() => tracing::info!("told to stop"),
            () = running.desk_ended() => tracing::error!("the desk ended by itself"),
            _ = hang_up.recv() => {
                running = running.reload(file.as_ref()).await?;
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
    let lock = Lock::take(&plan.daemon.state_dir)?;
    let address = plan.daemon.http;
    let listener = TcpListener::bind(address).await.map_err(|source| StartError::Port { address, source })?;
    let http = listener.local_addr()?;
    let books = open_books(&plan)?;
    let identity = identity(&plan, &books)?;

    let (inbox, inbox_receiver) = channel();
    let (committed, committed_receiver) = watch::channel(0);
    let (progress, progress_receiver) = watch::channel(instant());
    let commit_seconds = Histogram::new([0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0]);
    let (outbox, publish) = mpsc::unbounded_channel();
    let commit = commit_seconds.clone();
    let (unmapped, pending) = (Unmapped::default(), Vec::new());
    let lines = Lines { inbox: inbox_receiver, committed, progress, commit_seconds: commit, outbox, unmapped, pending };
    let (desk, ended) = start_desk(Desk::new(books, &plan, lines))?;

    let mut tasks = vec![tokio::spawn(systemd::watchdog(progress_receiver))];
    let (session, broker, wanted) = start_session(&plan, &identity, &inbox, (committed_receiver, publish))?;
    tasks.push(session);
    let (sink, database) = start_sink(&plan, &identity, &inbox)?;
    let (seen, guard) = (Seen::default(), Guard::of(plan.daemon.http, plan.daemon.token_file.as_deref())?);
    seen.loaded(&plan.hash);
    let ask = questions(&inbox, &plan.rules);
    let looks = (Arc::clone(&broker), database.clone());
    let watching = alarms::start(&plan, &ask, identity.reader(&plan)?, looks)?;
    let app = App {
        ask: Arc::clone(&ask),
        reader: Mutex::new(identity.reader(&plan)?),
        page_reader: Mutex::new(identity.reader(&plan)?),
        alarms: Mutex::new(AlarmStore::open(&plan.daemon.state_dir)?),
        rules: Arc::clone(&plan.rules),
        standings: watching.rules,
        notifiers: watching.notifiers,
        broker: Arc::clone(&broker),
        database,
        config: seen.look(),
        commit_seconds,
        explain: Explainer::new(&plan).ask(),
        catalogue: Arc::clone(&plan.catalogue),
        guard: guard.clone(),
        simulated: plan.simulated,
        now: clock::now,
    };
    let app = Shared::new(app);
    start_scrub(identity.reader(&plan)?, &inbox)?;
    let (stop_http, stopped) = oneshot::channel();
    tasks.push(start_http(listener, app.clone(), stopped));
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
        _lock: lock,
    })
}

/// What other parts need to know of the store.
struct Identity {
    incarnation: String,
    /// When the ledger was sealed last before this start.
    opened: Time,
    stale_filters: Vec<String>,
    names: Arc<Names>,
    topology: Arc<Topology>,
}

impl Identity {
    fn wanted(&self, plan: &Plan) -> Wanted {
        Wanted { subscribe: Arc::clone(&plan.mqtt.subscribe), stale: self.stale_filters.clone() }
    }

    fn reader(&self, plan: &Plan) -> Result<Reader, StoreError> {
        Reader::open(&plan.daemon.state_dir, Arc::clone(&self.names), Arc::clone(&self.topology))
    }
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

fn start_session(
    plan: &Plan,
    identity: &Identity,
    inbox: &Sender<Inbox>,
    (committed, publish): (watch::Receiver<u64>, mpsc::UnboundedReceiver<(String, Vec<u8>)>),
) -> io::Result<(Task, Look<BrokerView>, Wanting)> {
    let health = Arc::new(mqtt::Health::default());
    let (wanting, wanted) = Wanting::new(identity.wanted(plan), Arc::clone(&health));
    let orders = Orders { wanted, publish };
    let client_id = plan.mqtt.client_id.clone().unwrap_or_else(|| format!("emissiond-{}", identity.incarnation));
    let session = mqtt::Session::new(plan.mqtt.clone(), client_id, orders, Arc::clone(&health))?;
    let inbox = inbox.clone();
    let task = tokio::spawn(session.run(committed, move |news| inbox.send(Inbox::News(news)).is_ok()));
    let look = move || {
        let view = health.view();
        BrokerView {
            connected: view.connected,
            subscribed: view.subscribed,
            contested: view.contested,
            unacked: view.unacked,
            connects: view.connects,
            dropped: view.dropped,
            trouble: view.trouble,
            refused: view.refused,
        }
    };
    Ok((task, Arc::new(look), wanting))
}

/// The writer of entries and that of alarms.
type Sink = (Vec<Task>, Option<Look<DatabaseView>>);

/// The database writer, if there is a database.
fn start_sink(plan: &Plan, identity: &Identity, inbox: &Sender<Inbox>) -> Result<Sink, StartError> {
    let Some(options) = &plan.influx else {
        return Ok((Vec::new(), None));
    };
    let inbox = inbox.clone();
    let ask: influx::AskOpen = Arc::new(move |windows, reply| {
        // When the desk is gone, so is the answer's sender, which the writer notices.
        let _ = inbox.send(Inbox::Open(windows, reply));
    });
    let reader = identity.reader(plan)?;
    let mut world = influx::World::open(&plan.daemon.state_dir, identity.incarnation.clone(), reader, ask, clock::now)?;
    // The desk has sealed since.
    world.opened = identity.opened;
    let health = Arc::clone(&world.health);
    let sink = influx::Sink::new(options.clone(), Arc::clone(&plan.rules), world)?;
    let task = tokio::spawn(sink.run());
    let look = move || {
        let view = health.view();
        DatabaseView {
            written: view.written,
            failed: view.failed,
            rejected: view.rejected,
            set_aside: view.aside,
            retention_short: view.retention_short,
            lost: view.lost,
            behind: view.behind,
            trouble: view.trouble,
        }
    };
    let alarms = influx::Alarms::new(options, &plan.daemon.state_dir, clock::now)?;
    Ok((vec![task, tokio::spawn(alarms.run())], Some(Arc::new(look))))
}

/// Small ledgers are looked through at every start; a big one must not hold that up, and a daemon may run for years.
fn start_scrub(reader: Reader, inbox: &Sender<Inbox>) -> io::Result<()> {
    let inbox = inbox.clone();
    let look = move || {
        let mut wait = SCRUB_FIRST;
        loop {
            std::thread::sleep(wait);
            wait = SCRUB_EVERY;
            let wrong = match reader.scrub() {
                Ok(wrong) if wrong.is_empty() => continue,
                Ok(wrong) => wrong,
                Err(error) if error.is_damage() => vec![error.to_string()],
                Err(error) => {
                    tracing::warn!(%error, "the ledger could not be looked through");
                    continue;
                }
            };
            tracing::error!(records = ?wrong, "the ledger is damaged; a restart mends what the journal reaches");
            // When the desk is gone, so is the daemon.
            if inbox.send(Inbox::Damaged(wrong)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("scrub".to_owned()).spawn(look).map(drop)
}

fn questions(inbox: &Sender<Inbox>, rules: &Arc<Rules>) -> Ask {
    let (inbox, rules) = (inbox.clone(), Arc::clone(rules));
    Arc::new(move |question| {
        // When the desk is gone, so is the way back, which the server notices.
        let _ = inbox.send(Inbox::Question(Arc::clone(&rules), question));
    })
}

fn start_http(listener: TcpListener, app: Shared, stopped: oneshot::Receiver<()>) -> Task {
    tokio::spawn(async move {
        let stop = async move {
            let _ = stopped.await;
        };
        if let Err(error) = http::serve(listener, app, stop).await {
            tracing::error!(%error, "the HTTP server ended");
        }
    })
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
            Ok(Fresh { plan, changes, restart }) => {
                let waits = restart.join(" ");
                let running = self.take(plan).await?;
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
    async fn take(mut self, plan: Plan) -> Result<Running, StartError> {
        let _ = self.inbox.send(Inbox::Stop);
        self.sink.iter().chain(&self.alarms).for_each(Task::abort);
        let desk = self.desk;
        let lines = tokio::task::block_in_place(|| desk.join()).map_err(|_| panicked())??;
        let commit_seconds = lines.commit_seconds.clone();
        let (books, identity) = tokio::task::block_in_place(|| -> Result<_, StartError> {
            let books = systemd::alive(&lines.progress, || open_books(&plan))?;
            let identity = identity(&plan, &books)?;
            Ok((books, identity))
        })?;
        (self.desk, self.ended) = start_desk(Desk::new(books, &plan, lines))?;
        self.wanted.change(identity.wanted(&plan));
        let (sink, database) = start_sink(&plan, &identity, &self.inbox)?;
        self.sink = sink;
        self.seen.loaded(&plan.hash);
        self.ask = questions(&self.inbox, &plan.rules);
        let looks = (Arc::clone(&self.broker), database.clone());
        let watching = alarms::start(&plan, &self.ask, identity.reader(&plan)?, looks)?;
        self.alarms = watching.tasks;
        self.app.replace(App {
            ask: Arc::clone(&self.ask),
            reader: Mutex::new(identity.reader(&plan)?),
            page_reader: Mutex::new(identity.reader(&plan)?),
            alarms: Mutex::new(AlarmStore::open(&plan.daemon.state_dir)?),
            rules: Arc::clone(&plan.rules),
            standings: watching.rules,
            notifiers: watching.notifiers,
            broker: Arc::clone(&self.broker),
            database,
            config: self.seen.look(),
            commit_seconds,
            explain: Explainer::new(&plan).ask(),
            catalogue: Arc::clone(&plan.catalogue),
            guard: self.guard.clone(),
            simulated: plan.simulated,
            now: clock::now,
        });
        self.standing = Standing { parts: plan.parts, ..self.standing };
        Ok(self)
    }

    /// Commits and seals what is there, then ends all parts.
    pub async fn stop(mut self) -> Result<(), StartError> {
        let _ = self.inbox.send(Inbox::Stop);
        let _ = tokio::time::timeout(Duration::from_secs(25), self.ended.wait_for(|ended| *ended)).await;
        if let Some(stop) = self.stop_http.take() {
            let _ = stop.send(());
        }
        self.tasks.iter().chain(&self.sink).chain(&self.alarms).for_each(Task::abort);
        let lines = self.desk.join().map_err(|_| panicked())?;
        Ok(lines.map(drop)?)
    }
}

fn panicked() -> StartError {
    StartError::Io(io::Error::other("the desk panicked"))
}

#[expect(clippy::disallowed_methods, reason = "waiting, not booking")]
fn instant() -> Instant {
    Instant::now()
}

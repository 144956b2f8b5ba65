//! The parts that the daemon starts beside the desk: the broker session, the database writers, the look through the ledger, the
//! HTTP server; and how they ask the desk.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::clock;
use crate::cluster::Topology;
use crate::config::Plan;
use crate::daemon::StartError;
use crate::daemon::desk::Inbox;
use crate::daemon::stages::{Stage, Stages};
use crate::http::{self, Ask, BrokerView, DatabaseView, Listeners, Look, Shared};
use crate::influx;
use crate::mqtt::{self, Orders, Wanted, Wanting};
use crate::pipeline::Rules;
use crate::quantity::Time;
use crate::store::{Names, Reader, StoreError};

/// When the ledger is looked through for the first time, and then again.
const SCRUB_FIRST: Duration = Duration::from_secs(600);
const SCRUB_EVERY: Duration = Duration::from_secs(86_400);

pub(crate) type Task = tokio::task::JoinHandle<()>;

/// What other parts need to know of the store.
pub(crate) struct Identity {
    pub incarnation: String,
    /// When the ledger was sealed last before this start.
    pub opened: Time,
    pub stale_filters: Vec<String>,
    pub names: Arc<Names>,
    pub topology: Arc<Topology>,
}

impl Identity {
    pub(crate) fn wanted(&self, plan: &Plan) -> Wanted {
        Wanted { subscribe: Arc::clone(&plan.mqtt.subscribe), stale: self.stale_filters.clone() }
    }

    pub(crate) fn reader(&self, plan: &Plan) -> Result<Reader, StoreError> {
        Reader::open(&plan.daemon.state_dir, Arc::clone(&self.names), Arc::clone(&self.topology))
    }
}

pub(crate) fn start_session(
    plan: &Plan,
    identity: &Identity,
    (inbox, stages): (&Sender<Inbox>, &Stages),
    (committed, publish): (watch::Receiver<u64>, mpsc::UnboundedReceiver<(String, Vec<u8>)>),
) -> io::Result<(Task, Look<BrokerView>, Wanting)> {
    let health = Arc::new(mqtt::Health::default());
    let (wanting, wanted) = Wanting::new(identity.wanted(plan), Arc::clone(&health));
    let orders = Orders { wanted, publish };
    let client_id = plan.mqtt.client_id.clone().unwrap_or_else(|| format!("emissiond-{}", identity.incarnation));
    let session = mqtt::Session::new(plan.mqtt.clone(), client_id, orders, Arc::clone(&health))?;
    let inbox = inbox.clone();
    let work = session.run(committed, move |news| inbox.send(Inbox::News(news)).is_ok());
    let task = tokio::spawn(stages.clone().look_after(Stage::Session, work));
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
            certificates: view.certificates,
        }
    };
    Ok((task, Arc::new(look), wanting))
}

/// The writer of entries and that of alarms.
pub(crate) type Sink = (Vec<Task>, Option<Look<DatabaseView>>);

/// The database writer, if there is a database.
pub(crate) fn start_sink(
    plan: &Plan,
    identity: &Identity,
    (inbox, stages): (&Sender<Inbox>, &Stages),
) -> Result<Sink, StartError> {
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
    let task = tokio::spawn(stages.clone().look_after(Stage::Database, sink.run()));
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
pub(crate) fn start_scrub(reader: Reader, inbox: &Sender<Inbox>) -> io::Result<()> {
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

pub(crate) fn questions(inbox: &Sender<Inbox>, rules: &Arc<Rules>) -> Ask {
    let (inbox, rules) = (inbox.clone(), Arc::clone(rules));
    Arc::new(move |question| {
        // When the desk is gone, so is the way back, which the server notices.
        let _ = inbox.send(Inbox::Question(Arc::clone(&rules), question));
    })
}

pub(crate) fn start_http(listeners: Listeners, app: Shared, stopped: oneshot::Receiver<()>, stages: &Stages) -> Task {
    let serve = async move {
        let stop = async move {
            let _ = stopped.await;
        };
        if let Err(error) = http::serve(listeners, app, stop).await {
            tracing::error!(%error, "the HTTP server ended");
        }
    };
    tokio::spawn(stages.clone().look_after(Stage::Http, serve))
}

//! What the server asks the desk, which alone knows what is open.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::cluster::{Entity, Level, MeterIx};
use crate::decode::GatewayView;
use crate::http::{Again, Correction, Decision};
use crate::ledger::Entry;
use crate::meter::Held;
use crate::pipeline::{Counters, MeterView};
use crate::quantity::{Quarter, Time, Window};
use crate::store::{Gap, Lost};
use crate::tls::Expiry;
use crate::window::Activity;

/// Puts a question to the desk.
pub type Ask = Arc<dyn Fn(Question) + Send + Sync>;

/// A question with the way back.
#[derive(Debug)]
pub enum Question {
    /// The open entries of these entities.
    Open(Vec<Entity>, Window, oneshot::Sender<OpenView>),
    /// Counts and clocks.
    Desk(oneshot::Sender<DeskView>),
    /// When all meters were heard; of some, every reading in memory.
    Heard(Vec<MeterIx>, oneshot::Sender<HeardView>),
    /// The quarters with readings of a meter that are in memory.
    Readings(MeterIx, oneshot::Sender<Vec<Held>>),
    /// All meters.
    Meters(oneshot::Sender<Vec<MeterRow>>),
    /// Topics that no meter listens to, and how many messages came on topics that are not among them.
    Unmapped(oneshot::Sender<(Vec<UnmappedTopic>, u64)>),
    /// The readings in memory that are set aside.
    SetAside(oneshot::Sender<Vec<(MeterIx, Time, i64)>>),
    /// Decides about a reading. `Err`: why not, and what to do.
    Decide(Decision, oneshot::Sender<Result<(), String>>),
    /// Sets the amount of a meter in a time. `Err`: why not, and what to do.
    Adjust(Correction, oneshot::Sender<Result<(), String>>),
    /// Works closed figures out again.
    Restate(Again, oneshot::Sender<Result<(), String>>),
}

/// Quarters of one meter: the activity and its revision.
pub type Quarters = Vec<(Quarter, Activity, u32)>;

/// What is open of some entities.
#[derive(Debug, Default)]
pub struct OpenView {
    /// The time of the last event.
    pub now: Option<Time>,
    /// Entries above the meters.
    pub entries: Vec<Entry>,
    /// Quarters of meters.
    pub quarters: Vec<(Entity, Quarters)>,
}

/// What is newer of a meter, and of those its figures are worked out from, than what is stored.
#[derive(Debug, Default)]
pub struct Unstored {
    /// The time of the last event: what ends after it is open.
    pub now: Option<Time>,
    /// Quarters by meter.
    pub quarters: Vec<(Entity, Quarters)>,
    /// Its readings in memory.
    pub held: Vec<Held>,
}

impl Unstored {
    /// The quarters of a meter.
    pub fn of(&self, ix: MeterIx) -> impl Iterator<Item = &(Quarter, Activity, u32)> {
        self.quarters.iter().filter(move |(entity, _)| *entity == Entity::Meter(ix)).flat_map(|(_, quarters)| quarters)
    }
}

/// The desk at a glance.
#[derive(Clone, Debug)]
pub struct DeskView {
    /// The counts.
    pub counters: Counters,
    /// The clock.
    pub now: Time,
    /// Why nothing is taken in for now.
    pub held: Option<&'static str>,
    /// How far the books are ahead of the system's clock, in milliseconds.
    pub ahead_of_clock_ms: i64,
    /// Room on the disk, in bytes.
    pub disk_free: Option<u64>,
    /// The start of the first open quarter: everything before is closed.
    pub watermark: Time,
    /// Blocks committed to the journal.
    pub journal_blocks: i64,
    /// Bytes of the journal.
    pub journal_bytes: u64,
    /// Readings set aside.
    pub quarantined: usize,
    /// Times in which messages may have been lost before they reached us, the latest first.
    pub gaps: Vec<Gap>,
    /// Damage that was ever found in the store, the latest first: when, and what.
    pub damage: Vec<(Time, String)>,
    /// Rates of emission over the latest full quarter.
    pub rates: Vec<Rate>,
    /// The hash of the plan in force.
    pub plan: String,
    /// Gateways that tell of births and deaths.
    pub gateways: Vec<GatewayView>,
}

impl DeskView {
    /// How many possible losses have this cause.
    pub(crate) fn gaps_for(&self, cause: &str) -> usize {
        self.gaps.iter().filter(|gap| gap.cause == cause).count()
    }
}

/// A rate of emission over a quarter.
#[derive(Clone, Debug)]
pub struct Rate {
    /// The level of the entity.
    pub level: Level,
    /// Its id.
    pub entity: String,
    /// Kilograms CO2e an hour: scope 1, scope 2 location-based, scope 2 market-based.
    pub kg_per_hour: [f64; 3],
}

/// A meter at a glance.
#[derive(Clone, Debug)]
pub struct MeterRow {
    /// Its id.
    pub id: String,
    /// Its facility.
    pub facility: String,
    /// Its unit.
    pub unit: String,
    /// Its category.
    pub category: &'static str,
    /// What is known of its readings.
    pub view: MeterView,
    /// How often a reading is due.
    pub expected_every: String,
    /// No reading for longer than `stale_after`, or its gateway is gone.
    pub stale: bool,
    /// Since when its gateway is gone.
    pub gone: Option<Time>,
}

/// How a notifier gets through.
#[derive(Clone, Debug)]
pub struct NotifierView {
    /// Its id.
    pub id: String,
    /// What was taken since the start.
    pub told: u64,
    /// Attempts that failed since the start.
    pub failed: u64,
    /// Since when nothing gets through, and why.
    pub trouble: Option<(Time, String)>,
}

/// When meters were heard, by meter index.
#[derive(Clone, Debug, Default)]
pub struct HeardView {
    /// All of them.
    pub meters: Vec<MeterHeard>,
    /// The times of the good readings in memory of some, with the last before them.
    pub details: BTreeMap<MeterIx, Vec<Time>>,
}

/// When a meter was heard.
#[derive(Clone, Debug, Default)]
pub struct MeterHeard {
    /// The latest reading that is booked.
    pub latest: Option<Time>,
    /// Since when its gateway is gone.
    pub gone: Option<Time>,
    /// How many readings came since the start, and how many of them were refused.
    pub came: (u64, u64),
}

/// A topic that no meter listens to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmappedTopic {
    /// The topic, cut.
    pub topic: String,
    /// Messages since the start.
    pub count: u64,
    /// When the last one came.
    pub last: Time,
    /// Its payload, cut.
    pub payload: Vec<u8>,
}

/// The configuration at a glance.
#[derive(Clone, Debug, Default)]
pub struct ConfigView {
    /// The hash of the plan in force.
    pub plan: String,
    /// Since when it is.
    pub loaded: Option<Time>,
    /// What became of the last one that was read while the daemon ran.
    pub last_reload: Option<ReloadView>,
    /// Sections that were changed since, and wait for a restart.
    pub needs_restart: Vec<&'static str>,
}

/// What became of a configuration that was read while the daemon ran.
#[derive(Clone, Debug)]
pub struct ReloadView {
    /// When.
    pub at: Time,
    /// It is in force; else the one before still is.
    pub applied: bool,
    /// What has changed, or why it was not taken.
    pub detail: String,
}

/// Looks at something that changes by itself.
pub type Look<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// The broker session at a glance.
#[derive(Clone, Debug, Default)]
pub struct BrokerView {
    /// A session is up.
    pub connected: bool,
    /// The broker has answered all subscriptions.
    pub subscribed: bool,
    /// Another client may use the same id.
    pub contested: bool,
    /// Messages received and not acknowledged yet.
    pub unacked: u64,
    /// Connections since the start.
    pub connects: u64,
    /// How many messages the broker says it dropped. `None`: it does not say.
    pub dropped: Option<u64>,
    /// The last error, until the next connection.
    pub trouble: Option<String>,
    /// Filters the broker refused.
    pub refused: Vec<String>,
    /// Certificates of the connection, and until when they are valid.
    pub certificates: Vec<Expiry>,
}

/// The database writer at a glance.
#[derive(Clone, Debug, Default)]
pub struct DatabaseView {
    /// Requests the database confirmed.
    pub written: u64,
    /// Requests that failed and were tried again.
    pub failed: u64,
    /// Lines the database would not take, since the start.
    pub rejected: u64,
    /// Lines that are set aside now, and tried again now and then.
    pub set_aside: u64,
    /// The bucket forgets points that may still be rewritten.
    pub retention_short: bool,
    /// The state directory was an old copy: of these times the database knows more.
    pub lost: Vec<Lost>,
    /// Stored records the database has not confirmed.
    pub behind: u64,
    /// The last error, until the next success.
    pub trouble: Option<String>,
}

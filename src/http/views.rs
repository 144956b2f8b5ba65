//! What is answered, as it is written in JSON: the schemas of the document `/api/openapi.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::alert::{Outlook, Priority};
use crate::emission::Column;

/// The daemon at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusView {
    pub version: &'static str,
    /// The hash of the plan in force.
    pub plan: String,
    pub config: ConfigStatus,
    #[schema(format = DateTime)]
    pub now: String,
    /// The start of the first open quarter: everything before is closed.
    #[schema(format = DateTime)]
    pub watermark: String,
    pub messages: Tally,
    pub readings: Tally,
    /// Why nothing is taken in for now.
    pub held: Option<&'static str>,
    pub ahead_of_clock_ms: i64,
    pub disk_free_bytes: Option<u64>,
    /// Readings that are set aside in the open past.
    pub quarantined: usize,
    pub journal: JournalStatus,
    pub store: StoreStatus,
    pub mqtt: MqttStatus,
    pub influxdb: Option<InfluxStatus>,
    pub certificates: Vec<CertificateStatus>,
    pub notifiers: Vec<NotifierStatus>,
    pub gateways: Vec<GatewayStatus>,
    pub declared: Declared,
}

/// The configuration.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConfigStatus {
    pub plan: String,
    pub loaded: Option<String>,
    pub last_reload: Option<ReloadStatus>,
    /// Sections that wait for a restart.
    pub needs_restart: Vec<&'static str>,
}

/// What became of a configuration that was read while the daemon ran.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReloadStatus {
    pub at: String,
    /// `applied` or `rejected`.
    pub result: &'static str,
    pub detail: String,
}

/// What became of messages, or of the readings in them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tally {
    pub received: u64,
    pub accepted: u64,
    pub duplicate: u64,
    pub late: u64,
    pub unmapped: u64,
    pub retained: u64,
    /// By reason.
    pub refused: BTreeMap<String, u64>,
}

/// What was received, on disk.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JournalStatus {
    pub blocks: i64,
    pub bytes: u64,
}

/// Damage that was ever found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoreStatus {
    pub damaged: usize,
    /// The latest of it.
    pub damage: Vec<DamageStatus>,
}

/// A record that was damaged.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DamageStatus {
    pub found: String,
    pub record: String,
}

/// The broker session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MqttStatus {
    pub connected: bool,
    pub subscribed: bool,
    pub client_id_contested: bool,
    pub unacked: u64,
    pub connects: u64,
    /// How many messages the broker says it dropped.
    pub broker_dropped: Option<u64>,
    pub trouble: Option<String>,
    pub refused_filters: Vec<String>,
    /// Times the broker no longer knew the session.
    pub sessions_lost: usize,
    /// Times in which messages may have been lost before they reached us.
    pub possible_gaps: Vec<GapStatus>,
}

/// A time in which messages may have been lost.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GapStatus {
    pub from: String,
    pub to: String,
    pub cause: String,
}

/// The database writer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InfluxStatus {
    pub written: u64,
    pub failed: u64,
    pub rejected: u64,
    pub set_aside: u64,
    pub retention_short: bool,
    pub state_rolled_back: bool,
    pub lost: Vec<LostStatus>,
    /// Stored records the database has not confirmed.
    pub behind: u64,
    pub trouble: Option<String>,
}

/// A time of which the database knows more than we do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LostStatus {
    pub from: String,
    pub to: String,
}

/// A certificate in use.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CertificateStatus {
    /// Whose.
    pub certificate: String,
    /// Until when it is valid.
    #[schema(format = DateTime)]
    pub expires: String,
}

/// How a notifier gets through.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NotifierStatus {
    pub id: String,
    /// Letters that were taken since the start.
    pub told: u64,
    /// Attempts that failed since the start.
    pub failed: u64,
    /// Why nothing gets through.
    pub trouble: Option<String>,
    /// Since when.
    pub since: Option<String>,
}

/// A gateway that tells of births and deaths.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GatewayStatus {
    pub id: String,
    pub messages: u64,
    /// Messages that have not come, by their sequence numbers.
    pub missing: u64,
    pub repeated: u64,
    pub births: u64,
    pub births_missed: u64,
    pub devices: Vec<DeviceStatus>,
}

/// A device behind a gateway.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeviceStatus {
    pub device: String,
    pub alive: bool,
    pub since: String,
}

/// How many there are of each.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Declared {
    pub networks: usize,
    pub clusters: usize,
    pub facilities: usize,
    pub meters: usize,
}

/// Whether messages are taken in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadyView {
    pub ready: bool,
    /// Why not.
    pub held: Option<String>,
    pub mqtt: MqttStatus,
    pub influxdb: Option<InfluxStatus>,
}

/// A meter.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeterLine {
    pub id: String,
    pub facility: String,
    pub unit: String,
    pub category: &'static str,
    pub expected_every: String,
    pub last_reading: Option<String>,
    /// No reading for longer than `stale_after`, or its gateway is gone.
    pub stale: bool,
    pub gateway_gone: Option<String>,
    /// Its readings that are set aside in the open past.
    pub quarantined: usize,
}

/// A topic that no meter listens to. Without a topic: how many messages came on others.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnmappedLine {
    pub topic: Option<String>,
    pub count: u64,
    pub last: Option<String>,
    /// The last payload, cut.
    pub payload: Option<String>,
}

/// A message that was received and not booked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RefusedLine {
    pub received: String,
    pub reason: String,
    /// What the reason means.
    pub why: Option<&'static str>,
    pub meter: Option<String>,
    pub topic: String,
    pub payload: String,
}

/// A reading that is set aside, or was.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuarantineLine {
    pub meter: String,
    pub time: String,
    /// As the meter shows it, in `unit`. A meter that is no longer declared has none.
    pub value: Option<String>,
    pub unit: Option<String>,
    /// `quarantined`, `released` or `rejected`.
    pub state: &'static str,
    pub by: Option<String>,
    pub reason: Option<String>,
    pub decided: Option<String>,
}

/// How a rule stands for one of what it watches.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RuleView {
    /// The rule.
    pub rule: String,
    /// What it watches.
    pub entity: String,
    /// The rule's kind.
    pub kind: &'static str,
    /// The rule's priority.
    pub priority: Priority,
    /// A level, or `normal`, `unknown`, `suppressed`.
    pub state: &'static str,
    /// What was seen last, in `unit`.
    pub value: Option<f64>,
    /// What that is held against.
    pub limit: Option<f64>,
    /// Of these.
    pub unit: &'static str,
    /// Where a budget is going.
    pub outlook: Option<Outlook>,
    /// Why nobody is told of it.
    pub out_of_service: Option<String>,
    /// What it counts, as fields of entries: `scope1_mg`, or `by_category.process`. Empty: no masses.
    pub counts: Vec<String>,
    /// What is planned: of a budget up to each of these times, of a pathway in each year.
    pub planned: Vec<Planned>,
}

/// A point of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Planned {
    /// When.
    pub at: String,
    /// How much.
    pub kg: f64,
}

/// What an entity emitted in a window. Masses are milligrams; gases are masses of the gas, all others CO2e. They are
/// integers and may exceed 2^53.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryView {
    /// `meter`, `facility`, `cluster` or `network`.
    pub level: String,
    /// Its id.
    pub entity: String,
    /// `1m`, `15m`, `1h`, `1d`, `1mo` or `1y`.
    pub window: String,
    /// When the window begins; days, months and years are local.
    #[schema(format = DateTime)]
    pub start: String,
    /// CO2e of all scope 1 sources.
    pub scope1_mg: i128,
    /// CO2e of bought energy, location-based.
    pub scope2_location_mg: i128,
    /// CO2e of bought energy, market-based.
    pub scope2_market_mg: i128,
    /// CO2 from biomass, outside the scopes.
    pub biogenic_co2_mg: i128,
    /// CO2 captured.
    pub captured_co2_mg: i128,
    /// CO2 transferred to storage or bound for good.
    pub transferred_co2_mg: i128,
    /// CO2e eliminated as bought inside, location-based.
    pub eliminated_location_mg: i128,
    /// CO2e eliminated as bought inside, market-based.
    pub eliminated_market_mg: i128,
    /// CO2 of scope 1.
    pub co2_mg: i128,
    /// CH4 of scope 1.
    pub ch4_mg: i128,
    /// N2O of scope 1.
    pub n2o_mg: i128,
    /// CO2e of hydrofluorocarbons.
    pub hfc_co2e_mg: i128,
    /// CO2e of perfluorocarbons.
    pub pfc_co2e_mg: i128,
    /// CO2e of sulphur hexafluoride.
    pub sf6_co2e_mg: i128,
    /// CO2e of nitrogen trifluoride.
    pub nf3_co2e_mg: i128,
    /// CO2e that rests on substituted data.
    pub substituted_mg: i128,
    /// CO2e whose timing is interpolated.
    pub interpolated_mg: i128,
    /// CO2e computed with a factor of another year.
    pub provisional_factor_mg: i128,
    /// The part of the meters' time that was measured.
    pub coverage: f64,
    /// At 95 %, from an hour up.
    pub uncertainty_pct: Option<f64>,
    /// What must be known about it.
    pub flags: Vec<String>,
    /// Milligrams CO2e by category, scope 2 location-based.
    pub by_category: BTreeMap<String, i128>,
    /// 0 while the window is open, 1 when it has closed, one more with each change after.
    pub revision: u32,
}

impl EntryView {
    /// The milligrams of a column.
    pub fn mg(&self, column: Column) -> i128 {
        match column {
            Column::Scope1 => self.scope1_mg,
            Column::Scope2Location => self.scope2_location_mg,
            Column::Scope2Market => self.scope2_market_mg,
            Column::BiogenicCo2 => self.biogenic_co2_mg,
            Column::CapturedCo2 => self.captured_co2_mg,
            Column::TransferredCo2 => self.transferred_co2_mg,
            Column::EliminatedLocation => self.eliminated_location_mg,
            Column::EliminatedMarket => self.eliminated_market_mg,
            Column::Co2 => self.co2_mg,
            Column::Ch4 => self.ch4_mg,
            Column::N2o => self.n2o_mg,
            Column::HfcCo2e => self.hfc_co2e_mg,
            Column::PfcCo2e => self.pfc_co2e_mg,
            Column::Sf6Co2e => self.sf6_co2e_mg,
            Column::Nf3Co2e => self.nf3_co2e_mg,
            Column::Substituted => self.substituted_mg,
            Column::Interpolated => self.interpolated_mg,
            Column::ProvisionalFactor => self.provisional_factor_mg,
        }
    }
}

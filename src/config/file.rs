//! The shape of the configuration as written. Every key is optional here; what is required is asked for in the check,
//! so that one missing key hides no other problem.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::value::{Names, Number, PlanWritten, Written};

/// All files and the environment, merged.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct File {
    pub daemon: DaemonSection,
    pub mqtt: MqttSection,
    pub influxdb: Option<InfluxSection>,
    pub ledger: LedgerSection,
    pub journal: JournalSection,
    pub factors: FactorsSection,
    pub registry: RegistrySection,
    pub sparkplug: SparkplugSection,
    pub networks: BTreeMap<String, NetworkSection>,
    pub clusters: BTreeMap<String, ClusterSection>,
    pub facilities: BTreeMap<String, FacilitySection>,
    pub meters: BTreeMap<String, MeterSection>,
    pub templates: BTreeMap<String, MeterSection>,
    pub stacks: BTreeMap<String, StackSection>,
    pub chp: BTreeMap<String, ChpSection>,
    pub contracts: BTreeMap<String, ContractSection>,
    pub transfers: BTreeMap<String, TransferSection>,
    pub rules: BTreeMap<String, RuleSection>,
    pub notify: BTreeMap<String, NotifySection>,
    pub alarms: AlarmsSection,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DaemonSection {
    pub state_dir: Option<String>,
    pub insecure: Option<bool>,
    pub http: Option<String>,
    pub https: Option<String>,
    pub cert_file: Option<String>,
    pub key_file: Option<String>,
    pub token_file: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MqttSection {
    pub url: Option<String>,
    pub client_id: Option<String>,
    pub username: Option<String>,
    pub password_file: Option<String>,
    pub ca_file: Option<String>,
    pub cert_file: Option<String>,
    pub key_file: Option<String>,
    pub inflight: Option<i64>,
    pub max_packet: Option<String>,
    pub subscribe: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct InfluxSection {
    pub url: Option<String>,
    pub org: Option<String>,
    pub bucket: Option<String>,
    pub token_file: Option<String>,
    pub windows: BTreeMap<String, Vec<String>>,
    pub activity: Option<bool>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LedgerSection {
    pub late_horizon: Option<String>,
    pub close_after: Option<String>,
    pub keep_activity: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct JournalSection {
    pub keep: Option<String>,
    pub max_bytes: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FactorsSection {
    pub gwp: Option<String>,
    pub files: Vec<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RegistrySection {
    pub files: Vec<String>,
    pub template: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SparkplugSection {
    pub rebirth_requests: Option<bool>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NetworkSection {
    pub name: Option<String>,
    pub gwp: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClusterSection {
    pub name: Option<String>,
    pub timezone: Option<String>,
    pub network: Option<String>,
    pub gwp: Option<String>,
    pub grid: Option<Names>,
    pub residual: Option<Names>,
    pub baseline: Option<GoalSection>,
    pub target: Option<GoalSection>,
}

/// A baseline or a target of a cluster.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GoalSection {
    pub year: Option<i64>,
    pub value: Option<String>,
    pub gas: Option<String>,
    pub scopes: Option<Vec<i64>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FacilitySection {
    pub cluster: Option<String>,
    pub name: Option<String>,
    pub grid: Option<Names>,
    pub residual: Option<Names>,
    pub timezone: Option<String>,
    pub topics: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MeterSection {
    pub facility: Option<String>,
    pub name: Option<String>,
    pub note: Option<String>,
    pub template: Option<String>,
    pub topic: Option<String>,
    pub format: Option<String>,
    pub value: Option<Names>,
    pub time: Option<Names>,
    pub time_format: Option<String>,
    pub quality: Option<Names>,
    pub quality_good: Option<Vec<Written>>,
    pub null_values: Option<Vec<Written>>,
    pub decimal: Option<String>,
    pub registers: Option<String>,
    pub word_order: Option<String>,
    pub sparse: Option<bool>,
    pub history: Option<Vec<HistorySection>>,
    pub stale_after: Option<String>,
    pub schedule: Option<String>,
    pub gateway: Option<String>,
    pub kind: Option<String>,
    pub interval: Option<String>,
    pub stamp: Option<String>,
    pub shape: Option<String>,
    pub rollover_at: Option<Number>,
    pub reset: Option<String>,
    pub unit: Option<String>,
    pub scale: Option<Number>,
    pub offset: Option<Number>,
    pub expected_every: Option<String>,
    pub max_gap: Option<String>,
    pub max_rate: Option<String>,
    pub valid_from: Option<String>,
    pub valid_to: Option<String>,
    pub category: Option<String>,
    pub factor: Option<Names>,
    pub factor_location: Option<Names>,
    pub factor_market: Option<Names>,
    pub heat_content: Option<Written>,
    pub density: Option<Written>,
    pub carbon: Option<Written>,
    pub moisture: Option<Written>,
    pub biomass_share: Option<Written>,
    pub temperature: Option<Written>,
    pub pressure: Option<Written>,
    pub max_age: Option<String>,
    pub basis: Option<String>,
    pub product: Option<String>,
    pub gas: Option<String>,
    pub uncertainty_pct: Option<Number>,
    pub typical: Option<String>,
    pub sum: Option<BTreeMap<String, Number>>,
    pub parent: Option<String>,
    pub allocate: Option<BTreeMap<String, Written>>,
    pub supplier: Option<String>,
    pub buyer: Option<String>,
    pub certificates: Option<String>,
    pub captured_from: Option<String>,
    #[serde(rename = "use")]
    pub used: Option<String>,
    pub deduct: Option<bool>,
}

/// Where a message holds readings besides the live one.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HistorySection {
    pub value: Option<Names>,
    pub time: Option<Names>,
    pub time_format: Option<String>,
}

/// A stack whose CO2 is measured.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StackSection {
    pub name: Option<String>,
    pub cems: Option<String>,
    pub fuels: Vec<String>,
    pub cems_position: Option<String>,
}

/// A plant that makes heat and power.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ChpSection {
    pub name: Option<String>,
    pub facility: Option<String>,
    pub fuels: Vec<String>,
    pub heat: Vec<String>,
    pub power: Vec<String>,
    pub heat_efficiency: Option<Written>,
    pub power_efficiency: Option<Written>,
}

/// A contract for bought electricity.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ContractSection {
    pub name: Option<String>,
    pub facility: Option<String>,
    pub cluster: Option<String>,
    pub factor: Option<Names>,
    pub share: Option<Written>,
    pub amount: Option<String>,
    pub generation: Option<String>,
    pub site: Option<String>,
    pub valid_from: Option<String>,
    pub valid_to: Option<String>,
}

/// The two meters of a transfer between members.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TransferSection {
    pub name: Option<String>,
    pub sent: Option<String>,
    pub received: Option<String>,
    pub tolerance: Option<Written>,
}

/// What raises an alarm.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RuleSection {
    pub kind: Option<String>,
    pub name: Option<String>,
    pub note: Option<String>,
    pub select: SelectSection,
    pub per: Option<String>,
    pub average: Option<String>,
    pub align: Option<String>,
    pub limit: Option<String>,
    pub warn_at: Option<Written>,
    pub critical_at: Option<Written>,
    pub projected: Option<bool>,
    pub budget: Option<String>,
    pub period: Option<String>,
    pub plan: Option<PlanWritten>,
    pub margin: Option<Written>,
    pub headroom: Option<Written>,
    pub baseline: Option<GoalSection>,
    pub target: Option<GoalSection>,
    pub shape: Option<String>,
    pub table: Option<BTreeMap<String, String>>,
    pub over: Option<Written>,
    pub over_by: Option<String>,
    pub deadband: Option<Written>,
    pub min_coverage: Option<Written>,
    #[serde(rename = "for")]
    pub lasting: Option<String>,
    pub keep: Option<String>,
    pub on_no_data: Option<String>,
    pub priority: Option<String>,
    pub response: Option<String>,
    pub notify: Option<Names>,
    pub out_of_service: Option<String>,
    pub when: Option<WhenSection>,
    pub at_least: Option<Written>,
    pub at_most: Option<Written>,
    pub tolerance: Option<Written>,
    pub watch: Option<Names>,
}

/// The state of the plant in which a rule counts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WhenSection {
    pub meter: Option<String>,
    pub above: Option<String>,
}

/// How calm it is kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AlarmsSection {
    pub chatter_above: Option<usize>,
    pub flood_above: Option<usize>,
    pub repeat: Option<String>,
    pub repeat_low: Option<String>,
}

/// Who is told of alarms.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NotifySection {
    pub kind: Option<String>,
    pub url: Option<String>,
    pub token_file: Option<String>,
    pub topic: Option<String>,
    pub format: Option<String>,
    pub template_file: Option<String>,
    pub content_type: Option<String>,
    pub username: Option<String>,
    pub password_file: Option<String>,
    pub ca_file: Option<String>,
    pub from: Option<String>,
    pub to: Option<Names>,
    pub group_by: Option<Vec<String>>,
    pub heartbeat: Option<String>,
}

/// What a rule looks at.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SelectSection {
    pub network: Option<Names>,
    pub cluster: Option<Names>,
    pub facility: Option<Names>,
    pub meter: Option<Names>,
    pub transfer: Option<Names>,
    pub category: Option<String>,
    pub scope: Option<i64>,
    pub basis: Option<String>,
    pub gas: Option<String>,
}

/// The shape of a configuration file, as JSON Schema.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(File).into()
}

//! The shape of the configuration as written. Every key is optional here; what is required is asked for in the check,
//! so that one missing key hides no other problem.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::value::{Names, Number};

/// All files and the environment, merged.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct File {
    pub daemon: DaemonSection,
    pub mqtt: MqttSection,
    pub influxdb: Option<InfluxSection>,
    pub ledger: LedgerSection,
    pub journal: JournalSection,
    pub factors: FactorsSection,
    pub networks: BTreeMap<String, NetworkSection>,
    pub clusters: BTreeMap<String, ClusterSection>,
    pub facilities: BTreeMap<String, FacilitySection>,
    pub meters: BTreeMap<String, MeterSection>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DaemonSection {
    pub state_dir: Option<String>,
    pub http: Option<String>,
    pub token_file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
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

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct InfluxSection {
    pub url: Option<String>,
    pub org: Option<String>,
    pub bucket: Option<String>,
    pub token_file: Option<String>,
    pub windows: BTreeMap<String, Vec<String>>,
    pub activity: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LedgerSection {
    pub late_horizon: Option<String>,
    pub close_after: Option<String>,
    pub keep_activity: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct JournalSection {
    pub keep: Option<String>,
    pub max_bytes: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FactorsSection {
    pub gwp: Option<String>,
    pub files: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NetworkSection {
    pub name: Option<String>,
    pub gwp: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
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
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GoalSection {
    pub year: Option<i64>,
    pub value: Option<String>,
    pub gas: Option<String>,
    pub scopes: Option<Vec<i64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FacilitySection {
    pub cluster: Option<String>,
    pub name: Option<String>,
    pub grid: Option<Names>,
    pub residual: Option<Names>,
    pub timezone: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MeterSection {
    pub facility: Option<String>,
    pub name: Option<String>,
    pub note: Option<String>,
    pub topic: Option<String>,
    pub format: Option<String>,
    pub value: Option<String>,
    pub time: Option<String>,
    pub time_format: Option<String>,
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
    pub heat_content: Option<String>,
    pub density: Option<String>,
    pub basis: Option<String>,
    pub uncertainty_pct: Option<Number>,
}

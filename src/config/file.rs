//! The shape of the configuration as written. Every key is optional here; what is required is asked for in the check,
//! so that one missing key hides no other problem.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file_meter::{ChpSection, ContractSection, MeterSection, StackSection, TransferSection};
use crate::config::file_rule::{AlarmsSection, NotifySection, RuleSection};
use crate::config::value::Names;

/// All files and the environment, merged.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct File {
    /// The process.
    pub daemon: DaemonSection,
    /// The broker.
    pub mqtt: MqttSection,
    /// The database; without it all is in the ledger alone.
    pub influxdb: Option<InfluxSection>,
    /// What is booked, and how long it may change.
    pub ledger: LedgerSection,
    /// What was received.
    pub journal: JournalSection,
    /// Emission factors of your own, and warming potentials.
    pub factors: FactorsSection,
    /// Lists of meters.
    pub registry: RegistrySection,
    /// Sparkplug B.
    pub sparkplug: SparkplugSection,
    /// Networks of clusters, by id.
    pub networks: BTreeMap<String, NetworkSection>,
    /// Clusters of facilities, by id.
    pub clusters: BTreeMap<String, ClusterSection>,
    /// Members of clusters, by id.
    pub facilities: BTreeMap<String, FacilitySection>,
    /// Meters, by id.
    pub meters: BTreeMap<String, MeterSection>,
    /// Keys that meters share, by name.
    pub templates: BTreeMap<String, MeterSection>,
    /// Stacks whose CO2 is measured, by id.
    pub stacks: BTreeMap<String, StackSection>,
    /// Plants that make heat and power, by id.
    pub chp: BTreeMap<String, ChpSection>,
    /// Contracts for bought electricity, by id.
    pub contracts: BTreeMap<String, ContractSection>,
    /// Transfers between members that two meters measure, by id.
    pub transfers: BTreeMap<String, TransferSection>,
    /// What raises alarms, by id.
    pub rules: BTreeMap<String, RuleSection>,
    /// Who is told of alarms, by id.
    pub notify: BTreeMap<String, NotifySection>,
    /// How calm it is kept.
    pub alarms: AlarmsSection,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DaemonSection {
    /// Where the journal and the ledger are; default `state`, relative to this file.
    pub state_dir: Option<String>,
    /// `http` may be an address that others reach, in clear.
    pub insecure: Option<bool>,
    /// Where the page and the API listen, in clear; default `"127.0.0.1:8077"`.
    pub http: Option<String>,
    /// Where they listen over TLS besides, such as `"0.0.0.0:8443"`; who reads there shows the token too.
    pub https: Option<String>,
    /// The certificate of `https`, with those between it and its authority (PEM), such as `"secrets/web.crt"`.
    pub cert_file: Option<String>,
    /// The key of `cert_file`, such as `"secrets/web.key"`.
    pub key_file: Option<String>,
    /// Whoever changes something over HTTP shows what is in this file, such as `"secrets/http-token"`; another one needs a restart.
    pub token_file: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MqttSection {
    /// `"mqtt://host:1883"`, the default at `127.0.0.1`, or `"mqtts://host:8883"` with TLS.
    pub url: Option<String>,
    /// The name of the session; default: one of the state directory's own.
    pub client_id: Option<String>,
    /// The user.
    pub username: Option<String>,
    /// The file with the password, such as `"secrets/mqtt-password"`; another one needs a restart.
    pub password_file: Option<String>,
    /// The authorities that are trusted (PEM); default: those of the system.
    pub ca_file: Option<String>,
    /// Our certificate (PEM), where the broker asks for one.
    pub cert_file: Option<String>,
    /// Its key.
    pub key_file: Option<String>,
    /// So many messages are made durable at once, at most (16).
    pub inflight: Option<i64>,
    /// Longer payloads are refused (`"1 MiB"`).
    pub max_packet: Option<String>,
    /// Topic filters; default: the topics of all meters.
    pub subscribe: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct InfluxSection {
    /// Needed. `"http://host:8086"`.
    pub url: Option<String>,
    /// Needed. The organisation.
    pub org: Option<String>,
    /// Needed. The bucket.
    pub bucket: Option<String>,
    /// Needed. The file with the token, which may write to the bucket and read from it.
    pub token_file: Option<String>,
    /// Which windows of which level are written, such as `{ meter = ["15m", "1h", "1d"] }`, the default; of all other levels all.
    pub windows: BTreeMap<String, Vec<String>>,
    /// Reserved (`false`).
    pub activity: Option<bool>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LedgerSection {
    /// An older reading is counted as late and not booked (`"7d"`).
    pub late_horizon: Option<String>,
    /// A window is closed so long after its end (`"5m"`); what comes later makes a new revision.
    pub close_after: Option<String>,
    /// So far back closed figures can be worked out again (`"3653d"`).
    pub keep_activity: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct JournalSection {
    /// Received messages are kept so long (`"7d"`).
    pub keep: Option<String>,
    /// And take so much room at most (`"20 GiB"`).
    pub max_bytes: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FactorsSection {
    /// Warming potentials: `ar4`, `ar5` or `ar6`, the default.
    pub gwp: Option<String>,
    /// Your own factors, CSV in the columns of the shipped catalogue; a row of the same set replaces a shipped one.
    pub files: Vec<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RegistrySection {
    /// Lists of meters, CSV or XLSX.
    pub files: Vec<String>,
    /// The template of all their rows.
    pub template: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SparkplugSection {
    /// Births that are lacking are asked for; default `false`: the daemon only listens.
    pub rebirth_requests: Option<bool>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NetworkSection {
    /// As people call it.
    pub name: Option<String>,
    /// Its own warming potentials.
    pub gwp: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ClusterSection {
    /// As people call it.
    pub name: Option<String>,
    /// Needed. The time zone of its days, months and years, such as `"Europe/Paris"`.
    pub timezone: Option<String>,
    /// The network it is part of.
    pub network: Option<String>,
    /// Its own warming potentials.
    pub gwp: Option<String>,
    /// The location-based factor of bought electricity: a series of the catalogue, or several.
    pub grid: Option<Names>,
    /// The market-based one of what no contract covers.
    pub residual: Option<Names>,
    /// Where its pathway begins.
    pub baseline: Option<GoalSection>,
    /// Where its pathway leads.
    pub target: Option<GoalSection>,
}

/// A baseline or a target of a cluster.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GoalSection {
    /// Needed. The year.
    pub year: Option<i64>,
    /// Needed. The emissions of that year, such as `"16 Mt"`.
    pub value: Option<String>,
    /// Only this gas; default all, as CO2e.
    pub gas: Option<String>,
    /// Only these scopes, such as `[1]`.
    pub scopes: Option<Vec<i64>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FacilitySection {
    /// Needed. The cluster it is a member of.
    pub cluster: Option<String>,
    /// As people call it.
    pub name: Option<String>,
    /// Its own location-based factor of bought electricity.
    pub grid: Option<Names>,
    /// Its own market-based one.
    pub residual: Option<Names>,
    /// That of its cluster, if it is declared.
    pub timezone: Option<String>,
    /// The topics that are its own: no other facility's meter may listen to them, and none of its own to others.
    pub topics: Option<Vec<String>>,
}

/// The shape of a configuration file, as JSON Schema.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(File).into()
}

//! Rules and notifiers as they are written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::GoalSection;
use crate::config::value::{Names, PlanWritten, Written};

/// What raises an alarm.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RuleSection {
    /// Needed. `limit`, `budget`, `burn`, `pathway`, `stale`, `coverage`, `imbalance`, `quality` or `daemon`.
    pub kind: Option<String>,
    /// As people call it.
    pub name: Option<String>,
    /// For people.
    pub note: Option<String>,
    /// What it looks at.
    pub select: SelectSection,
    /// Each of a level below is watched for itself: `facility` or `meter`.
    pub per: Option<String>,
    /// Needed of a `limit`. Over which time: `1m 5m 10m 15m 20m 30m 1h 24h`.
    pub average: Option<String>,
    /// `"sliding"`: a window ends at every minute; `"clock"`: windows follow each other.
    pub align: Option<String>,
    /// Needed of a `limit`. The rate that must not be exceeded, such as `"420 t/h"`.
    pub limit: Option<String>,
    /// A warning at this part of the limit, such as `0.9`.
    pub warn_at: Option<Written>,
    /// Critical at this part, such as `1.2`.
    pub critical_at: Option<Written>,
    /// `false`: it is not looked ahead in a window that goes on.
    pub projected: Option<bool>,
    /// Needed of `budget` and `burn`. The total of a period that must not be exceeded, such as `"4200 t"`.
    pub budget: Option<String>,
    /// Needed of `budget` and `burn`. `day`, `week`, `month`, `quarter`, `year`, or a span that always ends now, such as `"30d"`.
    pub period: Option<String>,
    /// How the budget is spread: 12 or 168 weights, or `"last_year"`.
    pub plan: Option<PlanWritten>,
    /// A budget may be ahead of its plan by this part (5 %).
    pub margin: Option<Written>,
    /// What may be used up above the plan, as a part of the budget (5 %).
    pub headroom: Option<Written>,
    /// Where the pathway begins; default the cluster's.
    pub baseline: Option<GoalSection>,
    /// Where it leads; default the cluster's.
    pub target: Option<GoalSection>,
    /// How it leads there: `linear`, `geometric`.
    pub shape: Option<String>,
    /// Or by years: `{ "2030" = "9 Mt" }`.
    pub table: Option<BTreeMap<String, String>>,
    /// A year may exceed its plan by this part (5 %).
    pub over: Option<Written>,
    /// A year may exceed its plan by this amount.
    pub over_by: Option<String>,
    /// So far below a level is clear of it (3 % of a limit).
    pub deadband: Option<Written>,
    /// With less of the time measured it is `unknown` (0.75).
    pub min_coverage: Option<Written>,
    /// How long a level must be exceeded.
    #[serde(rename = "for")]
    pub lasting: Option<String>,
    /// How long it stays after it was held last.
    pub keep: Option<String>,
    /// `"alarm"` or `"ok"` instead of `unknown`.
    pub on_no_data: Option<String>,
    /// `low`, `medium` or `high`.
    pub priority: Option<String>,
    /// What there is to do.
    pub response: Option<String>,
    /// Who is told, of `[notify.*]`; default all.
    pub notify: Option<Names>,
    /// Nobody is told, for this reason.
    pub out_of_service: Option<String>,
    /// It counts only while a meter shows more than this.
    pub when: Option<WhenSection>,
    /// Needed of `coverage`. The part of the time that must be measured.
    pub at_least: Option<Written>,
    /// Of `quality`: the part of the readings that may be refused (5 %).
    pub at_most: Option<Written>,
    /// Of `imbalance`: the part of what was sent.
    pub tolerance: Option<Written>,
    /// Of `daemon`: `broker`, `database`, `disk`, `clock`, `notifiers`, `certificates`; default all.
    pub watch: Option<Names>,
}

/// The state of the plant in which a rule counts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WhenSection {
    /// The meter.
    pub meter: Option<String>,
    /// Such as `"2 t/h"`.
    pub above: Option<String>,
}

/// How calm it is kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AlarmsSection {
    /// More alarms of a rule for an entity within ten minutes are chatter (3).
    pub chatter_above: Option<usize>,
    /// More new alarms within ten minutes are a flood (10).
    pub flood_above: Option<usize>,
    /// What goes on and nobody has seen is told again after this (`"4h"`).
    pub repeat: Option<String>,
    /// What goes on, is of low priority and nobody has seen, is told again after this (`"24h"`).
    pub repeat_low: Option<String>,
}

/// Who is told of alarms.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NotifySection {
    /// Needed. `webhook`, `alertmanager`, `smtp` or `mqtt`.
    pub kind: Option<String>,
    /// Where.
    pub url: Option<String>,
    /// The file with a bearer token.
    pub token_file: Option<String>,
    /// Of `mqtt` the first levels; of ntfy the topic.
    pub topic: Option<String>,
    /// Of a webhook: `"ntfy"`, `"slack"` or `"teams"`.
    pub format: Option<String>,
    /// Of a webhook: a minijinja template of what is posted.
    pub template_file: Option<String>,
    /// The media type of what the template makes.
    pub content_type: Option<String>,
    /// Of `smtp`: the user.
    pub username: Option<String>,
    /// Its password.
    pub password_file: Option<String>,
    /// Of `smtp`: the authorities that are trusted.
    pub ca_file: Option<String>,
    /// Who writes.
    pub from: Option<String>,
    /// Who is written to.
    pub to: Option<Names>,
    /// What is told together: `["kind", "facility"]`; also `rule entity cluster priority`.
    pub group_by: Option<Vec<String>>,
    /// So often it is said that alarms are looked after.
    pub heartbeat: Option<String>,
}

/// What a rule looks at.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SelectSection {
    /// A network, several, or `"*"`.
    pub network: Option<Names>,
    /// A cluster, several, or `"*"`.
    pub cluster: Option<Names>,
    /// A facility, several, or `"*"`.
    pub facility: Option<Names>,
    /// A meter, several, or `"*"`.
    pub meter: Option<Names>,
    /// A transfer, several, or `"*"`.
    pub transfer: Option<Names>,
    /// Only this category.
    pub category: Option<String>,
    /// Only scope 1 or 2.
    pub scope: Option<i64>,
    /// Scope 2 by `location`, the default, or `market`.
    pub basis: Option<String>,
    /// Only this gas: `CO2e`, or `CO2 CH4 N2O` of scope 1.
    pub gas: Option<String>,
}

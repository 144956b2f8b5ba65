//! Meters as they are written, and what relates them: stacks, plants, contracts, transfers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::value::{Names, Number, Written};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MeterSection {
    /// Needed. The facility it belongs to.
    pub facility: Option<String>,
    /// As people call it.
    pub name: Option<String>,
    /// For people.
    pub note: Option<String>,
    /// Keys that it shares with others: `[templates.NAME]`.
    pub template: Option<String>,
    /// Needed, but of a `sum`. The topic its messages come on; `{id}` stands for its id.
    pub topic: Option<String>,
    /// Needed with `topic`. `json`, `number`, `senml`, `senml-sum`, `sparkplug`, `influx-line`, or a preset: see `emissiond formats`.
    pub format: Option<String>,
    /// Where the value is in a message: a JSON Pointer, or several of which the first that is there counts; or a name. Needed of
    /// `json`, `sparkplug` and `influx-line`.
    pub value: Option<Names>,
    /// Where its time is; last in a list may stand `"received"`.
    pub time: Option<Names>,
    /// Needed with `time`. `local` is a local time without its zone; `auto` takes numbers and RFC 3339. `ms s us ns rfc3339 auto local local:ZONE none`, or a pattern such as `"%d.%m.%Y %H:%M:%S"`.
    pub time_format: Option<String>,
    /// Where its quality is.
    pub quality: Option<Names>,
    /// What the quality is of a good value, such as `[192]` or `["192..255"]`.
    pub quality_good: Option<Vec<Written>>,
    /// Numbers and texts that mean that there is no value.
    pub null_values: Option<Vec<Written>>,
    /// `","` where the decimals stand behind a comma.
    pub decimal: Option<String>,
    /// The value is of raw 16-bit registers: `u16 s16 u32 s32 f32 u64 s64 f64`.
    pub registers: Option<String>,
    /// Of such registers: `big`, the default, or `little`.
    pub word_order: Option<String>,
    /// A message may leave it out.
    pub sparse: Option<bool>,
    /// Where a message holds readings besides the live one.
    pub history: Option<Vec<HistorySection>>,
    /// Without a reading for so long it is silent; default three times `expected_every`.
    pub stale_after: Option<String>,
    /// When readings are due, such as `"mon-fri 06:00-22:00"`; default always.
    pub schedule: Option<String>,
    /// What its readings come through: one alarm for all of them.
    pub gateway: Option<String>,
    /// Needed. `register`, a total that rises; `interval`, an amount of a time; `rate`; `event`; `gauge`, a state.
    pub kind: Option<String>,
    /// Needed of an `interval`. Its time, such as `"15m"`.
    pub interval: Option<String>,
    /// Whether the time of an `interval` names its `end`, the default, or its `start`.
    pub stamp: Option<String>,
    /// How a `rate` goes on between two readings: `linear`, the default, or `step`.
    pub shape: Option<String>,
    /// Where a `register` begins at nought again.
    pub rollover_at: Option<Number>,
    /// When a fall of a `register` is a new beginning: `to-zero` (below 1 %, the default), `any-drop`, `never`.
    pub reset: Option<String>,
    /// Needed. What the numbers are in: see Units.
    pub unit: Option<String>,
    /// The numbers are multiplied by this (1).
    pub scale: Option<Number>,
    /// This is added, after `scale`.
    pub offset: Option<Number>,
    /// Needed, but of an `event`. How often a reading is due, such as `"10s"`.
    pub expected_every: Option<String>,
    /// The course of a longer time without a reading is interpolated; default three times `expected_every`.
    pub max_gap: Option<String>,
    /// More is no usage, and set aside: such as `"500 kW"`.
    pub max_rate: Option<String>,
    /// Readings before this are not its own: a local date, or a time with its zone.
    pub valid_from: Option<String>,
    /// Readings from this on are not its own.
    pub valid_to: Option<String>,
    /// Needed. What it is booked as: see Categories.
    pub category: Option<String>,
    /// A series or a set of the catalogue, several, or a figure such as `"0.3 kg/kWh"`.
    pub factor: Option<Names>,
    /// The location-based one of bought energy.
    pub factor_location: Option<Names>,
    /// The market-based one.
    pub factor_market: Option<Names>,
    /// The heat content of what it measures: `"39.5 MJ/Nm3"`, a table by date, or another meter.
    pub heat_content: Option<Written>,
    /// The density of what it measures, such as `"0.84 kg/L"`, in the forms of `heat_content`.
    pub density: Option<Written>,
    /// The carbon of what it measures, such as `"68 %"`, in the forms of `heat_content`; it becomes CO2 by 44/12.
    pub carbon: Option<Written>,
    /// The water in what it measures, in the forms of `heat_content`; it is taken off the amount.
    pub moisture: Option<Written>,
    /// The biogenic part of the carbon, in the forms of `heat_content`.
    pub biomass_share: Option<Written>,
    /// The temperature of a volume that is measured as it is, in the forms of `heat_content`.
    pub temperature: Option<Written>,
    /// The absolute pressure of a volume that is measured as it is, in the forms of `heat_content`.
    pub pressure: Option<Written>,
    /// Of a `property`: each reading holds so long at most.
    pub max_age: Option<String>,
    /// Whether energy or `heat_content` is stated on `HHV` or `LHV`.
    pub basis: Option<String>,
    /// What it counts, as a factor per product names it.
    pub product: Option<String>,
    /// Of `fugitive`: the gas that it measures itself, such as `R-410A` or `CH4`.
    pub gas: Option<String>,
    /// Half of the 95 % interval of its amount.
    pub uncertainty_pct: Option<Number>,
    /// What it usually shows, for the simulator.
    pub typical: Option<String>,
    /// It has no readings of its own: the sum of these meters, each times a number.
    pub sum: Option<BTreeMap<String, Number>>,
    /// It is taken off this main meter.
    pub parent: Option<String>,
    /// Which facilities share it, and by which parts: `{ a = 0.5, b = "rest" }`.
    pub allocate: Option<BTreeMap<String, Written>>,
    /// The member that makes what is bought.
    pub supplier: Option<String>,
    /// The member that what was bought is resold to.
    pub buyer: Option<String>,
    /// `"sold"`: the attributes of what is generated are another's.
    pub certificates: Option<String>,
    /// The stack that the CO2 is captured from.
    pub captured_from: Option<String>,
    /// What becomes of captured CO2: `stored`, `bound`, or else.
    #[serde(rename = "use")]
    pub used: Option<String>,
    /// Its fossil part is shown as transferred.
    pub deduct: Option<bool>,
}

/// Where a message holds readings besides the live one.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HistorySection {
    /// Where the values are.
    pub value: Option<Names>,
    /// Where their times are.
    pub time: Option<Names>,
    /// In which form.
    pub time_format: Option<String>,
}

/// A stack whose CO2 is measured.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StackSection {
    /// As people call it.
    pub name: Option<String>,
    /// Needed. The meter that measures its CO2.
    pub cems: Option<String>,
    /// The meters of what is burned: their fossil CO2 is replaced.
    pub fuels: Vec<String>,
    /// `before-capture` or `after-capture`.
    pub cems_position: Option<String>,
}

/// A plant that makes heat and power.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ChpSection {
    /// As people call it.
    pub name: Option<String>,
    /// Needed. Whose it is.
    pub facility: Option<String>,
    /// Needed. The meters of what is burned, or that of its stack.
    pub fuels: Vec<String>,
    /// Needed. The meters of heat.
    pub heat: Vec<String>,
    /// Needed. The meters of power.
    pub power: Vec<String>,
    /// Of the efficiency method (80 %).
    pub heat_efficiency: Option<Written>,
    /// Of the efficiency method (35 %).
    pub power_efficiency: Option<Written>,
}

/// A contract for bought electricity.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ContractSection {
    /// As people call it.
    pub name: Option<String>,
    /// Needed, or `cluster`. Whose consumption it covers.
    pub facility: Option<String>,
    /// Or all of a cluster's.
    pub cluster: Option<String>,
    /// The factor of what it delivers: a series, or a figure such as `"0 kg/kWh"`.
    pub factor: Option<Names>,
    /// It covers this part of the consumption, or of the plant's generation.
    pub share: Option<Written>,
    /// It delivers this, spread evenly over its validity.
    pub amount: Option<String>,
    /// The meter of the plant behind it.
    pub generation: Option<String>,
    /// `"external"`: the plant is no member's.
    pub site: Option<String>,
    /// In force from this local date.
    pub valid_from: Option<String>,
    /// In force up to this local date, exclusive.
    pub valid_to: Option<String>,
}

/// The two meters of a transfer between members.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TransferSection {
    /// As people call it.
    pub name: Option<String>,
    /// Needed. The meter of what was sent.
    pub sent: Option<String>,
    /// Needed. The meter of what was received.
    pub received: Option<String>,
    /// They may differ by this part of what was sent (2 %).
    pub tolerance: Option<Written>,
}

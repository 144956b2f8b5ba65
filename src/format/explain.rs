//! An explanation as JSON and as text.

use serde_json::{Map, Value, json};

use crate::cluster::{Entity, MeterIx};
use crate::emission::{Booking, Column, Plant, Posting, PropertyKind, PropertySource};
use crate::ledger::{Entry, Key};
use crate::pipeline::{Explanation, Part, Rules};
use crate::quantity::{Dimension, Ratio, Time, Top, Window};

/// What an explanation is told beside the figures.
pub struct Beside<'a> {
    /// What a factor's row says: id to its columns.
    pub row: &'a dyn Fn(&str) -> Option<Value>,
    /// The payload a reading came in, where the journal still has it: by the time of the reading.
    pub payload: &'a dyn Fn(Time) -> Option<Value>,
    /// The meter's entry of the quarter.
    pub entry: Option<Entry>,
    /// The potentials of the meter's cluster.
    pub gwp: &'a str,
}

/// A JSON object.
pub fn explanation_json(rules: &Rules, explanation: &Explanation, beside: &Beside<'_>) -> Value {
    let meter = rules.topology.meter(explanation.meter);
    let usages: Vec<Value> = explanation.parts.iter().map(|part| usage(rules, explanation, part, beside)).collect();
    let terms: Vec<Value> = explanation.terms.iter().map(|(input, factor, base)| {
        let input = rules.topology.meter(*input);
        json!({ "meter": input.id.as_str(), "times": factor.to_string(), "base": base, "unit": base_unit(input.dimension) })
    }).collect();
    let bookings: Vec<Value> = explanation.bookings.iter().map(|booking| booked(rules, booking, beside)).collect();
    json!({
        "meter": meter.id.as_str(),
        "category": meter.category.name(),
        "unit": meter.unit,
        "quarter": { "start": explanation.quarter.start().to_string(), "end": explanation.quarter.end().to_string() },
        "gwp_set": beside.gwp,
        "usage": usages,
        "sum_of": terms,
        "plant": explanation.plant.as_ref().map(|plant| plant_value(rules, explanation, plant)),
        "stack": stack(rules, explanation.meter),
        "bookings": bookings,
        "entry": beside.entry.as_ref().map(|entry| entry_value(rules, entry)),
        "entries_touched": touched(rules, explanation),
    })
}

fn base_unit(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Energy => "mJ",
        Dimension::Mass => "ug",
        Dimension::Volume(_) => "uL",
        Dimension::Temperature => "uK",
        Dimension::Pressure => "mPa",
        Dimension::Share | Dimension::Quotient(..) => "1e-9",
    }
}

fn usage(rules: &Rules, explanation: &Explanation, part: &Part, beside: &Beside<'_>) -> Value {
    let meter = rules.topology.meter(explanation.meter);
    let unit = base_unit(meter.dimension);
    let mut readings = Vec::new();
    for time in [part.usage.from, part.usage.to] {
        let payload = (beside.payload)(time);
        if let Some(payload) = payload
            && readings.last() != Some(&payload)
        {
            readings.push(payload);
        }
    }
    json!({
        "from": part.usage.from.to_string(), "to": part.usage.to.to_string(),
        "timing": format!("{:?}", part.usage.quality).to_lowercase(),
        "amount": { "base": part.usage.amount, "unit": unit },
        "in_quarter": { "base": part.amount, "unit": unit },
        "readings": readings,
    })
}

/// The plant by whose emissions a purchase is charged: the efficiency method.
fn plant_value(rules: &Rules, explanation: &Explanation, plant: &Plant) -> Value {
    let purchase = rules.accounts.meter(explanation.meter).purchase();
    let chp = purchase.and_then(|purchase| rules.accounts.chps.get(purchase.chp?));
    json!({
        "supplier": purchase.map(|purchase| rules.topology.facility(purchase.supplier).id.as_str()),
        "emitted_mg": plant.mg.to_string(), "heat_mj": plant.heat.to_string(), "power_mj": plant.power.to_string(),
        "energy_unit": "mJ",
        "heat_efficiency": chp.map(|chp| chp.heat_efficiency.to_string()),
        "power_efficiency": chp.map(|chp| chp.power_efficiency.to_string()),
    })
}

/// The stack that measures a meter's CO2, or that it is the measure of.
fn stack(rules: &Rules, meter: MeterIx) -> Value {
    let id = |ix: &MeterIx| rules.topology.meter(*ix).id.as_str();
    let mut stacks = rules.accounts.stacks.iter();
    let stack = stacks.find(|stack| stack.cems == meter || stack.fuels.contains(&meter));
    stack.map_or(
        Value::Null,
        |stack| json!({ "cems": id(&stack.cems), "fuels": stack.fuels.iter().map(id).collect::<Vec<_>>() }),
    )
}

fn booked(rules: &Rules, booking: &Booking<'_>, beside: &Beside<'_>) -> Value {
    let meter = rules.topology.meter(booking.meter);
    let total = booking.activity.total();
    let properties: Map<String, Value> = PropertyKind::ALL
        .into_iter()
        .filter_map(|kind| {
            let (dimension, value) = booking.values.get(kind)?;
            let from = from_meter(rules, booking.meter, kind);
            let shown = json!({
                "exact": value.to_string(), "about": value.to_f64(), "of": dimension.noun(), "unit": property_unit(dimension),
                "meter": from,
            });
            Some((kind.name().to_owned(), shown))
        })
        .collect();
    let flags: Vec<&str> = booking.flags.iter().map(|flag| flag.name()).collect();
    let facility = booking.facility.map(|ix| rules.topology.facility(ix).id.as_str());
    json!({
        "facility": facility,
        "activity": {
            "base": total.amount, "unit": base_unit(meter.dimension), "covered_ms": total.covered_ms,
            "interpolated": total.interpolated, "events": total.events,
        },
        "properties": properties,
        "flags": flags,
        "postings": booking.postings.iter().map(|posting| posted(posting, beside)).collect::<Vec<_>>(),
    })
}

/// The meter that a property comes from.
fn from_meter(rules: &Rules, meter: MeterIx, kind: PropertyKind) -> Option<&str> {
    match rules.accounts.meter(meter).method.properties().get(kind)?.source {
        PropertySource::Metered { meter, .. } => Some(rules.topology.meter(meter).id.as_str()),
        PropertySource::Dated(_) => None,
    }
}

/// The unit of a property's value as it is shown.
fn property_unit(dimension: Dimension) -> String {
    match dimension {
        Dimension::Quotient(top, bottom) => {
            let top = if top == Top::Energy { "mJ" } else { "ug" };
            format!("{top}/{}", base_unit(bottom.dimension()))
        }
        Dimension::Share => "1".to_owned(),
        other => base_unit(other).to_owned(),
    }
}

fn posted(posting: &Posting, beside: &Beside<'_>) -> Value {
    let exact = posting.ratio.to_string();
    json!({
        "column": format!("{}_mg", posting.column.name()),
        "gas": posting.gas.name(),
        "amount": posting.amount.to_string(),
        "gwp": posting.potential.to_f64(),
        "mg_per_base_unit": { "exact": exact, "about": posting.ratio.to_f64() },
        "mg": posting.mg.to_string(),
        "provisional": posting.provisional,
        "row": &*posting.row,
        "factor": (beside.row)(&posting.row),
    })
}

fn entry_value(rules: &Rules, entry: &Entry) -> Value {
    serde_json::from_str(&crate::format::entry_json(entry, &rules.topology)).unwrap_or(Value::Null)
}

/// Every entry that the quarter is a part of.
fn touched(rules: &Rules, explanation: &Explanation) -> Vec<Value> {
    let topology = &rules.topology;
    let mut entities = vec![Entity::Meter(explanation.meter)];
    for facility in rules.accounts.holders(explanation.meter) {
        entities.push(Entity::Facility(facility));
        let cluster = topology.facility(facility).cluster;
        entities.push(Entity::Cluster(cluster));
        entities.extend(topology.cluster(cluster).network.map(Entity::Network));
    }
    entities.sort_unstable();
    entities.dedup();
    let start = explanation.quarter.start();
    let local = topology.zone(Entity::Meter(explanation.meter));
    let key = |entity: Entity, window: Window| {
        let zone = topology.zone(entity);
        let start = match (entity, window) {
            (Entity::Network(_), Window::Day | Window::Month | Window::Year) => {
                local.same_date(local.start(window, start), zone)
            }
            _ => zone.start(window, start),
        };
        Key { entity, window, start }
    };
    let windows = [Window::Quarter, Window::Hour, Window::Day, Window::Month, Window::Year];
    let all = entities.iter().flat_map(|entity| windows.map(|window| key(*entity, window)));
    all.map(|key| {
        json!({
            "level": key.entity.level().name(), "entity": topology.id(key.entity).as_str(), "window": key.window.name(),
            "start": key.start.to_string(),
        })
    })
    .collect()
}

/// For people: the way from the payload to the masses, a line each.
pub fn explanation_text(rules: &Rules, explanation: &Explanation, beside: &Beside<'_>) -> String {
    let meter = rules.topology.meter(explanation.meter);
    let shown = |base: i64| format!("{} {}", about(base, meter.conversion.unit.base, meter), plain(&meter.unit));
    let mut lines =
        vec![format!("{} ({}), quarter-hour from {}", meter.id, meter.category.name(), explanation.quarter.start())];
    for part in &explanation.parts {
        let Part { usage, amount } = part;
        lines.push(format!(
            "  usage  {} to {}: {}, of which here {}",
            usage.from,
            usage.to,
            shown(usage.amount),
            shown(*amount)
        ));
        for payload in [usage.from, usage.to].into_iter().filter_map(|time| (beside.payload)(time)) {
            let line = reading_text(&payload);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    for (input, factor, base) in &explanation.terms {
        let input = rules.topology.meter(*input);
        lines.push(format!("  sum of  {factor} x {} ({base} {})", input.id, base_unit(input.dimension)));
    }
    if let Some(plant) = &explanation.plant {
        let Plant { mg, heat, power, .. } = plant;
        lines.push(format!("  supplied by a plant that emitted {mg} mg for {heat} mJ of heat and {power} mJ of power"));
    }
    if let Value::Object(stack) = stack(rules, explanation.meter) {
        lines.push(format!("  stack  measured by {}, of {}", stack["cems"], stack["fuels"]));
    }
    for booking in &explanation.bookings {
        if let Some(facility) = booking.facility {
            lines.push(format!("  share of {}", rules.topology.facility(facility).id));
        }
        let total = booking.activity.total();
        lines.push(format!("  activity  {} ({} {})", shown(total.amount), total.amount, base_unit(meter.dimension)));
        for kind in PropertyKind::ALL {
            if let Some((dimension, value)) = booking.values.get(kind) {
                let from = from_meter(rules, booking.meter, kind).map_or(String::new(), |id| format!(", from {id}"));
                lines.push(format!("    {}  {} {}{from}", kind.name(), value.to_f64(), property_unit(dimension)));
            }
        }
        booking.flags.iter().for_each(|flag| lines.push(format!("    flag  {}", flag.name())));
        booking.postings.iter().for_each(|posting| posting_text(posting, beside, &mut lines));
    }
    if let Some(entry) = &beside.entry {
        lines.push(format!("  entry  15m, revision {}, GWP {}", entry.revision, beside.gwp));
        for column in Column::ALL.into_iter().filter(|column| entry.tally.mg(*column) != 0) {
            lines.push(format!("    {:<18} {:>20} mg", column.name(), entry.tally.mg(column)));
        }
    }
    lines.join("\n") + "\n"
}

fn posting_text(posting: &Posting, beside: &Beside<'_>, lines: &mut Vec<String>) {
    let weighted = posting.potential != Ratio::ONE;
    let gwp = if weighted { format!(", GWP {}", posting.potential.to_f64()) } else { String::new() };
    let (column, gas) = (posting.column.name(), posting.gas.name());
    lines.push(format!("    {column:<18} {:>20} mg  {} x {} ({gas}{gwp})", posting.mg, posting.amount, posting.ratio));
    let Some(row) = (beside.row)(&posting.row) else {
        return;
    };
    let text = |key: &str| row[key].as_str().unwrap_or("").to_owned();
    let (value, unit, set, source) = (text("value"), text("unit"), text("set"), text("source"));
    let valid = match (row["valid_from"].as_str(), row["valid_to"].as_str()) {
        (None, None) => String::new(),
        (from, to) => format!(", valid {} to {}", from.unwrap_or("..."), to.unwrap_or("...")),
    };
    let line = format!("      {} {value} {unit}, set {set}{valid}: {source}", &*posting.row);
    // A mass and its CO2e are of one row.
    if !lines.contains(&line) {
        lines.push(line);
    }
}

fn reading_text(payload: &Value) -> String {
    let text = |key: &str| payload[key].as_str().unwrap_or("").to_owned();
    let raw = match payload["payload"].as_str().or_else(|| payload["payload_base64"].as_str()) {
        Some(raw) => format!(" in {raw} on {}", text("topic")),
        None => String::new(),
    };
    format!("    reading  {} at {}, received {}{raw}", text("value"), text("time"), text("received"))
}

fn about(base: i64, unit: Ratio, meter: &crate::cluster::Meter) -> f64 {
    // An amount of a rate is without its time.
    let unit = meter.conversion.unit.per.map_or(unit.to_f64(), |per| unit.to_f64() * per.seconds() as f64 / 86_400.0);
    base as f64 / unit
}

/// The unit of an amount that a rate adds up to.
fn plain(unit: &str) -> String {
    match unit {
        "W" | "kW" | "MW" => format!("{unit} x s"),
        unit => unit.split_once('/').map_or(unit, |(top, _)| top).to_owned(),
    }
}

//! Why a meter is booked as it is in a quarter-hour, from the payload to the milligram.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::cluster::{Entity, MeterIx};
use crate::config::Plan;
use crate::decode::{Births, Mapping, gateway_filter};
use crate::factor::{Catalogue, GwpSet};
use crate::format::{Beside, explanation_json, explanation_text};
use crate::http::{Explain, Unstored};
use crate::meter::{Held, newest};
use crate::pipeline::{Amounts, Explanation, Rules, explain, meter_entries, quarters_of};
use crate::quantity::{Quarter, Span, Time, Window};
use crate::store::{Reader, StoreError, received};

/// All that an explanation needs beside the ledger.
pub struct Explainer {
    rules: Arc<Rules>,
    mappings: Vec<Mapping>,
    gwp: Vec<GwpSet>,
    catalogue: Arc<Catalogue>,
    state: PathBuf,
}

impl Explainer {
    /// By a plan.
    pub fn new(plan: &Plan) -> Explainer {
        Explainer {
            rules: Arc::clone(&plan.rules),
            mappings: plan.mappings.clone(),
            gwp: plan.gwp.clone(),
            catalogue: Arc::clone(&plan.catalogue),
            state: plan.daemon.state_dir.clone(),
        }
    }

    /// For whoever asks over HTTP.
    pub(crate) fn ask(self) -> Explain {
        Arc::new(move |reader, meter, quarter, beside| self.explain(reader, (meter, quarter), beside))
    }

    /// For people, or as JSON; with what is newer than what is stored. `None`: nothing is booked.
    pub fn explain(
        &self,
        reader: &Reader,
        (meter, quarter): (MeterIx, Quarter),
        (unstored, as_json): (Unstored, bool),
    ) -> Result<Option<String>, StoreError> {
        let rules = &self.rules;
        let range = quarters_of(rules, meter, Window::Quarter, (quarter.start(), quarter.start()));
        let amounts = Amounts::collect(rules, meter, |ix| {
            let mut quarters = reader.activities(ix, range)?;
            quarters.extend(unstored.of(ix).filter(|(at, ..)| (range.0..range.1).contains(at)).cloned());
            Ok::<_, StoreError>(quarters)
        })?;
        let id = rules.topology.meter(meter).id.as_str();
        let verdicts = reader.judgements()?.into_iter().filter(|judgement| judgement.meter == id);
        let verdicts: Vec<_> = verdicts.map(|judgement| (judgement.time, judgement.verdict)).collect();
        let within = (quarter, Quarter(quarter.0 + 1));
        let held = newest(reader.readings_between(meter, within)?, unstored.held, within);
        let explanation = explain(rules, (meter, quarter), &amounts, (held.clone(), &verdicts));
        if explanation.bookings.is_empty() {
            return Ok(None);
        }
        let payloads = self.payloads(reader, meter, &shown(&explanation, &held))?;
        let over = reader.over(unstored.now.unwrap_or(Time::MAX))?;
        let entries = meter_entries(rules, meter, Window::Quarter, &amounts, over);
        let rows = |id: &str| row(&self.catalogue, id);
        let payload = |time: Time| payloads.get(&time).cloned();
        let cluster = rules.topology.cluster_of(Entity::Meter(meter));
        let gwp = cluster.and_then(|ix| self.gwp.get(ix.0 as usize)).map_or("", |set| set.name());
        let beside = Beside {
            row: &rows,
            payload: &payload,
            entry: entries.into_iter().find(|entry| entry.key.start == quarter.start()),
            gwp,
        };
        Ok(Some(if as_json {
            format!("{}\n", explanation_json(rules, &explanation, &beside))
        } else {
            explanation_text(rules, &explanation, &beside)
        }))
    }

    /// The readings with the payloads they came in, as far as the journal still has them.
    fn payloads(&self, reader: &Reader, meter: MeterIx, shown: &[Shown]) -> Result<BTreeMap<Time, Value>, StoreError> {
        let declared = self.rules.topology.meter(meter);
        let mut known: BTreeMap<Time, Value> = shown
            .iter()
            .map(|&(time, received, base)| {
                let value = declared.conversion.text(base);
                let shown =
                    json!({ "time": time.to_string(), "received": received.to_string(), "value": value, "base": base });
                (time, shown)
            })
            .collect();
        let Some(mapping) = self.mappings.iter().find(|mapping| mapping.meter == meter) else {
            return Ok(known);
        };
        let (first, last) = (shown.iter().map(|p| p.1).min(), shown.iter().map(|p| p.1).max());
        let Some(range) = first.zip(last) else {
            return Ok(known);
        };
        let state = &self.state;
        let mut births = Births::default();
        reader.births(range.0)?.iter().for_each(|message| drop(self.rules.routes.decode(message, &mut births)));
        let mut messages = Vec::new();
        for topic in topics(&mapping.topic) {
            messages.extend(received(state, &topic, (range.0, range.1.plus(Span(1))))?);
        }
        messages.sort_by_key(|message| message.received);
        for message in messages {
            let decoded = self.rules.routes.decode(&message, &mut births);
            for (_, reading) in decoded.readings().iter().filter(|(ix, _)| *ix == meter) {
                if let Some(shown) = reading.as_ref().ok().and_then(|reading| known.get_mut(&reading.time)) {
                    shown["topic"] = message.topic.as_str().into();
                    match std::str::from_utf8(&message.payload) {
                        Ok(text) => shown["payload"] = text.into(),
                        Err(_) => shown["payload_base64"] = STANDARD.encode(&message.payload).into(),
                    }
                }
            }
        }
        Ok(known)
    }
}

/// When a reading was shown, when it came, and its value in base units.
type Shown = (Time, Time, i64);

/// The readings that the quarter follows from: only for these is the journal looked through.
fn shown(explanation: &Explanation, held: &[Held]) -> Vec<Shown> {
    let times: BTreeSet<Time> = explanation.parts.iter().flat_map(|part| [part.usage.from, part.usage.to]).collect();
    let points = held
        .iter()
        .flat_map(|h| h.set.points().iter().map(move |p| (p.time(h.quarter), p.received(h.quarter), p.value)));
    points.filter(|(time, ..)| times.contains(time)).collect()
}

/// The topic of a meter; of a gateway's, also those of the births, which tell values too.
fn topics(topic: &str) -> Vec<String> {
    if gateway_filter(topic).is_none() {
        return vec![topic.to_owned()];
    }
    let levels: Vec<&str> = topic.split('/').collect();
    let with = |kind: &str| {
        let part = |(at, level): (usize, &&str)| if at == 2 { kind.to_owned() } else { (*level).to_owned() };
        levels.iter().enumerate().map(part).collect::<Vec<_>>().join("/")
    };
    let of = if levels.len() == 4 { ["NBIRTH", "NDATA", "NDEATH"] } else { ["DBIRTH", "DDATA", "DDEATH"] };
    of.map(with).to_vec()
}

fn row(catalogue: &Catalogue, id: &str) -> Option<Value> {
    let row = catalogue.row(id)?;
    Some(json!({
        "id": row.id, "set": row.set, "series": row.series, "name": row.name, "value": row.value, "unit": row.unit,
        "basis": row.basis.map(|basis| basis.name()), "valid_from": row.valid_from, "valid_to": row.valid_to,
        "region": row.region, "source": row.source,
    }))
}

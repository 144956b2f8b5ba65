//! What is booked for whom, through the binary: factors, properties, relations between meters, contracts.

mod books;
mod catalogue;
mod examples;
mod explain;
mod matching;
mod meters;
mod reference;
mod relations;
mod restate;
mod rules;
mod world;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{Files, Ledger, emissiond, message, replay, run};

/// A configuration and messages, from which entries follow.
pub struct Case {
    pub config: String,
    pub factors: String,
    pub messages: Vec<String>,
}

pub const FACTOR_COLUMNS: &str = "id,set,series,name,kind,use,gas,value,unit,basis,heat_content,heat_content_unit,gwp_set,valid_from,valid_to,region,biogenic,source,uncertainty_pct\n";

impl Case {
    /// One cluster `c`, in UTC; what follows is added to it.
    pub fn new(cluster: &str, config: &str) -> Case {
        let config = format!("[factors]\nfiles = [\"own.csv\"]\n[clusters.c]\ntimezone = \"UTC\"\n{cluster}\n{config}");
        Case { config, factors: FACTOR_COLUMNS.to_owned(), messages: Vec::new() }
    }

    /// A row of the user's own factors: set, use, gas, value, unit, and more columns by name.
    pub fn factor(
        mut self,
        set: &str,
        usage: &str,
        gas: &str,
        (value, unit): (&str, &str),
        more: &[(&str, &str)],
    ) -> Case {
        let more: BTreeMap<&str, &str> = more.iter().copied().collect();
        let get = |key: &str| more.get(key).copied().unwrap_or("");
        self.factors.push_str(&format!(
            "{set}-{gas}{},{set},{set},own,fuel,{usage},{gas},{value},{unit},{},{},{},{},{},{},,{},test,{}\n",
            get("valid_from"),
            get("basis"),
            get("heat_content"),
            get("heat_content_unit"),
            get("gwp_set"),
            get("valid_from"),
            get("valid_to"),
            get("biogenic"),
            get("uncertainty_pct"),
        ));
        self
    }

    /// A reading whose payload is a number, received when it is taken.
    pub fn send(mut self, time: &str, topic: &str, value: &str) -> Case {
        self.messages.push(message(time, topic, value));
        self
    }

    pub fn files(&self) -> Files {
        Files::new(&[("c.toml", &self.config), ("own.csv", &self.factors), ("m.jsonl", &self.messages.join("\n"))])
    }

    pub fn replay(&self) -> Ledger {
        Ledger::parse(&replay(&self.files(), "c.toml", "m.jsonl"))
    }

    /// What `check` says, with its exit code.
    pub fn check(&self) -> (i32, String) {
        let output = run(emissiond().args(["check", "--config"]).arg(self.files().path("c.toml")));
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap(), text)
    }
}

/// A meter that sends plain numbers, each an amount at its time.
pub fn event(id: &str, facility: &str, unit: &str, more: &str) -> String {
    format!(
        "[meters.{id}]\nfacility = \"{facility}\"\ntopic = \"{id}\"\nformat = \"number\"\nkind = \"event\"\nunit = \"{unit}\"\n{more}\n"
    )
}

/// The only entry of an entity in a window.
pub fn entry<'a>(ledger: &'a Ledger, level: &str, entity: &str, window: &str) -> &'a Value {
    let found: Vec<&Value> = ledger
        .entries
        .iter()
        .filter(|((l, e, w, _), _)| l == level && e == entity && w == window)
        .map(|(_, value)| value)
        .collect();
    assert_eq!(found.len(), 1, "{level} {entity} {window}");
    found[0]
}

pub fn mg(entry: &Value, column: &str) -> f64 {
    entry[format!("{column}_mg")].as_f64().unwrap()
}

/// Within a part of the expected figure, and half a milligram, by which every mass is rounded.
#[track_caller]
pub fn assert_near(found: f64, expected: f64, tolerance: f64, what: &str) {
    let allowed = expected.abs() * tolerance + 0.5000001;
    assert!((found - expected).abs() <= allowed, "{what}: {found} instead of {expected}");
}

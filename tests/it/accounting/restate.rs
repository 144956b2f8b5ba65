//! Closed figures after something that decides them has changed: only what is touched has a new revision, and every value is
//! that of a fresh replay under the new plan.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Case, event};
use crate::harness::{Files, emissiond, replay, run};

type Key = (String, String, String, String);

/// A configuration with its state, filled from the messages of a case.
struct Site {
    files: Files,
}

const CLUSTER: &str = "grid = \"own-grid\"\n";

fn fuel(more: &str) -> String {
    event(
        "fuel",
        "f",
        "t",
        &format!("category = \"stationary-combustion\"\nfactor = \"own-fuel\"\nbasis = \"LHV\"\n{more}"),
    )
}

fn site(heat: &str, more: &str) -> Case {
    let meters = [
        "[ledger]\nlate_horizon = \"7d\"\n[facilities.f]\ncluster = \"c\"\n[facilities.g]\ncluster = \"c\"\n"
            .to_owned(),
        fuel(&format!("heat_content = {heat}")),
        event("power", "g", "kWh", "category = \"purchased-electricity\""),
        event("wind", "g", "kWh", "category = \"generation\""),
        more.to_owned(),
    ];
    let mut case = Case::new(CLUSTER, &meters.concat())
        .factor("own-fuel", "inventory", "CO2", ("56.1", "kg/GJ"), &[("basis", "LHV")])
        .factor("own-fuel", "inventory", "CH4", ("0.3", "kg/GJ"), &[("basis", "LHV")])
        .factor(
            "own-grid",
            "grid",
            "CO2",
            ("0.4", "kg/kWh"),
            &[("valid_from", "2025-01-01"), ("valid_to", "2025-12-31")],
        );
    for day in ["01-10", "01-31", "02-01", "02-20", "03-05"] {
        for (hour, amount) in [("08:10", "3"), ("16:40", "5")] {
            let time = format!("2026-{day}T{hour}:00Z");
            case = case.send(&time, "fuel", amount).send(&time, "power", "1000").send(&time, "wind", "400");
        }
    }
    case
}

impl Site {
    fn filled(case: &Case) -> Site {
        Site::filled_as(case, 30)
    }

    fn filled_as(case: &Case, readings: usize) -> Site {
        let site = Site { files: case.files() };
        let output = site.run(&["backfill", "--messages", site.files.path("m.jsonl").to_str().unwrap()]);
        assert!(output.contains(&format!("\"accepted\":{readings}")), "{output}");
        site
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = run(emissiond()
            .current_dir(self.files.0.path())
            .args(arguments)
            .arg("--config")
            .arg(self.files.path("c.toml")));
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// All entries of all levels; the revision apart.
    fn entries(&self) -> BTreeMap<Key, (Value, u64)> {
        let mut entries = BTreeMap::new();
        for level in ["meter", "facility", "cluster"] {
            for window in ["1m", "15m", "1h", "1d", "1mo", "1y"] {
                entries.extend(parse(&self.run(&["export", "--level", level, "--window", window])));
            }
        }
        entries
    }

    /// Another plan, on the same state.
    fn replan(&self, case: &Case) {
        std::fs::write(self.files.path("c.toml"), &case.config).unwrap();
        std::fs::write(self.files.path("own.csv"), &case.factors).unwrap();
    }

    fn audit(&self) -> Vec<Value> {
        self.run(&["audit", "list"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn parse(text: &str) -> BTreeMap<Key, (Value, u64)> {
    let entry = |line: &str| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| value[key].as_str().unwrap_or("").to_owned();
        let key = (text("level"), text("entity"), text("window"), text("start"));
        let revision = value.as_object_mut().unwrap().remove("revision").and_then(|r| r.as_u64()).unwrap_or(0);
        (key, (value, revision))
    };
    text.lines().map(entry).filter(|((level, ..), _)| level != "summary").collect()
}

/// Replans, and compares: values with a fresh replay; new revisions exactly where values changed above the meters.
fn check(before: &Case, after: &Case, touched: impl Fn(&Key) -> bool) -> Vec<Value> {
    let site = Site::filled(before);
    let first = site.entries();
    site.replan(after);
    let second = site.entries();
    let fresh = parse(&replay(&after.files(), "c.toml", "m.jsonl").join("\n"));
    let values = |all: &BTreeMap<Key, (Value, u64)>| -> BTreeMap<Key, Value> {
        all.iter().map(|(key, (value, _))| (key.clone(), value.clone())).collect()
    };
    assert_eq!(values(&second).keys().collect::<Vec<_>>(), values(&fresh).keys().collect::<Vec<_>>());
    for (key, value) in values(&second) {
        assert_eq!(value, fresh[&key].0, "{key:?}");
    }
    for (key, (value, revision)) in &second {
        let (old, old_revision) = &first[key];
        let open = *revision == 0;
        assert_eq!(value != old, touched(key), "{key:?} {old} {value}");
        assert!(open || (*revision > *old_revision) == touched(key), "{key:?}: {old_revision} to {revision}");
    }
    site.audit()
}

fn in_february(key: &Key) -> bool {
    key.3.starts_with("2026-02") || key.2 == "1y"
}

fn of_fuel(key: &Key) -> bool {
    ["fuel", "f", "c"].contains(&key.1.as_str())
}

#[test]
fn a_property_of_a_month_restates_that_month() {
    let before =
        site("{ \"2026-01-01\" = \"42 GJ/t\", \"2026-02-01\" = \"43 GJ/t\", \"2026-03-01\" = \"41 GJ/t\" }", "");
    let after =
        site("{ \"2026-01-01\" = \"42 GJ/t\", \"2026-02-01\" = \"43.5 GJ/t\", \"2026-03-01\" = \"41 GJ/t\" }", "");
    let audit = check(&before, &after, |key| of_fuel(key) && in_february(key));
    assert_eq!(audit.len(), 2, "{audit:?}");
    assert_eq!((audit[0]["what"].as_str(), audit[1]["what"].as_str()), (Some("backfill"), Some("plan")));
    let change = &audit[1]["facilities"]["f"]["scope1_mg"];
    let mg = |key: &str| change[key].as_str().unwrap().parse::<f64>().unwrap();
    assert!((mg("after") / mg("before") - 43.5 / 43.0).abs() < 1e-9, "{change}");
    assert_eq!(audit[1]["detail"]["meters"][0], "fuel");
    assert_eq!(audit[1]["plan"].as_str().unwrap().len(), 64);
}

#[test]
fn another_set_of_potentials_restates_what_is_weighted_by_it() {
    let before = site("\"42 GJ/t\"", "");
    let mut after = site("\"42 GJ/t\"", "");
    after.config = after.config.replace(CLUSTER, &format!("{CLUSTER}gwp = \"ar5\"\n"));
    check(&before, &after, of_fuel);
}

#[test]
fn a_new_vintage_restates_from_its_first_day_on() {
    let before = site("\"42 GJ/t\"", "");
    let after = site("\"42 GJ/t\"", "").factor(
        "own-grid-2026",
        "grid",
        "CO2",
        ("0.35", "kg/kWh"),
        &[("valid_from", "2026-02-01"), ("valid_to", "2026-12-31")],
    );
    let mut after = after;
    // One series, two vintages.
    after.factors = after.factors.replace("own-grid-2026,own-grid-2026,own", "own-grid-2026,own-grid,own");
    let touched =
        |key: &Key| ["power", "g", "c"].contains(&key.1.as_str()) && (key.3.as_str() >= "2026-02" || key.2 == "1y");
    check(&before, &after, touched);
}

#[test]
fn a_contract_restates_the_time_it_holds() {
    let contract = "[contracts.ppa]\nfacility = \"g\"\ngeneration = \"wind\"\nsite = \"external\"\nfactor = \"0 kg/kWh\"\nvalid_from = \"2026-02-01\"\nvalid_to = \"2026-03-01\"\n";
    let (before, after) = (site("\"42 GJ/t\"", ""), site("\"42 GJ/t\"", contract));
    check(&before, &after, |key| ["power", "g", "c"].contains(&key.1.as_str()) && in_february(key));
}

#[test]
fn an_adjusted_month_has_its_amount_and_its_author() {
    let site = Site::filled(&site("\"42 GJ/t\"", ""));
    let before = site.entries();
    let said = site.run(&[
        "adjust",
        "--meter",
        "fuel",
        "--from",
        "2026-02-01",
        "--to",
        "2026-03-01",
        "--value",
        "20 t",
        "--reason",
        "invoice 17",
        "--by",
        "A. Auditor",
    ]);
    assert!(said.contains("invoice 17"), "{said}");
    let after = site.entries();
    let mg =
        |entries: &BTreeMap<Key, (Value, u64)>, entity: &str, level: &str, window: &str| -> BTreeMap<String, i64> {
            let wanted = entries.iter().filter(|((l, e, w, _), _)| l == level && e == entity && w == window);
            wanted.map(|(key, (value, _))| (key.3.clone(), value["co2_mg"].as_i64().unwrap())).collect()
        };
    // 20 t at 42 GJ/t and 56.1 kg/GJ; each quarter is rounded once.
    let expected = 20 * 42 * 56_100_000i64;
    for (level, entity) in [("meter", "fuel"), ("facility", "f"), ("cluster", "c")] {
        let month = mg(&after, entity, level, "1mo")["2026-02-01T00:00:00Z"];
        assert!((month - expected).abs() <= 2_700, "{level}: {month}");
        let quarters = mg(&after, entity, level, "15m");
        let sum: i64 = quarters.range("2026-02".to_owned().."2026-03".to_owned()).map(|(_, mg)| mg).sum();
        assert_eq!(sum, month);
    }
    let touched: Vec<&Key> =
        before.keys().filter(|key| after.get(*key).map(|(v, _)| v) != Some(&before[*key].0)).collect();
    assert!(touched.iter().all(|key| of_fuel(key) && in_february(key)), "{touched:?}");
    assert!(after.iter().filter(|(key, _)| key.1 == "f" && key.2 == "1mo").all(|(key, (value, _))| {
        value["flags"].as_array().unwrap().iter().any(|flag| flag == "adjusted") == in_february(key)
    }));
    let audit = site.audit();
    assert_eq!(audit.last().unwrap()["by"], "A. Auditor");
    assert_eq!(audit.last().unwrap()["detail"]["value"], "20 t");
    // Working it all out again changes nothing.
    let again = site.run(&["restate", "--from", "2026-01-01", "--to", "2026-04-01"]);
    assert!(again.contains("\"what\":\"restate\""), "{again}");
    assert_eq!(site.entries(), after);
}

/// What a facility no longer shares is no longer its own, in what is closed as well.
#[test]
fn a_facility_that_leaves_a_shared_meter_gives_up_its_part() {
    let power = |whose: &str| {
        format!(
            "[meters.shared]\n{whose}\ntopic = \"power\"\nformat = \"number\"\nkind = \"event\"\nunit = \"MWh\"\ncategory = \"purchased-electricity\"\n"
        )
    };
    let plan = |whose: &str| {
        let mut case = site("\"42 GJ/t\"", "");
        case.config = case.config.replace("topic = \"power\"", "topic = \"other\"");
        case.config.push_str(&power(whose));
        case
    };
    let (before, after) = (plan("allocate = { f = 0.5, g = 0.5 }"), plan("facility = \"f\""));
    let site = Site::filled(&before);
    site.entries();
    site.replan(&after);
    let values = |all: BTreeMap<Key, (Value, u64)>| -> BTreeMap<Key, Value> {
        all.into_iter().map(|(key, (value, _))| (key, value)).collect()
    };
    assert_eq!(values(site.entries()), values(parse(&replay(&after.files(), "c.toml", "m.jsonl").join("\n"))));
}

#[test]
fn a_sum_that_is_new_and_a_sum_that_is_gone_change_what_is_closed() {
    let total = event("total", "g", "t", "").replace("topic = \"total\"", "topic = \"fuel\"");
    let sum = "[meters.rest]\nfacility = \"g\"\nsum = { total = 2 }\nunit = \"t\"\ncategory = \"process\"\ncarbon = \"50 %\"\n";
    let with = site("\"42 GJ/t\"", &format!("{total}{sum}"));
    let without = site("\"42 GJ/t\"", &total.replace("kind", "category = \"memo\"\nkind"));
    let totals = |case: &Case| parse(&replay(&case.files(), "c.toml", "m.jsonl").join("\n"));
    for (before, after) in [(&without, &with), (&with, &without)] {
        let site = Site::filled_as(before, 40);
        site.entries();
        site.replan(after);
        let (found, fresh) = (site.entries(), totals(after));
        let values = |all: &BTreeMap<Key, (Value, u64)>| -> BTreeMap<Key, Value> {
            all.iter().map(|(key, (value, _))| (key.clone(), value.clone())).collect()
        };
        assert_eq!(values(&found), values(&fresh));
    }
}

/// A plan that is put back while another is being worked in leaves nothing of that behind.
#[test]
fn a_plan_that_is_put_back_halfway_leaves_no_trace_in_the_figures() {
    use emissiond::config::check;
    use emissiond::daemon::Books;
    let (old, new) = (site("\"42 GJ/t\"", ""), site("\"50 GJ/t\"", ""));
    let site = Site::filled(&old);
    let first = site.entries();
    site.replan(&new);
    let config = site.files.path("c.toml");
    let state = site.files.path("state");
    let plan = check(Some(&config)).map_err(|report| report.to_text()).unwrap();
    let mut books = Books::open(&state, &plan, emissiond::clock::now()).unwrap();
    assert!(books.is_restating());
    books.restate_some().unwrap();
    drop(books);
    site.replan(&old);
    let values = |all: BTreeMap<Key, (Value, u64)>| -> BTreeMap<Key, Value> {
        all.into_iter().map(|(key, (value, _))| (key, value)).collect()
    };
    assert_eq!(values(site.entries()), values(first));
}

#[test]
fn the_impact_of_a_plan_is_shown_before_it_is_in_force() {
    let before = site("{ \"2026-01-01\" = \"42 GJ/t\", \"2026-02-01\" = \"43 GJ/t\" }", "");
    let after = site("{ \"2026-01-01\" = \"42 GJ/t\", \"2026-02-01\" = \"44 GJ/t\" }", "");
    let site = Site::filled(&before);
    let first = site.entries();
    assert!(site.run(&["check", "--impact"]).contains("impact: none"));
    site.replan(&after);
    let said = site.run(&["check", "--impact"]);
    // 24 t from February on: 57.9 t of CO2 and 0.2 t of CH4 before, a forty-third more after.
    for line in ["booked differently: fuel", "f: 6 quarter-hours from 2026-02-01T08:00:00Z", "scope1:"] {
        assert!(said.contains(line), "{said}");
    }
    site.replan(&before);
    assert_eq!(site.entries(), first);
    assert_eq!(site.audit().len(), 1);
}

#[test]
fn what_cannot_be_corrected_is_said() {
    let site = Site::filled(&site("\"42 GJ/t\"", ""));
    for (arguments, cure) in [
        (["fuel", "2026-02-01", "2026-03-01", "20 kWh"], "such as \"12 t\""),
        (["fule", "2026-02-01", "2026-03-01", "20 t"], "no meter has the id `fule`"),
        (["fuel", "2026-03-01", "2026-02-01", "20 t"], "must be before"),
        (["fuel", "2026-02-01T00:05:00Z", "2026-03-01", "20 t"], "quarter-hour"),
        (["fuel", "2026-02-01", "2126-03-01", "20 t"], "yet to come"),
    ] {
        let [meter, from, to, value] = arguments;
        let mut command = emissiond();
        command.args([
            "adjust", "--meter", meter, "--from", from, "--to", to, "--value", value, "--reason", "r", "--by", "b",
        ]);
        let output = run(command.current_dir(site.files.0.path()).arg("--config").arg(site.files.path("c.toml")));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(cure), "{arguments:?}: {said}");
    }
    assert_eq!(site.audit().len(), 1);
}

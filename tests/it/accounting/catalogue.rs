//! Every factor of the shipped table, through `replay`: the figure as printed, times the amount.

use std::collections::BTreeMap;

use super::{Case, assert_near, entry, event, mg};

type Row = BTreeMap<String, String>;

fn rows() -> Vec<Row> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/factors.csv");
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

fn sets() -> BTreeMap<String, Vec<Row>> {
    let mut sets: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows() {
        sets.entry(row["set"].clone()).or_default().push(row);
    }
    sets
}

/// Kilograms CO2e of a kilogram, AR6, fossil methane apart.
fn gwp(gas: &str) -> f64 {
    match gas {
        "CO2" | "CO2e" => 1.0,
        "CH4" => 27.0,
        "N2O" => 273.0,
        "CF4" => 7_380.0,
        "C2F6" => 12_400.0,
        other => panic!("{other}"),
    }
}

/// Kilograms in the unit of a numerator.
fn kilograms(unit: &str) -> f64 {
    match unit.split(' ').next().unwrap() {
        "kg" => 1.0,
        "t" => 1_000.0,
        "lb" => 0.453_592_37,
        other => panic!("{other}"),
    }
}

/// The unit a meter would have for a denominator, how many of the denominator one of it is, and the product.
fn meter_unit(denominator: &str) -> (String, f64, Option<String>) {
    match denominator {
        "gal (US)" => ("gal".to_owned(), 1.0, None),
        "scf" => ("scf60".to_owned(), 1.0, None),
        "kL" => ("L".to_owned(), 0.001, None),
        other => match other.split_once(' ') {
            Some((unit, product)) => (unit.to_owned(), 1.0, Some(product.to_owned())),
            None => (other.to_owned(), 1.0, None),
        },
    }
}

/// As much as a meter may show in terajoules.
const AMOUNT: f64 = 1_234.0;

#[test]
fn every_set_is_right_to_a_millionth() {
    let sets = sets();
    let mut case = Case::new("grid = \"eea_fr\"", "");
    case.config.push_str("[ledger]\nlate_horizon = \"30y\"\n");
    let mut expected = Vec::new();
    for (set, rows) in &sets {
        let usage = rows[0]["use"].as_str();
        let kind = rows[0]["kind"].as_str();
        let (_, denominator) = rows[0]["unit"].split_once('/').unwrap();
        let (unit, scale, product) = meter_unit(denominator);
        let product = product.map(|product| format!("product = \"{product}\"\n")).unwrap_or_default();
        let basis = match rows[0]["basis"].as_str() {
            "n/a" => String::new(),
            basis => format!("basis = \"{basis}\"\n"),
        };
        let booked = match (usage, kind) {
            ("inventory", "steam") => format!("category = \"purchased-steam\"\nfactor = \"{set}\""),
            ("inventory", "process") => format!("category = \"process\"\nfactor = \"{set}\"\n{product}"),
            ("inventory", _) => format!("category = \"stationary-combustion\"\nfactor = \"{set}\"\n{basis}"),
            ("grid", _) => format!("category = \"purchased-electricity\"\nfactor = \"{set}\""),
            ("residual", _) => format!("category = \"purchased-electricity\"\nfactor_market = \"{set}\""),
            _ => continue,
        };
        let facility = format!("f-{set}").replace('.', "-");
        case.config.push_str(&format!("[facilities.{facility}]\ncluster = \"c\"\n"));
        case.config.push_str(&event(&facility, &facility, &unit, &booked));
        // Within the validity of each set, so that none is provisional.
        let day = Some(rows[0]["valid_from"].as_str()).filter(|d| !d.is_empty()).unwrap_or("2025-01-01");
        case = case.send(&format!("{day}T12:00:00Z"), &facility, &AMOUNT.to_string());
        let total: f64 = rows.iter().filter(|row| !is_memo(row)).map(|row| kilograms_of(row) * AMOUNT * scale).sum();
        expected.push((facility, usage, kind, total * 1e6));
    }
    assert!(expected.len() > 350, "{}", expected.len());
    let ledger = case.replay();
    for (facility, usage, kind, total) in &expected {
        let found = entry(&ledger, "facility", facility, "1d");
        let column = match (*usage, *kind) {
            ("residual", _) => "scope2_market",
            ("grid", _) | (_, "steam") => "scope2_location",
            _ => "scope1",
        };
        // Each gas is rounded for itself.
        assert_near(mg(found, column), *total, 1e-6, facility);
        let of_another_year =
            found["flags"].as_array().unwrap().iter().any(|f| f.as_str().unwrap().starts_with("factor-"));
        // The location-based factor beside a residual mix is of its own year.
        assert!(*usage == "residual" || !of_another_year, "{found}");
    }
}

fn is_memo(row: &Row) -> bool {
    row["gas"] == "CO2" && row["biogenic"] == "1"
}

fn kilograms_of(row: &Row) -> f64 {
    let (top, _) = row["unit"].split_once('/').unwrap();
    let potential = if top.contains("CO2e") { 1.0 } else { gwp(&row["gas"]) };
    row["value"].parse::<f64>().unwrap() * kilograms(top) * potential
}

#[test]
fn what_is_no_factor_of_an_inventory_is_refused_with_the_reason() {
    for (set, reason) in [
        ("fr_ademe_conso", "scope 3"),
        ("fr_eco2mix_gas", "one kind of plant"),
        ("in_cea_v21_cm", "emissions avoided"),
        ("gwp_ar6", "warming potential"),
    ] {
        let electricity = format!("category = \"purchased-electricity\"\nfactor = \"{set}\"");
        let case = Case::new("", &format!("[facilities.f]\ncluster = \"c\"\n{}", event("m", "f", "kWh", &electricity)));
        let (code, text) = case.check();
        assert!(code == 78 && text.contains(reason), "{set}: {code} {text}");
    }
}

#[test]
fn a_fuel_is_no_electricity_and_a_gas_has_its_name() {
    for (more, cure) in [
        ("category = \"purchased-electricity\"\nfactor = \"epa98_natural_gas\"", "is of a fuel"),
        ("category = \"fugitive\"\ngas = \"R410\"", "did you mean `R-410A`?"),
        ("category = \"fugitive\"\ngas = \"XYZ\"", "may add a row"),
    ] {
        let unit = if more.contains("fugitive") { "kg" } else { "kWh" };
        let case = Case::new("", &format!("[facilities.f]\ncluster = \"c\"\n{}", event("m", "f", unit, more)));
        let (code, text) = case.check();
        assert!(code == 78 && text.contains(cure), "{more}: {code} {text}");
    }
}

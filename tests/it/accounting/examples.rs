//! Published and worked examples of the trade, each through `replay` with a configuration: within its own tolerance.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Case, entry, event};
use crate::harness::shared_data;

/// What cannot be told by a ledger of emissions, and why.
const NO_EMISSION: &[(&str, &str)] = &[
    ("cems_bowen_intensity", "an intensity: emission per unit of production, which entries do not hold"),
    ("eq_mrr_art45", "a substitute concentration: substitution of missing data is not built"),
    ("eq_sbti", "a pathway: a target, not an emission"),
    ("eq_actual_m3", "a volume; it is checked through a factor of 1 kg/Nm3"),
];

/// One fuel or process by one factor.
struct Plain {
    id: &'static str,
    category: &'static str,
    unit: &'static str,
    amount: &'static str,
    /// Gas, value, unit.
    rows: &'static [(&'static str, &'static str, &'static str)],
    more: &'static str,
    column: &'static str,
    /// Milligrams in the unit of the expected figure.
    mg: f64,
}

const KG: f64 = 1e6;
const T: f64 = 1e9;
const SHORT_TON: f64 = 907_184_740.0;
const FUEL: &str = "stationary-combustion";
const GRID: &str = "purchased-electricity";

#[rustfmt::skip]
const PLAIN: &[Plain] = &[
    Plain { id: "sn_b20_bio", category: FUEL, unit: "gal", amount: "120", rows: &[("CO2 bio", "9.45", "kg/gal")], more: "", column: "biogenic_co2", mg: T },
    Plain { id: "cems_barry_h2_g4", category: FUEL, unit: "mmBtu", amount: "1644.9", rows: &[("CO2", "0.10285714285714286", "short_ton/mmBtu")], more: "", column: "scope1", mg: SHORT_TON },
    Plain { id: "cems_bowen_day", category: "cems-co2", unit: "short_ton", amount: "25273.6", rows: &[], more: "", column: "scope1", mg: T },
    Plain { id: "cems_bowen_2017-01-01_0", category: FUEL, unit: "mmBtu", amount: "9220.9", rows: &[("CO2", "0.1026", "short_ton/mmBtu")], more: "", column: "co2", mg: SHORT_TON },
    Plain { id: "cems_bowen_2017-01-07_6", category: FUEL, unit: "mmBtu", amount: "23399.0", rows: &[("CO2", "0.1026", "short_ton/mmBtu")], more: "", column: "co2", mg: SHORT_TON },
    Plain { id: "eq_c6", category: FUEL, unit: "scf68", amount: "5000000", rows: &[("CO2", "0.000006216", "t/scf68")], more: "", column: "co2", mg: T },
    Plain { id: "eq_f11", category: FUEL, unit: "scf68", amount: "10000000", rows: &[("CO2", "0.0000057", "short_ton/scf68")], more: "", column: "co2", mg: SHORT_TON },
    Plain { id: "egrid23_camx", category: GRID, unit: "kWh", amount: "1000000", rows: &[("CO2", "428.464", "lb/MWh"), ("CH4", "0.025", "lb/MWh"), ("N2O", "0.003", "lb/MWh")], more: "", column: "scope2_location", mg: KG * 1e6 },
    Plain { id: "egrid23_newe", category: GRID, unit: "kWh", amount: "1000000", rows: &[("CO2", "539.275", "lb/MWh"), ("CH4", "0.063", "lb/MWh"), ("N2O", "0.008", "lb/MWh")], more: "", column: "scope2_location", mg: KG * 1e6 },
    Plain { id: "egrid23_srmw", category: GRID, unit: "kWh", amount: "1000000", rows: &[("CO2", "1239.839", "lb/MWh"), ("CH4", "0.132", "lb/MWh"), ("N2O", "0.019", "lb/MWh")], more: "", column: "scope2_location", mg: KG * 1e6 },
    Plain { id: "egrid23_srmv", category: GRID, unit: "kWh", amount: "1000000", rows: &[("CO2", "739.72", "lb/MWh"), ("CH4", "0.032", "lb/MWh"), ("N2O", "0.004", "lb/MWh")], more: "", column: "scope2_location", mg: KG * 1e6 },
    Plain { id: "desnz26_sum", category: GRID, unit: "kWh", amount: "1000000", rows: &[("CO2", "0.12943", "kg CO2e/kWh"), ("CH4", "0.00067", "kg CO2e/kWh"), ("N2O", "0.00086", "kg CO2e/kWh")], more: "", column: "scope2_location", mg: KG * 1e6 },
    Plain { id: "desnz25_sum", category: GRID, unit: "kWh", amount: "1000000", rows: &[("CO2", "0.17489", "kg CO2e/kWh"), ("CH4", "0.0009", "kg CO2e/kWh"), ("N2O", "0.00122", "kg CO2e/kWh")], more: "", column: "scope2_location", mg: KG * 1e6 },
    Plain { id: "nga_old_power", category: GRID, unit: "kWh", amount: "11300000", rows: &[("CO2e", "0.81", "kg CO2e/kWh")], more: "", column: "scope2_location", mg: T },
    Plain { id: "epa_eq_ch4_therm", category: "fugitive", unit: "therm", amount: "1", rows: &[("CH4", "19.24", "kg/mmBtu")], more: "", column: "ch4", mg: T },
    Plain { id: "epa_eq_tanker", category: "mobile-combustion", unit: "gal", amount: "8500", rows: &[("CO2", "0.00889", "t/gal")], more: "", column: "scope1", mg: T },
    Plain { id: "sp_pfc_cf4", category: "process", unit: "t", amount: "100000", rows: &[("CF4", "0.143", "kg/t Al per AE-min/cell-day")], more: "product = \"Al per AE-min/cell-day\"", column: "pfc_co2e", mg: 6_630.0 * KG },
    Plain { id: "sp_pfc_ar5", category: "process", unit: "t", amount: "100000", rows: &[("CF4", "0.143", "kg/t Al per AE-min/cell-day"), ("C2F6", "0.017303", "kg/t Al per AE-min/cell-day")], more: "product = \"Al per AE-min/cell-day\"", column: "scope1", mg: T },
    Plain { id: "sp_al_t1", category: "process", unit: "t", amount: "150000", rows: &[("CF4", "0.4", "kg/t Al"), ("C2F6", "0.04", "kg/t Al")], more: "product = \"Al\"", column: "scope1", mg: T },
    Plain { id: "sp_hno3_hp", category: "process", unit: "t", amount: "35000", rows: &[("N2O", "9", "kg/t HNO3 (100%)")], more: "product = \"HNO3\"\nscale = 0.6", column: "scope1", mg: T },
    Plain { id: "sp_hno3", category: "process", unit: "t", amount: "20000", rows: &[("N2O", "7", "kg/t HNO3")], more: "product = \"HNO3\"\nscale = 0.235", column: "n2o", mg: KG },
    Plain { id: "sp_cement", category: "process", unit: "t", amount: "480000", rows: &[("CO2", "0.52", "t/t clinker")], more: "product = \"clinker\"\nscale = 0.74", column: "scope1", mg: T },
    Plain { id: "verifi_propane", category: FUEL, unit: "mmBtu", amount: "1000", rows: &[("CO2", "62.87", "kg/mmBtu"), ("CH4", "0.003", "kg/mmBtu"), ("N2O", "0.0006", "kg/mmBtu")], more: "", column: "scope1", mg: KG * 1e3 },
    Plain { id: "verifi_diesel", category: FUEL, unit: "mmBtu", amount: "1000", rows: &[("CO2", "73.96", "kg/mmBtu"), ("CH4", "0.003", "kg/mmBtu"), ("N2O", "0.0006", "kg/mmBtu")], more: "", column: "scope1", mg: KG * 1e3 },
    Plain { id: "verifi_butane", category: FUEL, unit: "mmBtu", amount: "1000", rows: &[("CO2", "64.77", "kg/mmBtu"), ("CH4", "0.003", "kg/mmBtu"), ("N2O", "0.0006", "kg/mmBtu")], more: "", column: "scope1", mg: KG * 1e3 },
    Plain { id: "verifi_isobutane", category: FUEL, unit: "mmBtu", amount: "1000", rows: &[("CO2", "64.94", "kg/mmBtu"), ("CH4", "0.003", "kg/mmBtu"), ("N2O", "0.0006", "kg/mmBtu")], more: "", column: "scope1", mg: KG * 1e3 },
    Plain { id: "sn_b20_fossil", category: FUEL, unit: "gal", amount: "600", rows: &[("CO2", "10.21", "kg/gal"), ("CH4", "0.000414", "kg/gal"), ("N2O", "0.0000828", "kg/gal")], more: "biomass_share = 0.2", column: "scope1", mg: T },
    Plain { id: "epa_eq_coal_older", category: FUEL, unit: "lb", amount: "1000", rows: &[], more: "heat_content = \"21.11 mmBtu/t\"\ncarbon = \"26.05 kg/mmBtu\"", column: "scope1", mg: T * 1e3 },
    Plain { id: "epa_eq_coal_2019", category: FUEL, unit: "lb", amount: "1000", rows: &[], more: "heat_content = \"20.85 mmBtu/t\"\ncarbon = \"26.09 kg/mmBtu\"", column: "scope1", mg: T * 1e3 },
    Plain { id: "epa_eq_railcar", category: FUEL, unit: "t", amount: "90.89", rows: &[], more: "heat_content = \"20.85 mmBtu/t\"\ncarbon = \"26.09 kg/mmBtu\"", column: "scope1", mg: T },
    Plain { id: "epa_eq_mcf", category: FUEL, unit: "scf60", amount: "1000", rows: &[("CO2", "0.005291", "t/therm")], more: "heat_content = \"0.01037 therm/scf60\"", column: "scope1", mg: T },
    Plain { id: "eq_c1a", category: FUEL, unit: "therm", amount: "10000", rows: &[("CO2", "53.06", "kg/mmBtu")], more: "", column: "scope1", mg: T },
    Plain { id: "nga26_lpg", category: FUEL, unit: "L", amount: "1000", rows: &[("CO2e", "60.6", "kg CO2e/GJ")], more: "heat_content = \"0.0257 GJ/L\"", column: "scope1", mg: KG },
    Plain { id: "nga26_diesel", category: FUEL, unit: "L", amount: "1000", rows: &[("CO2e", "70.2", "kg CO2e/GJ")], more: "heat_content = \"0.0386 GJ/L\"", column: "scope1", mg: KG },
    Plain { id: "nga26_gas", category: FUEL, unit: "m3", amount: "1000", rows: &[("CO2e", "51.53", "kg CO2e/GJ")], more: "heat_content = \"0.0393 GJ/m3\"", column: "scope1", mg: KG * 1e3 },
    Plain { id: "eq_lpg_nger", category: FUEL, unit: "L", amount: "250000", rows: &[("CO2e", "60.6", "kg CO2e/GJ")], more: "heat_content = \"25.7 GJ/m3\"", column: "scope1", mg: T },
    Plain { id: "ipcc_t_ng", category: FUEL, unit: "t", amount: "1", rows: &[("CO2", "56100", "kg/TJ")], more: "heat_content = \"48 GJ/t\"", column: "scope1", mg: T },
    Plain { id: "ipcc_t_bit", category: FUEL, unit: "t", amount: "1", rows: &[("CO2", "94600", "kg/TJ")], more: "heat_content = \"25.8 GJ/t\"", column: "scope1", mg: T },
    Plain { id: "ipcc_bfg_kwh", category: FUEL, unit: "kWh", amount: "1000", rows: &[("CO2", "260000", "kg/TJ"), ("CH4", "1", "kg/TJ"), ("N2O", "0.1", "kg/TJ")], more: "", column: "scope1", mg: KG },
    Plain { id: "epa_hub_dist2", category: FUEL, unit: "gal", amount: "1000", rows: &[("CO2", "73.96", "kg/mmBtu")], more: "heat_content = \"0.138 mmBtu/gal\"", column: "scope1", mg: KG * 1e3 },
    Plain { id: "epa_hub_lpg", category: FUEL, unit: "gal", amount: "1000", rows: &[("CO2", "61.71", "kg/mmBtu")], more: "heat_content = \"0.092 mmBtu/gal\"", column: "scope1", mg: KG * 1e3 },
    Plain { id: "epa_hub_natgas", category: FUEL, unit: "scf68", amount: "100000", rows: &[("CO2", "53.06", "kg/mmBtu")], more: "heat_content = \"0.001026 mmBtu/scf68\"", column: "scope1", mg: KG * 1e5 },
    Plain { id: "epa_hub_lfg", category: FUEL, unit: "scf68", amount: "100000", rows: &[("CO2 bio", "52.07", "kg/mmBtu")], more: "heat_content = \"0.000485 mmBtu/scf68\"", column: "biogenic_co2", mg: KG * 1e5 },
    Plain { id: "epa_hub_lig", category: FUEL, unit: "short_ton", amount: "1", rows: &[("CO2", "97.72", "kg/mmBtu")], more: "heat_content = \"14.21 mmBtu/short_ton\"", column: "scope1", mg: KG },
    Plain { id: "eq_c4", category: FUEL, unit: "gal", amount: "1000", rows: &[], more: "carbon = \"2.8 kg/gal\"", column: "scope1", mg: T },
    Plain { id: "eq_c5", category: FUEL, unit: "scf68", amount: "1000000", rows: &[], more: "carbon = \"72 %\"\ndensity = \"0.020600353148911 kg/scf68\"", column: "scope1", mg: T },
    Plain { id: "eq_c8", category: FUEL, unit: "scf68", amount: "1000000", rows: &[("CH4", "0.001", "kg/mmBtu")], more: "heat_content = \"0.001026 mmBtu/scf68\"", column: "ch4", mg: T },
    Plain { id: "sn_wood_ch4n2o", category: FUEL, unit: "mmBtu", amount: "45000", rows: &[("CO2 bio", "93.8", "kg/mmBtu"), ("CH4", "0.0072", "kg/mmBtu"), ("N2O", "0.0036", "kg/mmBtu")], more: "", column: "scope1", mg: T },
    Plain { id: "sn_coal_carbon", category: FUEL, unit: "t", amount: "1000", rows: &[], more: "carbon = \"68 %\"", column: "scope1", mg: KG },
    Plain { id: "sn_48500_therm", category: FUEL, unit: "therm", amount: "48500", rows: &[("CO2", "53.06", "kg/mmBtu"), ("CH4", "0.001", "kg/mmBtu"), ("N2O", "0.0001", "kg/mmBtu")], more: "", column: "scope1", mg: T },
    Plain { id: "steam_co2e_ar5", category: "purchased-steam", unit: "mmBtu", amount: "1000", rows: &[("CO2", "66.33", "kg/mmBtu"), ("CH4", "0.00125", "kg/mmBtu"), ("N2O", "0.000125", "kg/mmBtu")], more: "", column: "scope2_location", mg: KG * 1e3 },
    Plain { id: "epa_steam_default", category: "purchased-steam", unit: "mmBtu", amount: "1", rows: &[("CO2", "66.325", "kg/mmBtu")], more: "", column: "scope2_location", mg: KG },
    Plain { id: "eq_actual_m3", category: "process", unit: "m3", amount: "1000", rows: &[("CO2", "1", "kg/Nm3")], more: "temperature = \"10 degC\"\npressure = \"4.0 bar\"", column: "scope1", mg: KG },
];

fn examples() -> Option<BTreeMap<String, Value>> {
    let text = std::fs::read_to_string(shared_data()?.join("worked_examples.json")).unwrap();
    let list: Vec<Value> = serde_json::from_str(&text).unwrap();
    Some(list.into_iter().map(|example| (example["id"].as_str().unwrap().to_owned(), example)).collect())
}

#[track_caller]
fn check(examples: &BTreeMap<String, Value>, id: &str, found: f64) {
    let example = &examples[id];
    let (expected, tolerance) = (example["expected"].as_f64().unwrap(), example["tolerance_rel"].as_f64().unwrap());
    let difference = (found - expected).abs() / expected.abs();
    assert!(difference <= tolerance, "{id}: {found} instead of {expected}, {difference:e} is more than {tolerance:e}");
}

/// The category line and the factor of a plain example.
fn booked(example: &Plain) -> String {
    let factor = if example.rows.is_empty() { String::new() } else { format!("factor = \"own-{}\"\n", example.id) };
    format!("category = \"{}\"\n{factor}{}", example.category, example.more)
}

#[test]
fn plain_examples_are_within_their_tolerance() {
    let Some(examples) = examples() else {
        return;
    };
    for plain in PLAIN {
        let gwp = examples[plain.id]["gwp_set"].as_str().unwrap_or("AR5").to_lowercase();
        let meter = event("m", "f", plain.unit, &booked(plain));
        let mut case = Case::new(&format!("gwp = \"{gwp}\""), &format!("[facilities.f]\ncluster = \"c\"\n{meter}"));
        for (gas, value, unit) in plain.rows {
            let usage = if plain.category == GRID { "grid" } else { "inventory" };
            let (gas, biogenic) = gas.strip_suffix(" bio").map_or((*gas, ""), |gas| (gas, "1"));
            case = case.factor(&format!("own-{}", plain.id), usage, gas, (value, unit), &[("biogenic", biogenic)]);
        }
        let ledger = case.send("2026-01-01T00:00:30Z", "m", plain.amount).replay();
        let found = entry(&ledger, "facility", "f", "1d")[format!("{}_mg", plain.column)].as_f64().unwrap();
        check(&examples, plain.id, found / plain.mg);
    }
}

#[test]
fn every_example_is_checked_or_named() {
    let Some(examples) = examples() else {
        return;
    };
    let here = ["eq_chp", "eq_transfer", "eq_mrr_transfer", "eq_ipcc31", "eq_ipcc32", "mfe26_unc_hfo", "mfe26_unc_gas"];
    for id in examples.keys() {
        let plain = PLAIN.iter().any(|plain| plain.id == id);
        let named = NO_EMISSION.iter().any(|(known, _)| known == id);
        assert!(plain || named || here.contains(&id.as_str()), "{id}");
    }
}

/// 100 GJ of heat and 50 GJ of power from 60 t, by the efficiency method; the heat is sold inside.
#[test]
fn heat_and_power_share_their_emissions_by_efficiency() {
    let Some(examples) = examples() else {
        return;
    };
    let config = [
        "grid = \"own-grid\"\n[facilities.a]\ncluster = \"c\"\n[facilities.b]\ncluster = \"c\"\n".to_owned(),
        event("fuel", "a", "t", "category = \"stationary-combustion\"\nfactor = \"own-fuel\""),
        event("heat", "a", "GJ", "category = \"export\"\nbuyer = \"b\""),
        event("power", "a", "GJ", "category = \"generation\""),
        event("steam", "b", "GJ", "category = \"purchased-steam\"\nsupplier = \"a\"\nfactor = \"supplier\""),
        "[chp.plant]\nfacility = \"a\"\nfuels = [\"fuel\"]\nheat = [\"heat\"]\npower = [\"power\"]\n".to_owned(),
        "[transfers.pipe]\nsent = \"heat\"\nreceived = \"steam\"\n".to_owned(),
    ];
    let mut case = Case::new("", &config.concat()).factor("own-fuel", "inventory", "CO2", ("1", "t/t"), &[]).factor(
        "own-grid",
        "grid",
        "CO2",
        ("0.5", "kg/kWh"),
        &[],
    );
    for (topic, amount) in [("fuel", "60"), ("heat", "100"), ("power", "50"), ("steam", "100")] {
        case = case.send("2026-01-01T00:00:30Z", topic, amount);
    }
    let ledger = case.replay();
    let of = |level: &str, entity: &str, column: &str| {
        entry(&ledger, level, entity, "1h")[format!("{column}_mg")].as_f64().unwrap()
    };
    check(&examples, "eq_chp", of("facility", "b", "scope2_location") / T);
    assert_eq!(of("facility", "b", "scope2_market"), of("facility", "b", "scope2_location"));
    assert_eq!(of("cluster", "c", "scope1"), 60.0 * T);
    assert_eq!(of("cluster", "c", "scope2_location"), 0.0);
    assert_eq!(of("cluster", "c", "eliminated_location"), of("facility", "b", "scope2_location"));
    assert_eq!(of("cluster", "c", "eliminated_market"), of("facility", "b", "scope2_market"));
}

/// Plant A burns gas for 100 t and sells 40 % of its steam to B in the cluster.
#[test]
fn what_is_bought_inside_counts_once() {
    let Some(examples) = examples() else {
        return;
    };
    let config = [
        "[facilities.a]\ncluster = \"c\"\n[facilities.b]\ncluster = \"c\"\n".to_owned(),
        event("gas", "a", "t", "category = \"stationary-combustion\"\nfactor = \"own-fuel\""),
        event("steam", "b", "GJ", "category = \"purchased-steam\"\nsupplier = \"a\"\nfactor = \"own-steam\""),
    ];
    let ledger = Case::new("", &config.concat())
        .factor("own-fuel", "inventory", "CO2", ("1", "t/t"), &[])
        .factor("own-steam", "inventory", "CO2", ("0.4", "t/GJ"), &[])
        .send("2026-01-01T00:00:30Z", "gas", "100")
        .send("2026-01-01T00:00:30Z", "steam", "100")
        .replay();
    let cluster = entry(&ledger, "cluster", "c", "1h");
    let total = cluster["scope1_mg"].as_f64().unwrap() + cluster["scope2_location_mg"].as_f64().unwrap();
    check(&examples, "eq_transfer", total / T);
    assert_eq!(cluster["eliminated_location_mg"].as_f64().unwrap(), 40.0 * T);
    assert_eq!(entry(&ledger, "facility", "b", "1h")["scope2_location_mg"].as_f64().unwrap(), 40.0 * T);
}

/// 1,000 t gross with 2 % biogenic, 600 t of it stored: scope 1 stays gross, and what is deducted is fossil.
#[test]
fn stored_co2_is_deducted_as_far_as_it_is_fossil() {
    let Some(examples) = examples() else {
        return;
    };
    let config = [
        "[facilities.f]\ncluster = \"c\"\n".to_owned(),
        event("stack", "f", "t", "category = \"cems-co2\"\nbiomass_share = \"2 %\""),
        event(
            "capture",
            "f",
            "t",
            "category = \"captured-co2\"\nuse = \"stored\"\ndeduct = true\nbiomass_share = \"2 %\"",
        ),
    ];
    let case = Case::new("", &config.concat());
    let ledger =
        case.send("2026-01-01T00:00:30Z", "stack", "1000").send("2026-01-01T00:00:30Z", "capture", "600").replay();
    let found = entry(&ledger, "facility", "f", "1h");
    let of = |column: &str| found[format!("{column}_mg")].as_f64().unwrap() / T;
    check(&examples, "eq_mrr_transfer", of("scope1") - of("transferred_co2"));
    assert_eq!(
        (of("scope1"), of("biogenic_co2"), of("captured_co2"), of("transferred_co2")),
        (980.0, 20.0, 600.0, 588.0)
    );
}

#[test]
fn uncertainties_follow_the_ipcc_equations() {
    let Some(examples) = examples() else {
        return;
    };
    let pct = |ledger: &crate::harness::Ledger, window: &str| {
        entry(ledger, "facility", "f", window)["uncertainty_pct"].clone()
    };
    // Two meters are independent.
    let stack = |id: &str, pct: &str| event(id, "f", "t", &format!("category = \"cems-co2\"\nuncertainty_pct = {pct}"));
    let config = format!("[facilities.f]\ncluster = \"c\"\n{}{}", stack("a", "5"), stack("b", "10"));
    let case = Case::new("", &config).send("2026-01-01T00:00:30Z", "a", "100").send("2026-01-01T05:00:30Z", "b", "50");
    let ledger = case.replay();
    check(&examples, "eq_ipcc32", pct(&ledger, "1d").as_f64().unwrap());
    assert!(entry(&ledger, "facility", "f", "1mo")["uncertainty_pct"] == pct(&ledger, "1d"));
    assert!(ledger.entries.iter().all(|((_, _, w, _), v)| (w == "1m" || w == "15m") == v["uncertainty_pct"].is_null()));
    // A meter and its factor are, too; each is the same error all day.
    let fuel = "category = \"stationary-combustion\"\nfactor = \"own\"\nuncertainty_pct = 2.5";
    let config = format!("[facilities.f]\ncluster = \"c\"\n{}", event("m", "f", "t", fuel));
    let case = Case::new("", &config).factor("own", "inventory", "CO2", ("1", "t/t"), &[("uncertainty_pct", "5")]);
    let case = case.send("2026-01-01T00:00:30Z", "m", "70").send("2026-01-01T09:00:30Z", "m", "30");
    check(&examples, "eq_ipcc31", pct(&case.replay(), "1d").as_f64().unwrap());
    // So are the factors of the gases.
    for id in ["mfe26_unc_hfo", "mfe26_unc_gas"] {
        let (inputs, factors) = (&examples[id]["inputs"], &examples[id]["factors"]);
        let fuel = "category = \"stationary-combustion\"\nfactor = \"own\"";
        let mut case =
            Case::new("gwp = \"ar5\"", &format!("[facilities.f]\ncluster = \"c\"\n{}", event("m", "f", "t", fuel)));
        for (gas, amount, error) in
            [("CO2", "CO2", "u_CO2"), ("CH4", "CH4_co2e", "u_CH4"), ("N2O", "N2O_co2e", "u_N2O")]
        {
            let error = (factors[error].as_f64().unwrap() * 100.0).to_string();
            case = case.factor(
                "own",
                "inventory",
                gas,
                (&inputs[amount].to_string(), "kg CO2e/t"),
                &[("uncertainty_pct", &error)],
            );
        }
        check(&examples, id, pct(&case.send("2026-01-01T00:00:30Z", "m", "1000").replay(), "1d").as_f64().unwrap());
    }
}

//! Meters as plants have them, in configuration alone; each figure is computed here from what was metered.

use super::{Case, assert_near, entry, event, mg};
use crate::harness::{Ledger, message};

pub(super) const KG: f64 = 1e6;
const T: f64 = 1e9;
/// Carbon to carbon dioxide.
const CO2: f64 = 44.0 / 12.0;
const EXACT: f64 = 1e-12;

/// A meter whose messages hold a value and a time.
pub(super) fn device(id: &str, facility: &str, kind: &str, unit: &str, more: &str) -> String {
    format!(
        "[meters.{id}]\nfacility = \"{facility}\"\ntopic = \"{id}\"\nformat = \"json\"\nvalue = \"/v\"\ntime = \"/t\"\ntime_format = \"rfc3339\"\n{kind}\nunit = \"{unit}\"\n{more}\n"
    )
}

pub(super) fn facilities(ids: &[&str]) -> String {
    ids.iter().map(|id| format!("[facilities.{id}]\ncluster = \"c\"\n")).collect()
}

pub(super) const QUARTERLY: &str = "kind = \"interval\"\ninterval = \"15m\"";
pub(super) const HOURLY: &str = "kind = \"interval\"\ninterval = \"1h\"";
const REGISTER: &str = "kind = \"register\"\nexpected_every = \"1h\"";

pub(super) trait Devices {
    fn at(self, topic: &str, time: &str, value: f64) -> Case;
    fn late(self, topic: &str, time: &str, value: f64, received: &str) -> Case;
    fn own(self, set: &str, usage: &str, gas: &str, value: &str, unit: &str) -> Case;
}

impl Devices for Case {
    /// A reading of the first of January, 2026, as it is taken; or of another day.
    fn at(self, topic: &str, time: &str, value: f64) -> Case {
        let received = whole(time);
        self.late(topic, time, value, &received)
    }

    fn late(mut self, topic: &str, time: &str, value: f64, received: &str) -> Case {
        let payload = serde_json::json!({ "v": value, "t": whole(time) }).to_string();
        self.messages.push(message(&whole(received), topic, &payload));
        self
    }

    fn own(self, set: &str, usage: &str, gas: &str, value: &str, unit: &str) -> Case {
        let (gas, biogenic) = gas.strip_suffix(" bio").map_or((gas, ""), |gas| (gas, "1"));
        let basis = if unit.ends_with("/GJ") { "LHV" } else { "" };
        self.factor(set, usage, gas, (value, unit), &[("biogenic", biogenic), ("basis", basis)])
    }
}

fn whole(time: &str) -> String {
    if time.len() > 5 { time.to_owned() } else { format!("2026-01-01T{time}:00Z") }
}

pub(super) fn at<'a>(
    ledger: &'a Ledger,
    level: &str,
    entity: &str,
    window: &str,
    start: &str,
) -> &'a serde_json::Value {
    let key = (level.to_owned(), entity.to_owned(), window.to_owned(), whole(start));
    ledger.entries.get(&key).unwrap_or_else(|| panic!("no {level} {entity} {window} {start}"))
}

fn scope2(ledger: &Ledger, level: &str, entity: &str) -> (f64, f64) {
    let found = entry(ledger, level, entity, "1d");
    (mg(found, "scope2_location"), mg(found, "scope2_market"))
}

// ---- fuels -----------------------------------------------------------------------------------------------------------

fn furnace_gas() -> Case {
    let gas = "category = \"stationary-combustion\"\nfactor = \"bfg\"\nbasis = \"LHV\"\nheat_content = { meter = \"ncv\", max_age = \"1h\" }";
    let config = [
        facilities(&["f"]),
        device("bfg", "f", QUARTERLY, "Nm3", gas),
        device("ncv", "f", "expected_every = \"5m\"", "MJ/Nm3", "category = \"property\""),
    ];
    let case = Case::new("gwp = \"ar5\"", &config.concat())
        .own("bfg", "inventory", "CO2", "260", "kg/GJ")
        .own("bfg", "inventory", "CH4", "0.001", "kg/GJ")
        .own("bfg", "inventory", "N2O", "0.0001", "kg/GJ")
        .at("ncv", "00:00", 3.2)
        .at("ncv", "00:06", 3.5)
        .at("bfg", "00:15", 10_000.0)
        .at("ncv", "00:21", 3.1);
    case.at("bfg", "00:30", 12_000.0).at("bfg", "00:45", 9_000.0)
}

/// Megajoules a quarter, in order.
#[track_caller]
fn check_furnace_gas(case: &Case, energies: [f64; 3]) {
    let ledger = case.replay();
    for (start, energy) in ["00:00", "00:15", "00:30"].into_iter().zip(energies) {
        let found = at(&ledger, "facility", "f", "15m", start);
        assert_near(mg(found, "co2"), energy * 0.26 * KG, EXACT, start);
        assert_near(mg(found, "ch4"), energy, EXACT, start);
        assert_near(mg(found, "n2o"), energy * 0.1, EXACT, start);
        // Of three masses, each rounded.
        let weighted = energy * 0.26 * KG + energy * 28.0 + energy * 0.1 * 265.0;
        assert!((mg(found, "scope1") - weighted).abs() < 1.6, "{start}: {found} instead of {weighted}");
    }
}

/// The heat value holds until the next one, and is weighted by time within each quarter; a late one restates its quarter and
/// those it holds in.
#[test]
fn blast_furnace_gas_with_a_metered_heat_value() {
    let second = (6.0 * 3.5 + 9.0 * 3.1) / 15.0;
    let first = (6.0 * 3.2 + 9.0 * 3.5) / 15.0;
    check_furnace_gas(&furnace_gas(), [10_000.0 * first, 12_000.0 * second, 9_000.0 * 3.1]);
    let late = furnace_gas().late("ncv", "00:24", 3.8, "02:00");
    let second = (6.0 * 3.5 + 3.0 * 3.1 + 6.0 * 3.8) / 15.0;
    check_furnace_gas(&late, [10_000.0 * first, 12_000.0 * second, 9_000.0 * 3.8]);
}

/// Pressure and temperature of the line make normal cubic metres of those in the pipe.
#[test]
fn gas_in_the_pipe_with_temperature_and_pressure() {
    let gas = "category = \"stationary-combustion\"\nfactor = \"gas\"\nmax_gap = \"1h\"\ntemperature = { meter = \"t\" }\npressure = { meter = \"p\" }";
    let config = [
        facilities(&["f"]),
        device("gas", "f", "kind = \"register\"\nexpected_every = \"15m\"", "m3", gas),
        device("t", "f", "", "degC", "category = \"property\""),
        device("p", "f", "", "bar", "category = \"property\""),
    ];
    let ledger = Case::new("", &config.concat())
        .own("gas", "inventory", "CO2", "2.1", "kg/Nm3")
        .at("gas", "00:00", 1_000.0)
        .at("t", "00:00", 25.0)
        .at("p", "00:00", 3.2)
        .at("gas", "00:15", 1_900.0)
        .at("t", "00:15", -4.5)
        .at("p", "00:15", 2.9)
        .at("gas", "00:30", 2_500.0)
        .replay();
    let normal = |volume: f64, degrees: f64, bar: f64| volume * bar / 1.013_25 * 273.15 / (degrees + 273.15);
    for (start, volume) in [("00:00", normal(900.0, 25.0, 3.2)), ("00:15", normal(600.0, -4.5, 2.9))] {
        assert_near(mg(at(&ledger, "facility", "f", "15m", start), "co2"), volume * 2.1 * KG, EXACT, start);
    }
}

/// The carbon of the month changes at local midnight, and is of the dry coal.
#[test]
fn a_belt_weigher_over_a_change_of_month() {
    let coal = "category = \"stationary-combustion\"\nmoisture = \"8 %\"\ncarbon = { \"2026-01-01\" = \"62 %\", \"2026-02-01\" = \"65 %\" }";
    let belt = device("belt", "f", "kind = \"rate\"\nexpected_every = \"5m\"", "t/h", coal);
    let mut case = Case::new("", &(facilities(&["f"]) + &belt));
    case.config = case.config.replace("\"UTC\"", "\"Asia/Shanghai\"");
    for minute in (0..=120).step_by(5) {
        let time = format!("2026-01-31T{}:{:02}:00Z", 15 + minute / 60, minute % 60);
        case = case.at("belt", &time, if minute <= 50 { 120.0 } else { 90.0 });
    }
    let ledger = case.replay();
    // Fifty minutes at 120 t/h, five on the way down, five at 90 t/h; then an hour.
    let months = [
        ("2025-12-31T16:00:00Z", (50.0 * 120.0 + 5.0 * 105.0 + 5.0 * 90.0) / 60.0 * 0.62),
        ("2026-01-31T16:00:00Z", 90.0 * 0.65),
    ];
    for (start, carbon) in months {
        let month = at(&ledger, "facility", "f", "1mo", start);
        // Four quarters, each rounded once.
        assert!((mg(month, "co2") - carbon * 0.92 * CO2 * T).abs() <= 2.1, "{start}: {month}");
        assert_eq!(mg(month, "co2"), mg(month, "scope1"));
    }
}

#[test]
fn diesel_by_the_litre() {
    let diesel = "category = \"mobile-combustion\"\nfactor = \"diesel\"\ndensity = \"0.84 kg/L\"\nheat_content = \"43 GJ/t\"\nbasis = \"LHV\"";
    let ledger = Case::new("", &(facilities(&["f"]) + &event("pump", "f", "L", diesel)))
        .own("diesel", "inventory", "CO2", "74.1", "kg/GJ")
        .send("2026-01-01T08:00:00Z", "pump", "1234.5")
        .replay();
    let found = entry(&ledger, "facility", "f", "1d");
    assert_near(mg(found, "co2"), 1_234.5 * 0.84 * 0.043 * 74.1 * KG, EXACT, "diesel");
    assert_eq!(mg(found, "co2"), found["by_category"]["mobile-combustion"].as_f64().unwrap());
}

/// Wood and oil: the stack measures their CO2 together; what it is of biomass leaves scope 1, and the other gases stay
/// calculated.
#[test]
fn a_stack_of_wood_and_oil() {
    for (declared, biogenic) in [("biomass_share = \"30 %\"", 0.3), ("", 10.0 * 1.7 / (10.0 * 1.7 + 20.0 * 3.1))] {
        let fuel = |id: &str| event(id, "f", "t", &format!("category = \"stationary-combustion\"\nfactor = \"{id}\""));
        let config = [
            facilities(&["f"]),
            event("cems", "f", "t", &format!("category = \"cems-co2\"\n{declared}")),
            fuel("wood"),
            fuel("oil"),
            "[stacks.boiler]\ncems = \"cems\"\nfuels = [\"wood\", \"oil\"]\n".to_owned(),
        ];
        let mut case = Case::new("", &config.concat());
        for (set, gas, value) in [
            ("wood", "CO2 bio", "1700"),
            ("wood", "CH4", "0.3"),
            ("wood", "N2O", "0.04"),
            ("oil", "CO2", "3100"),
            ("oil", "CH4", "0.1"),
            ("oil", "N2O", "0.02"),
        ] {
            case = case.own(set, "inventory", gas, value, "kg/t");
        }
        for (topic, amount) in [("cems", "100"), ("wood", "10"), ("oil", "20")] {
            case = case.send("2026-01-01T00:05:00Z", topic, amount);
        }
        let ledger = case.replay();
        let found = entry(&ledger, "facility", "f", "1h");
        let (ch4, n2o) = (10.0 * 0.3 + 20.0 * 0.1, 10.0 * 0.04 + 20.0 * 0.02);
        let fossil = 100.0 * (1.0 - biogenic) * T;
        assert_near(mg(found, "co2"), fossil, EXACT, "fossil");
        assert_near(mg(found, "biogenic_co2"), 100.0 * biogenic * T, EXACT, "biogenic");
        assert_eq!((mg(found, "ch4"), mg(found, "n2o")), (ch4 * KG, n2o * KG));
        assert_near(mg(found, "scope1"), fossil + ch4 * 27.0 * KG + n2o * 273.0 * KG, EXACT, "scope 1");
        assert_near(found["by_category"]["cems-co2"].as_f64().unwrap(), fossil, EXACT, "measured");
    }
}

// ---- processes and leaks ---------------------------------------------------------------------------------------------

#[test]
fn anodes_by_their_carbon() {
    let anodes = "category = \"process\"\ncarbon = \"98.5 %\"";
    let meter = device("anodes", "f", "kind = \"rate\"\nshape = \"step\"\nexpected_every = \"1d\"", "t/d", anodes);
    let ledger = Case::new("", &(facilities(&["f"]) + &meter))
        .at("anodes", "2026-01-01T00:00:00Z", 240.0)
        .at("anodes", "2026-01-02T00:00:00Z", 252.0)
        .at("anodes", "2026-01-03T00:00:00Z", 100.0)
        .replay();
    for (day, tonnes) in [("01", 240.0), ("02", 252.0)] {
        let found = at(&ledger, "facility", "f", "1d", &format!("2026-01-{day}T00:00:00Z"));
        // 96 quarters, each rounded once.
        assert!((mg(found, "co2") - tonnes * 0.985 * CO2 * T).abs() <= 48.0, "{day}: {found}");
        assert_eq!(found["by_category"]["process"].as_f64().unwrap(), mg(found, "scope1"));
    }
}

/// A blend is half HFC-32 and half HFC-125, in either report.
#[test]
fn a_refrigerant_topped_up() {
    for (gwp, potential) in [("ar5", (677.0 + 3_170.0) / 2.0), ("ar6", (771.0 + 3_740.0) / 2.0)] {
        let chiller = event("chiller", "f", "kg", "category = \"fugitive\"\ngas = \"R-410A\"");
        let case = Case::new(&format!("gwp = \"{gwp}\""), &(facilities(&["f"]) + &chiller));
        let ledger = case.send("2026-01-01T10:00:00Z", "chiller", "12.5").replay();
        let found = entry(&ledger, "facility", "f", "1d");
        assert_near(mg(found, "hfc_co2e"), 12.5 * potential * KG, EXACT, gwp);
        assert_eq!(mg(found, "scope1"), mg(found, "hfc_co2e"));
        assert_eq!(mg(found, "co2"), 0.0);
    }
}

/// Gas that becomes hydrogen is process, gas that is burned for it is fuel; only all of it and the fuel are metered.
#[test]
fn a_reformer_whose_feed_is_what_is_not_burned() {
    let fuel = "category = \"stationary-combustion\"\nfactor = \"gas\"\nheat_content = \"36 MJ/Nm3\"\nbasis = \"LHV\"";
    let feed = "[meters.feed]\nfacility = \"f\"\nunit = \"Nm3\"\ncategory = \"process\"\ncarbon = \"0.53 kg/Nm3\"\nsum = { total = 1, fuel = -1 }\n";
    let config = [
        facilities(&["f"]),
        device("total", "f", REGISTER, "Nm3", ""),
        device("fuel", "f", REGISTER, "Nm3", fuel),
        feed.to_owned(),
    ];
    let ledger = Case::new("", &config.concat())
        .own("gas", "inventory", "CO2", "56.1", "kg/GJ")
        .at("total", "00:00", 500_000.0)
        .at("fuel", "00:00", 80_000.0)
        .at("total", "01:00", 510_000.0)
        .at("fuel", "01:00", 81_800.0)
        .replay();
    let found = entry(&ledger, "facility", "f", "1h");
    let category = |name: &str| found["by_category"][name].as_f64().unwrap();
    assert!((category("stationary-combustion") - 1_800.0 * 0.036 * 56.1 * KG).abs() <= 2.0, "{found}");
    assert!((category("process") - 8_200.0 * 0.53 * CO2 * KG).abs() <= 2.0, "{found}");
    assert_eq!(category("stationary-combustion") + category("process"), mg(found, "scope1"));
}

// ---- bought and made energy ------------------------------------------------------------------------------------------

/// Three facilities behind one substation: each has its part of what was imported; what was exported is a memo.
#[test]
fn a_substation_that_three_facilities_share() {
    let shares = "allocate = { a = 0.5, b = \"30 %\", d = \"rest\" }";
    let config = [
        facilities(&["a", "b", "d"]),
        device("import", "a", REGISTER, "kWh", &format!("category = \"purchased-electricity\"\n{shares}")),
        device("export", "a", REGISTER, "kWh", &format!("category = \"export\"\n{shares}")),
    ];
    let ledger = Case::new("grid = \"grid\"", &config.concat())
        .own("grid", "grid", "CO2", "0.4", "kg/kWh")
        .at("import", "00:00", 70_000.0)
        .at("import", "01:00", 70_600.0)
        .at("export", "00:00", 5_000.0)
        .at("export", "01:00", 5_080.0)
        .replay();
    for (facility, energy) in [("a", 300.0), ("b", 180.0), ("d", 120.0)] {
        let (location, market) = scope2(&ledger, "facility", facility);
        assert_eq!((location, market), (energy * 0.4 * KG, energy * 0.4 * KG), "{facility}");
    }
    assert_eq!(scope2(&ledger, "cluster", "c"), (240.0 * KG, 240.0 * KG));
    assert_eq!(scope2(&ledger, "meter", "import"), (240.0 * KG, 240.0 * KG));
    assert_eq!(scope2(&ledger, "meter", "export"), (0.0, 0.0));
}

/// 500 kWh of the sun, 200 of them exported, and 1,000 bought.
#[test]
fn certificates_of_the_sun_sold_or_kept() {
    for (certificates, replaced) in [("sold", 300.0), ("kept", 0.0)] {
        let config = [
            facilities(&["f"]),
            event("import", "f", "kWh", "category = \"purchased-electricity\""),
            event("sun", "f", "kWh", &format!("category = \"generation\"\ncertificates = \"{certificates}\"")),
            event("export", "f", "kWh", "category = \"export\""),
        ];
        let mut case = Case::new("grid = \"grid\"\nresidual = \"mix\"", &config.concat())
            .own("grid", "grid", "CO2", "0.4", "kg/kWh")
            .own("mix", "residual", "CO2", "0.6", "kg/kWh");
        for (topic, amount) in [("import", "1000"), ("sun", "500"), ("export", "200")] {
            case = case.send("2026-01-01T12:05:00Z", topic, amount);
        }
        let ledger = case.replay();
        assert_eq!(scope2(&ledger, "facility", "f"), (400.0 * KG, (600.0 + replaced * 0.6) * KG), "{certificates}");
        assert_eq!(scope2(&ledger, "meter", "sun"), (0.0, replaced * 0.6 * KG), "{certificates}");
    }
}

/// What the plant makes in an hour covers what is bought in that hour.
#[test]
fn a_plant_elsewhere_by_the_hour() {
    let config = [
        facilities(&["f"]),
        device("import", "f", QUARTERLY, "kWh", "category = \"purchased-electricity\""),
        device("wind", "f", HOURLY, "MWh", "category = \"generation\""),
        "[contracts.ppa]\nfacility = \"f\"\ngeneration = \"wind\"\nsite = \"external\"\nfactor = \"0 kg/kWh\"\n"
            .to_owned(),
    ];
    let mut case = Case::new("grid = \"grid\"\nresidual = \"mix\"", &config.concat())
        .own("grid", "grid", "CO2", "0.4", "kg/kWh")
        .own("mix", "residual", "CO2", "0.6", "kg/kWh")
        .at("wind", "01:00", 0.3)
        .at("wind", "02:00", 0.9);
    for quarter in 1..=12 {
        case = case.at("import", &format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15), 100.0);
    }
    let ledger = case.replay();
    for (start, rest) in [("00:00", 100.0), ("01:00", 0.0), ("02:00", 400.0)] {
        let found = at(&ledger, "facility", "f", "1h", start);
        assert_eq!(
            (mg(found, "scope2_location"), mg(found, "scope2_market")),
            (160.0 * KG, rest * 0.6 * KG),
            "{start}"
        );
    }
}

/// Steam goes out hot and condensate comes back warm: what is sold is the difference. The plant's emissions go to heat and
/// power by efficiency, and what the neighbours carry of them is left out of their cluster.
#[test]
fn heat_of_a_plant_for_two_neighbours() {
    let net = |id: &str, facility: &str, terms: &str, booked: &str| {
        format!("[meters.{id}]\nfacility = \"{facility}\"\nunit = \"GJ\"\nsum = {{ {terms} }}\n{booked}\n")
    };
    let bought = "category = \"purchased-steam\"\nsupplier = \"p\"\nfactor = \"supplier\"";
    let fuel = "category = \"stationary-combustion\"\nfactor = \"gas\"\nbasis = \"LHV\"";
    let mut config = vec![
        facilities(&["p", "a", "b"]),
        event("gas", "p", "GJ", fuel),
        event("power", "p", "kWh", "category = \"generation\""),
        net("sold", "p", "a-out = 1, a-back = -1, b-out = 1, b-back = -1", "category = \"export\""),
        net("a-steam", "a", "a-out = 1, a-back = -1", bought),
        net("b-steam", "b", "b-out = 1, b-back = -1", bought),
        "[chp.plant]\nfacility = \"p\"\nfuels = [\"gas\"]\nheat = [\"sold\"]\npower = [\"power\"]\n".to_owned(),
    ];
    config.extend(["a-out", "a-back", "b-out", "b-back"].map(|id| event(id, &id[..1], "GJ", "")));
    let mut case = Case::new("", &config.concat()).own("gas", "inventory", "CO2", "56.1", "kg/GJ");
    let sent =
        [("gas", "1000"), ("power", "100000"), ("a-out", "360"), ("a-back", "60"), ("b-out", "240"), ("b-back", "40")];
    for (topic, amount) in sent {
        case = case.send("2026-01-01T12:05:00Z", topic, amount);
    }
    let ledger = case.replay();
    let heat = 500.0 / 0.80;
    let of_heat = 56_100.0 * KG * heat / (heat + 360.0 / 0.35);
    for (facility, part) in [("a", 0.6), ("b", 0.4)] {
        let (location, market) = scope2(&ledger, "facility", facility);
        assert_near(location, of_heat * part, EXACT, facility);
        assert_eq!(location, market);
    }
    let (a, b) = (scope2(&ledger, "facility", "a").0, scope2(&ledger, "facility", "b").0);
    let cluster = entry(&ledger, "cluster", "c", "1d");
    assert_eq!(mg(cluster, "scope1"), 56_100.0 * KG);
    assert_eq!(scope2(&ledger, "cluster", "c"), (0.0, 0.0));
    assert_eq!((mg(cluster, "eliminated_location"), mg(cluster, "eliminated_market")), (a + b, a + b));
}

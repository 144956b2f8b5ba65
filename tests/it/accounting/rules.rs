//! What the rules ask for, in the smallest cases that show it.

use super::meters::{Devices, HOURLY, KG, at, device, facilities};
use super::{Case, assert_near, entry, event, mg};
use crate::harness::Ledger;

const BOUGHT: &str = "category = \"purchased-electricity\"";
const MADE: &str = "category = \"generation\"";
const BURNED: &str = "category = \"stationary-combustion\"\nfactor = \"gas\"\nbasis = \"LHV\"";
const STEAM: &str = "category = \"purchased-steam\"\nsupplier = \"a\"\nfactor = \"steam\"";
const FROM_PLANT: &str = "category = \"purchased-steam\"\nsupplier = \"a\"\nfactor = \"supplier\"";
const EXACT: f64 = 1e-12;

/// Facilities `a` and `b` in one cluster; everything happens within a quarter.
fn case(config: &[String], amounts: &[(&str, &str)]) -> Case {
    let config = facilities(&["a", "b"]) + &config.concat();
    let case = with_factors(Case::new("grid = \"grid\"\nresidual = \"mix\"", &config));
    amounts.iter().fold(case, |case, (topic, amount)| case.send("2026-01-01T00:05:00Z", topic, amount))
}

fn with_factors(case: Case) -> Case {
    case.own("grid", "grid", "CO2", "0.4", "kg/kWh")
        .own("mix", "residual", "CO2", "0.6", "kg/kWh")
        .own("gas", "inventory", "CO2", "50", "kg/GJ")
        .own("steam", "inventory", "CO2", "60", "kg/MWh")
        .own("wood", "inventory", "CO2 bio", "1700", "kg/t")
        .own("oil", "inventory", "CO2", "3100", "kg/t")
}

fn kg(ledger: &Ledger, level: &str, entity: &str, column: &str) -> f64 {
    mg(entry(ledger, level, entity, "1h"), column) / KG
}

fn flags(ledger: &Ledger, level: &str, entity: &str) -> String {
    entry(ledger, level, entity, "1h")["flags"].to_string()
}

fn plant(more: &str) -> Vec<String> {
    vec![
        event("gas", "a", "GJ", BURNED),
        event("heat", "a", "GJ", "category = \"export\""),
        event("steam", "b", "GJ", more),
        "[chp.p]\nfacility = \"a\"\nfuels = [\"gas\"]\nheat = [\"heat\"]\npower = []\n".to_owned(),
    ]
}

// ---- elimination -----------------------------------------------------------------------------------------------------

/// The power is resold and stays; the steam is made by a member and goes.
#[test]
fn steam_is_eliminated_beside_power_that_is_resold() {
    let config = [
        event("import", "a", "kWh", BOUGHT),
        event("resold", "a", "kWh", &format!("{BOUGHT}\nbuyer = \"b\"")),
        event("power", "b", "kWh", &format!("{BOUGHT}\nsupplier = \"a\"")),
        event("steam", "b", "MWh", STEAM),
    ];
    let ledger = case(&config, &[("import", "1000"), ("resold", "300"), ("power", "300"), ("steam", "50")]).replay();
    assert_eq!(kg(&ledger, "cluster", "c", "eliminated_location"), 3_000.0);
    assert_eq!(kg(&ledger, "cluster", "c", "scope2_location"), 400.0);
}

/// The certificates of the sun say nothing of the steam.
#[test]
fn sold_certificates_keep_no_steam() {
    let config = [
        event("sun", "a", "kWh", &format!("{MADE}\ncertificates = \"sold\"")),
        event("export", "a", "kWh", "category = \"export\""),
        event("steam", "b", "MWh", STEAM),
    ];
    let ledger = case(&config, &[("sun", "1000"), ("export", "1000"), ("steam", "50")]).replay();
    assert_eq!(kg(&ledger, "cluster", "c", "eliminated_location"), 3_000.0);
    assert_eq!(kg(&ledger, "cluster", "c", "eliminated_market"), 3_000.0);
    assert_eq!(kg(&ledger, "cluster", "c", "scope2_market"), 0.0);
}

// ---- scope 1 ---------------------------------------------------------------------------------------------------------

/// 100 t in a shared stack, 30 t of them of biomass; the wood itself has 17 t of those.
#[test]
fn a_shared_stack_counts_its_biomass_once() {
    let cems = "category = \"cems-co2\"\nbiomass_share = 0.3\nallocate = { a = 0.5, b = 0.5 }";
    let config = [
        event("cems", "a", "t", cems),
        event("wood", "a", "t", "category = \"stationary-combustion\"\nfactor = \"wood\""),
        "[stacks.s]\ncems = \"cems\"\nfuels = [\"wood\"]\n".to_owned(),
    ];
    let ledger = case(&config, &[("cems", "100"), ("wood", "10")]).replay();
    assert_eq!(kg(&ledger, "cluster", "c", "biogenic_co2"), 30_000.0);
    assert_eq!(kg(&ledger, "facility", "b", "biogenic_co2"), 15_000.0);
}

/// Measured carbon says how much becomes CO2, and the table of wood that it is biogenic.
#[test]
fn the_carbon_of_wood_is_biogenic() {
    let wood = "category = \"stationary-combustion\"\nfactor = \"wood\"\ncarbon = \"50 %\"";
    let ledger = case(&[event("wood", "a", "t", wood)], &[("wood", "10")]).replay();
    assert_eq!(kg(&ledger, "facility", "a", "scope1"), 0.0);
    assert_near(kg(&ledger, "facility", "a", "biogenic_co2"), 5_000.0 * 44.0 / 12.0, 1e-9, "wood");
}

/// What leaks from a digester is not fossil: 27.0 and not 29.8.
#[test]
fn biogas_that_leaks_is_not_fossil() {
    let leak = event("leak", "a", "kg", "category = \"fugitive\"\nfactor = \"biogas\"");
    let case = case(&[leak], &[("leak", "100")]).own("biogas", "inventory", "CH4 bio", "1", "kg/kg");
    assert_eq!(kg(&case.replay(), "facility", "a", "scope1"), 2_700.0);
}

/// A stack that is measured from the middle of a quarter on would be counted by both methods in it.
#[test]
fn a_stack_has_one_method_at_a_time() {
    let config = [
        event("cems", "a", "t", "category = \"cems-co2\"\nvalid_from = \"2026-01-01T00:03:00Z\""),
        event("oil", "a", "t", "category = \"stationary-combustion\"\nfactor = \"oil\""),
        "[stacks.s]\ncems = \"cems\"\nfuels = [\"oil\"]\n".to_owned(),
    ];
    let case = case(&config, &[("cems", "31"), ("oil", "10")]);
    assert!(case.check().1.contains("one method at a time"));
}

/// 100 in all: 40 in the main meter, 40 in its sub-meter, and 20 in the sub-meter of that.
#[test]
fn sub_meters_of_sub_meters_count_once() {
    let config = [
        event("main", "a", "kWh", BOUGHT),
        event("floor", "b", "kWh", &format!("{BOUGHT}\nparent = \"main\"")),
        event("room", "b", "kWh", &format!("{BOUGHT}\nparent = \"floor\"")),
    ];
    let ledger = case(&config, &[("main", "100"), ("floor", "60"), ("room", "20")]).replay();
    assert_eq!(kg(&ledger, "meter", "main", "scope2_location"), 16.0);
    assert_eq!(kg(&ledger, "cluster", "c", "scope2_location"), 40.0);
}

/// 79 t of a stack, 17 of them of wood, all captured and stored: what is transferred is fossil.
#[test]
fn what_is_captured_is_as_fossil_as_its_stack() {
    let captured = "category = \"captured-co2\"\nuse = \"stored\"\ndeduct = true\ncaptured_from = \"s\"";
    let config = [
        event("cems", "a", "t", "category = \"cems-co2\""),
        event("wood", "a", "t", "category = \"stationary-combustion\"\nfactor = \"wood\""),
        event("oil", "a", "t", "category = \"stationary-combustion\"\nfactor = \"oil\""),
        event("captured", "a", "t", captured),
        "[stacks.s]\ncems = \"cems\"\nfuels = [\"wood\", \"oil\"]\n".to_owned(),
    ];
    let ledger = case(&config, &[("cems", "79"), ("wood", "10"), ("oil", "20"), ("captured", "79")]).replay();
    assert_eq!(kg(&ledger, "facility", "a", "scope1"), 62_000.0);
    assert_eq!(kg(&ledger, "facility", "a", "transferred_co2"), 62_000.0);
}

// ---- plants ----------------------------------------------------------------------------------------------------------

#[test]
fn a_factor_for_the_market_stands_beside_the_suppliers() {
    let bought =
        "category = \"purchased-steam\"\nsupplier = \"a\"\nfactor_location = \"supplier\"\nfactor_market = \"own\"";
    let case = case(&plant(bought), &[("gas", "100"), ("heat", "50"), ("steam", "50")]);
    let ledger = case.own("own", "residual", "CO2", "1", "kg/MJ").replay();
    assert_eq!(kg(&ledger, "facility", "b", "scope2_location"), 5_000.0);
    assert_eq!(kg(&ledger, "facility", "b", "scope2_market"), 50_000.0);
}

/// The CO2 of the plant's fuel is measured in its stack, and is the plant's all the same.
#[test]
fn a_plant_under_a_stack_emits_what_the_stack_measures() {
    let mut config = plant(FROM_PLANT);
    config.push(event("cems", "a", "t", "category = \"cems-co2\""));
    config.push("[stacks.s]\ncems = \"cems\"\nfuels = [\"gas\"]\n".to_owned());
    let case = case(&config, &[("gas", "100"), ("heat", "50"), ("steam", "50"), ("cems", "5")]);
    assert!(case.check().1.contains("add `cems` to `fuels`"));
    let mut case = case;
    case.config = case.config.replace("fuels = [\"gas\"]\nheat", "fuels = [\"gas\", \"cems\"]\nheat");
    assert_eq!(kg(&case.replay(), "facility", "b", "scope2_location"), 5_000.0);
}

/// Without a reading of the fuel, or of the heat, nobody knows what the heat emits.
#[test]
fn a_plant_without_readings_is_unknown_and_not_nought() {
    for amounts in
        [[("heat", "50"), ("steam", "50"), ("power", "10")], [("gas", "100"), ("steam", "50"), ("power", "10")]]
    {
        let mut config = plant(FROM_PLANT);
        config.push(event("power", "a", "GJ", MADE));
        config[3] = config[3].replace("power = []", "power = [\"power\"]");
        let ledger = case(&config, &amounts).replay();
        assert!(flags(&ledger, "facility", "b").contains("supplier-unknown"), "{amounts:?}");
    }
}

/// The buyer reports in its own set, 27 for the methane; its supplier in another, 25: they cannot be mixed.
#[test]
fn a_buyer_reports_in_its_own_potentials() {
    let mut case = case(&plant(FROM_PLANT), &[("gas", "100"), ("heat", "50"), ("steam", "50")]);
    case = case.own("methane", "inventory", "CH4", "1", "kg/GJ");
    case.config = case.config.replace("factor = \"gas\"", "factor = \"methane\"");
    case.config = case.config.replace("[facilities.b]\ncluster = \"c\"", "[facilities.b]\ncluster = \"d\"");
    case.config = case.config.replace("timezone = \"UTC\"", "timezone = \"UTC\"\ngwp = \"ar4\"");
    case.config += "[clusters.d]\ntimezone = \"UTC\"\ngwp = \"ar6\"\n";
    let (code, said) = case.check();
    assert!(code == 78 && said.contains("another `gwp`"), "{said}");
}

// ---- certificates and contracts --------------------------------------------------------------------------------------

/// 300 of 500 kWh of the sun are used on site; the wind farm of the contract stands elsewhere.
#[test]
fn a_plant_elsewhere_is_no_generation_on_site() {
    let config = [
        event("import", "a", "kWh", BOUGHT),
        event("sun", "a", "kWh", &format!("{MADE}\ncertificates = \"sold\"")),
        event("export", "a", "kWh", "category = \"export\""),
        event("wind", "a", "kWh", MADE),
        event("power", "b", "kWh", &format!("{BOUGHT}\nsupplier = \"a\"")),
        contract("ppa", "facility = \"a\"", PLANT),
    ];
    let amounts = [("import", "1000"), ("sun", "500"), ("export", "200"), ("power", "200"), ("wind", "9500")];
    let ledger = case(&config, &amounts).replay();
    assert_eq!(kg(&ledger, "facility", "a", "scope2_market"), 180.0);
    // All that is sold to the neighbour went without its certificates.
    assert_eq!(kg(&ledger, "cluster", "c", "eliminated_market"), 0.0);
}

const PLANT: &str = "generation = \"wind\"\nsite = \"external\"";

fn contract(id: &str, whose: &str, volume: &str) -> String {
    format!("[contracts.{id}]\n{whose}\nfactor = \"0 kg/kWh\"\n{volume}\n")
}

/// Two clocks half an hour apart: each would cover by hours of its own.
#[test]
fn a_plant_covers_no_more_than_it_made_in_any_zone() {
    let config = [
        event("a-import", "a", "kWh", BOUGHT),
        event("b-import", "b", "kWh", BOUGHT),
        event("wind", "a", "kWh", MADE),
        contract("one", "facility = \"a\"", PLANT),
        contract("two", "facility = \"b\"", PLANT),
    ];
    let mut case = case(&config, &[]);
    case.config = case.config.replace("[facilities.b]\ncluster = \"c\"", "[facilities.b]\ncluster = \"d\"");
    case.config = case.config.replace("\"UTC\"", "\"Australia/Adelaide\"");
    case.config += "[clusters.d]\ntimezone = \"Australia/Sydney\"\ngrid = \"grid\"\nresidual = \"mix\"\n";
    let (code, said) = case.check();
    assert!(code == 78 && said.contains("begin at another minute"), "{said}");
}

/// Nothing is left to the residual mix of another year, so nothing is provisional.
#[test]
fn what_is_covered_has_no_flags_of_the_residual_mix() {
    let config = [event("import", "a", "kWh", BOUGHT), contract("green", "facility = \"a\"", "share = 1")];
    let old = [("valid_from", "2024-01-01"), ("valid_to", "2024-12-31")];
    let mut case = case(&config, &[("import", "100")]);
    case.config = case.config.replace("residual = \"mix\"", "residual = \"old\"");
    let ledger = case.factor("old", "residual", "CO2", ("0.6", "kg/kWh"), &old).replay();
    assert_eq!(kg(&ledger, "facility", "a", "scope2_market"), 0.0);
    assert_eq!(flags(&ledger, "facility", "a"), "[]");
}

/// Of 100 kWh an hour some thirty are resold, nobody knows when: nothing is known of the rest either.
#[test]
fn an_interpolated_resale_claims_nothing() {
    let register = "kind = \"register\"\nexpected_every = \"30m\"\nmax_gap = \"1h\"";
    let config = [
        facilities(&["a"]),
        device("import", "a", HOURLY, "kWh", BOUGHT),
        device("wind", "a", HOURLY, "kWh", MADE),
        device("resold", "a", register, "kWh", &format!("{BOUGHT}\nbuyer = \"outside\"")),
        contract("ppa", "facility = \"a\"", PLANT),
    ];
    let mut case = with_factors(Case::new("grid = \"grid\"\nresidual = \"mix\"", &config.concat()))
        .at("resold", "00:00", 0.0)
        .at("resold", "03:00", 90.0);
    for time in ["01:00", "02:00", "03:00"] {
        case = case.at("import", time, 100.0).at("wind", time, 80.0);
    }
    let ledger = case.replay();
    assert_near(mg(at(&ledger, "facility", "a", "1h", "01:00"), "scope2_market"), 70.0 * 0.6 * KG, EXACT, "the rest");
}

/// What a neighbour only hands on is of the grid, and may be covered like all that is.
#[test]
fn what_was_resold_can_be_covered() {
    let config = [
        event("import", "a", "kWh", BOUGHT),
        event("resold", "a", "kWh", &format!("{BOUGHT}\nbuyer = \"b\"")),
        event("power", "b", "kWh", &format!("{BOUGHT}\nsupplier = \"a\"")),
        contract("green", "facility = \"b\"", "share = 1"),
    ];
    let ledger = case(&config, &[("import", "100"), ("resold", "60"), ("power", "60")]).replay();
    assert_eq!(kg(&ledger, "facility", "b", "scope2_market"), 0.0);
}

/// Also where the cluster is that facility alone, and whatever the names.
#[test]
fn a_facility_goes_before_its_cluster_of_one() {
    let own = contract("own", "facility = \"a\"", &PLANT.replace("wind", "own-wind"));
    let all = contract("all", "cluster = \"c\"", PLANT).replace("0 kg", "0.3 kg");
    let config = [
        facilities(&["a"]),
        event("import", "a", "kWh", BOUGHT),
        event("wind", "a", "kWh", MADE),
        event("own-wind", "a", "kWh", MADE),
        own,
        all,
    ];
    let mut case = with_factors(Case::new("grid = \"grid\"\nresidual = \"mix\"", &config.concat()));
    for topic in ["import", "wind", "own-wind"] {
        case = case.send("2026-01-01T00:05:00Z", topic, "100");
    }
    assert_eq!(kg(&case.replay(), "facility", "a", "scope2_market"), 0.0);
}

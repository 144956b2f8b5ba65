//! What contracts cover, hour by hour, in small hand-made cases. The grid has 1 kg/kWh and the residual mix 2 kg/kWh, and what
//! is under contract has none, so that half the market-based kilograms are the kilowatt-hours that nothing covers.

use fastrand::Rng;

use super::meters::{Devices, HOURLY, KG, QUARTERLY, at, device, facilities};
use super::{Case, mg};
use crate::harness::{Ledger, number};

const BOUGHT: &str = "category = \"purchased-electricity\"";
const MADE: &str = "category = \"generation\"";

/// Facilities `a` and `b` that buy by the hour, and a plant of neither.
fn case(more: &str) -> Case {
    let config = [
        facilities(&["a", "b"]),
        device("a-imp", "a", HOURLY, "kWh", BOUGHT),
        device("b-imp", "b", HOURLY, "kWh", BOUGHT),
        device("wind", "a", HOURLY, "kWh", MADE),
        more.to_owned(),
    ];
    with_factors(Case::new("grid = \"grid\"\nresidual = \"mix\"", &config.concat()))
}

fn with_factors(case: Case) -> Case {
    case.own("grid", "grid", "CO2", "1", "kg/kWh").own("mix", "residual", "CO2", "2", "kg/kWh")
}

fn contract(id: &str, whose: &str, volume: &str) -> String {
    format!("[contracts.{id}]\n{whose}\nfactor = \"0 kg/kWh\"\n{volume}\n")
}

const PLANT: &str = "generation = \"wind\"\nsite = \"external\"";
const OF_A: &str = "facility = \"a\"";
const OF_B: &str = "facility = \"b\"";
const OF_ALL: &str = "cluster = \"c\"";

/// Kilowatt-hours that are bought, and those that nothing covers.
fn bought(ledger: &Ledger, entity: &str, window: &str, start: &str) -> (f64, f64) {
    let level = if entity == "c" { "cluster" } else { "facility" };
    let found = at(ledger, level, entity, window, start);
    (mg(found, "scope2_location") / KG, mg(found, "scope2_market") / KG / 2.0)
}

#[track_caller]
fn check(ledger: &Ledger, entity: &str, start: &str, expected: (f64, f64)) {
    assert_eq!(bought(ledger, entity, "1h", start), expected, "{entity} {start}");
}

fn flags(ledger: &Ledger, entity: &str, start: &str) -> Vec<String> {
    let found = at(ledger, "facility", entity, "1h", start);
    found["flags"].as_array().unwrap().iter().map(|flag| flag.as_str().unwrap().to_owned()).collect()
}

// ---- hours -----------------------------------------------------------------------------------------------------------

#[test]
fn a_surplus_covers_no_other_hour() {
    let ledger = case(&contract("ppa", OF_A, PLANT))
        .at("a-imp", "01:00", 100.0)
        .at("a-imp", "02:00", 100.0)
        .at("a-imp", "03:00", 100.0)
        .at("wind", "01:00", 0.0)
        .at("wind", "02:00", 1_000.0)
        .at("wind", "03:00", 30.0)
        .replay();
    check(&ledger, "a", "00:00", (100.0, 100.0));
    check(&ledger, "a", "01:00", (100.0, 0.0));
    check(&ledger, "a", "02:00", (100.0, 70.0));
    assert_eq!(bought(&ledger, "a", "1d", "00:00"), (300.0, 170.0));
}

/// Within the hour it does not matter in which quarter the wind blew.
#[test]
fn the_quarters_of_an_hour_are_matched_together() {
    let config = [
        facilities(&["a"]),
        device("a-imp", "a", QUARTERLY, "kWh", BOUGHT),
        device("wind", "a", QUARTERLY, "kWh", MADE),
        contract("ppa", OF_A, PLANT),
    ];
    let ledger = with_factors(Case::new("grid = \"grid\"\nresidual = \"mix\"", &config.concat()))
        .at("a-imp", "00:15", 40.0)
        .at("a-imp", "00:45", 120.0)
        .at("a-imp", "01:15", 40.0)
        .at("wind", "01:00", 80.0)
        .replay();
    // Half of the hour is covered, and half of each of its quarters.
    for (start, window, expected) in [
        ("00:00", "15m", (40.0, 20.0)),
        ("00:30", "15m", (120.0, 60.0)),
        ("00:00", "1h", (160.0, 80.0)),
        ("01:00", "1h", (40.0, 40.0)),
    ] {
        assert_eq!(bought(&ledger, "a", window, start), expected, "{start}");
    }
}

/// The hours are those of the local clock, where they begin at half past.
#[test]
fn the_hours_are_local() {
    let quarter = |id: &str, category: &str| device(id, "a", QUARTERLY, "kWh", category);
    let config = [facilities(&["a"]), quarter("a-imp", BOUGHT), quarter("wind", MADE), contract("ppa", OF_A, PLANT)];
    let mut case = with_factors(Case::new("grid = \"grid\"\nresidual = \"mix\"", &config.concat()))
        .at("wind", "00:30", 100.0)
        .at("a-imp", "00:45", 100.0)
        .at("wind", "02:15", 100.0)
        .at("a-imp", "01:45", 100.0);
    let uncovered = |case: &Case| bought(&case.replay(), "a", "1y", "2025-12-31T18:30:00Z").1;
    case.config = case.config.replace("\"UTC\"", "\"Asia/Kolkata\"");
    // Only the second pair is in one hour there.
    assert_eq!(uncovered(&case), 100.0);
}

/// A register with a gap tells how much, not when: nothing of the hours it spans is matched, on either side.
#[test]
fn an_interpolated_hour_claims_nothing() {
    let register = "kind = \"register\"\nexpected_every = \"30m\"\nmax_gap = \"1h\"";
    for (a, wind) in [(register, HOURLY), (HOURLY, register)] {
        let config = [
            facilities(&["a"]),
            device("a-imp", "a", a, "kWh", BOUGHT),
            device("wind", "a", wind, "kWh", MADE),
            contract("ppa", OF_A, PLANT),
        ];
        let (counted, timed) = if a == register { ("a-imp", "wind") } else { ("wind", "a-imp") };
        let mut case = with_factors(Case::new("grid = \"grid\"\nresidual = \"mix\"", &config.concat()));
        for (time, total) in [("00:00", 0.0), ("01:00", 100.0), ("03:30", 350.0), ("04:00", 400.0), ("05:00", 500.0)] {
            case = case.at(counted, time, total);
        }
        for hour in 1..=5 {
            case = case.at(timed, &format!("{hour:02}:00"), 100.0);
        }
        let ledger = case.replay();
        for (hour, uncovered) in [(0, 0.0), (1, 100.0), (2, 100.0), (3, 100.0), (4, 0.0)] {
            check(&ledger, "a", &format!("{hour:02}:00"), (100.0, uncovered));
        }
    }
}

/// What is measured in no time at all is matched by shares and amounts alike: they are owed, whenever it was used.
#[test]
fn a_share_covers_an_interpolated_hour() {
    let register = "kind = \"register\"\nexpected_every = \"30m\"\nmax_gap = \"1h\"";
    let config =
        [facilities(&["a"]), device("a-imp", "a", register, "kWh", BOUGHT), contract("green", OF_A, "share = 0.25")];
    let ledger = with_factors(Case::new("grid = \"grid\"\nresidual = \"mix\"", &config.concat()))
        .at("a-imp", "00:00", 0.0)
        .at("a-imp", "04:00", 400.0)
        .replay();
    check(&ledger, "a", "02:00", (100.0, 75.0));
    assert!(flags(&ledger, "a", "02:00").contains(&"interpolated".to_owned()));
}

// ---- several contracts -----------------------------------------------------------------------------------------------

#[test]
fn two_contracts_never_claim_more_than_their_plant_made() {
    let half = format!("{PLANT}\nshare = 0.5");
    for (volumes, expected) in [
        // The first takes all it can, the second what is left.
        ([PLANT, PLANT], (0.0, 160.0)),
        // Each has its half, of which the first needs less.
        ([half.as_str(), half.as_str()], (30.0, 130.0)),
    ] {
        let contracts = contract("one", OF_A, volumes[0]) + &contract("two", OF_B, volumes[1]);
        let ledger = case(&contracts)
            .at("a-imp", "01:00", 100.0)
            .at("b-imp", "01:00", 200.0)
            .at("wind", "01:00", 140.0)
            .replay();
        check(&ledger, "a", "00:00", (100.0, expected.0));
        check(&ledger, "b", "00:00", (200.0, expected.1));
        assert_eq!(bought(&ledger, "c", "1h", "00:00"), (300.0, 160.0));
    }
}

/// The cluster's contract has the name that comes first, and yet the facility's claims before it.
#[test]
fn a_facility_goes_before_its_cluster() {
    let contracts = contract("all", OF_ALL, PLANT) + &contract("own", OF_B, PLANT);
    let messages = |case: Case| case.at("a-imp", "01:00", 100.0).at("b-imp", "01:00", 100.0);
    let ledger = messages(case(&contracts)).at("wind", "01:00", 130.0).replay();
    check(&ledger, "b", "00:00", (100.0, 0.0));
    check(&ledger, "a", "00:00", (100.0, 70.0));
    // The same with amounts a day, of 48 kWh an hour each.
    let day = "valid_from = \"2026-01-01\"\nvalid_to = \"2026-01-02\"\namount = ";
    let contracts =
        contract("all", OF_ALL, &format!("{day}\"1152 kWh\"")) + &contract("own", OF_B, &format!("{day}\"1920 kWh\""));
    let ledger = messages(case(&contracts)).replay();
    // 80 for b; of the 120 that are left, a has 100 and b 20.
    check(&ledger, "b", "00:00", (100.0, 12.0));
    check(&ledger, "a", "00:00", (100.0, 60.0));
}

/// Of a cluster's contract each facility has a part as large as its part of what is bought.
#[test]
fn a_cluster_divides_by_what_is_bought() {
    let ledger = case(&contract("all", OF_ALL, PLANT))
        .at("a-imp", "01:00", 100.0)
        .at("b-imp", "01:00", 300.0)
        .at("wind", "01:00", 200.0)
        .replay();
    check(&ledger, "a", "00:00", (100.0, 50.0));
    check(&ledger, "b", "00:00", (300.0, 150.0));
}

/// Plant first, then the amount, then the share; together no more than is bought.
#[test]
fn contracts_of_all_kinds_stack_up() {
    let amount = "valid_from = \"2026-01-01\"\nvalid_to = \"2026-01-02\"\namount = \"480 kWh\"";
    let contracts =
        contract("a", OF_A, "share = \"50 %\"") + &contract("b", OF_A, amount) + &contract("c", OF_A, PLANT);
    let mut case = case(&contracts).at("wind", "01:00", 10.0).at("wind", "02:00", 60.0).at("wind", "03:00", 95.0);
    for hour in 1..=4 {
        case = case.at("a-imp", &format!("{hour:02}:00"), 100.0);
    }
    let ledger = case.replay();
    // 20 kWh an hour of the amount, 50 of the share.
    for (start, uncovered) in [("00:00", 20.0), ("01:00", 0.0), ("02:00", 0.0), ("03:00", 30.0)] {
        check(&ledger, "a", start, (100.0, uncovered));
    }
}

// ---- what can be covered ---------------------------------------------------------------------------------------------

#[test]
fn what_is_resold_is_not_covered() {
    let resold = device("resold", "a", HOURLY, "kWh", &format!("{BOUGHT}\nbuyer = \"outside\""));
    for (volume, uncovered) in [(PLANT, 0.0), ("share = 0.5", 35.0)] {
        let ledger = case(&(resold.clone() + &contract("ppa", OF_A, volume)))
            .at("a-imp", "01:00", 100.0)
            .at("resold", "01:00", 30.0)
            .at("wind", "01:00", 500.0)
            .replay();
        check(&ledger, "a", "00:00", (70.0, uncovered));
    }
}

/// What a member made is no consumption from the grid.
#[test]
fn what_a_member_made_is_not_covered() {
    let inside = device("inside", "b", HOURLY, "kWh", &format!("{BOUGHT}\nsupplier = \"a\""));
    let ledger = case(&(inside + &contract("ppa", OF_B, PLANT)))
        .at("b-imp", "01:00", 100.0)
        .at("inside", "01:00", 50.0)
        .at("wind", "01:00", 500.0)
        .replay();
    check(&ledger, "b", "00:00", (150.0, 50.0));
}

/// A shared substation: the contract of one of its facilities covers that facility's part.
#[test]
fn a_part_of_a_shared_meter_is_covered() {
    let shared = device("shared", "a", HOURLY, "kWh", &format!("{BOUGHT}\nallocate = {{ a = 0.25, b = 0.75 }}"));
    let ledger = case(&(shared + &contract("ppa", OF_A, PLANT)))
        .at("shared", "01:00", 400.0)
        .at("wind", "01:00", 150.0)
        .replay();
    check(&ledger, "a", "00:00", (100.0, 0.0));
    check(&ledger, "b", "00:00", (300.0, 300.0));
}

// ---- validity --------------------------------------------------------------------------------------------------------

/// From the midnight of one local day to that of another; the hours beside them are not covered. Kathmandu is 5:45 ahead.
#[test]
fn a_contract_holds_from_midnight_to_midnight() {
    let dates = "valid_from = \"2026-01-02\"\nvalid_to = \"2026-01-03\"";
    let amount = format!("{dates}\namount = \"960 kWh\"");
    let plant = format!("{PLANT}\n{dates}");
    for (volume, uncovered) in [(amount, 60.0), (plant, 0.0)] {
        let quarter = |id: &str, category: &str| device(id, "a", QUARTERLY, "kWh", category);
        let config =
            [facilities(&["a"]), quarter("a-imp", BOUGHT), quarter("wind", MADE), contract("ppa", OF_A, &volume)];
        let mut case = with_factors(Case::new("grid = \"grid\"\nresidual = \"mix\"", &config.concat()));
        case.config = case.config.replace("\"UTC\"", "\"Asia/Kathmandu\"");
        // Two hours around each midnight.
        for midnight in ["2026-01-01T18:15:00Z", "2026-01-02T18:15:00Z"] {
            for quarter in -4..4 {
                let minute = 18 * 60 + 30 + quarter * 15;
                let time = format!("{}T{:02}:{:02}:00Z", &midnight[..10], minute / 60, minute % 60);
                case = case.at("a-imp", &time, 25.0).at("wind", &time, 25.0);
            }
        }
        let ledger = case.replay();
        for (start, expected) in [
            ("2026-01-01T17:15:00Z", 100.0),
            ("2026-01-01T18:15:00Z", uncovered),
            ("2026-01-02T17:15:00Z", uncovered),
            ("2026-01-02T18:15:00Z", 100.0),
        ] {
            check(&ledger, "a", start, (100.0, expected));
        }
    }
}

/// An amount is delivered evenly, also over a day of 23 hours.
#[test]
fn an_amount_lasts_as_long_as_its_day() {
    let amount = "valid_from = \"2026-03-29\"\nvalid_to = \"2026-03-30\"\namount = \"920 kWh\"";
    let mut case = case(&contract("block", OF_A, amount));
    case.config = case.config.replace("\"UTC\"", "\"Europe/Paris\"");
    for hour in 0..24 {
        case = case.at("a-imp", &format!("2026-03-29T{hour:02}:00:00Z"), 100.0);
    }
    let ledger = case.replay();
    // 40 kWh in each hour from 23:00 to 22:00 UTC.
    assert_eq!(bought(&ledger, "a", "1d", "2026-03-28T23:00:00Z"), (2_300.0, 1_380.0));
    check(&ledger, "a", "2026-03-29T21:00:00Z", (100.0, 60.0));
    check(&ledger, "a", "2026-03-29T22:00:00Z", (100.0, 100.0));
}

// ---- the rest --------------------------------------------------------------------------------------------------------

/// Where a grid average stands in for the residual mix, that is said of the hours of which something is left to it.
#[test]
fn what_is_left_takes_the_residual_mix_and_its_flags() {
    let mut case = case(&contract("ppa", OF_A, PLANT))
        .at("a-imp", "01:00", 100.0)
        .at("a-imp", "02:00", 100.0)
        .at("wind", "01:00", 99.0)
        .at("wind", "02:00", 100.0);
    case.config = case.config.replace("residual = \"mix\"\n", "");
    let ledger = case.replay();
    let market = |start: &str| mg(at(&ledger, "facility", "a", "1h", start), "scope2_market") / KG;
    assert_eq!((market("00:00"), market("01:00")), (1.0, 0.0));
    assert_eq!(flags(&ledger, "a", "00:00"), ["grid-as-residual"]);
    assert!(flags(&ledger, "a", "01:00").is_empty());
}

/// What a contract delivers may emit something, and its factor may be of another year.
#[test]
fn a_contract_has_a_factor_of_its_own() {
    let gas = "[contracts.gas]\nfacility = \"a\"\nshare = 0.4\nfactor = \"plant\"\n";
    let row = [("valid_from", "2024-01-01"), ("valid_to", "2024-12-31")];
    let ledger =
        case(gas).factor("plant", "inventory", "CO2", ("0.5", "kg/kWh"), &row).at("a-imp", "01:00", 100.0).replay();
    let found = at(&ledger, "facility", "a", "1h", "00:00");
    assert_eq!((mg(found, "scope2_location"), mg(found, "scope2_market")), (100.0 * KG, (40.0 * 0.5 + 120.0) * KG));
    assert_eq!(flags(&ledger, "a", "00:00"), ["factor-provisional"]);
}

/// Location-based figures, and all others, are the same with contracts and without.
#[test]
fn contracts_change_the_market_alone() {
    let contracts = contract("own", OF_B, PLANT) + &contract("all", OF_ALL, "share = 0.3");
    let messages = |mut case: Case| {
        for hour in 1..=6 {
            let time = format!("{hour:02}:00");
            case = case.at("a-imp", &time, 100.0 * f64::from(hour)).at("b-imp", &time, 70.0).at("wind", &time, 55.0);
        }
        case.replay()
    };
    let (with, without) = (messages(case(&contracts)), messages(case("")));
    assert_eq!(with.entries.len(), without.entries.len());
    let mut changed = 0;
    for (key, value) in &with.entries {
        let (mut value, mut plain) = (value.clone(), without.entries[key].clone());
        let market = |value: &mut serde_json::Value| value.as_object_mut().unwrap().remove("scope2_market_mg");
        let (market, whole) = (market(&mut value), market(&mut plain));
        assert_eq!(value, plain, "{key:?}");
        assert!(market.as_ref().and_then(|m| m.as_i64()) <= whole.as_ref().and_then(|m| m.as_i64()), "{key:?}");
        changed += usize::from(market != whole);
    }
    assert!(changed > 100, "{changed}");
}

// ---- on paper --------------------------------------------------------------------------------------------------------

const FACILITIES: [&str; 3] = ["a", "b", "d"];

#[derive(Clone, Copy)]
enum Volume {
    /// A part of one of two plants.
    Plant(usize, f64),
    /// Kilowatt-hours an hour.
    Amount(f64),
    Share(f64),
}

/// Whose: one facility's, or all.
struct Paper {
    facility: Option<usize>,
    volume: Volume,
}

/// Kilowatt-hours of one hour.
struct Hour {
    bought: [f64; 3],
    resold: [f64; 3],
    made: [f64; 2],
}

impl Paper {
    fn random(rng: &mut Rng) -> Paper {
        let part = |rng: &mut Rng| f64::from(rng.u32(1..=20)) / 20.0;
        let volume = match rng.u32(0..4) {
            0 | 1 => Volume::Plant(rng.usize(0..2), part(rng)),
            2 => Volume::Amount(f64::from(rng.u32(1..80))),
            _ => Volume::Share(part(rng)),
        };
        Paper { facility: rng.bool().then(|| rng.usize(0..3)), volume }
    }

    fn rank(&self) -> (usize, bool) {
        let rank = match self.volume {
            Volume::Plant(..) => 0,
            Volume::Amount(_) => 1,
            Volume::Share(_) => 2,
        };
        (rank, self.facility.is_none())
    }

    fn written(&self, at: usize) -> String {
        let whose = self.facility.map_or(OF_ALL.to_owned(), |f| format!("facility = \"{}\"", FACILITIES[f]));
        let volume = match self.volume {
            Volume::Plant(plant, part) => {
                format!("generation = \"plant-{plant}\"\nsite = \"external\"\nshare = {part}")
            }
            Volume::Amount(amount) => {
                let day = amount * 24.0;
                format!("valid_from = \"2026-01-01\"\nvalid_to = \"2026-01-02\"\namount = \"{day} kWh\"")
            }
            Volume::Share(part) => format!("share = {part}"),
        };
        contract(&format!("k{at}"), &whose, &volume)
    }
}

impl Hour {
    fn random(rng: &mut Rng) -> Hour {
        let bought = [0; 3].map(|_| f64::from(rng.u32(0..300)));
        let resold = bought.map(|most| if rng.bool() { 0.0 } else { (most * rng.f64()).floor() });
        Hour { bought, resold, made: [0; 2].map(|_| f64::from(rng.u32(0..400))) }
    }

    /// What nothing covers.
    fn uncovered(&self, contracts: &[Paper]) -> [f64; 3] {
        let mut order: Vec<&Paper> = contracts.iter().collect();
        order.sort_by_key(|contract| contract.rank());
        let consumed: [f64; 3] = std::array::from_fn(|f| self.bought[f] - self.resold[f]);
        let (mut left, mut made) = (consumed, self.made);
        for contract in order {
            let mine = |f: usize| contract.facility.is_none_or(|facility| facility == f);
            let sum = |of: &[f64; 3]| (0..3).filter(|f| mine(*f)).map(|f| of[f]).sum::<f64>();
            let room = sum(&left);
            let covered = match contract.volume {
                Volume::Plant(plant, part) => (self.made[plant] * part).min(made[plant]),
                Volume::Amount(amount) => amount,
                Volume::Share(part) => sum(&consumed) * part,
            }
            .min(room);
            if let Volume::Plant(plant, _) = contract.volume {
                made[plant] -= covered;
            }
            for f in (0..3).filter(|f| mine(*f) && room > 0.0) {
                left[f] -= covered * left[f] / room;
            }
        }
        left
    }
}

/// Three facilities that also resell, two plants, and up to six contracts of all kinds.
#[test]
fn random_hours_are_matched_as_on_paper() {
    for seed in 0..number("EMISSIOND_MATCHING", 30) {
        let mut rng = Rng::with_seed(seed);
        let contracts: Vec<Paper> = (0..rng.usize(1..=6)).map(|_| Paper::random(&mut rng)).collect();
        let hours: Vec<Hour> = (0..8).map(|_| Hour::random(&mut rng)).collect();
        let mut config = vec![facilities(&FACILITIES)];
        for f in FACILITIES {
            config.push(device(&format!("{f}-in"), f, HOURLY, "kWh", BOUGHT));
            config.push(device(&format!("{f}-on"), f, HOURLY, "kWh", &format!("{BOUGHT}\nbuyer = \"outside\"")));
        }
        config.extend([0, 1].map(|plant| device(&format!("plant-{plant}"), "a", HOURLY, "kWh", MADE)));
        config.extend(contracts.iter().enumerate().map(|(at, contract)| contract.written(at)));
        let mut case = with_factors(Case::new("grid = \"grid\"\nresidual = \"mix\"", &config.concat()));
        for (at, hour) in hours.iter().enumerate() {
            let time = format!("{:02}:00", at + 1);
            for (f, id) in FACILITIES.iter().enumerate() {
                case = case.at(&format!("{id}-in"), &time, hour.bought[f]);
                case = case.at(&format!("{id}-on"), &time, hour.resold[f]);
            }
            case = case.at("plant-0", &time, hour.made[0]).at("plant-1", &time, hour.made[1]);
        }
        let ledger = case.replay();
        for (at, hour) in hours.iter().enumerate() {
            let expected = hour.uncovered(&contracts);
            for (f, id) in FACILITIES.iter().enumerate() {
                let (bought, uncovered) = bought(&ledger, id, "1h", &format!("{at:02}:00"));
                let what = format!("network {seed}, {id} in hour {at}: {uncovered} instead of {}", expected[f]);
                assert!((uncovered - expected[f]).abs() < 1e-4, "{what}\n{}", case.config);
                assert!((bought - (hour.bought[f] - hour.resold[f])).abs() < 1e-4, "{what}");
            }
        }
    }
}

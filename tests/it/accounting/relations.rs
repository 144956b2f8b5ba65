//! Relations between meters at their edges: silence, sold certificates, plants that stand still, transfers.

use super::{Case, entry, event};

const AT: &str = "2026-01-01T00:00:30Z";

fn case(config: &[String]) -> Case {
    let facilities = "[facilities.a]\ncluster = \"c\"\n[facilities.b]\ncluster = \"c\"\n";
    Case::new("grid = \"own-grid\"", &format!("{facilities}{}", config.concat()))
        .factor("own-grid", "grid", "CO2", ("1", "kg/kWh"), &[])
        .factor("own-fuel", "inventory", "CO2", ("1", "kg/kg"), &[])
        .factor("own-steam", "inventory", "CO2", ("1", "kg/kWh"), &[])
}

fn kilograms(case: &Case, level: &str, entity: &str, column: &str) -> f64 {
    entry(&case.replay(), level, entity, "1h")[format!("{column}_mg")].as_f64().unwrap() / 1e6
}

fn flags(case: &Case, level: &str, entity: &str) -> String {
    entry(&case.replay(), level, entity, "1h")["flags"].to_string()
}

fn rate(id: &str, facility: &str, unit: &str, more: &str) -> String {
    event(id, facility, unit, &format!("expected_every = \"1h\"\n{more}")).replace("\"event\"", "\"rate\"")
}

/// A rate that holds over the hour.
fn hour(mut case: Case, topic: &str, value: &str) -> Case {
    for time in ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"] {
        case = case.send(time, topic, value);
    }
    case
}

#[test]
fn sold_certificates_are_of_electricity_alone() {
    let config = [
        event("pv", "a", "kWh", "category = \"generation\"\ncertificates = \"sold\""),
        event("steam", "b", "kWh", "category = \"purchased-steam\"\nsupplier = \"a\"\nfactor = \"own-steam\""),
        event("power", "b", "kWh", "category = \"purchased-electricity\"\nsupplier = \"a\""),
    ];
    let case = case(&config).send(AT, "pv", "10").send(AT, "steam", "20").send(AT, "power", "5");
    // The steam is eliminated on both bases; the power's attributes have left the cluster.
    assert_eq!(kilograms(&case, "cluster", "c", "eliminated_location"), 25.0);
    assert_eq!(kilograms(&case, "cluster", "c", "eliminated_market"), 20.0);
    assert_eq!(kilograms(&case, "cluster", "c", "scope2_market"), 15.0);
}

#[test]
fn what_is_exported_of_a_shared_plant_takes_no_residual_mix() {
    let pv = event("pv", "a", "kWh", "category = \"generation\"\ncertificates = \"sold\"");
    let config = [
        pv.replace("facility = \"a\"", "allocate = { a = 0.5, b = 0.5 }"),
        event("out", "a", "kWh", "category = \"export\""),
        event("wind", "a", "kWh", "category = \"generation\""),
        event("in", "a", "kWh", "category = \"purchased-electricity\""),
        "[contracts.w]\nfacility = \"a\"\ngeneration = \"wind\"\nsite = \"external\"\nfactor = \"0 kg/kWh\"\n"
            .to_owned(),
    ];
    let case = case(&config).send(AT, "pv", "100").send(AT, "out", "40").send(AT, "wind", "1000").send(AT, "in", "7");
    // Of the 50 kWh of a, 40 are exported; the wind park stands elsewhere, and covers what is bought.
    assert_eq!(kilograms(&case, "facility", "a", "scope2_market"), 10.0);
    assert_eq!(kilograms(&case, "facility", "b", "scope2_market"), 50.0);
}

fn plant() -> Vec<String> {
    vec![
        rate("gas", "a", "kg/h", "category = \"stationary-combustion\"\nfactor = \"own-fuel\""),
        rate("heat", "a", "kW", "category = \"export\""),
        rate("steam", "b", "kW", "category = \"purchased-steam\"\nsupplier = \"a\"\nfactor = \"supplier\""),
        "[chp.p]\nfacility = \"a\"\nfuels = [\"gas\"]\nheat = [\"heat\"]\n".to_owned(),
    ]
}

#[test]
fn a_silent_meter_of_a_plant_is_no_nought() {
    let whole = hour(hour(hour(case(&plant()), "gas", "50"), "heat", "100"), "steam", "100");
    assert_eq!(kilograms(&whole, "facility", "b", "scope2_location"), 50.0);
    let silent = hour(hour(case(&plant()), "heat", "100"), "steam", "100");
    assert!(flags(&silent, "meter", "steam").contains("supplier-unknown"));
    assert_eq!(entry(&silent.replay(), "meter", "steam", "1h")["coverage"], 0.0);
    // Nothing bought from a plant that stands still is nothing, and known.
    let still = hour(hour(hour(case(&plant()), "gas", "0"), "heat", "0"), "steam", "0");
    assert_eq!(
        (flags(&still, "meter", "steam").as_str(), kilograms(&still, "meter", "steam", "scope2_location")),
        ("[]", 0.0)
    );
}

#[test]
fn a_sum_of_a_silent_meter_is_unknown() {
    let config = [
        rate("total", "a", "kg/h", ""),
        rate("fuel", "a", "kg/h", "category = \"stationary-combustion\"\nfactor = \"own-fuel\""),
        "[meters.feed]\nfacility = \"a\"\nsum = { total = 1, fuel = -1 }\nunit = \"kg\"\ncategory = \"process\"\ncarbon = \"30 %\"\n".to_owned(),
    ];
    let both = hour(hour(case(&config), "total", "100"), "fuel", "40");
    assert_eq!(kilograms(&both, "meter", "feed", "scope1"), 66.0);
    let silent = hour(case(&config), "fuel", "40").replay();
    assert!(!silent.entries.keys().any(|(_, entity, ..)| entity == "feed"));
}

#[test]
fn both_ends_of_a_transfer_say_that_they_differ() {
    let config = [
        event("sent", "a", "kg", "category = \"export\""),
        event("got", "b", "kg", "category = \"stationary-combustion\"\nfactor = \"own-fuel\""),
        "[transfers.t]\nsent = \"sent\"\nreceived = \"got\"\n".to_owned(),
    ];
    let differ = case(&config).send(AT, "sent", "100").send(AT, "got", "50");
    assert!(["sent", "got"].iter().all(|meter| flags(&differ, "meter", meter).contains("transfer-difference")));
    let agree = case(&config).send(AT, "sent", "100").send(AT, "got", "99");
    assert_eq!(flags(&agree, "meter", "got"), "[]");
}

#[test]
fn leaks_of_biogas_take_the_other_potential() {
    let leak = |share: &str| {
        let more = format!("category = \"fugitive\"\ngas = \"CH4\"\nbiomass_share = \"{share}\"");
        let case = case(&[event("leak", "a", "kg", &more)]).send(AT, "leak", "10");
        kilograms(&case, "facility", "a", "scope1")
    };
    assert_eq!((leak("0 %"), leak("100 %"), leak("50 %")), (298.0, 270.0, 284.0));
}

/// A constant is its own mean, however often it is read.
#[test]
fn a_property_that_stays_the_same_is_exact_at_any_cadence() {
    for (every, value) in [(1, "3.5"), (10, "3.3"), (60, "0.001")] {
        let fuel = "category = \"stationary-combustion\"\nfactor = \"own-gas\"\nbasis = \"LHV\"\nheat_content = { meter = \"q\" }";
        let meter = "category = \"property\"\nmax_age = \"5m\"";
        let config = [event("q", "a", "MJ/Nm3", meter), event("gas", "a", "Nm3", fuel)];
        let mut case = case(&config).factor("own-gas", "inventory", "CO2", ("1", "kg/MJ"), &[("basis", "LHV")]);
        for second in (0..900).step_by(every) {
            let time = format!("2026-01-01T00:{:02}:{:02}Z", second / 60, second % 60);
            case = case.send(&time, "q", value);
        }
        let case = case.send("2026-01-01T00:14:59Z", "gas", "1000000");
        let kilograms = value.parse::<f64>().unwrap() * 1e6;
        assert_eq!(entry(&case.replay(), "facility", "a", "15m")["scope1_mg"].as_f64().unwrap(), kilograms * 1e6);
    }
}

#[test]
fn a_sum_is_no_term_of_itself() {
    let sum = "[meters.s]\nfacility = \"a\"\nsum = { m = 1, s = -1 }\nunit = \"kg\"\ncategory = \"process\"\ncarbon = \"30 %\"\n";
    let (code, said) = case(&[event("m", "a", "kg", ""), sum.to_owned()]).check();
    assert!(code == 78 && said.contains("cannot be a term of its own sum"), "{said}");
}

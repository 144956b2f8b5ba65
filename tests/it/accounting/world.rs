//! Random networks: clusters in several zones, facilities with meters of every kind and category, what relates them, and
//! their messages. The same number makes the same network.

use emissiond::quantity::Time;
use fastrand::Rng;

use super::FACTOR_COLUMNS;
use crate::harness::{Files, message};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

const ZONES: [&str; 5] = ["Europe/Paris", "Asia/Kolkata", "Asia/Kathmandu", "America/Chicago", "UTC"];

/// The clocks change in Paris or Chicago, or a year, a month or nothing ends.
const TIMES: [&str; 8] = [
    "2026-03-29T01:00:00Z",
    "2026-10-25T01:00:00Z",
    "2026-03-08T08:00:00Z",
    "2026-11-01T07:00:00Z",
    "2026-01-01T00:00:00Z",
    "2025-12-31T19:00:00Z",
    "2026-02-28T18:00:00Z",
    "2026-06-17T12:00:00Z",
];

/// Set, use, gas, value, unit, biogenic.
const FACTORS: [(&str, &str, &str, &str, &str, &str); 17] = [
    ("gas", "inventory", "CO2", "56.1", "kg/GJ", ""),
    ("gas", "inventory", "CH4", "0.0013", "kg/GJ", ""),
    ("gas", "inventory", "N2O", "0.00017", "kg/GJ", ""),
    ("oil", "inventory", "CO2", "3127", "kg/t", ""),
    ("oil", "inventory", "CH4", "0.11", "kg/t", ""),
    ("wood", "inventory", "CO2", "1747", "kg/t", "1"),
    ("wood", "inventory", "CH4", "0.31", "kg/t", ""),
    ("wood", "inventory", "N2O", "0.043", "kg/t", ""),
    ("diesel", "inventory", "CO2", "2.67", "kg/L", ""),
    ("clinker", "inventory", "CO2", "0.527", "t/t clinker", ""),
    ("smelter", "inventory", "CF4", "0.041", "kg/t metal", ""),
    ("steam", "inventory", "CO2", "66.33", "kg/mmBtu", ""),
    ("steam", "inventory", "CH4", "0.00125", "kg/mmBtu", ""),
    ("grid", "grid", "CO2", "0.4137", "kg/kWh", ""),
    ("grid", "grid", "N2O", "0.0000061", "kg/kWh", ""),
    ("mix", "residual", "CO2", "0.6071", "kg/kWh", ""),
    ("chp", "inventory", "CO2", "0.3", "kg/kWh", ""),
];

/// One message.
#[derive(Clone)]
struct Sent {
    received: i64,
    topic: String,
    payload: String,
}

pub struct Facility {
    pub id: String,
    pub cluster: usize,
    has_plant: bool,
}

/// A meter of what is bought from a member, and the clusters of both.
pub struct Purchase {
    pub meter: String,
    pub buyer: usize,
    pub maker: usize,
}

pub struct World {
    pub zones: Vec<&'static str>,
    /// Of each cluster, whether it is in the network.
    pub members: Vec<bool>,
    pub facilities: Vec<Facility>,
    /// What one made and another bought.
    pub purchases: Vec<Purchase>,
    /// Who resells to whom.
    resold: Vec<(usize, usize)>,
    rng: Rng,
    middle: i64,
    config: String,
    sent: Vec<Sent>,
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut rng = Rng::with_seed(seed);
        let middle = Time::parse_rfc3339(rng.choice(TIMES).unwrap()).unwrap().0;
        let mut world = World {
            zones: Vec::new(),
            members: Vec::new(),
            facilities: Vec::new(),
            purchases: Vec::new(),
            resold: Vec::new(),
            rng,
            middle,
            config: "[factors]\nfiles = [\"own.csv\"]\n[networks.n]\n".to_owned(),
            sent: Vec::new(),
        };
        world.clusters();
        for at in 0..world.facilities.len() {
            world.furnish(at);
        }
        world.contracts();
        world
    }

    pub fn files(&self, lines: &[String]) -> Files {
        let mut factors = FACTOR_COLUMNS.to_owned();
        for (at, (set, usage, gas, value, unit, biogenic)) in FACTORS.into_iter().enumerate() {
            let basis = if set == "gas" { "LHV" } else { "" };
            factors +=
                &format!("row-{at},{set},{set},own,fuel,{usage},{gas},{value},{unit},{basis},,,,,,,{biogenic},test,\n");
        }
        Files::new(&[("c.toml", &self.config), ("own.csv", &factors), ("m.jsonl", &lines.join("\n"))])
    }

    /// The messages in the order they were received.
    pub fn lines(&self) -> Vec<String> {
        let mut sent = self.sent.clone();
        sent.sort_by_key(|sent| sent.received);
        sent.iter().map(|sent| message(&Time(sent.received).to_string(), &sent.topic, &sent.payload)).collect()
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(0..n) == 0
    }

    // ---- who there is --------------------------------------------------------------------------------------------

    fn clusters(&mut self) {
        let mut zones = ZONES;
        self.rng.shuffle(&mut zones);
        for (cluster, zone) in zones.into_iter().take(self.rng.usize(2..=4)).enumerate() {
            let member = cluster < 2 || self.one_in(2);
            let network = if member { "network = \"n\"\n" } else { "" };
            let residual = if self.one_in(4) { "" } else { "residual = \"mix\"\n" };
            self.config += &format!(
                "[clusters.c{cluster}]\ntimezone = \"{zone}\"\ngwp = \"ar6\"\ngrid = \"grid\"\n{network}{residual}"
            );
            self.zones.push(zone);
            self.members.push(member);
            for at in 0..self.rng.usize(1..=3) {
                let id = format!("c{cluster}-f{at}");
                self.config += &format!("[facilities.{id}]\ncluster = \"c{cluster}\"\n");
                let has_plant = self.one_in(3);
                self.facilities.push(Facility { id, cluster, has_plant });
            }
        }
    }

    fn furnish(&mut self, at: usize) {
        let id = self.facilities[at].id.clone();
        if self.facilities[at].has_plant {
            self.plant(&id);
        }
        for place in 0..self.rng.usize(2..=5) {
            let name = format!("{id}-m{place}");
            match self.rng.u32(0..14) {
                0..=3 => self.emits(&name, at),
                4 | 5 => self.buys(&name, at),
                6 | 7 => self.buys_from_a_member(&name, at),
                8 => self.stack(&name, &id),
                9 => self.sun(&name, &id),
                10 => self.captures(&name, &id),
                11 => self.divides(&name, at),
                12 => self.sums(&name, &id),
                _ => self.resells(&name, at),
            }
        }
    }

    // ---- meters --------------------------------------------------------------------------------------------------

    fn emits(&mut self, name: &str, at: usize) {
        let gas = "factor = \"gas\"\nbasis = \"LHV\"";
        let dated = "heat_content = { \"2025-01-01\" = \"43 GJ/t\", \"2026-01-01\" = \"44.7 GJ/t\", \"2026-03-01\" = \"42.9 GJ/t\" }";
        let metered =
            format!("heat_content = {{ meter = \"{name}-heat\", max_age = \"5h\", otherwise = \"36 MJ/Nm3\" }}");
        let kinds = [
            ("GJ", format!("category = \"stationary-combustion\"\n{gas}")),
            ("t", format!("category = \"stationary-combustion\"\n{gas}\n{dated}")),
            ("t", "category = \"stationary-combustion\"\nfactor = \"wood\"".to_owned()),
            ("t", "category = \"stationary-combustion\"\nfactor = \"oil\"\nbiomass_share = \"7 %\"".to_owned()),
            ("L", "category = \"mobile-combustion\"\nfactor = \"diesel\"".to_owned()),
            ("t", "category = \"process\"\nfactor = \"clinker\"\nproduct = \"clinker\"".to_owned()),
            ("kg", "category = \"process\"\nfactor = \"smelter\"\nproduct = \"metal\"".to_owned()),
            (
                "t",
                "category = \"process\"\ncarbon = { \"2025-01-01\" = \"61 %\", \"2026-01-01\" = \"63.7 %\" }"
                    .to_owned(),
            ),
            ("kg", "category = \"fugitive\"\ngas = \"R-410A\"".to_owned()),
            ("kg", "category = \"fugitive\"\ngas = \"CH4\"".to_owned()),
            ("kg", "category = \"fugitive\"\ngas = \"SF6\"".to_owned()),
            ("short_ton", "category = \"cems-co2\"\nbiomass_share = \"11 %\"".to_owned()),
            ("Nm3", format!("category = \"stationary-combustion\"\n{gas}\n{metered}")),
        ];
        let (unit, booked) = self.rng.choice(kinds).unwrap();
        let id = self.facilities[at].id.clone();
        if unit == "Nm3" {
            self.property(&format!("{name}-heat"), &id);
        }
        let whose = if self.one_in(5) { self.shares(at) } else { own(&id) };
        self.meter(name, &whose, unit, &booked);
    }

    fn buys(&mut self, name: &str, at: usize) {
        let id = self.facilities[at].id.clone();
        if self.one_in(4) {
            return self.meter(name, &own(&id), "mmBtu", "category = \"purchased-steam\"\nfactor = \"steam\"");
        }
        let whose = if self.one_in(3) { self.shares(at) } else { own(&id) };
        self.meter(name, &whose, "kWh", "category = \"purchased-electricity\"");
        if self.one_in(4) {
            let tenant = self.neighbour(at);
            let booked = format!("category = \"purchased-electricity\"\nparent = \"{name}\"");
            self.meter(&format!("{name}-sub"), &own(&tenant), "kWh", &booked);
        }
    }

    /// From whoever was furnished before: of the cluster, of the network, or of neither. Who resells to somebody sells nothing
    /// of its own there.
    fn buys_from_a_member(&mut self, name: &str, at: usize) {
        let from = self.rng.usize(0..=at);
        if from == at || self.resold.contains(&(from, at)) {
            return self.buys(name, at);
        }
        let (id, supplier) = (self.facilities[at].id.clone(), &self.facilities[from]);
        let (seller, has_plant) = (supplier.id.clone(), supplier.has_plant);
        let (buyer, maker) = (self.facilities[at].cluster, supplier.cluster);
        self.purchases.push(Purchase { meter: name.to_owned(), buyer, maker });
        let is_power = self.one_in(2);
        let factor = match (has_plant && self.one_in(2), is_power) {
            (true, _) => "factor = \"supplier\"",
            (false, true) => "",
            (false, false) => "factor = \"steam\"",
        };
        let (unit, category) = if is_power { ("kWh", "electricity") } else { ("GJ", "steam") };
        let booked = format!("category = \"purchased-{category}\"\nsupplier = \"{seller}\"\n{factor}");
        self.meter(name, &own(&id), unit, &booked);
    }

    fn stack(&mut self, name: &str, id: &str) {
        let declared = if self.one_in(2) { "biomass_share = \"23 %\"" } else { "" };
        self.meter(&format!("{name}-cems"), &own(id), "t", &format!("category = \"cems-co2\"\n{declared}"));
        for fuel in ["wood", "oil"] {
            let booked = format!("category = \"stationary-combustion\"\nfactor = \"{fuel}\"");
            self.meter(&format!("{name}-{fuel}"), &own(id), "t", &booked);
        }
        self.config += &format!("[stacks.{name}]\ncems = \"{name}-cems\"\nfuels = [\"{name}-wood\", \"{name}-oil\"]\n");
    }

    fn sun(&mut self, name: &str, id: &str) {
        let certificates = if self.one_in(3) { "kept" } else { "sold" };
        let booked = format!("category = \"generation\"\ncertificates = \"{certificates}\"\nfactor_market = \"mix\"");
        self.meter(name, &own(id), "kWh", &booked);
        if self.one_in(2) {
            self.meter(&format!("{name}-export"), &own(id), "kWh", "category = \"export\"");
        }
    }

    fn captures(&mut self, name: &str, id: &str) {
        let lasting = self.rng.choice(["use = \"stored\"\ndeduct = true", "use = \"sold\""]).unwrap();
        let booked = format!("category = \"captured-co2\"\nbiomass_share = \"3 %\"\n{lasting}");
        self.meter(name, &own(id), "t", &booked);
    }

    fn plant(&mut self, id: &str) {
        let fuel = "category = \"stationary-combustion\"\nfactor = \"gas\"\nbasis = \"LHV\"";
        for (what, unit, booked) in [
            ("gas", "GJ", fuel),
            ("heat", "GJ", "category = \"export\""),
            ("power", "kWh", "category = \"generation\""),
        ] {
            self.meter(&format!("{id}-chp-{what}"), &own(id), unit, booked);
        }
        self.config += &format!(
            "[chp.{id}]\nfacility = \"{id}\"\nfuels = [\"{id}-chp-gas\"]\nheat = [\"{id}-chp-heat\"]\npower = [\"{id}-chp-power\"]\n"
        );
    }

    /// What goes in and what comes back.
    fn divides(&mut self, name: &str, at: usize) {
        let whose = self.shares(at);
        self.meter(name, &whose, "kWh", "category = \"purchased-electricity\"");
        self.meter(&format!("{name}-back"), &whose, "kWh", "category = \"export\"");
    }

    fn sums(&mut self, name: &str, id: &str) {
        self.meter(&format!("{name}-all"), &own(id), "Nm3", "");
        let fuel =
            "category = \"stationary-combustion\"\nfactor = \"gas\"\nbasis = \"LHV\"\nheat_content = \"36 MJ/Nm3\"";
        self.meter(&format!("{name}-fuel"), &own(id), "Nm3", fuel);
        self.config += &format!(
            "[meters.{name}]\nfacility = \"{id}\"\nunit = \"Nm3\"\ncategory = \"process\"\ncarbon = \"0.53 kg/Nm3\"\nsum = {{ {name}-all = 1, {name}-fuel = -1 }}\n"
        );
    }

    fn resells(&mut self, name: &str, at: usize) {
        let id = self.facilities[at].id.clone();
        let buyer = self.neighbour(at);
        let to = self.facilities.iter().position(|facility| facility.id == buyer).unwrap_or(at);
        let bought = "category = \"purchased-electricity\"";
        self.meter(&format!("{name}-in"), &own(&id), "kWh", bought);
        // Only those that are furnished later have not bought anything else yet.
        let buyer = if to > at && self.one_in(2) { buyer } else { "outside".to_owned() };
        self.meter(&format!("{name}-on"), &own(&id), "kWh", &format!("{bought}\nbuyer = \"{buyer}\""));
        if buyer != "outside" {
            self.resold.push((at, to));
            self.meter(&format!("{name}-at"), &own(&buyer), "kWh", &format!("{bought}\nsupplier = \"{id}\""));
        }
    }

    /// Contracts of one facility or one cluster; each plant stands elsewhere.
    fn contracts(&mut self) {
        for place in 0..self.rng.usize(0..=3) {
            let at = self.rng.usize(0..self.facilities.len());
            let facility = self.facilities[at].id.clone();
            let cluster = format!("cluster = \"c{}\"", self.facilities[at].cluster);
            let whose = if self.one_in(2) { cluster } else { own(&facility) };
            let volume = match self.rng.u32(0..3) {
                0 => {
                    self.meter(&format!("ppa-{place}"), &own(&facility), "kWh", "category = \"generation\"");
                    format!("generation = \"ppa-{place}\"\nsite = \"external\"\nshare = 0.9")
                }
                1 => "valid_from = \"2025-12-01\"\nvalid_to = \"2027-01-01\"\namount = \"1234567 kWh\"".to_owned(),
                _ => "share = \"37 %\"\nvalid_from = \"2026-01-01\"".to_owned(),
            };
            let factor = self.rng.choice(["0 kg/kWh", "0.011 kg/kWh", "chp"]).unwrap();
            self.config += &format!("[contracts.k{place}]\n{whose}\n{volume}\nfactor = \"{factor}\"\n");
        }
    }

    // ---- whose ---------------------------------------------------------------------------------------------------

    /// A facility of the same cluster; itself, where it is alone.
    fn neighbour(&mut self, at: usize) -> String {
        let cluster = self.facilities[at].cluster;
        let others = self.facilities.iter().enumerate().filter(|(other, f)| f.cluster == cluster && *other != at);
        let others: Vec<&str> = others.map(|(_, facility)| facility.id.as_str()).collect();
        self.rng.choice(others).map_or_else(|| self.facilities[at].id.clone(), str::to_owned)
    }

    fn shares(&mut self, at: usize) -> String {
        let (id, other) = (self.facilities[at].id.clone(), self.neighbour(at));
        if id == other {
            return own(&id);
        }
        let share = self.rng.choice(["0.5", "\"33.3 %\"", "0.123456"]).unwrap();
        format!("allocate = {{ {id} = {share}, {other} = \"rest\" }}")
    }

    // ---- readings ------------------------------------------------------------------------------------------------

    fn property(&mut self, name: &str, id: &str) {
        self.config += &format!(
            "[meters.{name}]\n{}\n{DEVICE}topic = \"{name}\"\nunit = \"MJ/Nm3\"\ncategory = \"property\"\n",
            own(id)
        );
        for _ in 0..self.rng.usize(1..=6) {
            let (time, value) = (self.instant(MINUTE / 4), 33.0 + self.rng.f64() * 5.0);
            self.send(name, time, &format!("{value:.3}"));
        }
    }

    /// A meter of any kind, and its readings within some hours of the middle.
    fn meter(&mut self, name: &str, whose: &str, unit: &str, booked: &str) {
        let kind = self.rng.u32(0..4);
        let per_hour = if unit == "kWh" { "kW".to_owned() } else { format!("{unit}/h") };
        let (kind_keys, unit) = match kind {
            0 => ("kind = \"event\"".to_owned(), unit),
            1 => {
                let interval = self.rng.choice(["5m", "15m", "30m", "1h"]).unwrap();
                let stamp = self.rng.choice(["start", "end"]).unwrap();
                (format!("kind = \"interval\"\ninterval = \"{interval}\"\nstamp = \"{stamp}\""), unit)
            }
            2 => ("kind = \"register\"\nexpected_every = \"20m\"\nrollover_at = 100000".to_owned(), unit),
            _ => {
                let shape = self.rng.choice(["linear", "step"]).unwrap();
                (format!("kind = \"rate\"\nshape = \"{shape}\"\nexpected_every = \"10m\""), per_hour.as_str())
            }
        };
        self.config += &format!(
            "[meters.{name}]\n{whose}\n{DEVICE}topic = \"{name}\"\n{kind_keys}\nunit = \"{unit}\"\n{booked}\n"
        );
        match kind {
            0 | 1 => self.amounts(name),
            2 => self.totals(name),
            _ => self.rates(name),
        }
    }

    fn amounts(&mut self, name: &str) {
        let grain = self.rng.choice([MINUTE / 3, MINUTE, 15 * MINUTE, HOUR]).unwrap();
        for _ in 0..self.rng.usize(1..=6) {
            let (time, value) = (self.instant(grain), self.rng.f64() * 1_000.0);
            self.send(name, time, &format!("{value:.3}"));
        }
    }

    /// A register that is read now and then, with gaps of any length.
    fn totals(&mut self, name: &str) {
        let (mut time, mut total) = (self.instant(MINUTE / 4), self.rng.f64() * 99_900.0);
        for _ in 0..self.rng.usize(2..=5) {
            self.send(name, time, &format!("{total:.2}"));
            let longest = self.rng.choice([20 * MINUTE, HOUR, 2 * HOUR, 40 * HOUR]).unwrap();
            time += self.rng.i64(1..longest / 1_000) * 1_000;
            total = (total + self.rng.f64() * 500.0) % 100_000.0;
        }
    }

    fn rates(&mut self, name: &str) {
        let mut time = self.instant(MINUTE);
        for _ in 0..self.rng.usize(2..=8) {
            let value = self.rng.f64() * 900.0;
            self.send(name, time, &format!("{value:.1}"));
            time += self.rng.i64(1..36) * MINUTE;
        }
    }

    fn instant(&mut self, grain: i64) -> i64 {
        let reach = 18 * HOUR / grain;
        (self.middle + self.rng.i64(-reach..reach) * grain).div_euclid(grain) * grain
    }

    /// Received at once, or late; now and then too late, or together with another value for the same time.
    fn send(&mut self, topic: &str, time: i64, value: &str) {
        let lag = match self.rng.u32(0..20) {
            0 => 9 * 24 * HOUR,
            1..=4 => self.rng.i64(0..3 * 24 * HOUR / 1_000) * 1_000,
            _ => 5_000,
        };
        let payload = |value: &str| format!("{{\"v\":{value},\"t\":{time}}}");
        self.sent.push(Sent { received: time + lag, topic: topic.to_owned(), payload: payload(value) });
        if self.one_in(30) {
            let received = time + lag + self.rng.i64(0..2) * 1_000;
            self.sent.push(Sent { received, topic: topic.to_owned(), payload: payload("77.7") });
        }
    }
}

const DEVICE: &str = "format = \"json\"\nvalue = \"/v\"\ntime = \"/t\"\ntime_format = \"ms\"\n";

fn own(id: &str) -> String {
    format!("facility = \"{id}\"")
}

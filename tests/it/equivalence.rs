//! The one idea, tested: whatever the order of arrival, however often the store is sealed, and wherever the process is
//! killed, the ledger is the one that a plain replay of the same messages gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use emissiond::cluster::{Entity, MeterIx};
use emissiond::config::{Plan, check};
use emissiond::daemon::Books;
use emissiond::decode::Message;
use emissiond::ledger::Entry;
use emissiond::pipeline::{Amounts, Counters, Event, Over, Pipeline, meter_entries};
use emissiond::quantity::{Quarter, Span, Time, Window};
use emissiond::store::Reader;
use fastrand::Rng;

use crate::harness::Files;

/// Meters of all kinds in two zones, and the relations between them: what one is charged with hangs on others.
pub const CONFIG: &str = r#"
[networks.n]
gwp = "ar6"
[clusters.paris]
timezone = "Europe/Paris"
network = "n"
gwp = "ar5"
grid = "eea_fr"
[clusters.nepal]
timezone = "Asia/Kathmandu"
network = "n"
grid = "cn_prov_tj"
[facilities.a]
cluster = "paris"
[facilities.b]
cluster = "paris"
[facilities.c]
cluster = "nepal"
[meters.a-gas]
facility = "a"
topic = "a/gas"
format = "json"
value = "/v"
time = "/t"
time_format = "ms"
kind = "register"
unit = "Nm3"
rollover_at = 100000
expected_every = "1m"
category = "stationary-combustion"
factor = "epa98_natural_gas"
heat_content = { meter = "a-hhv", max_age = "3h", otherwise = "39.5 MJ/Nm3" }
basis = "HHV"
uncertainty_pct = 2
[meters.a-hhv]
facility = "a"
topic = "a/hhv"
format = "json"
value = "/v"
time = "/t"
time_format = "ms"
unit = "MJ/Nm3"
category = "property"
[meters.a-heat]
facility = "a"
topic = "a/heat"
format = "json"
value = "/v"
time = "/t"
time_format = "ms"
kind = "rate"
unit = "kW"
expected_every = "30m"
category = "export"
buyer = "b"
[chp.plant]
facility = "a"
fuels = ["a-gas"]
heat = ["a-heat"]
[meters.b-steam]
facility = "b"
topic = "b/steam"
format = "json"
value = "/v"
time = "/t"
time_format = "ms"
kind = "interval"
interval = "30m"
unit = "kWh"
category = "purchased-steam"
supplier = "a"
factor = ["supplier", "epahub_steam"]
[transfers.pipe]
sent = "a-heat"
received = "b-steam"
[meters.a-wind]
facility = "a"
topic = "a/wind"
format = "json"
value = "/v"
time = "/t"
time_format = "ms"
kind = "interval"
interval = "15m"
unit = "kWh"
category = "generation"
[contracts.wind]
facility = "b"
generation = "a-wind"
site = "external"
factor = "0.01 kg/kWh"
[contracts.all]
cluster = "paris"
share = "10 %"
factor = "0.02 kg/kWh"
valid_from = "2026-10-25"
[meters.ab-shared]
allocate = { a = 0.3, b = "rest" }
topic = "ab/el"
format = "json"
value = "/v"
time = "/t"
time_format = "ms"
kind = "register"
unit = "kWh"
expected_every = "30m"
max_gap = "40m"
category = "purchased-electricity"
[meters.b-sub]
facility = "b"
parent = "a-el"
topic = "b/sub"
format = "json"
value = "/v"
time = "/t"
time_format = "ms"
kind = "interval"
interval = "15m"
unit = "kWh"
category = "purchased-electricity"
[meters.c-rest]
facility = "c"
unit = "L"
sum = { c-oil = 0.1 }
category = "mobile-combustion"
factor = "ipcc06_diesel"
heat_content = "43 GJ/t"
density = "0.84 kg/L"
basis = "LHV"
[stacks.c]
cems = "c-stack"
fuels = ["c-oil"]
[meters.a-el]
facility = "a"
topic = "a/el"
format = "json"
value = "/v"
time = "/t"
time_format = "ms"
kind = "interval"
interval = "15m"
unit = "kWh"
category = "purchased-electricity"
[meters.b-power]
facility = "b"
topic = "b/power"
format = "json"
value = "/v"
time = "/t"
time_format = "ms"
kind = "rate"
unit = "kW"
expected_every = "2m"
category = "purchased-electricity"
[meters.c-stack]
facility = "c"
topic = "c/stack"
format = "json"
value = "/v"
time = "/t"
time_format = "ms"
kind = "interval"
interval = "1h"
stamp = "start"
unit = "t"
category = "cems-co2"
[meters.c-oil]
facility = "c"
topic = "c/oil"
format = "json"
value = "/v"
time = "/t"
time_format = "ms"
kind = "event"
unit = "L"
category = "stationary-combustion"
factor = "ipcc06_diesel"
heat_content = "43 GJ/t"
density = "0.84 kg/L"
biomass_share = "7 %"
basis = "LHV"
"#;

const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;

/// What reports by the quarter-hour, and what hangs together.
fn by_quarters(random: &mut Rng, start: i64, add: &mut impl FnMut(&mut Rng, i64, &'static str, i64)) {
    let mut shared = 0;
    for quarter in 1..120 {
        let end = start + quarter * 15 * MINUTE;
        let (energy, wind, sub) = (random.i64(0..500_000), random.i64(0..900_000), random.i64(0..90_000));
        for (topic, milli) in [("a/el", energy), ("a/wind", wind), ("b/sub", sub)] {
            if random.u8(0..8) > 0 {
                add(random, end, topic, milli);
            }
        }
        shared += random.i64(0..300_000);
        let (heat, steam, hhv) = (random.i64(0..900_000), random.i64(0..400_000), random.i64(35_000..42_000));
        if random.u8(0..3) == 0 {
            let shift = random.i64(0..10 * MINUTE);
            add(random, end + shift, "ab/el", shared);
            add(random, end, "a/heat", heat);
            add(random, end + 15 * MINUTE, "b/steam", steam);
        }
        if random.u8(0..6) == 0 {
            let shift = random.i64(0..10 * MINUTE);
            add(random, end + shift, "a/hhv", hhv);
        }
    }
}

/// A scenario: messages in order of receipt, over two days around a change to winter time.
pub fn messages(random: &mut Rng) -> Vec<Message> {
    let start = Time::parse_rfc3339("2026-10-24T20:00:00Z").unwrap().0;
    let mut sent: Vec<(i64, &str, i64, i64)> = Vec::new();
    let mut register = random.i64(90_000..99_000) * 1_000;
    let mut low = 0;
    let mut add = |random: &mut Rng, time: i64, topic: &'static str, milli: i64| {
        // Most arrive at once, some hours late, some twice.
        let delay = match random.u8(0..10) {
            0 => random.i64(0..20 * HOUR),
            1 => random.i64(0..30 * MINUTE),
            _ => random.i64(0..2_000),
        };
        sent.push((time + delay, topic, time, milli));
        if random.u8(0..10) == 0 {
            sent.push((time + delay + random.i64(0..HOUR), topic, time, milli));
        }
    };
    let mut time = start;
    while time < start + 30 * HOUR {
        time += MINUTE * random.i64(1..4);
        if random.u8(0..40) == 0 {
            time += random.i64(0..5) * HOUR;
        }
        register += random.i64(0..40_000);
        let wrapped = register % 100_000_000;
        if low == 0 && random.u8(0..100) == 0 {
            low = random.u8(5..60);
        }
        let shown = match random.u8(0..30) {
            // For hours it shows too little, and no rule tells why.
            _ if low > 0 => {
                low -= 1;
                wrapped / 10 * 7
            }
            0 => wrapped - random.i64(0..500).min(wrapped),
            1 => wrapped + random.i64(0..90_000_000),
            2 => {
                register = 0;
                0
            }
            _ => wrapped,
        };
        add(random, time, "a/gas", shown);
        let (shift, power, oil) = (random.i64(0..MINUTE), random.i64(0..5_000_000), random.i64(0..900_000));
        add(random, time + shift, "b/power", power);
        if random.u8(0..10) == 0 {
            add(random, time, "c/oil", oil);
        }
    }
    by_quarters(random, start, &mut add);
    for hour in 0..30 {
        let mass = random.i64(0..90_000);
        add(random, start + hour * HOUR, "c/stack", mass);
    }
    sent.sort();
    let message = |(received, topic, time, milli): (i64, &str, i64, i64)| Message {
        received: Time(received),
        topic: topic.to_owned(),
        payload: format!(r#"{{"t":{time},"v":{}.{:03}}}"#, milli / 1_000, milli % 1_000).into_bytes().into(),
        retain: false,
        dup: false,
        oversize: false,
    };
    sent.into_iter().map(message).collect()
}

fn key(plan: &Plan, entry: &Entry) -> (String, String, String, String) {
    let entity = entry.key.entity;
    let id = plan.rules.topology.id(entity).to_string();
    (entity.level().name().to_owned(), id, entry.key.window.name().to_owned(), entry.key.start.to_string())
}

/// Entries as printed, by level, id, window and start.
pub type Books4 = BTreeMap<(String, String, String, String), String>;

fn show(plan: &Plan, entries: impl IntoIterator<Item = Entry>) -> Books4 {
    let entries = entries.into_iter().filter(|entry| !entry.tally.is_empty());
    let text =
        |entry: &Entry| emissiond::format::entry_json(&Entry { revision: 1, ..entry.clone() }, &plan.rules.topology);
    entries.map(|entry| (key(plan, &entry), text(&entry))).collect()
}

/// What a plain replay of the messages gives, without a store.
pub fn offline(plan: &Plan, messages: &[Message]) -> (Books4, Counters) {
    let mut pipeline = Pipeline::offline(Arc::clone(&plan.rules));
    let mut effects = Vec::new();
    for message in messages {
        let decoded = pipeline.decode(message);
        pipeline.apply(Event::Message { received: message.received, decoded, counted: true }, &mut effects);
    }
    pipeline.apply(Event::Tick(Time::MAX), &mut effects);
    assert!(pipeline.refresh().is_empty());
    let mut entries = pipeline.open_entries(|_, _| true);
    for (ix, _) in (0u32..).zip(&plan.rules.topology.meters) {
        let amounts =
            Amounts::collect(&plan.rules, MeterIx(ix), |ix| Ok::<_, ()>(pipeline.open_activities(ix))).unwrap();
        for window in Window::ALL {
            entries.extend(meter_entries(&plan.rules, MeterIx(ix), window, &amounts, Over::ALL));
        }
    }
    (show(plan, entries), pipeline.counters().clone())
}

/// What is stored may change, but never under an older or the same revision.
#[derive(Default)]
struct Revisions(BTreeMap<(Entity, Window, Time), (u32, i128)>);

impl Revisions {
    fn compare(&mut self, plan: &Plan, state: &std::path::Path, books: &Books) {
        let topology = &plan.rules.topology;
        let reader = Reader::open(state, Arc::clone(books.ledger.names()), Arc::clone(topology)).unwrap();
        for entity in topology.entities() {
            for window in Window::ALL {
                for closed in reader.entries(entity, window, (Time::MIN, Time::MAX)).unwrap() {
                    let now = (closed.revision, closed.balance.own.mg(emissiond::emission::Column::Scope1));
                    let before = self.0.insert((entity, window, closed.key.start), now).unwrap_or_default();
                    let raised = now.0 > before.0 || now == before;
                    assert!(raised, "{entity:?} {window} {}: {before:?}, then {now:?}", closed.key.start);
                }
            }
        }
    }
}

/// Blocks of random size, ticks every minute, seals at random, and the process killed at random.
fn online(plan: &Plan, messages: &[Message], random: &mut Rng) -> (Books4, Counters) {
    let state = tempfile::tempdir().unwrap();
    let mut clock = messages[0].received.0;
    let mut books = Books::open(state.path(), plan, Time(clock)).unwrap();
    let mut waiting = messages.iter().cloned().peekable();
    let mut revisions = Revisions::default();
    while waiting.peek().is_some() {
        clock += MINUTE;
        let mut block = Vec::new();
        while let Some(message) = waiting.next_if(|m| m.received.0 <= clock) {
            block.push(message);
            if random.u8(0..4) == 0 {
                books.commit(&mut block, Time(clock)).unwrap();
                books.apply(&block).unwrap();
                block.clear();
            }
        }
        if !block.is_empty() {
            books.commit(&mut block, Time(clock)).unwrap();
            // Killed between the commit and its application: the journal has it.
            if random.u8(0..60) > 0 {
                books.apply(&block).unwrap();
            } else {
                drop(books);
                books = Books::open(state.path(), plan, Time(clock)).unwrap();
            }
        }
        if books.tick(Time(clock)).unwrap() || random.u8(0..30) == 0 {
            books.seal().unwrap();
        }
        match random.u16(0..400) {
            0 => {
                revisions.compare(plan, state.path(), &books);
                drop(books);
                books = Books::open(state.path(), plan, Time(clock)).unwrap();
            }
            1 => books.refresh().unwrap(),
            _ => {}
        }
    }
    revisions.compare(plan, state.path(), &books);
    close(plan, state.path(), books, Time(clock))
}

/// Closes everything that is open at `now`, and reads it all back.
pub fn close(plan: &Plan, state: &std::path::Path, mut books: Books, now: Time) -> (Books4, Counters) {
    books.tick(now.plus(Span::days(800))).unwrap();
    books.seal().unwrap();
    let counters = books.pipeline.counters().clone();
    let topology = Arc::clone(&plan.rules.topology);
    let reader = Reader::open(state, Arc::clone(books.ledger.names()), topology).unwrap();
    let mut entries = Vec::new();
    for entity in plan.rules.topology.entities() {
        for window in Window::ALL {
            let closed = reader.entries(entity, window, (Time::MIN, Time::MAX)).unwrap();
            entries.extend(
                closed
                    .into_iter()
                    .map(|c| Entry::new(c.key, c.balance.own, c.revision, &plan.rules.topology, Time::MAX)),
            );
        }
    }
    for (ix, _) in (0u32..).zip(&plan.rules.topology.meters) {
        let all = (Quarter(i32::MIN), Quarter(i32::MAX));
        let amounts = Amounts::collect(&plan.rules, MeterIx(ix), |ix| reader.activities(ix, all)).unwrap();
        for window in Window::ALL {
            entries.extend(meter_entries(&plan.rules, MeterIx(ix), window, &amounts, Over::ALL));
        }
    }
    assert!(entries.iter().all(|e| e.revision >= 1 || matches!(e.key.entity, Entity::Meter(_))));
    (show(plan, entries), counters)
}

fn check_seed(plan: &Plan, seed: u64) {
    let mut random = Rng::with_seed(seed);
    let in_order = messages(&mut random);
    let (expected, counted) = offline(plan, &in_order);
    let mut shuffled = in_order.clone();
    random.shuffle(&mut shuffled);
    let (other_order, _) = offline(plan, &shuffled);
    assert!(expected == other_order, "seed {seed}: another order of arrival, another ledger");
    let (stored, counters) = online(plan, &in_order, &mut random);
    // Meters first: a difference there explains those above.
    let (meters, above): (Vec<_>, Vec<_>) = expected.iter().partition(|(key, _)| key.0 == "meter");
    for (key, text) in meters.into_iter().chain(above) {
        assert_eq!(stored.get(key), Some(text), "seed {seed}: {key:?}");
    }
    let extra: Vec<_> = stored.keys().filter(|key| !expected.contains_key(*key)).collect();
    assert!(extra.is_empty(), "seed {seed}: entries that no replay gives: {extra:?}");
    assert_eq!(counters, counted, "seed {seed}: counts");
    assert_eq!(counters.messages.received, counters.messages.sum());
}

/// `EMISSIOND_EQUIVALENCE=from..to` runs others.
#[test]
fn any_order_any_seal_any_kill_gives_the_same_ledger() {
    let files = Files::new(&[("c.toml", CONFIG)]);
    let plan = check(Some(&files.path("c.toml"))).map_err(|report| report.to_text()).unwrap();
    let seeds = std::env::var("EMISSIOND_EQUIVALENCE").unwrap_or_else(|_| "0..25".to_owned());
    let (from, to) = seeds.split_once("..").unwrap();
    for seed in from.parse().unwrap()..to.parse::<u64>().unwrap() {
        check_seed(&plan, seed);
    }
}

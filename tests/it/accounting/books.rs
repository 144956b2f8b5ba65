//! The books of random networks add up: members to their cluster, clusters to their network, short windows to long ones,
//! categories to scopes; in whatever order the messages come, and however often.

use std::collections::{BTreeMap, BTreeSet};

use emissiond::quantity::Time;
use fastrand::Rng;
use serde_json::Value;

use super::world::World;
use crate::harness::{number, replay};

const COLUMNS: [&str; 15] = [
    "scope1",
    "scope2_location",
    "scope2_market",
    "biogenic_co2",
    "captured_co2",
    "transferred_co2",
    "co2",
    "ch4",
    "n2o",
    "hfc_co2e",
    "pfc_co2e",
    "sf6_co2e",
    "nf3_co2e",
    "eliminated_location",
    "eliminated_market",
];
/// Scope 2, and what of it an entry leaves out.
const ELIMINATED: [(usize, usize); 2] = [(1, 13), (2, 14)];
const ADDED: usize = 13;
const WINDOWS: [&str; 6] = ["1m", "15m", "1h", "1d", "1mo", "1y"];
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

type Masses = [i128; COLUMNS.len()];
/// The masses of an entity in one window, by start.
type Series = BTreeMap<i64, Masses>;

/// All entries of a replay.
struct Books {
    series: BTreeMap<(String, String, String), Series>,
    empty: Series,
}

fn add(sum: &mut Masses, more: &Masses) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

/// Without what is eliminated.
fn net(mut gross: Masses, own: &Masses) -> Masses {
    for (scope2, eliminated) in ELIMINATED {
        gross[scope2] -= own[eliminated];
    }
    gross
}

impl Books {
    fn parse(lines: &[String]) -> Books {
        let mut books = Books { series: BTreeMap::new(), empty: Series::new() };
        for line in lines.iter().filter(|line| !line.contains("\"summary\"")) {
            let value: Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| value[key].as_str().unwrap().to_owned();
            let masses = COLUMNS.map(|column| i128::from(value[format!("{column}_mg")].as_i64().unwrap()));
            let categories = value["by_category"].as_object().unwrap().values();
            let sum: i128 = categories.map(|mg| i128::from(mg.as_i64().unwrap())).sum();
            assert_eq!(sum, masses[0] + masses[1], "categories: {line}");
            let coverage = value["coverage"].as_f64();
            assert!(coverage.is_none_or(|coverage| (0.0..=1.0).contains(&coverage)), "coverage: {line}");
            let start = Time::parse_rfc3339(&text("start")).unwrap().0;
            let key = (text("level"), text("entity"), text("window"));
            books.series.entry(key).or_default().insert(start, masses);
        }
        books
    }

    fn of(&self, level: &str, entity: &str, window: &str) -> &Series {
        self.series.get(&(level.to_owned(), entity.to_owned(), window.to_owned())).unwrap_or(&self.empty)
    }

    /// The sum of those of a level whose name begins so.
    fn sum(&self, level: &str, prefix: &str, window: &str) -> Series {
        let mut sum = Series::new();
        let mine = self.series.iter().filter(|((l, e, w), _)| l == level && w == window && e.starts_with(prefix));
        for (start, masses) in mine.flat_map(|(_, series)| series) {
            add(sum.entry(*start).or_default(), masses);
        }
        sum
    }
}

fn total(series: &Series) -> Masses {
    let mut sum = Masses::default();
    series.values().for_each(|masses| add(&mut sum, masses));
    sum
}

/// Whether a sum of members, less what the entity leaves out, is the entity.
#[track_caller]
fn check_sum(members: &Series, entity: &Series, what: &str) {
    let starts: BTreeSet<i64> = members.keys().chain(entity.keys()).copied().collect();
    for start in starts {
        let get = |series: &Series| series.get(&start).copied().unwrap_or_default();
        let (gross, own) = (get(members), get(entity));
        let expected = net(gross, &own);
        for column in 0..ADDED {
            let name = COLUMNS[column];
            assert_eq!(expected[column], own[column], "{what} {name} at {}", Time(start));
        }
    }
}

fn check_clusters(world: &World, books: &Books) {
    for cluster in 0..world.zones.len() {
        for window in WINDOWS {
            let (id, prefix) = (format!("c{cluster}"), format!("c{cluster}-"));
            let facilities = books.sum("facility", &prefix, window);
            check_sum(&facilities, books.of("cluster", &id, window), &format!("cluster {id} {window}"));
            let eliminated = facilities.values().all(|masses| masses[ADDED..] == [0, 0]);
            assert!(eliminated, "a facility of {id} eliminates in {window}");
        }
    }
}

/// What is metered is booked once, in whatever facilities.
fn check_meters(books: &Books) {
    for window in ["1m", "15m"] {
        check_sum(&books.sum("meter", "", window), &books.sum("facility", "", window), "meters");
    }
}

fn check_network(world: &World, books: &Books) {
    let members: Vec<String> = (0..world.zones.len()).filter(|c| world.members[*c]).map(|c| format!("c{c}")).collect();
    for window in ["1m", "15m", "1d", "1mo", "1y"] {
        let mut sum = Series::new();
        for (start, masses) in members.iter().flat_map(|id| books.of("cluster", id, window)) {
            // The local date of each period; no zone here is more than twelve hours off.
            let date = if window.ends_with('m') { *start } else { (start + DAY / 2).div_euclid(DAY) * DAY };
            add(sum.entry(date).or_default(), masses);
        }
        check_sum(&sum, books.of("network", "n", window), &format!("network {window}"));
    }
    let mut hours = Series::new();
    for (start, masses) in books.of("network", "n", "15m") {
        add(hours.entry(start.div_euclid(HOUR) * HOUR).or_default(), masses);
    }
    assert_eq!(&hours, books.of("network", "n", "1h"), "network 1h");
    let quarters = total(&hours);
    for window in ["1d", "1mo", "1y"] {
        assert_eq!(total(books.of("network", "n", window)), quarters, "network {window}");
    }
}

/// What a member made and another bought, and nothing else, is eliminated at the lowest level that holds both.
fn check_eliminated(world: &World, books: &Books) {
    let bought = |inside: &dyn Fn(usize, usize) -> bool| {
        let mut sum = Series::new();
        let mine = world.purchases.iter().filter(|purchase| inside(purchase.buyer, purchase.maker));
        for (start, masses) in mine.flat_map(|purchase| books.of("meter", &purchase.meter, "15m")) {
            add(sum.entry(*start).or_default(), masses);
        }
        sum
    };
    for cluster in 0..world.zones.len() {
        let inside = bought(&|buyer, maker| (buyer, maker) == (cluster, cluster));
        check_purchases(&inside, books.of("cluster", &format!("c{cluster}"), "15m"), &format!("c{cluster}"));
    }
    let inside = bought(&|buyer, maker| buyer != maker && world.members[buyer] && world.members[maker]);
    check_purchases(&inside, books.of("network", "n", "15m"), "network");
}

/// Market-based, what was made under certificates that are sold stays.
#[track_caller]
fn check_purchases(bought: &Series, entity: &Series, what: &str) {
    for (start, own) in entity {
        let bought = bought.get(start).copied().unwrap_or_default();
        assert_eq!(bought[1], own[13], "{what} eliminates at {}", Time(*start));
        assert!((0..=bought[2]).contains(&own[14]), "{what} eliminates at {}", Time(*start));
    }
    assert!(bought.keys().all(|start| entity.contains_key(start)), "{what}");
}

/// Each short window is in the last long one that begins before it, and those are the sums.
fn check_windows(books: &Books) {
    for ((level, entity, window), series) in &books.series {
        let at = WINDOWS.iter().position(|known| known == window).unwrap();
        // What is only known by the quarter has no minutes.
        if at < 2 || level == "network" {
            continue;
        }
        let mut sums: Series = series.keys().map(|start| (*start, Masses::default())).collect();
        let longest = [HOUR, 25 * HOUR, 32 * DAY, 367 * DAY][at - 2];
        for (start, masses) in books.of(level, entity, WINDOWS[at - 1]) {
            let (from, sum) = sums.range_mut(..=start).next_back().unwrap();
            assert!(start - from < longest, "{level} {entity} {window}: {} is in none", Time(*start));
            add(sum, masses);
        }
        assert_eq!(&sums, series, "{level} {entity} {window}");
    }
}

/// Days begin at midnight: summer and winter, in minutes of UTC.
fn check_midnights(world: &World, books: &Books) {
    for (cluster, zone) in world.zones.iter().enumerate() {
        let midnights: [i64; 2] = match *zone {
            "Europe/Paris" => [22 * 60, 23 * 60],
            "America/Chicago" => [5 * 60, 6 * 60],
            "Asia/Kolkata" => [18 * 60 + 30; 2],
            "Asia/Kathmandu" => [18 * 60 + 15; 2],
            _ => [0; 2],
        };
        for window in ["1d", "1mo", "1y"] {
            for start in books.of("cluster", &format!("c{cluster}"), window).keys() {
                let minute = start.rem_euclid(DAY) / 60_000;
                assert!(midnights.contains(&minute), "{zone} {window} {}", Time(*start));
            }
        }
    }
}

/// All but the summary.
fn entries(world: &World, lines: &[String]) -> Vec<String> {
    let mut found = replay(&world.files(lines), "c.toml", "m.jsonl");
    assert!(found.pop().unwrap().contains("\"summary\""));
    found
}

/// The books are a function of the messages and not of their order or number.
fn check_order(world: &World, plain: &[String], seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut lines = world.lines();
    let (twice, what) = if rng.bool() { (lines.clone(), "twice") } else { (Vec::new(), "in another order") };
    lines.extend(twice);
    rng.shuffle(&mut lines);
    check_same(plain, &entries(world, &lines), what);
}

fn check_same(plain: &[String], other: &[String], what: &str) {
    for (line, other) in plain.iter().zip(other) {
        assert_eq!(line, other, "{what}");
    }
    assert_eq!(plain.len(), other.len(), "{what}");
}

#[test]
fn random_books_add_up() {
    let mut seen = Masses::default();
    for seed in 0..number("EMISSIOND_BOOKS", 40) {
        println!("network {seed}");
        let world = World::new(seed);
        let plain = entries(&world, &world.lines());
        let books = Books::parse(&plain);
        check_clusters(&world, &books);
        check_meters(&books);
        check_network(&world, &books);
        check_eliminated(&world, &books);
        check_windows(&books);
        check_midnights(&world, &books);
        check_order(&world, &plain, seed);
        let mine = total(books.of("network", "n", "1y"));
        seen.iter_mut().zip(mine).for_each(|(seen, mg)| *seen += i128::from(mg != 0));
    }
    // Every column but that of NF3 has something in it, and so has every elimination.
    println!("{seen:?}");
    let nothing: Vec<&str> =
        COLUMNS.into_iter().zip(seen).filter(|(_, seen)| *seen == 0).map(|(name, _)| name).collect();
    assert_eq!(nothing, ["nf3_co2e"]);
}

//! A database that is away, slow, or answers anything, on a clock that runs as fast as it can: the real books and the real
//! writer, a model of the database. Whatever it answered, in the end it holds what the ledger holds, to the last field.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use emissiond::config::{Plan, check};
use emissiond::daemon::{Books, open_view};
use emissiond::decode::Message;
use emissiond::format::entry_line;
use emissiond::http::{Asked, EntriesQuery, collect};
use emissiond::influx::{Database, Health, QueryError, Sink, World, WriteError};
use emissiond::quantity::{Span, Time};
use emissiond::store::Reader;
use fastrand::Rng;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::harness::{Files, number};

const MINUTE: i64 = 60_000;
/// A refused or unanswered request takes as long as the writer is ready to wait.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The night in which Paris loses an hour.
const BEGIN: &str = "2026-03-28T20:00:00Z";

thread_local! {
    static STARTED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Each test has its thread, and its own time.
fn now() -> Time {
    let started = STARTED.get().unwrap();
    let elapsed = i64::try_from(started.elapsed().as_millis()).unwrap();
    Time::parse_rfc3339(BEGIN).unwrap().plus(Span(elapsed))
}

// ---- the database ------------------------------------------------------------------------------------------------

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Troubled,
    Away,
}

/// By series and second; the fields.
type Points = BTreeMap<(String, String), String>;

struct Model {
    points: Points,
    /// Taken, and carried out only then.
    coming: Vec<(Instant, String)>,
    mood: Mood,
    random: Rng,
    requests: usize,
    /// Requests with such a line get no answer, and are carried out so many seconds later.
    delayed: Vec<(String, u64)>,
    /// Requests with such a line are put off until then.
    put_off: Option<(String, Instant)>,
}

#[derive(Clone)]
struct Db(Arc<Mutex<Model>>);

impl Db {
    fn new(seed: u64) -> Db {
        let model = Model {
            points: Points::new(),
            coming: Vec::new(),
            mood: Mood::Well,
            random: Rng::with_seed(seed),
            requests: 0,
            delayed: Vec::new(),
            put_off: None,
        };
        Db(Arc::new(Mutex::new(model)))
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        let mut model = self.0.lock().unwrap();
        model.land();
        model
    }
}

impl Model {
    fn land(&mut self) {
        self.coming.sort_by_key(|(at, _)| *at);
        while self.coming.first().is_some_and(|(at, _)| *at <= Instant::now()) {
            let (_, lines) = self.coming.remove(0);
            lines.lines().for_each(|line| self.store(line));
        }
    }

    fn store(&mut self, line: &str) {
        let [head, fields, second] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        self.points.insert((head.to_owned(), second.to_owned()), fields.to_owned());
    }

    fn store_some(&mut self, lines: &str, one_of: u8) {
        for line in lines.lines() {
            if self.random.u8(0..one_of) == 0 {
                self.store(line);
            }
        }
    }

    /// `None`: there will be no answer.
    fn answer(&mut self, lines: &str) -> Option<Result<(), WriteError>> {
        self.requests += 1;
        let later = |text: &str, seconds: Option<u64>| {
            let after = seconds.map(Duration::from_secs);
            Some(Err(WriteError::Later { trouble: text.to_owned(), after, in_doubt: false }))
        };
        if self.mood == Mood::Away {
            return later("connection refused", None);
        }
        let has = |mark: &str| lines.lines().any(|line| is_closed_line(line, mark));
        if let Some(at) = self.delayed.iter().position(|(mark, _)| has(mark)) {
            let (_, seconds) = self.delayed.remove(at);
            self.coming.push((Instant::now() + Duration::from_secs(seconds), lines.to_owned()));
            return None;
        }
        if self.put_off.as_ref().is_some_and(|(mark, until)| Instant::now() < *until && has(mark)) {
            return later("503", Some(5));
        }
        // As long as there is trouble, one facility's lines are of a wrong type, and reject the whole request.
        let troubled = self.mood == Mood::Troubled;
        if troubled && lines.contains("facility=f0,level=facility,window=1h") {
            return Some(Err(WriteError::Split("400: field type conflict".to_owned())));
        }
        match self.random.u8(0..if troubled { 20 } else { 1 }) {
            1 => {
                self.store_some(lines, 1);
                None
            }
            2 => {
                let at = Instant::now() + Duration::from_secs(self.random.u64(0..59));
                self.coming.push((at, lines.to_owned()));
                None
            }
            3 => None,
            4 => {
                self.store_some(lines, 2);
                Some(Err(WriteError::Split("422: partial write".to_owned())))
            }
            5 => Some(Err(WriteError::Split("413".to_owned()))),
            6 => Some(Err(WriteError::Broken("500".to_owned()))),
            7 => {
                self.store_some(lines, 1);
                Some(Err(WriteError::Broken("500 after all".to_owned())))
            }
            8 => later("503", self.random.bool().then_some(7)),
            9 => later("429", Some(20)),
            10 => later("401", None),
            _ => {
                self.store_some(lines, 1);
                Some(Ok(()))
            }
        }
    }

    /// What the one question about entries asks for.
    fn emissions(&self, flux: &str) -> String {
        let tag = |name: &str| {
            let value = flux.split(&format!("r.{name} == \"")).nth(1).unwrap();
            format!("{name}={}", value.split('"').next().unwrap())
        };
        let wanted = [tag("level"), tag("window")];
        let mut text = String::new();
        for ((head, second), fields) in &self.points {
            let tags: Vec<&str> = head.split(',').skip(1).collect();
            if wanted.iter().all(|tag| tags.contains(&tag.as_str())) {
                let pairs = || tags.iter().copied().chain(fields.split(',')).filter_map(|pair| pair.split_once('='));
                let names: String = pairs().map(|(name, _)| format!(",{name}")).collect();
                let values: String = pairs().map(|(_, value)| format!(",{}", value.trim_end_matches('i'))).collect();
                let time = Time(second.parse::<i64>().unwrap() * 1_000);
                text.push_str(&format!(",result,table,_time{names}\n,_result,0,{time}{values}\n"));
            }
        }
        text
    }

    fn marks(&self) -> String {
        let mut text = ",result,table,_time,changed,sealed_ms\n".to_owned();
        for ((head, second), fields) in self.points.iter().filter(|((head, _), _)| head.starts_with("ledger,")) {
            let values: Vec<&str> = fields.split(',').map(|f| f.split(['=', 'i']).nth(1).unwrap()).collect();
            assert!(head.starts_with("ledger,incarnation="));
            text.push_str(&format!(",_result,0,{second},{},{}\n", values[0], values[1]));
        }
        text
    }
}

/// `mark`: tags and second of an entry.
fn is_closed_line(line: &str, mark: &str) -> bool {
    let (tags, second) = mark.rsplit_once(' ').unwrap();
    line.contains(tags) && line.ends_with(&format!("revision=1i {second}"))
}

impl Database for Db {
    async fn write(&self, lines: &str) -> Result<(), WriteError> {
        let answer = self.model().answer(lines);
        match answer {
            Some(answer) => answer,
            None => {
                sleep(TIMEOUT).await;
                Err(WriteError::Later { trouble: "no answer".to_owned(), after: None, in_doubt: true })
            }
        }
    }

    async fn query(&self, flux: &str) -> Result<String, QueryError> {
        let mut model = self.model();
        let mood = model.mood;
        match mood {
            Mood::Away => Err(QueryError::Away("connection refused".to_owned())),
            Mood::Troubled if model.random.u8(0..4) == 0 => Err(QueryError::Away("503".to_owned())),
            _ if flux.contains("r._measurement == \"ledger\"") => Ok(model.marks()),
            _ => Ok(model.emissions(flux)),
        }
    }

    async fn retention_seconds(&self, _: &str) -> Result<Option<i64>, QueryError> {
        Ok(None)
    }
}

// ---- the daemon --------------------------------------------------------------------------------------------------

fn config(facilities: usize, meters: usize) -> String {
    let mut text = r#"
[influxdb]
url = "http://127.0.0.1:1"
org = "o"
bucket = "b"
[factors]
files = ["own.csv"]
[ledger]
late_horizon = "6h"
[networks.n]
[clusters.c]
timezone = "Europe/Paris"
network = "n"
grid = "own"
"#
    .to_owned();
    for f in 0..facilities {
        text.push_str(&format!("[facilities.f{f}]\ncluster = \"c\"\n"));
        for m in 0..meters {
            text.push_str(&format!(
                "[meters.f{f}m{m}]\nfacility = \"f{f}\"\ntopic = \"f{f}/m{m}\"\nformat = \"json\"\nvalue = \"/v\"\ntime = \"/t\"\n\
                 time_format = \"ms\"\nkind = \"rate\"\nunit = \"kW\"\nexpected_every = \"5m\"\n\
                 category = \"purchased-electricity\"\n"
            ));
        }
    }
    text
}

const OWN: &str = "id,series,use,gas,value,unit\nown,own,grid,CO2,0.4594,kg/kWh\n";

struct Site<'a> {
    plan: &'a Plan,
    disk: &'a Path,
    books: Arc<Mutex<Books>>,
    sink: JoinHandle<()>,
    health: Arc<Health>,
}

impl<'a> Site<'a> {
    fn start(plan: &'a Plan, disk: &'a Path, db: &Db) -> Site<'a> {
        let books = Arc::new(Mutex::new(Books::open(disk, plan, now()).unwrap()));
        let asked = Arc::clone(&books);
        let ask: emissiond::influx::AskOpen = Arc::new(move |windows, reply| {
            let _ = reply.send(asked.lock().unwrap().pipeline.open_entries(|_, window| windows.contains(&window)));
        });
        let incarnation = books.lock().unwrap().ledger.incarnation().unwrap();
        let reader = reader(plan, disk, &books);
        let world = World::open(disk, incarnation, reader, ask, now).unwrap();
        let health = Arc::clone(&world.health);
        let sink = Sink::over(db.clone(), plan.influx.clone().unwrap(), Arc::clone(&plan.rules), world).unwrap();
        Site { plan, disk, books, sink: tokio::spawn(sink.run()), health }
    }

    /// Killed, with whatever request was in flight, and started again.
    async fn kill(self, db: &Db) -> Site<'a> {
        let Site { plan, disk, books, sink, .. } = self;
        sink.abort();
        // An error says that it was aborted.
        let _ = sink.await;
        drop(books);
        Site::start(plan, disk, db)
    }

    /// What the meters sent, and what the desk does with it.
    fn receive(&self, readings: &[(usize, i64, i64)]) {
        let received = now();
        let message = |(meter, time, watts): &(usize, i64, i64)| Message {
            received,
            topic: self.plan.rules.topology.meters[*meter].id.as_str().replacen('m', "/m", 1),
            payload: format!(r#"{{"t":{time},"v":{}.{:03}}}"#, watts / 1_000, watts % 1_000).into_bytes().into(),
            retain: false,
            dup: false,
            oversize: false,
        };
        let mut messages: Vec<Message> = readings.iter().map(message).collect();
        let mut books = self.books.lock().unwrap();
        if !messages.is_empty() {
            books.commit(&mut messages, received).unwrap();
            books.apply(&messages).unwrap();
        }
        let closed = books.tick(received).unwrap();
        books.refresh().unwrap();
        if closed || books.pipeline.has_late_changes() {
            books.seal().unwrap();
        }
    }

    /// What is closed is stored, and the writer has had its turn.
    async fn seal(&self) {
        self.books.lock().unwrap().seal().unwrap();
        sleep(Duration::from_secs(20)).await;
    }

    /// For two hours, or until the database has all.
    async fn settle(&self) {
        for _ in 0..12 {
            sleep(Duration::from_secs(600)).await;
            self.receive(&[]);
            self.seal().await;
            if self.is_even() {
                break;
            }
        }
    }

    fn is_even(&self) -> bool {
        let view = self.health.view();
        view.behind == 0 && view.aside == 0
    }

    /// The lines of all that is closed.
    fn ledger(&self) -> Points {
        let mut points = Points::new();
        let books = self.books.lock().unwrap();
        let reader = Reader::open(self.disk, Arc::clone(books.ledger.names()), Arc::clone(&self.plan.rules.topology));
        let reader = reader.unwrap();
        for (level, windows) in &self.plan.influx.as_ref().unwrap().windows {
            for window in windows {
                let part = |text: &str| Some(text.to_owned());
                let (level, window) = (part(level.name()), part(window.name()));
                let query = EntriesQuery { level, window, ..EntriesQuery::default() };
                let asked = Asked::parse(&query, &self.plan.rules).unwrap();
                let open = open_view(&books.pipeline, &asked.entities, asked.window);
                for entry in
                    collect(&self.plan.rules, &reader, &asked, &open).unwrap().iter().filter(|e| e.revision > 0)
                {
                    let mut line = String::new();
                    entry_line(entry, &self.plan.rules.topology, &mut line).unwrap();
                    let [head, fields, second] = line.trim_end().split(' ').collect::<Vec<_>>()[..] else { panic!() };
                    points.insert((head.to_owned(), second.to_owned()), fields.to_owned());
                }
            }
        }
        points
    }
}

fn reader(plan: &Plan, disk: &Path, books: &Arc<Mutex<Books>>) -> Reader {
    let names = Arc::clone(books.lock().unwrap().ledger.names());
    Reader::open(disk, names, Arc::clone(&plan.rules.topology)).unwrap()
}

fn closed(points: &Points) -> Points {
    let is_closed = |(head, _): &(String, String), fields: &String| {
        head.starts_with("emissions,") && !fields.ends_with("revision=0i")
    };
    points.iter().filter(|(key, fields)| is_closed(key, fields)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

#[track_caller]
fn assert_even(site: &Site<'_>, db: &Db, what: &str) -> usize {
    let (expected, found) = (site.ledger(), closed(&db.model().points));
    for (key, fields) in &expected {
        assert_eq!(found.get(key), Some(fields), "{what}: {key:?}");
    }
    let strays: Vec<_> = found.keys().filter(|key| !expected.contains_key(*key)).collect();
    assert!(strays.is_empty(), "{what}: {strays:?}");
    assert_eq!(site.health.view().lost, [], "{what}: nothing was rolled back");
    expected.len()
}

fn disk() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn plan(facilities: usize, meters: usize) -> Plan {
    let files = Files::new(&[("c.toml", &config(facilities, meters)), ("own.csv", OWN)]);
    check(Some(&files.path("c.toml"))).map_err(|report| report.to_text()).unwrap()
}

/// A world in which only time passes when all wait for it.
fn in_fast_time<T>(seed: u64, work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        STARTED.set(Some(Instant::now()));
        // The pauses of the writer.
        fastrand::seed(seed);
        work.await
    })
}

/// What one seed did.
#[derive(Default)]
struct Done {
    points: usize,
    requests: usize,
    kills: usize,
}

async fn trouble(plan: &Plan, seed: u64) -> Done {
    let mut random = Rng::with_seed(seed);
    let (disk, db) = (disk(), Db::new(seed));
    let mut site = Site::start(plan, disk.path(), &db);
    let meters = plan.rules.topology.meters.len();
    let mut kills = 0;
    let begin = now().0;
    while now().0 < begin + 5 * 60 * MINUTE {
        sleep(Duration::from_millis(random.u64(1_000..300_000))).await;
        let mood = match random.u8(0..30) {
            0 => Mood::Away,
            1..4 => Mood::Well,
            4..8 => Mood::Troubled,
            _ => db.model().mood,
        };
        db.model().mood = mood;
        let mut readings = Vec::new();
        for meter in 0..meters {
            let late = if random.u8(0..15) == 0 { random.i64(0..300) * MINUTE } else { 0 };
            readings.push((meter, now().0 - late, random.i64(0..900_000)));
        }
        site.receive(&readings);
        if random.u8(0..20) == 0 {
            kills += 1;
            site = site.kill(&db).await;
        }
    }
    db.model().mood = Mood::Well;
    // What is in flight lands; what was set aside waits for up to an hour.
    site.settle().await;
    assert!(site.is_even(), "seed {seed}: {:?}", site.health.view());
    let points = assert_even(&site, &db, &format!("seed {seed}: EMISSIOND_SEED={seed} runs it again"));
    let requests = db.model().requests;
    Done { points, requests, kills }
}

/// `EMISSIOND_SEED` runs one seed, `EMISSIOND_OUTAGES` the first so many.
#[test]
fn whatever_a_database_answers_it_holds_the_ledger_in_the_end() {
    let plan = plan(2, 2);
    let only = std::env::var("EMISSIOND_SEED").ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = only.map_or(0..number("EMISSIOND_OUTAGES", 20), |seed| seed..seed + 1);
    let mut all = Done::default();
    for seed in seeds.clone() {
        let done = in_fast_time(seed, trouble(&plan, seed));
        all.points += done.points;
        all.requests += done.requests;
        all.kills += done.kills;
    }
    let Done { points, requests, kills } = all;
    println!(
        "{} seeds, {points} points, {requests} requests, {kills} kills: 0 points other than the ledger's",
        seeds.count()
    );
}

/// `EMISSIOND_OUTAGE` says how many facilities, of ten meters each.
#[test]
fn a_day_without_a_database_is_made_up_for_and_what_is_new_does_not_wait() {
    let facilities = number("EMISSIOND_OUTAGE", 4);
    let plan = plan(facilities, 10);
    in_fast_time(0, async {
        let (disk, db) = (disk(), Db::new(0));
        let site = Site::start(&plan, disk.path(), &db);
        let meters = plan.rules.topology.meters.len();
        let minute = |n: i64| {
            let watts = |meter: usize| (meter, now().0, 1_000 * (n % 50) + meter as i64);
            site.receive(&(0..meters).map(watts).collect::<Vec<_>>());
        };
        let mut behind = 0;
        for n in 0..26 * 60 {
            sleep(Duration::from_secs(60)).await;
            minute(n);
            match n {
                60 => db.model().mood = Mood::Away,
                1_500 => {
                    behind = site.health.view().behind;
                    db.model().mood = Mood::Well;
                    db.model().requests = 0;
                    break;
                }
                _ => {}
            }
        }
        let back = Instant::now();
        let newest = format!("{}", (now().0 - 7 * MINUTE) / MINUTE * 60);
        let has_newest =
            || db.model().points.keys().any(|(head, second)| head.contains("window=1m") && *second >= newest);
        let mut n = 1_501;
        let mut live_after = None;
        while !site.is_even() {
            sleep(Duration::from_secs(1)).await;
            if back.elapsed().as_secs().is_multiple_of(60) {
                minute(n);
                n += 1;
            }
            if live_after.is_none() && has_newest() {
                live_after = Some(back.elapsed());
            }
            assert!(back.elapsed() < Duration::from_secs(7_200), "{:?}", site.health.view());
        }
        let drained = back.elapsed();
        site.seal().await;
        let points = assert_even(&site, &db, "after the outage");
        let (live_after, requests) = (live_after.unwrap(), db.model().requests);
        println!(
            "24 h away, {meters} meters: {behind} records behind, {points} points; the newest after {} s, all after {} s, \
             {requests} requests",
            live_after.as_secs(),
            drained.as_secs()
        );
        // The pause after a failure is a minute at most.
        assert!(live_after < Duration::from_secs(90) && live_after <= drained);
        assert!(behind > 10_000, "{behind}");
    });
}

fn copy(from: &Path, to: &Path) {
    let command = format!("rm -rf {1}/* && cp -a {0}/. {1}/", from.display(), to.display());
    assert!(std::process::Command::new("sh").args(["-c", &command]).status().unwrap().success());
}

impl Site<'_> {
    async fn stop(self) {
        let Site { books, sink, .. } = self;
        sink.abort();
        let _ = sink.await;
        drop(books);
    }

    async fn minutes(&self, n: usize, send: bool) {
        for _ in 0..n {
            sleep(Duration::from_secs(60)).await;
            let readings: Vec<_> = (0..self.plan.rules.topology.meters.len()).map(|m| (m, now().0, 60_000)).collect();
            self.receive(if send { &readings } else { &[] });
        }
        self.seal().await;
    }
}

/// Two hours are lost with a state directory that is restored from a copy: the daemon stands still for `gap`, then the database
/// is away for a while, then `cursors.db` is lost. What the database had of these hours stands.
fn rolled_back(gap: Duration, away_minutes: usize, cursors_lost: bool) {
    let plan = plan(1, 2);
    in_fast_time(0, async {
        let (disk, older, db) = (disk(), disk(), Db::new(1));
        let site = Site::start(&plan, disk.path(), &db);
        site.minutes(97, true).await;
        site.stop().await;
        copy(disk.path(), older.path());
        let site = Site::start(&plan, disk.path(), &db);
        site.minutes(120, true).await;
        assert!(site.is_even());
        site.stop().await;
        let before = closed(&db.model().points);

        copy(older.path(), disk.path());
        sleep(gap).await;
        db.model().mood = if away_minutes > 0 { Mood::Away } else { Mood::Well };
        let mut site = Site::start(&plan, disk.path(), &db);
        site.minutes(away_minutes, false).await;
        db.model().mood = Mood::Well;
        site.minutes(30, false).await;
        assert_eq!(site.health.view().lost.len(), 1);
        if cursors_lost {
            site.stop().await;
            std::fs::remove_file(disk.path().join("cursors.db")).unwrap();
            site = Site::start(&plan, disk.path(), &db);
            site.minutes(30, false).await;
            assert_eq!(site.health.view().lost.len(), 1);
        }
        let after = closed(&db.model().points);
        for (key, fields) in &before {
            assert_eq!(after.get(key), Some(fields), "{key:?}");
        }
    });
}

#[test]
fn what_an_old_copy_lost_stands_in_the_database() {
    rolled_back(Duration::ZERO, 0, false);
}

#[test]
fn what_an_old_copy_lost_stands_though_it_is_restored_after_the_horizon() {
    rolled_back(Duration::from_secs(7 * 3_600), 0, false);
}

#[test]
fn what_an_old_copy_lost_stands_though_the_database_comes_late() {
    rolled_back(Duration::ZERO, 10, false);
}

#[test]
fn what_an_old_copy_lost_stands_though_the_cursors_are_lost() {
    rolled_back(Duration::ZERO, 0, true);
}

/// After an outage, with old and new on their way: a live request and an old one stay without an answer, and are carried out
/// when what they hold is restated.
#[test]
fn requests_in_doubt_of_the_new_and_the_old_are_both_repeated() {
    let plan = plan(4, 10);
    in_fast_time(0, async {
        let (disk, db) = (disk(), Db::new(0));
        let site = Site::start(&plan, disk.path(), &db);
        let meters = plan.rules.topology.meters.len();
        let all = || (0..meters).map(|m| (m, now().0, 60_000)).collect::<Vec<_>>();
        for n in 0..132 {
            sleep(Duration::from_secs(300)).await;
            site.receive(&all());
            if n == 12 {
                db.model().mood = Mood::Away;
            }
        }
        let quarter = |time: i64| time.div_euclid(15 * MINUTE) * 15 * MINUTE;
        let mark = |time: i64| format!("facility=f0,level=facility,network=n,window=15m {}", time / 1_000);
        let old = quarter(now().0) - 9 * 60 * MINUTE;
        db.model().put_off = Some((mark(old), Instant::now() + Duration::from_secs(4_000)));
        db.model().mood = Mood::Well;
        sleep(Duration::from_secs(120)).await;
        // The next quarter to close is live.
        let live = quarter(now().0 - 5 * MINUTE);
        while now().0 < live + 20 * MINUTE {
            sleep(Duration::from_secs(60)).await;
            db.model().delayed = vec![(mark(live), 85), (mark(old), 10)];
            site.receive(&all());
        }
        while db.model().delayed.len() > 1 {
            sleep(Duration::from_secs(1)).await;
        }
        sleep(Duration::from_secs(40)).await;
        site.receive(&[(0, live + 7 * MINUTE, 700_000)]);
        site.settle().await;
        assert!(site.is_even());
        assert_even(&site, &db, "doubts");
    });
}

//! Every parser of bytes from outside, as a function over any bytes. The corpus test and the fuzz targets share this file.

use std::hint::black_box;
use std::sync::{Arc, OnceLock};

use axum::http::Uri;
use emissiond::cli::read_message;
use emissiond::config::{Plan, load};
use emissiond::decode::{Births, Message, TimeFormat};
use emissiond::factor::Catalogue;
use emissiond::http::{Asked, EntriesQuery, read_query};
use emissiond::influx::{retry_after, shown};
use emissiond::mqtt::Server;
use emissiond::pipeline::{Event, Pipeline};
use emissiond::quantity::{Amount, Decimal, Id, Quarter, Ratio, Span, Time, Unit, Window, Zone};
use emissiond::simulate::{Column, Stamps, read_rows};
use emissiond::store::{Block, Poison, Progress, read_activity, read_balance, read_counters, read_held};
use peak_alloc::PeakAlloc;
use tempfile::TempDir;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// A parser, and how much memory it may hold.
pub struct Parser {
    /// Also the name of its fuzz target and of its folder of corpus items.
    pub name: &'static str,
    run: fn(&[u8]),
    /// Bytes for each byte of input,
    factor: usize,
    /// and bytes besides, whatever the input.
    constant: usize,
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What any parser may hold for each byte from a network or a disk.
const FACTOR: usize = 16;
/// A reading takes more bytes than its text; of readings there are only so many in a payload.
const READINGS: usize = 128;
/// What an operator writes becomes tables, of which a line as short as `a=1` takes hundreds of bytes; it is as long as the
/// operator makes it.
const OWN: usize = 192;
/// The same of lists: a row of a few letters has a meter, the place of each of its cells, and faults with their words.
const LIST: usize = 1_024;
/// Zstandard may unpack a byte to so many; what is made of those is `block`'s to bound.
const UNPACKED: usize = 1 << 15;

/// What any parser may hold besides: buffers, and messages of a few hundred letters.
const SMALL: usize = 16 * KIB;

/// All of them.
pub const ALL: &[Parser] = &[
    Parser { name: "payload", run: payload, factor: READINGS, constant: SMALL },
    Parser { name: "booking", run: booking, factor: 2 * READINGS, constant: 128 * KIB },
    Parser { name: "list", run: list, factor: LIST, constant: 2 * MIB },
    Parser { name: "replay", run: replay, factor: FACTOR, constant: SMALL },
    Parser { name: "words", run: words, factor: FACTOR, constant: SMALL },
    Parser { name: "query", run: query, factor: FACTOR, constant: 128 * KIB },
    Parser { name: "answer", run: answer, factor: FACTOR, constant: SMALL },
    Parser { name: "block", run: block, factor: FACTOR, constant: SMALL },
    Parser { name: "packed", run: packed, factor: UNPACKED, constant: SMALL },
    Parser { name: "row", run: row, factor: FACTOR, constant: SMALL },
    Parser { name: "notes", run: notes, factor: FACTOR, constant: SMALL },
    Parser { name: "table", run: table, factor: FACTOR, constant: SMALL },
    Parser { name: "factors", run: factors, factor: OWN, constant: SMALL },
    Parser { name: "config", run: config, factor: OWN, constant: 2 * MIB },
];

impl Parser {
    /// The parser of this name.
    pub fn named(name: &str) -> &'static Parser {
        ALL.iter().find(|parser| parser.name == name).expect("a fuzz target is named for a parser")
    }

    /// Runs it; returns the most bytes it held at once.
    pub fn peak(&self, input: &[u8]) -> usize {
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage();
        (self.run)(input);
        // The test harness frees what it holds at any moment.
        HEAP.peak_usage().saturating_sub(before)
    }

    /// Runs it; panics if it panics or holds too much.
    pub fn check(&self, input: &[u8]) {
        let (peak, allowed) = (self.peak(input), input.len() * self.factor + self.constant);
        assert!(
            peak <= allowed,
            "{} held {peak} bytes for an input of {}; {allowed} are allowed",
            self.name,
            input.len()
        );
    }
}

/// The plan of meters that read in every form there is.
fn plan() -> &'static Plan {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    PLAN.get_or_init(|| {
        let folder = folder(&[("meters.toml", include_bytes!("meters.toml"))]);
        let (plan, report) = load(Some(&folder.path().join("meters.toml")));
        plan.unwrap_or_else(|| panic!("{}", report.to_text()))
    })
}

/// Files in a folder that vanishes with the value.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).expect("a file in it");
    }
    folder
}

// ---- from the broker ---------------------------------------------------------------------------------------------

const RECEIVED: Time = Time(1_792_891_860_000);

/// One payload as each meter's topic may carry it.
fn messages(payload: &[u8]) -> impl Iterator<Item = Message> {
    // A gateway's births are on topics of their own.
    let topics = plan().mappings.iter().flat_map(|mapping| {
        let born = mapping.topic.replace("DATA", "BIRTH");
        let birth = (born != mapping.topic).then_some(born);
        birth.into_iter().chain([mapping.topic.clone()])
    });
    topics.map(|topic| Message {
        received: RECEIVED,
        topic,
        payload: payload.into(),
        retain: false,
        dup: false,
        oversize: false,
    })
}

fn payload(bytes: &[u8]) {
    let mut births = Births::default();
    messages(bytes).for_each(|message| {
        black_box(plan().rules.routes.decode(&message, &mut births));
    });
}

/// What can be decoded must also be booked, in windows of every length.
fn booking(bytes: &[u8]) {
    let mut pipeline = Pipeline::offline(Arc::clone(&plan().rules));
    let mut effects = Vec::new();
    for message in messages(bytes) {
        let decoded = pipeline.decode(&message);
        pipeline.apply(Event::Message { received: message.received, decoded, counted: true }, &mut effects);
    }
    pipeline.apply(Event::Tick(RECEIVED.plus(Span::days(1))), &mut effects);
    black_box(pipeline.refresh());
}

// ---- from the command line and its files -------------------------------------------------------------------------

fn replay(bytes: &[u8]) {
    if let Ok(line) = std::str::from_utf8(bytes) {
        let _ = black_box(read_message(line, 1 << 20));
    }
}

/// The words of configurations and arguments.
fn words(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Some(number) = Decimal::parse(text) {
        let ratio = Ratio::from_decimal(number);
        black_box((number.to_string(), ratio.and_then(|r| r.times(r)?.plus(r)?.over(r)?.of(i128::from(i64::MAX)))));
    }
    if let Some(time) = Time::parse_rfc3339(text) {
        Window::ALL.iter().for_each(|window| drop(black_box(Zone::UTC.start(*window, time).to_string())));
    }
    black_box((Span::parse(text).map(|span| span.to_string()), Window::parse(text), Id::parse(text)));
    let _ = black_box((Unit::parse(text).map_err(|problem| problem.to_string()), Amount::parse_property(text)));
    black_box(Amount::parse(text).map(Amount::to_base)).ok();
    black_box((Zone::parse(text), Zone::UTC.day_of_text(text), TimeFormat::parse(text)));
    let _ = black_box((Server::parse(text), Column::parse(text)));
}

fn table(bytes: &[u8]) {
    let stamps = Stamps {
        columns: vec!["date".to_owned()],
        form: "%d/%m/%Y %H:%M".to_owned(),
        zone: Zone::parse("Asia/Seoul").expect("a zone"),
        midnight_closes: true,
        key: "ts".to_owned(),
    };
    let columns = ["kwh=steel/el:/kwh", "t=steel/gas"].map(|text| Column::parse(text).expect("a column"));
    let _ = black_box(read_rows("table.csv", bytes, &stamps, &columns).map_err(|error| error.to_string()));
}

fn factors(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let mut catalogue = Catalogue::default();
        black_box(catalogue.add_csv(text));
    }
}

/// A list of meters.
fn list(bytes: &[u8]) {
    let config = b"registry.files = [\"meters.csv\"]\n";
    let folder = folder(&[("emissiond.toml", config), ("meters.csv", bytes)]);
    let (plan, report) = load(Some(&folder.path().join("emissiond.toml")));
    black_box((plan, report.to_text(), report.to_json()));
}

fn config(bytes: &[u8]) {
    let folder = folder(&[("emissiond.toml", bytes)]);
    let (plan, report) = load(Some(&folder.path().join("emissiond.toml")));
    black_box((plan, report.to_text(), report.to_json()));
}

// ---- from the network --------------------------------------------------------------------------------------------

fn query(bytes: &[u8]) {
    let uri = [b"/api/v1/entries?", bytes].concat();
    let Ok(uri) = Uri::try_from(uri) else {
        return;
    };
    if let Ok(asked) = read_query::<EntriesQuery>(&uri) {
        black_box(Asked::parse(&asked, &plan().rules).ok());
    }
}

/// What a database answers: the body of its refusal, and how long to wait.
fn answer(bytes: &[u8]) {
    black_box(shown(bytes));
    if let Ok(text) = std::str::from_utf8(bytes) {
        black_box(retry_after(text, RECEIVED));
    }
}

// ---- from the disk -----------------------------------------------------------------------------------------------

/// A block of the journal as it unpacks: its input is what was packed, of which it holds a multiple.
fn block(bytes: &[u8]) {
    let Ok(packed) = zstd::bulk::compress(bytes, 1) else {
        return;
    };
    let body = [&(bytes.len() as u64).to_le_bytes(), packed.as_slice()].concat();
    drop(packed);
    decode_block(&body);
}

/// A block of the journal as it lies on disk.
fn packed(bytes: &[u8]) {
    decode_block(bytes);
}

fn decode_block(body: &[u8]) {
    for kind in 0..4 {
        black_box(Block::decode([1, kind, i64::MAX], body));
        black_box(Block::decode([1, kind, 2], body));
    }
}

/// Columns of the ledger, and the text beside them.
fn row(bytes: &[u8]) {
    for quarter in [Quarter(i32::MIN), Quarter(0), Quarter(i32::MAX)] {
        black_box(read_held(quarter, bytes));
    }
    black_box(read_activity(bytes).map(|activity| activity.total()));
    black_box(read_balance(bytes).map(|mut balance| {
        let same = balance.clone();
        balance.merge(&same);
        balance
    }));
    if let Ok(text) = std::str::from_utf8(bytes) {
        black_box(read_counters(text));
    }
}

/// The small files beside the ledger.
fn notes(bytes: &[u8]) {
    let folder = folder(&[("poison", bytes), ("progress", bytes)]);
    black_box(Poison::open(folder.path()).expect("a list").holds(1, 1));
    black_box(Progress::open(folder.path()).expect("a position").position());
}

//! `emissiond replay`: messages from a file through the pipeline, the final ledger to standard output.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use clap::Args;
use serde::Deserialize;

use crate::alert::{Rule, turns};
use crate::cli::{FAILED, Failure, plan};
use crate::cluster::MeterIx;
use crate::decode::Message;
use crate::format::{entry_json, summary_json, turned_json};
use crate::ledger::Entry;
use crate::pipeline::{Amounts, Event, Over, Pipeline, meter_entries};
use crate::quantity::{Time, Window};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The configuration file
    #[arg(long, short, default_value = crate::cli::FILE)]
    config: PathBuf,
    /// JSON lines: {"received":"2026-01-01T00:00:05Z","topic":"a/b","payload":"..."}
    #[arg(long, short)]
    messages: PathBuf,
    /// The turns of the alarms instead of the entries
    #[arg(long)]
    alarms: bool,
}

/// One line of the messages file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    received: String,
    topic: String,
    payload: Option<String>,
    payload_base64: Option<String>,
    #[serde(default)]
    retain: bool,
    #[serde(default)]
    dup: bool,
    #[serde(default, rename = "qos")]
    _qos: u8,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let plan = plan(Some(&arguments.config))?;
    let mut pipeline = Pipeline::offline(Arc::clone(&plan.rules));
    let mut effects = Vec::new();
    each_message(&arguments.messages, plan.mqtt.max_packet, |message| {
        let decoded = pipeline.decode(&message);
        pipeline.apply(Event::Message { received: message.received, decoded, counted: true }, &mut effects);
        effects.clear();
    })?;
    let last = pipeline.now();
    pipeline.apply(Event::Tick(Time::MAX), &mut effects);
    let missing = pipeline.refresh();
    debug_assert!(missing.is_empty(), "an offline pipeline has nothing to load");
    if arguments.alarms { print_alarms(&pipeline, &plan.alarms, last) } else { print(&pipeline) }
}

fn print_alarms(pipeline: &Pipeline, rules: &[Rule], last: Time) -> Result<(), Failure> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for turned in turns(pipeline, rules, last) {
        writeln!(out, "{}", turned_json(&turned, &pipeline.rules().topology))?;
    }
    writeln!(out, "{}", summary_json(pipeline.counters()))?;
    Ok(out.flush()?)
}

/// Reads the file line by line. An error names the line.
pub(crate) fn each_message(path: &Path, max_packet: usize, mut each: impl FnMut(Message)) -> Result<(), Failure> {
    let open = File::open(path).map_err(|e| Failure::new(FAILED, format!("cannot read {}: {e}", path.display())))?;
    for (at, line) in BufReader::new(open).lines().enumerate() {
        let fail = |what: String| Failure::new(FAILED, format!("{}:{}: {what}", path.display(), at + 1));
        let text = line.map_err(|e| fail(e.to_string()))?;
        if text.trim().is_empty() {
            continue;
        }
        each(read_message(&text, max_packet).map_err(fail)?);
    }
    Ok(())
}

/// Reads one line of a messages file. An error says what is wrong with it.
pub fn read_message(line: &str, max_packet: usize) -> Result<Message, String> {
    let line: Line = serde_json::from_str(line).map_err(|e| e.to_string())?;
    line.message(max_packet)
}

impl Line {
    fn message(self, max_packet: usize) -> Result<Message, String> {
        let received = Time::parse_rfc3339(&self.received)
            .ok_or_else(|| format!("`received` is no RFC 3339 time: `{}`", self.received))?;
        let payload: Box<[u8]> = match (self.payload, self.payload_base64) {
            (Some(text), None) => text.into_bytes().into(),
            (None, Some(text)) => base64::engine::general_purpose::STANDARD
                .decode(&text)
                .map_err(|e| format!("`payload_base64` is not base64: {e}"))?
                .into(),
            _ => return Err("a message needs either `payload` or `payload_base64`".to_owned()),
        };
        let oversize = payload.len() > max_packet;
        Ok(Message { received, topic: self.topic, payload, retain: self.retain, dup: self.dup, oversize })
    }
}

fn print(pipeline: &Pipeline) -> Result<(), Failure> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let rules = pipeline.rules();
    for (at, _) in rules.topology.meters.iter().enumerate() {
        let ix = MeterIx(at as u32);
        let load = |ix| Ok::<_, Failure>(pipeline.open_activities(ix));
        let amounts = Amounts::collect(rules, ix, load)?;
        for window in Window::ALL {
            for entry in meter_entries(rules, ix, window, &amounts, Over::ALL) {
                print_entry(&mut out, pipeline, entry)?;
            }
        }
    }
    // The book is sorted by entity, and entities by level and id.
    for entry in pipeline.open_entries(|_, _| true) {
        if !entry.tally.is_empty() {
            print_entry(&mut out, pipeline, entry)?;
        }
    }
    writeln!(out, "{}", summary_json(pipeline.counters()))?;
    out.flush()?;
    Ok(())
}

/// A replay knows no history of revisions: everything is closed once.
fn print_entry(out: &mut impl Write, pipeline: &Pipeline, entry: Entry) -> Result<(), Failure> {
    let entry = Entry { revision: 1, ..entry };
    writeln!(out, "{}", entry_json(&entry, &pipeline.rules().topology))?;
    Ok(())
}

//! The keys of a meter about what is published: its topic, the format, and where in a payload the value, the time and the
//! quality stand.

use crate::cluster::Kind;
use crate::config::file_meter::HistorySection;
use crate::config::meter::MeterCheck;
use crate::config::preset::{FORMATS, presets};
use crate::config::value::{Names, Written};
use crate::decode::{
    Good, LineSelector, Mark, Notation, Path, Place, Registers, Source, TimeFormat, Word, gateway_filter,
};
use crate::quantity::Zone;

/// In a list of places of the time: the receipt.
const RECEIVED: &str = "received";
const TIME_FORMATS: &str =
    "ms, s, us, ns, rfc3339, auto, local:ZONE, local, a pattern such as \"%d.%m.%Y %H:%M:%S\", or none";

/// What is known of where readings come from.
pub(crate) struct Found {
    pub topic: String,
    pub source: Source,
    pub notation: Notation,
}

impl MeterCheck<'_> {
    /// Where its readings come from, and how they look.
    pub(crate) fn found(&mut self, kind: Option<Kind>, zone: Option<&Zone>) -> Option<Found> {
        let topic = self.topic();
        let source = self.source(kind, zone);
        let notation = self.notation();
        if matches!(source, Some(Source::Sparkplug { .. }))
            && topic.as_ref().is_some_and(|topic| gateway_filter(topic).is_none())
        {
            let message = "`topic` is no topic of a Sparkplug gateway; write spBv1.0/GROUP/DDATA/NODE/DEVICE, or \
                           spBv1.0/GROUP/NDATA/NODE for a metric of the node itself"
                .to_owned();
            self.error("C006", "topic", message);
        }
        Some(Found { topic: topic?, source: source?, notation: notation? })
    }

    fn topic(&mut self) -> Option<String> {
        let Some(topic) = &self.section.topic else {
            self.missing("topic", "the MQTT topic it publishes on");
            return None;
        };
        if topic.is_empty() || topic.len() > 65_535 || topic.contains(['#', '+', '\0']) {
            self.error(
                "C006",
                "topic",
                format!("`{topic}` is no topic to publish on: it may not be empty or hold `#` or `+`"),
            );
            return None;
        }
        Some(topic.clone())
    }

    fn source(&mut self, kind: Option<Kind>, zone: Option<&Zone>) -> Option<Source> {
        let Some(format) = self.section.format.as_deref() else {
            self.missing("format", "json, number, senml, sparkplug, influx-line, or a preset; see `emissiond formats`");
            return None;
        };
        let needs_time = matches!(kind, Some(Kind::Interval { .. }));
        self.preset_needs(format);
        match format {
            "number" => {
                self.only_json(&["value", "time", "time_format", "quality", "history", "sparse"]);
                if needs_time {
                    let message = "an interval meter needs the device's time, which format `number` cannot carry";
                    self.error("C006", "format", message.to_owned());
                }
                Some(Source::Number)
            }
            "senml" | "senml-sum" => {
                self.only_json(&["time", "time_format", "quality", "history", "sparse"]);
                let name = self.point("the record's name with its base name, such as \"urn:dev:ow:10e2073a:energy\"");
                Some(Source::Senml { name: name?, sum: format == "senml-sum" })
            }
            "sparkplug" => {
                self.only_json(&["time", "time_format", "quality", "history", "sparse"]);
                Some(Source::Sparkplug { metric: self.point("the metric's name, such as \"Gas/Volume\"")? })
            }
            "influx-line" => {
                self.only_json(&["time", "quality", "history", "sparse"]);
                self.line(zone)
            }
            name if name == "json" || presets().contains_key(name) => self.json(needs_time, zone),
            other => {
                let known: Vec<&str> = FORMATS.into_iter().chain(presets().keys().map(String::as_str)).collect();
                self.checker.not_one_of(&["meters", self.id, "format"], other, &known);
                None
            }
        }
    }

    /// Keys that only the meter can know.
    fn preset_needs(&mut self, format: &str) {
        let Some(preset) = presets().get(format) else {
            return;
        };
        for (key, help) in &preset.needs {
            let section = self.section;
            let written = match key.as_str() {
                "scale" => section.scale.is_some(),
                "uncertainty_pct" => section.uncertainty_pct.is_some(),
                _ => section.unit.is_some(),
            };
            if !written {
                self.missing(key, help);
            }
        }
        if let Some(point) = &preset.point
            && self.section.value.is_none()
        {
            self.missing("value", &format!("{point}; or a JSON Pointer"));
        }
    }

    /// Keys that point into JSON.
    fn only_json(&mut self, keys: &[&str]) {
        let section = self.section;
        let format = section.format.as_deref().unwrap_or("");
        let written = [
            ("value", section.value.is_some()),
            ("time", section.time.is_some()),
            ("time_format", section.time_format.as_ref().is_some_and(|text| text != "none")),
            ("quality", section.quality.is_some()),
            ("history", section.history.is_some()),
            ("sparse", section.sparse.is_some()),
        ];
        for (key, _) in written.into_iter().filter(|(key, written)| *written && keys.contains(key)) {
            self.error("C006", key, format!("`{key}` points into JSON, and the format is `{format}`; remove it"));
        }
    }

    /// The one thing that is meant in a format with named values.
    fn point(&mut self, help: &str) -> Option<String> {
        let Some(Names(names)) = &self.section.value else {
            self.missing("value", help);
            return None;
        };
        match names.as_slice() {
            [name] if !name.is_empty() => Some(name.clone()),
            _ => {
                self.error("C006", "value", format!("`value` must be one name: {help}"));
                None
            }
        }
    }

    fn line(&mut self, zone: Option<&Zone>) -> Option<Source> {
        let help = "a field such as \"value\", or measurement, tags and field: \"cpu,host=a value\"";
        let text = self.point(help)?;
        let time_format = match self.section.time_format.as_deref() {
            None => Some(TimeFormat::Nanoseconds),
            Some(text) => self.read_time_format("time_format", text, zone),
        };
        let selector = LineSelector::parse(&text, time_format?);
        if selector.is_none() {
            self.error("C006", "value", format!("`{text}` is no field of a line; write {help}"));
        }
        selector.map(Source::Line)
    }

    fn json(&mut self, needs_time: bool, zone: Option<&Zone>) -> Option<Source> {
        let section = self.section;
        if section.value.is_none() {
            self.missing("value", "a JSON Pointer such as \"/value\"");
        }
        if needs_time && section.time.is_none() {
            self.missing_for(
                "time",
                "kind",
                "an interval meter needs the device's time: a JSON Pointer such as \"/ts\"",
            );
        }
        let time_format = self.time_format(zone);
        let place = self.place(("value", section.value.as_ref()), section.time.as_ref(), time_format);
        let place = self.quality(place?);
        let mut places = vec![place?];
        for history in section.history.iter().flatten() {
            places.push(self.history(history, zone)?);
        }
        let selects = places.iter().flat_map(|place| &place.value).any(Path::selects);
        // Where elements of arrays are meant, or there is more than one place, a message need not have each of them.
        let sparse = section.sparse.unwrap_or(selects);
        let several = places.len() > 1;
        places.iter_mut().for_each(|place| place.sparse = sparse || several);
        if needs_time && places.iter().any(|place| place.or_received || place.time.is_empty()) {
            self.error("C006", "time", "an interval meter needs the device's time in every message".to_owned());
        }
        Some(Source::Json(places))
    }

    fn history(&mut self, history: &HistorySection, zone: Option<&Zone>) -> Option<Place> {
        if history.value.is_none() || history.time.is_none() {
            let message =
                "a `history` needs `value` and `time`, such as { value = \"/history/*/v\", time = \"/history/*/t\" }";
            self.error("C005", "history", message.to_owned());
        }
        let time_format = match &history.time_format {
            Some(text) => self.read_time_format("history", text, zone),
            None => self.time_format(zone),
        };
        self.place(("history", history.value.as_ref()), history.time.as_ref(), time_format)
    }

    fn place(
        &mut self,
        (key, value): (&str, Option<&Names>),
        time: Option<&Names>,
        time_format: Option<TimeFormat>,
    ) -> Option<Place> {
        let time_key = if key == "history" { "history" } else { "time" };
        let stamps: Vec<&String> = time.iter().flat_map(|names| &names.0).filter(|name| *name != RECEIVED).collect();
        let or_received = time.is_some_and(|names| names.0.iter().any(|name| name == RECEIVED));
        let value = self.paths(key, value?.0.iter());
        let time = self.paths(time_key, stamps.into_iter());
        let (value, mut time) = (value?, time?);
        let first = value.first()?;
        if !value.iter().all(|path| first.same_elements(path)) {
            self.error(
                "C006",
                key,
                format!("the pointers of `{key}` lead to different arrays; one reading is in one of them"),
            );
        }
        if let Some(at) = time.iter().find(|path| !first.is_beside(path)).cloned() {
            let message = format!("`{at}` is in another array than the value, so it is unknown which time is whose");
            self.error("C006", time_key, message);
        }
        let time_format = time_format?;
        if time_format == TimeFormat::Received {
            time.clear();
        }
        let (quality, good) = (Vec::new(), Vec::new());
        Some(Place { value, time, or_received, time_format, quality, good, sparse: false })
    }

    fn paths<'a>(&mut self, key: &str, texts: impl Iterator<Item = &'a String>) -> Option<Vec<Path>> {
        let mut paths = Some(Vec::new());
        for text in texts {
            match Path::parse(text) {
                Ok(path) => paths.iter_mut().for_each(|paths| paths.push(path.clone())),
                Err(problem) => {
                    self.error("C006", key, problem.to_string());
                    paths = None;
                }
            }
        }
        paths
    }

    fn quality(&mut self, mut place: Place) -> Option<Place> {
        let section = self.section;
        let Some(Names(texts)) = &section.quality else {
            if section.quality_good.is_some() {
                self.missing_for(
                    "quality",
                    "quality_good",
                    "a JSON Pointer to the quality that `quality_good` speaks of",
                );
            }
            return Some(place);
        };
        if section.quality_good.is_none() {
            let help =
                "what it is when the value is good: [192], [\"Good\"], [\"192..255\"]; [] where only bad ones are told";
            self.missing_for("quality_good", "quality", help);
        }
        place.good = self.texts("quality_good", section.quality_good.as_ref()).iter().map(|g| Good::parse(g)).collect();
        place.quality = self.paths("quality", texts.iter())?;
        if !place.quality.iter().all(|path| place.value.first().is_some_and(|value| value.is_beside(path))) {
            let message = "`quality` is in another array than the value, so it is unknown which is whose".to_owned();
            self.error("C006", "quality", message);
        }
        Some(place)
    }

    fn texts(&mut self, key: &str, written: Option<&Vec<Written>>) -> Vec<String> {
        let texts: Vec<Option<String>> = written.into_iter().flatten().map(Written::text).collect();
        if texts.contains(&None) {
            self.error("C004", key, format!("`{key}` is a list of texts and numbers"));
        }
        texts.into_iter().flatten().collect()
    }

    fn notation(&mut self) -> Option<Notation> {
        let section = self.section;
        let marks = [(".", Mark::Point), (",", Mark::Comma), ("point", Mark::Point), ("comma", Mark::Comma)];
        let mark = match &section.decimal {
            None => Some(Mark::Point),
            written => self.word("decimal", written.as_ref(), &marks),
        };
        let nulls = self.texts("null_values", section.null_values.as_ref());
        let registers = match &section.registers {
            None => {
                if section.word_order.is_some() {
                    self.missing_for("registers", "word_order", "what the registers hold together, such as \"u32\"");
                }
                None
            }
            Some(_) => Some(self.registers()?),
        };
        Some(Notation { mark: mark?, unit: section.unit.clone().unwrap_or_default(), nulls, registers })
    }

    fn registers(&mut self) -> Option<Registers> {
        let section = self.section;
        let words = [
            ("u16", (Word::Unsigned, 1)),
            ("s16", (Word::Signed, 1)),
            ("u32", (Word::Unsigned, 2)),
            ("s32", (Word::Signed, 2)),
            ("f32", (Word::Float, 2)),
            ("u64", (Word::Unsigned, 4)),
            ("s64", (Word::Signed, 4)),
            ("f64", (Word::Float, 4)),
        ];
        let (word, count) = self.word("registers", section.registers.as_ref(), &words)?;
        let orders = [("big", false), ("little", true)];
        let low_first =
            section.word_order.is_some() && self.word("word_order", section.word_order.as_ref(), &orders)?;
        Some(Registers { word, count, low_first })
    }

    fn time_format(&mut self, zone: Option<&Zone>) -> Option<TimeFormat> {
        let section = self.section;
        match (section.time_format.as_deref(), &section.time) {
            (None, None) | (Some("none"), _) => Some(TimeFormat::Received),
            (None, Some(_)) => {
                self.missing_for("time_format", "time", &format!("how the device writes its time: {TIME_FORMATS}"));
                None
            }
            (Some(_), None) => {
                self.missing_for(
                    "time",
                    "time_format",
                    "a JSON Pointer to the device's time, such as \"/ts\"; or `time_format = \"none\"`",
                );
                None
            }
            (Some(text), Some(_)) => self.read_time_format("time_format", text, zone),
        }
    }

    fn read_time_format(&mut self, key: &str, text: &str, cluster_zone: Option<&Zone>) -> Option<TimeFormat> {
        if text == "local" {
            return self.local_zone(cluster_zone).map(TimeFormat::Local);
        }
        if text.contains('%') {
            let zone = self.local_zone(cluster_zone)?;
            let format = TimeFormat::pattern(text, zone);
            return match format {
                Ok(format) => Some(format),
                Err(problem) => {
                    self.error("C006", key, format!("`{text}` is no pattern of a time: {problem}"));
                    None
                }
            };
        }
        let format = TimeFormat::parse(text);
        if format.is_none() {
            self.error("C006", key, format!("`{text}` is no time format; allowed: {TIME_FORMATS}"));
        }
        format
    }

    /// The facility's zone, or the cluster's.
    fn local_zone(&mut self, cluster_zone: Option<&Zone>) -> Option<Zone> {
        let facility = self.section.facility.as_ref();
        let facility = facility.and_then(|f| self.declarations.file.facilities.get_key_value(f));
        match facility.and_then(|(id, f)| f.timezone.as_ref().map(|zone| (id, zone))) {
            Some((id, zone)) => self.checker.zone(&["facilities", id, "timezone"], zone),
            None => cluster_zone.cloned(),
        }
    }
}

//! The rows of a CSV file as messages: which columns make the time, and which go to which topic and JSON key.

use std::io::Read;

use serde_json::{Map, Value, json};

use crate::quantity::{Decimal, Span, Time, Zone};
use crate::simulate::Outgoing;

/// Why a file cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        source: csv::Error,
    },
    /// A column is not there.
    #[error("{path} has no column `{column}`; its columns are: {known}")]
    NoColumn {
        /// The file.
        path: String,
        /// The column.
        column: String,
        /// What there is.
        known: String,
    },
    /// A row's time does not fit the form.
    #[error("{path}, line {line}: `{text}` does not fit the time format `{form}`")]
    BadTime {
        /// The file.
        path: String,
        /// The line.
        line: u64,
        /// What stands there.
        text: String,
        /// The form.
        form: String,
    },
    /// A mapping of a column is malformed.
    #[error("`{0}` is no column mapping; write `COLUMN=topic:/key`, or `COLUMN=topic` for a plain number")]
    BadColumn(String),
}

/// Where the time of a row is, and in which form it goes out.
#[derive(Clone, Debug)]
pub struct Stamps {
    /// Joined with a blank.
    pub columns: Vec<String>,
    /// In `strftime` letters.
    pub form: String,
    /// The zone of the file.
    pub zone: Zone,
    /// A time of 00:00 closes the day it is dated with, instead of opening it.
    pub midnight_closes: bool,
    /// The JSON key the time goes to.
    pub key: String,
}

/// A column and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The column's name.
    pub name: String,
    /// The topic.
    pub topic: String,
    /// The JSON Pointer of one key; `None`: the payload is the number.
    pub key: Option<String>,
}

impl Column {
    /// Reads `COLUMN=topic:/key` or `COLUMN=topic`.
    pub fn parse(text: &str) -> Result<Column, CsvError> {
        let bad = || CsvError::BadColumn(text.to_owned());
        let (name, target) = text.split_once('=').ok_or_else(bad)?;
        let (topic, key) = match target.rsplit_once(":/") {
            Some((topic, key)) => (topic, Some(key.to_owned())),
            None => (target, None),
        };
        let good = !name.is_empty() && !topic.is_empty() && key.as_deref() != Some("");
        good.then(|| Column { name: name.to_owned(), topic: topic.to_owned(), key }).ok_or_else(bad)
    }
}

/// Reads a whole file; lines that begin with `#` are remarks. The time goes out in milliseconds. Errors name the file as
/// `shown`.
pub fn read_rows(shown: &str, file: impl Read, stamps: &Stamps, columns: &[Column]) -> Result<Vec<Outgoing>, CsvError> {
    let failed = |source| CsvError::Read { path: shown.to_owned(), source };
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).trim(csv::Trim::All).from_reader(file);
    let headers = reader.headers().map_err(failed)?.clone();
    let find = |name: &str| {
        let known = || headers.iter().collect::<Vec<_>>().join(", ");
        let no_column = || CsvError::NoColumn { path: shown.to_owned(), column: name.to_owned(), known: known() };
        headers.iter().position(|h| h == name).ok_or_else(no_column)
    };
    let time_at = stamps.columns.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
    let columns = columns.iter().map(|c| Ok((find(&c.name)?, c))).collect::<Result<Vec<_>, CsvError>>()?;
    let mut messages = Vec::new();
    for record in reader.records() {
        let record = record.map_err(failed)?;
        let text: Vec<&str> = time_at.iter().filter_map(|at| record.get(*at)).collect();
        let text = text.join(" ");
        let line = record.position().map_or(0, csv::Position::line);
        let bad = || CsvError::BadTime { path: shown.to_owned(), line, text: text.clone(), form: stamps.form.clone() };
        let time = stamps.read(&text).ok_or_else(bad)?;
        messages.extend(row(&record, time, stamps, &columns));
    }
    Ok(messages)
}

impl Stamps {
    fn read(&self, text: &str) -> Option<Time> {
        let time = self.zone.parse_local(&self.form, text)?;
        let midnight = self.zone.start(crate::quantity::Window::Day, time) == time;
        if !(self.midnight_closes && midnight) {
            return Some(time);
        }
        // The end of the dated day: 23, 24 or 25 hours later.
        Some(self.zone.end(crate::quantity::Window::Day, time)).filter(|end| end.since(time) > Span(0))
    }
}

/// Columns that go to one topic share a message; an empty cell is left out.
fn row(record: &csv::StringRecord, time: Time, stamps: &Stamps, columns: &[(usize, &Column)]) -> Vec<Outgoing> {
    let mut topics: Vec<(&str, Map<String, Value>)> = Vec::new();
    let mut messages = Vec::new();
    for (at, column) in columns {
        let cell = record.get(*at).unwrap_or("");
        match &column.key {
            _ if cell.is_empty() => {}
            None => messages.push(Outgoing { due_ms: time.0, topic: column.topic.clone(), payload: cell.to_owned() }),
            Some(key) => {
                let position = topics.iter().position(|(topic, _)| *topic == column.topic).unwrap_or_else(|| {
                    topics.push((&column.topic, Map::from_iter([(stamps.key.clone(), json!(time.0))])));
                    topics.len() - 1
                });
                topics[position].1.insert(key.clone(), number(cell));
            }
        }
    }
    messages.extend(topics.into_iter().map(|(topic, object)| Outgoing {
        due_ms: time.0,
        topic: topic.to_owned(),
        payload: Value::Object(object).to_string(),
    }));
    messages
}

/// A cell that is a number goes out as one, digit by digit where a float would change it.
fn number(cell: &str) -> Value {
    let exact = Decimal::parse(cell);
    let float = cell.parse::<f64>().ok().filter(|f| f.is_finite() && Decimal::from_f64(*f) == exact);
    match float {
        Some(float) => json!(float),
        None => json!(cell),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn midnight_may_close_its_day() {
        let stamps = |midnight_closes| Stamps {
            columns: Vec::new(),
            form: "%d/%m/%Y %H:%M".to_owned(),
            zone: Zone::parse("Asia/Seoul").unwrap(),
            midnight_closes,
            key: "ts".to_owned(),
        };
        let read = |closes, text| stamps(closes).read(text).unwrap().to_string();
        assert_eq!(read(true, "31/01/2018 00:00"), "2018-01-31T15:00:00Z");
        assert_eq!(read(false, "31/01/2018 00:00"), "2018-01-30T15:00:00Z");
        assert_eq!(read(true, "01/01/2018 00:15"), "2017-12-31T15:15:00Z");
    }

    #[test]
    fn columns_name_topic_and_key() {
        let column = Column::parse("Usage_kWh=kr/steel/el:/kwh").unwrap();
        assert_eq!((column.topic.as_str(), column.key.as_deref()), ("kr/steel/el", Some("kwh")));
        assert_eq!(Column::parse("a=b").unwrap().key, None);
        for text in ["", "a", "=b", "a=", "a=t:/"] {
            assert!(Column::parse(text).is_err(), "{text}");
        }
    }
}

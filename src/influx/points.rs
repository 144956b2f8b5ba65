//! What the database holds: points by the names of their columns.

use std::collections::BTreeMap;

use crate::cluster::Level;
use crate::influx::{Database, QueryError};
use crate::quantity::{Time, Window};

/// A point: its tags, its fields, and `_time`.
pub(crate) type Row = BTreeMap<String, String>;

/// The points of a measurement with these tags in `[from, to)`.
pub(crate) async fn ask(
    bucket: &impl Database,
    name: &str,
    (measurement, tags): (&str, &[(&str, &str)]),
    (from, to): (Time, Time),
) -> Result<Vec<Row>, QueryError> {
    // What is put into the question is ids and names of ours; the bucket's is the operator's.
    let name = quoted(name);
    let tags: String = tags.iter().map(|(tag, value)| format!(" and r.{tag} == \"{value}\"")).collect();
    let question = format!(
        "from(bucket: \"{name}\") |> range(start: {from}, stop: {to}) \
         |> filter(fn: (r) => r._measurement == \"{measurement}\"{tags}) \
         |> pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\") |> group()"
    );
    let text = bucket.query(&question).await?;
    rows(&text).map_err(QueryError::Away)
}

/// As it may stand between the quotes of a Flux string, where `${` begins an expression.
fn quoted(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', r#"\""#).replace("${", r"\${")
}

/// The tags of an entry, as in a line: the same entry under other tags would be a second one.
const TAGS: [&str; 6] = ["cluster", "facility", "level", "meter", "network", "window"];

/// Entries by series and start.
pub(crate) async fn of_entries(
    bucket: &impl Database,
    name: &str,
    (level, window): (Level, Window),
    range: (Time, Time),
) -> Result<BTreeMap<(String, Time), Row>, QueryError> {
    let tags = [("level", level.name()), ("window", window.name())];
    let rows = ask(bucket, name, ("emissions", &tags), range).await?;
    let start = |row: &Row| Time::parse_rfc3339(row.get("_time")?);
    Ok(rows.into_iter().filter_map(|row| Some(((series(&row), start(&row)?), row))).collect())
}

fn series(row: &Row) -> String {
    let tags = TAGS.iter().filter_map(|tag| Some((tag, row.get(*tag).filter(|value| !value.is_empty())?)));
    tags.map(|(tag, value)| format!("{tag}={value}")).collect::<Vec<_>>().join(",")
}

/// The revision of an entry; 0 while its window is open.
pub(crate) fn revision(row: &Row) -> u32 {
    row.get("revision").and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The rows of an annotated CSV answer: tables follow each other, each after an empty line and with its own header.
fn rows(text: &str) -> Result<Vec<Row>, String> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).comment(Some(b'#')).from_reader(text.as_bytes());
    let mut header: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| format!("the answer is no CSV: {e}"))?;
        // What goes wrong after the first row is a table of its own.
        if record.get(1) == Some("error") {
            return Err("the database broke off its answer".to_owned());
        }
        // The name of the third column tells a header from a row, in which it is a number.
        if record.get(2) == Some("table") {
            header = record.iter().map(str::to_owned).collect();
            continue;
        }
        rows.push(header.iter().cloned().zip(record.iter().map(str::to_owned)).collect());
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_stays_within_its_quotes() {
        assert_eq!(quoted(r#"a"b\c${d}$e"#), r#"a\"b\\c\${d}$e"#);
    }

    #[test]
    fn an_annotated_answer_is_read_table_by_table() {
        let text = "#datatype,string,long,dateTime:RFC3339,string,double\r\n,result,table,_time,facility,scope1_kg\r\n\
                    ,_result,0,2026-01-01T00:00:00Z,works,1.5\r\n\r\n,result,table,_time,revision\r\n,_result,1,2026-01-02T00:00:00Z,2\r\n";
        let rows = rows(text).unwrap();
        assert_eq!((rows.len(), rows[0]["scope1_kg"].as_str(), revision(&rows[1])), (2, "1.5", 2));
    }
}

//! CSV as spreadsheets of all countries write it: with a mark of its encoding or in Windows-1252, with commas, semicolons or
//! tabs between the cells.

use std::borrow::Cow;

use crate::config::registry::columns::has_header;
use crate::config::registry::sheet::{COLUMNS_MAX, ROWS_MAX};
use crate::config::registry::{Cell, Form, Sheet};

/// The text, in whichever encoding it is.
fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[mark..]).0;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

/// What may stand between the cells, what there is most of in the first lines first.
fn delimiters(text: &str) -> [u8; 3] {
    let mut counts = [(b';', 0usize), (b',', 0), (b'\t', 0)];
    for line in text.lines().take(20) {
        let mut quoted = false;
        for byte in line.bytes() {
            quoted ^= byte == b'"';
            for (_, count) in counts.iter_mut().filter(|(sign, _)| *sign == byte && !quoted) {
                *count += 1;
            }
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.map(|(sign, _)| sign)
}

/// Reads a list. An error says where it is not one.
pub(crate) fn read(bytes: &[u8]) -> Result<Sheet, String> {
    let text = decode(bytes);
    if text.contains('\0') {
        return Err("neither a workbook nor a text".to_owned());
    }
    // A title above the names of the columns may hold other signs: that counts by which there are such names.
    let likely = delimiters(&text);
    let first = cells(&text, likely[0]);
    if first.as_ref().is_ok_and(has_header) {
        return first;
    }
    let others = likely.into_iter().skip(1).filter_map(|delimiter| cells(&text, delimiter).ok());
    others.into_iter().find(has_header).map_or(first, Ok)
}

fn cells(text: &str, delimiter: u8) -> Result<Sheet, String> {
    let mut sheet = Sheet { delimiter: Some(delimiter), ..Sheet::default() };
    let mut rest = text;
    let mut start = 0;
    while !rest.is_empty() {
        let (mut row, length) = row(rest, start, sheet.rows.len(), delimiter)?;
        if sheet.rows.len() >= ROWS_MAX || row.len() > COLUMNS_MAX {
            return Err(format!("more than {ROWS_MAX} rows or {COLUMNS_MAX} columns"));
        }
        // An empty line has no cells, and there may be very many.
        if row.iter().all(|cell| cell.text.is_empty()) {
            row = Vec::new();
        }
        row.shrink_to_fit();
        sheet.rows.push(row);
        start += length;
        rest = text.get(start..).unwrap_or("");
    }
    sheet.text = text.to_owned();
    Ok(sheet)
}

/// The first row of a text, and how long it is.
fn row(text: &str, start: usize, number: usize, delimiter: u8) -> Result<(Vec<Cell>, usize), String> {
    let mut cells = Vec::new();
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or("");
        let column = cells.len();
        let (content, length) = match rest.strip_prefix('"') {
            Some(inner) => quoted(inner, number + 1)?,
            None => {
                let end = rest.find([char::from(delimiter), '\n']).unwrap_or(rest.len());
                (rest.get(..end).unwrap_or("").to_owned(), end)
            }
        };
        let span = start + at..start + at + length;
        cells.push(Cell {
            text: content.trim().replace(['\n', '\r'], " "),
            at: (number, column),
            span,
            form: Form::Text,
        });
        at += length;
        let behind = text.get(at..).unwrap_or("").trim_start_matches('\r');
        match behind.as_bytes().first() {
            Some(sign) if *sign == delimiter => at = text.len() - behind.len() + 1,
            Some(b'\n') => return Ok((cells, text.len() - behind.len() + 1)),
            None => return Ok((cells, text.len())),
            Some(_) => return Err(format!("row {}: something stands behind the closing quote", number + 1)),
        }
    }
}

/// What is between quotes, in which two stand for one, and the length of it all.
fn quoted(inner: &str, row: usize) -> Result<(String, usize), String> {
    let mut from = 0;
    loop {
        let quote = inner.get(from..).and_then(|rest| rest.find('"'));
        let at = from + quote.ok_or_else(|| format!("row {row}: a quote is never closed"))?;
        if inner.get(at + 1..).is_some_and(|behind| behind.starts_with('"')) {
            from = at + 2;
            continue;
        }
        return Ok((inner.get(..at).unwrap_or("").replace("\"\"", "\""), at + 2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: &[&[&str]]) {
        let sheet = read(bytes).unwrap();
        let rows: Vec<Vec<&str>> =
            sheet.rows.iter().map(|row| row.iter().map(|cell| cell.text.as_str()).collect()).collect();
        assert_eq!(rows, expected);
        for cell in sheet.rows.iter().flatten().filter(|cell| !cell.text.is_empty()) {
            let there = &sheet.text[cell.span.clone()];
            assert!(there.trim().trim_matches('"').replace("\"\"", "\"").starts_with(&cell.text[..1]), "{there}");
        }
    }

    #[test]
    fn lists_as_spreadsheets_write_them() {
        check(b"id,unit\nm1,kWh\n", &[&["id", "unit"], &["m1", "kWh"]]);
        check("\u{feff}id;scale\r\nm1;0,01\r\n\r\n".as_bytes(), &[&["id", "scale"], &["m1", "0,01"], &[]]);
        check(b"id\tnote\nm1\t\"a \"\"b\"\", c\"", &[&["id", "note"], &["m1", "a \"b\", c"]]);
        // "Zähler" in Windows-1252.
        check(b"Z\xe4hler;Einheit\nm;m\xb3\n", &[&["Zähler", "Einheit"], &["m", "m³"]]);
        check(b"Meters, plant A, 2026\nid;unit\nm;kWh", &[&["Meters, plant A, 2026"], &["id", "unit"], &["m", "kWh"]]);
        check(b"\xff\xfei\x00d\x00,\x00a\x00\n\x00m\x00,\x001\x00", &[&["id", "a"], &["m", "1"]]);
        check(b"id,note\nm,\"two\nlines\"\nn,x", &[&["id", "note"], &["m", "two lines"], &["n", "x"]]);
    }

    #[test]
    fn what_is_no_list_says_where() {
        for (bytes, says) in [(&b"a,b\n\"c,d"[..], "row 2"), (b"a,b\n\"c\"d,e", "row 2"), (b"\x00\x01\x02", "neither")]
        {
            assert!(read(bytes).is_err_and(|error| error.contains(says)), "{bytes:?}");
        }
    }
}

//! A sheet of cells, whatever file it is in, with a text in which every cell has its place: problems point there.

use std::io::Cursor;
use std::path::Path;

use calamine::{Data, Reader, Xlsx};

use crate::config::registry::text;

/// A list is no larger; ten thousand meters take a few megabytes.
const BYTES_MAX: u64 = 64 << 20;
/// Rows beyond this are no list of meters.
const ROWS_MAX: usize = 200_000;
const COLUMNS_MAX: usize = 500;

/// One cell that holds something.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    /// What it says, without blanks around.
    pub text: String,
    /// Its row and column, from 0.
    pub at: (usize, usize),
    /// Where it stands in the sheet's text.
    pub span: std::ops::Range<usize>,
    /// The spreadsheet says that it is a date.
    pub is_date: bool,
}

/// A sheet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sheet {
    /// The name of the sheet in its file, if it has one.
    pub name: Option<String>,
    /// All of it as text, a line a row.
    pub text: String,
    /// Its rows, with their cells by column; blank cells have a place too.
    pub rows: Vec<Vec<Cell>>,
    /// The sign between cells, if it is a text.
    pub delimiter: Option<u8>,
}

impl Sheet {
    /// Reads a file. An error says what is wrong with it.
    pub(crate) fn read(path: &Path) -> Result<Sheet, String> {
        let size = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
        if size > BYTES_MAX {
            return Err(format!("it has {size} bytes; a list of meters may have {BYTES_MAX}"));
        }
        let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
        let sheet = if bytes.starts_with(b"PK\x03\x04") { Sheet::workbook(bytes)? } else { text::read(&bytes)? };
        if sheet.rows.len() > ROWS_MAX || sheet.rows.iter().any(|row| row.len() > COLUMNS_MAX) {
            return Err(format!("more than {ROWS_MAX} rows or {COLUMNS_MAX} columns"));
        }
        Ok(sheet)
    }

    fn workbook(bytes: Vec<u8>) -> Result<Sheet, String> {
        let mut workbook = Xlsx::new(Cursor::new(bytes)).map_err(|e| format!("not a workbook: {e}"))?;
        let names = workbook.sheet_names();
        let name = names.first().cloned().ok_or("the workbook has no sheet")?;
        let range = workbook.worksheet_range(&name).map_err(|e| format!("sheet `{name}`: {e}"))?;
        let mut sheet = Sheet { name: Some(name), ..Sheet::default() };
        let (first_row, first_column) = range.start().unwrap_or((0, 0));
        (0..first_row).for_each(|_| sheet.push(Vec::new()));
        for row in range.rows().take(ROWS_MAX + 1) {
            let blank = std::iter::repeat_n((String::new(), false), first_column as usize);
            sheet.push(blank.chain(row.iter().map(shown)).collect());
        }
        Ok(sheet)
    }

    fn push(&mut self, row: Vec<(String, bool)>) {
        let number = self.rows.len();
        let mut cells = Vec::with_capacity(row.len());
        for (column, (text, is_date)) in row.into_iter().enumerate() {
            if column > 0 {
                self.text.push('\t');
            }
            let text = text.trim().replace(['\n', '\r', '\t'], " ");
            let start = self.text.len();
            self.text.push_str(&text);
            cells.push(Cell { span: start..self.text.len(), text, at: (number, column), is_date });
        }
        self.text.push('\n');
        self.rows.push(cells);
    }

    /// `F12`, with the name of the sheet if it has one.
    pub(crate) fn cell_name(&self, (row, column): (usize, usize)) -> String {
        let mut letters = Vec::new();
        let mut rest = column + 1;
        while rest > 0 {
            rest -= 1;
            letters.push(b'A' + (rest % 26) as u8);
            rest /= 26;
        }
        letters.reverse();
        let letters = String::from_utf8_lossy(&letters).into_owned();
        let sheet = self.name.as_ref().map_or_else(String::new, |name| format!("{name}!"));
        format!("{sheet}{letters}{}", row + 1)
    }

    /// The cell at a place of the text.
    pub(crate) fn cell_at(&self, start: usize) -> Option<String> {
        let row = self.rows.partition_point(|row| row.first().is_none_or(|cell| cell.span.start <= start));
        let row = self.rows.get(..row)?.iter().rev().find(|row| !row.is_empty())?;
        let cell = row.iter().rev().find(|cell| cell.span.start <= start)?;
        Some(self.cell_name(cell.at))
    }
}

/// A number without its exponent or trailing nought, a date as it is written here.
fn shown(data: &Data) -> (String, bool) {
    match data {
        Data::Empty => (String::new(), false),
        Data::String(text) => (text.clone(), false),
        Data::DateTime(date) => {
            let (year, month, day, hour, minute, second, _) = date.to_ymd_hms_milli();
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
            (text.trim_end_matches("T00:00:00").to_owned(), true)
        }
        Data::DateTimeIso(text) => (text.clone(), true),
        Data::Error(error) => (format!("#{error}"), false),
        other => (other.to_string(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_have_names() {
        let sheet = Sheet::default();
        for (at, name) in [((0, 0), "A1"), ((11, 5), "F12"), ((0, 25), "Z1"), ((0, 26), "AA1"), ((0, 701), "ZZ1")] {
            assert_eq!(sheet.cell_name(at), name);
        }
    }

    #[test]
    fn cells_are_found_by_their_place() {
        let mut sheet = Sheet { name: Some("Meters".to_owned()), ..Sheet::default() };
        let row = |texts: &[&str]| texts.iter().map(|text| ((*text).to_owned(), false)).collect();
        sheet.push(row(&["id", "unit"]));
        sheet.push(Vec::new());
        sheet.push(row(&["m", "", "kWh"]));
        for at in [(0, 1), (2, 0), (2, 2)] {
            let start = sheet.rows[at.0][at.1].span.start;
            assert_eq!(sheet.cell_at(start), Some(sheet.cell_name(at)));
        }
        assert_eq!(sheet.text.lines().nth(2), Some("m\t\tkWh"));
    }
}

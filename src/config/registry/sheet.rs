//! A sheet of cells, whatever file it is in, with a text in which every cell has its place: problems point there.

use std::io::Cursor;
use std::path::Path;

use calamine::{Data, Reader, Xlsx};

use crate::config::registry::text;

/// A list is no larger; ten thousand meters take a few megabytes.
const BYTES_MAX: u64 = 16 << 20;
/// What a workbook may unpack to.
const UNPACKED_MAX: u64 = 256 << 20;
/// Rows beyond this are no list of meters.
pub(crate) const ROWS_MAX: usize = 200_000;
pub(crate) const COLUMNS_MAX: usize = 500;

/// One cell that holds something.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    /// What it says, without blanks around.
    pub text: String,
    /// Its row and column, from 0.
    pub at: (usize, usize),
    /// Where it stands in the sheet's text.
    pub span: std::ops::Range<usize>,
    /// What the spreadsheet takes it for.
    pub form: Form,
}

/// What a spreadsheet takes a cell for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text, whatever it says.
    #[default]
    Text,
    /// A number, which has no signs between its digits.
    Number,
    /// A date.
    Date,
}

/// A cell's text and form.
#[derive(Default)]
struct Written {
    text: String,
    form: Form,
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
        if bytes.starts_with(b"PK\x03\x04") { Sheet::workbook(bytes) } else { text::read(&bytes) }
    }

    fn workbook(bytes: Vec<u8>) -> Result<Sheet, String> {
        let unpacked = unpacked(&bytes)?;
        if unpacked > UNPACKED_MAX {
            return Err(format!("it unpacks to {unpacked} bytes; a list of meters may have {UNPACKED_MAX}"));
        }
        let mut workbook = Xlsx::new(Cursor::new(bytes)).map_err(|e| format!("not a workbook: {e}"))?;
        let names = workbook.sheet_names();
        let name = names.first().cloned().ok_or("the workbook has no sheet")?;
        let failed = |e: calamine::XlsxError| format!("sheet `{name}`: {e}");
        let mut cells = workbook.worksheet_cells_reader(&name).map_err(failed)?;
        // Cell by cell: one stray cell in the last corner would make a table of all that could be before it.
        let mut rows: Vec<Vec<Written>> = Vec::new();
        while let Some(cell) = cells.next_cell().map_err(failed)? {
            let (row, column) = (cell.get_position().0 as usize, cell.get_position().1 as usize);
            let written = shown(&Data::from(cell.get_value().clone()));
            if written.text.is_empty() {
                continue;
            }
            if row >= ROWS_MAX || column >= COLUMNS_MAX {
                let at = Sheet::default().cell_name((row, column));
                return Err(format!("cell {at} is beyond {ROWS_MAX} rows and {COLUMNS_MAX} columns; clear it"));
            }
            if rows.len() <= row {
                rows.resize_with(row + 1, Vec::new);
            }
            if let Some(cells) = rows.get_mut(row) {
                cells.resize_with(cells.len().max(column + 1), Written::default);
                cells[column] = written;
            }
        }
        let mut sheet = Sheet { name: Some(name), ..Sheet::default() };
        rows.into_iter().for_each(|row| sheet.push(row));
        Ok(sheet)
    }

    fn push(&mut self, row: Vec<Written>) {
        let number = self.rows.len();
        let mut cells = Vec::with_capacity(row.len());
        for (column, Written { text, form }) in row.into_iter().enumerate() {
            if column > 0 {
                self.text.push('\t');
            }
            let text = text.trim().replace(['\n', '\r', '\t'], " ");
            let start = self.text.len();
            self.text.push_str(&text);
            cells.push(Cell { span: start..self.text.len(), text, at: (number, column), form });
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

/// What the parts of a workbook say they unpack to.
fn unpacked(bytes: &[u8]) -> Result<u64, String> {
    let failed = |e: zip::result::ZipError| format!("not a workbook: {e}");
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(failed)?;
    (0..archive.len())
        .try_fold(0u64, |sum, at| Ok(sum.saturating_add(archive.by_index_raw(at).map_err(failed)?.size())))
}

/// A number without its exponent or trailing nought, a date as it is written here.
fn shown(data: &Data) -> Written {
    let (text, form) = match data {
        Data::Empty => (String::new(), Form::Text),
        Data::String(text) => (text.trim().to_owned(), Form::Text),
        Data::DateTime(date) => {
            let (year, month, day, hour, minute, second, _) = date.to_ymd_hms_milli();
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
            (text.trim_end_matches("T00:00:00").to_owned(), Form::Date)
        }
        Data::DateTimeIso(text) => (text.clone(), Form::Date),
        Data::Error(error) => (format!("#{error}"), Form::Text),
        Data::Float(number) => (number.to_string(), Form::Number),
        Data::Int(number) => (number.to_string(), Form::Number),
        other => (other.to_string(), Form::Text),
    };
    Written { text, form }
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
        let row =
            |texts: &[&str]| texts.iter().map(|text| Written { text: (*text).to_owned(), form: Form::Text }).collect();
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

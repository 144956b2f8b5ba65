//! Lists of meters: CSV as spreadsheets write it, and XLSX. A row becomes the same table of keys as `[meters.<id>]`, with the
//! cell that each key stands in.

mod columns;
mod sheet;
mod text;
mod value;

pub use columns::to_csv;
pub(crate) use columns::{Fault, Templates, rows};
pub(crate) use sheet::{Cell, Form, Sheet};

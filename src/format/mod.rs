//! Entries as text: JSON lines, CSV and InfluxDB line protocol, one encoder each. Pure.

mod alarm;
mod csv;
mod explain;
mod json;
mod line;
mod report;

pub use alarm::{kg_text, state_name, turned_json};
pub use csv::{csv_header, csv_row};
pub use explain::{Beside, explanation_json, explanation_text};
pub use json::{entry_json, summary_json};
pub use line::{LineError, alarm_line, entry_line};
pub use report::{Change, Factor, Figures, Instrument, Report, report_html};

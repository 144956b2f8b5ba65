//! Entries as CSV, one row an entry; flags and categories are lists within their field.

use crate::cluster::{Category, Topology};
use crate::emission::{Column, Flag};
use crate::ledger::Entry;

/// The header row, without a line end.
pub fn csv_header() -> String {
    let columns: Vec<String> = Column::ALL.iter().map(|c| format!("{}_mg", c.name())).collect();
    format!("level,entity,window,start,{},coverage,uncertainty_pct,flags,by_category,revision", columns.join(","))
}

/// One entry, without a line end. Ids and names hold no character that CSV would need to quote.
pub fn csv_row(entry: &Entry, topology: &Topology) -> String {
    let key = entry.key;
    let columns: Vec<String> = Column::ALL.iter().map(|c| entry.tally.mg(*c).to_string()).collect();
    let flags: Vec<&str> =
        Flag::ALL.into_iter().filter(|flag| entry.tally.flag_count(*flag) > 0).map(Flag::name).collect();
    let categories: Vec<String> = Category::ALL
        .into_iter()
        .filter(|category| entry.tally.category_mg(*category) != 0)
        .map(|category| format!("{}={}", category.name(), entry.tally.category_mg(category)))
        .collect();
    format!(
        "{},{},{},{},{},{:?},{},{},{},{}",
        key.entity.level().name(),
        topology.id(key.entity),
        key.window,
        key.start,
        columns.join(","),
        f64::from(entry.coverage_e4) / 10_000.0,
        entry.uncertainty_pct().map_or_else(String::new, |percent| format!("{percent:?}")),
        flags.join(";"),
        categories.join(";"),
        entry.revision
    )
}

//! The catalogue: the rows that ship with the product, and the rows a user adds in the same columns.

use std::collections::HashMap;
use std::fmt;

use crate::factor::row::{denominator, numerator};
use crate::factor::{Basis, Denominator, Gas, Row, Use};
use crate::quantity::{Decimal, Dimension, Ratio, Zone};

/// The rows that ship with the product.
const SHIPPED: &str = include_str!("../../config/factors.csv");

/// All rows, by set and by series.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    rows: Vec<Row>,
    sets: HashMap<String, Vec<usize>>,
    series: HashMap<String, Vec<String>>,
}

/// A row that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProblem {
    /// The line in the file, from 1.
    pub line: u64,
    /// The column at fault.
    pub column: &'static str,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl fmt::Display for RowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column `{}`: {}", self.line, self.column, self.message)
    }
}

impl Catalogue {
    /// The catalogue as shipped.
    pub fn shipped() -> Catalogue {
        let mut catalogue = Catalogue::default();
        let problems = catalogue.add_csv(SHIPPED);
        debug_assert!(problems.is_empty(), "{problems:?}");
        catalogue
    }

    /// Adds rows of a CSV text with the shipped columns. Rows of a set that is there already replace it, so
    /// that a user's figure wins. Returns what could not be read; such rows are left out.
    pub fn add_csv(&mut self, text: &str) -> Vec<RowProblem> {
        let mut reader =
            csv::ReaderBuilder::new().comment(Some(b'#')).trim(csv::Trim::All).from_reader(text.as_bytes());
        let mut problems = Problems::default();
        let columns = match reader.headers() {
            Ok(headers) => headers.clone(),
            Err(error) => return vec![RowProblem { line: 1, column: "id", message: error.to_string() }],
        };
        let before = self.rows.len();
        for record in reader.records() {
            match record {
                Ok(record) => {
                    let line = record.position().map_or(0, csv::Position::line);
                    let fields = Fields { line, columns: &columns, record: &record };
                    match fields.row() {
                        Ok(row) => self.rows.push(row),
                        Err(problem) => problems.push(problem),
                    }
                }
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    problems.push(RowProblem { line, column: "id", message: error.to_string() });
                }
            }
        }
        for at in before..self.rows.len() {
            self.make_room(at);
        }
        (before..self.rows.len()).for_each(|at| self.list(at));
        problems.finish()
    }

    /// A user's rows replace a set; potentials are replaced gas by gas, for a set of them is never whole.
    fn make_room(&mut self, at: usize) {
        let row = &self.rows[at];
        let Some(known) = self.sets.get_mut(&row.set) else {
            return;
        };
        let (set, is_potential) = (row.set.clone(), row.usage == Use::Gwp);
        let rows = &self.rows;
        known.retain(|other| is_potential && (&rows[*other].gas, rows[*other].biogenic) != (&row.gas, row.biogenic));
        if known.is_empty() {
            self.sets.remove(&set);
        }
    }

    /// Enters a row under its set and series.
    fn list(&mut self, at: usize) {
        let row = &self.rows[at];
        let sets = self.series.entry(row.series.clone()).or_default();
        if !sets.contains(&row.set) {
            sets.push(row.set.clone());
        }
        self.sets.entry(row.set.clone()).or_default().push(at);
    }

    /// The rows of one vintage: one a gas.
    pub fn set(&self, name: &str) -> Vec<&Row> {
        let indices = self.sets.get(name).map(Vec::as_slice).unwrap_or_default();
        indices.iter().filter_map(|i| self.rows.get(*i)).collect()
    }

    /// The sets that a name stands for: the vintages of a series, or one pinned set.
    pub fn vintages(&self, name: &str) -> Option<Vec<&str>> {
        if let Some(sets) = self.series.get(name) {
            return Some(sets.iter().map(String::as_str).collect());
        }
        self.sets.get_key_value(name).map(|(set, _)| vec![set.as_str()])
    }

    /// The names that configuration may use: every series and every set.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.series.keys().chain(self.sets.keys()).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The row in force of an id.
    pub fn row(&self, id: &str) -> Option<&Row> {
        self.rows().find(|row| row.id == id)
    }

    /// The rows in force, in the order they were added.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        let live = |(i, row): (usize, &Row)| self.sets.get(&row.set).is_some_and(|set| set.contains(&i));
        self.rows.iter().enumerate().filter(move |pair| live(*pair)).map(|(_, row)| row)
    }
}

/// A file that is no catalogue has as many problems as lines.
const PROBLEMS_MAX: usize = 100;

/// The first problems of a file, and how many more there are.
#[derive(Default)]
struct Problems {
    first: Vec<RowProblem>,
    more: Option<(u64, usize)>,
}

impl Problems {
    fn push(&mut self, problem: RowProblem) {
        if self.first.len() < PROBLEMS_MAX {
            self.first.push(problem);
            return;
        }
        self.more.get_or_insert((problem.line, 0)).1 += 1;
    }

    fn finish(mut self) -> Vec<RowProblem> {
        if let Some((line, count)) = self.more {
            let message = format!("cannot be read, nor can {} other rows from here on", count - 1);
            self.first.push(RowProblem { line, column: "id", message });
        }
        self.first
    }
}

/// What a figure is stated per, and the product behind it.
type Per = (Denominator, Option<String>);

/// One record with its column names.
struct Fields<'a> {
    line: u64,
    columns: &'a csv::StringRecord,
    record: &'a csv::StringRecord,
}

impl Fields<'_> {
    fn get(&self, column: &'static str) -> &str {
        let at = self.columns.iter().position(|name| name == column);
        at.and_then(|i| self.record.get(i)).unwrap_or("")
    }

    fn some(&self, column: &'static str) -> Option<String> {
        Some(self.get(column).to_owned()).filter(|text| !text.is_empty())
    }

    fn problem(&self, column: &'static str, message: impl Into<String>) -> RowProblem {
        RowProblem { line: self.line, column, message: message.into() }
    }

    fn need(&self, column: &'static str) -> Result<String, RowProblem> {
        self.some(column).ok_or_else(|| self.problem(column, "is empty; every row needs it"))
    }

    fn row(&self) -> Result<Row, RowProblem> {
        let id = self.need("id")?;
        let set = self.some("set").unwrap_or_else(|| id.clone());
        let value = self.need("value")?;
        let unit = self.need("unit")?;
        let (mg, per, is_co2e) = self.figure(&value, &unit)?;
        let (per, product) = per.map_or((None, None), |(per, product)| (Some(per), product));
        Ok(Row {
            series: self.some("series").unwrap_or_else(|| set.clone()),
            name: self.some("name").unwrap_or_else(|| id.clone()),
            usage: self.usage()?,
            gas: Gas::parse(&self.need("gas")?),
            basis: self.basis()?,
            heat_content: self.heat_content()?,
            uncertainty_pct: self.uncertainty()?,
            gwp_set: self.some("gwp_set"),
            valid_from: self.date("valid_from")?,
            valid_to: self.date("valid_to")?,
            region: self.get("region").to_owned(),
            biogenic: self.flag("biogenic")?,
            source: self.get("source").to_owned(),
            id,
            set,
            value,
            unit,
            mg,
            per,
            product,
            is_co2e,
        })
    }

    fn figure(&self, value: &str, unit: &str) -> Result<(Ratio, Option<Per>, bool), RowProblem> {
        let number = Decimal::parse(value).and_then(Ratio::from_decimal);
        let number = number.ok_or_else(|| self.problem("value", format!("`{value}` is not a decimal number")))?;
        let bad_unit =
            || self.problem("unit", format!("`{unit}` is not mass per unit, such as `kg/kWh` or `kg CO2e/L`"));
        let (top, bottom) = unit.split_once('/').ok_or_else(bad_unit)?;
        let (mg, is_co2e) = numerator(top).ok_or_else(bad_unit)?;
        let mg = number.times(mg).ok_or_else(bad_unit)?;
        match denominator(bottom) {
            Some((per, base, product)) => Ok((mg.over(base).ok_or_else(bad_unit)?, Some((per, product)), is_co2e)),
            None => Ok((mg, None, is_co2e)),
        }
    }

    fn usage(&self) -> Result<Use, RowProblem> {
        let text = self.some("use").unwrap_or_else(|| "inventory".to_owned());
        let allowed = "inventory, grid, residual, technology, lifecycle, margin, gwp";
        Use::parse(&text).ok_or_else(|| self.problem("use", format!("`{text}` is not one of {allowed}")))
    }

    fn basis(&self) -> Result<Option<Basis>, RowProblem> {
        match self.get("basis") {
            "" | "n/a" => Ok(None),
            text => match Basis::parse(text) {
                Some(basis) => Ok(Some(basis)),
                None => Err(self.problem("basis", format!("`{text}` is not HHV, LHV or n/a"))),
            },
        }
    }

    fn uncertainty(&self) -> Result<Option<Ratio>, RowProblem> {
        let Some(text) = self.some("uncertainty_pct") else {
            return Ok(None);
        };
        let number = Decimal::parse(&text).and_then(Ratio::from_decimal).filter(|n| n.is_positive());
        let problem = || self.problem("uncertainty_pct", format!("`{text}` is not a number of percent above nought"));
        number.map(Some).ok_or_else(problem)
    }

    /// A table's own heat content.
    fn heat_content(&self) -> Result<Option<(Denominator, Ratio)>, RowProblem> {
        let Some(text) = self.some("heat_content") else {
            return Ok(None);
        };
        let number = Decimal::parse(&text).and_then(Ratio::from_decimal);
        let number = number.ok_or_else(|| self.problem("heat_content", format!("`{text}` is not a decimal number")))?;
        let unit = self.get("heat_content_unit");
        let read = || {
            let (top, bottom) = unit.split_once('/')?;
            let (energy, top, _) = denominator(top)?;
            let (per, bottom, _) = denominator(bottom)?;
            let content = number.times(top)?.over(bottom)?;
            (energy.dimension == Dimension::Energy).then_some((per, content))
        };
        Ok(read())
    }

    fn date(&self, column: &'static str) -> Result<Option<String>, RowProblem> {
        match self.some(column) {
            Some(text) if Zone::UTC.day_of_text(&text).is_none() => {
                Err(self.problem(column, format!("`{text}` is not a date such as 2026-01-31")))
            }
            date => Ok(date),
        }
    }

    fn flag(&self, column: &'static str) -> Result<bool, RowProblem> {
        match self.get(column) {
            "" | "0" | "false" => Ok(false),
            "1" | "true" => Ok(true),
            text => Err(self.problem(column, format!("`{text}` is not 0 or 1"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_row_is_read() {
        let mut catalogue = Catalogue::default();
        assert_eq!(catalogue.add_csv(SHIPPED), []);
        assert_eq!(catalogue.rows().count(), SHIPPED.lines().count() - 1);
        assert_eq!(catalogue.vintages("cn_prov_tj").unwrap().len(), 3);
        assert_eq!(catalogue.vintages("cn2022_prov_tj").unwrap(), ["cn2022_prov_tj"]);
    }

    #[test]
    fn a_users_set_replaces_the_shipped_one() {
        let mut catalogue = Catalogue::shipped();
        let before = catalogue.rows().count();
        let problems = catalogue.add_csv("id,set,series,use,gas,value,unit\nx,eea2024_fr,eea_fr,grid,CO2,0.5,kg/kWh\n");
        assert_eq!(problems, []);
        assert_eq!(catalogue.set("eea2024_fr")[0].value, "0.5");
        assert_eq!(catalogue.rows().count(), before);
    }

    #[test]
    fn a_users_potential_leaves_those_of_other_gases() {
        let mut catalogue = Catalogue::shipped();
        let before = catalogue.set("gwp_ar6").len();
        let problems = catalogue.add_csv("id,set,use,gas,value,unit\ny,gwp_ar6,gwp,HFO-1234yf,0.501,kg CO2e/kg\n");
        assert_eq!((problems.len(), catalogue.set("gwp_ar6").len()), (0, before + 1));
    }

    #[test]
    fn faulty_rows_are_named_by_line_and_column() {
        let text = "id,gas,value,unit,valid_from\na,CO2,many,kg/kWh,\nb,CO2,1,kWh,\nc,CO2,1,kg/kWh,2026-13-01\n";
        let problems = Catalogue::default().add_csv(text);
        let places: Vec<_> = problems.iter().map(|p| (p.line, p.column)).collect();
        assert_eq!(places, [(2, "value"), (3, "unit"), (4, "valid_from")]);
    }
}

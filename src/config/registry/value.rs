//! What a cell says: numbers, amounts, dates and tables as spreadsheets and people write them.

use serde_json::{Map, Value};

use crate::config::registry::columns::Kind::{
    self, Amount, Date, Hint, List, Names, Number, Table, Text, Truth, Unused,
};
use crate::config::registry::{Cell, Form, Sheet};
use crate::quantity::Decimal;

/// The value of a cell for a key. An error says what is wrong with it, and what to write.
pub(crate) fn value(cell: &Cell, kind: Kind, sheet: &Sheet) -> Result<Value, String> {
    let text = cell.text.as_str();
    if cell.form == Form::Date && kind != Date {
        return Err(format!("the spreadsheet took it for the date {text}; make the column text, and write it again"));
    }
    match kind {
        Number => number(cell, sheet),
        Amount => amount(cell, sheet),
        Date => date(text),
        Truth => match text.to_lowercase().as_str() {
            "true" | "yes" | "1" | "ja" | "oui" | "wahr" | "vrai" => Ok(Value::Bool(true)),
            "false" | "no" | "0" | "nein" | "non" | "falsch" | "faux" => Ok(Value::Bool(false)),
            _ => Err(format!("`{text}` is neither yes nor no")),
        },
        Names if text.contains('|') => Ok(text.split('|').map(str::trim).collect()),
        List => Ok(text.split('|').map(str::trim).collect()),
        Table => {
            let written = format!("x = {text}");
            let table: Option<Map<String, Value>> = toml_edit::de::from_str(&written).ok();
            table.and_then(|mut table| table.remove("x")).ok_or_else(|| {
                format!("`{text}` is no table; write it as in the configuration: {{ a = 0.5, b = 0.5 }}")
            })
        }
        Text | Names | Hint | Unused => Ok(text.into()),
    }
}

fn number(cell: &Cell, sheet: &Sheet) -> Result<Value, String> {
    let text = cell.text.as_str();
    let plain = if cell.form == Form::Number { text.to_owned() } else { with_point(text, sheet)? };
    let wrong = || format!("`{text}` is no number");
    Decimal::parse(&plain).ok_or_else(wrong)?;
    // As TOML would have it.
    let number: f64 = plain.parse().map_err(|_| wrong())?;
    match plain.parse::<i64>() {
        Ok(whole) => Ok(whole.into()),
        Err(_) => serde_json::Number::from_f64(number).map(Value::Number).ok_or_else(wrong),
    }
}

/// `39,5 MJ/Nm3` as `39.5 MJ/Nm3`; without a unit it is left to the check.
fn amount(cell: &Cell, sheet: &Sheet) -> Result<Value, String> {
    let text = cell.text.as_str();
    if text.starts_with('{') {
        return value(cell, Table, sheet);
    }
    match text.split_once(' ') {
        Some((digits, unit)) => Ok(format!("{} {unit}", with_point(digits, sheet)?).into()),
        None => match number(cell, sheet) {
            // A share may be a bare number.
            Ok(number) => Ok(number),
            Err(_) => Ok(text.into()),
        },
    }
}

/// The number with a decimal point. What could be thousands or decimals is no number.
fn with_point(text: &str, sheet: &Sheet) -> Result<String, String> {
    let groups = |sign: char| {
        let parts: Vec<&str> = text.split(sign).collect();
        let first = parts.first().is_some_and(|part| (1..=3).contains(&part.len()) && !part.starts_with('0'));
        parts.len() > 1 && first && parts.iter().skip(1).all(|part| part.len() == 3)
    };
    // Between semicolons a comma is a decimal one; elsewhere it may be either, and a point between semicolons too.
    let ambiguous = match sheet.delimiter {
        Some(b';') => groups('.'),
        Some(b',') => groups(','),
        _ => groups(',') || groups('.'),
    };
    if ambiguous {
        let plain: String = text.chars().filter(char::is_ascii_digit).collect();
        return Err(format!("`{text}` may be {plain} or a fraction; write it without the sign between thousands"));
    }
    // Where both stand, the last one is before the decimals.
    match (text.rfind(','), text.rfind('.')) {
        (Some(comma), Some(point)) if comma > point => Ok(text.replace('.', "").replace(',', ".")),
        (Some(_), Some(_)) => Ok(text.replace(',', "")),
        (Some(_), None) if text.matches(',').count() == 1 => Ok(text.replace(',', ".")),
        _ => Ok(text.to_owned()),
    }
}

fn date(text: &str) -> Result<Value, String> {
    let parts: Vec<&str> = text.split('.').collect();
    if let [day, month, year] = parts.as_slice()
        && year.len() == 4
    {
        return Ok(format!("{year}-{month:0>2}-{day:0>2}").into());
    }
    if text.contains('/') {
        return Err(format!("`{text}` is a date in nobody's order; write 2026-01-31"));
    }
    Ok(text.replacen(' ', "T", 1).into())
}

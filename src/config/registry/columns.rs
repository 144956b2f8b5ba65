//! From the cells of a list to the keys of meters, and back.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::config::checker::nearest;
use crate::config::registry::value::value;
use crate::config::registry::{Cell, Form, Sheet};
/// What a column's cells are read as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// As it stands.
    Text,
    /// One name, or several with `|` between.
    Names,
    /// Numbers, also with a decimal comma.
    Number,
    /// A number with its unit.
    Amount,
    /// A local date, or a time.
    Date,
    Truth,
    /// Several texts and numbers, with `|` between.
    List,
    /// A table as in TOML: `{ a = 0.5, b = 0.5 }`.
    Table,
    /// Says something about the meter that other columns say as well.
    Hint,
    /// For people.
    Unused,
}

use Kind::{Amount, Date, Hint, List, Names, Number, Table, Text, Truth, Unused};

/// The columns, in the order in which lists are written, with other names they go by.
#[rustfmt::skip]
const COLUMNS: &[(&str, Kind, &[&str])] = &[
    ("id", Text, &["meter", "meter_id", "zähler", "zaehler", "zähler_id", "zählernummer", "compteur", "表计", "表号"]),
    ("name", Text, &["description", "bezeichnung", "nom", "désignation", "名称"]),
    ("facility", Text, &["site", "plant", "anlage", "standort", "werk", "usine", "企业"]),
    ("area", Unused, &["bereich", "zone", "区域"]),
    ("medium", Hint, &["energy_carrier", "energieträger", "fluide", "介质"]),
    ("scope", Hint, &["范围"]),
    ("category", Text, &["kategorie", "catégorie", "类别"]),
    ("template", Text, &["vorlage", "modèle"]),
    ("topic", Text, &["mqtt_topic", "thema", "主题"]),
    ("format", Text, &["preset", "payload", "格式"]),
    ("value", Names, &["pointer", "json_pointer", "wert", "valeur"]),
    ("time", Names, &["timestamp", "zeit", "zeitstempel", "horodatage"]),
    ("time_format", Text, &["zeitformat"]),
    ("quality", Names, &["qualität", "qualité"]),
    ("quality_good", List, &[]),
    ("null_values", List, &["nulls", "sentinels"]),
    ("decimal", Text, &["dezimal", "dezimalzeichen"]),
    ("registers", Text, &[]),
    ("word_order", Text, &[]),
    ("sparse", Truth, &[]),
    ("kind", Text, &["type", "art", "typ", "类型"]),
    ("interval", Text, &["intervall", "intervalle"]),
    ("stamp", Text, &[]),
    ("shape", Text, &[]),
    ("unit", Text, &["einheit", "unité", "unite", "单位"]),
    ("scale", Number, &["multiplier", "multiplikator", "skalierung", "échelle", "倍率"]),
    ("offset", Number, &["décalage"]),
    ("rollover_at", Number, &["rollover", "überlauf"]),
    ("reset", Text, &[]),
    ("max_rate", Amount, &["max", "maximum", "höchstwert", "max_leistung", "maximalleistung"]),
    ("expected_every", Text, &["every", "cadence", "takt", "période"]),
    ("max_gap", Text, &[]),
    ("stale_after", Text, &[]),
    ("schedule", Text, &["activity"]),
    ("gateway", Text, &[]),
    ("factor", Names, &["emission_factor", "emissionsfaktor", "faktor", "facteur", "排放因子"]),
    ("factor_location", Names, &[]),
    ("factor_market", Names, &[]),
    ("heat_content", Amount, &["heizwert", "brennwert", "pci", "热值"]),
    ("basis", Text, &[]),
    ("density", Amount, &["dichte", "densité"]),
    ("carbon", Amount, &[]),
    ("moisture", Amount, &[]),
    ("biomass_share", Amount, &[]),
    ("temperature", Amount, &[]),
    ("pressure", Amount, &[]),
    ("max_age", Text, &[]),
    ("product", Text, &[]),
    ("gas", Text, &[]),
    ("uncertainty_pct", Number, &["uncertainty", "unsicherheit", "incertitude"]),
    ("parent", Text, &["hauptzähler"]),
    ("supplier", Text, &["lieferant", "fournisseur"]),
    ("buyer", Text, &[]),
    ("certificates", Text, &[]),
    ("captured_from", Text, &[]),
    ("use", Text, &[]),
    ("deduct", Truth, &[]),
    ("sum", Table, &[]),
    ("allocate", Table, &[]),
    ("history", Table, &[]),
    ("typical", Amount, &[]),
    ("quality_of", Unused, &[]),
    ("valid_from", Date, &["from", "gültig_ab", "valable_du", "生效"]),
    ("valid_to", Date, &["to", "gültig_bis", "valable_au", "失效"]),
    ("note", Text, &["comment", "remark", "bemerkung", "kommentar", "remarque", "备注"]),
];

/// How far down the names of the columns may stand.
const HEADER_WITHIN: usize = 20;

/// What rows may be laid on.
pub(crate) struct Templates<'a> {
    /// The one of rows that name none.
    pub common: Option<&'a str>,
    /// All there are.
    pub all: &'a Value,
}

/// A meter of a list.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub id: String,
    /// What it says, as the table of the meter would.
    pub keys: Map<String, Value>,
    /// The cell of each key, of blank ones too.
    pub cells: BTreeMap<&'static str, Cell>,
}

/// Something wrong with a cell.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// Where in the sheet's text.
    pub span: std::ops::Range<usize>,
    /// What, and what to write.
    pub message: String,
    /// It may be left as it is.
    pub is_warning: bool,
}

/// Reads the meters of a sheet, and all that is wrong with it. A row with a fault is a meter none the less, as far as it can be
/// read: what else is wrong with it is found as well.
pub(crate) fn rows(sheet: &Sheet, templates: &Templates<'_>) -> (Vec<Row>, Vec<Fault>) {
    let mut faults = Vec::new();
    let Some(header) = header(sheet) else {
        let message = format!("no column `id` in the first {HEADER_WITHIN} rows: the first row names the columns");
        faults.push(Fault { span: 0..0, message, is_warning: false });
        return (Vec::new(), faults);
    };
    let columns = header_columns(header, &mut faults);
    let first = header.first().map_or(0, |cell| cell.at.0 + 1);
    let mut rows = Vec::new();
    let mut unused: BTreeMap<&str, &Cell> = BTreeMap::new();
    for cells in sheet.rows.iter().skip(first) {
        let is_blank = cells.iter().all(|cell| cell.text.is_empty());
        if is_blank || cells.first().is_some_and(|cell| cell.text.starts_with('#')) {
            continue;
        }
        rows.extend(row(cells, &columns, (sheet, templates), &mut faults));
        let is_headless =
            |cell: &&Cell| !cell.text.is_empty() && header.get(cell.at.1).is_none_or(|h| h.text.is_empty());
        for cell in cells.iter().filter(is_headless) {
            let message = format!("`{}` is in a column without a name; a sign between cells too many?", cell.text);
            faults.push(Fault { span: cell.span.clone(), message, is_warning: false });
        }
        for (name, kind, at) in &columns {
            if *kind == Unused && cells.get(*at).is_some_and(|cell| !cell.text.is_empty()) {
                unused.entry(name).or_insert(&cells[*at]);
            }
        }
    }
    for (name, cell) in unused {
        faults.push(Fault {
            span: cell.span.clone(),
            message: format!("column `{name}` is not used"),
            is_warning: true,
        });
    }
    (rows, faults)
}

/// Whether some row names the columns.
pub(crate) fn has_header(sheet: &Sheet) -> bool {
    header(sheet).is_some()
}

fn header(sheet: &Sheet) -> Option<&Vec<Cell>> {
    let is_it = |row: &&Vec<Cell>| row.iter().any(|cell| column(&cell.text).is_some_and(|(name, _)| name == "id"));
    sheet.rows.iter().take(HEADER_WITHIN).find(is_it)
}

type Columns = Vec<(&'static str, Kind, usize)>;

fn header_columns(header: &[Cell], faults: &mut Vec<Fault>) -> Columns {
    let mut columns: Columns = Vec::new();
    for cell in header.iter().filter(|cell| !cell.text.is_empty()) {
        let mut fault =
            |message: String, is_warning| faults.push(Fault { span: cell.span.clone(), message, is_warning });
        match column(&cell.text) {
            Some((name, _)) if columns.iter().any(|(known, ..)| *known == name) => {
                fault(format!("column `{}` stands for `{name}`, which there is already", cell.text), false);
            }
            Some((name, kind)) => columns.push((name, kind, cell.at.1)),
            None => {
                let known = COLUMNS.iter().flat_map(|(name, _, aliases)| std::iter::once(name).chain(*aliases));
                match nearest(&normal(&cell.text), known.copied()) {
                    Some(near) => fault(format!("unknown column `{}`; did you mean `{near}`?", cell.text), false),
                    None => fault(format!("column `{}` is not used", cell.text), true),
                }
            }
        }
    }
    columns
}

/// The column that goes by a name.
fn column(name: &str) -> Option<(&'static str, Kind)> {
    let name = normal(name);
    let is_it = |(column, _, aliases): &&(&str, Kind, &[&str])| *column == name || aliases.contains(&name.as_str());
    COLUMNS.iter().find(is_it).map(|(column, kind, _)| (*column, *kind))
}

fn normal(name: &str) -> String {
    let name = name.split('(').next().unwrap_or(name).trim().trim_end_matches(['*', ':']).trim();
    let words = name.to_lowercase();
    words.split([' ', '-', '.', '/', '_']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}

fn row(
    cells: &[Cell],
    columns: &Columns,
    (sheet, templates): (&Sheet, &Templates<'_>),
    faults: &mut Vec<Fault>,
) -> Option<Row> {
    let mut keys = Map::new();
    let mut places = BTreeMap::new();
    let mut hints: BTreeMap<&str, String> = BTreeMap::new();
    let last = cells.last()?;
    for (name, kind, at) in columns {
        // A row may be shorter than its header.
        let blank =
            Cell { text: String::new(), at: (last.at.0, *at), span: last.span.end..last.span.end, form: Form::Text };
        let cell = cells.get(*at).unwrap_or(&blank);
        places.insert(*name, cell.clone());
        if cell.text.is_empty() || *kind == Unused {
            continue;
        }
        if *kind == Hint {
            hints.insert(*name, cell.text.to_lowercase());
            continue;
        }
        match value(cell, *kind, sheet) {
            Ok(value) => {
                keys.insert((*name).to_owned(), value);
            }
            Err(what) => {
                let message = format!("`{name}`: {what}");
                faults.push(Fault { span: cell.span.clone(), message, is_warning: false });
            }
        }
    }
    let id = keys.remove("id").and_then(|id| id.as_str().map(str::to_owned));
    let Some(id) = id else {
        let cell = places.get("id").unwrap_or(last);
        let message = format!("row {} has no `id`", cell.at.0 + 1);
        faults.push(Fault { span: cell.span.clone(), message, is_warning: false });
        return None;
    };
    if let Some(template) = templates.common.filter(|_| !keys.contains_key("template")) {
        keys.insert("template".to_owned(), template.into());
    }
    let template = keys.get("template").and_then(Value::as_str).and_then(|name| templates.all.get(name)).cloned();
    complete(&mut keys, &template.unwrap_or_default(), (&hints, &places), faults);
    Some(Row { id, keys, cells: places })
}

/// What lists leave to be understood: pointers are into JSON, and a time is one that tells its form itself.
fn complete(
    keys: &mut Map<String, Value>,
    template: &Value,
    (hints, places): (&BTreeMap<&str, String>, &BTreeMap<&'static str, Cell>),
    faults: &mut Vec<Fault>,
) {
    let says = |keys: &Map<String, Value>, key: &str| keys.contains_key(key) || template.get(key).is_some();
    let is_pointer = keys.get("value").and_then(Value::as_str).is_some_and(|value| value.starts_with('/'));
    if !says(keys, "format") {
        let format = if is_pointer { Some("json") } else { None };
        let format = format.or_else(|| (!says(keys, "value")).then_some("number"));
        if let Some(format) = format.filter(|_| !says(keys, "sum")) {
            keys.insert("format".to_owned(), format.into());
        }
    }
    let format = keys.get("format").or_else(|| template.get("format")).and_then(Value::as_str);
    if format == Some("json") && keys.contains_key("time") && !says(keys, "time_format") {
        keys.insert("time_format".to_owned(), "auto".into());
    }
    if says(keys, "category") || says(keys, "sum") {
        return;
    }
    match category(hints) {
        Ok(category) => {
            keys.extend(category.map(|category| ("category".to_owned(), category.into())));
        }
        Err(message) => {
            let cell = if hints.contains_key("medium") { "medium" } else { "scope" };
            let span = places.get(cell).map_or(0..0, |cell| cell.span.clone());
            faults.push(Fault { span, message, is_warning: false });
        }
    }
}

/// What a meter of a scope and a medium is booked as.
fn category(hints: &BTreeMap<&str, String>) -> Result<Option<&'static str>, String> {
    let medium = hints.get("medium").map_or("", String::as_str);
    let is = |words: &[&str]| {
        let mut spoken = medium.split(|c: char| !c.is_alphanumeric());
        spoken.any(|word| words.contains(&word))
    };
    let bought = if is(&["electricity", "electric", "power", "strom", "elektrizität", "électricité", "电", "电力"])
    {
        Some("purchased-electricity")
    } else if is(&["steam", "dampf", "vapeur", "蒸汽"]) {
        Some("purchased-steam")
    } else if is(&["heat", "wärme", "fernwärme", "chaleur", "热", "热力"]) {
        Some("purchased-heat")
    } else if is(&["cooling", "cold", "kälte", "froid", "冷"]) {
        Some("purchased-cooling")
    } else {
        None
    };
    match hints.get("scope").map(|scope| scope.trim_start_matches("scope").trim()) {
        None | Some("") if bought.is_none() && !medium.is_empty() => Err(format!(
            "`medium` is `{medium}`: of scope 2 are electricity, steam, heat and cooling; for a fuel `scope` is 1; or give the `category`"
        )),
        None | Some("") => Ok(bought),
        Some("1") => Ok(Some("stationary-combustion")),
        Some("2") if bought.is_some() => Ok(bought),
        Some("2") => Err(format!(
            "`medium` is `{medium}`: of scope 2 are electricity, steam, heat and cooling; or give the `category`"
        )),
        Some(other) => Err(format!("`scope` is `{other}`; it is 1 or 2")),
    }
}

/// Meters as a list, in UTF-8 with commas.
pub fn to_csv(meters: &BTreeMap<String, Map<String, Value>>) -> String {
    let is_used = |name: &str| name == "id" || meters.values().any(|keys| keys.contains_key(name));
    let columns: Vec<&str> = COLUMNS.iter().map(|(name, ..)| *name).filter(|name| is_used(name)).collect();
    let mut text = columns.join(",");
    text.push('\n');
    for (id, keys) in meters {
        let cell = |name: &&str| match *name {
            "id" => id.clone(),
            name => keys.get(name).map(shown).unwrap_or_default(),
        };
        let cells: Vec<String> = columns.iter().map(cell).map(|text| quoted(&text)).collect();
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    text
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) if !list.iter().any(Value::is_object) => {
            list.iter().map(shown).collect::<Vec<_>>().join(" | ")
        }
        Value::Object(_) | Value::Array(_) => inline(value),
        other => other.to_string(),
    }
}

/// As TOML writes it in one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let quoted = |key: &str| Value::String(key.to_owned()).to_string();
            let pairs: Vec<String> = table.iter().map(|(key, v)| format!("{} = {}", quoted(key), inline(v))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    if text.contains([',', ';', '\t', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

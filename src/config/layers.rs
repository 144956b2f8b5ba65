//! Layers: the given file, `conf.d/*.toml` beside it, and the environment, merged by the `config` crate; and the way
//! back from a key to the file, line and column it stands in.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use config::{Config, Environment, FileFormat};
use serde_json::{Map, Value};
use toml_edit::{Document, Item, TableLike};

use crate::config::preset;
use crate::config::problem::{Problem, Severity};
use crate::config::registry::{self, Cell, Fault, Sheet, Templates};

/// A file that was read.
#[derive(Debug)]
pub struct Source {
    /// As given on the command line, or found beside it.
    pub name: String,
    /// Its text.
    pub text: String,
    path: PathBuf,
    document: Option<Document<String>>,
    /// Of a list of meters: its cells.
    sheet: Option<Sheet>,
}

/// Bytes of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which source, by position.
    pub source: usize,
    /// The first byte.
    pub start: usize,
    /// The end, exclusive.
    pub end: usize,
    /// Of a list: row and column, from 0. Blank cells at the end of a row are all at one place.
    pub cell: Option<(usize, usize)>,
}

impl Source {
    /// The cell of a place, if it is in a list: `F12`.
    pub fn cell(&self, place: &Place) -> Option<String> {
        let sheet = self.sheet.as_ref()?;
        place.cell.map(|at| sheet.cell_name(at)).or_else(|| sheet.cell_at(place.start))
    }

    /// The line that a byte is in.
    pub(crate) fn line(&self, byte: usize) -> &str {
        let (line, _) = self.line_column(byte);
        self.text.lines().nth(line - 1).unwrap_or("")
    }

    /// Line and column of a byte, from 1; columns count characters.
    pub fn line_column(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (line, column)
    }
}

/// A list of meters.
#[derive(Clone, Debug)]
pub struct List {
    /// The file.
    pub path: PathBuf,
    /// What it says of each meter.
    pub meters: BTreeMap<String, Map<String, Value>>,
}

/// The merged configuration, and where it came from.
pub(crate) struct Layers {
    pub tree: Value,
    /// Which template each meter has.
    pub templates: BTreeMap<String, String>,
    /// The lists of meters, as they are.
    pub lists: Vec<List>,
    /// The meters of the files, as written.
    pub written: BTreeMap<String, Map<String, Value>>,
    /// Where each key of their meters stands.
    cells: BTreeMap<(String, &'static str), Place>,
    pub sources: Vec<Source>,
    pub problems: Vec<Problem>,
}

/// Reads all layers. Without a file only the environment counts. With `instead`, that list is read for the first one named.
pub(crate) fn read(file: Option<&Path>, instead: Option<&Path>) -> Layers {
    let mut layers = Layers {
        tree: Value::Object(Default::default()),
        templates: BTreeMap::new(),
        lists: Vec::new(),
        written: BTreeMap::new(),
        cells: BTreeMap::new(),
        sources: Vec::new(),
        problems: Vec::new(),
    };
    if let Some(file) = file {
        layers.add_file(file.to_owned());
        match parts(file) {
            Ok(parts) => parts.into_iter().for_each(|path| layers.add_file(path)),
            Err(error) => {
                let directory = file.with_file_name("conf.d");
                layers.problem("C001", "", None, format!("cannot read `{}`: {error}", directory.display()));
            }
        }
    }
    layers.merge();
    let meters = layers.meters().map(|meters| meters.clone()).unwrap_or_default();
    layers.written = meters.into_iter().filter_map(|(id, keys)| Some((id, keys.as_object()?.clone()))).collect();
    layers.read_lists(instead);
    layers.templates = preset::lay_under(&mut layers.tree);
    layers
}

/// The `conf.d` neighbours of the file, sorted by name; there need not be any.
fn parts(file: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(file.with_file_name("conf.d")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut parts = entries.map(|entry| entry.map(|e| e.path())).collect::<std::io::Result<Vec<_>>>()?;
    parts.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    parts.sort();
    Ok(parts)
}

impl Layers {
    fn add_file(&mut self, path: PathBuf) {
        let name = path.display().to_string();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("cannot read `{name}`: {error}");
                return self.problem("C001", "", None, message);
            }
        };
        let source = self.sources.len();
        let document = match Document::parse(text.clone()) {
            Ok(document) => Some(document),
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                let place = Place { source, start: span.start, end: span.end, cell: None };
                let again = if error.message().contains("duplicate key") { "; it stands once in a file" } else { "" };
                self.problem("C002", "", Some(place), format!("not valid TOML: {}{again}", error.message().trim_end()));
                None
            }
        };
        self.sources.push(Source { name, text, path, document, sheet: None });
    }

    /// Lists of meters, beside the meters of the files.
    fn read_lists(&mut self, instead: Option<&Path>) {
        let registry = self.tree.get("registry").cloned().unwrap_or_default();
        let files = registry.get("files").and_then(Value::as_array).cloned().unwrap_or_default();
        let template = registry.get("template").and_then(Value::as_str);
        let mut instead = instead;
        for written in files.iter().filter_map(Value::as_str) {
            let path = self.resolve(&["registry", "files"], written);
            let from = instead.take().map_or_else(|| path.clone(), Path::to_owned);
            match Sheet::read(&from) {
                Ok(sheet) => self.add_list((path, &from), sheet, template),
                Err(error) => {
                    let place = self.value_place(&["registry", "files"]);
                    let message = format!("cannot read the list of meters `{}`: {error}", from.display());
                    self.problem("C001", "registry.files", place, message);
                }
            }
        }
    }

    fn add_list(&mut self, (path, from): (PathBuf, &Path), mut sheet: Sheet, template: Option<&str>) {
        let source = self.sources.len();
        let all = self.tree.get("templates").cloned().unwrap_or_default();
        let (rows, faults) = registry::rows(&sheet, &Templates { common: template, all: &all });
        for Fault { span, message, is_warning } in faults {
            let place = Place { source, start: span.start, end: span.end, cell: None };
            let severity = if is_warning { Severity::Warning } else { Severity::Error };
            let (path, place) = ("registry.files".to_owned(), Some(place));
            self.problems.push(Problem { code: "C014", severity, path, place, message, help: None });
        }
        let text = std::mem::take(&mut sheet.text);
        let name = from.display().to_string();
        self.sources.push(Source { name, text, path: from.to_owned(), document: None, sheet: Some(sheet) });
        let mut list = List { path, meters: BTreeMap::new() };
        for row in rows {
            let of = |cell: &Cell| Place { source, start: cell.span.start, end: cell.span.end, cell: Some(cell.at) };
            let id_cell = row.cells.get("id").map(of);
            if self.is_taken(&row.id, id_cell) {
                continue;
            }
            for (key, cell) in row.cells {
                self.cells.insert((row.id.clone(), key), of(&cell));
            }
            list.meters.insert(row.id.clone(), row.keys.clone());
            if let Some(meters) = self.meters() {
                meters.insert(row.id, Value::Object(row.keys));
            }
        }
        self.lists.push(list);
    }

    fn meters(&mut self) -> Option<&mut Map<String, Value>> {
        let tree = self.tree.as_object_mut()?;
        tree.entry("meters").or_insert_with(|| Value::Object(Map::new())).as_object_mut()
    }

    /// A meter is declared once; the second place is told of the first.
    fn is_taken(&mut self, id: &str, place: Option<Place>) -> bool {
        if self.meters().is_none_or(|meters| !meters.contains_key(id)) {
            return false;
        }
        let first = self.key_place(&["meters", id]).map(|place| self.place_text(&place));
        let first = first.unwrap_or_else(|| "the environment".to_owned());
        self.problem("C015", &format!("meters.{id}"), place, format!("meter `{id}` is declared already, in {first}"));
        true
    }

    /// Things with an id are declared once, whole, in one file: else two of them would become one.
    fn refuse_twice_declared(&mut self) {
        let mut first: BTreeMap<(&str, String), Place> = BTreeMap::new();
        let mut twice = Vec::new();
        for (source, s) in self.sources.iter().enumerate() {
            let Some(document) = &s.document else {
                continue;
            };
            for section in DECLARED {
                let table = walk(document, &[section]).and_then(Item::as_table_like);
                for (id, _) in table.into_iter().flat_map(|table| table.iter()) {
                    let span = key_span(document, &[section, id]).unwrap_or(0..0);
                    let place = Place { source, start: span.start, end: span.end, cell: None };
                    match first.get(&(section, id.to_owned())) {
                        Some(before) => twice.push((section, id.to_owned(), self.place_text(before), place)),
                        None => drop(first.insert((section, id.to_owned()), place)),
                    }
                }
            }
        }
        for (section, id, before, place) in twice {
            let message = format!("`[{section}.{id}]` is declared already, in {before}");
            self.problem("C015", &format!("{section}.{id}"), Some(place), message);
        }
    }

    fn merge(&mut self) {
        self.refuse_twice_declared();
        self.refuse_near_variables();
        let mut builder = Config::builder();
        for source in self.sources.iter().filter(|s| s.document.is_some()) {
            builder = builder.add_source(config::File::from_str(&source.text, FileFormat::Toml));
        }
        let environment =
            Environment::with_prefix("EMISSIOND").prefix_separator("__").separator("__").try_parsing(true);
        let merged = builder.add_source(environment).build().and_then(Config::try_deserialize::<Value>);
        match merged {
            Ok(tree) => self.tree = tree,
            Err(error) => self.problem("C002", "", None, error.to_string()),
        }
    }

    /// A variable with single strokes would be overlooked.
    fn refuse_near_variables(&mut self) {
        let near = |name: &str| {
            let rest = name.strip_prefix("EMISSIOND_").filter(|rest| !rest.starts_with('_'))?;
            let section = SECTIONS.into_iter().find(|section| rest.starts_with(&format!("{section}_")))?;
            let key = rest.get(section.len() + 1..)?.trim_start_matches('_');
            Some(format!("EMISSIOND__{section}__{key}"))
        };
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let names: Vec<(String, String)> = names.filter_map(|name| Some((near(&name)?, name))).collect();
        for (meant, name) in names {
            self.problem("C018", "", None, format!("the variable `{name}` says nothing; did you mean `{meant}`?"));
        }
    }

    fn problem(&mut self, code: &'static str, path: &str, place: Option<Place>, message: String) {
        let problem = Problem { code, severity: Severity::Error, path: path.to_owned(), place, message, help: None };
        self.problems.push(problem);
    }

    /// Where a key's value stands: in the last layer that has it.
    pub(crate) fn value_place(&self, path: &[&str]) -> Option<Place> {
        self.find(path, |document, path| {
            let item = walk(document, path)?;
            // A table's own span begins at its bracket; its name says more.
            let span = if item.is_table() { None } else { item.span() };
            span.or_else(|| key_span(document, path))
        })
    }

    /// Where a value comes from, for people.
    pub(crate) fn origin(&self, path: &[&str]) -> String {
        let variable = variable(path);
        if std::env::var_os(&variable).is_some() {
            return format!("environment {variable}");
        }
        if let Some(place) = self.value_place(path) {
            return self.place_text(&place);
        }
        let format = match path {
            ["meters", id, ..] => self.tree["meters"][*id]["format"].as_str(),
            _ => None,
        };
        format.map_or_else(|| "the environment".to_owned(), |format| format!("preset {format}"))
    }

    /// `file:line:column`, or the cell of a list.
    fn place_text(&self, place: &Place) -> String {
        let Some(source) = self.sources.get(place.source) else {
            return String::new();
        };
        let (line, column) = source.line_column(place.start);
        match source.cell(place) {
            Some(cell) => format!("{}, cell {cell}", source.name),
            None => format!("{}:{line}:{column}", source.name),
        }
    }

    /// Where a key itself stands.
    pub(crate) fn key_place(&self, path: &[&str]) -> Option<Place> {
        self.find(path, key_span)
    }

    fn find(
        &self,
        path: &[&str],
        span: impl Fn(&Document<String>, &[&str]) -> Option<std::ops::Range<usize>>,
    ) -> Option<Place> {
        if path.is_empty() {
            return None;
        }
        if std::env::var_os(variable(path)).is_some() {
            // The last layer of all.
            return None;
        }
        let own = self.find_written(path, &span).or_else(|| self.cell(path));
        own.or_else(|| match path {
            // What a meter does not say itself may be said by its template.
            ["meters", id, rest @ ..] if !rest.is_empty() => {
                let template = self.templates.get(*id)?;
                let path: Vec<&str> = ["templates", template.as_str()].iter().chain(rest).copied().collect();
                self.find_written(&path, &span)
            }
            _ => None,
        })
    }

    fn cell(&self, path: &[&str]) -> Option<Place> {
        let (id, key) = match path {
            ["meters", id] => (*id, "id"),
            ["meters", id, key, ..] => (*id, *key),
            _ => return None,
        };
        let mut of_meter = self.cells.range((id.to_owned(), "")..).take_while(|((of, _), _)| of == id);
        of_meter.find(|((_, column), _)| *column == key).map(|(_, place)| place.clone())
    }

    fn find_written(
        &self,
        path: &[&str],
        span: &impl Fn(&Document<String>, &[&str]) -> Option<std::ops::Range<usize>>,
    ) -> Option<Place> {
        self.sources.iter().enumerate().rev().find_map(|(source, s)| {
            let range = span(s.document.as_ref()?, path)?;
            Some(Place { source, start: range.start, end: range.end, cell: None })
        })
    }

    /// A secret's file: the systemd credential of the same name where there is one, else the file as written; for a command
    /// beside the service, where a file of its configuration is not there, that which the service was handed.
    pub(crate) fn secret(&self, key: &[&str], written: &str) -> PathBuf {
        let file = self.resolve(key, written);
        let Some(name) = credential_name(&file) else {
            return file;
        };
        let within = |directory: PathBuf| Some(directory.join(&name)).filter(|path| path.is_file());
        let own = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        // Whoever may see the directory of secrets sees what is not there.
        let is_absent = file.starts_with(CONFIGURATION) && !file.exists() && !name.starts_with("secrets_");
        let handed = || within(PathBuf::from(HANDED)).filter(|_| is_absent);
        own.and_then(within).or_else(handed).unwrap_or(file)
    }

    /// Relative paths are relative to the file that names them.
    pub(crate) fn resolve(&self, key: &[&str], written: &str) -> PathBuf {
        let base = self.value_place(key).and_then(|place| self.sources.get(place.source)?.path.parent());
        base.unwrap_or(Path::new("")).join(written)
    }
}

/// The name of a file as a credential: its own; of one below the directory that the package's unit is handed as a whole, as systemd
/// names it.
pub(crate) fn credential_name(file: &Path) -> Option<String> {
    // `conf.d/../secrets` is the same directory.
    let mut plain = PathBuf::new();
    for part in file.components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            part => plain.push(part),
        }
    }
    let Ok(within) = plain.strip_prefix(SECRETS) else {
        return Some(file.file_name()?.to_str()?.to_owned());
    };
    let parts: Option<Vec<&str>> = within.iter().map(|part| part.to_str()).collect();
    Some(format!("secrets_{}", parts?.join("_")))
}

/// Where the package's configuration is, and the secrets that its unit is handed as a whole.
const CONFIGURATION: &str = "/etc/emissiond";
pub(crate) const SECRETS: &str = "/etc/emissiond/secrets";
/// Where systemd puts what it hands to the service.
pub(crate) const HANDED: &str = "/run/credentials/emissiond.service";

/// Sections that variables are mostly of.
const SECTIONS: [&str; 6] = ["DAEMON", "MQTT", "INFLUXDB", "LEDGER", "JOURNAL", "FACTORS"];

/// Sections of things with an id.
const DECLARED: [&str; 9] =
    ["networks", "clusters", "facilities", "meters", "templates", "stacks", "chp", "contracts", "transfers"];

/// The variable of the environment that says this key.
pub(crate) fn variable(path: &[&str]) -> String {
    format!("EMISSIOND__{}", path.join("__").to_uppercase())
}

fn walk<'a>(document: &'a Document<String>, path: &[&str]) -> Option<&'a Item> {
    path.iter().try_fold(document.as_item(), |item, key| match item.as_array() {
        Some(_) => None,
        None => item.as_table_like()?.get(key),
    })
}

fn key_span(document: &Document<String>, path: &[&str]) -> Option<std::ops::Range<usize>> {
    let (last, parents) = path.split_last()?;
    let table: &dyn TableLike = walk(document, parents)?.as_table_like()?;
    table.get_key_value(last)?.0.span()
}

//! Tables: as JSON, one object a line, or CSV, and part by part.

use std::collections::BTreeSet;

use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::http::problem::Problem;

/// How a table is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    #[default]
    Json,
    Jsonl,
    Csv,
}

/// How a table is written that comes as a whole.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Written {
    /// How the rows are written.
    #[param(inline, default = "jsonl")]
    pub format: Option<Form>,
}

/// Which part of a table.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// At most so many rows; the header `Link` leads to the next.
    #[param(minimum = 1, maximum = 100_000, default = 100_000)]
    pub limit: Option<usize>,
    /// So many rows are left out first.
    #[param(minimum = 0, default = 0)]
    pub offset: Option<usize>,
    /// How they are written.
    #[param(inline, default = "json")]
    pub format: Option<Form>,
}

/// Rows in one answer.
pub(crate) const ROWS_MAX: usize = 100_000;

/// The part of a list that is asked for, and how many rows lie before the next part. `None`: there is none.
pub(crate) fn part<T>(
    rows: impl IntoIterator<Item = T>,
    (limit, offset): (Option<usize>, Option<usize>),
) -> Result<(Vec<T>, Option<usize>), Problem> {
    let (limit, offset) = (limit.unwrap_or(ROWS_MAX), offset.unwrap_or(0));
    if !(1..=ROWS_MAX).contains(&limit) {
        return Err(Problem::Bad(format!("`limit` must be a number from 1 to {ROWS_MAX}")));
    }
    let mut rows = rows.into_iter().skip(offset);
    let taken: Vec<T> = rows.by_ref().take(limit).collect();
    let next = rows.next().map(|_| offset.saturating_add(limit));
    Ok((taken, next))
}

/// A part of a table as it is asked for.
pub(crate) fn table<T: Serialize>(
    rows: impl IntoIterator<Item = T>,
    page: &Page,
    uri: &Uri,
) -> Result<Response, Problem> {
    let (rows, next) = part(rows, (page.limit, page.offset))?;
    Ok(with_next(formed(&rows, page.format.unwrap_or_default())?, next, uri))
}

/// All rows in a form.
pub(crate) fn formed(rows: &[impl Serialize], form: Form) -> Result<Response, Problem> {
    Ok(match form {
        Form::Json => json(array(rows.iter())),
        Form::Jsonl => ([(header::CONTENT_TYPE, "application/jsonl")], lines(rows)).into_response(),
        Form::Csv => ([(header::CONTENT_TYPE, "text/csv")], csv(rows)?).into_response(),
    })
}

/// Says where the next part is.
pub(crate) fn with_next(mut response: Response, next: Option<usize>, uri: &Uri) -> Response {
    let Some(offset) = next else {
        return response;
    };
    let kept = uri.query().unwrap_or("").split('&').filter(|part| !part.is_empty() && !part.starts_with("offset="));
    let query: Vec<String> = kept.map(str::to_owned).chain([format!("offset={offset}")]).collect();
    let link = format!("<{}?{}>; rel=\"next\"", uri.path(), query.join("&"));
    if let Ok(link) = HeaderValue::from_str(&link) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

/// An array, one row a line.
pub(crate) fn array(rows: impl Iterator<Item = impl Serialize>) -> String {
    let rows: Vec<String> = rows.map(|row| text(&row)).collect();
    format!("[{}]\n", rows.join(",\n"))
}

/// One row a line.
pub(crate) fn lines(rows: impl IntoIterator<Item = impl Serialize>) -> String {
    rows.into_iter().map(|row| format!("{}\n", text(&row))).collect()
}

pub(crate) fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Texts and numbers always have one.
fn text(row: &impl Serialize) -> String {
    serde_json::to_string(row).unwrap_or_default()
}

/// With a header of all fields of all rows; what is no text or number is JSON within its field.
fn csv(rows: &[impl Serialize]) -> Result<Vec<u8>, Problem> {
    let object = |row| match serde_json::to_value(row) {
        Ok(Value::Object(row)) => Some(row),
        _ => None,
    };
    let rows: Vec<Map<String, Value>> = rows.iter().filter_map(object).collect();
    let fields: BTreeSet<&String> = rows.iter().flat_map(Map::keys).collect();
    let failed = |error: csv::Error| Problem::Bad(format!("it cannot be written as CSV: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    if !fields.is_empty() {
        writer.write_record(&fields).map_err(failed)?;
    }
    for row in &rows {
        writer
            .write_record(fields.iter().map(|field| row.get(*field).map_or_else(String::new, cell)))
            .map_err(failed)?;
    }
    writer.into_inner().map_err(|error| Problem::Bad(error.to_string()))
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Row {
        id: &'static str,
        more: Option<[u8; 2]>,
    }

    #[test]
    fn a_table_comes_in_parts_and_forms() {
        let rows = || [Row { id: "a", more: None }, Row { id: "b,\"c\"", more: Some([1, 2]) }];
        assert_eq!(array(rows().iter()), "[{\"id\":\"a\",\"more\":null},\n{\"id\":\"b,\\\"c\\\"\",\"more\":[1,2]}]\n");
        assert_eq!(String::from_utf8(csv(&rows()).unwrap()).unwrap(), "id,more\na,\n\"b,\"\"c\"\"\",\"[1,2]\"\n");
        let uri: Uri = "/t?offset=0&limit=1&format=json".parse().unwrap();
        let page = Page { limit: Some(1), offset: Some(0), format: None };
        let first = table(rows(), &page, &uri).unwrap();
        assert_eq!(first.headers()["link"], "</t?limit=1&format=json&offset=1>; rel=\"next\"");
        let last = table(rows(), &Page { offset: Some(1), ..page.clone() }, &uri).unwrap();
        assert!(!last.headers().contains_key("link"));
        assert!(table(rows(), &Page { limit: Some(0), ..page }, &uri).is_err());
    }
}

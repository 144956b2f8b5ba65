//! Tables: as JSON, one object a line, or CSV, and part by part.

use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
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
    let response = match page.format.unwrap_or_default() {
        Form::Json => json(array(rows.iter())),
        Form::Jsonl => json_lines(rows.iter()),
        Form::Csv => ([(header::CONTENT_TYPE, "text/csv")], csv(&rows)).into_response(),
    };
    Ok(with_next(response, next, uri))
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

pub(crate) fn json_lines(rows: impl IntoIterator<Item = impl Serialize>) -> Response {
    ([(header::CONTENT_TYPE, "application/jsonl")], lines(rows)).into_response()
}

pub(crate) fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Texts and numbers always have one.
fn text(row: &impl Serialize) -> String {
    serde_json::to_string(row).unwrap_or_default()
}

/// With a header; what is no text or number is JSON within its field.
fn csv(rows: &[impl Serialize]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut is_first = true;
    for row in rows {
        let Ok(Value::Object(row)) = serde_json::to_value(row) else {
            continue;
        };
        if std::mem::take(&mut is_first) {
            // Memory takes all of it.
            let _ = writer.write_record(row.keys());
        }
        let _ = writer.write_record(row.values().map(cell));
    }
    writer.into_inner().unwrap_or_default()
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
        assert_eq!(String::from_utf8(csv(&rows())).unwrap(), "id,more\na,\n\"b,\"\"c\"\"\",\"[1,2]\"\n");
        let uri: Uri = "/t?offset=0&limit=1&format=json".parse().unwrap();
        let page = Page { limit: Some(1), offset: Some(0), format: None };
        let first = table(rows(), &page, &uri).unwrap();
        assert_eq!(first.headers()["link"], "</t?limit=1&format=json&offset=1>; rel=\"next\"");
        let last = table(rows(), &Page { offset: Some(1), ..page.clone() }, &uri).unwrap();
        assert!(!last.headers().contains_key("link"));
        assert!(table(rows(), &Page { limit: Some(0), ..page }, &uri).is_err());
    }
}

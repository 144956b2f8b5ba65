//! The schema of the database, and the HTTP interface.

use std::fmt::Write as _;

use serde_json::Value;

use crate::cli::generate::{cell, head};
use crate::emission::Column;
use crate::http::openapi_json;

/// Measurements, tags and fields.
pub(crate) fn database() -> String {
    let mut text = head("Schema of InfluxDB");
    text.push_str(
        "\nTags are ids that never change; types of fields never change. A point is overwritten by the same key and time. Times are\n\
         in seconds. Masses are kilograms as floats: exact to the milligram up to 9 million tonnes; the ledger holds them as integers.\n\
         \n## emissions\n\nTags: `level` (`meter`, `facility`, `cluster`, `network`), `window` (`1m`, `15m`, `1h`, `1d`, `1mo`, `1y`), and the ids\n\
         `network`, `cluster`, `facility`, `meter` as far as the level has them. Time: the start of the window.\n\n| field | type |\n|---|---|\n",
    );
    for column in Column::ALL {
        let _ = writeln!(text, "| `{}_kg` | float |", column.name());
    }
    text.push_str(
        "| `coverage` | float |\n| `uncertainty_pct` | float |\n| `revision` | integer |\n\
         \n## alarms\n\nTags: `rule`, `entity`, `priority`. Time: the change of state.\n\n| field | type |\n|---|---|\n\
         | `state` | string |\n| `value` | float |\n| `limit` | float |\n| `excess_kg` | float |\n\
         \n## ledger\n\nA mark of the daemon, by which it notices that its state directory is an old copy.\n",
    );
    text
}

/// Each path with its parameters, from the document.
pub(crate) fn api() -> String {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap_or_default();
    let mut text = head("HTTP interface");
    text.push_str(
        "\n`/api/openapi.json` says it exactly, with the schemas of all answers. In clear, reading needs no token;\n\
         over `daemon.https` it needs that of `daemon.token_file`, as `Authorization: Bearer` or as a password for any user. Changing\n\
         needs it as `Authorization: Bearer` or `X-Emissiond-Token`; without a token it needs a loopback address and no proxy in between. Errors are a line of text.\n",
    );
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let about = operation["summary"].as_str().or(operation["description"].as_str()).unwrap_or("");
            let _ = write!(text, "\n## {} {path}\n\n{about}\n", method.to_uppercase());
            let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
            if !parameters.is_empty() {
                text.push_str("\n| parameter | |\n|---|---|\n");
            }
            for parameter in parameters {
                let (name, about) =
                    (parameter["name"].as_str().unwrap_or(""), parameter["description"].as_str().unwrap_or(""));
                let needed = if parameter["required"] == true { " (needed)" } else { "" };
                let _ = writeln!(text, "| `{name}`{needed} | {} |", cell(about));
            }
            body(&document, operation, &mut text);
        }
    }
    text
}

/// What is sent.
fn body(document: &Value, operation: &Value, text: &mut String) {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    let Some(name) = schema.as_str().and_then(|path| path.rsplit('/').next()) else {
        return;
    };
    let schema = &document["components"]["schemas"][name];
    let needed: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    text.push_str("\n| in the body (JSON) | |\n|---|---|\n");
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        let needed = if needed.contains(&key.as_str()) { " (needed)" } else { "" };
        let _ = writeln!(text, "| `{key}`{needed} | {} |", cell(value["description"].as_str().unwrap_or("")));
    }
}

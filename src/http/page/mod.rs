//! The page: four levels - all clusters, a facility, a meter, the daemon - and the alarms. It is useful as it first comes,
//! without any script; with `page.js` it stays up to date by `/api/v1/live`. It asks nobody else for anything.

mod alarms;
mod facility;
mod meter;
mod number;
mod overview;
mod parts;
mod system;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use sha2::{Digest, Sha256};

pub(crate) use alarms::show as alarms;
pub(crate) use facility::{show as facility, show_cluster as cluster};
pub(crate) use meter::show as meter;
pub(crate) use overview::show as overview;
pub(crate) use system::show as system;

use crate::http::board::Board;
use crate::http::problem::Problem;
use crate::quantity::Zone;

/// What pages are made of, by name: content type and bytes.
const ASSETS: [(&str, &str, &[u8]); 6] = [
    ("page.css", "text/css", include_bytes!("assets/page.css")),
    ("icon.svg", "image/svg+xml", include_bytes!("assets/icon.svg")),
    ("page.js", "text/javascript", include_bytes!("assets/page.js")),
    ("charts.js", "text/javascript", include_bytes!("assets/charts.js")),
    // https://github.com/leeoniya/uPlot, MIT, version 1.6.32; hashes and licence beside it.
    ("uPlot.js", "text/javascript", include_bytes!("assets/uPlot.iife.min.js")),
    ("uPlot.css", "text/css", include_bytes!("assets/uPlot.min.css")),
];

/// Nothing from elsewhere, nothing within the text, and no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// One of the parts.
pub(crate) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let found = ASSETS.iter().find(|(known, ..)| *known == name);
    let (_, kind, bytes) = found.ok_or_else(|| Problem::Missing(format!("there is no `{name}`")))?;
    let tag = format!("\"{:x}\"", Sha256::digest(bytes));
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    // Another version of the daemon has other parts under the same names.
    let kept = [(header::ETAG, tag), (header::CACHE_CONTROL, "no-cache".to_owned())];
    Ok((kept, [(header::CONTENT_TYPE, format!("{kind}; charset=utf-8"))], *bytes).into_response())
}

/// A page as it is sent.
fn page(title: &str, board: &Board, zone: &Zone, body: &Markup) -> Response {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " - emissiond" }
                link rel="icon" href="/assets/icon.svg";
                link rel="stylesheet" href="/assets/uPlot.css";
                link rel="stylesheet" href="/assets/page.css";
                script src="/assets/uPlot.js" defer {}
                script src="/assets/page.js" type="module" {}
            }
            body data-number=(board.number) data-plan=(board.plan) {
                (head(board, zone))
                main id="main" { (body) }
            }
        }
    };
    let headers = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer")),
    ];
    (headers, markup).into_response()
}

fn head(board: &Board, zone: &Zone) -> Markup {
    let state = &board.state;
    let database = if board.has_database { "well" } else { "none" };
    let lamps = [
        ("broker", "Broker", &state.broker, "well"),
        ("database", "Database", &state.database, database),
        ("intake", "Intake", &state.intake, "well"),
        ("configuration", "Configuration", &state.configuration, "well"),
    ];
    html! {
        a .skip href="#main" { "Skip to the figures" }
        header {
            nav aria-label="Levels" {
                a href="/" { "Overview" }
                a href="/alarms" { "Alarms" }
                a href="/system" { "System" }
            }
            @if board.simulated { p .stamp { span .simulated { "\u{25b2} SIMULATED: no figure is a measurement" } } }
            p .stamp {
                "As of " time #at datetime=(board.at) data-zone=(zone.name()) { (number::local(&board.at, zone)) }
                " " (zone.name()) ", closed up to "
                time #watermark datetime=(board.watermark) data-zone=(zone.name()) { (number::local(&board.watermark, zone)) }
                span #link role="status" {}
            }
            ul .lamps {
                @for (id, name, trouble, calm) in lamps {
                    li id=(format!("lamp-{id}")) data-name=(name) data-calm=(calm) .trouble[trouble.is_some()] {
                        (name) ": " (trouble.as_deref().unwrap_or(calm))
                    }
                }
            }
            (parts::banner(board, zone))
            p #message role="alert" {}
        }
    }
}

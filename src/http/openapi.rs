//! `/api/openapi.json`: what may be asked for over HTTP, from the types that are answered.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::http::{alarms, entries, factors, live, quarantine, readings, refused, status, trail};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "emissiond",
        description = "Real-time scope 1 and scope 2 emissions of an industrial cluster. Reading needs no token; changing needs \
                       the one of `daemon.token_file`, or a loopback address."
    ),
    paths(
        status::show, status::ready, status::meters, status::unmapped, entries::show, readings::show, factors::show, refused::show, quarantine::show,
        quarantine::decide, alarms::show, alarms::show_rules, alarms::acknowledge, alarms::put_aside,
        trail::adjust, trail::restate, trail::audit, trail::explain, live::follow, live::show,
    ),
    modifiers(&Token)
)]
struct Document;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

/// The document.
pub fn openapi_json() -> String {
    let text = Document::openapi().to_pretty_json();
    // Texts always have one.
    text.map(|text| format!("{text}\n")).unwrap_or_default()
}

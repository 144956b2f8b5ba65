//! The database: its version, the bucket, what the token may.

use crate::cli::doctor::Line;
use crate::clock;
use crate::config::Plan;
use crate::influx::{Examined, examine};

pub(crate) async fn look(plan: &Plan) -> Vec<Line> {
    let Some(options) = &plan.influx else {
        return vec![Line::pass("database", "none is configured: all is in the ledger")];
    };
    let line = |Examined { what, found }| match found {
        Ok(text) => Line::pass(what, text),
        Err((text, cure)) => Line::fail(what, text, cure),
    };
    examine(options, &plan.rules, clock::now).await.into_iter().map(line).collect()
}

//! Turns of alarms as JSON.

use serde_json::{Value, json};

use crate::alert::{Level, State, Turned};
use crate::cluster::Topology;

/// How things stand, as written: a level, or `normal`, or `unknown`.
pub fn state_name(state: State) -> &'static str {
    match state {
        State::Normal => "normal",
        State::Unknown => "unknown",
        State::Suppressed => "suppressed",
        State::Over(level) => Level::of(level).map_or("over", Level::name),
    }
}

/// Milligrams as kilograms, exactly.
pub fn kg_text(mg: i128) -> String {
    let sign = if mg < 0 { "-" } else { "" };
    let (whole, part) = (mg.unsigned_abs() / 1_000_000, mg.unsigned_abs() % 1_000_000);
    let text = format!("{sign}{whole}.{part:06}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// One turn as a JSON object on one line, without a line end.
pub fn turned_json(turned: &Turned<'_>, topology: &Topology) -> String {
    let Turned { rule, watched, turn } = turned;
    let priority = Level::of(turn.state.level()).map(|level| level.priority(rule.priority).name());
    let number = |mg: Option<i128>| mg.map_or(Value::Null, |mg| number(&kg_text(mg)));
    json!({
        "level": "alarm",
        "at": turn.at.to_string(),
        "rule": rule.id.as_str(),
        "entity": watched.text(topology),
        "state": state_name(turn.state),
        "priority": priority,
        "value": number(turn.seen.map(|seen| seen.value)),
        "limit": number(turn.seen.map(|seen| seen.limit)),
        "unit": rule.kind.unit(),
    })
    .to_string()
}

/// The same digits as a JSON number.
fn number(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilograms_are_exact() {
        let texts = [0, 1, 861_200_000, -20_600_000, 5_000_000].map(kg_text);
        assert_eq!(texts, ["0", "0.000001", "861.2", "-20.6", "5"]);
    }
}

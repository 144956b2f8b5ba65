//! Whose topics are whose: a facility that is let into its own topics alone, by the broker's access rules, must not be able to
//! speak for another one's meters.

use crate::cluster::{Entity, Topology};
use crate::config::checker::Checker;
use crate::config::file::File;
use crate::config::problem::Severity;
use crate::config::service::is_filter;
use crate::decode::Mapping;

/// Checks the topics of all meters against those that facilities own (`facilities.ID.topics`).
pub(crate) fn check_owners(checker: &mut Checker, file: &File, topology: &Topology, mappings: &[Mapping]) {
    let mut owned: Vec<(&str, &str)> = Vec::new();
    for (id, section) in &file.facilities {
        for filter in section.topics.iter().flatten() {
            if is_filter(filter) {
                owned.push((filter, id));
                continue;
            }
            let message = format!("`{filter}` is no topic filter: `+` stands for a whole level, `#` for all the rest");
            checker.error("C006", &["facilities", id, "topics"], message);
        }
    }
    for mapping in mappings {
        let meter = topology.meter(mapping.meter);
        let facility = topology.id(Entity::Facility(meter.facility)).as_str();
        let owners: Vec<&str> =
            owned.iter().filter(|(filter, _)| is_within(&mapping.topic, filter)).map(|(_, id)| *id).collect();
        let topic = &mapping.topic;
        let (message, help) = if let Some(other) = owners.iter().find(|owner| **owner != facility) {
            let message = format!("topic `{topic}` is one of facility `{other}`, and the meter of `{facility}`");
            (message, "whoever may publish for one facility must not speak for another: choose a topic of its own")
        } else if owners.is_empty() && owned.iter().any(|(_, id)| *id == facility) {
            let message = format!("topic `{topic}` is none of the topics of facility `{facility}`");
            (message, "add it to `topics` of the facility, or let the meter listen to one of them")
        } else {
            continue;
        };
        let path = ["meters", meter.id.as_str(), "topic"];
        checker.push("C025", Severity::Error, &path, message, Some(help.to_owned()));
    }
}

/// Whether all that a topic, or filter, stands for is within a filter.
fn is_within(topic: &str, filter: &str) -> bool {
    let (mut levels, mut wanted) = (topic.split('/'), filter.split('/'));
    loop {
        match (levels.next(), wanted.next()) {
            (_, Some("#")) | (None, None) => return true,
            (Some("#"), _) => return false,
            (Some(level), Some(want)) if want == "+" || level == want => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_lie_within_filters() {
        for (topic, filter) in
            [("dk/a/el", "dk/a/#"), ("dk/a", "dk/a/#"), ("dk/a/el", "dk/+/el"), ("dk/+/el", "dk/+/#"), ("a", "#")]
        {
            assert!(is_within(topic, filter), "{topic} {filter}");
        }
        for (topic, filter) in
            [("dk/b/el", "dk/a/#"), ("dk/a/el/x", "dk/a/el"), ("dk", "dk/a"), ("dk/+/el", "dk/a/#"), ("dk/#", "dk/+")]
        {
            assert!(!is_within(topic, filter), "{topic} {filter}");
        }
    }
}

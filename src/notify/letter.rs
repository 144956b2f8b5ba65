//! What is told in one go: news of alarms that belong together.

use std::collections::BTreeMap;

use crate::alert::{Alarm, Phase};
use crate::store::Notice;

/// What alarms are put together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// The rule.
    Rule,
    /// Its kind.
    Kind,
    /// What it is about.
    Entity,
    /// The facility.
    Facility,
    /// The cluster.
    Cluster,
    /// How soon somebody must act.
    Priority,
}

impl Label {
    /// As written.
    pub const NAMES: [(&str, Label); 6] = [
        ("rule", Label::Rule),
        ("kind", Label::Kind),
        ("entity", Label::Entity),
        ("facility", Label::Facility),
        ("cluster", Label::Cluster),
        ("priority", Label::Priority),
    ];

    /// As Alertmanager's users expect it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Label::Rule => "alertname",
            Label::Kind => "kind",
            Label::Entity => "entity",
            Label::Facility => "facility",
            Label::Cluster => "cluster",
            Label::Priority => "priority",
        }
    }

    pub(crate) fn of(self, alarm: &Alarm) -> Option<&str> {
        match self {
            Label::Rule => Some(&alarm.rule),
            Label::Kind => Some(&alarm.kind),
            Label::Entity => Some(&alarm.entity),
            Label::Facility => alarm.facility.as_deref(),
            Label::Cluster => alarm.cluster.as_deref(),
            // The same for as long as the alarm is: others know it by its labels.
            Label::Priority => Some(alarm.rule_priority.name()),
        }
    }
}

/// News of alarms that have these labels in common; each alarm once.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// What they have in common.
    pub group: BTreeMap<&'static str, String>,
    /// The news, in the order in which it was made.
    pub notices: Vec<Notice>,
}

impl Letter {
    /// Puts news together. What is told of one alarm twice goes into two letters.
    pub(crate) fn all(notices: Vec<Notice>, labels: &[Label]) -> Vec<Letter> {
        let mut letters: Vec<Letter> = Vec::new();
        for notice in notices {
            let label = |label: &Label| Some((label.name(), label.of(&notice.alarm)?.to_owned()));
            let group: BTreeMap<_, _> = labels.iter().filter_map(label).collect();
            let after = letters.iter().rposition(|letter| letter.holds(&notice.alarm)).map_or(0, |last| last + 1);
            match letters.iter().skip(after).position(|letter| letter.group == group) {
                Some(place) => letters[after + place].notices.push(notice),
                None => letters.push(Letter { group, notices: vec![notice] }),
            }
        }
        letters
    }

    fn holds(&self, alarm: &Alarm) -> bool {
        self.notices.iter().any(|notice| notice.alarm.id == alarm.id)
    }

    /// The same however often it is sent.
    pub(crate) fn key(&self) -> String {
        let key = |notice: Option<&Notice>| notice.map(|notice| notice.alarm.key()).unwrap_or_default();
        match self.notices.as_slice() {
            [one] => one.alarm.key(),
            many => format!("{}..{}", key(many.first()), key(many.last())),
        }
    }

    /// Nothing of it goes on.
    pub(crate) fn is_over(&self) -> bool {
        self.notices.iter().all(|notice| notice.alarm.state != Phase::Active)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::News;
    use crate::notify::sample;

    fn notice(rule: &str, facility: &str, news: News) -> Notice {
        let alarm = Alarm {
            id: format!("{rule}/{facility}"),
            rule: rule.to_owned(),
            facility: Some(facility.to_owned()),
            ..sample()
        };
        Notice { number: 0, made: String::new(), news, alarm }
    }

    #[test]
    fn news_is_put_together_and_keeps_its_order() {
        let news = vec![
            notice("a", "f", News::Raised),
            notice("b", "f", News::Raised),
            notice("a", "g", News::Raised),
            notice("a", "f", News::Returned),
            notice("b", "f", News::Returned),
        ];
        let told = |labels: &[Label]| -> Vec<Vec<String>> {
            let of = |letter: Letter| {
                letter.notices.iter().map(|n| format!("{} {:?}", n.alarm.id, n.news)).collect::<Vec<_>>()
            };
            Letter::all(news.clone(), labels).into_iter().map(of).collect()
        };
        let together = [vec!["a/f Raised", "b/f Raised"], vec!["a/g Raised"], vec!["a/f Returned", "b/f Returned"]];
        assert_eq!(told(&[Label::Kind, Label::Facility]), together);
        assert_eq!(told(&[]), [vec!["a/f Raised", "b/f Raised", "a/g Raised"], vec!["a/f Returned", "b/f Returned"]]);
    }
}

//! An alarm as it is kept and told, and what becomes of those that are kept when the past is judged again.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::alert::{Episode, Forecast, Hold, Judged, Level, Priority, Rule};
use crate::quantity::Time;

/// How an alarm stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It goes on.
    Active,
    /// It is over.
    Returned,
    /// Late data changed the result: it never was.
    Withdrawn,
}

/// Who has seen it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Acknowledged {
    /// The person.
    pub by: String,
    /// What there is to say.
    pub note: String,
    /// When, RFC 3339.
    pub at: String,
}

/// One episode of a rule for one entity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Alarm {
    /// The same for as long as it is known: rule, entity and the start it was first told with.
    pub id: String,
    /// Counts what was told of it.
    pub sequence: u32,
    /// The rule.
    pub rule: String,
    /// The rule's kind.
    pub kind: String,
    /// What it is about: `facility/steelworks`.
    pub entity: String,
    /// How it stands.
    pub state: Phase,
    /// How far the rule is exceeded, or was last.
    pub level: Level,
    /// The same at its worst.
    pub highest: Level,
    /// How soon somebody must act.
    pub priority: Priority,
    /// The priority of the rule, which is the same for all its alarms.
    pub rule_priority: Priority,
    /// Tells one state of the rule from another.
    pub rule_print: String,
    /// It rests on windows that may still grow.
    pub provisional: bool,
    /// Something told it, such as a gateway its end: what comes late does not undo it.
    pub is_certain: bool,
    /// When it began, in the time of the readings.
    pub since: String,
    /// When it ended.
    pub until: Option<String>,
    /// What was seen last while it went on, in `unit`.
    pub value: f64,
    /// What that is held against.
    pub limit: f64,
    /// The highest value.
    pub peak: f64,
    /// `kg/h` or `kg`.
    pub unit: String,
    /// What was emitted above the limit.
    pub excess_kg: f64,
    /// What the operator is to do.
    pub response: String,
    /// Who has seen it.
    pub acknowledged: Option<Acknowledged>,
    /// Who had seen it before it became worse, or came back.
    pub acknowledged_before: Vec<Acknowledged>,
    /// The facility that it is in, if it is in one.
    pub facility: Option<String>,
    /// The cluster.
    pub cluster: Option<String>,
    /// What there is to say of it, in words.
    pub detail: Option<String>,
    /// What made it, the largest first, as it was when it began.
    pub inputs: Vec<Input>,
    /// Where the total is going, when it was last told.
    pub outlook: Option<Outlook>,
    /// Why nobody is told of it.
    pub held: Option<Hold>,
    /// When somebody was last told that it goes on. `None`: nobody knows of it, or that it is over.
    pub told: Option<String>,
    /// It comes and goes.
    pub chattering: bool,
    /// It is told in a digest.
    pub digest: bool,
}

/// A part of what is watched, and what it emitted in the window that an alarm began with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Input {
    /// `meter/boiler-1`.
    pub entity: String,
    /// Kilograms.
    pub kg: f64,
}

/// What an alarm is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// `facility/steelworks`.
    pub entity: String,
    /// The facility that it is in, if it is in one.
    pub facility: Option<String>,
    /// The cluster, if it is in one.
    pub cluster: Option<String>,
}

/// Where a total is going, in kilograms, and when the budget is used up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Outlook {
    /// Emitted so far.
    pub used_kg: f64,
    /// Planned so far.
    pub planned_kg: f64,
    /// What the period will have held.
    pub expected_kg: f64,
    /// When the budget is used up. `None`: not within the period.
    pub runs_out: Option<String>,
    /// The same at a quicker and a slower pace, by the spread of the days.
    pub runs_out_range: [Option<String>; 2],
    /// By what part the rest must change to hold the budget. `None`: it is used up.
    pub needed_pct: Option<f64>,
}

/// What is told of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum News {
    /// It began.
    Raised,
    /// Its level is another.
    Changed,
    /// It is over.
    Returned,
    /// It goes on after all.
    Reopened,
    /// It never was.
    Withdrawn,
    /// It still goes on.
    Reminded,
}

/// An alarm as it is from now on, with what is to be told of it. `None`: nothing.
pub type Followed = (Alarm, Option<News>);

/// Whether an id is that of an alarm.
pub type IsTaken<'a> = &'a dyn Fn(&str) -> bool;

/// Compares the alarms that are kept of a time with what the time is judged to hold now. Returns those that are new or changed.
/// `is_taken`: an alarm of another time has this id.
pub fn follow(
    rule: &Rule,
    subject: &Subject,
    (kept, is_taken): (Vec<Alarm>, IsTaken<'_>),
    judged: &Judged,
    closed_to: Time,
) -> Vec<Followed> {
    let mut left: Vec<Alarm> = kept;
    let mut followed: Vec<Followed> = Vec::new();
    let outlook = judged.forecast.as_ref().map(Outlook::of);
    for episode in &judged.episodes {
        let mut fresh = Alarm { outlook: outlook.clone(), ..Alarm::new(rule, subject, episode, closed_to) };
        if let (Phase::Active, Some(seen)) = (fresh.state, judged.last) {
            (fresh.value, fresh.limit) = (seen.value as f64 / 1e6, seen.limit as f64 / 1e6);
        }
        // Late data may move the beginning of one and leave its id to another.
        let by_id = left.iter().position(|alarm| alarm.id == fresh.id);
        let overlaps = |alarm: &Alarm| alarm.state != Phase::Withdrawn && alarm.overlaps(episode);
        let Some(same) = by_id.or_else(|| left.iter().position(overlaps)) else {
            let is_known = |id: &str| is_taken(id) || followed.iter().any(|(alarm, _)| alarm.id == id);
            fresh.id = unique(&fresh.id, is_known);
            followed.extend(raised(fresh));
            continue;
        };
        let before = left.remove(same);
        followed.extend(fresh.continues(&before));
    }
    followed.extend(left.into_iter().filter_map(|gone| gone.unfounded(closed_to)));
    followed
}

fn unique(id: &str, is_known: impl Fn(&str) -> bool) -> String {
    let others = (2u32..).map(|at| format!("{id}/{at}"));
    std::iter::once(id.to_owned()).chain(others).find(|id| !is_known(id)).unwrap_or_default()
}

/// What is over already is told twice: that it was, and that it is over.
fn raised(alarm: Alarm) -> Vec<Followed> {
    if alarm.state == Phase::Active {
        return vec![(alarm, Some(News::Raised))];
    }
    let first = Alarm { state: Phase::Active, until: None, ..alarm.clone() };
    let then = Alarm { sequence: alarm.sequence + 1, ..alarm };
    vec![(first, Some(News::Raised)), (then, Some(News::Returned))]
}

impl Outlook {
    /// For people.
    pub fn of(forecast: &Forecast) -> Outlook {
        let kg = |mg: i128| mg as f64 / 1e6;
        let text = |at: Option<Time>| at.map(|at| at.to_string());
        Outlook {
            used_kg: kg(forecast.used),
            planned_kg: kg(forecast.planned),
            expected_kg: kg(forecast.total),
            runs_out: text(forecast.runs_out),
            // A slower pace runs out later.
            runs_out_range: [text(forecast.range.1), text(forecast.range.0)],
            needed_pct: forecast.needed.map(|part| (part * 1_000.0).round() / 10.0),
        }
    }
}

impl Alarm {
    fn new(rule: &Rule, subject: &Subject, episode: &Episode, closed_to: Time) -> Alarm {
        let kg = |mg: i128| mg as f64 / 1e6;
        let (since, entity) = (episode.start.to_string(), &subject.entity);
        Alarm {
            id: format!("{}/{entity}/{since}", rule.id),
            sequence: 0,
            rule: rule.id.to_string(),
            kind: rule.kind.name().to_owned(),
            entity: entity.clone(),
            state: if episode.end.is_some() { Phase::Returned } else { Phase::Active },
            level: episode.level(),
            highest: episode.highest(),
            priority: episode.highest().priority(rule.priority),
            rule_priority: rule.priority,
            rule_print: rule.print(),
            provisional: episode.closes > closed_to || !episode.is_firm,
            is_certain: episode.is_certain,
            since,
            until: episode.end.map(|end| end.to_string()),
            value: kg(episode.seen.map_or(0, |seen| seen.value)),
            limit: kg(episode.seen.map_or(0, |seen| seen.limit)),
            peak: kg(episode.peak),
            unit: rule.kind.unit().to_owned(),
            excess_kg: kg(episode.excess_mg),
            response: rule.response.clone(),
            acknowledged: None,
            acknowledged_before: Vec::new(),
            facility: subject.facility.clone(),
            cluster: subject.cluster.clone(),
            detail: episode.detail.clone(),
            inputs: Vec::new(),
            outlook: None,
            held: None,
            told: None,
            chattering: false,
            digest: false,
        }
    }

    /// The key of what is told, the same however often it is sent.
    pub fn key(&self) -> String {
        format!("{}#{}", self.id, self.sequence)
    }

    fn span(&self) -> (Time, Time) {
        let time = |text: &str| Time::parse_rfc3339(text);
        let until = self.until.as_deref().and_then(time).unwrap_or(Time::MAX);
        (time(&self.since).unwrap_or(Time::MIN), until)
    }

    fn overlaps(&self, episode: &Episode) -> bool {
        let (from, to) = self.span();
        from <= episode.end.unwrap_or(Time::MAX) && episode.start <= to
    }

    /// Takes what is known of it from before, and says what is news.
    fn continues(mut self, before: &Alarm) -> Vec<Followed> {
        self.id.clone_from(&before.id);
        self.sequence = before.sequence;
        self.acknowledged.clone_from(&before.acknowledged);
        if before.is_certain {
            (self.is_certain, self.since) = (true, before.since.clone());
        }
        self.knows(before);
        let is_worse = self.highest > before.highest;
        let news = match (before.state, self.state) {
            (Phase::Active, Phase::Returned) => Some(News::Returned),
            (Phase::Returned | Phase::Withdrawn, Phase::Active) => Some(News::Reopened),
            (Phase::Active, Phase::Active) if before.level != self.level => Some(News::Changed),
            // It was more than was told, and is over.
            (Phase::Withdrawn, Phase::Returned) => return self.again(),
            (Phase::Returned, Phase::Returned) if is_worse => return self.again(),
            _ => None,
        };
        if news == Some(News::Reopened) || is_worse {
            self.unseen();
        }
        self.sequence += u32::from(news.is_some());
        if news.is_none() {
            // It changes all the time.
            self.outlook.clone_from(&before.outlook);
        }
        if self == *before { Vec::new() } else { vec![(self, news)] }
    }

    /// Nothing of it is found any more: it never was, or, where it is certain, it is over.
    fn unfounded(mut self, now: Time) -> Option<Followed> {
        let news = match (self.state, self.is_certain) {
            (Phase::Withdrawn, _) | (Phase::Returned, true) => return None,
            (Phase::Active, true) => News::Returned,
            (Phase::Active | Phase::Returned, false) => News::Withdrawn,
        };
        self.sequence += 1;
        (self.state, self.until) = if news == News::Returned {
            (Phase::Returned, Some(now.to_string()))
        } else {
            (Phase::Withdrawn, self.until.or_else(|| Some(self.since.clone())))
        };
        Some((self, Some(news)))
    }

    /// Whoever has seen it has seen something less.
    fn unseen(&mut self) {
        self.acknowledged_before.extend(self.acknowledged.take());
    }

    /// It is told once more, and that it is over.
    fn again(mut self) -> Vec<Followed> {
        self.unseen();
        self.sequence += 1;
        let first = Alarm { state: Phase::Active, until: None, ..self.clone() };
        let then = Alarm { sequence: self.sequence + 1, ..self };
        vec![(first, Some(News::Reopened)), (then, Some(News::Returned))]
    }

    /// Takes what was told of it, and what made it.
    pub(crate) fn knows(&mut self, before: &Alarm) {
        self.acknowledged_before.clone_from(&before.acknowledged_before);
        self.inputs.clone_from(&before.inputs);
        self.held.clone_from(&before.held);
        self.told.clone_from(&before.told);
        (self.chattering, self.digest) = (before.chattering, before.digest);
    }

    /// How it stands, in the words of ISA-18.2.
    pub fn condition(&self) -> &'static str {
        match (self.state, &self.held, &self.acknowledged) {
            (Phase::Withdrawn, ..) => "withdrawn",
            (Phase::Returned, _, Some(_)) => "normal",
            (Phase::Returned, _, None) => "returned-unacknowledged",
            (Phase::Active, Some(Hold::Shelved(_)), _) => "shelved",
            (Phase::Active, Some(Hold::OutOfService { .. }), _) => "out-of-service",
            (Phase::Active, Some(Hold::Hidden { .. }), _) => "suppressed",
            (Phase::Active, _, Some(_)) => "active-acknowledged",
            (Phase::Active, _, None) => "active-unacknowledged",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Align, Guard, Kind, Level, Limit, NoData, Priority, Signal};
    use crate::quantity::{Id, Ratio, Span};

    fn rule() -> Rule {
        let limit = Limit {
            per_day: 1,
            average: Span::minutes(5),
            align: Align::Sliding,
            levels: Vec::new(),
            clear: Ratio::ONE,
            min_coverage_e4: 0,
            projected: 0,
            gate: None,
            events: Vec::new(),
        };
        Rule {
            id: Id::parse("r").unwrap(),
            watched: Vec::new(),
            signal: Signal::Columns(Vec::new()),
            kind: Kind::Limit(limit),
            guard: Guard { lasting: Span(0), keep: Span(0), no_data: NoData::Unknown, alarm: 3 },
            priority: Priority::Medium,
            response: String::new(),
            notify: Vec::new(),
            out_of_service: None,
        }
    }

    fn subject() -> Subject {
        Subject { entity: "facility/f".to_owned(), facility: Some("f".to_owned()), cluster: None }
    }

    fn episode(from: i64, to: Option<i64>, levels: &[(i64, Level)]) -> Episode {
        let minute = |at: i64| Time(at * 60_000);
        let levels = levels.iter().map(|(at, level)| (minute(*at), *level)).collect();
        Episode {
            start: minute(from),
            closes: minute(from),
            end: to.map(minute),
            levels,
            seen: None,
            peak: 0,
            excess_mg: 0,
            is_firm: true,
            is_certain: false,
            detail: None,
        }
    }

    /// What is told when these are judged one after the other, with what is kept in between.
    fn told(judged: &[&[Episode]]) -> Vec<String> {
        let mut kept: Vec<Alarm> = Vec::new();
        let mut told = Vec::new();
        for episodes in judged {
            let judged = Judged { episodes: episodes.to_vec(), ..Judged::default() };
            for (alarm, news) in follow(&rule(), &subject(), (kept.clone(), &|_| false), &judged, Time(0)) {
                told.extend(news.map(|news| format!("{news:?} {} #{}", alarm.since, alarm.sequence)));
                kept.retain(|before| before.id != alarm.id);
                kept.push(alarm);
            }
        }
        told.iter().map(|text| text.replace("1970-01-01T00:", "").replace(":00Z", "")).collect()
    }

    #[test]
    fn an_alarm_is_told_as_it_goes() {
        let over = |to| [episode(5, to, &[(5, Level::Over)])];
        let worse = [episode(5, None, &[(5, Level::Over), (7, Level::Critical)])];
        let seen = told(&[&over(None), &over(None), &worse, &over(Some(9)), &over(Some(9))]);
        assert_eq!(seen, ["Raised 05 #0", "Changed 05 #1", "Returned 05 #2"]);
    }

    #[test]
    fn late_data_change_the_past() {
        let over = |from, to| [episode(from, to, &[(from, Level::Over)])];
        // It began earlier than was known, and goes on after all.
        let seen = told(&[&over(5, Some(9)), &over(3, Some(9)), &over(3, None)]);
        assert_eq!(seen, ["Raised 05 #0", "Returned 05 #1", "Reopened 03 #2"]);
        // It never was; and then it was.
        let seen = told(&[&over(5, None), &[], &[], &over(5, None)]);
        assert_eq!(seen, ["Raised 05 #0", "Withdrawn 05 #1", "Reopened 05 #2"]);
    }

    #[test]
    fn what_was_worse_than_told_is_told_and_ids_are_not_used_twice() {
        let over = |from, to, level| episode(from, to, &[(from, level)]);
        let seen = told(&[&[over(5, Some(9), Level::Warning)], &[over(5, Some(9), Level::Critical)]]);
        assert_eq!(seen, ["Raised 05 #0", "Returned 05 #1", "Reopened 05 #2", "Returned 05 #3"]);
        let seen = told(&[&[over(5, Some(9), Level::Over)], &[], &[over(5, Some(9), Level::Over)]]);
        assert_eq!(seen, ["Raised 05 #0", "Returned 05 #1", "Withdrawn 05 #2", "Reopened 05 #3", "Returned 05 #4"]);
        // The beginning moves, and then it is two: the second has the id of the first.
        let (whole, early, late) =
            (over(2, Some(9), Level::Over), over(2, Some(4), Level::Over), over(6, Some(9), Level::Over));
        let kept = vec![Alarm::new(&rule(), &subject(), &over(6, Some(9), Level::Over), Time(0))];
        let follow = |kept: Vec<Alarm>, episodes: &[Episode]| -> Vec<Alarm> {
            let judged = Judged { episodes: episodes.to_vec(), ..Judged::default() };
            super::follow(&rule(), &subject(), (kept, &|_| false), &judged, Time(0))
                .into_iter()
                .map(|(alarm, _)| alarm)
                .collect()
        };
        let moved = follow(kept, &[whole]);
        let split = follow(moved, &[early, late]);
        let mut ids: Vec<&str> = split.iter().map(|alarm| alarm.id.as_str()).collect();
        ids.dedup();
        assert_eq!(ids.len(), 2, "{ids:?}");
    }

    #[test]
    fn who_has_seen_less_sees_it_again() {
        let mut alarm = Alarm::new(&rule(), &subject(), &episode(5, None, &[(5, Level::Over)]), Time(0));
        let seen = Acknowledged { by: "A. Lee".to_owned(), note: String::new(), at: String::new() };
        alarm.acknowledged = Some(seen);
        let followed = |level| {
            let levels = [(5, Level::Over), (6, level)];
            let judged = Judged { episodes: vec![episode(5, None, &levels)], ..Judged::default() };
            follow(&rule(), &subject(), (vec![alarm.clone()], &|_| false), &judged, Time(0))
        };
        assert!(followed(Level::Warning)[0].0.acknowledged.is_some());
        assert!(followed(Level::Critical)[0].0.acknowledged.is_none());
    }
}

//! Who is told what, and when: alarms come in storms, and whoever is told too much listens no more. Nothing here changes an
//! alarm: what is not told is in the record all the same, with the reason.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::alert::{Alarm, Followed, Level, News, Phase, Priority};
use crate::quantity::{Span, Time};

/// How calm it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calm {
    /// More alarms of a rule for an entity than these within ten minutes, in the time of the readings, are chatter.
    pub chatter_above: usize,
    /// More alarms than these told within ten minutes are a flood: what is not of high priority is told in a digest.
    pub flood_above: usize,
    /// What goes on, and nobody has acknowledged, is told again so often.
    pub repeat: Span,
    /// The same for low priority.
    pub repeat_low: Span,
}

impl Default for Calm {
    fn default() -> Calm {
        Calm { chatter_above: 3, flood_above: 10, repeat: Span::minutes(240), repeat_low: Span::days(1) }
    }
}

/// Within this, alarms are counted.
const WITHIN: Span = Span::minutes(10);
/// What was quiet so long chatters no more.
const QUIET: Span = Span::minutes(30);

/// Why nobody is told of an alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Hold {
    /// Its rule is out of service.
    OutOfService {
        /// For this reason.
        reason: String,
    },
    /// Somebody put it aside for a while.
    Shelved(Shelf),
    /// Something else says as much.
    Hidden {
        /// What that is.
        by: String,
    },
    /// It comes and goes.
    Chattering,
}

impl Hold {
    /// For people.
    pub fn text(&self) -> String {
        match self {
            Hold::OutOfService { reason } => format!("out of service: {reason}"),
            Hold::Shelved(shelf) => format!("shelved by {} until {}: {}", shelf.by, shelf.until, shelf.reason),
            Hold::Hidden { by } => format!("suppressed: {by}"),
            Hold::Chattering => "chattering".to_owned(),
        }
    }
}

/// Somebody put the alarms of a rule for an entity aside for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Shelf {
    /// The person.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When, RFC 3339.
    pub at: String,
    /// When it ends.
    pub until: String,
}

/// An alarm that comes and goes, or changes its level again and again: it is told once, and when it is quiet again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chatter {
    /// When it last came or went, by the clock.
    pub noticed: i64,
    /// The worst that somebody was told of. `None`: nobody knows of it.
    pub worst: Option<Level>,
}

/// How somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// At once.
    Now,
    /// With others, in a while.
    Digest,
    /// Not at all.
    Quiet,
}

/// An alarm as it is from now on, what is new of it, and how that is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The alarm.
    pub alarm: Alarm,
    /// What is new. `None`: only its record is.
    pub news: Option<News>,
    /// How it is told.
    pub way: Way,
}

/// What alarms are alike for: a rule and an entity.
pub type Line = (String, String);

/// What is remembered from one look to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telling {
    /// What chatters.
    pub chatters: BTreeMap<Line, Chatter>,
    /// When somebody was told of a new alarm, by the clock.
    pub raised: Vec<Time>,
    /// When somebody was told of another level, by the clock.
    pub changed: BTreeMap<Line, Vec<Time>>,
}

/// What is known from elsewhere.
pub struct World<'a> {
    /// How calm it is kept.
    pub calm: Calm,
    /// The clock.
    pub now: Time,
    /// Why nobody is to be told of an alarm.
    pub hold: &'a dyn Fn(&Alarm) -> Option<Hold>,
    /// When the latest alarms of each line began, of those that are kept.
    pub starts: BTreeMap<Line, Vec<Time>>,
}

impl Alarm {
    /// The rule and the entity.
    pub fn line(&self) -> Line {
        (self.rule.clone(), self.entity.clone())
    }
}

impl Telling {
    /// Takes what was followed, and looks after `others`: alarms that were not.
    pub fn tell(&mut self, followed: Vec<Followed>, others: Vec<Alarm>, world: &mut World<'_>) -> Vec<Update> {
        let now = world.now;
        self.raised.retain(|at| now.since(*at) < WITHIN);
        let mut updates: Vec<Update> = Vec::new();
        for (mut alarm, news) in followed {
            // What is told twice in a row.
            if let Some(before) = updates.last().filter(|update| update.alarm.id == alarm.id) {
                alarm.knows(&before.alarm);
            }
            updates.push(match news {
                Some(news) => self.pass(alarm, news, world),
                None => Update { alarm, news: None, way: Way::Quiet },
            });
        }
        let calmed = self.calmed(world);
        for alarm in others {
            updates.extend(self.review(alarm, world, &calmed));
        }
        updates
    }

    /// What has been quiet for long enough, and what is to be told of it then.
    fn calmed(&mut self, world: &World<'_>) -> Vec<Line> {
        let over = |chatter: &Chatter| world.now.since(Time(chatter.noticed)) >= QUIET;
        self.chatters.extract_if(.., |_, chatter| over(chatter)).map(|(line, _)| line).collect()
    }

    fn pass(&mut self, mut alarm: Alarm, news: News, world: &mut World<'_>) -> Update {
        let chatters = self.chatter(&alarm, news, world);
        match news {
            News::Raised | News::Changed | News::Reopened | News::Reminded => {
                // What is worse than ever is told, however often it changes.
                let quiet = chatters && !self.is_worse(&alarm);
                match (world.hold)(&alarm).or(quiet.then_some(Hold::Chattering)) {
                    Some(hold) => alarm.held = Some(hold),
                    None => return self.told(alarm, news, world),
                }
            }
            News::Returned | News::Withdrawn => {
                if alarm.told.is_some() && !chatters {
                    return self.told(alarm, news, world);
                }
                // Who was told that it chatters is told of its end when it is quiet.
                alarm.held = chatters.then_some(Hold::Chattering);
            }
        }
        Update { alarm, news: Some(news), way: Way::Quiet }
    }

    fn is_worse(&self, alarm: &Alarm) -> bool {
        self.chatters.get(&alarm.line()).is_none_or(|chatter| Some(alarm.level) > chatter.worst)
    }

    /// Whether this is one of too many. The first of them is told, and says so.
    fn chatter(&mut self, alarm: &Alarm, news: News, world: &mut World<'_>) -> bool {
        let line = alarm.line();
        let comes = matches!(news, News::Raised | News::Reopened);
        if let Some(chatter) = self.chatters.get_mut(&line) {
            chatter.noticed = world.now.0;
            return true;
        }
        if news == News::Changed {
            return self.wavers(alarm, line, world);
        }
        let Some(start) = Time::parse_rfc3339(&alarm.since).filter(|_| comes) else {
            return false;
        };
        let starts = world.starts.entry(line.clone()).or_default();
        if !starts.contains(&start) {
            starts.push(start);
        }
        let recent = starts.iter().filter(|at| **at <= start && start.since(**at) < WITHIN).count();
        if recent > world.calm.chatter_above {
            self.chatters.insert(line, Chatter { noticed: world.now.0, worst: None });
        }
        false
    }

    /// Whether its level changed too often. The last of the changes is told, and says so.
    fn wavers(&mut self, alarm: &Alarm, line: Line, world: &World<'_>) -> bool {
        let changed = self.changed.entry(line.clone()).or_default();
        changed.retain(|at| world.now.since(*at) < WITHIN);
        changed.push(world.now);
        if changed.len() > world.calm.chatter_above {
            self.changed.remove(&line);
            self.chatters.insert(line, Chatter { noticed: world.now.0, worst: Some(alarm.highest) });
        }
        false
    }

    fn told(&mut self, mut alarm: Alarm, news: News, world: &World<'_>) -> Update {
        let is_new = matches!(news, News::Raised | News::Reopened);
        alarm.held = None;
        if let Some(chatter) = self.chatters.get_mut(&alarm.line()) {
            chatter.worst = chatter.worst.max(Some(alarm.level));
        }
        alarm.chattering = self.chatters.contains_key(&alarm.line());
        alarm.told = (alarm.state == Phase::Active).then(|| world.now.to_string());
        if is_new {
            let is_flood = self.raised.len() >= world.calm.flood_above;
            self.raised.push(world.now);
            alarm.digest = is_flood;
        }
        alarm.digest &= alarm.priority != Priority::High;
        let way = if alarm.digest { Way::Digest } else { Way::Now };
        Update { alarm, news: Some(news), way }
    }

    /// Whether anything is to be told of an alarm of which nothing is new.
    fn review(&mut self, mut alarm: Alarm, world: &World<'_>, calmed: &[Line]) -> Option<Update> {
        let line = alarm.line();
        let chatters = self.chatters.contains_key(&line);
        if alarm.state != Phase::Active {
            // Its end was held back.
            let is_owed = alarm.told.is_some() && !chatters;
            return is_owed.then(|| {
                alarm.sequence += 1;
                let news = if alarm.state == Phase::Withdrawn { News::Withdrawn } else { News::Returned };
                self.told(alarm, news, world)
            });
        }
        // What is told as chattering goes on being told as that.
        let own = alarm.told.is_some() && alarm.chattering;
        if chatters && own && (world.hold)(&alarm).is_none() {
            return None;
        }
        let chatters = chatters && !own && !self.is_worse(&alarm);
        if let Some(hold) = (world.hold)(&alarm).or(chatters.then_some(Hold::Chattering)) {
            let held = Some(hold);
            let is_new = alarm.held != held;
            alarm.held = held;
            return is_new.then_some(Update { alarm, news: None, way: Way::Quiet });
        }
        let ended = alarm.held.is_some() || calmed.contains(&line);
        if !ended && !is_due(&alarm, world) {
            return None;
        }
        alarm.sequence += 1;
        let news = if alarm.told.is_some() { News::Reminded } else { News::Raised };
        Some(self.told(alarm, news, world))
    }
}

/// What goes on and nobody has acknowledged is told again.
fn is_due(alarm: &Alarm, world: &World<'_>) -> bool {
    let every = if alarm.priority == Priority::Low { world.calm.repeat_low } else { world.calm.repeat };
    let told = alarm.told.as_deref().and_then(Time::parse_rfc3339);
    alarm.acknowledged.is_none() && told.is_none_or(|told| world.now.since(told) >= every)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Acknowledged;

    const MINUTE: i64 = 60_000;

    fn alarm(rule: &str, start: i64) -> Alarm {
        let text = r#"{"id":"","sequence":0,"rule":"","kind":"limit","entity":"facility/f","state":"active","level":"over",
            "highest":"over","priority":"medium","rule_priority":"medium","rule_print":"","is_certain":false,"provisional":false,"since":"","until":null,"value":1,"limit":1,"peak":1,
            "unit":"kg/h","excess_kg":0,"response":"","acknowledged":null,"acknowledged_before":[],"facility":"f","cluster":null,"detail":null,"inputs":[],"outlook":null,
            "held":null,"told":null,"chattering":false,"digest":false}"#;
        let since = Time(start * MINUTE).to_string();
        let alarm: Alarm = serde_json::from_str(text).unwrap();
        Alarm { id: format!("{rule}@{start}"), rule: rule.to_owned(), since, ..alarm }
    }

    /// A store of alarms, and what was told.
    #[derive(Default)]
    struct Stage {
        telling: Telling,
        kept: Vec<Alarm>,
        told: Vec<String>,
        held: Option<Hold>,
    }

    impl Stage {
        /// News of alarms at a minute of the clock.
        fn at(&mut self, now: i64, news: &[(News, &str, i64)]) -> &mut Stage {
            let mut followed = Vec::new();
            for (news, rule, start) in news {
                let id = format!("{rule}@{start}");
                let mut alarm =
                    self.kept.iter().find(|kept| kept.id == id).cloned().unwrap_or_else(|| alarm(rule, *start));
                alarm.sequence += u32::from(*news != News::Raised);
                alarm.state = match news {
                    News::Returned => Phase::Returned,
                    News::Withdrawn => Phase::Withdrawn,
                    _ => Phase::Active,
                };
                followed.push((alarm, Some(*news)));
            }
            let is_followed = |alarm: &&Alarm| followed.iter().any(|(other, _)| other.id == alarm.id);
            let open = |alarm: &&Alarm| alarm.state == Phase::Active || alarm.told.is_some();
            let others = self.kept.iter().filter(open).filter(|alarm| !is_followed(alarm)).cloned().collect();
            let mut starts: BTreeMap<Line, Vec<Time>> = BTreeMap::new();
            for kept in &self.kept {
                starts.entry(kept.line()).or_default().extend(Time::parse_rfc3339(&kept.since));
            }
            let held = self.held.clone();
            let hold = move |_: &Alarm| held.clone();
            let mut world = World { calm: Calm::default(), now: Time(now * MINUTE), hold: &hold, starts };
            for update in self.telling.tell(followed, others, &mut world) {
                if let (Some(news), true) = (update.news, update.way != Way::Quiet) {
                    self.told.push(format!("{news:?} {} {:?}", update.alarm.id, update.way));
                }
                self.kept.retain(|kept| kept.id != update.alarm.id);
                self.kept.push(update.alarm);
            }
            self
        }

        fn told(&mut self) -> Vec<String> {
            std::mem::take(&mut self.told)
        }
    }

    #[test]
    fn what_comes_and_goes_is_told_a_few_times() {
        let mut stage = Stage::default();
        for flip in 0..5_000 {
            stage.at(2 * flip, &[(News::Raised, "r", 2 * flip)]).at(2 * flip + 1, &[(News::Returned, "r", 2 * flip)]);
        }
        let first = ["Raised r@0 Now", "Returned r@0 Now", "Raised r@2 Now", "Returned r@2 Now", "Raised r@4 Now"];
        let told = stage.told();
        assert_eq!(told[..5], first);
        // The fourth is told as the one that begins the chatter, and nothing more.
        assert_eq!(told[5..], ["Returned r@4 Now", "Raised r@6 Now"]);
        assert!(stage.kept.iter().find(|alarm| alarm.id == "r@6").unwrap().chattering);
        assert!(stage.at(9_999 + 29, &[]).told().is_empty());
        assert_eq!(stage.at(9_999 + 30, &[]).told(), ["Returned r@6 Now"]);
        assert_eq!(stage.at(10_100, &[(News::Raised, "r", 10_100)]).told(), ["Raised r@10100 Now"]);
    }

    #[test]
    fn a_level_that_wavers_is_told_a_few_times() {
        let mut stage = Stage::default();
        stage.at(0, &[(News::Raised, "r", 0)]);
        for minute in 1..200 {
            stage.at(minute, &[(News::Changed, "r", 0)]).at(minute, &[]);
        }
        let told = stage.told();
        assert_eq!((told.len(), told[4].as_str()), (5, "Changed r@0 Now"));
        assert!(stage.kept[0].chattering);
        // What is worse than ever is told all the same.
        stage.kept[0].level = Level::Critical;
        assert_eq!(stage.at(200, &[(News::Changed, "r", 0)]).told(), ["Changed r@0 Now"]);
        assert_eq!(stage.at(231, &[]).told(), ["Reminded r@0 Now"]);
    }

    #[test]
    fn what_is_worse_is_told_through_chatter() {
        let mut stage = Stage::default();
        for flip in 0..10 {
            stage.at(2 * flip, &[(News::Raised, "r", 2 * flip)]).at(2 * flip + 1, &[(News::Returned, "r", 2 * flip)]);
        }
        stage.told();
        let critical = Alarm { level: Level::Critical, highest: Level::Critical, ..alarm("r", 20) };
        stage.kept.push(critical);
        assert_eq!(stage.at(20, &[(News::Raised, "r", 20)]).told(), ["Raised r@20 Now"]);
        assert!(stage.at(21, &[(News::Returned, "r", 20)]).at(22, &[(News::Raised, "r", 22)]).told().is_empty());
    }

    #[test]
    fn what_is_steady_after_chatter_is_told_again() {
        let mut stage = Stage::default();
        for flip in 0..6 {
            stage.at(2 * flip, &[(News::Raised, "r", 2 * flip)]);
            if flip < 5 {
                stage.at(2 * flip + 1, &[(News::Returned, "r", 2 * flip)]);
            }
        }
        stage.told();
        assert_eq!(stage.at(40, &[]).told(), ["Returned r@6 Now", "Raised r@10 Now"]);
    }

    #[test]
    fn a_flood_is_told_in_a_digest_and_to_its_end() {
        let mut stage = Stage::default();
        let rules: Vec<String> = (0..12).map(|at| format!("r{at:02}")).collect();
        let raised: Vec<_> = rules.iter().map(|rule| (News::Raised, rule.as_str(), 0)).collect();
        let told = stage.at(0, &raised).told();
        assert_eq!((told.len(), told[9].as_str(), told[10].as_str()), (12, "Raised r09@0 Now", "Raised r10@0 Digest"));
        // What is told in a digest ends in one, so that nobody hears the end first.
        let told = stage.at(1, &[(News::Returned, "r00", 0), (News::Returned, "r11", 0)]).told();
        assert_eq!(told, ["Returned r00@0 Now", "Returned r11@0 Digest"]);
        assert_eq!(stage.at(11, &[(News::Raised, "s", 11)]).told(), ["Raised s@11 Now"]);
    }

    #[test]
    fn what_is_put_aside_is_told_when_it_is_over() {
        let mut stage = Stage::default();
        stage.at(0, &[(News::Raised, "a", 0)]);
        let shelf = Shelf { by: "A".into(), reason: "known".into(), at: String::new(), until: "2026".into() };
        stage.held = Some(Hold::Shelved(shelf));
        assert_eq!(stage.at(1, &[(News::Raised, "b", 1)]).told(), ["Raised a@0 Now"]);
        assert_eq!(stage.kept.iter().map(Alarm::condition).collect::<Vec<_>>(), ["shelved", "shelved"]);
        // Who was told of it is told of its end, whatever holds.
        assert_eq!(stage.at(2, &[(News::Returned, "a", 0)]).told(), ["Returned a@0 Now"]);
        stage.held = None;
        assert_eq!(stage.at(3, &[]).told(), ["Raised b@1 Now"]);
    }

    #[test]
    fn what_goes_on_is_told_again_until_somebody_has_seen_it() {
        let mut stage = Stage::default();
        stage.at(0, &[(News::Raised, "a", 0)]);
        assert_eq!(stage.at(239, &[]).told(), ["Raised a@0 Now"]);
        assert_eq!(stage.at(240, &[]).told(), ["Reminded a@0 Now"]);
        let seen = Acknowledged { by: "A".into(), note: String::new(), at: String::new() };
        stage.kept[0].acknowledged = Some(seen);
        assert!(stage.at(900, &[]).told().is_empty());
    }
}

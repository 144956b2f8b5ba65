//! Topics that no meter listens to: how often, and what was last published there. Bounded, whatever is published.

use std::collections::HashMap;

use crate::decode::Message;
use crate::http::UnmappedTopic;
use crate::quantity::Time;

/// So many topics are remembered; of more, those that were seen least.
const TOPICS_MAX: usize = 500;
/// What is kept of a topic and of a payload, in bytes.
const TOPIC_MAX: usize = 512;
const PAYLOAD_MAX: usize = 1_024;

/// The topics seen since the start.
#[derive(Default)]
pub(crate) struct Unmapped {
    topics: HashMap<String, Seen>,
    /// Messages on topics that are not remembered.
    others: u64,
}

struct Seen {
    count: u64,
    last: Time,
    payload: Box<[u8]>,
}

impl Unmapped {
    pub(crate) fn note(&mut self, message: &Message) {
        let payload = message.payload.get(..PAYLOAD_MAX).unwrap_or(&message.payload);
        let topic = cut(&message.topic);
        if let Some(seen) = self.topics.get_mut(topic) {
            seen.count += 1;
            seen.last = message.received;
            seen.payload = payload.into();
            return;
        }
        if self.topics.len() >= TOPICS_MAX {
            let least = self.topics.iter().min_by_key(|(_, seen)| (seen.count, seen.last));
            if let Some(least) = least.map(|(topic, _)| topic.clone()) {
                self.others += self.topics.remove(&least).map_or(0, |seen| seen.count);
            }
        }
        let seen = Seen { count: 1, last: message.received, payload: payload.into() };
        self.topics.insert(topic.to_owned(), seen);
    }

    /// The topics, those with the most messages first, and how many messages came on others.
    pub(crate) fn view(&self) -> (Vec<UnmappedTopic>, u64) {
        let topic = |(topic, seen): (&String, &Seen)| UnmappedTopic {
            topic: topic.clone(),
            count: seen.count,
            last: seen.last,
            payload: seen.payload.to_vec(),
        };
        let mut topics: Vec<UnmappedTopic> = self.topics.iter().map(topic).collect();
        topics.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.topic.cmp(&b.topic)));
        (topics, self.others)
    }
}

/// The start of a long topic; topics that are alike so far are counted as one.
fn cut(topic: &str) -> &str {
    let mut end = topic.len().min(TOPIC_MAX);
    while !topic.is_char_boundary(end) {
        end -= 1;
    }
    topic.get(..end).unwrap_or(topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &str, received: i64) -> Message {
        let (topic, payload) = (topic.to_owned(), vec![b'x'; 5_000].into());
        Message { received: Time(received), topic, payload, retain: false, dup: false, oversize: false }
    }

    #[test]
    fn what_is_seen_often_is_remembered_and_all_is_bounded() {
        let mut unmapped = Unmapped::default();
        for at in 0..20_000 {
            unmapped.note(&message(&format!("once/{at}"), at));
            if at % 10 == 0 {
                unmapped.note(&message("often", at));
            }
        }
        unmapped.note(&message(&"é".repeat(40_000), 20_000));
        let (topics, others) = unmapped.view();
        assert_eq!(topics.len(), TOPICS_MAX);
        assert_eq!((topics[0].topic.as_str(), topics[0].count), ("often", 2_000));
        assert_eq!(others + topics.iter().map(|topic| topic.count).sum::<u64>(), 22_001);
        assert!(topics.iter().all(|t| t.topic.len() <= TOPIC_MAX && t.payload.len() <= PAYLOAD_MAX));
    }
}

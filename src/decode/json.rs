//! The `json` format: one pass over the payload picks out the texts that JSON Pointers (RFC 6901) name.
//!
//! Nothing is built in memory: values that no pointer leads to are skipped, and a number keeps its own text.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::decode::Refusal;

/// The pointers wanted from one topic's payloads, as a tree of keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pointers {
    slot: Option<usize>,
    children: Vec<(String, Pointers)>,
}

impl Pointers {
    /// Adds `/a/b`, to be found in slot `slot`, or in the one it has already; returns that.
    pub(crate) fn add(&mut self, pointer: &str, slot: usize) -> usize {
        let mut node = self;
        for token in pointer.split('/').skip(1) {
            let key = token.replace("~1", "/").replace("~0", "~");
            let position = node.children.iter().position(|(k, _)| *k == key).unwrap_or_else(|| {
                node.children.push((key, Pointers::default()));
                node.children.len() - 1
            });
            node = &mut node.children[position].1;
        }
        *node.slot.get_or_insert(slot)
    }

    /// Fills each slot with the JSON text its pointer leads to. An error: the payload is not JSON.
    pub(crate) fn extract<'de>(&self, payload: &'de [u8], found: &mut [Option<&'de str>]) -> Result<(), Refusal> {
        let mut reader = serde_json::Deserializer::from_slice(payload);
        let walked = Walk { node: self, found }.deserialize(&mut reader);
        walked.and_then(|()| reader.end()).map_err(|_| Refusal::Malformed)
    }

    fn child(&self, key: &str) -> Option<&Pointers> {
        self.children.iter().find(|(k, _)| k == key).map(|(_, node)| node)
    }
}

struct Walk<'p, 'f, 'de> {
    node: &'p Pointers,
    found: &'f mut [Option<&'de str>],
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Some(slot) = self.node.slot else {
            return deserializer.deserialize_any(self);
        };
        let raw: &'de RawValue = serde::Deserialize::deserialize(deserializer)?;
        if let Some(place) = self.found.get_mut(slot) {
            *place = Some(raw.get());
        }
        if self.node.children.is_empty() {
            return Ok(());
        }
        let mut inner = serde_json::Deserializer::from_str(raw.get());
        inner.deserialize_any(self).map_err(serde::de::Error::custom)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(next) = map.next_key_seed(Key(self.node))? {
            match next {
                Some(node) => map.next_value_seed(Walk { node, found: &mut *self.found })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        for index in 0usize.. {
            let more = match self.node.child(&index.to_string()) {
                Some(node) => seq.next_element_seed(Walk { node, found: &mut *self.found })?.is_some(),
                None => seq.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Matches a key against the tree without copying it.
struct Key<'p>(&'p Pointers);

impl<'de, 'p> DeserializeSeed<'de> for Key<'p> {
    type Value = Option<&'p Pointers>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'p> Visitor<'_> for Key<'p> {
    type Value = Option<&'p Pointers>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.child(key))
    }
}

/// The plain text of a JSON scalar: a number's own digits, or what a quoted string holds. `None`: null.
pub(crate) fn scalar(json: &str) -> Option<std::borrow::Cow<'_, str>> {
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(json).ok().map(Into::into),
        _ if json == "null" => None,
        _ => Some(json.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pointers: &[&str], payload: &str, expected: Result<&[Option<&str>], Refusal>) {
        let mut tree = Pointers::default();
        for (slot, pointer) in pointers.iter().enumerate() {
            tree.add(pointer, slot);
        }
        let mut found = vec![None; pointers.len()];
        let result = tree.extract(payload.as_bytes(), &mut found).map(|()| found.as_slice());
        assert_eq!(result, expected, "{payload}");
    }

    #[test]
    fn picks_what_pointers_name() {
        let payload = r#"{"ts":17,"a":{"b":[1,{"c":"2.50"}],"x/y":3e5},"n":null}"#;
        check(
            &["/ts", "/a/b/1/c", "/a/x~1y", "/n", "/missing/deep"],
            payload,
            Ok(&[Some("17"), Some("\"2.50\""), Some("3e5"), Some("null"), None]),
        );
        check(&["/a", "/a/b"], r#"{"a":{"b":1}}"#, Ok(&[Some(r#"{"b":1}"#), Some("1")]));
        check(&["/a/b"], r#"{"a":7}"#, Ok(&[None]));
        check(&["/a"], "[1,2]", Ok(&[None]));
    }

    #[test]
    fn a_repeated_key_takes_the_last_value() {
        check(&["/v"], r#"{"v":1,"v":2}"#, Ok(&[Some("2")]));
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        for payload in ["", "{", "{\"v\":1}x", "nan", "{\"v\":01}", "{'v':1}"] {
            check(&["/v"], payload, Err(Refusal::Malformed));
        }
    }

    #[test]
    fn depth_is_bounded() {
        check(&["/v"], &"[".repeat(100_000), Err(Refusal::Malformed));
    }
}

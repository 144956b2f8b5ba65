//! One pass over a JSON payload picks out the texts that paths name.
//!
//! Nothing is built in memory: values that no path leads to are skipped, and a number keeps its own text. A payload is read as
//! frames: the payload itself, and within it each element of an array that some path selects. A frame's texts are in slots, and
//! it sees those of the frames around it.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::decode::Refusal;
use crate::decode::path::{Path, Step};

/// One message holds no more elements that are looked at.
const ELEMENTS_MAX: usize = 20_000;

/// What is wanted of a frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Frame {
    node: Node,
    slots: usize,
    /// Who reads a value in this frame.
    readers: Vec<usize>,
}

/// What is wanted of one value: its text, its members, its elements.
#[derive(Clone, Debug, Default, PartialEq)]
struct Node {
    slot: Option<usize>,
    keys: Vec<(String, Node)>,
    each: Option<Box<Frame>>,
    chosen: Vec<Chosen>,
}

/// Elements chosen by the text of one member, sorted by that.
#[derive(Clone, Debug, Default, PartialEq)]
struct Chosen {
    key: String,
    frames: Vec<(String, Frame)>,
}

/// A slot, and how many frames from the outermost it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    depth: usize,
    at: usize,
}

/// The texts of a frame, and of those around it.
pub(crate) struct Seen<'a, 'de> {
    found: &'a [Option<&'de str>],
    depth: usize,
    around: Option<&'a Seen<'a, 'de>>,
}

impl<'de> Seen<'_, 'de> {
    /// The JSON text in a slot.
    pub(crate) fn get(&self, slot: Slot) -> Option<&'de str> {
        if slot.depth == self.depth {
            return self.found.get(slot.at).copied().flatten();
        }
        self.around?.get(slot)
    }
}

impl Frame {
    /// Wants what a path leads to; returns where it will be.
    pub(crate) fn add(&mut self, path: &Path) -> Slot {
        let (selecting, rest) = path.segments();
        let frame = self.inner(&selecting);
        let fresh = frame.slots;
        let slot = *frame.node.walk(rest).slot.get_or_insert(fresh);
        frame.slots = frame.slots.max(slot + 1);
        Slot { depth: selecting.len(), at: slot }
    }

    /// Notes that `reader` reads in the frame of `path`.
    pub(crate) fn read_by(&mut self, path: &Path, reader: usize) {
        let (selecting, _) = path.segments();
        self.inner(&selecting).readers.push(reader);
    }

    fn inner(&mut self, selecting: &[&[Step]]) -> &mut Frame {
        let Some((first, rest)) = selecting.split_first() else {
            return self;
        };
        let Some((selector, keys)) = first.split_last() else {
            return self;
        };
        self.node.walk(keys).frame(selector).inner(rest)
    }

    /// Calls `each` with every reader and the frame it reads in. An error: the payload is not JSON, or holds too much.
    pub(crate) fn extract(&self, payload: &[u8], each: &mut dyn FnMut(usize, &Seen<'_, '_>)) -> Result<(), Refusal> {
        let mut few = [None; 8];
        let mut many = Vec::new();
        let found = slots(self.slots, &mut few, &mut many);
        let mut lists = Vec::new();
        let text = std::str::from_utf8(payload).map_err(|_| Refusal::Malformed)?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let walked = Walk { node: &self.node, found, lists: &mut lists }.deserialize(&mut reader);
        walked.and_then(|()| reader.end()).map_err(|_| Refusal::Malformed)?;
        let seen = Seen { found, depth: 0, around: None };
        self.readers.iter().for_each(|reader| each(*reader, &seen));
        let mut left = ELEMENTS_MAX;
        lists.into_iter().try_for_each(|(node, raw)| elements(node, raw, &seen, &mut left, each))
    }

    fn enter(
        &self,
        raw: &str,
        around: &Seen<'_, '_>,
        left: &mut usize,
        each: &mut dyn FnMut(usize, &Seen<'_, '_>),
    ) -> Result<(), Refusal> {
        let mut few = [None; 8];
        let mut many = Vec::new();
        let found = slots(self.slots, &mut few, &mut many);
        let mut lists = Vec::new();
        let mut reader = serde_json::Deserializer::from_str(raw);
        let walk = Walk { node: &self.node, found, lists: &mut lists };
        walk.deserialize(&mut reader).map_err(|_| Refusal::Malformed)?;
        let seen = Seen { found, depth: around.depth + 1, around: Some(around) };
        self.readers.iter().for_each(|reader| each(*reader, &seen));
        lists.into_iter().try_for_each(|(node, raw)| elements(node, raw, &seen, left, each))
    }
}

/// Most frames have few slots: these need no memory of their own.
fn slots<'s, 'de>(
    count: usize,
    few: &'s mut [Option<&'de str>; 8],
    many: &'s mut Vec<Option<&'de str>>,
) -> &'s mut [Option<&'de str>] {
    if count <= few.len() {
        return few.get_mut(..count).unwrap_or_default();
    }
    many.resize(count, None);
    many
}

/// Goes through the elements of an array; whatever else stands there has none.
fn elements(
    node: &Node,
    raw: &str,
    around: &Seen<'_, '_>,
    left: &mut usize,
    each: &mut dyn FnMut(usize, &Seen<'_, '_>),
) -> Result<(), Refusal> {
    for element in split(raw)? {
        *left = left.checked_sub(1).ok_or(Refusal::OverLimit)?;
        if let Some(frame) = &node.each {
            frame.enter(element, around, left, each)?;
        }
        for chosen in &node.chosen {
            if let Some(frame) = chosen.find(element) {
                frame.enter(element, around, left, each)?;
            }
        }
    }
    Ok(())
}

fn split(raw: &str) -> Result<Vec<&str>, Refusal> {
    if !raw.starts_with('[') {
        return Ok(Vec::new());
    }
    let mut list = Vec::new();
    let mut reader = serde_json::Deserializer::from_str(raw);
    let read = reader.deserialize_seq(Elements(&mut list));
    if list.len() > ELEMENTS_MAX {
        return Err(Refusal::OverLimit);
    }
    read.map(|()| list).map_err(|_| Refusal::Malformed)
}

/// The texts of an array's elements, until there are too many.
struct Elements<'l, 'de>(&'l mut Vec<&'de str>);

impl<'de> Visitor<'de> for Elements<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while self.0.len() <= ELEMENTS_MAX
            && let Some(element) = seq.next_element::<&RawValue>()?
        {
            self.0.push(element.get());
        }
        Ok(())
    }
}

impl Chosen {
    fn find(&self, element: &str) -> Option<&Frame> {
        if !element.starts_with('{') {
            return None;
        }
        let mut reader = serde_json::Deserializer::from_str(element);
        let text = Member(&self.key).deserialize(&mut reader).ok().flatten()?;
        let text = scalar(text)?;
        let at = self.frames.binary_search_by(|(wanted, _)| wanted.as_str().cmp(&text)).ok()?;
        self.frames.get(at).map(|(_, frame)| frame)
    }
}

impl Node {
    fn walk(&mut self, keys: &[Step]) -> &mut Node {
        let Some((first, rest)) = keys.split_first() else {
            return self;
        };
        let Step::Key(key) = first else {
            return self;
        };
        let at = self.keys.iter().position(|(known, _)| known == key).unwrap_or_else(|| {
            self.keys.push((key.clone(), Node::default()));
            self.keys.len() - 1
        });
        self.keys[at].1.walk(rest)
    }

    fn frame(&mut self, selector: &Step) -> &mut Frame {
        let Step::Where { key, text } = selector else {
            return self.each.get_or_insert_default();
        };
        let at = self.chosen.iter().position(|chosen| chosen.key == *key).unwrap_or_else(|| {
            self.chosen.push(Chosen { key: key.clone(), frames: Vec::new() });
            self.chosen.len() - 1
        });
        let frames = &mut self.chosen[at].frames;
        let at = frames.binary_search_by(|(known, _)| known.cmp(text)).unwrap_or_else(|at| {
            frames.insert(at, (text.clone(), Frame::default()));
            at
        });
        &mut frames[at].1
    }

    fn child(&self, key: &str) -> Option<&Node> {
        self.keys.iter().find(|(known, _)| known == key).map(|(_, node)| node)
    }

    fn selects(&self) -> bool {
        self.each.is_some() || !self.chosen.is_empty()
    }
}

struct Walk<'p, 'f, 'de> {
    node: &'p Node,
    found: &'f mut [Option<&'de str>],
    lists: &'f mut Vec<(&'p Node, &'de str)>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.node.slot.is_none() && !self.node.selects() {
            return deserializer.deserialize_any(self);
        }
        let raw: &'de RawValue = serde::Deserialize::deserialize(deserializer)?;
        if let Some(place) = self.node.slot.and_then(|slot| self.found.get_mut(slot)) {
            *place = Some(raw.get());
        }
        if self.node.selects() {
            // Of a repeated key the last counts.
            self.lists.retain(|(node, _)| !std::ptr::eq(*node, self.node));
            self.lists.push((self.node, raw.get()));
        }
        if self.node.keys.is_empty() {
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
                Some(node) => map.next_value_seed(Walk { node, found: &mut *self.found, lists: &mut *self.lists })?,
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
                Some(node) => {
                    let walk = Walk { node, found: &mut *self.found, lists: &mut *self.lists };
                    seq.next_element_seed(walk)?.is_some()
                }
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
struct Key<'p>(&'p Node);

impl<'de, 'p> DeserializeSeed<'de> for Key<'p> {
    type Value = Option<&'p Node>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'p> Visitor<'_> for Key<'p> {
    type Value = Option<&'p Node>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.child(key))
    }
}

/// The JSON text of one member of an object.
struct Member<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Option<&'de str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de str>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<Text<'_>>()? {
            if key.0 == self.0 {
                found = Some(map.next_value::<&RawValue>()?.get());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Text, copied only where escapes make that necessary.
#[derive(serde::Deserialize)]
pub(crate) struct Text<'t>(#[serde(borrow)] pub(crate) Cow<'t, str>);

/// The plain text of a JSON scalar: a number's own digits, or what a quoted string holds. `None`: null.
pub(crate) fn scalar(json: &str) -> Option<Cow<'_, str>> {
    match json.as_bytes() {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => json.get(1..json.len() - 1).map(Into::into),
        [b'"', ..] => serde_json::from_str::<String>(json).ok().map(Into::into),
        _ if json == "null" => None,
        _ => Some(json.into()),
    }
}

/// Whether the text is an object.
pub(crate) fn is_object(json: &str) -> bool {
    json.starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the paths together, in the frame of the last one, and lists what is found in each such frame.
    fn read(paths: &[&str], payload: &str) -> Result<Vec<Vec<Option<String>>>, Refusal> {
        let mut frame = Frame::default();
        let paths: Vec<Path> = paths.iter().map(|path| Path::parse(path).unwrap()).collect();
        let slots: Vec<Slot> = paths.iter().map(|path| frame.add(path)).collect();
        frame.read_by(paths.last().unwrap(), 0);
        let mut rows = Vec::new();
        let text = |found: Option<&str>| found.map(str::to_owned);
        frame.extract(payload.as_bytes(), &mut |_, seen| {
            rows.push(slots.iter().map(|slot| text(seen.get(*slot))).collect());
        })?;
        Ok(rows)
    }

    fn check(paths: &[&str], payload: &str, expected: &[&[Option<&str>]]) {
        let rows = read(paths, payload).unwrap();
        let rows: Vec<Vec<Option<&str>>> = rows.iter().map(|row| row.iter().map(|t| t.as_deref()).collect()).collect();
        assert_eq!(rows, expected, "{payload}");
    }

    #[test]
    fn picks_what_pointers_name() {
        let payload = r#"{"ts":17,"a":{"b":[1,{"c":"2.50"}],"x/y":3e5},"n":null}"#;
        check(
            &["/ts", "/a/b/1/c", "/a/x~1y", "/n", "/missing/deep"],
            payload,
            &[&[Some("17"), Some("\"2.50\""), Some("3e5"), Some("null"), None]],
        );
        check(&["/a", "/a/b"], r#"{"a":{"b":1}}"#, &[&[Some(r#"{"b":1}"#), Some("1")]]);
        check(&["/a/b"], r#"{"a":7}"#, &[&[None]]);
        check(&["/a"], "[1,2]", &[&[None]]);
    }

    #[test]
    fn a_repeated_key_takes_the_last_value() {
        check(&["/v"], r#"{"v":1,"v":2}"#, &[&[Some("2")]]);
        check(&["/v/*"], r#"{"v":[1],"v":[2]}"#, &[&[Some("2")]]);
    }

    #[test]
    fn every_element_of_an_array_is_a_frame_that_sees_what_is_around_it() {
        let payload = r#"{"h":[{"v":1,"t":5},{"v":2}],"id":"x"}"#;
        check(
            &["/id", "/h/*/t", "/h/*/v"],
            payload,
            &[&[Some("\"x\""), Some("5"), Some("1")], &[Some("\"x\""), None, Some("2")]],
        );
        check(&["/*/v"], r#"[{"v":1},{"w":2},3]"#, &[&[Some("1")], &[None], &[None]]);
        check(&["/h/*/v"], r#"{"h":{"v":1}}"#, &[]);
        let nested = r#"{"d":[{"n":"a","r":[{"v":1},{"v":2}]},{"n":"b","r":[{"v":3}]}]}"#;
        check(
            &["/d/*/n", "/d/*/r/*/v"],
            nested,
            &[&[Some("\"a\""), Some("1")], &[Some("\"a\""), Some("2")], &[Some("\"b\""), Some("3")]],
        );
    }

    #[test]
    fn elements_are_chosen_by_a_member() {
        let payload = r#"{"vals":[{"id":"101","val":4},{"val":5,"id":102},{"id":"101","val":6},7]}"#;
        check(&["/vals/[id=101]/val"], payload, &[&[Some("4")], &[Some("6")]]);
        check(&["/vals/[id=102]/val"], payload, &[&[Some("5")]]);
        check(&["/vals/[id=103]/val"], payload, &[]);
        check(&["/g/[n=a~1b]/t/[k=1]/v"], r#"{"g":[{"t":[{"k":1,"v":8}],"n":"a/b"}]}"#, &[&[Some("8")]]);
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        for payload in ["", "{", "{\"v\":1}x", "nan", "{\"v\":01}", "{'v':1}"] {
            assert_eq!(read(&["/v"], payload), Err(Refusal::Malformed), "{payload}");
        }
    }

    #[test]
    fn depth_and_elements_are_bounded() {
        assert_eq!(read(&["/v"], &"[".repeat(100_000)), Err(Refusal::Malformed));
        let many = format!("[{}1]", "1,".repeat(ELEMENTS_MAX));
        assert_eq!(read(&["/*"], &many), Err(Refusal::OverLimit));
        assert_eq!(read(&["/v"], &many), Ok(vec![vec![None]]), "what is not looked at does not count");
    }
}

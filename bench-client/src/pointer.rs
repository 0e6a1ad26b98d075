//! JSON pointers (RFC 6901) into messages: the number or the text that one leads to, found in one pass.
//!
//! serde_json reads and checks the whole message, and what lies beside the way is skipped: no tree is built, nothing is
//! allocated but for a text with escapes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A way into a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pointer(Vec<String>);

/// What stands there.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Leaf<'a> {
    Number(u64),
    Text(Cow<'a, str>),
    /// Something else: a list, an object, true, a fraction.
    Other,
}

impl Pointer {
    /// Reads a pointer: empty, or `/` in front of every step.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let Some(steps) = text.strip_prefix('/') else {
            return Err(format!("`{text}` is no JSON pointer: write /result/id, or /0/id into a list"));
        };
        Ok(Self(steps.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect()))
    }

    /// What it leads to in `document`; `None` if that is no JSON or nothing stands there.
    pub(crate) fn find<'a>(&self, document: &'a [u8]) -> Option<Leaf<'a>> {
        let mut read = serde_json::Deserializer::from_slice(document);
        let leaf = At(&self.0).deserialize(&mut read).ok()?;
        read.end().ok()?;
        leaf
    }
}

/// What is wanted of a value: what these steps lead to within it.
struct At<'p>(&'p [String]);

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<Leaf<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl At<'_> {
    fn leaf<'de>(&self, leaf: Leaf<'de>) -> Option<Leaf<'de>> {
        self.0.is_empty().then_some(leaf)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Option<Leaf<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(self.leaf(Leaf::Other))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(self.leaf(Leaf::Number(number)))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(self.leaf(Leaf::Other))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        // 7.0 and 7e0 are how some languages write a number that they know as a float.
        let is_whole = number >= 0.0 && number.fract() == 0.0 && number < 9e15;
        Ok(self.leaf(if is_whole { Leaf::Number(number as u64) } else { Leaf::Other }))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(self.leaf(Leaf::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.leaf(Leaf::Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(self.leaf(Leaf::Other))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let Some((step, rest)) = self.0.split_first() else {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Some(Leaf::Other));
        };
        let wanted: usize = step.parse().unwrap_or(usize::MAX);
        let (mut found, mut at) = (None, 0);
        loop {
            if at == wanted {
                let Some(leaf) = list.next_element_seed(At(rest))? else { break };
                found = leaf;
            } else if list.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
            at += 1;
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((step, rest)) = self.0.split_first() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Some(Leaf::Other));
        };
        let mut found = None;
        while let Some(is_wanted) = map.next_key_seed(Is(step))? {
            if is_wanted {
                found = map.next_value_seed(At(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Whether a key is this one.
struct Is<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_finds_what_serde_json_finds() {
        let document = r#" {"a":[1,{"b/c":"x","m~n":7.0},[]],"id":42,"":{"":0},"t":"q\"","n":-1,"f":1.5,"z":null,"o":{"id":9}} "#;
        let tree: serde_json::Value = serde_json::from_str(document).unwrap();
        for pointer in [
            "",
            "/a",
            "/a/0",
            "/a/1/b~1c",
            "/a/1/m~0n",
            "/a/2",
            "/a/3",
            "/a/x",
            "/id",
            "/id/x",
            "//",
            "/",
            "/t",
            "/n",
            "/f",
            "/z",
            "/o/id",
            "/nothing",
        ] {
            let expected = tree.pointer(pointer).map(|value| match value {
                serde_json::Value::String(text) => Leaf::Text(text.clone().into()),
                value => match value.as_f64() {
                    Some(number) if number >= 0.0 && number.fract() == 0.0 => Leaf::Number(number as u64),
                    _ => Leaf::Other,
                },
            });
            assert_eq!(Pointer::parse(pointer).unwrap().find(document.as_bytes()), expected, "{pointer}");
        }
    }

    #[test]
    fn what_is_no_json_has_nothing_and_what_is_no_pointer_is_refused() {
        let pointer = Pointer::parse("/id").unwrap();
        for document in ["", "{", "{\"id\":1}x", "{\"id\":1", "hello", "\u{fffd}", "[1]", "{\"id\":01}"] {
            assert_eq!(pointer.find(document.as_bytes()), None, "{document}");
        }
        assert!(Pointer::parse("id").is_err_and(|said| said.contains("/result/id")));
    }
}

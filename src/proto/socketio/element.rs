//! One argument as a serde deserializer, and all of them as one that tells tuples from everything else.

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

use super::args::{Args, Form, Mismatch};
use super::json::{self, Checks};
use super::msgpack;
use super::value::Reader;

/// What a value was checked with, so that its end is found again.
pub(super) const CHECKED: Checks = Checks { depth_max: u32::MAX, attachments: None };

/// An argument that was checked. What follows it in its text is never looked at.
#[derive(Clone, Copy)]
pub(super) enum Element<'a> {
    /// JSON.
    Json(&'a str),
    /// JSON with placeholders for attachments.
    Attached(&'a str, &'a [Vec<u8>]),
    /// MessagePack.
    Msgpack(&'a [u8]),
    /// It was not sent.
    Missing,
}

macro_rules! forward {
    ($($method:ident($($name:ident: $type:ty),*);)+) => {$(
        fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, Mismatch> {
            match self {
                Self::Json(json) => {
                    serde_json::Deserializer::from_str(json).$method($($name,)* visitor).map_err(Mismatch::new)
                }
                Self::Attached(json, attachments) => {
                    Reader::new(json, attachments).$method($($name,)* visitor)
                }
                Self::Msgpack(bytes) => {
                    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
                    reader.$method($($name,)* visitor).map_err(Mismatch::new)
                }
                Self::Missing => Err(Mismatch::custom("an argument is missing")),
            }
        }
    )+};
}

/// The methods of a deserializer, all but those that an implementation writes itself.
macro_rules! each_method {
    ($forward:ident) => {
        $forward! {
            deserialize_any();
            deserialize_bool();
            deserialize_i8();
            deserialize_i16();
            deserialize_i32();
            deserialize_i64();
            deserialize_i128();
            deserialize_u8();
            deserialize_u16();
            deserialize_u32();
            deserialize_u64();
            deserialize_u128();
            deserialize_f32();
            deserialize_f64();
            deserialize_char();
            deserialize_str();
            deserialize_string();
            deserialize_bytes();
            deserialize_byte_buf();
            deserialize_unit_struct(name: &'static str);
            deserialize_newtype_struct(name: &'static str);
            deserialize_seq();
            deserialize_tuple_struct(name: &'static str, len: usize);
            deserialize_map();
            deserialize_struct(name: &'static str, fields: &'static [&'static str]);
            deserialize_enum(name: &'static str, variants: &'static [&'static str]);
            deserialize_identifier();
        }
    };
}

impl<'de> Deserializer<'de> for Element<'de> {
    type Error = Mismatch;

    each_method!(forward);
    forward! {
        deserialize_tuple(len: usize);
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Self::Missing => visitor.visit_none(),
            Self::Json(json) if json.trim_start().starts_with("null") => visitor.visit_none(),
            Self::Attached(json, _) if json.trim_start().starts_with("null") => visitor.visit_none(),
            Self::Msgpack(bytes) if msgpack::is_absent(bytes) => visitor.visit_none(),
            sent => visitor.visit_some(sent),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Self::Missing => visitor.visit_unit(),
            Self::Json(json) => {
                serde_json::Deserializer::from_str(json).deserialize_unit(visitor).map_err(Mismatch::new)
            }
            Self::Attached(json, attachments) => Reader::new(json, attachments).deserialize_unit(visitor),
            Self::Msgpack(bytes) => {
                rmp_serde::Deserializer::from_read_ref(bytes).deserialize_unit(visitor).map_err(Mismatch::new)
            }
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_unit()
    }
}

/// The arguments one by one, each to the end of the text: its own end is looked for only when the next one is wanted.
pub(super) struct Elements<'a> {
    rest: Args<'a>,
    is_behind_one: bool,
}

impl<'a> Elements<'a> {
    pub(super) const fn new(args: Args<'a>) -> Self {
        Self { rest: args, is_behind_one: false }
    }

    /// Steps over the argument that was handed out last.
    fn step(&mut self) {
        match &mut self.rest.0 {
            Form::Json { json, .. } => {
                let text = json.as_bytes();
                let end = json::value(text, json::skip_space(text, 0), CHECKED);
                let behind = json::skip_space(text, end.unwrap_or(text.len()));
                // A comma parts it from the next one.
                *json = json.get(behind + 1..).unwrap_or_default();
            }
            Form::Msgpack { bytes, count } => {
                *bytes = &bytes[msgpack::end(bytes)..];
                *count = count.saturating_sub(1);
            }
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        if self.is_behind_one {
            self.step();
        }
        self.is_behind_one = true;
        if self.rest.is_empty() {
            return None;
        }
        Some(match self.rest.0 {
            Form::Json { json, attachments: None } => Element::Json(json),
            Form::Json { json, attachments: Some(attachments) } => Element::Attached(json, attachments),
            Form::Msgpack { bytes, .. } => Element::Msgpack(bytes),
        })
    }
}

/// All arguments: a tuple is several of them, a unit none, everything else the first.
pub(super) struct Spread<'a>(pub(super) Args<'a>);

macro_rules! first {
    ($($method:ident($($name:ident: $type:ty),*);)+) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, Mismatch> {
            self.0.first().$method($($name,)* visitor)
        }
    )+};
}

impl<'de> Deserializer<'de> for Spread<'de> {
    type Error = Mismatch;

    each_method!(first);
    first! {
        deserialize_option();
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_seq(Several(Elements::new(self.0)))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_unit()
    }
}

/// The elements of a tuple. It never ends: what was not sent is [`Element::Missing`].
struct Several<'a>(Elements<'a>);

impl<'de> SeqAccess<'de> for Several<'de> {
    type Error = Mismatch;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mismatch> {
        seed.deserialize(self.0.next().unwrap_or(Element::Missing)).map(Some)
    }
}

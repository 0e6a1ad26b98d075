//! JSON that was checked, with binary attachments, as a serde deserializer: a placeholder is bytes.
//!
//! It reads straight from the text, so an argument costs the memory of what it is decoded into and no tree beside it. Plain
//! packets are read by `serde_json`, which knows nothing of placeholders; a test holds the two to the same answers.

use serde::de::value::SeqDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::args::Mismatch;
use super::element::CHECKED;
use super::json;

/// Names that `serde_json` gives to types of its own begin so: `RawValue` wants the text of the value.
const SERDE_JSON: &str = "$serde_json::private::";

/// A reader at the beginning of a value.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    attachments: &'a [Vec<u8>],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(text: &'a str, attachments: &'a [Vec<u8>]) -> Self {
        Self { text, at: 0, attachments }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Result<u8, Mismatch> {
        self.at = json::skip_space(self.text.as_bytes(), self.at);
        self.text.as_bytes().get(self.at).copied().ok_or_else(|| Mismatch::new("the value ends too early"))
    }

    /// Steps over `byte` if it comes next.
    fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Ok(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, byte: u8) -> Result<(), Mismatch> {
        if self.eat(byte) { Ok(()) } else { Err(Mismatch::new("more elements than expected")) }
    }

    /// The text of the next value, which is stepped over.
    fn skip(&mut self) -> Result<&'a str, Mismatch> {
        let start = json::skip_space(self.text.as_bytes(), self.at);
        self.at = json::value(self.text.as_bytes(), start, CHECKED).map_err(Mismatch::new)?;
        Ok(&self.text[start..self.at])
    }

    /// The attachment that stands here, if one does.
    fn attachment(&mut self) -> Result<Option<&'a [u8]>, Mismatch> {
        if self.peek()? != b'{' {
            return Ok(None);
        }
        let Some((num, end)) = json::placeholder(self.text.as_bytes(), self.at) else { return Ok(None) };
        self.at = end;
        let attachment = self.attachments.get(num as usize).map(Vec::as_slice);
        attachment.map(Some).ok_or_else(|| Mismatch::new("a placeholder names no attachment"))
    }

    fn string<V: Visitor<'a>>(&mut self, visitor: V) -> Result<V::Value, Mismatch> {
        let start = self.at + 1;
        let (end, escaped) = json::string(self.text.as_bytes(), start).map_err(Mismatch::new)?;
        self.at = end;
        match json::text(&self.text[start..end - 1], escaped) {
            std::borrow::Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            std::borrow::Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn number<V: Visitor<'a>>(&mut self, visitor: V) -> Result<V::Value, Mismatch> {
        let number = self.skip()?;
        if !number.contains(['.', 'e', 'E']) && number != "-0" {
            if let Ok(number) = number.parse() {
                return visitor.visit_u64(number);
            }
            if let Ok(number) = number.parse() {
                return visitor.visit_i64(number);
            }
        }
        match number.parse::<f64>() {
            Ok(number) if number.is_finite() => visitor.visit_f64(number),
            _ => Err(Mismatch::new("a number is out of range")),
        }
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        if let Some(attachment) = self.attachment()? {
            return visitor.visit_borrowed_bytes(attachment);
        }
        match self.peek()? {
            b'"' => self.string(visitor),
            b'[' => {
                self.at += 1;
                let value = visitor.visit_seq(Members { reader: self, is_first: true, closing: b']' })?;
                self.expect(b']')?;
                Ok(value)
            }
            b'{' => {
                self.at += 1;
                let value = visitor.visit_map(Members { reader: self, is_first: true, closing: b'}' })?;
                self.expect(b'}')?;
                Ok(value)
            }
            b't' | b'f' => {
                let word = self.skip()?;
                visitor.visit_bool(word == "true")
            }
            b'n' => {
                self.skip()?;
                visitor.visit_unit()
            }
            _ => self.number(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        if self.peek()? != b'n' {
            return visitor.visit_some(self);
        }
        self.skip()?;
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        if !name.starts_with(SERDE_JSON) {
            return visitor.visit_newtype_struct(self);
        }
        let mut reader = serde_json::Deserializer::from_str(self.skip()?);
        reader.deserialize_newtype_struct(name, visitor).map_err(Mismatch::new)
    }

    /// Bytes asked for as a list are the list of their numbers: what a `Vec<u8>` is to serde.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.attachment()? {
            Some(bytes) => visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied())),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_seq(visitor)
    }

    /// Bytes asked for as a text are none, though serde's own texts would take them.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.attachment()? {
            Some(bytes) => Err(Mismatch::invalid_type(Unexpected::Bytes(bytes), &visitor)),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_str(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        if self.peek()? == b'"' {
            return visitor.visit_enum(Variant { reader: self, has_content: false });
        }
        if !self.eat(b'{') {
            return Err(Mismatch::invalid_type(Unexpected::Other("a value"), &"a variant"));
        }
        let value = visitor.visit_enum(Variant { reader: self, has_content: true })?;
        self.expect(b'}')?;
        Ok(value)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.skip()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        tuple_struct map struct identifier
    }
}

/// What is between two brackets.
struct Members<'r, 'a> {
    reader: &'r mut Reader<'a>,
    is_first: bool,
    closing: u8,
}

impl Members<'_, '_> {
    /// Whether another one follows; steps over the comma before it.
    fn has_next(&mut self) -> Result<bool, Mismatch> {
        if self.reader.peek()? == self.closing {
            return Ok(false);
        }
        if !std::mem::take(&mut self.is_first) {
            self.reader.expect(b',')?;
        }
        Ok(true)
    }
}

impl<'de> SeqAccess<'de> for Members<'_, 'de> {
    type Error = Mismatch;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mismatch> {
        if self.has_next()? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Mismatch;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mismatch> {
        if !self.has_next()? {
            return Ok(None);
        }
        self.reader.peek()?;
        seed.deserialize(Key(self.reader)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mismatch> {
        self.reader.expect(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

/// A member's key: a string, and whoever asks for a number or a truth value gets the one that it spells.
struct Key<'r, 'a>(&'r mut Reader<'a>);

macro_rules! spelled {
    ($($method:ident, $type:ty, $visit:ident;)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
            let key = self.0.skip()?.trim_matches('"');
            let spelled = key.parse::<$type>();
            visitor.$visit(spelled.map_err(|_| Mismatch::invalid_value(Unexpected::Str(key), &stringify!($type)))?)
        }
    )+};
}

impl<'de> Deserializer<'de> for Key<'_, 'de> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.0.string(visitor)
    }

    spelled! {
        deserialize_bool, bool, visit_bool;
        deserialize_i8, i64, visit_i64;
        deserialize_i16, i64, visit_i64;
        deserialize_i32, i64, visit_i64;
        deserialize_i64, i64, visit_i64;
        deserialize_u8, u64, visit_u64;
        deserialize_u16, u64, visit_u64;
        deserialize_u32, u64, visit_u64;
        deserialize_u64, u64, visit_u64;
        deserialize_f32, f64, visit_f64;
        deserialize_f64, f64, visit_f64;
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

/// `"Name"`, or `"Name":content` between braces.
struct Variant<'r, 'a> {
    reader: &'r mut Reader<'a>,
    has_content: bool,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Mismatch;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Mismatch> {
        self.reader.peek()?;
        let name = seed.deserialize(Key(self.reader))?;
        if self.has_content {
            self.reader.expect(b':')?;
        }
        Ok((name, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Mismatch;

    fn unit_variant(self) -> Result<(), Mismatch> {
        if !self.has_content {
            return Ok(());
        }
        serde::Deserialize::deserialize(self.reader)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Mismatch> {
        if self.has_content {
            return seed.deserialize(self.reader);
        }
        Err(Mismatch::invalid_type(Unexpected::UnitVariant, &"newtype variant"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mismatch> {
        if self.has_content {
            return self.reader.deserialize_seq(visitor);
        }
        Err(Mismatch::invalid_type(Unexpected::UnitVariant, &"tuple variant"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        if self.has_content {
            return self.reader.deserialize_any(visitor);
        }
        Err(Mismatch::invalid_type(Unexpected::UnitVariant, &"struct variant"))
    }
}

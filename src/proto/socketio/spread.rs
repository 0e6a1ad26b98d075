//! What an application emits, taken apart: a tuple is several arguments, a unit none, everything else one.

use std::io;

use serde::ser::{Error, Impossible, Serialize, SerializeTuple, Serializer};
use serde_json::ser::Formatter;

use super::args::Args;
use super::encode::{self, EncodeError};
use super::number;

/// Where arguments are written to: one of the two parsers' packets.
pub trait Sink {
    /// Appends an argument.
    #[doc(hidden)]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError>;

    /// Appends arguments as they came.
    #[doc(hidden)]
    fn raw(&mut self, args: Args<'_>) -> Result<(), EncodeError>;
}

/// Writes `value` as as many arguments as it is.
#[inline]
pub(super) fn emit<T: Serialize + ?Sized, S: Sink>(value: &T, sink: &mut S) -> Result<(), EncodeError> {
    let mut is_one = false;
    match value.serialize(Spread { sink, is_one: &mut is_one }) {
        // It has begun to serialize itself as something compound, and nothing of it is written yet.
        Err(_) if is_one => sink.element(value),
        done => done,
    }
}

/// Elements of a JSON array.
pub(super) struct Json<'a> {
    out: &'a mut Vec<u8>,
    attachments: &'a mut Vec<Vec<u8>>,
    /// How many attachments were there before.
    base: usize,
    is_behind_one: bool,
}

impl<'a> Json<'a> {
    /// `is_behind_one`: whether the array has an element already.
    pub(super) const fn new(
        out: &'a mut Vec<u8>,
        attachments: &'a mut Vec<Vec<u8>>,
        is_behind_one: bool,
    ) -> Self {
        let base = attachments.len();
        Self { out, attachments, base, is_behind_one }
    }

    #[inline]
    fn part(&mut self) {
        if std::mem::replace(&mut self.is_behind_one, true) {
            self.out.push(b',');
        }
    }
}

impl Sink for Json<'_> {
    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.part();
        let stringify = Stringify { attachments: self.attachments, base: self.base };
        value
            .serialize(&mut serde_json::Serializer::with_formatter(&mut *self.out, stringify))
            .map_err(EncodeError::new)
    }

    fn raw(&mut self, args: Args<'_>) -> Result<(), EncodeError> {
        if !args.is_empty() {
            self.part();
        }
        encode::copy(self.out, self.attachments, self.base, args)
    }
}

/// JSON as JavaScript writes it, and a placeholder wherever serde is given bytes.
struct Stringify<'a> {
    attachments: &'a mut Vec<Vec<u8>>,
    base: usize,
}

impl Formatter for Stringify<'_> {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        number::write_f64(writer, value)
    }

    fn write_f32<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        number::write_f32(writer, value)
    }

    fn write_byte_array<W: ?Sized + io::Write>(&mut self, writer: &mut W, bytes: &[u8]) -> io::Result<()> {
        let num = self.attachments.len() - self.base;
        self.attachments.push(bytes.to_vec());
        write!(writer, "{{\"_placeholder\":true,\"num\":{num}}}")
    }
}

/// Tells what a value is by how it serializes itself: scalars and tuples are written at once, of everything else it says
/// that it is one argument before anything is written.
struct Spread<'a, S> {
    sink: &'a mut S,
    is_one: &'a mut bool,
}

impl<S> Spread<'_, S> {
    fn one<T>(self) -> Result<T, EncodeError> {
        *self.is_one = true;
        Err(EncodeError::custom(""))
    }
}

macro_rules! scalars {
    ($($method:ident($type:ty);)+) => {$(
        #[inline]
        fn $method(self, value: $type) -> Result<(), EncodeError> {
            self.sink.element(&value)
        }
    )+};
}

type No = Impossible<(), EncodeError>;

impl<'a, S: Sink> Serializer for Spread<'a, S> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = No;
    type SerializeTuple = Several<'a, S>;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = No;
    type SerializeStruct = No;
    type SerializeStructVariant = No;

    scalars! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.sink.element(&super::Binary(bytes))
    }

    fn serialize_none(self) -> Result<(), EncodeError> {
        self.sink.element(&None::<()>)
    }

    fn serialize_unit(self) -> Result<(), EncodeError> {
        Ok(())
    }

    fn serialize_tuple(self, _: usize) -> Result<Several<'a, S>, EncodeError> {
        Ok(Several(self.sink))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), EncodeError> {
        self.one()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), EncodeError> {
        self.one()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), EncodeError> {
        self.one()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<(), EncodeError> {
        self.one()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), EncodeError> {
        self.one()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<No, EncodeError> {
        self.one()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<No, EncodeError> {
        self.one()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<No, EncodeError> {
        self.one()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<No, EncodeError> {
        self.one()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<No, EncodeError> {
        self.one()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<No, EncodeError> {
        self.one()
    }
}

/// The elements of a tuple, each an argument.
struct Several<'a, S>(&'a mut S);

impl<S: Sink> SerializeTuple for Several<'_, S> {
    type Ok = ();
    type Error = EncodeError;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.0.element(value)
    }

    fn end(self) -> Result<(), EncodeError> {
        Ok(())
    }
}

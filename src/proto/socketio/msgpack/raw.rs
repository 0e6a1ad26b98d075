//! Raw JSON on its way into MessagePack: wherever a value has a `RawValue` in it, that is read and written as what it says.
//!
//! To a serializer that does not know it, a `RawValue` is a struct with one member, a text under a private name, and that is what
//! clients would get. So the serializer stands behind one that knows it, and hands everything else on as it is.

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::Value;

/// The name under which `serde_json` serializes a `RawValue`: of the struct, and of its one member.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// A value whose raw JSON is converted.
pub(super) struct Converted<'a, T: ?Sized>(pub(super) &'a T);

impl<T: Serialize + ?Sized> Serialize for Converted<'_, T> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Converting(serializer))
    }
}

/// A serializer, and within it a sequence, a tuple, a map: each hands its parts on, converted.
struct Converting<S>(S);

/// A struct, or raw JSON that looks like one.
enum Fields<S: Serializer> {
    Struct(S::SerializeStruct),
    Raw(Option<S>, Option<S::Ok>),
}

macro_rules! scalars {
    ($($method:ident($($name:ident: $type:ty),*);)+) => {$(
        #[inline]
        fn $method(self, $($name: $type),*) -> Result<S::Ok, S::Error> {
            self.0.$method($($name),*)
        }
    )+};
}

macro_rules! compounds {
    ($($method:ident($($name:ident: $type:ty),*) -> $compound:ident;)+) => {$(
        #[inline]
        fn $method(self, $($name: $type),*) -> Result<Self::$compound, S::Error> {
            self.0.$method($($name),*).map(Converting)
        }
    )+};
}

impl<S: Serializer> Serializer for Converting<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Converting<S::SerializeSeq>;
    type SerializeTuple = Converting<S::SerializeTuple>;
    type SerializeTupleStruct = Converting<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Converting<S::SerializeTupleVariant>;
    type SerializeMap = Converting<S::SerializeMap>;
    type SerializeStruct = Fields<S>;
    type SerializeStructVariant = Converting<S::SerializeStructVariant>;

    scalars! {
        serialize_bool(value: bool);
        serialize_i8(value: i8);
        serialize_i16(value: i16);
        serialize_i32(value: i32);
        serialize_i64(value: i64);
        serialize_i128(value: i128);
        serialize_u8(value: u8);
        serialize_u16(value: u16);
        serialize_u32(value: u32);
        serialize_u64(value: u64);
        serialize_u128(value: u128);
        serialize_f32(value: f32);
        serialize_f64(value: f64);
        serialize_char(value: char);
        serialize_str(value: &str);
        serialize_bytes(value: &[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
    }

    compounds! {
        serialize_seq(len: Option<usize>) -> SerializeSeq;
        serialize_tuple(len: usize) -> SerializeTuple;
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> SerializeMap;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeStructVariant;
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Fields<S>, S::Error> {
        if name == RAW_VALUE {
            return Ok(Fields::Raw(Some(self.0), None));
        }
        self.0.serialize_struct(name, len).map(Fields::Struct)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&Converted(value))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &Converted(value))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_variant(name, index, variant, &Converted(value))
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! parts {
    ($($compound:ident: $($method:ident($($key:ident: $type:ty)?)),+;)+) => {$(
        impl<C: $compound> $compound for Converting<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            $(#[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, $($key: $type,)? value: &T) -> Result<(), C::Error> {
                self.0.$method($($key,)? &Converted(value))
            })+

            #[inline]
            fn end(self) -> Result<C::Ok, C::Error> {
                self.0.end()
            }
        }
    )+};
}

parts! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeMap: serialize_key(), serialize_value();
    SerializeStructVariant: serialize_field(key: &'static str);
}

impl<S: Serializer> SerializeStruct for Fields<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), S::Error> {
        match self {
            Self::Struct(fields) => fields.serialize_field(key, &Converted(value)),
            Self::Raw(serializer, done) => {
                // Its one member is its text.
                let text = serde_json::to_value(value).map_err(Error::custom)?;
                let text = text.as_str().unwrap_or_default();
                let value: Value = serde_json::from_str(text).map_err(Error::custom)?;
                if let Some(serializer) = serializer.take() {
                    *done = Some(value.serialize(serializer)?);
                }
                Ok(())
            }
        }
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        match self {
            Self::Struct(fields) => fields.end(),
            Self::Raw(_, done) => done.ok_or_else(|| Error::custom("raw JSON without a text")),
        }
    }
}

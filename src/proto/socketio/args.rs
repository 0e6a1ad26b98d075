//! The arguments of an event or an ack as they came, and what a handler takes of them.

use std::borrow::Borrow;
use std::fmt;

use serde::de::{Deserialize, DeserializeOwned};
use serde_json::value::RawValue;

use super::bytes::Binary;
use super::element::{Element, Elements, Spread};
use super::json;
use super::msgpack;

/// Arguments, borrowed from the message or the [`Assembly`](super::Assembly) they came in. They were checked when their
/// packet was read; nothing of them is decoded before somebody asks.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Args<'a>(pub(super) Form<'a>);

/// How arguments were written.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Form<'a> {
    /// JSON values with commas between them. With attachments, an object that is a placeholder stands for one of them.
    Json { json: &'a str, attachments: Option<&'a [Vec<u8>]> },
    /// MessagePack values one behind the other.
    Msgpack { bytes: &'a [u8], count: u32 },
}

impl<'a> Args<'a> {
    /// No arguments.
    pub const NONE: Args<'static> = Args(Form::Json { json: "", attachments: None });

    /// Checked JSON values with commas between them.
    pub(super) const fn json(json: &'a str) -> Self {
        Self(Form::Json { json, attachments: None })
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        match self.0 {
            Form::Json { json, .. } => json.is_empty(),
            Form::Msgpack { count, .. } => count == 0,
        }
    }

    /// How many there are. Counts anew each time it is called.
    #[must_use]
    pub fn len(&self) -> usize {
        Elements::new(*self).count()
    }

    /// The JSON of all of them, `a,b,c` without brackets, as it was sent: a placeholder is still one. `None` in MessagePack.
    #[must_use]
    pub const fn as_json(&self) -> Option<&'a str> {
        match self.0 {
            Form::Json { json, .. } => Some(json),
            Form::Msgpack { .. } => None,
        }
    }

    /// The binary attachments that placeholders in the JSON stand for.
    #[must_use]
    pub fn attachments(&self) -> &'a [Vec<u8>] {
        match self.0 {
            Form::Json { attachments, .. } => attachments.unwrap_or_default(),
            Form::Msgpack { .. } => &[],
        }
    }

    /// Decodes what a handler takes: see [`Payload`]. `scratch` is for a text with escapes in it; what it held is lost.
    ///
    /// # Errors
    /// The arguments are not what `T` is made of.
    pub fn parse<T: Payload + ?Sized>(self, scratch: &'a mut String) -> Result<T::Parsed<'a>, Mismatch> {
        T::parse(self, scratch)
    }

    pub(super) fn first(self) -> Element<'a> {
        Elements::new(self).next().unwrap_or(Element::Missing)
    }
}

/// What a handler can take as its argument, by reference.
///
/// - A tuple is several arguments: `&(i32, String)` is the first two, `&()` is none. Arguments that were not sent are
///   `None` or a mismatch; what was sent beyond is ignored, as in JavaScript. To serde an array `[T; N]` is a tuple as
///   well, so `&[i32; 2]` is two arguments: one that is an array is a `&Vec<i32>`, or a `&([i32; 2],)`.
/// - `&str` is a text, borrowed from the message where nothing in it is escaped; `&[u8]` is a binary attachment, borrowed.
/// - `&RawValue` is the JSON of the first argument, [`RawArgs`] everything as it came, to be passed on.
/// - Every other `T: DeserializeOwned` is the first argument.
pub trait Payload {
    /// What is decoded: something that a `&Self` can be borrowed from.
    type Parsed<'a>: Borrow<Self>;

    /// Decodes it.
    ///
    /// # Errors
    /// The arguments are something else.
    fn parse<'a>(args: Args<'a>, scratch: &'a mut String) -> Result<Self::Parsed<'a>, Mismatch>;
}

impl<T: DeserializeOwned> Payload for T {
    type Parsed<'a> = T;

    #[inline]
    fn parse<'a>(args: Args<'a>, _: &'a mut String) -> Result<T, Mismatch> {
        T::deserialize(Spread(args))
    }
}

impl Payload for str {
    type Parsed<'a> = &'a Self;

    #[inline]
    fn parse<'a>(args: Args<'a>, scratch: &'a mut String) -> Result<&'a Self, Mismatch> {
        let no_text = || Mismatch::new("the first argument is not a text");
        let json = match args.0 {
            Form::Json { json, .. } => json.trim_start(),
            Form::Msgpack { bytes, .. } => return msgpack::text_of(bytes).ok_or_else(no_text),
        };
        if !json.starts_with('"') {
            return Err(no_text());
        }
        let (end, escaped) = json::string(json.as_bytes(), 1).map_err(Mismatch::new)?;
        let inside = &json[1..end - 1];
        if !escaped {
            return Ok(inside);
        }
        scratch.clear();
        json::unescape(inside, scratch);
        Ok(scratch)
    }
}

impl Payload for [u8] {
    type Parsed<'a> = &'a [u8];

    fn parse<'a>(args: Args<'a>, _: &'a mut String) -> Result<&'a [u8], Mismatch> {
        Binary::deserialize(args.first()).map(|binary| binary.0)
    }
}

impl Payload for RawValue {
    type Parsed<'a> = &'a Self;

    fn parse<'a>(args: Args<'a>, _: &'a mut String) -> Result<&'a Self, Mismatch> {
        Deserialize::deserialize(args.first())
    }
}

/// All arguments of an event as they came, attachments included: for a handler that passes them on. Emitted, they are
/// what they were.
#[derive(Clone, PartialEq, Debug)]
pub struct RawArgs(Owned);

#[derive(Clone, PartialEq, Debug)]
enum Owned {
    Json { json: Box<str>, attachments: Option<Box<[Vec<u8>]>> },
    Msgpack { bytes: Box<[u8]>, count: u32 },
}

impl RawArgs {
    /// The arguments, borrowed.
    #[must_use]
    pub fn as_args(&self) -> Args<'_> {
        Args(match &self.0 {
            Owned::Json { json, attachments } => Form::Json { json, attachments: attachments.as_deref() },
            Owned::Msgpack { bytes, count } => Form::Msgpack { bytes, count: *count },
        })
    }

    /// Decodes them, as [`Args::parse`].
    ///
    /// # Errors
    /// The arguments are not what `T` is made of.
    pub fn parse<'a, T: Payload + ?Sized>(
        &'a self,
        scratch: &'a mut String,
    ) -> Result<T::Parsed<'a>, Mismatch> {
        self.as_args().parse::<T>(scratch)
    }
}

impl From<Args<'_>> for RawArgs {
    fn from(args: Args<'_>) -> Self {
        Self(match args.0 {
            Form::Json { json, attachments } => {
                Owned::Json { json: json.into(), attachments: attachments.map(Box::from) }
            }
            Form::Msgpack { bytes, count } => Owned::Msgpack { bytes: bytes.into(), count },
        })
    }
}

impl Payload for RawArgs {
    type Parsed<'a> = Self;

    fn parse<'a>(args: Args<'a>, _: &'a mut String) -> Result<Self, Mismatch> {
        Ok(args.into())
    }
}

/// The arguments of a packet are not what the handler takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch(Box<str>);

impl Mismatch {
    pub(super) fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string().into())
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mismatch {}

impl serde::de::Error for Mismatch {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self::new(why)
    }
}

//! Writes packets as text, onto the end of a buffer: with the same characters as `JSON.stringify` would.
//!
//! A packet without attachments, which is nearly every one, is written in one pass. Bytes among the arguments become
//! attachments as they are met; the packet's kind and their count are then put in front, where one digit stood.

use std::fmt;

use serde::ser::Serialize;
use serde_json::Serializer;

use super::args::{Args, Form, RawArgs};
use super::packet::{Kind, is_reserved};
use super::spread::{self, Json, Sink};

/// What can be emitted: arguments of an event or an ack.
///
/// A tuple is several arguments, `()` is none, everything else that serde can serialize is one. To serde an array
/// `[T; N]` is a tuple as well: to emit one as a single argument, put it into a tuple, or take a slice of it. Bytes are a
/// list of numbers unless they are a [`Binary`](super::Binary), or serialized as bytes in some other way. [`Args`] and
/// [`RawArgs`] are what they were when they came.
pub trait EmitArgs {
    /// Writes each argument to `sink`.
    #[doc(hidden)]
    fn emit<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError>;
}

impl<T: Serialize + ?Sized> EmitArgs for T {
    #[inline]
    fn emit<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        spread::emit(self, sink)
    }
}

impl EmitArgs for Args<'_> {
    fn emit<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.raw(*self)
    }
}

impl EmitArgs for RawArgs {
    fn emit<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.raw(self.as_args())
    }
}

/// Something cannot be emitted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncodeError(Box<str>);

impl EncodeError {
    pub(super) fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string().into())
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EncodeError {}

impl serde::ser::Error for EncodeError {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self::new(why)
    }
}

/// Appends an event. Attachments are appended to `attachments`, to be sent behind the text, each as a binary message.
///
/// # Errors
/// The arguments cannot be serialized, or the name is one of [`RESERVED_EVENTS`](super::RESERVED_EVENTS). Both buffers
/// are then as they were.
pub fn event(
    out: &mut Vec<u8>,
    namespace: &str,
    ack_id: Option<u64>,
    event: &str,
    args: &(impl EmitArgs + ?Sized),
    attachments: &mut Vec<Vec<u8>>,
) -> Result<(), EncodeError> {
    if is_reserved(event) {
        return Err(EncodeError::new(format_args!("\"{event}\" is a reserved name of events")));
    }
    list(out, Kind::Event, namespace, ack_id, Some(event), args, attachments)
}

/// Appends the answer to the event that had `ack_id`. Attachments as in [`event`].
///
/// # Errors
/// The arguments cannot be serialized. Both buffers are then as they were.
pub fn ack(
    out: &mut Vec<u8>,
    namespace: &str,
    ack_id: u64,
    args: &(impl EmitArgs + ?Sized),
    attachments: &mut Vec<Vec<u8>>,
) -> Result<(), EncodeError> {
    list(out, Kind::Ack, namespace, Some(ack_id), None, args, attachments)
}

/// Appends a server's answer to a connect: `{"sid":…}`.
pub fn connect(out: &mut Vec<u8>, namespace: &str, sid: &str) {
    head(out, Kind::Connect, namespace, None);
    out.extend_from_slice(b"{\"sid\":");
    string(out, sid);
    out.push(b'}');
}

/// Appends a client's connect, with what the server is to know of it, or nothing.
///
/// # Errors
/// `auth` cannot be serialized, or has bytes in it. `out` is then as it was.
pub fn connect_request<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    namespace: &str,
    auth: Option<&T>,
) -> Result<(), EncodeError> {
    let start = out.len();
    head(out, Kind::Connect, namespace, None);
    auth.map_or(Ok(()), |auth| alone(out, start, auth))
}

/// Appends the refusal of a connect: `{"message":…}`, and `"data":…` where there is any.
///
/// # Errors
/// `data` cannot be serialized, or has bytes in it. `out` is then as it was.
pub fn connect_error<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    namespace: &str,
    message: &str,
    data: Option<&T>,
) -> Result<(), EncodeError> {
    let start = out.len();
    head(out, Kind::ConnectError, namespace, None);
    out.extend_from_slice(b"{\"message\":");
    string(out, message);
    if let Some(data) = data {
        out.extend_from_slice(b",\"data\":");
        alone(out, start, data)?;
    }
    out.push(b'}');
    Ok(())
}

/// Appends a disconnect.
pub fn disconnect(out: &mut Vec<u8>, namespace: &str) {
    head(out, Kind::Disconnect, namespace, None);
}

/// Everything before the payload, without a count of attachments.
#[inline]
fn head(out: &mut Vec<u8>, kind: Kind, namespace: &str, ack_id: Option<u64>) {
    out.push(kind.digit());
    if namespace != "/" {
        out.extend_from_slice(namespace.as_bytes());
        out.push(b',');
    }
    if let Some(ack_id) = ack_id {
        number(out, ack_id);
    }
}

/// A packet whose payload is an array.
fn list(
    out: &mut Vec<u8>,
    kind: Kind,
    namespace: &str,
    ack_id: Option<u64>,
    name: Option<&str>,
    args: &(impl EmitArgs + ?Sized),
    attachments: &mut Vec<Vec<u8>>,
) -> Result<(), EncodeError> {
    let (start, attached) = (out.len(), attachments.len());
    head(out, kind, namespace, ack_id);
    out.push(b'[');
    if let Some(name) = name {
        string(out, name);
    }
    let mut sink = Json::new(out, attachments, name.is_some());
    if let Err(error) = args.emit(&mut sink) {
        out.truncate(start);
        attachments.truncate(attached);
        return Err(error);
    }
    out.push(b']');
    let count = attachments.len() - attached;
    if count > 0 {
        let kind = if kind == Kind::Event { Kind::BinaryEvent } else { Kind::BinaryAck };
        let front = format!("{}{count}-", char::from(kind.digit()));
        out.splice(start..=start, front.bytes());
    }
    Ok(())
}

/// A value outside of an array, where nothing may be attached. On an error everything from `start` on is taken back.
fn alone<T: Serialize + ?Sized>(out: &mut Vec<u8>, start: usize, value: &T) -> Result<(), EncodeError> {
    let mut attachments = Vec::new();
    let written = Json::new(out, &mut attachments, false).element(value);
    let written = match written {
        Ok(()) if !attachments.is_empty() => {
            Err(EncodeError::new("bytes can only be sent in events and acks"))
        }
        other => other,
    };
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// A string, quoted and escaped.
#[inline]
fn string(out: &mut Vec<u8>, text: &str) {
    text.serialize(&mut Serializer::new(out)).expect("a string is always JSON, and a Vec takes it");
}

/// A number in decimal.
fn number(out: &mut Vec<u8>, number: u64) {
    number.serialize(&mut Serializer::new(out)).expect("a number is always JSON, and a Vec takes it");
}

/// Arguments that came as JSON, behind those that were written before.
pub(super) fn copy(
    out: &mut Vec<u8>,
    attachments: &mut Vec<Vec<u8>>,
    base: usize,
    args: Args<'_>,
) -> Result<(), EncodeError> {
    let Form::Json { json, attachments: attached } = args.0 else {
        if args.is_empty() {
            return Ok(());
        }
        return Err(EncodeError::new("arguments in MessagePack cannot be sent on as JSON"));
    };
    let attached = attached.unwrap_or_default();
    // Placeholders count from the packet's first attachment, and so they did where these came from.
    if !attached.is_empty() && attachments.len() != base {
        return Err(EncodeError::new("attachments can only be sent on as a packet's first"));
    }
    out.extend_from_slice(json.as_bytes());
    attachments.extend_from_slice(attached);
    Ok(())
}

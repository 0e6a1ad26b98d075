//! Packets in MessagePack, as `socket.io-msgpack-parser` has them: one map in one binary message, bytes as they are.
//!
//! Beside the text form it is the same protocol: what [`Packet::parse_msgpack`](super::Packet::parse_msgpack) reads is judged by the same rules and held
//! to the same limits, and handlers and emitters see no difference.

mod decode;
mod raw;
mod scan;

use serde::ser::Serialize;

use super::args::{Args, Form};
use super::encode::{EmitArgs, EncodeError};
use super::packet::{Kind, is_reserved};
use super::spread::Sink;

pub(super) use scan::{end, is_absent, text_of};

/// Appends an event.
///
/// # Errors
/// As of [`encode::event`](super::encode::event); JSON that came in another packet cannot be sent on either.
pub fn event(
    out: &mut Vec<u8>,
    namespace: &str,
    ack_id: Option<u64>,
    event: &str,
    args: &(impl EmitArgs + ?Sized),
) -> Result<(), EncodeError> {
    if is_reserved(event) {
        return Err(EncodeError::new(format_args!("\"{event}\" is a reserved name of events")));
    }
    list(out, Kind::Event, namespace, ack_id, Some(event), args)
}

/// Appends the answer to the event that had `ack_id`.
///
/// # Errors
/// The arguments cannot be serialized. `out` is then as it was.
pub fn ack(
    out: &mut Vec<u8>,
    namespace: &str,
    ack_id: u64,
    args: &(impl EmitArgs + ?Sized),
) -> Result<(), EncodeError> {
    list(out, Kind::Ack, namespace, Some(ack_id), None, args)
}

/// Appends a server's answer to a connect: `sid` is all that is in it.
pub fn connect(out: &mut Vec<u8>, namespace: &str, sid: &str) {
    head(out, Kind::Connect, namespace, None, true);
    out.push(0x81);
    text(out, "sid");
    text(out, sid);
}

/// Appends a client's connect, with what the server is to know of it, or nothing.
///
/// # Errors
/// `auth` cannot be serialized. `out` is then as it was.
pub fn connect_request<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    namespace: &str,
    auth: Option<&T>,
) -> Result<(), EncodeError> {
    let start = out.len();
    head(out, Kind::Connect, namespace, None, auth.is_some());
    auth.map_or(Ok(()), |auth| value(out, start, auth))
}

/// Appends the refusal of a connect: `message`, and `data` where there is any.
///
/// # Errors
/// `data` cannot be serialized. `out` is then as it was.
pub fn connect_error<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    namespace: &str,
    message: &str,
    data: Option<&T>,
) -> Result<(), EncodeError> {
    let start = out.len();
    head(out, Kind::ConnectError, namespace, None, true);
    out.push(0x81 + u8::from(data.is_some()));
    text(out, "message");
    text(out, message);
    let Some(data) = data else { return Ok(()) };
    text(out, "data");
    value(out, start, data)
}

/// Appends a disconnect.
pub fn disconnect(out: &mut Vec<u8>, namespace: &str) {
    head(out, Kind::Disconnect, namespace, None, false);
}

/// The map and its members, up to the value of `data`, which comes last.
fn head(out: &mut Vec<u8>, kind: Kind, namespace: &str, ack_id: Option<u64>, has_data: bool) {
    out.push(0x82 + u8::from(ack_id.is_some()) + u8::from(has_data));
    text(out, "type");
    out.push(kind as u8);
    text(out, "nsp");
    text(out, namespace);
    if let Some(ack_id) = ack_id {
        text(out, "id");
        rmp_serde::encode::write(out, &ack_id).expect("a number is always MessagePack, and a Vec takes it");
    }
    if has_data {
        text(out, "data");
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    rmp_serde::encode::write(out, text).expect("a string is always MessagePack, and a Vec takes it");
}

/// A value. On an error everything from `start` on is taken back.
fn value<T: Serialize + ?Sized>(out: &mut Vec<u8>, start: usize, value: &T) -> Result<(), EncodeError> {
    let mut serializer = rmp_serde::Serializer::new(&mut *out).with_struct_map().with_human_readable();
    let written = raw::Converted(value).serialize(&mut serializer).map_err(EncodeError::new);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// A packet whose payload is an array.
fn list(
    out: &mut Vec<u8>,
    kind: Kind,
    namespace: &str,
    ack_id: Option<u64>,
    name: Option<&str>,
    args: &(impl EmitArgs + ?Sized),
) -> Result<(), EncodeError> {
    let start = out.len();
    head(out, kind, namespace, ack_id, true);
    // How many elements there will be is known behind the last: an array whose length takes 16 bits, set then.
    out.extend_from_slice(&[0xdc, 0, 0]);
    let length = out.len() - 2;
    let mut sink = Elements { out, count: 0 };
    let mut written = Ok(());
    if let Some(name) = name {
        written = sink.element(name);
    }
    let written = written
        .and_then(|()| args.emit(&mut sink))
        .and_then(|()| u16::try_from(sink.count).map_err(|_| EncodeError::new("more than 65,535 arguments")));
    match written {
        Ok(count) => {
            out[length..length + 2].copy_from_slice(&count.to_be_bytes());
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

/// Elements of an array, counted.
struct Elements<'a> {
    out: &'a mut Vec<u8>,
    count: u32,
}

impl Sink for Elements<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        let start = self.out.len();
        self.count += 1;
        self::value(self.out, start, value)
    }

    fn raw(&mut self, args: Args<'_>) -> Result<(), EncodeError> {
        let Form::Msgpack { bytes, count } = args.0 else {
            return if args.is_empty() {
                Ok(())
            } else {
                Err(EncodeError::new("arguments in JSON cannot be sent on as MessagePack"))
            };
        };
        self.out.extend_from_slice(bytes);
        self.count += count;
        Ok(())
    }
}

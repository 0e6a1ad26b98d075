//! The form of packets: JSON with binary attachments behind it, or MessagePack.
//!
//! Owns what goes out as which kind of message, and nothing of who gets it. Called wherever a packet is written; what comes
//! in is read by `packets`.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::proto::engineio::PacketKind;
use crate::proto::socketio::{Decoder, EmitArgs, EncodeError, Limits, Packet, RawArgs, encode, msgpack};

/// In which form clients and server write packets (`parser`). Both sides must have the same one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Parser {
    /// JSON, as every client has it without being told: a text, and a binary message for each attachment.
    #[default]
    Json,
    /// MessagePack, as `socket.io-msgpack-parser` has it: one binary message, bytes among the arguments as they are.
    ///
    /// There is no JSON then: [`Connect::auth_json`](super::Connect::auth_json) is `{}` and
    /// [`Args::as_json`](super::Args::as_json) `None`, and no handler takes a `RawValue`. One that is emitted is read, and written
    /// as the values that it is. A message that is text ends its session (`parse error`).
    Msgpack,
}

/// Every message that is a text begins with it.
const MESSAGE: u8 = PacketKind::Message.digit();

/// Appends a packet that is to go out as one message: with Engine.IO's digit before it where that message is a text.
impl Parser {
    pub(super) fn event(
        self,
        out: &mut Vec<u8>,
        attachments: &mut Vec<Vec<u8>>,
        namespace: &str,
        ack_id: Option<u64>,
        event: &str,
        args: &(impl EmitArgs + ?Sized),
    ) -> Result<(), EncodeError> {
        match self {
            Self::Json => {
                out.push(MESSAGE);
                encode::event(out, namespace, ack_id, event, args, attachments)
            }
            Self::Msgpack => msgpack::event(out, namespace, ack_id, event, args),
        }
    }

    pub(super) fn ack(
        self,
        out: &mut Vec<u8>,
        attachments: &mut Vec<Vec<u8>>,
        namespace: &str,
        ack_id: u64,
        args: &(impl EmitArgs + ?Sized),
    ) -> Result<(), EncodeError> {
        match self {
            Self::Json => {
                out.push(MESSAGE);
                encode::ack(out, namespace, ack_id, args, attachments)
            }
            Self::Msgpack => msgpack::ack(out, namespace, ack_id, args),
        }
    }

    pub(super) fn connect(self, out: &mut Vec<u8>, namespace: &str, sid: &str) {
        match self {
            Self::Json => {
                out.push(MESSAGE);
                encode::connect(out, namespace, sid);
            }
            Self::Msgpack => msgpack::connect(out, namespace, sid),
        }
    }

    pub(super) fn connect_error(
        self,
        out: &mut Vec<u8>,
        namespace: &str,
        message: &str,
        data: Option<&RawValue>,
    ) {
        match self {
            Self::Json => {
                out.push(MESSAGE);
                encode::connect_error(out, namespace, message, data)
            }
            Self::Msgpack => {
                let data = data.map(|json| serde_json::from_str(json.get()));
                let data: Option<Value> = data.map(|value| value.expect("raw JSON is JSON"));
                msgpack::connect_error(out, namespace, message, data.as_ref())
            }
        }
        .expect("what was JSON once can be written again");
    }

    pub(super) fn disconnect(self, out: &mut Vec<u8>, namespace: &str) {
        match self {
            Self::Json => {
                out.push(MESSAGE);
                encode::disconnect(out, namespace);
            }
            Self::Msgpack => msgpack::disconnect(out, namespace),
        }
    }

    /// Arguments as they would come in: for whoever is in this process.
    pub(super) fn raw_args(self, args: &(impl EmitArgs + ?Sized)) -> Result<RawArgs, String> {
        let (mut out, mut attachments) = (Vec::new(), Vec::new());
        self.ack(&mut out, &mut attachments, "/", 0, args).map_err(|error| error.to_string())?;
        let attachments = attachments.iter().map(Vec::as_slice);
        self.read(&out, attachments, |packet| packet.args.into()).map_err(str::to_owned)
    }

    /// The event that a packet of this server's own is, and its arguments. `None`, and logged: nobody could read it.
    pub(super) fn event_of<'b>(
        self,
        packet: &[u8],
        attachments: impl Iterator<Item = &'b [u8]>,
    ) -> Option<(Box<str>, RawArgs)> {
        let read = self.read(packet, attachments, |packet| ((&*packet.event).into(), packet.args.into()));
        read.inspect_err(|error| tracing::debug!(error, "an event was sent that nobody listens to")).ok()
    }

    /// Looks at a packet that was written here.
    fn read<'b, T>(
        self,
        packet: &[u8],
        attachments: impl Iterator<Item = &'b [u8]>,
        look: impl FnOnce(&Packet<'_>) -> T,
    ) -> Result<T, &'static str> {
        if self == Self::Msgpack {
            let packet = Packet::parse_msgpack(packet, &OWN).map_err(|error| error.sentence())?;
            return Ok(look(&packet));
        }
        let text = packet.get(1..).and_then(|text| std::str::from_utf8(text).ok());
        let mut decoder = Decoder::new();
        let text = text.ok_or("a packet is missing")?;
        if let Some(packet) = decoder.text(text, &OWN).map_err(|error| error.sentence())? {
            return Ok(look(&packet));
        }
        for bytes in attachments {
            if let Some(all) = decoder.binary(bytes, &OWN).map_err(|error| error.sentence())? {
                return Ok(look(&all.packet()));
            }
        }
        Err("an attachment is missing")
    }
}

/// What this server writes is not held to its clients' limits.
const OWN: Limits = Limits {
    attachments_max: u32::MAX,
    attachments_bytes_max: usize::MAX,
    namespace_bytes_max: usize::MAX,
    event_bytes_max: usize::MAX,
    args_max: u32::MAX,
    depth_max: u32::MAX,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::socketio::{Binary, BinaryBuf, Kind};

    /// What was written, read by whoever gets it.
    fn read(
        parser: Parser,
        write: impl FnOnce(&mut Vec<u8>, &mut Vec<Vec<u8>>),
        look: impl FnOnce(&Packet<'_>),
    ) {
        let (mut out, mut attachments) = (Vec::new(), Vec::new());
        write(&mut out, &mut attachments);
        let limits = Limits::default();
        if parser == Parser::Msgpack {
            assert!(attachments.is_empty());
            return look(&Packet::parse_msgpack(&out, &limits).unwrap());
        }
        assert_eq!(out[0], MESSAGE);
        let mut decoder = Decoder::new();
        if let Some(packet) = decoder.text(std::str::from_utf8(&out[1..]).unwrap(), &limits).unwrap() {
            return look(&packet);
        }
        let last = attachments.iter().filter_map(|bytes| decoder.binary(bytes, &limits).unwrap()).last();
        look(&last.expect("the last attachment completes the packet").packet());
    }

    #[test]
    fn what_shards_say_to_each_other_may_have_bytes_in_it() {
        for parser in [Parser::Json, Parser::Msgpack] {
            let mut scratch = String::new();
            let args = parser.raw_args(&(1, Binary(&[1, 2]), Binary(&[]))).unwrap();
            let (number, two, none) =
                args.as_args().parse::<(i32, BinaryBuf, BinaryBuf)>(&mut scratch).unwrap();
            assert_eq!((number, &*two, &*none), (1, &[1, 2][..], &[][..]));
            assert!(parser.raw_args(&()).unwrap().as_args().is_empty());
            let wrong = if parser == Parser::Json { Parser::Msgpack } else { Parser::Json };
            assert!(wrong.raw_args(&args.as_args()).is_err(), "what came in one form goes out in that form");
        }
    }

    #[test]
    fn both_forms_say_the_same() {
        let raw = serde_json::value::to_raw_value(&[1.5, -2.0, 3e300]).unwrap();
        for parser in [Parser::Json, Parser::Msgpack] {
            let mut scratch = String::new();
            let args = ("text", Binary(&[1, 2]));
            read(
                parser,
                |out, attachments| parser.event(out, attachments, "/a", Some(7), "e", &args).unwrap(),
                |packet| {
                    assert_eq!((packet.kind, packet.namespace, packet.ack_id), (Kind::Event, "/a", Some(7)));
                    assert_eq!(&*packet.event, "e");
                    let (text, bytes) = packet.args.parse::<(String, Vec<u8>)>(&mut scratch).unwrap();
                    assert_eq!((&*text, &*bytes), ("text", &[1, 2][..]));
                },
            );
            read(
                parser,
                |out, attachments| parser.ack(out, attachments, "/", 9, &3).unwrap(),
                |packet| assert_eq!((packet.kind, packet.ack_id), (Kind::Ack, Some(9))),
            );
            let mut scratch = String::new();
            read(
                parser,
                |out, _| parser.connect(out, "/", "id"),
                |packet| {
                    let object = packet.args.parse::<Value>(&mut scratch).unwrap();
                    assert_eq!((packet.kind, object), (Kind::Connect, serde_json::json!({ "sid": "id" })));
                },
            );
            for data in [None, Some(&*raw)] {
                let mut expected = serde_json::json!({ "message": "no" });
                if data.is_some() {
                    expected["data"] = serde_json::json!([1.5, -2.0, 3e300]);
                }
                let mut scratch = String::new();
                read(
                    parser,
                    |out, _| parser.connect_error(out, "/b", "no", data),
                    |packet| {
                        let object = packet.args.parse::<Value>(&mut scratch).unwrap();
                        assert_eq!((packet.kind, object), (Kind::ConnectError, expected));
                    },
                );
            }
            read(
                parser,
                |out, _| parser.disconnect(out, "/c"),
                |packet| assert_eq!((packet.kind, packet.namespace), (Kind::Disconnect, "/c")),
            );
        }
    }
}

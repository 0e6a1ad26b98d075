//! The form of packets: JSON with binary attachments behind it, or MessagePack.
//!
//! Owns what goes out as which kind of message, and nothing of who gets it. Called wherever a packet is written; what comes
//! in is read by `packets`.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::proto::engineio::PacketKind;
use crate::proto::socketio::{EmitArgs, EncodeError, encode, msgpack};

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
    /// [`Args::as_json`](super::Args::as_json) `None`, a `RawValue` is neither taken nor to be emitted. A message that is
    /// text ends its session (`parse error`).
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
}

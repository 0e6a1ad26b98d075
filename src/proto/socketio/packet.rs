//! A packet as sessions see it, what a peer may send, and why a packet is refused.

use std::borrow::Cow;
use std::fmt;

use super::args::Args;

/// What a packet is for. The discriminant is its digit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A client asks for a namespace, or a server lets it in.
    Connect = 0,
    /// The sender leaves a namespace.
    Disconnect,
    /// An event with its arguments.
    Event,
    /// The answer to an event that had an ack id.
    Ack,
    /// A server does not let a client into a namespace.
    ConnectError,
    /// An event whose attachments follow.
    BinaryEvent,
    /// An answer whose attachments follow.
    BinaryAck,
}

impl Kind {
    /// The kind that a packet's first byte names.
    #[inline]
    #[must_use]
    pub const fn from_digit(digit: u8) -> Option<Self> {
        Some(match digit {
            b'0' => Self::Connect,
            b'1' => Self::Disconnect,
            b'2' => Self::Event,
            b'3' => Self::Ack,
            b'4' => Self::ConnectError,
            b'5' => Self::BinaryEvent,
            b'6' => Self::BinaryAck,
            _ => return None,
        })
    }

    /// The digit a packet of this kind begins with.
    #[inline]
    #[must_use]
    pub const fn digit(self) -> u8 {
        b'0' + self as u8
    }

    /// Whether it says how many attachments follow.
    #[inline]
    #[must_use]
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }

    /// The kind once its attachments are there: an event is an event, an ack an ack.
    #[inline]
    #[must_use]
    pub const fn assembled(self) -> Self {
        match self {
            Self::BinaryEvent => Self::Event,
            Self::BinaryAck => Self::Ack,
            other => other,
        }
    }
}

/// Names that no event may have: each has a meaning of its own on one side or the other.
pub const RESERVED_EVENTS: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// Whether an event may not have this name.
#[inline]
pub(super) fn is_reserved(event: &str) -> bool {
    // By length first: most names are told from all six without a comparison.
    match event.len() {
        7 | 10 | 11 | 13 | 14 => RESERVED_EVENTS.contains(&event),
        _ => false,
    }
}

/// What a peer may send. Each limit refuses the packet, which ends the session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Attachments of one packet. 10, as the official decoder has it.
    pub attachments_max: u32,
    /// Bytes of a packet's attachments taken together: what a connection may hold while others are outstanding. 10 MiB.
    pub attachments_bytes_max: usize,
    /// Bytes of a namespace's name as sent, its query included. 256.
    pub namespace_bytes_max: usize,
    /// Bytes of an event's name as sent, its escapes included. 256.
    pub event_bytes_max: usize,
    /// Arguments of an event or an ack. 256.
    pub args_max: u32,
    /// Arrays and objects within each other in one argument. 64; above 127 it is 127, which is as deep as is read.
    pub depth_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attachments_max: 10,
            attachments_bytes_max: 10 << 20,
            namespace_bytes_max: 256,
            event_bytes_max: 256,
            args_max: 256,
            depth_max: 64,
        }
    }
}

/// A packet, borrowed from the message it came in.
#[derive(Clone, PartialEq, Debug)]
pub struct Packet<'a> {
    /// What it is for.
    pub kind: Kind,
    /// How many attachments follow, or followed.
    pub attachments: u32,
    /// The namespace, which begins with a slash. What follows a question mark in it is cut off.
    pub namespace: &'a str,
    /// Of an event: the number under which it wants an answer. Of an ack: the number it answers.
    pub ack_id: Option<u64>,
    /// The payload as JSON, as it was sent: `[name, …]` of an event, `[…]` of an ack, an object or nothing of a connect,
    /// nothing of a disconnect. Empty where there is none, and always in MessagePack.
    pub data: &'a str,
    /// An event's name; empty of every other kind. A number used as one is its digits.
    pub event: Cow<'a, str>,
    /// The arguments of an event or an ack. Of a connect or a connect error its payload, as the only one.
    pub args: Args<'a>,
}

/// Why a packet is refused. Whatever it is, it ends the session: what follows cannot be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Malformed {
    /// It begins with no digit from 0 to 6, or is empty.
    Kind,
    /// A binary packet without a count of attachments.
    AttachmentCount,
    /// More attachments than `attachments_max`.
    TooManyAttachments,
    /// Attachments of more bytes than `attachments_bytes_max`.
    AttachmentsTooLarge,
    /// Text came while attachments were outstanding.
    AttachmentOutstanding,
    /// A binary message came that no packet announced.
    AttachmentUnannounced,
    /// A placeholder that names no attachment of its packet, or has other members than its two.
    Placeholder,
    /// A namespace longer than `namespace_bytes_max`.
    NamespaceTooLong,
    /// A namespace that does not begin with a slash: only MessagePack can say so.
    Namespace,
    /// An ack id above 2⁵³ − 1, the largest that JavaScript counts to.
    AckId,
    /// What follows the head is not JSON.
    Json,
    /// The message is no packet in MessagePack.
    Msgpack,
    /// The payload is not what a packet of this kind has: an array, an object, or nothing.
    Payload,
    /// An event whose name is neither a string nor a number.
    EventName,
    /// An event with a name out of [`RESERVED_EVENTS`].
    EventReserved,
    /// An event's name longer than `event_bytes_max`.
    EventTooLong,
    /// More arguments than `args_max`.
    TooManyArgs,
    /// Nested deeper than `depth_max`.
    TooDeep,
}

impl Malformed {
    /// One sentence for logs.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Kind => "a packet of an unknown kind",
            Self::AttachmentCount => "a binary packet without a count of attachments",
            Self::TooManyAttachments => "a packet with too many attachments",
            Self::AttachmentsTooLarge => "a packet whose attachments are too large",
            Self::AttachmentOutstanding => "text while attachments were outstanding",
            Self::AttachmentUnannounced => "a binary message that no packet announced",
            Self::Placeholder => "a placeholder that names no attachment",
            Self::NamespaceTooLong => "a namespace with too long a name",
            Self::Namespace => "a namespace that does not begin with a slash",
            Self::AckId => "an ack id that is too large",
            Self::Json => "a payload that is not JSON",
            Self::Msgpack => "a message that is no packet in MessagePack",
            Self::Payload => "a payload that its kind of packet does not have",
            Self::EventName => "an event without a name",
            Self::EventReserved => "an event with a reserved name",
            Self::EventTooLong => "an event with too long a name",
            Self::TooManyArgs => "too many arguments",
            Self::TooDeep => "arguments nested too deeply",
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

impl std::error::Error for Malformed {}

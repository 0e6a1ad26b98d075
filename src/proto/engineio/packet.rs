//! A packet: one digit, then its data. A binary frame or a base64 record is a message without the digit.

use std::fmt;

/// What a packet is for. The discriminant is its digit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum PacketKind {
    /// The server's answer to a handshake; its data is [`Open`](super::Open).
    Open = 0,
    /// The sender closes the session.
    Close,
    /// A heartbeat of the server, or a client's probe of a new transport.
    Ping,
    /// The answer to a ping, with the same data.
    Pong,
    /// A message.
    Message,
    /// The client has moved to the transport it probed.
    Upgrade,
    /// Nothing: it ends a poll whose session moves to another transport.
    Noop,
}

impl PacketKind {
    /// The kind that a packet's first byte names.
    #[inline]
    #[must_use]
    pub const fn from_digit(digit: u8) -> Option<Self> {
        Some(match digit {
            b'0' => Self::Open,
            b'1' => Self::Close,
            b'2' => Self::Ping,
            b'3' => Self::Pong,
            b'4' => Self::Message,
            b'5' => Self::Upgrade,
            b'6' => Self::Noop,
            _ => return None,
        })
    }

    /// The digit a packet of this kind begins with.
    #[inline]
    #[must_use]
    pub const fn digit(self) -> u8 {
        b'0' + self as u8
    }
}

/// What a packet carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Data<'a> {
    /// Text, often empty.
    Text(&'a str),
    /// Bytes: of a message only.
    Binary(&'a [u8]),
}

/// A packet, borrowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// What it is for.
    pub kind: PacketKind,
    /// What it carries.
    pub data: Data<'a>,
}

impl<'a> Packet<'a> {
    /// A packet with text.
    #[inline]
    #[must_use]
    pub const fn text(kind: PacketKind, text: &'a str) -> Self {
        Self { kind, data: Data::Text(text) }
    }

    /// A message of bytes: what a WebSocket binary frame is, as it stands.
    #[inline]
    #[must_use]
    pub const fn binary(bytes: &'a [u8]) -> Self {
        Self { kind: PacketKind::Message, data: Data::Binary(bytes) }
    }

    /// Reads a WebSocket text frame.
    ///
    /// # Errors
    /// [`Malformed::Empty`] without a first byte, [`Malformed::Kind`] where it is no digit from 0 to 6.
    #[inline]
    pub fn parse_text(text: &'a str) -> Result<Self, Malformed> {
        let first = text.as_bytes().first().ok_or(Malformed::Empty)?;
        let kind = PacketKind::from_digit(*first).ok_or(Malformed::Kind)?;
        // The first byte is ASCII, so the second begins a character.
        Ok(Self::text(kind, &text[1..]))
    }
}

/// Why a packet or a payload is refused. Whatever it is, it ends the session: what follows cannot be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Malformed {
    /// Nothing where a packet should be.
    Empty,
    /// The first character is no packet's.
    Kind,
    /// A binary record that is not base64: the standard alphabet, padded, no bit set that carries nothing.
    Base64,
    /// More packets in one payload than `packets_max`.
    TooManyPackets,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an empty packet",
            Self::Kind => "a packet of an unknown kind",
            Self::Base64 => "a binary packet that is not base64",
            Self::TooManyPackets => "too many packets in one payload",
        })
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use super::*;
    use PacketKind::{Close, Message, Noop, Open, Ping, Pong, Upgrade};

    #[test]
    fn a_text_frame_is_a_digit_and_its_data() {
        for (text, kind, data) in [
            ("0{\"sid\":\"x\"}", Open, "{\"sid\":\"x\"}"),
            ("1", Close, ""),
            ("2", Ping, ""),
            ("2probe", Ping, "probe"),
            ("3probe", Pong, "probe"),
            ("4hello", Message, "hello"),
            ("4", Message, ""),
            ("4€", Message, "€"),
            ("5", Upgrade, ""),
            ("6", Noop, ""),
        ] {
            assert_eq!(Packet::parse_text(text), Ok(Packet::text(kind, data)), "{text}");
            assert_eq!(kind.digit(), text.as_bytes()[0]);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(Packet::parse_text(""), Err(Malformed::Empty));
        for text in ["7", "9", "abc", "bAQID", " 4", "-1", "é", "\u{0}", "٤"] {
            assert_eq!(Packet::parse_text(text), Err(Malformed::Kind), "{text}");
        }
    }
}

//! WebSocket (RFC 6455): handshake, frames, messages, close codes.
//!
//! Owns the bytes of the protocol in both roles. [`Decoder`] takes what one read brought and hands out what is
//! complete in it; [`Carry`] is what a connection keeps until its next read, and nothing at a frame boundary;
//! [`encode`] writes frames. It never sees a socket, and never answers by itself: pongs, echoed closes and limits
//! in time are the core's. The core calls it for every read, the load generator in the client's role.

mod carry;
pub mod close;
mod decode;
pub mod deflate;
pub mod encode;
mod fragments;
pub mod handshake;
mod head;
pub mod mask;
mod message;
mod utf8;

pub use carry::{Carry, Store};
pub use decode::{Decoder, Finished};
pub use message::{Message, Opcode};

/// Who decodes: it settles which side's frames must be masked (RFC 6455 §5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// A server: every frame it receives must be masked.
    Server,
    /// A client: no frame it receives may be masked.
    Client,
}

/// What a peer may send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Payload bytes of a message, its fragments taken together; of a compressed one, what it is inflated to.
    pub message_bytes_max: usize,
    /// Frames of one message.
    pub fragments_max: u32,
}

impl Limits {
    /// Bytes of a compressed message's payload. What does not shrink grows a little: by five bytes for each block that is
    /// stored, by an eighth where its sender has but the fixed codes of RFC 1951 §3.2.6, of 9 bits at most.
    const fn compressed_bytes_max(&self) -> usize {
        self.message_bytes_max + self.message_bytes_max / 4 + 64
    }
}

/// What a decoder hands out, borrowed from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// A whole message, its text checked.
    Message(Message<'a>),
    /// A ping with its payload, at most 125 bytes, to be sent back in a pong.
    Ping(&'a [u8]),
    /// A pong with its payload, at most 125 bytes.
    Pong(&'a [u8]),
    /// The peer's close frame. Nothing comes after it.
    Close {
        /// Its code, or `None` where it had no payload: [`close::NO_STATUS`] for whoever asks.
        code: Option<u16>,
        /// Its reason, at most 123 bytes, often empty.
        reason: &'a str,
    },
}

//! An Engine.IO session: one client, over one transport at a time. It is no connection: it lives in its shard's table,
//! has deadlines of its own, and none, one or several connections.

use crate::base::id::Key;
use crate::proto::engineio::{PacketKind, PayloadWriter, SessionId};
use crate::proto::socketio::Decoder;

use super::handshake::Handshake;
use super::mail::Errant;

/// No socket, no session.
pub(super) const NONE: u32 = u32::MAX;

/// A client.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) random: [u8; 15],
    /// Which of the sessions that had this slot it is.
    pub(super) serial: u32,
    /// When the answer to the last ping is due, in the shard's milliseconds; 0 while none is.
    pub(super) pong_due: u32,
    /// The first of its sockets; each names the next.
    pub(super) first_socket: u32,
    pub(super) sockets: u16,
    pub(super) link: Link,
    pub(super) decoder: Decoder,
    /// What the handshake said: until its first namespace is connected to, or with `keep_handshake` to its end.
    pub(super) handshake: Option<Box<Handshake>>,
}

/// How a client is reached.
#[derive(Debug)]
pub(super) enum Link {
    WebSocket(Key),
    Polling(Box<Polling>),
}

/// What a session needs while it polls.
#[derive(Debug, Default)]
pub(super) struct Polling {
    /// What waits for the next poll, as a payload.
    pub(super) payload: Vec<u8>,
    pub(super) packets: u32,
    /// The poll that waits for something.
    pub(super) poll: Option<Errant>,
    /// The WebSocket that is to take over, and whether its probe was answered.
    pub(super) probe: Option<(Key, bool)>,
    /// Until when that must have taken over, in the shard's milliseconds.
    pub(super) upgrade_due: u32,
}

/// At 100,000 sessions every byte is 100 KB.
const _: () = assert!(size_of::<Session>() <= 72);

impl Session {
    pub(super) fn id(&self, shard: usize, slot: u32) -> SessionId {
        SessionId { random: self.random, shard: shard as u16, slot }
    }

    /// Whether this connection is one of the session's.
    pub(super) fn owns(&self, key: Key) -> bool {
        match &self.link {
            Link::WebSocket(own) => *own == key,
            Link::Polling(polling) => polling.probe.is_some_and(|(probe, _)| probe == key),
        }
    }
}

impl Polling {
    /// Appends a packet of text.
    pub(super) fn text(&mut self, kind: PacketKind, text: &str) {
        if self.packets > 0 {
            self.payload.push(crate::proto::engineio::SEPARATOR);
        }
        PayloadWriter::new(&mut self.payload).text(kind, text);
        self.packets += 1;
    }

    /// Appends a message of bytes.
    pub(super) fn binary(&mut self, bytes: &[u8]) {
        if self.packets > 0 {
            self.payload.push(crate::proto::engineio::SEPARATOR);
        }
        PayloadWriter::new(&mut self.payload).binary(bytes);
        self.packets += 1;
    }

    /// Takes everything that waits.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.packets = 0;
        std::mem::take(&mut self.payload)
    }
}

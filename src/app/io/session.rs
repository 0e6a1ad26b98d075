//! An Engine.IO session: one client, over one transport at a time. It is no connection: it lives in its shard's table,
//! has deadlines of its own, and none, one or several connections.

use crate::base::id::Key;
use crate::proto::engineio::SessionId;
use crate::proto::socketio::Decoder;

use super::handshake::Handshake;
use super::polling::Polling;

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

//! Whom an event is for: the operators `to`, `except`, `volatile`, and the emit that ends them.

use crate::proto::engineio::SessionId;
use crate::proto::socketio::EmitArgs;
use crate::proto::ws::Message;

use super::broadcast::{Broadcast, Target, frames};
use super::parser::Parser;

/// What takes a broadcast to the sockets: a shard, or the handle.
pub(crate) trait Broadcasting {
    fn broadcast(&self, broadcast: Broadcast) -> bool;
    /// A broadcast was encoded: once, whoever gets it.
    fn counted(&self);
    /// The form of packets.
    fn parser(&self) -> Parser;
}

/// Where no Socket.IO is served: nobody gets anything.
pub(crate) struct Nowhere;

impl Broadcasting for Nowhere {
    fn broadcast(&self, _broadcast: Broadcast) -> bool {
        true
    }

    fn counted(&self) {}

    fn parser(&self) -> Parser {
        Parser::default()
    }
}

/// Sockets of a namespace that an event is for. Begun by [`Socket::broadcast`](super::Socket::broadcast),
/// [`to`](super::Socket::to), [`io`](super::Socket::io), or a handle.
#[must_use = "nothing is sent before emit"]
pub struct BroadcastOperator<'s> {
    out: &'s dyn Broadcasting,
    namespace: &'s str,
    target: Target,
}

impl<'s> BroadcastOperator<'s> {
    pub(crate) fn new(
        out: &'s dyn Broadcasting,
        namespace: &'s str,
        except_socket: Option<SessionId>,
    ) -> Self {
        Self { out, namespace, target: Target { except_socket, ..Target::default() } }
    }

    /// Only members of this room; called again, of this one or those before.
    pub fn to(mut self, room: impl AsRef<str>) -> Self {
        self.target.rooms.push(room.as_ref().into());
        self
    }

    /// Nobody who is in this room.
    pub fn except(mut self, room: impl AsRef<str>) -> Self {
        self.target.except.push(room.as_ref().into());
        self
    }

    /// Only clients that take it at once: it is dropped where something else is queued.
    pub fn volatile(mut self) -> Self {
        self.target.is_volatile = true;
        self
    }

    /// Only sockets of this process: with the adapter that is built in, all of them.
    pub fn local(mut self) -> Self {
        self.target.is_local = true;
        self
    }

    /// Sends the event. It is encoded once, whatever the number of sockets and shards. False: it could not be serialized,
    /// or another shard was too far behind to take it, and its sockets do not get it.
    pub fn emit(self, event: &str, args: impl EmitArgs) -> bool {
        let mut packet = Vec::with_capacity(128);
        let mut attachments = Vec::new();
        let parser = self.out.parser();
        if let Err(error) = parser.event(&mut packet, &mut attachments, self.namespace, None, event, &args) {
            tracing::error!(%error, "an event was not sent");
            return false;
        }
        let packet = match parser {
            Parser::Json => Message::Text(std::str::from_utf8(&packet).expect("the encoder writes text")),
            Parser::Msgpack => Message::Binary(&packet),
        };
        let (frames, pieces) = frames(packet, &attachments);
        self.out.counted();
        self.out.broadcast(Broadcast {
            namespace: self.namespace.into(),
            target: self.target,
            frames,
            pieces,
        })
    }
}

impl std::fmt::Debug for BroadcastOperator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BroadcastOperator")
            .field("namespace", &self.namespace)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

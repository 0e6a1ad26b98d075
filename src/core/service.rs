//! The seam above the core: what a shard asks of the program it serves, and in which words.
//!
//! A service lives on one shard and is called only by its thread, one call at a time. What it does goes into queues of
//! the [`Core`] it is lent: nothing it calls writes to a socket or frees a connection under it. It may panic: that
//! ends the connection it worked for, not the shard.

use crate::base::cause::{Cause, CloseReason};
use crate::base::id::Key;
use crate::proto::http::{Request, Response};
use crate::proto::ws::Message;

use super::core::Core;

/// What a shard serves.
pub trait Service: Sized {
    /// What the service keeps per connection. Up to 16 bytes, a connection is one cache line.
    type Conn: Default;
    /// What its shards, and other threads, send it.
    type Mail: Send;
    /// What its timers are for.
    type Timer;

    /// A request is complete, its body within limits. For one that asks for WebSocket, `asks_upgrade` is set, the
    /// handshake is in order and the origin is one that is accepted.
    fn request(
        &mut self,
        core: &mut Core<Self>,
        key: Key,
        request: &Request<'_>,
        body: &[u8],
        asks_upgrade: bool,
    ) -> Reply;

    /// A WebSocket is open: the 101 is queued, and messages may be.
    fn opened(&mut self, core: &mut Core<Self>, key: Key);

    /// A WebSocket that somebody else has opened came in by [`Mail::Adopt`](super::mail::Mail); `opened` follows.
    fn adopted(&mut self, core: &mut Core<Self>, key: Key, mail: Self::Mail);

    /// A message came in.
    fn message(&mut self, core: &mut Core<Self>, key: Key, message: Message<'_>);

    /// Mail from another shard, another thread, or this shard.
    fn mail(&mut self, core: &mut Core<Self>, mail: Self::Mail);

    /// A timer rang.
    fn timer(&mut self, core: &mut Core<Self>, timer: &mut Self::Timer);

    /// A connection that was `Pressured` has come down to `outbox_bytes_low`. Once per such episode, never after its
    /// close began.
    fn drained(&mut self, core: &mut Core<Self>, key: Key);

    /// A WebSocket that was opened is over. Exactly once; nothing can be sent to it any more, its data is still there.
    fn closed(&mut self, core: &mut Core<Self>, key: Key, reason: CloseReason);

    /// The server stops: its connections are still there, and are closed next. Of what lives without a connection at most
    /// `keep_permille` thousandths of what there was at the first of these calls are to stay, in the last one none. Called
    /// again and again in a drain; nothing new may be begun.
    fn stopping(&mut self, _core: &mut Core<Self>, _keep_permille: u32) {}

    /// A deferred request will not be answered any more: its peer is gone, or its time is over.
    fn gone(&mut self, core: &mut Core<Self>, ticket: Ticket);
}

/// What to do with a request.
#[derive(Debug)]
pub enum Reply {
    /// Answer it so.
    Respond(Response),
    /// Answer it with the status of this cause, and end the connection.
    Refuse(Cause),
    /// Make a WebSocket of it. Only for a request that asks for one.
    Upgrade {
        /// The subprotocol, one of those the client offered, or none.
        subprotocol: Option<String>,
    },
    /// The answer comes later by [`Core::answer`], with the ticket that [`Core::ticket`] gave, and within `admit_timeout`.
    Defer(Ticket),
    /// The same, but only the service knows how long that may take: nothing but the peer's end is watched. So it must have
    /// a deadline of its own.
    Hold(Ticket),
    /// Another shard is to have the connection and be asked the same again. Not one that still has answers to take: it is
    /// refused (503).
    Move {
        /// Which.
        shard: usize,
    },
}

/// An answer that is owed: the connection and which of its requests. Worthless once that was answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ticket {
    pub(super) key: Key,
    pub(super) number: u32,
}

impl Ticket {
    /// The connection that waits.
    pub const fn key(self) -> Key {
        self.key
    }
}

/// What became of a message that was sent to a connection.
///
/// It may be ignored: a dropped message is counted, and means that the close is on its way to `on_close` or that the policy
/// in force drops rather than closes; a pressured peer, and one whose message was dropped by policy, is reported drained by
/// `on_drain`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// It is on its way. Under `DropOldest` and `LatestOnly` a newer message may yet take its place.
    Queued,
    /// The same, behind more than `outbox_bytes_high` bytes. Wait for `on_drain` before sending much more.
    Pressured,
    /// It is not: the connection is gone or closing; or it stays, and by `DropNew`, or by `DropOldest` where nothing older could
    /// make room, this one message is dropped.
    Dropped,
}

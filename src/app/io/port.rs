//! What Socket.IO asks of the shard it lives on: sockets, mail, a timer. The core's end of it knows the handler's type;
//! everything in this room is free of it.

use crate::base::config::Config;
use crate::base::id::Key;
use crate::base::metrics::Counters;
use crate::base::pool::Pool;
use crate::base::slow::{Mark, SlowPolicy};
use crate::core::published::Published;
use crate::core::service::{Delivery, Ticket};
use crate::core::timers::TimerId;
use crate::proto::http::{Request, Response};
use crate::proto::ws::Message;

use super::mail::IoMail;

/// The shard, as Socket.IO sees it.
pub(crate) trait Port {
    /// How many shards there are.
    fn shards(&self) -> usize;
    /// What the shard counts.
    fn counters(&self) -> &Counters;
    /// The time of this turn, in microseconds since the shard began.
    fn now_us(&self) -> u64;
    /// Whether a request names no origin, or one that is accepted.
    fn accepts_origin(&self, request: &Request<'_>) -> bool;
    /// Bytes that nobody guesses, for an id.
    fn random(&mut self) -> [u8; 15];
    /// The server's settings.
    fn config(&self) -> &Config;
    /// The shard's buffers.
    fn buffers(&mut self) -> &mut Pool;
    /// Sends a message on a WebSocket of this shard, with what becomes of it if its client is too slow.
    fn send(&mut self, key: Key, message: Message<'_>, mark: Mark) -> Delivery;
    /// Sends it as it is, whatever was agreed on.
    fn send_plain(&mut self, key: Key, message: Message<'_>, mark: Mark) -> Delivery;
    /// From how many bytes on messages may be compressed.
    fn deflate_from(&self) -> usize;
    /// Sends frames on a WebSocket of this shard, as one unit.
    fn send_frames(&mut self, key: Key, frames: &Published) -> Delivery;
    /// Sends a heartbeat on a WebSocket of this shard, whatever is queued.
    fn send_heartbeat(&mut self, key: Key, message: Message<'_>);
    /// Queues shared frames for a WebSocket of this shard.
    fn hand(&mut self, key: Key, frames: &Published);
    /// What becomes of messages that a WebSocket's client is too slow for.
    fn slow_policy(&self, key: Key) -> SlowPolicy;
    /// Says what becomes of them.
    fn set_slow_policy(&mut self, key: Key, policy: SlowPolicy);
    /// Bytes queued for a connection and not yet taken by the kernel.
    fn queued_bytes(&self, key: Key) -> usize;
    /// Whether a WebSocket's client has so much to take that it is not read.
    fn is_paused(&self, key: Key) -> bool;
    /// Begins the closing handshake of a WebSocket of this shard.
    fn close(&mut self, key: Key, code: u16);
    /// Answers a request of this shard that is held.
    fn answer(&mut self, ticket: Ticket, response: Response);
    /// A ticket for the request that is being asked about.
    fn ticket(&mut self, key: Key) -> Ticket;
    /// Sends another shard, or this one, a message that is never dropped.
    fn mail(&mut self, shard: usize, mail: IoMail);
    /// Sends another shard a message that may be: false where that one is too far behind.
    fn mail_droppable(&mut self, shard: usize, mail: IoMail, bytes: usize) -> bool;
    /// Has the shard's Socket.IO ticked at this moment, in its microseconds.
    fn set_tick(&mut self, due_us: u64) -> TimerId;
    /// Takes such a moment back.
    fn cancel_tick(&mut self, tick: TimerId);
    /// A handler panicked: it is counted, and the WebSocket it worked for is closed (1011).
    fn panicked(&mut self, key: Option<Key>);
}

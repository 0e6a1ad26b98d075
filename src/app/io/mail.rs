//! What the shards of one server tell each other about Socket.IO.

use std::sync::Arc;

use crate::core::service::Ticket;
use crate::proto::engineio::SessionId;
use crate::proto::http::Response;

use super::broadcast::Broadcast;
use super::cluster::{Operation, Part};
use super::port::Port;
use super::shard::IoShard;

/// Something to do on a shard.
pub(crate) type IoCall = Box<dyn FnOnce(&mut IoShard, &mut dyn Port) + Send>;

/// A message to the Socket.IO of another shard.
pub(crate) enum IoMail {
    /// To a session's home: a request for it came in elsewhere.
    Errand(Box<Errand>),
    /// Back from there: what to answer.
    Answer(Box<(Ticket, Response)>),
    /// To a session's home: whoever polled it is gone.
    Gone(Errant, SessionId),
    /// To every shard: an event for some of its sockets.
    Broadcast(Arc<Broadcast>),
    /// To every shard: something for some of its sockets.
    Operation(Arc<Operation>),
    /// Back from there: an answer to what was asked under this number.
    Told(u64, Box<Part>),
    /// To a shard with sessions that linger: one of them is to make room for another elsewhere, which has claimed it.
    Evict,
    /// From another thread: something to do on the shard.
    Call(IoCall),
}

/// Where a held request waits for its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Errant {
    pub(crate) shard: u16,
    pub(crate) ticket: Ticket,
}

/// A request for a session that lives elsewhere.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) id: SessionId,
    pub(crate) from: Errant,
    /// The body of a POST; `None` is a poll.
    pub(crate) body: Option<Vec<u8>>,
}

impl std::fmt::Debug for IoMail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Errand(_) => "Errand",
            Self::Answer(_) => "Answer",
            Self::Gone(..) => "Gone",
            Self::Broadcast(_) => "Broadcast",
            Self::Operation(_) => "Operation",
            Self::Told(..) => "Told",
            Self::Evict => "Evict",
            Self::Call(_) => "Call",
        })
    }
}

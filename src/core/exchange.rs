//! What a connection keeps of an HTTP exchange that one read did not complete, or that waits for its answer.

use crate::proto::http::{Body, HeadScan};
use crate::proto::ws::Carry;
use crate::proto::ws::handshake::Accept;

/// An HTTP request under way. Absent on an idle connection, and where a request came whole and was answered at once.
#[derive(Debug, Default)]
pub struct Exchange {
    /// What has arrived, from the first byte of the head on.
    pub(super) bytes: Vec<u8>,
    /// How far the search for the end of the head has come.
    pub(super) scan: HeadScan,
    /// When the first byte of the head arrived, in the shard's milliseconds.
    pub(super) since: u32,
    /// The body as far as it is read, once the head is complete.
    pub(super) body: Option<Incoming>,
    /// The answer that is awaited.
    pub(super) awaited: Option<Awaited>,
    /// Where the bytes are frames that wait for their turn: the fragments that came before them.
    pub(super) carry: Option<Box<Carry>>,
}

/// A body under way.
#[derive(Debug)]
pub struct Incoming {
    /// Bytes of the head, which is kept in front of what comes next.
    pub(super) head_bytes: usize,
    pub(super) decoder: Body,
    /// What is decoded of it.
    pub(super) bytes: Vec<u8>,
    /// When it began, in the shard's milliseconds.
    pub(super) since: u32,
}

/// What is needed to answer later.
#[derive(Debug)]
pub struct Awaited {
    /// The ticket's number.
    pub(super) number: u32,
    /// When it was deferred, in the shard's milliseconds.
    pub(super) since: u32,
    /// The service has a deadline of its own for it.
    pub(super) is_held: bool,
    pub(super) manner: Manner,
    /// The handshake to complete, where the request asked for WebSocket.
    pub(super) accept: Option<Accept>,
}

/// How a response is to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Manner {
    /// To HEAD: without the body.
    pub(super) head_only: bool,
    /// The connection may carry another request.
    pub(super) keep_alive: bool,
}

//! What goes through mailboxes: between shards, and from the handle to a shard.

use std::net::SocketAddr;

use crate::base::id::Key;
use crate::base::slow::Mark;
use crate::proto::ws::Opcode;

use super::io::Parcel;
use super::published::Published;

/// A message to a shard. `M` is the service's own.
#[derive(Debug)]
pub enum Mail<M> {
    /// To this shard's subscribers of the publication's topic.
    Publish(Published),
    /// To one connection: a payload, not yet framed.
    Send {
        /// Which.
        key: Key,
        /// Text (checked by the sender) or binary.
        opcode: Opcode,
        /// What becomes of it if its reader is too slow.
        mark: Mark,
        /// The payload.
        payload: Vec<u8>,
    },
    /// Closes one connection.
    Close {
        /// Which.
        key: Key,
        /// The close code.
        code: u16,
        /// The reason, at most 123 bytes of it.
        reason: String,
    },
    /// To the service.
    Service(M),
    /// A connection comes to this shard.
    Adopt(Box<Adoption<M>>),
    /// A full shard asks this one to accept from its listener as well.
    Cover {
        /// The listener, counted over all shards.
        listener: usize,
        /// How often its owner has asked so far.
        times: u64,
    },
    /// The shard that asked has room again.
    Uncover {
        /// The listener, counted over all shards.
        listener: usize,
        /// How often its owner had asked when it had room.
        times: u64,
    },
    /// Close every connection at once (1001), then end.
    Stop {
        /// How long the closing handshakes may take, in milliseconds.
        grace_ms: u32,
    },
    /// Close every connection in pace, as the settings have it, then end.
    Drain,
}

/// Bytes that a message takes in a spill besides its payload: its entry, and the head and the rounding of its allocation.
/// Without them, 8 MiB of publishes of a few bytes each would be 90 MB.
pub const MAIL_BYTES: usize = 128;

const _: () = assert!(size_of::<(Mail<[usize; 4]>, usize)>() <= MAIL_BYTES / 2 + 16);

/// A connection on its way to another shard.
#[derive(Debug)]
pub struct Adoption<M> {
    /// The stream.
    pub parcel: Parcel,
    /// Its peer.
    pub peer: SocketAddr,
    /// What was read from it and not understood yet.
    pub bytes: Vec<u8>,
    /// What it is.
    pub adopted: Adopted<M>,
}

/// What an adopted connection is.
#[derive(Debug)]
pub enum Adopted<M> {
    /// An HTTP connection whose bytes begin with the request that made it move.
    Request,
    /// A WebSocket that was opened elsewhere; its bytes are frames.
    WebSocket(M),
}

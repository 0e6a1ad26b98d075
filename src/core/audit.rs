//! What a shard holds at this moment, counted: for whoever checks that nothing is left over and nothing grows.
//!
//! Only looks. Called between turns, by the simulator above all.

use super::io::Io;
use super::service::Service;
use super::shard::Shard;

/// What a shard holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Audit {
    /// Connections in the table.
    pub connections: usize,
    /// Those whose first request is not complete.
    pub handshakes: usize,
    /// Connections to flush, to read again, to reap: a shard with one of these must not sleep.
    pub unfinished: usize,
    /// Messages in the mailbox.
    pub mails: usize,
    /// Messages that wait in front of other shards' mailboxes.
    pub spilled: usize,
    /// Bytes of the droppable ones among them, for the fullest destination.
    pub fullest_spill_bytes: usize,
    /// Batches that are alive.
    pub batches: usize,
    /// Topics with a member.
    pub topics: usize,
    /// Deadlines that are filed, those of connections that are gone included.
    pub deadlines: usize,
    /// Timers that are set.
    pub timers: usize,
    /// Streams that are open.
    pub streams: usize,
    /// Connections with compression contexts of their own, and what those may come to.
    pub contexts: (usize, usize),
    /// Bytes kept of what has not come whole: as they are counted, and added up.
    pub incomplete: (usize, usize),
    /// Bytes queued for the connection that has most.
    pub queued_bytes_max: usize,
}

impl<S: Service, I: Io> Shard<S, I> {
    /// Whether a message waits in the mailbox.
    pub fn has_mail(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Counts what the shard holds: a walk over its connections.
    pub fn audit(&self) -> Audit {
        let core = &self.core;
        let queued = core.table.keys().map(|key| core.queued_bytes(key));
        let kept = core.table.keys().filter_map(|key| Some(core.table.conn(key)?.arrived.bytes()));
        Audit {
            connections: core.table.len(),
            handshakes: core.handshakes(),
            unfinished: core.dirty.len() + core.more.len() + core.dead.len(),
            mails: self.inbox.len(),
            spilled: core.outlets.spilled(),
            fullest_spill_bytes: core.outlets.fullest_spill_bytes(),
            batches: core.batches.len(),
            topics: core.hub.len(),
            deadlines: core.deadlines.len(),
            timers: core.timers.len(),
            streams: self.streams.iter().flatten().count(),
            contexts: core.deflating.contexts(),
            incomplete: (core.incomplete.bytes(), kept.sum()),
            queued_bytes_max: queued.max().unwrap_or(0),
        }
    }
}

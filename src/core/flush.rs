//! Writing what is queued: dirty connections in turn, one call each, within the turn's budget.

use std::io::{self, IoSlice};

use crate::base::cause::Cause;
use crate::base::id::Key;

use super::conn::{Arrived, Flags, Stage};
use super::core::Core;
use super::deadlines::Class;
use super::io::Io;
use super::outbox::{PIECES_MAX, Unit};
use super::service::Service;
use super::shard::Shard;

impl<S: Service, I: Io> Shard<S, I> {
    /// Step 7: flushes dirty connections, those that waited longest first.
    pub(super) fn flush_dirty(&mut self) {
        let budget = self.core.config.flushes_per_turn.min(self.core.dirty.len());
        for _ in 0..budget {
            let Some(key) = self.core.dirty.pop_front() else { break };
            self.flush(key);
        }
    }

    /// One write for one connection.
    fn flush(&mut self, key: Key) {
        let core = &mut self.core;
        let Some(conn) = core.table.conn_mut(key) else { return };
        conn.flags.clear(Flags::DIRTY);
        if conn.stage == Stage::Dead || conn.flags.any(Flags::BLOCKED) {
            return;
        }
        let Some(stream) = self.streams[key.slot as usize].as_ref() else { return };
        let (batch, offered, result);
        if !conn.batch.is_empty() {
            batch = conn.batch;
            offered = conn.queued as usize;
            match core.batches.joined(batch, &mut core.store.buffers) {
                Some(bytes) => result = self.io.write(stream, &[IoSlice::new(bytes)]),
                None => {
                    core.unbatch(key);
                    return core.mark_dirty(key);
                }
            }
        } else if let Some(outbox) = &conn.outbox {
            batch = conn.batch;
            let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
            let filled = outbox.pieces(&mut pieces);
            offered = pieces[..filled].iter().map(|piece| piece.len()).sum();
            result = if filled == 0 { Ok(0) } else { self.io.write(stream, &pieces[..filled]) };
        } else {
            return self.finish_if_leaving(key);
        }
        let sent = match result {
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => return core.vanish(key, Cause::PeerReset),
        };
        core.counters.bytes_out.add(sent as u64);
        if !batch.is_empty() && sent == offered {
            conn.batch = Default::default();
            conn.queued = 0;
            core.batches.release(batch, &mut core.store.buffers);
        } else {
            core.unbatch(key);
            core.sent(key, sent);
        }
        if sent < offered {
            core.block(key);
        } else {
            // More pieces than one call takes are left for the next turn.
            core.mark_dirty_if_queued(key);
        }
        core.settle(key);
        self.finish_if_leaving(key);
    }

    /// Sends FIN once a leaving connection has nothing queued.
    fn finish_if_leaving(&mut self, key: Key) {
        let Some(conn) = self.core.table.conn_mut(key) else { return };
        if conn.stage != Stage::Leaving || conn.queued > 0 {
            return;
        }
        conn.stage = Stage::Lingering;
        conn.flags.set(Flags::PINGED);
        if let Some(stream) = self.streams[key.slot as usize].as_ref() {
            self.io.finish(stream);
        }
        if self
            .core
            .table
            .conn(key)
            .is_some_and(|conn| conn.flags.any(Flags::READABLE.with(Flags::READ_CLOSED)))
        {
            self.core.push_more(key);
        }
    }
}

impl<S: Service> Core<S> {
    /// Queues what the kernel did not take of the cork, before everything else.
    pub(super) fn queue_begun(&mut self, key: Key, units: &mut Vec<Unit>, bytes: usize) {
        let now = self.now;
        let Some(conn) = self.table.conn_mut(key) else { return };
        conn.queued += bytes as u32;
        let outbox = conn.outbox.get_or_insert_with(|| self.outboxes.take());
        outbox.moved_at = now;
        outbox.push_begun(units, &mut self.outboxes.load);
        self.block(key);
    }

    /// The kernel took less than it was offered: it says when there is room again.
    fn block(&mut self, key: Key) {
        let Some(conn) = self.table.conn_mut(key) else { return };
        conn.flags.set(Flags::BLOCKED);
        if let Some(outbox) = &mut conn.outbox {
            outbox.become_load(&mut self.outboxes.load);
        }
        if !conn.flags.any(Flags::STALL_FILED) {
            conn.flags.set(Flags::STALL_FILED);
            self.deadlines.file(Class::Stall, key, self.now);
        }
    }

    /// Takes note that the kernel took `bytes` from the outbox.
    fn sent(&mut self, key: Key, bytes: usize) {
        let now = self.now;
        let Some(conn) = self.table.conn_mut(key) else { return };
        conn.queued -= bytes as u32;
        let Some(outbox) = &mut conn.outbox else { return };
        outbox.advance(bytes, &mut self.store.buffers, &mut self.outboxes.load);
        if bytes > 0 {
            outbox.moved_at = now;
        }
        if outbox.is_empty()
            && let Some(outbox) = conn.outbox.take()
        {
            self.outboxes.give(outbox, &mut self.store.buffers);
        }
    }

    fn mark_dirty_if_queued(&mut self, key: Key) {
        let Some(conn) = self.table.conn(key) else { return };
        if !conn.batch.is_empty() || conn.outbox.as_ref().is_some_and(|outbox| !outbox.is_idle()) {
            self.mark_dirty(key);
        }
    }

    /// Stops reading from a peer that has more than `outbox_bytes_high` to take.
    pub(super) fn pause_above_high(&mut self, key: Key) {
        let Some(conn) = self.table.conn_mut(key) else { return };
        let is_high = conn.queued as usize > self.config.outbox_bytes_high;
        if is_high && matches!(conn.stage, Stage::Head | Stage::Open) && !conn.flags.any(Flags::PAUSED) {
            conn.flags.set(Flags::PAUSED);
            self.counters.reads_paused.add(1);
        }
    }

    /// After a write: pauses or resumes reading, and notes who is drained.
    pub(super) fn settle(&mut self, key: Key) {
        self.pause_above_high(key);
        let now = self.now;
        let Some(conn) = self.table.conn_mut(key) else { return };
        if conn.queued as usize > self.config.outbox_bytes_low {
            return;
        }
        if conn.flags.any(Flags::PRESSURED) {
            conn.flags.clear(Flags::PRESSURED);
            self.drained.push(key);
        }
        if conn.flags.any(Flags::PAUSED) {
            conn.flags.clear(Flags::PAUSED);
            // It was kept waiting, so its time begins anew.
            let has_rest = match &mut conn.arrived {
                Arrived::Http(exchange) => {
                    exchange.since = now;
                    true
                }
                Arrived::Frames(carry) => {
                    carry.since = Some(now);
                    false
                }
                Arrived::Nothing | Arrived::Proxy => false,
            };
            if has_rest || conn.flags.any(Flags::READABLE) {
                self.push_more(key);
            }
        }
    }
}

//! Step 8: what is over is taken out of the table, once; and after it buffers that have long had no use are freed.

use crate::base::cause::Cause;
use crate::base::id::Key;

use super::conn::{Arrived, Flags};
use super::deadlines::reached;
use super::io::Io;
use super::service::{Service, Ticket};
use super::shard::{SPARE_MS, Shard};

impl<S: Service, I: Io> Shard<S, I> {
    /// Step 8.
    pub(super) fn reap(&mut self) {
        while let Some(ticket) = self.core.gone.pop() {
            self.guard(None, |service, core| service.gone(core, ticket));
        }
        while let Some(key) = self.core.dead.pop() {
            let Some(conn) = self.core.table.conn_mut(key) else { continue };
            let (flags, reason) = (conn.flags, conn.reason);
            if let Arrived::Http(exchange) = &mut conn.arrived
                && let Some(awaited) = exchange.awaited.take()
            {
                let ticket = Ticket { key, number: awaited.number };
                self.guard(None, |service, core| service.gone(core, ticket));
            }
            if flags.any(Flags::OPENED) {
                self.guard(None, |service, core| service.closed(core, key, reason));
            }
            self.remove(key, reason.cause);
        }
    }

    fn remove(&mut self, key: Key, cause: Cause) {
        let core = &mut self.core;
        core.forget_arrived(key);
        core.hub.remove(key.slot);
        if let Some(address) = core.table.address(key) {
            core.address_leaves(address.ip());
        }
        let Some(conn) = core.table.remove(key) else { return };
        let data = conn.data;
        if conn.agreed.keeps_context() {
            core.deflating.close(key.slot);
        }
        core.batches.release(conn.batch, &mut core.store.buffers);
        if let Some(outbox) = conn.outbox {
            core.outboxes.give(outbox, &mut core.store.buffers);
        }
        core.counters.end(cause);
        core.counters.connections_closed.add(1);
        core.census.set(core.shard as usize, core.table.len());
        if let Some(stream) = self.streams[key.slot as usize].take() {
            self.io.close(stream);
        }
        self.discard(data);
        self.room_again();
    }

    /// Gives up what is kept and was not needed for a while: whoever floods leaves nothing behind, though others go on.
    pub(super) fn give_spare_up(&mut self) {
        let core = &mut self.core;
        if reached(core.now, self.swept.wrapping_add(SPARE_MS)) {
            let bytes = core.counters.bytes_in.value() + core.counters.bytes_out.value();
            let is_idle = bytes == std::mem::replace(&mut self.swept_at_bytes, bytes);
            self.swept = core.now;
            core.give_spare_up(is_idle);
        }
    }
}

//! What waits for a connection: messages within its limit and by its policy, everything else whatever is queued.
//!
//! Called with everything that is said to a connection and does not go into its cork or a batch. Owns no queue: those are the
//! connections' outboxes.

use crate::base::cause::Cause;
use crate::base::id::Key;
use crate::base::slow::{Mark, SlowPolicy};
use crate::proto::ws::Message;

use super::conn::{Flags, Stage};
use super::core::Core;
use super::outbox::{Unit, has_room};
use super::service::{Delivery, Service};

impl<S: Service> Core<S> {
    /// What becomes of messages that a connection is too slow for.
    pub fn slow_policy(&self, key: Key) -> SlowPolicy {
        self.table.conn(key).map_or(SlowPolicy::Close, |conn| conn.peer.policy)
    }

    /// Says what becomes of messages that a connection is too slow for. What is said to the one that is being read goes on into
    /// the cork until its bytes are decoded: it leaves at once.
    pub fn set_slow_policy(&mut self, key: Key, policy: SlowPolicy) {
        if let Some(conn) = self.table.conn_mut(key) {
            conn.set_policy(policy);
        }
    }

    /// Bytes queued for a connection and not yet taken by the kernel.
    pub fn queued_bytes(&self, key: Key) -> usize {
        // What is corked for the connection that is being read is as good as queued, even where the cork takes no more.
        let corked = if self.reading == Some(key) { self.cork.bytes() } else { 0 };
        self.table.conn(key).map_or(0, |conn| conn.queued as usize) + corked
    }

    /// Sends a heartbeat that is a message: it is never what there is too much of. There is one under way at the most.
    pub fn send_heartbeat(&mut self, key: Key, message: Message<'_>) {
        let Some(conn) = self.table.conn(key).filter(|conn| conn.stage == Stage::Open) else { return };
        let is_held = conn.flags.any(Flags::STREAMING);
        let unit = self.encoded(message);
        self.queue(key, unit, is_held);
    }

    /// Puts a unit that is a message into the outbox of an open connection, within its limit. A unit whose mark is not set has
    /// that of its connection's policy.
    pub(super) fn queue_message(&mut self, key: Key, unit: Unit) -> Delivery {
        let Some(conn) = self.table.conn(key) else {
            unit.retire(&mut self.store.buffers);
            return Delivery::Dropped;
        };
        let is_held = conn.flags.any(Flags::STREAMING);
        let mark = unit.mark().or(conn.peer.policy, || unit.topic_mark());
        let mut unit = unit.marked(mark);
        if conn.queued as usize > self.config.outbox_bytes_high {
            unit.fit();
        }
        if mark.is_latest() {
            match self.replace(key, unit) {
                Ok(delivery) => return delivery,
                Err(first) => unit = first,
            }
        }
        if !self.has_room_for(key, unit.len()) && !self.make_room(key, unit.len()) {
            return self.refuse_unit(key, unit);
        }
        self.queue(key, unit, is_held);
        self.relieve_if_full();
        self.pressure(key)
    }

    /// Puts a unit in the place of the one that waits with its key, or gives it back.
    fn replace(&mut self, key: Key, unit: Unit) -> Result<Delivery, Unit> {
        self.unbatch(key);
        let Some(conn) = self.table.conn_mut(key) else { return Err(unit) };
        let Some(outbox) = &mut conn.outbox else { return Err(unit) };
        let came = unit.len();
        let left = outbox.replace(unit, &mut self.store.buffers, &mut self.outboxes.load)?;
        conn.queued = conn.queued - left as u32 + came as u32;
        self.counters.units_replaced.add(1);
        if came > left && !self.has_room_for(key, 0) && !self.make_room(key, 0) {
            self.fail(key, Cause::OutboxFull);
        }
        self.relieve_if_full();
        Ok(self.pressure(key))
    }

    /// Whether so many bytes more may be queued for a connection. Each unit counts its entry besides its bytes.
    pub(super) fn has_room_for(&self, key: Key, bytes: usize) -> bool {
        has_room(&self.config, self.occupied(key), bytes)
    }

    fn occupied(&self, key: Key) -> usize {
        let outbox = self.table.conn(key).and_then(|conn| conn.outbox.as_ref());
        self.queued_bytes(key) + outbox.map_or(0, |outbox| outbox.overhead())
    }

    /// Drops the oldest units that may be for newer ones, until so many bytes have room; none where that would not do.
    pub(super) fn make_room(&mut self, key: Key, bytes: usize) -> bool {
        self.unbatch(key);
        let occupied = self.occupied(key);
        let Some(outbox) = self.table.conn(key).and_then(|conn| conn.outbox.as_ref()) else { return false };
        if !has_room(&self.config, occupied.saturating_sub(outbox.oldest_bytes()), bytes) {
            return false;
        }
        while !self.has_room_for(key, bytes) {
            let Some(conn) = self.table.conn_mut(key) else { return false };
            let Some(outbox) = &mut conn.outbox else { break };
            let dropped = outbox.drop_oldest(&mut self.store.buffers, &mut self.outboxes.load);
            if dropped == 0 {
                return false;
            }
            conn.queued -= dropped as u32;
            self.counters.units_dropped_oldest.add(1);
        }
        true
    }

    /// There is no room for a unit: it is dropped if it may be, else its connection ends.
    fn refuse_unit(&mut self, key: Key, unit: Unit) -> Delivery {
        let mark = unit.mark();
        unit.retire(&mut self.store.buffers);
        if matches!(mark, Mark::NEW | Mark::OLDEST) {
            self.counters.units_dropped_new.add(1);
            // Whoever sends is owed a word when there is room again.
            self.pressured(key);
        } else {
            self.fail(key, Cause::OutboxFull);
            self.counters.sends_dropped.add(1);
        }
        Delivery::Dropped
    }

    /// What to say of a message that was queued.
    fn pressure(&mut self, key: Key) -> Delivery {
        let Some(conn) = self.table.conn(key).filter(|conn| conn.stage == Stage::Open) else {
            self.counters.sends_dropped.add(1);
            return Delivery::Dropped;
        };
        if conn.queued as usize <= self.config.outbox_bytes_high {
            return Delivery::Queued;
        }
        self.pressured(key)
    }

    /// Puts a unit into the outbox, whatever is in it: control frames and protocol answers are never refused.
    pub(super) fn queue(&mut self, key: Key, unit: Unit, is_held: bool) {
        if self.cork.is_open_for(key) {
            // What is corked was said before: it goes out first, and nothing more goes in behind the unit.
            self.cork.stop();
        }
        self.unbatch(key);
        let now = self.now;
        let Some(conn) = self.table.conn_mut(key) else { return unit.retire(&mut self.store.buffers) };
        conn.queued = conn.queued.saturating_add(unit.len() as u32);
        let outbox = conn.outbox.get_or_insert_with(|| {
            let mut outbox = self.outboxes.take();
            outbox.moved_at = now;
            outbox
        });
        outbox.push(unit, is_held, &mut self.store.buffers, &mut self.outboxes.load);
        self.mark_dirty(key);
    }

    /// Turns what publishes have queued into units of an outbox, so that other units can follow them.
    pub(super) fn unbatch(&mut self, key: Key) {
        let Some(conn) = self.table.conn_mut(key) else { return };
        if conn.batch.is_empty() {
            return;
        }
        let (batch, policy) = (std::mem::take(&mut conn.batch), conn.peer.policy);
        let mut outbox = self.outboxes.take();
        outbox.moved_at = self.now;
        let mut units: Vec<_> = self.batches.backwards(batch).cloned().collect();
        while let Some(publication) = units.pop() {
            let mark = publication.mark().or(policy, || publication.topic_mark());
            let unit = Unit::Shared(publication).marked(mark);
            outbox.push(unit, false, &mut self.store.buffers, &mut self.outboxes.load);
        }
        conn.outbox = Some(outbox);
        self.batches.release(batch, &mut self.store.buffers);
    }

    pub(super) fn mark_dirty(&mut self, key: Key) {
        let Some(conn) = self.table.conn_mut(key) else { return };
        if !conn.flags.any(Flags::DIRTY.with(Flags::BLOCKED)) {
            conn.flags.set(Flags::DIRTY);
            self.dirty.push_back(key);
        }
    }

    pub(super) fn pressured(&mut self, key: Key) -> Delivery {
        if let Some(conn) = self.table.conn_mut(key) {
            conn.flags.set(Flags::PRESSURED);
        }
        Delivery::Pressured
    }
}

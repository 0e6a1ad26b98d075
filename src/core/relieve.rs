//! The bound over a shard's outboxes: when slow readers make it hold too much, those who hold more than their share pay first.
//!
//! Called where what they hold may have grown: with each message that is queued, and once a turn behind the flush. Walks the table
//! then, and frees an eighth of the bound, so a flood pays for the walk once in so many bytes.

use crate::base::cause::Cause;
use crate::base::id::Key;

use super::conn::Stage;
use super::core::Core;
use super::load::{fair_share, goal};
use super::service::Service;

/// What a connection weighs: what it holds alone, and its part of what it shares with others.
#[derive(Clone, Copy)]
struct Scale {
    /// Bytes of shared frames, each once, and as often as they are held.
    once: usize,
    held: usize,
}

impl Scale {
    fn weight(self, (own, shared): (usize, usize)) -> usize {
        own + (shared as u128 * self.once as u128 / self.held.max(1) as u128) as usize
    }
}

impl<S: Service> Core<S> {
    /// Brings what slow readers hold back within its bound.
    #[inline]
    pub(super) fn relieve_if_full(&mut self) {
        if self.outboxes.load.bytes() > self.config.outboxes_bytes_max {
            self.relieve();
        }
    }

    #[cold]
    fn relieve(&mut self) {
        self.counters.outboxes_relieved.add(1);
        let goal = goal(self.config.outboxes_bytes_max);
        while self.outboxes.load.bytes() > goal {
            let mut holders: Vec<_> =
                self.table.keys().filter_map(|key| Some((key, self.load_of(key)?))).collect();
            let held = holders.iter().map(|(_, (_, shared))| shared).sum();
            let scale = Scale { once: self.outboxes.load.shared, held };
            let mut weights: Vec<_> = holders.iter().map(|(_, holds)| scale.weight(*holds)).collect();
            let Some(share) = fair_share(&mut weights, goal) else { return };
            // The heaviest first, and none once it is enough: where all hold the same, not all have to go.
            holders.sort_unstable_by_key(|(_, holds)| std::cmp::Reverse(scale.weight(*holds)));
            for (key, holds) in holders {
                if scale.weight(holds) <= share || self.outboxes.load.bytes() <= goal {
                    break;
                }
                self.pay(key, share, scale);
            }
        }
    }

    fn load_of(&self, key: Key) -> Option<(usize, usize)> {
        let outbox = self.table.conn(key)?.outbox.as_ref()?;
        outbox.is_load().then(|| outbox.holds())
    }

    /// Shortens what a connection has queued to its share by what may be dropped of it; else ends it.
    fn pay(&mut self, key: Key, share: usize, scale: Scale) {
        while self.load_of(key).is_some_and(|holds| scale.weight(holds) > share) {
            let Some(conn) = self.table.conn_mut(key) else { return };
            let Some(outbox) = &mut conn.outbox else { return };
            let (pool, load) = (&mut self.store.buffers, &mut self.outboxes.load);
            let (oldest, counter) = (outbox.drop_oldest(pool, load), &self.counters.units_dropped_oldest);
            let (dropped, counter) = match oldest {
                0 => (outbox.drop_newest(pool, load), &self.counters.units_dropped_new),
                _ => (oldest, counter),
            };
            if dropped == 0 {
                return self.end_for_load(key);
            }
            counter.add(1);
            conn.queued -= dropped as u32;
        }
        self.give_if_empty(key);
        self.settle(key);
    }

    /// One that is told so has a close frame and what it has begun to get left; one that is told already has had its time.
    fn end_for_load(&mut self, key: Key) {
        if self.table.conn(key).is_some_and(|conn| conn.stage == Stage::Open) {
            return self.fail(key, Cause::OutboxesFull);
        }
        self.vanish(key, Cause::OutboxesFull);
        let Some(conn) = self.table.conn_mut(key) else { return };
        conn.queued = 0;
        if let Some(outbox) = conn.outbox.take() {
            self.outboxes.give(outbox, &mut self.store.buffers);
        }
    }

    fn give_if_empty(&mut self, key: Key) {
        let Some(conn) = self.table.conn_mut(key) else { return };
        if let Some(outbox) = conn.outbox.take_if(|outbox| outbox.is_empty()) {
            self.outboxes.give(outbox, &mut self.store.buffers);
        }
    }
}

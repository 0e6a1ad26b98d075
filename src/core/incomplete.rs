//! What a shard keeps of messages and requests that have not come whole: the sum, its bound, and who goes when it is passed.
//!
//! What a connection keeps of them is `Conn::arrived`, and it changes by `Conn::take_arrived` and `Conn::keep_arrived` alone,
//! so the sum is exact: the simulator adds it up. Only buffers count, as large as they are. What an idle poll or half a head's
//! entry takes beside them is the connection's own cost.

use std::cmp::Reverse;

use crate::base::cause::Cause;
use crate::base::id::Key;

use super::conn::{Arrived, Conn, Stage};
use super::core::Core;
use super::load::{fair_share, goal};
use super::service::Service;

/// The sum over a shard's connections.
#[derive(Debug, Default)]
pub struct Incomplete {
    bytes: usize,
}

impl Incomplete {
    /// Bytes of buffers.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Arrived {
    /// Bytes of buffers that are kept.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Nothing | Self::Proxy => 0,
            Self::Frames(carry) => carry.bytes(),
            Self::Http(exchange) => {
                let body = exchange.body.as_ref().map_or(0, |body| body.bytes.capacity());
                exchange.bytes.capacity() + body + exchange.carry.as_ref().map_or(0, |carry| carry.bytes())
            }
        }
    }

    /// Since when it has been on its way, in the shard's milliseconds.
    fn since(&self) -> Option<u32> {
        match self {
            Self::Nothing | Self::Proxy => None,
            Self::Frames(carry) => carry.since,
            // Frames that wait for their turn may have the begin of an older message before them.
            Self::Http(exchange) => {
                Some(exchange.carry.as_ref().and_then(|carry| carry.since).unwrap_or(exchange.since))
            }
        }
    }
}

impl<D> Conn<D> {
    /// Takes what is kept, to work on it.
    #[inline]
    pub(super) fn take_arrived(&mut self, incomplete: &mut Incomplete) -> Arrived {
        if !matches!(self.arrived, Arrived::Nothing) {
            incomplete.bytes -= self.arrived.bytes();
        }
        std::mem::take(&mut self.arrived)
    }

    /// Keeps what is still incomplete, in place of nothing.
    #[inline]
    pub(super) fn keep_arrived(&mut self, arrived: Arrived, incomplete: &mut Incomplete) {
        if !matches!(arrived, Arrived::Nothing) {
            incomplete.bytes += arrived.bytes();
        }
        self.arrived = arrived;
    }
}

impl<S: Service> Core<S> {
    /// Whether a WebSocket's message has been on its way for longer than it may. One that is not read because it does not read
    /// itself is left to the stall deadline, and one whose bytes wait here is not late by its own fault.
    pub(super) fn is_message_late(&self, key: Key) -> bool {
        let Some(conn) = self.table.conn(key) else { return false };
        match &conn.arrived {
            Arrived::Frames(carry) if conn.stage == Stage::Open && !self.is_paused(key) => {
                carry.since.is_some_and(|since| self.deadlines.is_message_late(since, self.now))
            }
            _ => false,
        }
    }

    /// Brings what is incomplete back within its bound. Called behind each read.
    #[inline]
    pub(super) fn relieve_incomplete_if_full(&mut self) {
        if self.incomplete.bytes > self.config.incomplete_bytes_max {
            self.relieve_incomplete();
        }
    }

    /// Ends those who hold more than their share, and of them first who has been at it for the longest: an honest peer's message
    /// is soon whole, one that is never ended only grows older. Walks the table, and frees an eighth of the bound, so a flood
    /// pays for the walk once in so many bytes.
    #[cold]
    fn relieve_incomplete(&mut self) {
        self.counters.incomplete_relieved.add(1);
        let goal = goal(self.config.incomplete_bytes_max);
        let load = |key| {
            // Of one that is over the turn's end takes everything, and tells the service of an answer that is owed no longer.
            let arrived = &self.table.conn(key).filter(|conn| conn.stage != Stage::Dead)?.arrived;
            let age_ms = self.now.wrapping_sub(arrived.since().unwrap_or(self.now));
            Some((arrived.bytes(), age_ms, key)).filter(|(bytes, ..)| *bytes > 0)
        };
        let mut holders: Vec<_> = self.table.keys().filter_map(load).collect();
        let mut weights: Vec<_> = holders.iter().map(|(bytes, ..)| *bytes).collect();
        let Some(share) = fair_share(&mut weights, goal) else { return };
        holders.retain(|(bytes, ..)| *bytes > share);
        holders.sort_unstable_by_key(|(bytes, age_ms, _)| Reverse((*age_ms, *bytes)));
        for (_, _, key) in holders {
            if self.incomplete.bytes <= goal {
                break;
            }
            let is_websocket =
                self.table.conn(key).is_some_and(|conn| matches!(conn.stage, Stage::Open | Stage::Closing));
            self.fail(key, if is_websocket { Cause::MessagesFull } else { Cause::RequestsFull });
            self.forget_arrived(key);
        }
    }

    /// Gives back what is kept of a connection that ends: nothing will be made of it.
    pub(super) fn forget_arrived(&mut self, key: Key) {
        let Some(conn) = self.table.conn_mut(key) else { return };
        match conn.take_arrived(&mut self.incomplete) {
            Arrived::Nothing | Arrived::Proxy => {}
            Arrived::Http(exchange) => {
                self.store.buffers.give(exchange.bytes);
                exchange.carry.into_iter().for_each(|carry| self.store.give(carry));
            }
            Arrived::Frames(carry) => self.store.give(carry),
        }
    }
}

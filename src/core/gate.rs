//! Who may come in: the caps on connections and handshakes, each address's share, and what a shard that is overloaded does.
//!
//! Owns what a shard keeps for that: its connections without a request yet, the handshakes that are left of a turn's
//! budget, until when it counts as busy. The listener asks before it accepts; nothing here touches a message.

use std::net::IpAddr;

use crate::base::cause::Cause;
use crate::base::config::Config;
use crate::base::id::Key;
use crate::sys::memory::resident_bytes;

use super::core::Core;
use super::crowd::Shares;
use super::deadlines::reached;
use super::service::Service;

/// How long a shard counts as busy behind a turn that was longer than `turn_max`.
const BUSY_MS: u32 = 100;

/// How often the process's memory is looked at.
const SAMPLE_MS: u32 = 1000;

/// What a shard keeps of who came in last.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Connections whose first request is not complete.
    handshakes: usize,
    /// First requests that may still be dealt with in this step.
    pub(super) handshakes_left: usize,
    /// Until when the shard counts as busy.
    busy_until: Option<u32>,
    /// When the memory is to be looked at.
    sample_at: Option<u32>,
}

impl Config {
    const fn shares(&self) -> Shares {
        Shares { per_ip: self.connections_per_ip_max, per_prefix: self.connections_per_prefix_max }
    }
}

impl<S: Service> Core<S> {
    /// Why nobody is let in at this moment, if that is so.
    pub(super) fn refuses(&self) -> Option<Cause> {
        let Self { config, census, gate, .. } = self;
        if self.table.is_full() || census.is_full() {
            return Some(Cause::Full);
        }
        if config.handshakes_max > 0 && census.handshakes() >= config.handshakes_max {
            return Some(Cause::HandshakesFull);
        }
        if gate.busy_until.is_some_and(|until| !reached(self.now, until)) {
            return Some(Cause::Overloaded);
        }
        (config.memory_bytes_max > 0 && census.is_short_of_memory()).then_some(Cause::MemoryFull)
    }

    /// Counts a connection of this address, as one that comes in: false where there are as many as there may be. Called
    /// with whatever address a connection is known by.
    pub(super) fn address_enters(&self, address: IpAddr) -> bool {
        self.shares_of(address).is_none_or(|shares| self.census.crowd.enter(address, shares))
    }

    /// What an address may have, where that is limited.
    fn shares_of(&self, address: IpAddr) -> Option<Shares> {
        self.config.shares().of(address, &self.config.trusted_proxies)
    }

    /// Counts a connection that is let in already: it comes from another shard, or server.
    pub(super) fn address_moves_in(&self, address: IpAddr) {
        if let Some(shares) = self.shares_of(address) {
            self.census.crowd.count(address, shares);
        }
    }

    /// A connection of this address is gone.
    pub(super) fn address_leaves(&self, address: IpAddr) {
        if let Some(shares) = self.shares_of(address) {
            self.census.crowd.leave(address, shares);
        }
    }

    /// A connection was accepted, and owes its first request.
    pub(super) fn handshake_begins(&mut self, key: Key) {
        if let Some(conn) = self.table.conn_mut(key) {
            conn.peer.set_new(true);
            self.count_handshakes(self.gate.handshakes + 1);
        }
    }

    /// A connection's request is complete, or it ends: it is new no longer. Whether it was.
    pub(super) fn handshake_ends(&mut self, key: Key) -> bool {
        let Some(conn) = self.table.conn_mut(key) else { return false };
        let was_new = conn.peer.is_new();
        if was_new {
            conn.peer.set_new(false);
            self.table.hear(key, self.now);
            self.count_handshakes(self.gate.handshakes - 1);
        }
        was_new
    }

    fn count_handshakes(&mut self, count: usize) {
        self.gate.handshakes = count;
        if self.config.handshakes_max > 0 {
            self.census.set_handshakes(self.shard as usize, count);
        }
    }

    /// A step begins that may deal with as many first requests as the settings say.
    pub(super) fn allow_handshakes(&mut self) {
        self.gate.handshakes_left = self.config.handshakes_per_turn;
    }

    /// A turn is over and took so long; once a second the first shard looks at the memory.
    pub(super) fn turn_took(&mut self, took_us: u64) {
        let config = &self.config;
        if !config.turn_max.is_zero() && u128::from(took_us) > config.turn_max.as_micros() {
            // From the turn's end on: `now` is its beginning.
            let end = self.now.wrapping_add((took_us / 1000) as u32);
            self.gate.busy_until = Some(end.wrapping_add(BUSY_MS));
        }
        if config.memory_bytes_max > 0
            && self.shard == 0
            && self.gate.sample_at.is_none_or(|at| reached(self.now, at))
        {
            self.gate.sample_at = Some(self.now.wrapping_add(SAMPLE_MS));
            // Without an fd to read it by it is as it was.
            if let Ok(bytes) = resident_bytes() {
                self.census.set_short_of_memory(bytes > config.memory_bytes_max as u64);
            }
        }
    }

    /// Milliseconds until the memory is to be looked at, where it is.
    pub(super) fn until_sample(&self) -> Option<u64> {
        let left = |at: u32| if reached(self.now, at) { 0 } else { u64::from(at.wrapping_sub(self.now)) };
        self.gate.sample_at.map(left)
    }

    /// Connections of this shard whose first request is not complete.
    pub(super) fn handshakes(&self) -> usize {
        self.gate.handshakes
    }
}

//! The shard's connections: slots, generations, when each was last heard.
//!
//! The slab owns the connections; generations, last-heard times and streams are arrays of their own, because each is
//! read where the rest is not. Capacity is reserved at once and never moves: untouched pages cost nothing, while
//! doubling a 64 MB array would copy it and peak at three times its size.

use std::net::{SocketAddr, SocketAddrV6};

use slab::Slab;

use super::conn::{Conn, Peer};
use crate::base::id::Key;
use crate::base::slow::SlowPolicy;

/// The connections of a shard. `D` is what the service keeps of each.
#[derive(Debug)]
pub struct Table<D> {
    conns: Slab<Conn<D>>,
    generations: Vec<u32>,
    heard: Vec<u32>,
    v6: Slab<SocketAddrV6>,
    capacity: usize,
    policy: SlowPolicy,
}

/// An idle echo connection is one cache line; `Conn` with 16 bytes for the service fills it.
const _: () = assert!(ENTRY_BYTES == 64);
/// Bytes of a slab entry whose service keeps up to 16 bytes: the tag lives in a niche of the stage.
const ENTRY_BYTES: usize = size_of::<Entry<Conn<[u64; 2]>>>();

/// The shape of a slab's entry, which the crate keeps to itself.
enum Entry<T> {
    _Vacant(usize),
    _Occupied(T),
}

impl<D> Table<D> {
    /// An empty table for at most `capacity` connections, which begin with this policy.
    pub fn new(capacity: usize, policy: SlowPolicy) -> Self {
        Self {
            conns: Slab::with_capacity(capacity),
            generations: Vec::with_capacity(capacity),
            heard: Vec::with_capacity(capacity),
            v6: Slab::new(),
            capacity,
            policy,
        }
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.conns.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.conns.is_empty()
    }

    /// Whether there is room for no more.
    pub fn is_full(&self) -> bool {
        self.conns.len() >= self.capacity
    }

    /// How many there may be.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Puts a connection in and names it. The caller has seen that the table is not full.
    pub(super) fn insert(
        &mut self,
        address: SocketAddr,
        is_secure: bool,
        now: u32,
        conn: impl FnOnce(Peer) -> Conn<D>,
    ) -> Key {
        let peer = Peer::new(address, is_secure, &mut self.v6);
        let mut conn = conn(peer);
        conn.set_policy(self.policy);
        let slot = self.conns.insert(conn);
        if slot == self.generations.len() {
            self.generations.push(1);
            self.heard.push(now);
        }
        self.heard[slot] = now;
        Key { slot: slot as u32, generation: self.generations[slot] }
    }

    /// Takes a connection out; its key is stale from here on.
    pub(super) fn remove(&mut self, key: Key) -> Option<Conn<D>> {
        if !self.contains(key) {
            return None;
        }
        let slot = key.slot as usize;
        self.generations[slot] = key.generation.wrapping_add(1).max(1);
        let conn = self.conns.remove(slot);
        conn.peer.release(&mut self.v6);
        Some(conn)
    }

    /// Whether the key's connection is still here.
    #[inline]
    pub fn contains(&self, key: Key) -> bool {
        self.generations.get(key.slot as usize) == Some(&key.generation)
            && self.conns.contains(key.slot as usize)
    }

    #[inline]
    pub(super) fn conn(&self, key: Key) -> Option<&Conn<D>> {
        if self.generations.get(key.slot as usize) != Some(&key.generation) {
            return None;
        }
        self.conns.get(key.slot as usize)
    }

    #[inline]
    pub(super) fn conn_mut(&mut self, key: Key) -> Option<&mut Conn<D>> {
        if self.generations.get(key.slot as usize) != Some(&key.generation) {
            return None;
        }
        self.conns.get_mut(key.slot as usize)
    }

    /// The connection in a slot that is known to be taken, with its key: the hub's members are such slots.
    #[inline]
    pub(super) fn at(&mut self, slot: u32) -> Option<(Key, &mut Conn<D>)> {
        let key = Key { slot, generation: *self.generations.get(slot as usize)? };
        Some((key, self.conns.get_mut(slot as usize)?))
    }

    /// The address of a connection's peer.
    pub fn address(&self, key: Key) -> Option<SocketAddr> {
        Some(self.conn(key)?.peer.address(&self.v6))
    }

    /// Whether a connection's client came by TLS: here, or to a trusted proxy that says so.
    pub(super) fn is_secure(&self, key: Key) -> bool {
        self.conn(key).is_some_and(|conn| conn.peer.is_secure())
    }

    /// The peer has said whom it speaks for.
    pub(super) fn set_peer(&mut self, key: Key, address: SocketAddr, is_secure: bool) {
        if !self.contains(key) {
            return;
        }
        let mut peer = Peer::new(address, is_secure, &mut self.v6);
        let known = &mut self.conns[key.slot as usize].peer;
        peer.set_new(known.is_new());
        peer.policy = known.policy;
        let before = std::mem::replace(known, peer);
        before.release(&mut self.v6);
    }

    #[inline]
    pub(super) fn hear(&mut self, key: Key, now: u32) {
        self.heard[key.slot as usize] = now;
    }

    /// When the peer was last heard, in the shard's 32-bit milliseconds.
    pub(super) fn heard(&self, key: Key) -> u32 {
        self.heard[key.slot as usize]
    }

    /// How many slots have ever been taken: no connection's number is as large.
    pub(super) fn slots(&self) -> usize {
        self.generations.len()
    }

    /// The keys of all connections.
    pub fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        self.conns.iter().map(|(slot, _)| Key { slot: slot as u32, generation: self.generations[slot] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::cause::{Cause, CloseReason};
    use crate::core::conn::{Arrived, Flags, Stage};

    fn insert(table: &mut Table<u8>) -> Key {
        table.insert("127.0.0.1:9".parse().unwrap(), false, 5, |peer| Conn {
            peer,
            queued: 0,
            batch: Default::default(),
            flags: Flags::default(),
            stage: Stage::Head,
            agreed: Default::default(),
            reason: CloseReason::of(Cause::PeerVanished),
            arrived: Arrived::Nothing,
            outbox: None,
            data: 0,
        })
    }

    #[test]
    fn a_key_is_stale_once_its_connection_is_gone_whoever_comes_after() {
        let mut table = Table::new(2, SlowPolicy::LatestOnly);
        let first = insert(&mut table);
        assert!(table.contains(first) && !table.is_full());
        assert!(table.remove(first).is_some());
        let second = insert(&mut table);
        assert_eq!(second.slot, first.slot);
        assert!(
            table.conn(first).is_none() && table.conn_mut(first).is_none() && table.remove(first).is_none()
        );
        assert!(table.conn(second).is_some_and(|conn| conn.flags.any(Flags::LATEST_ONLY)));
        assert_eq!(table.address(second), Some("127.0.0.1:9".parse().unwrap()));
    }

    #[test]
    fn generation_0_is_never_a_connection() {
        let mut table = Table::new(1, SlowPolicy::Close);
        let key = insert(&mut table);
        table.generations[0] = u32::MAX;
        let last = Key { slot: 0, generation: u32::MAX };
        assert!(table.conn(key).is_none() && table.remove(last).is_some());
        assert_eq!(insert(&mut table).generation, 1);
    }
}

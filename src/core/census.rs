//! How many connections there are, on each shard: what all shards share. Socket.IO counts its sessions in another of these.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::crowd::Crowd;

/// What all shards of a server share: how many connections there are, per shard and, where that is limited, per address.
#[derive(Debug)]
pub struct Census {
    per_shard: Box<[AtomicUsize]>,
    handshakes: Box<[AtomicUsize]>,
    is_short_of_memory: AtomicBool,
    /// How many of each address.
    pub crowd: Crowd,
    max: usize,
}

impl Census {
    /// Nobody on any of `shards` shards, at most `max` in all.
    pub fn new(shards: usize, max: usize) -> Self {
        let zeros = || (0..shards).map(|_| AtomicUsize::new(0)).collect();
        Self {
            per_shard: zeros(),
            handshakes: zeros(),
            is_short_of_memory: AtomicBool::new(false),
            crowd: Crowd::default(),
            max,
        }
    }

    /// Connections whose first request is not complete, on all shards, where `handshakes_max` has them counted.
    pub fn handshakes(&self) -> usize {
        self.handshakes.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Says how many of those there are on a shard. Only that shard calls this.
    pub fn set_handshakes(&self, shard: usize, count: usize) {
        self.handshakes[shard].store(count, Ordering::Relaxed);
    }

    /// Whether `memory_bytes_max` was passed when the first shard last looked.
    pub fn is_short_of_memory(&self) -> bool {
        self.is_short_of_memory.load(Ordering::Relaxed)
    }

    /// Says so. Only the first shard calls this.
    pub fn set_short_of_memory(&self, is_short: bool) {
        self.is_short_of_memory.store(is_short, Ordering::Relaxed);
    }

    /// Connections on all shards at some recent moment.
    pub fn total(&self) -> usize {
        self.per_shard.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Connections on one shard.
    pub fn of(&self, shard: usize) -> usize {
        self.per_shard[shard].load(Ordering::Relaxed)
    }

    /// Whether `max_connections` is reached. Shards look without a lock, so two of them may pass it by one each.
    pub fn is_full(&self) -> bool {
        self.total() >= self.max
    }

    /// The shard with the fewest connections.
    pub fn emptiest(&self) -> usize {
        self.emptiest_from(0)
    }

    /// The same, where of several the first from `start` on is taken: who asks often before the counts have followed takes
    /// each time another.
    pub fn emptiest_from(&self, start: usize) -> usize {
        let shards = self.per_shard.len();
        (0..shards).map(|n| (start % shards + n) % shards).min_by_key(|&shard| self.of(shard)).unwrap_or(0)
    }

    /// Says how many there are on a shard. Only that shard calls this.
    pub fn set(&self, shard: usize, count: usize) {
        self.per_shard[shard].store(count, Ordering::Relaxed);
    }
}

//! The names of things: a connection within its shard (`Key`), and within the server (`ConnId`).

use std::fmt;

/// A connection within its shard: the slot it lives in, and which tenant of that slot it is.
///
/// Every event, message, deadline and subscription carries both halves, so that nothing meant for a connection
/// that is gone can reach the newcomer in its old slot. Generations start at 1: 0 is never a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Key {
    /// Index into the shard's connection table.
    pub slot: u32,
    /// Which tenant of the slot, from 1; wraps past 0 after 2³² − 1 tenants.
    pub generation: u32,
}

impl Key {
    /// Packs the key into the 64 bits that an epoll event carries.
    pub const fn to_token(self) -> u64 {
        ((self.generation as u64) << 32) | self.slot as u64
    }

    /// Reads a key back out of an event's 64 bits.
    pub const fn from_token(token: u64) -> Self {
        Self { slot: token as u32, generation: (token >> 32) as u32 }
    }
}

/// A connection within its server: unique for the server's life, cheap to copy, safe to keep.
///
/// Using the id of a connection that has ended is not an error: whatever is sent to it is counted and dropped.
/// It prints as `shard-slot-generation`, for logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ConnId {
    pub(crate) key: Key,
    pub(crate) shard: u16,
}

impl ConnId {
    pub(crate) const fn new(shard: u16, key: Key) -> Self {
        Self { key, shard }
    }

    /// The shard that owns the connection, counted from 0.
    pub const fn shard(self) -> usize {
        self.shard as usize
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.shard, self.key.slot, self.key.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_carries_both_halves() {
        for (slot, generation) in [(0, 1), (7, u32::MAX), (u32::MAX, 1), (19_999, 3)] {
            let key = Key { slot, generation };
            assert_eq!(Key::from_token(key.to_token()), key);
        }
    }
}

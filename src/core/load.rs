//! What a shard holds for those who read too slowly: the sum over the outboxes that the kernel has refused bytes of.
//!
//! An outbox that is to be flushed in this turn or one of the next is no load: a handler that speaks to everybody makes one for
//! everybody. It becomes one when the kernel first takes less than it was given, and is until it is empty. Buffers count as
//! large as they are, a shared frame once for the shard whoever holds it, and each unit 64 bytes for its entry.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::publication::Publication;

/// What slow readers make a shard hold.
#[derive(Debug, Default)]
pub struct Load {
    /// Bytes that are held for one connection alone.
    pub(super) own: usize,
    /// Bytes of shared frames, each counted once.
    pub(super) shared: usize,
    /// How many units hold a frame, by its address.
    holders: HashMap<usize, u32, BuildHasherDefault<Address>>,
}

impl Load {
    /// The sum.
    pub fn bytes(&self) -> usize {
        self.own + self.shared
    }

    pub(super) fn share(&mut self, publication: &Publication) {
        let holders = self.holders.entry(publication.address()).or_insert(0);
        *holders += 1;
        if *holders == 1 {
            self.shared += publication.bytes();
        }
    }

    pub(super) fn unshare(&mut self, publication: &Publication) {
        let Some(holders) = self.holders.get_mut(&publication.address()) else { return };
        *holders -= 1;
        if *holders == 0 {
            self.holders.remove(&publication.address());
            self.shared -= publication.bytes();
        }
    }

    /// Frees what the table of shared frames has grown to.
    pub fn shrink(&mut self) {
        if self.holders.capacity() > 4 * self.holders.len().max(64) {
            self.holders.shrink_to_fit();
        }
    }
}

/// What a bound is brought back to once it is passed: an eighth below, so that the next few bytes do not pass it again.
pub(crate) const fn goal(bytes_max: usize) -> usize {
    bytes_max - bytes_max / 8
}

/// The most that anybody may keep so that all together keep `goal`: who has less keeps everything. Below the heaviest, so
/// that somebody pays; `None` where there is nobody.
pub(crate) fn fair_share(weights: &mut [usize], goal: usize) -> Option<usize> {
    weights.sort_unstable();
    let heaviest = *weights.last()?;
    let (mut left, mut share) = (goal, heaviest);
    for (at, &weight) in weights.iter().enumerate() {
        share = left / (weights.len() - at);
        if weight > share {
            break;
        }
        left -= weight;
    }
    Some(share.min(heaviest.saturating_sub(1)))
}

/// Addresses differ in their middle bits; one multiplication spreads them.
#[derive(Default)]
struct Address(u64);

impl Hasher for Address {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_usize(usize::from(byte)));
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0.rotate_left(5) ^ address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::ws::Message;

    #[test]
    fn a_shared_frame_counts_once_however_many_hold_it() {
        let mut load = Load::default();
        let publications =
            ["a", "bb"].map(|text| Publication::new("t", Message::Text(text), &mut Vec::new()));
        for _ in 0..3 {
            publications.iter().for_each(|publication| load.share(publication));
        }
        assert_eq!(load.bytes(), 4 + 5, "topic, header and payload of each");
        for left in [9, 9, 0] {
            publications.iter().for_each(|publication| load.unshare(publication));
            assert_eq!(load.bytes(), left);
        }
        assert!(load.holders.is_empty());
    }

    #[test]
    fn who_has_little_keeps_it_and_the_rest_is_shared_out() {
        for (weights, goal, share) in [
            (&[100, 100, 100][..], 150, 50),
            (&[10, 100, 100], 150, 70),
            (&[10, 20, 1000], 150, 120),
            (&[1000], 150, 150),
            (&[50, 50], 150, 49),
            (&[0, 0, 10], 5, 5),
        ] {
            assert_eq!(fair_share(&mut weights.to_vec(), goal), Some(share), "{weights:?}");
        }
        assert_eq!(fair_share(&mut [], 10), None);
    }
}

//! How many there are of each address, over all shards: connections, or Socket.IO's sessions.
//!
//! Owns a map in stripes, touched when one comes and when one goes, and only where a limit is set: no message ever meets
//! it. A stripe is locked for one look-up. Called by the gate, and by Socket.IO for its sessions.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::prefix::Prefix;

/// More than shards that could meet at one moment.
const STRIPES: usize = 64;

/// How many of one address there may be; 0 is any number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shares {
    /// Of an address.
    pub per_ip: usize,
    /// Of an IPv6 prefix of 64 bits, which is what one line is given: its addresses cost whoever has it nothing.
    pub per_prefix: usize,
}

/// Who is counted together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Block {
    Address(IpAddr),
    /// An IPv6 prefix, as its first address.
    Prefix(IpAddr),
}

/// What is one line's: an IPv4 address, or an IPv6 prefix of 64 bits as its first address. An IPv4 client of a socket that is
/// bound to `::` is the same client.
pub(crate) fn line_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(long) => Ipv6Addr::from_bits(long.to_bits() >> 64 << 64).into(),
        short => short,
    }
}

/// The counts.
#[derive(Debug)]
pub struct Crowd {
    stripes: Box<[Mutex<HashMap<Block, usize>>]>,
    hasher: RandomState,
}

impl Default for Crowd {
    fn default() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl Shares {
    /// Whether nothing is limited, and nothing counted.
    #[must_use]
    pub const fn is_off(self) -> bool {
        self.per_ip == 0 && self.per_prefix == 0
    }

    /// These, where anything is limited for an address. A proxy that speaks for its clients has as many as they are.
    pub(crate) fn of(self, address: IpAddr, proxies: &[Prefix]) -> Option<Self> {
        (!self.is_off() && !Prefix::any_contains(proxies, address)).then_some(self)
    }

    /// The blocks that an address is counted in, with how many may be in each.
    fn blocks(self, address: IpAddr) -> impl Iterator<Item = (Block, usize)> {
        let address = address.to_canonical();
        let prefix = address.is_ipv6().then(|| (Block::Prefix(line_of(address)), self.per_prefix));
        let blocks = [Some((Block::Address(address), self.per_ip)), prefix];
        blocks.into_iter().flatten().filter(|(_, most)| *most > 0)
    }
}

impl Crowd {
    /// Counts one more of this address. False, and nothing is counted, where there are as many as there may be.
    #[must_use]
    pub fn enter(&self, address: IpAddr, shares: Shares) -> bool {
        for (nth, (block, most)) in shares.blocks(address).enumerate() {
            let mut stripe = self.stripe(&block);
            let count = stripe.entry(block).or_default();
            if *count >= most {
                drop(stripe);
                shares.blocks(address).take(nth).for_each(|(block, _)| self.take_out(block));
                return false;
            }
            *count += 1;
        }
        true
    }

    /// Whether [`enter`](Self::enter) would count one more of this address.
    #[must_use]
    pub fn has_room(&self, address: IpAddr, shares: Shares) -> bool {
        let count = |block| self.stripe(&block).get(&block).copied().unwrap_or(0);
        shares.blocks(address).all(|(block, most)| count(block) < most)
    }

    /// Counts one more of this address, however many there are: one that is let in already.
    pub fn count(&self, address: IpAddr, shares: Shares) {
        for (block, _) in shares.blocks(address) {
            *self.stripe(&block).entry(block).or_default() += 1;
        }
    }

    /// One that was counted with these shares is gone.
    pub fn leave(&self, address: IpAddr, shares: Shares) {
        shares.blocks(address).for_each(|(block, _)| self.take_out(block));
    }

    /// How many blocks have anybody in them: a walk over the stripes.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.stripes.iter().map(|stripe| stripe.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    fn take_out(&self, block: Block) {
        let mut stripe = self.stripe(&block);
        if let Some(count) = stripe.get_mut(&block) {
            *count -= 1;
            if *count == 0 {
                stripe.remove(&block);
            }
        }
    }

    fn stripe(&self, block: &Block) -> MutexGuard<'_, HashMap<Block, usize>> {
        let number = self.hasher.hash_one(block) as usize % STRIPES;
        // Nothing that is done under the lock can panic half-way.
        self.stripes[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Shares = Shares { per_ip: 2, per_prefix: 3 };

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_share_and_no_more() {
        let crowd = Crowd::default();
        // IPv4 has no prefix, and is the same address when it comes mapped.
        assert!(crowd.enter(ip("10.0.0.1"), BOTH) && crowd.enter(ip("::ffff:10.0.0.1"), BOTH));
        assert!(!crowd.enter(ip("10.0.0.1"), BOTH) && crowd.enter(ip("10.0.0.2"), BOTH));
        crowd.leave(ip("10.0.0.1"), BOTH);
        assert!(crowd.enter(ip("10.0.0.1"), BOTH) && !crowd.enter(ip("::ffff:10.0.0.1"), BOTH));
        [("10.0.0.1"), "10.0.0.1", "10.0.0.2"].into_iter().for_each(|one| crowd.leave(ip(one), BOTH));
        assert_eq!(crowd.blocks(), 0);
    }

    #[test]
    fn a_prefix_has_its_share_whichever_of_its_addresses_come() {
        let crowd = Crowd::default();
        let (a, b, c, next) =
            (ip("2001:db8::1"), ip("2001:db8::2"), ip("2001:db8::3"), ip("2001:db8:0:1::1"));
        assert!(crowd.enter(a, BOTH) && crowd.enter(a, BOTH) && !crowd.enter(a, BOTH));
        // The address that is refused for its prefix is not counted as one of its own.
        assert!(crowd.enter(b, BOTH) && !crowd.enter(c, BOTH) && crowd.enter(next, BOTH));
        assert_eq!(crowd.blocks(), 5);
        crowd.leave(a, BOTH);
        assert!(crowd.enter(c, BOTH));
        [a, b, c, next].into_iter().for_each(|one| crowd.leave(one, BOTH));
        assert_eq!(crowd.blocks(), 0);
    }

    #[test]
    fn who_is_let_in_already_is_counted_beyond_the_limit() {
        let (crowd, one) = (Crowd::default(), Shares { per_ip: 1, per_prefix: 0 });
        assert!(crowd.enter(ip("::1"), one));
        crowd.count(ip("::1"), one);
        assert!(!crowd.has_room(ip("::1"), one) && crowd.has_room(ip("::2"), one));
        crowd.leave(ip("::1"), one);
        assert!(!crowd.enter(ip("::1"), one));
        crowd.leave(ip("::1"), one);
        assert!(crowd.enter(ip("::1"), one) && crowd.blocks() == 1);
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let (crowd, off) = (Crowd::default(), Shares { per_ip: 0, per_prefix: 0 });
        assert!(off.is_off() && crowd.enter(ip("::1"), off));
        crowd.count(ip("10.0.0.1"), off);
        assert_eq!(crowd.blocks(), 0);
    }
}

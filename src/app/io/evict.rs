//! Who makes room at `sessions_max`: of the sessions that linger, which are those that have been in no namespace for a while, the
//! oldest of the address that has most of them.
//!
//! Each shard owns a list of its own, sorted by address; what the shards have to know of each other is counted in [`Lingering`].
//! A client that connects at once is never in here. Requests ask for room, and deadlines and ends keep the list.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::core::crowd::{Crowd, Shares, line_of};

use super::ends::wishes;
use super::mail::IoMail;
use super::port::Port;
use super::reason::Reason;
use super::state::State;

/// A session lingers from this part of `connect_timeout` on: 3 s of 45. An honest client takes one round trip, and some more
/// where packets are lost.
pub(super) const LINGER_PART: u64 = 15;

/// Sessions of a shard that linger.
#[derive(Debug, Default)]
pub(super) struct Unconnected {
    /// By address: since when, and their slots.
    lines: HashMap<IpAddr, BTreeSet<(u64, u32)>>,
    /// How many each address has; of those that have the same, the one with the oldest comes last.
    weights: BTreeSet<(usize, Reverse<u64>, IpAddr)>,
    /// By slot: where it is.
    places: HashMap<u32, (IpAddr, u64)>,
    /// From when on another may make room for one of an address that has no fewer.
    next_us: u64,
}

impl Unconnected {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    fn insert(&mut self, slot: u32, line: IpAddr, since_us: u64) {
        self.change(line, |sessions| _ = sessions.insert((since_us, slot)));
        self.places.insert(slot, (line, since_us));
    }

    /// Takes one out, if it is in here; gives its address.
    fn remove(&mut self, slot: u32) -> Option<IpAddr> {
        let (line, since_us) = self.places.remove(&slot)?;
        self.change(line, |sessions| _ = sessions.remove(&(since_us, slot)));
        Some(line)
    }

    fn change(&mut self, line: IpAddr, change: impl FnOnce(&mut BTreeSet<(u64, u32)>)) {
        let sessions = self.lines.entry(line).or_default();
        let weight = |sessions: &BTreeSet<(u64, u32)>| {
            sessions.first().map(|(oldest_us, _)| (sessions.len(), Reverse(*oldest_us), line))
        };
        weight(sessions).into_iter().for_each(|weight| _ = self.weights.remove(&weight));
        change(sessions);
        match weight(sessions) {
            Some(weight) => _ = self.weights.insert(weight),
            None => _ = self.lines.remove(&line),
        }
    }

    /// How many the address has that has most.
    fn heaviest(&self) -> usize {
        self.weights.last().map_or(0, |(weight, ..)| *weight)
    }

    /// The oldest of that address.
    fn candidate(&self) -> Option<u32> {
        let (_, _, line) = self.weights.last()?;
        self.lines[line].first().map(|&(_, slot)| slot)
    }

    /// Whether one may make room for somebody whose address has no fewer, as all have where a proxy hides them. In the time that
    /// it takes to linger half of the heaviest may: a flood's own newcomers, which take each room that they can get, thus leave the
    /// other half for those of other addresses.
    fn may_give_way(&mut self, now_us: u64, linger_us: u64) -> bool {
        let may = !self.weights.is_empty() && now_us >= self.next_us;
        if may {
            self.next_us = now_us + 2 * linger_us / self.heaviest() as u64;
        }
        may
    }
}

/// What all shards know of those of each other.
#[derive(Debug)]
pub(super) struct Lingering {
    /// How many each address has, on all shards.
    crowd: Crowd,
    /// How many the address has that has most, on each shard.
    heaviest: Box<[AtomicUsize]>,
    /// How many of each shard's are to be closed for newcomers to others.
    claims: Box<[AtomicUsize]>,
}

/// Nobody is refused by these: they only have the crowd count. An address is masked before.
const COUNTED: Shares = Shares { per_ip: usize::MAX, per_prefix: 0 };

impl Lingering {
    pub(super) fn new(shards: usize) -> Self {
        let zeros = || (0..shards).map(|_| AtomicUsize::new(0)).collect();
        Self { crowd: Crowd::default(), heaviest: zeros(), claims: zeros() }
    }

    /// The shard with the heaviest address, and what that has there; of several this one.
    fn heaviest(&self, own: usize) -> (usize, usize) {
        let weight = |shard: usize| self.heaviest[shard].load(Relaxed);
        let heaviest = (0..self.heaviest.len()).max_by_key(|&shard| (weight(shard), shard == own));
        heaviest.map_or((own, 0), |shard| (shard, weight(shard)))
    }

    /// Whether an address has fewer than that on all shards together.
    fn has_fewer(&self, line: IpAddr, than: usize) -> bool {
        self.crowd.has_room(line, Shares { per_ip: than, per_prefix: 0 })
    }

    /// Claims one of another shard's. False where as many are claimed as its heaviest address has.
    fn claim(&self, shard: usize) -> bool {
        let most = self.heaviest[shard].load(Relaxed);
        self.claims[shard]
            .fetch_update(Relaxed, Relaxed, |claims| (claims < most).then_some(claims + 1))
            .is_ok()
    }
}

impl State {
    /// A session has not connected to a namespace for a while: if it still has not, and waits for nobody's word, it lingers.
    pub(super) fn lingers(&mut self, slot: u32, now_us: u64) {
        let Some(session) = self.sessions.get(slot as usize) else { return };
        let waits = self.asked.range(wishes(slot, session.serial)).next().is_some();
        // One that has given its handshake to a socket has been connected.
        let Some(handshake) = session.handshake.as_ref().filter(|_| session.sockets == 0 && !waits) else {
            return;
        };
        let line = line_of(handshake.address.ip());
        self.unconnected.insert(slot, line, now_us);
        self.roster.lingering.crowd.count(line, COUNTED);
        self.tell_heaviest();
    }

    /// A session is connected, about to be, or gone.
    pub(super) fn lingers_no_more(&mut self, slot: u32) {
        if let Some(line) = self.unconnected.remove(slot) {
            self.roster.lingering.crowd.leave(line, COUNTED);
            self.tell_heaviest();
        }
    }

    fn tell_heaviest(&self) {
        self.roster.lingering.heaviest[self.shard].store(self.unconnected.heaviest(), Relaxed);
    }

    /// There are as many sessions as there may be, and another is asked for from this address: closes one that lingers, here or on
    /// another shard. False: there is none that has to go for it.
    pub(super) fn make_room(&mut self, port: &mut dyn Port, address: IpAddr) -> bool {
        let lingering = &self.roster.lingering;
        let (shard, weight) = lingering.heaviest(self.shard);
        if weight > 0 && lingering.has_fewer(line_of(address), weight) {
            if shard == self.shard {
                return self.evict(port);
            }
            if lingering.claim(shard) {
                port.mail(shard, IoMail::Evict);
                return true;
            }
        }
        let linger_us = self.config.connect_timeout.as_micros() as u64 / LINGER_PART;
        self.unconnected.may_give_way(port.now_us(), linger_us) && self.evict(port)
    }

    /// A session has opened on another shard for which one of here is to go. Where all have connected or gone meanwhile there is
    /// one too many until somebody goes.
    pub(super) fn evict_claimed(&mut self, port: &mut dyn Port) {
        self.roster.lingering.claims[self.shard].fetch_sub(1, Relaxed);
        _ = self.evict(port);
    }

    fn evict(&mut self, port: &mut dyn Port) -> bool {
        let Some(slot) = self.unconnected.candidate() else { return false };
        port.counters().io_sessions_evicted.add(1);
        self.close_session(port, slot, Reason::ForcedClose);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        line_of(text.parse().unwrap())
    }

    #[test]
    fn the_oldest_of_the_heaviest_address_goes_first() {
        let mut all = Unconnected::default();
        for (slot, address, since_us) in [
            (0, "192.0.2.1", 10),
            (1, "192.0.2.2", 20),
            (2, "192.0.2.2", 30),
            (3, "2001:db8::1", 40),
            // The same prefix, and the same address in another form.
            (4, "2001:db8::2", 50),
            (5, "::ffff:192.0.2.2", 60),
        ] {
            all.insert(slot, ip(address), since_us);
        }
        let mut order = Vec::new();
        while let Some(slot) = all.candidate() {
            order.push((all.heaviest(), slot));
            assert!(all.remove(slot).is_some() && all.remove(slot).is_none());
        }
        let expected = [(3, 1), (2, 2), (2, 3), (1, 0), (1, 4), (1, 5)];
        assert_eq!(order, expected);
        assert!(all.lines.is_empty() && all.weights.is_empty() && all.len() == 0);
    }

    #[test]
    fn one_from_the_middle_leaves_the_others_in_order() {
        let mut all = Unconnected::default();
        (0..4).for_each(|slot| all.insert(slot, ip("192.0.2.1"), u64::from(slot)));
        assert_eq!(all.remove(0), Some(ip("192.0.2.1")));
        assert_eq!((all.remove(2), all.heaviest(), all.candidate()), (Some(ip("192.0.2.1")), 2, Some(1)));
    }

    #[test]
    fn half_of_the_heaviest_give_way_in_the_time_it_takes_to_linger() {
        let mut all = Unconnected::default();
        assert!(!all.may_give_way(0, 1000));
        (0..10).for_each(|slot| all.insert(slot, ip("192.0.2.1"), 0));
        let given = (0..1000).filter(|&now_us| all.may_give_way(now_us, 1000)).count();
        assert_eq!(given, 5);
    }

    #[test]
    fn no_more_are_claimed_of_a_shard_than_its_heaviest_has() {
        let shards = Lingering::new(3);
        assert_eq!((shards.heaviest(1), shards.claim(0)), ((1, 0), false));
        [(0, 2), (1, 2), (2, 1)]
            .into_iter()
            .for_each(|(shard, weight)| shards.heaviest[shard].store(weight, Relaxed));
        // Its own where that is as good as another's.
        assert_eq!((shards.heaviest(1), shards.heaviest(0)), ((1, 2), (0, 2)));
        assert_eq!(
            [shards.claim(0), shards.claim(0), shards.claim(0), shards.claim(2)],
            [true, true, false, true]
        );
    }

    #[test]
    fn an_address_weighs_what_it_has_on_all_shards() {
        let shards = Lingering::new(2);
        (0..2).for_each(|_| shards.crowd.count(ip("192.0.2.1"), COUNTED));
        let fewer = |address, than| shards.has_fewer(ip(address), than);
        assert_eq!(
            [fewer("192.0.2.1", 2), fewer("192.0.2.1", 3), fewer("192.0.2.2", 1)],
            [false, true, true]
        );
    }
}

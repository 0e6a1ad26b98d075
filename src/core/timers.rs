//! Timers of any duration, which a service sets for itself: a heap, and a slab that makes cancelling cheap.
//!
//! A cancelled timer's heap entry stays until it comes up, or until there are more of those than of live timers: a handler
//! that sets a timeout anew with every message has one entry per connection, not one per message of the last minute.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use slab::Slab;

/// A timer that was set. Cancelling one that has rung, or was cancelled, does nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimerId {
    slot: u32,
    set: u64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Entry {
    due: u64,
    /// The number of the setting: timers due at one moment ring in the order they were set.
    set: u64,
    slot: u32,
}

#[derive(Debug)]
struct Timer<T> {
    set: u64,
    /// 0: it rings once.
    period: u64,
    /// Not here while it rings.
    what: Option<T>,
}

/// A shard's timers, each with a value that says what it is for.
#[derive(Debug)]
pub struct Timers<T> {
    heap: BinaryHeap<Reverse<Entry>>,
    timers: Slab<Timer<T>>,
    sets: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), timers: Slab::new(), sets: 0 }
    }
}

impl<T> Timers<T> {
    /// Sets a timer for the moment `due`, in the shard's microseconds, and every `period` from then on if that is not 0.
    pub fn set(&mut self, due: u64, period: u64, what: T) -> TimerId {
        self.sets += 1;
        let slot = self.timers.insert(Timer { set: self.sets, period, what: Some(what) }) as u32;
        self.heap.push(Reverse(Entry { due, set: self.sets, slot }));
        TimerId { slot, set: self.sets }
    }

    /// Whether a timer will still ring.
    pub fn is_set(&self, id: TimerId) -> bool {
        self.timers.get(id.slot as usize).is_some_and(|timer| timer.set == id.set)
    }

    /// Takes a timer back; false where it is gone.
    pub fn cancel(&mut self, id: TimerId) -> bool {
        let is_set = self.is_set(id);
        if is_set {
            self.timers.remove(id.slot as usize);
            if self.heap.len() > 2 * self.timers.len() + STALE_KEPT {
                // Every second entry at least is a cancelled one, so a cancellation costs two entries' time on average.
                let timers = &self.timers;
                self.heap.retain(|Reverse(entry)| is_live(timers, entry));
            }
        }
        is_set
    }

    /// The next timer that is due at `now`. One that rings again is to be [`put_back`](Self::put_back).
    pub fn next_due(&mut self, now: u64) -> Option<(TimerId, T)> {
        self.forget_cancelled();
        if self.heap.peek()?.0.due > now {
            return None;
        }
        let Reverse(entry) = self.heap.pop()?;
        let id = TimerId { slot: entry.slot, set: entry.set };
        let timer = &mut self.timers[entry.slot as usize];
        let what = timer.what.take();
        match timer.period {
            0 => drop(self.timers.remove(entry.slot as usize)),
            // From the moment it was due, so that it does not drift; a shard that was held up rings once, not often.
            period => self.heap.push(Reverse(Entry { due: (entry.due + period).max(now + 1), ..entry })),
        }
        Some((id, what?))
    }

    /// Gives a timer back what it is for, unless it was cancelled while it rang or rings no more.
    pub fn put_back(&mut self, id: TimerId, what: T) {
        if let Some(timer) = self.timers.get_mut(id.slot as usize).filter(|timer| timer.set == id.set) {
            timer.what = Some(what);
        }
    }

    /// When the next timer is due.
    pub fn due(&mut self) -> Option<u64> {
        self.forget_cancelled();
        self.heap.peek().map(|entry| entry.0.due)
    }

    /// How many are set.
    pub fn len(&self) -> usize {
        self.timers.len()
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }

    fn forget_cancelled(&mut self) {
        while let Some(Reverse(entry)) = self.heap.peek() {
            if is_live(&self.timers, entry) {
                return;
            }
            self.heap.pop();
        }
    }
}

/// Whether an entry's timer is still set.
fn is_live<T>(timers: &Slab<Timer<T>>, entry: &Entry) -> bool {
    timers.get(entry.slot as usize).is_some_and(|timer| timer.set == entry.set)
}

/// Entries of cancelled timers that are kept however few live ones there are.
const STALE_KEPT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelled_timers_do_not_pile_up() {
        let mut timers = Timers::default();
        let mut last: Vec<_> = (0..100).map(|n| timers.set(1000 + n, 0, n)).collect();
        for n in 0..10_000 {
            let place = n as usize % last.len();
            assert!(timers.cancel(last[place]) && !timers.is_set(last[place]));
            last[place] = timers.set(2000 + n, 0, n);
            assert!(timers.heap.len() <= 2 * 100 + STALE_KEPT + 1);
        }
        let rung: Vec<_> = std::iter::from_fn(|| timers.next_due(u64::MAX)).map(|(_, n)| n).collect();
        assert_eq!(rung, (9900..10_000).collect::<Vec<_>>());
    }

    #[test]
    fn timers_ring_in_order_and_cancelled_ones_do_not() {
        let mut timers = Timers::default();
        let late = timers.set(30, 0, "late");
        timers.set(10, 0, "early");
        let gone = timers.set(20, 0, "gone");
        timers.set(10, 0, "early too");
        assert!(timers.cancel(gone) && !timers.cancel(gone));
        // A newcomer in the cancelled one's slot is another timer.
        let other = timers.set(25, 0, "other");
        assert!(!timers.cancel(gone));
        assert_eq!(timers.due(), Some(10));
        let rung: Vec<_> = std::iter::from_fn(|| timers.next_due(25)).map(|(_, what)| what).collect();
        assert_eq!(rung, ["early", "early too", "other"]);
        assert!(!timers.cancel(other) && timers.cancel(late));
        assert_eq!((timers.due(), timers.len()), (None, 0));
    }

    #[test]
    fn a_periodic_timer_keeps_its_beat_and_can_be_cancelled_while_it_rings() {
        let mut timers = Timers::default();
        let id = timers.set(10, 10, "tick");
        for now in [10, 20, 34] {
            let (rung, what) = timers.next_due(now).unwrap();
            assert_eq!((rung, timers.next_due(now)), (id, None));
            timers.put_back(rung, what);
        }
        assert_eq!(timers.due(), Some(40), "10, 20, 30 (late, at 34), then 40");
        let (rung, what) = timers.next_due(75).unwrap();
        assert_eq!(timers.due(), Some(76), "held up for three periods, it rings once");
        assert!(timers.cancel(rung));
        timers.put_back(rung, what);
        assert_eq!((timers.due(), timers.is_empty()), (None, true));
    }
}

//! Timers of any duration, which a service sets for itself: a heap, and a slab that makes cancelling cheap.
//!
//! A cancelled timer's heap entry stays until it comes up; there are never more of those than there are live timers
//! and those cancelled within the longest duration.

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
    what: T,
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
    /// Sets a timer for the moment `due`, in the shard's microseconds.
    pub fn set(&mut self, due: u64, what: T) -> TimerId {
        self.sets += 1;
        let slot = self.timers.insert(Timer { set: self.sets, what }) as u32;
        self.heap.push(Reverse(Entry { due, set: self.sets, slot }));
        TimerId { slot, set: self.sets }
    }

    /// Takes a timer back, with what it was for; `None` where it is gone.
    pub fn cancel(&mut self, id: TimerId) -> Option<T> {
        if self.timers.get(id.slot as usize)?.set != id.set {
            return None;
        }
        Some(self.timers.remove(id.slot as usize).what)
    }

    /// The next timer that is due at `now`, and the moment it was due.
    pub fn next_due(&mut self, now: u64) -> Option<(TimerId, u64, T)> {
        self.forget_cancelled();
        if self.heap.peek()?.0.due > now {
            return None;
        }
        let Reverse(entry) = self.heap.pop()?;
        let id = TimerId { slot: entry.slot, set: entry.set };
        Some((id, entry.due, self.timers.remove(entry.slot as usize).what))
    }

    /// When the next timer is due.
    pub fn next(&mut self) -> Option<u64> {
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
            if self.timers.get(entry.slot as usize).is_some_and(|timer| timer.set == entry.set) {
                return;
            }
            self.heap.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_ring_in_order_and_cancelled_ones_do_not() {
        let mut timers = Timers::default();
        let late = timers.set(30, "late");
        let _ = timers.set(10, "early");
        let gone = timers.set(20, "gone");
        let _ = timers.set(10, "early too");
        assert_eq!(timers.cancel(gone), Some("gone"));
        assert_eq!(timers.cancel(gone), None);
        // A newcomer in the cancelled one's slot is another timer.
        let other = timers.set(25, "other");
        assert_eq!(timers.cancel(gone), None);
        assert_eq!(timers.next(), Some(10));
        let rung: Vec<_> = std::iter::from_fn(|| timers.next_due(25)).map(|(_, due, what)| (due, what)).collect();
        assert_eq!(rung, [(10, "early"), (10, "early too"), (25, "other")]);
        assert_eq!(timers.cancel(other), None);
        assert_eq!(timers.cancel(late), Some("late"));
        assert_eq!((timers.next(), timers.len()), (None, 0));
    }
}

//! The units of an outbox in order, of which some may be dropped and some replaced where they stand.
//!
//! A unit that goes from between others leaves an empty one in its place, so that the places of the rest stay as they are; where
//! these get more than the rest they are swept out. Places are looked up by key, and the oldest that may be dropped from a
//! cursor, so either costs the same however much is queued. Knows no limits: who is to go, the core says.

use std::collections::{HashMap, VecDeque};

use crate::base::pool::Pool;
use crate::base::slow::Mark;

use super::unit::{JOINED_BYTES_MAX, TAIL_BYTES_MAX, UNIT_BYTES, UNSHARED_BYTES_MAX, Unit};

/// A queue of units.
#[derive(Debug, Default)]
pub(crate) struct Units {
    units: VecDeque<Unit>,
    /// The place of the first one: how many have left at the front.
    first: u64,
    /// How many are empty.
    empty: usize,
    /// What is known of those that may be dropped, while there are any.
    index: Option<Box<Index>>,
}

#[derive(Debug, Default)]
struct Index {
    /// The places of those that have a key.
    latest: HashMap<Mark, u64>,
    /// Before this place is none that may be dropped for newer ones, and so many bytes are such, their entries included.
    oldest_at: u64,
    oldest_bytes: usize,
}

/// Empty units below which it is not worth sweeping them out.
const EMPTY_MIN: usize = 32;

impl Units {
    pub(crate) fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// How many places there are, those of empty ones included.
    pub(crate) fn len(&self) -> usize {
        self.units.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Unit> {
        self.units.iter().filter(|unit| !unit.is_empty())
    }

    pub(crate) fn front(&self) -> Option<&Unit> {
        self.units.front()
    }

    /// Copies a unit into the buffer of the last one where both are small and are never dropped. Returns by how much that has
    /// grown, or the unit, with a buffer of its own where it is small.
    pub(crate) fn join(&mut self, unit: Unit, pool: &mut Pool) -> Result<usize, Unit> {
        let most = if matches!(unit, Unit::Own { .. }) { JOINED_BYTES_MAX } else { UNSHARED_BYTES_MAX };
        if unit.len() > most {
            return Err(unit);
        }
        match self.units.back_mut() {
            Some(Unit::Own { bytes, mark: Mark::KEEP, .. })
                if unit.mark() == Mark::KEEP && bytes.len() + unit.len() <= TAIL_BYTES_MAX =>
            {
                let before = bytes.capacity();
                pool.grow(bytes, unit.len());
                bytes.extend_from_slice(unit.bytes());
                let grown = bytes.capacity() - before;
                unit.retire(pool);
                Ok(grown)
            }
            _ => Err(unit.into_own(pool)),
        }
    }

    pub(crate) fn push(&mut self, unit: Unit) {
        let mark = unit.mark();
        if mark != Mark::KEEP {
            let place = self.first + self.units.len() as u64;
            let index = self.index.get_or_insert_default();
            if mark.is_latest() {
                index.latest.insert(mark, place);
            } else if mark == Mark::OLDEST {
                index.oldest_bytes += unit.len() + UNIT_BYTES;
            }
        }
        self.units.push_back(unit);
    }

    /// Puts units that may not be dropped before all others.
    pub(crate) fn push_front(&mut self, units: impl ExactSizeIterator<Item = Unit>) {
        let count = units.len();
        self.units.extend(units);
        self.units.rotate_right(count);
        // Places are only compared with one another and with the first.
        self.first = self.first.wrapping_sub(count as u64);
    }

    pub(crate) fn pop(&mut self) -> Option<Unit> {
        let unit = self.units.pop_front()?;
        let place = self.first;
        self.first = self.first.wrapping_add(1);
        self.forget(&unit, place);
        if unit.is_empty() {
            self.empty -= 1;
        }
        Some(unit)
    }

    fn forget(&mut self, unit: &Unit, place: u64) {
        let mark = unit.mark();
        if let Some(index) = &mut self.index {
            if mark.is_latest() && index.latest.get(&mark) == Some(&place) {
                index.latest.remove(&mark);
            } else if mark == Mark::OLDEST {
                index.oldest_bytes = index.oldest_bytes.saturating_sub(unit.len() + UNIT_BYTES);
            }
        }
    }

    /// Puts a unit where the one with its key waits, if that is not one of the first `begun`. Returns that one, or the unit.
    pub(crate) fn replace(&mut self, unit: Unit, begun: usize) -> Result<Unit, Unit> {
        let place = self.index.as_ref().and_then(|index| index.latest.get(&unit.mark()));
        let Some(at) = place.map(|place| place.wrapping_sub(self.first) as usize) else { return Err(unit) };
        match self.units.get_mut(at) {
            Some(old) if at >= begun => Ok(std::mem::replace(old, unit)),
            _ => Err(unit),
        }
    }

    /// Bytes of those that may be dropped for newer ones, their entries included, behind the first `begun`.
    pub(crate) fn oldest_bytes(&self, begun: usize) -> usize {
        let all = self.index.as_ref().map_or(0, |index| index.oldest_bytes);
        let begun = self.units.iter().take(begun).filter(|unit| unit.mark() == Mark::OLDEST);
        all - begun.map(|unit| unit.len() + UNIT_BYTES).sum::<usize>()
    }

    /// Takes out the oldest that may be dropped for newer ones and is not one of the first `begun`.
    pub(crate) fn take_oldest(&mut self, begun: usize) -> Option<Unit> {
        let index = self.index.as_mut().filter(|index| index.oldest_bytes > 0)?;
        // The cursor may be behind the front by now; signed, because the front may have been put further back.
        let from = (index.oldest_at.wrapping_sub(self.first) as i64).max(begun as i64) as usize;
        let is_oldest = |at: &usize| self.units[*at].mark() == Mark::OLDEST && !self.units[*at].is_empty();
        let at = (from..self.units.len()).find(is_oldest)?;
        index.oldest_at = self.first.wrapping_add(at as u64 + 1);
        Some(self.take(at))
    }

    /// Takes out the newest that was to be dropped if it did not fit, and is not one of the first `begun`.
    pub(crate) fn take_newest(&mut self, begun: usize) -> Option<Unit> {
        self.index.as_ref()?;
        let at = (begun..self.units.len()).rev().find(|&at| self.units[at].mark() == Mark::NEW)?;
        Some(self.take(at))
    }

    /// Takes out all but the first `begun`.
    pub(crate) fn take_rest(&mut self, begun: usize) -> impl Iterator<Item = Unit> {
        // The first ones are begun, so nothing is looked up among them any more.
        self.index = None;
        self.empty = 0;
        self.units.drain(begun.min(self.units.len())..).filter(|unit| !unit.is_empty())
    }

    /// Takes a unit out and leaves an empty one.
    fn take(&mut self, at: usize) -> Unit {
        let unit = std::mem::replace(&mut self.units[at], Unit::own(Vec::new()));
        self.forget(&unit, self.first.wrapping_add(at as u64));
        self.empty += 1;
        while self.units.back().is_some_and(Unit::is_empty) {
            self.units.pop_back();
            self.empty -= 1;
        }
        while self.units.front().is_some_and(Unit::is_empty) {
            self.pop();
        }
        if self.empty > EMPTY_MIN && self.empty > self.units.len() / 2 {
            self.sweep();
        }
        unit
    }

    /// Sweeps the empty ones out.
    fn sweep(&mut self) {
        let units = std::mem::take(&mut self.units);
        (self.index, self.empty) = (None, 0);
        units.into_iter().filter(|unit| !unit.is_empty()).for_each(|unit| self.push(unit));
    }

    /// Puts all of another queue behind these.
    pub(crate) fn append(&mut self, other: &mut Self) {
        std::mem::take(&mut other.units)
            .into_iter()
            .filter(|unit| !unit.is_empty())
            .for_each(|unit| self.push(unit));
        *other = Self::default();
    }

    /// Room for so many units is kept for the next connection; what is more is given back.
    pub(crate) fn clear(&mut self, kept: usize) {
        debug_assert!(self.units.is_empty());
        let mut units = std::mem::take(&mut self.units);
        units.shrink_to(kept);
        *self = Self { units, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: &str, mark: Mark) -> Unit {
        Unit::own(text.as_bytes().to_vec()).marked(mark)
    }

    fn said(units: &Units) -> String {
        let texts = units.iter().map(|unit| std::str::from_utf8(unit.bytes()).unwrap());
        texts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_has_a_key_is_replaced_where_it_stands_unless_it_is_begun() {
        let (a, b) = (Mark::latest("", "a"), Mark::latest("", "b"));
        let mut units = Units::default();
        for (text, mark) in [("a1", a), ("x", Mark::KEEP), ("b1", b)] {
            units.push(unit(text, mark));
        }
        assert!(units.replace(unit("b2", b), 1).is_ok());
        assert!(units.replace(unit("a2", a), 1).is_err(), "the first is begun");
        units.push(unit("a2", a));
        units.push_front([unit("rest", Mark::KEEP)].into_iter());
        assert!(units.replace(unit("a3", a), 2).is_ok());
        assert_eq!(said(&units), "rest a1 x b2 a3");
        assert_eq!((0..2).map(|_| units.pop().unwrap().len()).sum::<usize>(), 6);
        assert!(
            units.replace(unit("a4", a), 0).is_ok(),
            "the one that was replaced last, not the one that has left"
        );
        assert_eq!(said(&units), "x b2 a4");
    }

    #[test]
    fn the_oldest_goes_first_and_what_may_not_go_stays() {
        let mut units = Units::default();
        for (text, mark) in [("o1", Mark::OLDEST), ("k", Mark::KEEP), ("o2", Mark::OLDEST), ("n1", Mark::NEW)]
        {
            units.push(unit(text, mark));
        }
        assert_eq!((units.oldest_bytes(0), units.oldest_bytes(1)), (2 * (2 + UNIT_BYTES), 2 + UNIT_BYTES));
        assert_eq!(units.take_oldest(1).unwrap().bytes(), b"o2", "the first is begun");
        units.push(unit("n2", Mark::NEW));
        assert_eq!(units.take_newest(1).unwrap().bytes(), b"n2");
        assert_eq!(said(&units), "o1 k n1");
        assert!(units.take_oldest(1).is_none());
        assert_eq!((units.pop().unwrap().bytes(), units.oldest_bytes(0)), (&b"o1"[..], 0));
        assert_eq!(units.take_newest(0).unwrap().bytes(), b"n1");
        assert_eq!((said(&units).as_str(), units.take_newest(0).is_none()), ("k", true));
    }

    /// A flood behind something that is never sent: what was dropped takes no room.
    #[test]
    fn what_was_dropped_takes_no_room() {
        let mut units = Units::default();
        units.push(unit("first", Mark::KEEP));
        let key = Mark::latest("", "key");
        units.push(unit("key", key));
        for n in 0..10_000 {
            units.push(unit(&n.to_string(), Mark::OLDEST));
            if n >= 100 {
                assert_eq!(units.take_oldest(0).unwrap().bytes(), (n - 100).to_string().as_bytes());
            }
            assert!(units.len() <= 2 * 102 + EMPTY_MIN, "{}", units.len());
        }
        assert!(units.replace(unit("KEY", key), 0).is_ok(), "found after all the sweeping");
        assert!(said(&units).starts_with("first KEY 9900 9901"));
        assert_eq!(units.iter().count(), 102);
    }

    #[test]
    fn what_is_appended_keeps_its_keys() {
        let key = Mark::latest("", "key");
        let (mut units, mut held) = (Units::default(), Units::default());
        units.push(unit("part", Mark::KEEP));
        held.push(unit("k1", key));
        held.push(unit("o", Mark::OLDEST));
        units.append(&mut held);
        assert!(held.is_empty() && units.replace(unit("k2", key), 1).is_ok());
        assert_eq!((said(&units).as_str(), units.oldest_bytes(0)), ("part k2 o", 1 + UNIT_BYTES));
    }
}

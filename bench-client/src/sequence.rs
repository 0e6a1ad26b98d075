//! What became of a stream of numbered messages: exactly which arrived, which are missing, which came twice.
//!
//! 16 bytes while all is in order; the list of gaps exists only while there are gaps. Called for every message.

use crate::payload::SEQUENCE_MASK;

/// What one arrival means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    /// The one that was due.
    Expected,
    /// A later one: those between are missing so far.
    Ahead,
    /// One that was missing: it was overtaken.
    Reordered,
    /// One that had arrived before.
    Duplicate,
}

/// The receiving end of one numbered stream. Numbers start at 0 and wrap at 2²⁸.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    next: u32,
    gaps: Option<Box<Gaps>>,
}

/// Runs of numbers that did not arrive: first number and length.
#[derive(Debug, Default)]
struct Gaps(Vec<(u32, u32)>);

impl Sequence {
    /// Takes note that `number` arrived.
    pub(crate) fn arrive(&mut self, number: u32) -> Arrival {
        let ahead = distance(self.next, number);
        if ahead == 0 {
            self.next = (self.next + 1) & SEQUENCE_MASK;
            return Arrival::Expected;
        }
        if ahead <= SEQUENCE_MASK / 2 {
            self.skip(ahead);
            self.next = (number + 1) & SEQUENCE_MASK;
            return Arrival::Ahead;
        }
        if self.fill(number) { Arrival::Reordered } else { Arrival::Duplicate }
    }

    /// How many of `sent` messages have neither arrived nor been overtaken or given up.
    pub(crate) fn outstanding(&self, sent: u32) -> u32 {
        distance(self.next, sent)
    }

    /// Gives up what is outstanding: from now on it is missing.
    pub(crate) fn give_up(&mut self, sent: u32) {
        let run = self.outstanding(sent);
        if run > 0 {
            self.skip(run);
            self.next = sent & SEQUENCE_MASK;
        }
    }

    /// Waits for nothing of what was sent: it goes to others.
    pub(crate) fn forget(&mut self, sent: u32) {
        *self = Self { next: sent & SEQUENCE_MASK, gaps: None };
    }

    /// How many were overtaken or given up and never arrived.
    pub(crate) fn missing(&self) -> u64 {
        self.gaps.as_ref().map_or(0, |gaps| gaps.0.iter().map(|&(_, run)| u64::from(run)).sum())
    }

    fn skip(&mut self, run: u32) {
        self.gaps.get_or_insert_default().0.push((self.next, run));
    }

    fn fill(&mut self, number: u32) -> bool {
        let Some(gaps) = &mut self.gaps else { return false };
        // The newest gaps are the likeliest to be filled.
        let Some(index) = gaps.0.iter().rposition(|&(first, run)| distance(first, number) < run) else {
            return false;
        };
        let (first, run) = gaps.0[index];
        let before = distance(first, number);
        let after = run - before - 1;
        match (before, after) {
            (0, 0) => drop(gaps.0.remove(index)),
            (0, _) => gaps.0[index] = ((number + 1) & SEQUENCE_MASK, after),
            (_, 0) => gaps.0[index] = (first, before),
            _ => {
                gaps.0[index] = (first, before);
                gaps.0.insert(index + 1, ((number + 1) & SEQUENCE_MASK, after));
            }
        }
        if gaps.0.is_empty() {
            self.gaps = None;
        }
        true
    }
}

fn distance(from: u32, to: u32) -> u32 {
    to.wrapping_sub(from) & SEQUENCE_MASK
}

#[cfg(test)]
mod tests {
    use super::Arrival::{Ahead, Duplicate, Expected, Reordered};
    use super::*;

    fn fates(start: u32, numbers: &[u32]) -> (Vec<Arrival>, Sequence) {
        let mut sequence = Sequence { next: start, gaps: None };
        let fates = numbers.iter().map(|&n| sequence.arrive((start + n) & SEQUENCE_MASK)).collect();
        (fates, sequence)
    }

    #[test]
    fn drops_swaps_and_duplicates_are_told_apart_even_at_the_wrap() {
        let table: &[(&[u32], &[Arrival], u64)] = &[
            (&[0, 1, 2], &[Expected, Expected, Expected], 0),
            (&[0, 2, 3], &[Expected, Ahead, Expected], 1),
            (&[0, 2, 1, 3], &[Expected, Ahead, Reordered, Expected], 0),
            (&[0, 0, 1, 1], &[Expected, Duplicate, Expected, Duplicate], 0),
            (
                &[5, 2, 2, 0, 4, 1, 3, 3],
                &[Ahead, Reordered, Duplicate, Reordered, Reordered, Reordered, Reordered, Duplicate],
                0,
            ),
            (&[3, 6, 1], &[Ahead, Ahead, Reordered], 4),
        ];
        for start in [0, 7, SEQUENCE_MASK - 2] {
            for (numbers, expected, missing) in table {
                let (fates, sequence) = fates(start, numbers);
                assert_eq!(fates, *expected, "{numbers:?} from {start}");
                assert_eq!(sequence.missing(), *missing, "{numbers:?} from {start}");
            }
        }
    }

    #[test]
    fn what_is_given_up_is_missing_until_it_arrives() {
        let (_, mut sequence) = fates(0, &[0, 1]);
        assert_eq!(sequence.outstanding(5), 3);
        sequence.give_up(5);
        assert_eq!((sequence.outstanding(5), sequence.missing()), (0, 3));
        assert_eq!(sequence.arrive(3), Reordered);
        assert_eq!(sequence.missing(), 2);
    }

    #[test]
    fn it_is_sixteen_bytes() {
        assert_eq!(size_of::<Sequence>(), 16);
    }
}

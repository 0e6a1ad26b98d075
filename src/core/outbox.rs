//! What a connection still has to get, once the kernel did not take everything at once: units, in order.
//!
//! Owns the order and the progress in the first unit, and counts what it holds; knows no socket and no limit but that of one
//! unit. It exists only while something is queued; boxes go round in [`Outboxes`].

use std::io::IoSlice;

use crate::base::config::Config;
use crate::base::pool::Pool;

use super::load::Load;
use super::unit::UNIT_BYTES;
pub use super::unit::Unit;
use super::units::Units;

/// Pieces that one vectored write is given at most: past 64 the kernel's own work per byte dominates.
pub const PIECES_MAX: usize = 64;

/// Bytes of the longest unit, which is also the largest `outbox_bytes_max`. A connection's entry counts what is queued in
/// 32 bits: they hold an outbox of this size, one unit that went into it when it was empty, and control frames.
pub(super) const UNIT_BYTES_MAX: usize = 1 << 30;

/// Whether `bytes` more may be queued: within `outbox_bytes_max`, or as one unit that has the outbox to itself.
#[inline]
pub(super) fn has_room(config: &Config, queued: usize, bytes: usize) -> bool {
    queued + bytes <= config.outbox_bytes_max || (queued == 0 && bytes <= UNIT_BYTES_MAX)
}

/// The queue of one connection.
#[derive(Debug, Default)]
pub struct Outbox {
    units: Units,
    /// Bytes of the first unit that are sent.
    sent: usize,
    /// Units at the front that belong to a message of which something is sent, so that they must follow it.
    begun: usize,
    /// Messages that wait for a streamed one to finish.
    held: Units,
    /// When the kernel last took bytes, in the shard's milliseconds.
    pub(super) moved_at: u32,
    /// Whether the kernel has refused bytes of it, so that it is part of the shard's load.
    is_load: bool,
    /// What it holds alone, and of frames that it shares.
    own: usize,
    shared: usize,
}

impl Outbox {
    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty() && self.held.is_empty()
    }

    /// Whether there is nothing that may be sent now.
    pub fn is_idle(&self) -> bool {
        self.units.is_empty()
    }

    /// Whether the kernel has refused bytes of it.
    pub(super) const fn is_load(&self) -> bool {
        self.is_load
    }

    /// What it holds alone, and of frames that it shares.
    pub(super) const fn holds(&self) -> (usize, usize) {
        (self.own, self.shared)
    }

    /// What it takes besides its bytes, for the connection's limit: a flood of small units would else hold several times what
    /// is counted.
    pub(super) fn overhead(&self) -> usize {
        (self.units.len() + self.held.len()) * UNIT_BYTES
    }

    /// From here on it is part of the shard's load.
    pub(super) fn become_load(&mut self, load: &mut Load) {
        if !std::mem::replace(&mut self.is_load, true) {
            load.own += self.own;
            for unit in self.units.iter().chain(self.held.iter()) {
                if let Unit::Shared(publication) = unit {
                    load.share(publication);
                }
            }
        }
    }

    /// Counts a unit that comes in.
    fn count(&mut self, unit: &Unit, load: &mut Load) {
        self.own += unit.cost();
        if let Unit::Shared(publication) = unit {
            self.shared += publication.bytes();
        }
        if self.is_load {
            load.own += unit.cost();
            if let Unit::Shared(publication) = unit {
                load.share(publication);
            }
        }
    }

    /// Counts a unit that is gone.
    fn uncount(&mut self, unit: &Unit, load: &mut Load) {
        self.own -= unit.cost();
        if let Unit::Shared(publication) = unit {
            self.shared -= publication.bytes();
        }
        if self.is_load {
            load.own -= unit.cost();
            if let Unit::Shared(publication) = unit {
                load.unshare(publication);
            }
        }
    }

    /// Counts a unit that is gone, and gives its buffer back. Returns its length.
    fn retire(&mut self, unit: Unit, pool: &mut Pool, load: &mut Load) -> usize {
        let bytes = unit.len();
        self.uncount(&unit, load);
        unit.retire(pool);
        bytes
    }

    /// Queues a unit behind all others, or behind those that wait until the streamed message is finished.
    pub fn push(&mut self, unit: Unit, is_held: bool, pool: &mut Pool, load: &mut Load) {
        let units = if is_held { &mut self.held } else { &mut self.units };
        let unit = match units.join(unit, pool) {
            Ok(grown) => {
                self.own += grown;
                if self.is_load {
                    load.own += grown;
                }
                return;
            }
            Err(unit) => unit,
        };
        self.count(&unit, load);
        let units = if is_held { &mut self.held } else { &mut self.units };
        units.push(unit);
    }

    /// Queues what was held: the streamed message is finished.
    pub fn unhold(&mut self) {
        self.units.append(&mut self.held);
    }

    /// Drops what was held: the streamed message will not be finished. Returns how many bytes that were.
    pub fn drop_held(&mut self, pool: &mut Pool, load: &mut Load) -> usize {
        let mut held = std::mem::take(&mut self.held);
        held.take_rest(0).map(|unit| self.retire(unit, pool, load)).sum()
    }

    /// Queues before all others what is left of something whose first bytes are sent. Nothing of the others may be.
    pub fn push_begun(&mut self, units: impl ExactSizeIterator<Item = Unit>, load: &mut Load) {
        debug_assert!(self.sent == 0 && self.begun == 0);
        self.begun = units.len();
        let units: Vec<_> = units.collect();
        units.iter().for_each(|unit| self.count(unit, load));
        self.units.push_front(units.into_iter());
    }

    /// How many units at the front must stay.
    fn begun(&self) -> usize {
        self.begun.max(usize::from(self.sent > 0)).min(self.units.len())
    }

    /// Puts a unit in the place of the one with its key, if that waits and is not begun. Returns how many bytes left, or the unit.
    pub(super) fn replace(&mut self, unit: Unit, pool: &mut Pool, load: &mut Load) -> Result<usize, Unit> {
        self.count(&unit, load);
        let begun = self.begun();
        match self.held.replace(unit, 0).or_else(|unit| self.units.replace(unit, begun)) {
            Ok(old) => Ok(self.retire(old, pool, load)),
            Err(unit) => {
                // Counted in advance, so that its buffer is lent to one place alone.
                self.uncount(&unit, load);
                Err(unit)
            }
        }
    }

    /// Bytes that may be dropped for newer ones.
    pub(super) fn oldest_bytes(&self) -> usize {
        self.units.oldest_bytes(self.begun()) + self.held.oldest_bytes(0)
    }

    /// Drops the oldest unit that may be dropped for newer ones. Returns how many bytes that were, 0 if there is none.
    pub(super) fn drop_oldest(&mut self, pool: &mut Pool, load: &mut Load) -> usize {
        let begun = self.begun();
        let unit = self.units.take_oldest(begun).or_else(|| self.held.take_oldest(0));
        unit.map_or(0, |unit| self.retire(unit, pool, load))
    }

    /// Drops the newest unit that was to be dropped if it did not fit. Returns how many bytes that were, 0 if there is none.
    pub(super) fn drop_newest(&mut self, pool: &mut Pool, load: &mut Load) -> usize {
        let begun = self.begun();
        let unit = self.held.take_newest(0).or_else(|| self.units.take_newest(begun));
        unit.map_or(0, |unit| self.retire(unit, pool, load))
    }

    /// Drops every unit of which nothing is sent, for a peer that is to be told only that it is over. Returns how many
    /// bytes that were.
    pub fn drop_unbegun(&mut self, pool: &mut Pool, load: &mut Load) -> usize {
        let begun = self.begun();
        let held = self.drop_held(pool, load);
        let rest: Vec<_> = self.units.take_rest(begun).collect();
        held + rest.into_iter().map(|unit| self.retire(unit, pool, load)).sum::<usize>()
    }

    /// The pieces to send next.
    pub fn pieces<'a>(&'a self, pieces: &mut [IoSlice<'a>; PIECES_MAX]) -> usize {
        let mut filled = 0;
        for (piece, unit) in pieces.iter_mut().zip(self.units.iter()) {
            let skip = if filled == 0 { self.sent } else { 0 };
            *piece = IoSlice::new(&unit.bytes()[skip..]);
            filled += 1;
        }
        filled
    }

    /// Takes note that `bytes` more were sent, and retires the units that are complete.
    pub fn advance(&mut self, bytes: usize, pool: &mut Pool, load: &mut Load) {
        let mut left = self.sent + bytes;
        while let Some(first) = self.units.front() {
            let length = first.len();
            if left < length {
                break;
            }
            left -= length;
            self.begun = self.begun.saturating_sub(1);
            if let Some(unit) = self.units.pop()
                && length > 0
            {
                self.retire(unit, pool, load);
            }
        }
        self.sent = left;
    }

    /// Gives every buffer back.
    pub fn clear(&mut self, pool: &mut Pool, load: &mut Load) {
        (self.sent, self.begun) = (0, 0);
        self.drop_unbegun(pool, load);
        debug_assert!(self.own == 0 && self.shared == 0);
        self.is_load = false;
        self.units.clear(UNITS_KEPT);
        self.held.clear(0);
    }
}

/// Room for units that an outbox keeps while it goes round.
const UNITS_KEPT: usize = 32;

/// Outboxes kept for the next connection that needs one.
const OUTBOXES_KEPT: usize = 256;

/// A shard's outboxes: those that are free, and what those that are not make it hold.
#[derive(Debug, Default)]
pub struct Outboxes {
    #[expect(clippy::vec_box, reason = "the box is what is kept: a connection holds it as it is")]
    free: Vec<Box<Outbox>>,
    /// What slow readers make the shard hold.
    pub(super) load: Load,
}

impl Outboxes {
    /// An empty outbox.
    pub fn take(&mut self) -> Box<Outbox> {
        self.free.pop().unwrap_or_default()
    }

    /// Takes one back, whatever is in it.
    pub fn give(&mut self, mut outbox: Box<Outbox>, pool: &mut Pool) {
        outbox.clear(pool, &mut self.load);
        if self.free.len() < OUTBOXES_KEPT {
            self.free.push(outbox);
        }
    }

    /// Frees what is kept; called when a shard has been idle.
    pub fn shrink(&mut self) {
        self.free = Vec::new();
        self.load.shrink();
    }
}

#[cfg(test)]
mod tests {
    use super::super::publication::Publication;
    use super::super::unit::{JOINED_BYTES_MAX, TAIL_BYTES_MAX};
    use super::*;
    use crate::base::slow::Mark;
    use crate::proto::ws::Message;

    /// Sends an outbox in steps of every size; what is sent is what was queued.
    #[test]
    fn bytes_leave_in_order_whatever_the_kernel_takes() {
        let publication =
            |bytes| Publication::new("t", Message::Binary(bytes), &mut Vec::new()).marked(Mark::KEEP);
        let (short, long) = (publication(b"short"), publication(&[7; 100]));
        let units = || {
            [
                Unit::Shared(short.clone()),
                Unit::own(b"one".to_vec()),
                Unit::Shared(long.clone()),
                Unit::Shared(short.clone()),
                Unit::own(vec![8; JOINED_BYTES_MAX + 1]),
                Unit::own(b"two".to_vec()),
                Unit::own(b"three".to_vec()),
            ]
        };
        let whole: Vec<u8> = units().iter().flat_map(|unit| unit.bytes().to_vec()).collect();
        for step in 1..=whole.len() {
            let (mut outbox, mut pool, mut load) = (Outbox::default(), Pool::new(), Load::default());
            let mut sent = Vec::new();
            units().into_iter().for_each(|unit| outbox.push(unit, false, &mut pool, &mut load));
            assert_eq!(outbox.units.len(), 4, "small ones are joined, to a larger one too");
            while !outbox.is_empty() {
                let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
                let filled = outbox.pieces(&mut pieces);
                let offered: Vec<u8> = pieces[..filled].iter().flat_map(|piece| piece.to_vec()).collect();
                let taken = step.min(offered.len());
                sent.extend_from_slice(&offered[..taken]);
                outbox.advance(taken, &mut pool, &mut load);
            }
            assert_eq!(sent, whole, "in steps of {step}");
            assert_eq!(outbox.sent, 0);
        }
    }

    /// What a peer is held that asks for a lot of little and takes none of it.
    #[test]
    fn tiny_units_cost_little_more_than_their_bytes() {
        let shared = Publication::new("t", Message::Text(""), &mut Vec::new()).marked(Mark::KEEP);
        let pong = |pool: &mut Pool| {
            let mut bytes = pool.take(2);
            bytes.extend_from_slice(&[0x8a, 0]);
            Unit::own(bytes)
        };
        for is_shared in [false, true] {
            let (mut outbox, mut pool, mut load) = (Outbox::default(), Pool::new(), Load::default());
            for _ in 0..40_000 {
                let unit = if is_shared { Unit::Shared(shared.clone()) } else { pong(&mut pool) };
                outbox.push(unit, false, &mut pool, &mut load);
            }
            let held: usize = outbox.units.iter().map(|unit| size_of_val(unit) + unit.len()).sum();
            assert!((80_000..90_000).contains(&held), "{held}");
            let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
            assert_eq!(
                outbox.pieces(&mut pieces),
                80_000_usize.div_ceil(TAIL_BYTES_MAX),
                "one write takes all"
            );
        }
    }

    #[test]
    fn a_begun_unit_goes_on_where_it_stopped_and_before_the_others() {
        let (mut outbox, mut pool, mut load) = (Outbox::default(), Pool::new(), Load::default());
        outbox.push(Unit::own(b"later".to_vec()), false, &mut pool, &mut load);
        let begun = Unit::Own { bytes: b"begun".to_vec(), from: 2, mark: Mark::KEEP };
        outbox.push_begun([begun].into_iter(), &mut load);
        let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
        let filled = outbox.pieces(&mut pieces);
        assert_eq!(
            pieces[..filled].iter().map(|piece| &**piece).collect::<Vec<_>>(),
            [&b"gun"[..], b"later"]
        );
        assert_eq!(outbox.drop_unbegun(&mut pool, &mut load), 5, "all but what was begun");
        outbox.advance(3, &mut pool, &mut load);
        assert!(outbox.is_empty());
    }

    #[test]
    fn one_unit_always_has_room_and_32_bits_always_count_what_is_queued() {
        let config = Config { outbox_bytes_max: 100, ..Config::default() };
        for (queued, bytes, expected) in [
            (0, 100, true),
            (0, UNIT_BYTES_MAX, true),
            (0, UNIT_BYTES_MAX + 1, false),
            (1, 99, true),
            (1, 100, false),
            (UNIT_BYTES_MAX, 1, false),
            (u32::MAX as usize, u32::MAX as usize, false),
        ] {
            assert_eq!(has_room(&config, queued, bytes), expected, "{bytes} behind {queued}");
        }
        assert!(Config { outbox_bytes_max: UNIT_BYTES_MAX + 1, ..Config::default() }.check().is_err());
    }

    #[test]
    fn held_messages_follow_the_streamed_one() {
        let (mut outbox, mut pool, mut load) = (Outbox::default(), Pool::new(), Load::default());
        outbox.push(Unit::own(b"part".to_vec()), false, &mut pool, &mut load);
        outbox.push(Unit::own(b"held".to_vec()), true, &mut pool, &mut load);
        outbox.push(Unit::own(b"last".to_vec()), false, &mut pool, &mut load);
        outbox.advance(8, &mut pool, &mut load);
        assert!(outbox.is_idle() && !outbox.is_empty());
        outbox.unhold();
        let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
        assert_eq!((outbox.pieces(&mut pieces), &*pieces[0]), (1, &b"held"[..]));
    }
}

//! What a connection still has to get, once the kernel did not take everything at once: units, in order.
//!
//! Owns the order and the progress in the first unit, and counts what it holds; knows no socket and no limit but that of one
//! unit. It exists only while something is queued; boxes go round in
//! [`Outboxes`](super::outboxes::Outboxes).

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
    pub fn push_begun(&mut self, units: &mut Vec<Unit>, load: &mut Load) {
        debug_assert!(self.sent == 0 && self.begun == 0);
        self.begun = units.len();
        units.iter().for_each(|unit| self.count(unit, load));
        self.units.push_front(units.drain(..));
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

/// Room for units that an outbox keeps while it goes round: two writes' worth, 5 KiB.
const UNITS_KEPT: usize = 2 * PIECES_MAX;

#[cfg(test)]
mod tests;

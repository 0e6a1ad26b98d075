//! What a connection still has to get, once the kernel did not take everything at once: units, in order.
//!
//! A unit is one message with all its frames. Owns the order and the progress in the first unit; knows no socket. It exists only while something is queued; boxes go round in [`Outboxes`].

use std::collections::VecDeque;
use std::io::IoSlice;

use crate::base::config::Config;
use crate::base::pool::Pool;

use super::publication::Publication;

/// One message with all its frames.
#[derive(Debug)]
pub enum Unit {
    /// This connection's own bytes, those of the buffer from `from` on.
    Own {
        /// The buffer.
        bytes: Vec<u8>,
        /// Where the unit begins in it.
        from: usize,
    },
    /// A publication's frame, shared.
    Shared(Publication),
}

impl Unit {
    /// A unit of a whole buffer.
    pub fn own(bytes: Vec<u8>) -> Self {
        Self::Own { bytes, from: 0 }
    }

    /// How many bytes it is.
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Own { bytes, from } => &bytes[*from..],
            Self::Shared(publication) => publication.frame(),
        }
    }

    /// The same bytes, shared with nobody.
    fn into_own(self, pool: &mut Pool) -> Self {
        let Self::Shared(publication) = self else { return self };
        let mut bytes = pool.take(publication.frame().len());
        bytes.extend_from_slice(publication.frame());
        Self::own(bytes)
    }

    /// Gives its buffer back.
    pub(super) fn retire(self, pool: &mut Pool) {
        if let Self::Own { bytes, .. } = self {
            pool.give(bytes);
        }
    }
}

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
    units: VecDeque<Unit>,
    /// Bytes of the first unit that are sent.
    sent: usize,
    /// Units at the front that belong to a message of which something is sent, so that they must follow it.
    begun: usize,
    /// Messages that wait for a streamed one to finish.
    held: VecDeque<Unit>,
    /// When the kernel last took bytes, in the shard's milliseconds.
    pub(super) moved_at: u32,
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

    /// Queues a unit behind all others.
    pub fn push(&mut self, unit: Unit, pool: &mut Pool) {
        append(&mut self.units, unit, pool);
    }

    /// Queues a unit until the streamed message is finished.
    pub fn hold(&mut self, unit: Unit, pool: &mut Pool) {
        append(&mut self.held, unit, pool);
    }

    /// Queues what was held: the streamed message is finished.
    pub fn unhold(&mut self) {
        self.units.append(&mut self.held);
    }

    /// Drops what was held: the streamed message will not be finished. Returns how many bytes that were.
    pub fn drop_held(&mut self, pool: &mut Pool) -> usize {
        retire_all(self.held.drain(..), pool)
    }

    /// Queues before all others what is left of something whose first bytes are sent. Nothing of the others may be.
    pub fn push_begun(&mut self, units: impl ExactSizeIterator<Item = Unit>) {
        debug_assert!(self.sent == 0 && self.begun == 0);
        self.begun = units.len();
        self.units.extend(units);
        self.units.rotate_right(self.begun);
    }

    /// Drops every unit of which nothing is sent, for a peer that is to be told only that it is over. Returns how many
    /// bytes that were.
    pub fn drop_unbegun(&mut self, pool: &mut Pool) -> usize {
        self.unhold();
        let begun = self.begun.max(usize::from(self.sent > 0)).min(self.units.len());
        retire_all(self.units.drain(begun..), pool)
    }

    /// The pieces to send next.
    pub fn pieces<'a>(&'a self, pieces: &mut [IoSlice<'a>; PIECES_MAX]) -> usize {
        let mut filled = 0;
        for (piece, unit) in pieces.iter_mut().zip(&self.units) {
            let skip = if filled == 0 { self.sent } else { 0 };
            *piece = IoSlice::new(&unit.bytes()[skip..]);
            filled += 1;
        }
        filled
    }

    /// Takes note that `bytes` more were sent, and retires the units that are complete.
    pub fn advance(&mut self, bytes: usize, pool: &mut Pool) {
        let mut left = self.sent + bytes;
        while let Some(first) = self.units.front() {
            let length = first.bytes().len();
            if left < length {
                break;
            }
            left -= length;
            self.begun = self.begun.saturating_sub(1);
            if let Some(unit) = self.units.pop_front() {
                unit.retire(pool);
            }
        }
        self.sent = left;
    }

    /// Gives every buffer back.
    pub fn clear(&mut self, pool: &mut Pool) {
        self.unhold();
        retire_all(self.units.drain(..), pool);
        (self.sent, self.begun) = (0, 0);
        if self.units.capacity() > UNITS_KEPT {
            self.units = VecDeque::new();
        }
        if self.held.capacity() > 0 {
            self.held = VecDeque::new();
        }
    }
}

/// Bytes up to which a connection's own unit is copied behind the one before it. Apart it would take a buffer of 64 bytes
/// at least and an entry of 32: a peer that sends pings of no payload and reads no answer would be held 48 times what is
/// counted, 6 MB for 130 KB. And a write takes 64 pieces, so two-byte answers would leave 128 bytes at a time.
const JOINED_BYTES_MAX: usize = 512;

/// Bytes up to which a publication is copied instead of shared: sharing costs it an entry of its own.
const UNSHARED_BYTES_MAX: usize = size_of::<Unit>();

/// Bytes that a buffer of joined units grows to.
const TAIL_BYTES_MAX: usize = 4 << 10;

/// Puts a unit at the end, into the buffer of the one before it where both are small.
fn append(units: &mut VecDeque<Unit>, unit: Unit, pool: &mut Pool) {
    let most = if matches!(unit, Unit::Own { .. }) { JOINED_BYTES_MAX } else { UNSHARED_BYTES_MAX };
    if unit.len() > most {
        return units.push_back(unit);
    }
    match units.back_mut() {
        Some(Unit::Own { bytes, .. }) if bytes.len() + unit.len() <= TAIL_BYTES_MAX => {
            pool.grow(bytes, unit.len());
            bytes.extend_from_slice(unit.bytes());
            unit.retire(pool);
        }
        _ => units.push_back(unit.into_own(pool)),
    }
}

/// Gives the buffers of these units back. Returns how many bytes they were.
fn retire_all(units: impl Iterator<Item = Unit>, pool: &mut Pool) -> usize {
    let retired = units.map(|unit| {
        let bytes = unit.len();
        unit.retire(pool);
        bytes
    });
    retired.sum()
}

/// Room for units that an outbox keeps while it goes round.
const UNITS_KEPT: usize = 32;

/// Outboxes kept for the next connection that needs one.
const OUTBOXES_KEPT: usize = 256;

/// A shard's free list of outboxes.
#[expect(clippy::vec_box, reason = "the box is what is kept: a connection holds it as it is")]
#[derive(Debug, Default)]
pub struct Outboxes(Vec<Box<Outbox>>);

impl Outboxes {
    /// An empty outbox.
    pub fn take(&mut self) -> Box<Outbox> {
        self.0.pop().unwrap_or_default()
    }

    /// Takes one back, whatever is in it.
    pub fn give(&mut self, mut outbox: Box<Outbox>, pool: &mut Pool) {
        outbox.clear(pool);
        if self.0.len() < OUTBOXES_KEPT {
            self.0.push(outbox);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::ws::Message;

    /// Sends an outbox in steps of every size; what is sent is what was queued.
    #[test]
    fn bytes_leave_in_order_whatever_the_kernel_takes() {
        let publication = |bytes| Publication::new("t", Message::Binary(bytes), &mut Vec::new());
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
            let (mut outbox, mut pool, mut sent) = (Outbox::default(), Pool::new(), Vec::new());
            units().into_iter().for_each(|unit| outbox.push(unit, &mut pool));
            assert_eq!(outbox.units.len(), 4, "small ones are joined, to a larger one too");
            while !outbox.is_empty() {
                let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
                let filled = outbox.pieces(&mut pieces);
                let offered: Vec<u8> = pieces[..filled].iter().flat_map(|piece| piece.to_vec()).collect();
                let taken = step.min(offered.len());
                sent.extend_from_slice(&offered[..taken]);
                outbox.advance(taken, &mut pool);
            }
            assert_eq!(sent, whole, "in steps of {step}");
            assert_eq!(outbox.sent, 0);
        }
    }

    /// What a peer is held that asks for a lot of little and takes none of it.
    #[test]
    fn tiny_units_cost_little_more_than_their_bytes() {
        let shared = Publication::new("t", Message::Text(""), &mut Vec::new());
        let pong = |pool: &mut Pool| {
            let mut bytes = pool.take(2);
            bytes.extend_from_slice(&[0x8a, 0]);
            Unit::own(bytes)
        };
        for is_shared in [false, true] {
            let (mut outbox, mut pool) = (Outbox::default(), Pool::new());
            for _ in 0..40_000 {
                let unit = if is_shared { Unit::Shared(shared.clone()) } else { pong(&mut pool) };
                outbox.push(unit, &mut pool);
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
        let (mut outbox, mut pool) = (Outbox::default(), Pool::new());
        outbox.push(Unit::own(b"later".to_vec()), &mut pool);
        outbox.push_begun([Unit::Own { bytes: b"begun".to_vec(), from: 2 }].into_iter());
        let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
        let filled = outbox.pieces(&mut pieces);
        assert_eq!(
            pieces[..filled].iter().map(|piece| &**piece).collect::<Vec<_>>(),
            [&b"gun"[..], b"later"]
        );
        assert_eq!(outbox.drop_unbegun(&mut pool), 5, "all but what was begun");
        outbox.advance(3, &mut pool);
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
        let (mut outbox, mut pool) = (Outbox::default(), Pool::new());
        outbox.push(Unit::own(b"part".to_vec()), &mut pool);
        outbox.hold(Unit::own(b"held".to_vec()), &mut pool);
        outbox.push(Unit::own(b"last".to_vec()), &mut pool);
        outbox.advance(8, &mut pool);
        assert!(outbox.is_idle() && !outbox.is_empty());
        outbox.unhold();
        let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
        assert_eq!((outbox.pieces(&mut pieces), &*pieces[0]), (1, &b"held"[..]));
    }
}

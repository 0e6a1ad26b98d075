//! What the connection that is being read has to say, gathered until its bytes are all decoded: then one send.
//!
//! One cork per shard, open for one connection at a time and only while that connection has nothing queued, so bytes
//! cannot overtake. Small payloads are copied (15 ns at 20 B); a large one that still lies in the read buffer, or in
//! the buffer its frame was carried in, is only pointed at, so an echo of 16 KiB is not copied in user space at all.
//!
//! The write buffer lies 2 KiB off the read buffer modulo the page size: with equal page offsets every store collides
//! with a load 4 KiB away, and a copy takes up to three times as long.

use std::io::IoSlice;
use std::ops::Range;

use crate::base::id::Key;
use crate::base::pool::{Pool, copy, extend};
use crate::base::slow::Mark;
use crate::proto::ws::encode;
use crate::proto::ws::{Message, Opcode};

use super::outbox::{PIECES_MAX, UNIT_BYTES_MAX, Unit};
use super::publication::Publication;

/// Payloads from here on are pointed at where they can be: below it the copy costs less than a piece of a vectored write.
const LENT_BYTES_MIN: usize = 4 << 10;

/// What one piece of a message lies in.
#[derive(Debug)]
enum Piece {
    /// The cork's own buffer.
    Own(Range<usize>),
    /// The read buffer.
    Scratch(Range<usize>),
    /// The buffer that the first frame was carried in.
    Carried(Range<usize>),
    /// A publication's frame.
    Shared(Publication),
}

/// The shard's gathering buffer.
#[derive(Debug)]
pub struct Cork {
    owner: Option<Key>,
    /// Copied bytes lie from `start`, which makes the skew, to `end`.
    own: Vec<u8>,
    start: usize,
    end: usize,
    /// Up to where `own` is covered by pieces.
    covered: usize,
    pieces: Vec<Piece>,
    /// Room for the units of a cork that is not sent whole, at most one per piece.
    spare: Vec<Unit>,
    bytes: usize,
    lent_bytes_max: usize,
    /// Payloads from here on are not taken but by [`push_plain`](Self::push_plain): they are to be compressed first.
    deflate_from: usize,
    /// The smaller of that and `LENT_BYTES_MIN`: shorter messages need no more looking at.
    looked_at_from: usize,
    /// The read buffer, as addresses: what lies in it stays there until the cork is sent.
    scratch: Range<usize>,
}

/// The buffers that pieces point into, at the moment of sending.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The read buffer.
    pub scratch: &'a [u8],
    /// The carried frame's buffer, empty where there was none.
    pub carried: &'a [u8],
}

impl Cork {
    /// A cork for `bytes_max` copied bytes, skewed against the read buffer at `scratch`. What is only pointed at goes in
    /// as long as no more than `lent_bytes_max` is gathered, or alone.
    pub fn new(bytes_max: usize, lent_bytes_max: usize, scratch: &[u8]) -> Self {
        const PAGE: usize = 4096;
        let mut own = vec![0; bytes_max + PAGE];
        let wanted = (scratch.as_ptr() as usize + PAGE / 2) % PAGE;
        let start = (wanted + PAGE - own.as_ptr() as usize % PAGE) % PAGE;
        own.truncate(start + bytes_max);
        Self {
            owner: None,
            own,
            start,
            end: start,
            covered: start,
            pieces: Vec::with_capacity(PIECES_MAX),
            spare: Vec::new(),
            bytes: 0,
            lent_bytes_max,
            deflate_from: usize::MAX,
            looked_at_from: LENT_BYTES_MIN,
            scratch: 0..0,
        }
    }

    /// Opens the cork for a connection that has nothing queued, and whose messages from `deflate_from` bytes on are to be
    /// compressed.
    pub fn open(&mut self, owner: Key, deflate_from: usize, scratch: &[u8]) {
        debug_assert!(self.bytes == 0 && self.owner.is_none());
        let scratch = scratch.as_ptr_range();
        self.owner = Some(owner);
        self.deflate_from = deflate_from;
        self.looked_at_from = deflate_from.min(LENT_BYTES_MIN);
        self.scratch = scratch.start as usize..scratch.end as usize;
    }

    /// Whether `key`'s messages go in here.
    #[inline]
    pub fn is_open_for(&self, key: Key) -> bool {
        self.owner == Some(key)
    }

    /// Bytes gathered.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Puts a message in; false where it does not fit, and then nothing more goes in before this is sent, or where it is to
    /// be compressed first.
    #[inline]
    pub fn push(&mut self, message: Message<'_>, carried: &Range<usize>) -> bool {
        if message.len() < self.looked_at_from {
            return self.push_frame(message.opcode(), message.as_bytes());
        }
        message.len() < self.deflate_from && self.push_plain(message, carried)
    }

    /// Puts a message in as it is; false where it does not fit, and then nothing more goes in before this is sent. `carried` is
    /// where a frame lies that was completed in its carry, as addresses.
    #[inline(never)]
    pub fn push_plain(&mut self, message: Message<'_>, carried: &Range<usize>) -> bool {
        let payload = message.as_bytes();
        if payload.len() >= LENT_BYTES_MIN
            && self.pieces.len() + 3 <= PIECES_MAX
            && self.may_lend(payload.len())
            && let Some(piece) = self.lent_piece(payload, carried)
        {
            return self.push_header(message) && self.push_piece(piece, payload.len());
        }
        self.push_frame(message.opcode(), payload)
    }

    /// Puts a control frame in; a payload is at most 125 bytes long.
    pub fn push_control(&mut self, opcode: Opcode, payload: &[u8]) -> bool {
        self.push_frame(opcode, payload)
    }

    /// Copies a whole frame.
    #[inline(always)]
    fn push_frame(&mut self, opcode: Opcode, payload: &[u8]) -> bool {
        // Most frames are short ones: two bytes of header, the payload in two moves.
        let header = encode::header(opcode, true, payload.len());
        let header = header.as_bytes();
        let bytes = header.len() + payload.len();
        let Some(room) = self.own.get_mut(self.end..self.end + bytes) else { return self.close() };
        let (head, body) = room.split_at_mut(header.len());
        match (head, header) {
            ([first, second], &[opcode, len]) => (*first, *second) = (opcode, len),
            (head, header) => head.copy_from_slice(header),
        }
        copy(body, payload);
        self.end += bytes;
        self.bytes += bytes;
        true
    }

    /// Copies the header of a message whose payload is pointed at.
    fn push_header(&mut self, message: Message<'_>) -> bool {
        let header = encode::header(message.opcode(), true, message.len());
        self.push_copy(header.as_bytes())
    }

    /// Copies a frame that is in two parts.
    pub fn push_parts(&mut self, header: &[u8], payload: &[u8]) -> bool {
        if self.own.len() - self.end < header.len() + payload.len() {
            return self.close();
        }
        self.push_copy(header) && self.push_copy(payload)
    }

    fn push_copy(&mut self, bytes: &[u8]) -> bool {
        let Some(room) = self.own.get_mut(self.end..self.end + bytes.len()) else { return self.close() };
        copy(room, bytes);
        self.end += bytes.len();
        self.bytes += bytes.len();
        true
    }

    fn push_piece(&mut self, piece: Piece, bytes: usize) -> bool {
        self.cover();
        self.pieces.push(piece);
        self.bytes += bytes;
        true
    }

    /// Puts a publication in, copied where it is small.
    pub fn push_shared(&mut self, publication: &Publication) -> bool {
        let frame = publication.frame();
        if frame.len() < LENT_BYTES_MIN || self.pieces.len() + 2 > PIECES_MAX || !self.may_lend(frame.len()) {
            return self.push_copy(frame);
        }
        self.push_piece(Piece::Shared(publication.clone()), frame.len())
    }

    /// Pieces cost no room here, so without this a few large messages would gather what the outbox has to refuse.
    fn may_lend(&self, bytes: usize) -> bool {
        self.bytes + bytes <= self.lent_bytes_max || (self.bytes == 0 && bytes <= UNIT_BYTES_MAX)
    }

    /// Takes no more: what follows goes to the outbox, behind what is in here.
    fn close(&mut self) -> bool {
        self.stop();
        false
    }

    /// Takes no more until it is sent.
    pub fn stop(&mut self) {
        self.owner = None;
    }

    fn lent_piece(&self, payload: &[u8], carried: &Range<usize>) -> Option<Piece> {
        let at = payload.as_ptr() as usize;
        let within = |lent: &Range<usize>| {
            (lent.contains(&at) && at + payload.len() <= lent.end)
                .then(|| at - lent.start..at - lent.start + payload.len())
        };
        match within(&self.scratch) {
            Some(range) => Some(Piece::Scratch(range)),
            None => within(carried).map(Piece::Carried),
        }
    }

    /// Makes a piece of what was written to `own` since the last one.
    fn cover(&mut self) {
        if self.covered < self.end {
            self.pieces.push(Piece::Own(self.covered..self.end));
            self.covered = self.end;
        }
    }

    /// The bytes in one piece, where they are: the common case.
    #[inline]
    pub fn single(&self) -> Option<&[u8]> {
        self.pieces.is_empty().then(|| &self.own[self.start..self.end])
    }

    /// Fills in the pieces to send.
    pub fn slices<'a>(&'a mut self, sources: Sources<'a>, slices: &mut [IoSlice<'a>; PIECES_MAX]) -> usize {
        self.cover();
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(piece.bytes(&self.own, sources));
        }
        self.pieces.len()
    }

    /// The units that are left when the first `sent` bytes are gone. The carried frame's buffer goes along as it is, with
    /// the last piece that points into it. The list is to be given back by [`keep`](Self::keep), empty.
    pub fn leftover(
        &mut self,
        sent: usize,
        scratch: &[u8],
        carried: &mut Option<Vec<u8>>,
        pool: &mut Pool,
    ) -> Vec<Unit> {
        self.cover();
        let last_carried = self.pieces.iter().rposition(|piece| matches!(piece, Piece::Carried(_)));
        let (mut skip, mut units) = (sent, std::mem::take(&mut self.spare));
        for (index, piece) in self.pieces.drain(..).enumerate() {
            let sources = Sources { scratch, carried: carried.as_deref().unwrap_or(&[]) };
            let bytes = piece.bytes(&self.own, sources);
            if skip >= bytes.len() {
                skip -= bytes.len();
                continue;
            }
            let moved = match &piece {
                Piece::Carried(range) if last_carried == Some(index) => {
                    let (from, end) = (range.start + skip, range.end);
                    carried.take().map(|mut bytes| {
                        bytes.truncate(end);
                        Unit::Own { bytes, from, mark: Mark::KEEP }
                    })
                }
                Piece::Shared(publication) if skip == 0 => {
                    Some(Unit::Shared(publication.clone().marked(Mark::KEEP)))
                }
                _ => None,
            };
            units.push(moved.unwrap_or_else(|| {
                let sources = Sources { scratch, carried: carried.as_deref().unwrap_or(&[]) };
                let rest = &piece.bytes(&self.own, sources)[skip..];
                let mut copy = pool.take(rest.len());
                extend(&mut copy, rest);
                Unit::own(copy)
            }));
            skip = 0;
        }
        units
    }

    /// Keeps the list of units for the next time the kernel does not take everything.
    pub fn keep(&mut self, units: Vec<Unit>) {
        self.spare = units;
    }

    /// Empties and closes the cork.
    pub fn clear(&mut self) {
        self.owner = None;
        self.end = self.start;
        self.covered = self.start;
        self.pieces.clear();
        self.bytes = 0;
    }
}

impl Piece {
    fn bytes<'a>(&'a self, own: &'a [u8], sources: Sources<'a>) -> &'a [u8] {
        match self {
            Self::Own(range) => &own[range.clone()],
            Self::Scratch(range) => &sources.scratch[range.clone()],
            Self::Carried(range) => &sources.carried[range.clone()],
            Self::Shared(publication) => publication.frame(),
        }
    }
}

#[cfg(test)]
mod tests;

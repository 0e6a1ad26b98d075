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
            scratch: 0..0,
        }
    }

    /// Opens the cork for a connection that has nothing queued.
    pub fn open(&mut self, owner: Key, scratch: &[u8]) {
        debug_assert!(self.bytes == 0 && self.owner.is_none());
        let scratch = scratch.as_ptr_range();
        self.owner = Some(owner);
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

    /// Puts a message in; false where it does not fit, and then nothing more goes in before this is sent. `carried` is
    /// where a frame lies that was completed in its carry, as addresses.
    #[inline]
    pub fn push(&mut self, message: Message<'_>, carried: &Range<usize>) -> bool {
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
mod tests {
    use super::*;

    const KEY: Key = Key { slot: 1, generation: 1 };

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        encode::append(&mut frame, Message::Binary(payload));
        frame
    }

    fn gathered(cork: &mut Cork, scratch: &[u8], carried: &[u8]) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); PIECES_MAX];
        let filled = cork.slices(Sources { scratch, carried }, &mut slices);
        slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    /// Small and large messages, lent from the scratch, from a carry (twice), from nowhere, and a publication: gathered in
    /// order; and wherever the kernel stops, what is left is the rest.
    #[test]
    fn what_is_gathered_leaves_in_order_wherever_the_kernel_stops() {
        let scratch: Vec<u8> = (0..20_000_u32).map(|n| n as u8).collect();
        let carried: Vec<u8> = (0..9_000_u32).map(|n| (n / 7) as u8).collect();
        let elsewhere = vec![9; 5000];
        let publication = Publication::new("t", Message::Binary(&[7; 6000]), &mut Vec::new());
        let said: [&[u8]; 6] = [
            b"small",
            &scratch[3..8003],
            &carried[..9000],
            &elsewhere,
            &carried[..9000],
            &scratch[9000..9010],
        ];
        let mut whole: Vec<u8> = said.iter().flat_map(|payload| frame(payload)).collect();
        whole.extend_from_slice(publication.frame());
        let range = carried.as_ptr_range();
        for stop in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
            let mut cork = Cork::new(1 << 20, 1 << 20, &scratch);
            cork.open(KEY, &scratch);
            for payload in said {
                assert!(cork.push(Message::Binary(payload), &(range.start as usize..range.end as usize)));
            }
            assert!(cork.push_shared(&publication));
            assert!(cork.single().is_none() && cork.bytes() == whole.len());
            assert!(gathered(&mut cork, &scratch, &carried) == whole);
            let mut retired = Some(carried.clone());
            let units = cork.leftover(stop, &scratch, &mut retired, &mut Pool::new());
            let left: Vec<u8> = units.iter().flat_map(|unit| unit.bytes().to_vec()).collect();
            assert!(left == whole[stop..], "stopped at {stop}");
            cork.clear();
            assert!(cork.bytes() == 0 && cork.single() == Some(&[]));
        }
    }

    #[test]
    fn its_buffer_lies_half_a_page_off_the_read_buffer() {
        let scratch = vec![0; 64 << 10];
        let mut cork = Cork::new(64 << 10, 1 << 20, &scratch);
        cork.open(KEY, &scratch);
        assert!(cork.push(Message::Text("x"), &(0..0)));
        let own = cork.single().unwrap().as_ptr() as usize;
        assert_eq!((own + 4096 - scratch.as_ptr() as usize % 4096) % 4096, 2048);
    }

    #[test]
    fn a_full_cork_takes_no_more_until_it_is_sent() {
        let mut cork = Cork::new(100, 1 << 20, &[]);
        cork.open(KEY, &[]);
        assert!(cork.push(Message::Binary(&[1; 80]), &(0..0)));
        assert!(!cork.push(Message::Binary(&[2; 80]), &(0..0)));
        assert!(!cork.is_open_for(KEY), "what follows would overtake what did not fit");
        cork.clear();
        cork.open(KEY, &[]);
        assert!(cork.push(Message::Binary(&[2; 80]), &(0..0)));
    }

    #[test]
    fn what_is_pointed_at_is_bounded_but_one_message_always_goes_in() {
        let scratch = vec![5; 8000];
        let mut cork = Cork::new(6000, 10_000, &scratch);
        cork.open(KEY, &scratch);
        assert!(cork.push(Message::Binary(&scratch), &(0..0)));
        assert!(cork.push(Message::Binary(&scratch[..5000]), &(0..0)), "copied");
        assert!(!cork.push(Message::Binary(&scratch[..5000]), &(0..0)) && !cork.is_open_for(KEY));
        assert_eq!(cork.bytes(), 8004 + 5004);
        cork.clear();
        let mut small = Cork::new(100, 100, &scratch);
        small.open(KEY, &scratch);
        assert!(small.push(Message::Binary(&scratch), &(0..0)));
    }
}

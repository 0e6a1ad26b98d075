//! What a connection keeps between two reads, and the free lists that it comes from.
//!
//! A carry exists only while a frame is incomplete or a fragmented message is in progress. Its buffer grows with
//! what has arrived, never with what a header announced. The decoder fills it; the core may read from the socket
//! straight into it.

use super::deflate::Inflater;
use super::fragments::Partial;
use super::head::{HEAD_BYTES_MAX, Head, Open, Rules, parse};
use super::mask::{copy_unmasked, unmask};
use crate::base::cause::Cause;
use crate::base::pool::Pool;

/// Bytes of room beyond twice what has arrived: a page, so that the first direct read is worth its call.
const SPARE_BYTES: usize = 4096;

/// Below this many bytes a direct read is not worth an iovec of its own.
const WANT_BYTES_MIN: usize = 2048;

/// Carries kept while nobody needs them: 1,024 are about 100 KB.
const KEPT_CARRIES: usize = 1024;

/// A shard's free lists, so that frames cut in two allocate nothing once the lists have filled.
#[derive(Debug, Default)]
pub struct Store {
    /// The buffers, shared with whatever else the shard buffers.
    pub buffers: Pool,
    /// While a frame that was completed in its carry is lent out: where its payload lies, as addresses, so that who
    /// sends it on can tell that it need not be copied. The buffer itself comes out of
    /// [`Decoder::finish`](super::Decoder::finish), the payload at its start. Empty otherwise.
    pub carried: std::ops::Range<usize>,
    /// What compressed messages go through: the shard's, made when the first one comes, or for the length of a read the
    /// connection's own, where that has a context.
    pub inflater: Option<Box<Inflater>>,
    /// What was inflated since somebody looked.
    pub inflated: Inflated,
    #[expect(clippy::vec_box, reason = "the box is what is kept: it is handed to a connection as it is")]
    carries: Vec<Box<Carry>>,
}

/// What inflating has come to: messages, their payloads as they came, and the messages themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Inflated {
    /// Messages.
    pub messages: usize,
    /// Compressed bytes.
    pub bytes_in: usize,
    /// Inflated bytes.
    pub bytes_out: usize,
}

impl Store {
    /// Empty lists; they fill as things are given back.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a carry back, with whatever it holds: the core does this when a connection ends.
    pub fn give(&mut self, mut carry: Box<Carry>) {
        let buffer = carry.reset();
        self.buffers.give(buffer);
        if self.carries.len() < KEPT_CARRIES {
            self.carries.push(carry);
        }
    }

    pub(super) fn take(&mut self) -> Box<Carry> {
        self.carries.pop().unwrap_or_default()
    }
}

/// The bytes of one incomplete frame and the fragmented message in progress.
#[derive(Debug, Default)]
pub struct Carry {
    /// The header's bytes while it is incomplete.
    head_bytes: [u8; HEAD_BYTES_MAX],
    head_arrived: u8,
    /// The header, once complete.
    head: Option<Head>,
    /// The payload, unmasked as far as it has arrived. Its length is its capacity.
    buffer: Vec<u8>,
    arrived: usize,
    pub(super) message: Option<Box<Partial>>,
    /// When the message began, by the clock of who keeps this; nobody here looks at it. None until it is set.
    pub since: Option<u32>,
}

impl Carry {
    /// Where the socket may be read into directly: initialised bytes of the frame's payload, in order, up to its end
    /// at most. Empty where that is not worth it, because the header or less than 2 KiB is missing; at least 2 KiB
    /// otherwise. Bytes behind it in the stream go to the scratch, and from there to the decoder.
    #[must_use]
    pub fn want(&mut self, store: &mut Store) -> &mut [u8] {
        let Some(head) = self.head else { return &mut [] };
        if head.len - self.arrived < WANT_BYTES_MIN {
            return &mut [];
        }
        if self.buffer.len() - self.arrived < WANT_BYTES_MIN {
            self.make_room(head.len, self.arrived, &mut store.buffers);
        }
        let end = self.buffer.len().min(head.len);
        &mut self.buffer[self.arrived..end]
    }

    /// The first `n` bytes of what [`want`](Self::want) gave have been read.
    ///
    /// # Panics
    /// If that is more than it gave.
    pub fn filled(&mut self, n: usize) {
        let mask = self.head.map_or([0; 4], |head| head.mask);
        unmask(&mut self.buffer[self.arrived..self.arrived + n], mask, self.arrived);
        self.arrived += n;
    }

    /// Bytes of buffer held at this moment: at most twice what has arrived, and 4 KiB.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Bytes held in all, for the frame and the message in progress: at most twice what has arrived, and some 6 KiB.
    pub fn bytes(&self) -> usize {
        self.buffer.capacity() + self.message.as_ref().map_or(0, |message| message.bytes_held())
    }

    /// Whether a frame has begun.
    pub(super) fn is_partial(&self) -> bool {
        self.head_arrived > 0 || self.head.is_some()
    }

    /// How far the message in progress has come, if one is.
    pub(super) fn open(&self) -> Option<Open> {
        self.message.as_ref().map(|message| message.open())
    }

    /// The payload of the frame, as far as it has arrived.
    pub(super) fn payload(&self) -> &[u8] {
        &self.buffer[..self.arrived]
    }

    /// Takes in what belongs to the frame from the start of `input`. Returns how many bytes that was, and the header
    /// if the frame is complete now.
    ///
    /// # Errors
    /// What is wrong with the header.
    pub(super) fn absorb(
        &mut self,
        input: &[u8],
        rules: &Rules,
        store: &mut Store,
    ) -> Result<(usize, Option<Head>), Cause> {
        let (mut taken, head) = match self.head {
            Some(head) => (0, head),
            None => {
                let have = usize::from(self.head_arrived);
                let added = input.len().min(HEAD_BYTES_MAX - have);
                self.head_bytes[have..have + added].copy_from_slice(&input[..added]);
                let Some(head) = parse(&self.head_bytes[..have + added], rules)? else {
                    self.head_arrived += added as u8;
                    return Ok((added, None));
                };
                self.head_arrived = 0;
                self.head = Some(head);
                (head.head_len - have, head)
            }
        };
        let payload = &input[taken..];
        let added = payload.len().min(head.len - self.arrived);
        let after = self.arrived + added;
        if after > self.buffer.len() {
            self.make_room(head.len, after, &mut store.buffers);
        }
        copy_unmasked(&mut self.buffer[self.arrived..], &payload[..added], head.mask, self.arrived);
        self.arrived = after;
        taken += added;
        Ok((taken, (self.arrived == head.len).then_some(head)))
    }

    /// Ends the frame. Its buffer is handed over, whole.
    pub(super) fn end_frame(&mut self) -> Vec<u8> {
        self.head = None;
        self.head_arrived = 0;
        self.arrived = 0;
        std::mem::take(&mut self.buffer)
    }

    fn reset(&mut self) -> Vec<u8> {
        (self.message, self.since) = (None, None);
        self.end_frame()
    }

    /// Moves to a larger buffer, for a payload of `len` bytes of which `after` will have arrived: the whole payload's
    /// if that is at most `2 × after + SPARE_BYTES`, else the largest that is. As `after` doubles from one move to
    /// the next, but for the spare, moving copies each byte about once in all.
    fn make_room(&mut self, len: usize, after: usize, buffers: &mut Pool) {
        let most = 2 * after + SPARE_BYTES;
        let mut size = Pool::size_for(len.min(most));
        if size > most {
            size = 1 << most.ilog2();
        }
        let mut larger = buffers.take_filled(size);
        copy_unmasked(&mut larger, &self.buffer[..self.arrived], [0; 4], 0);
        buffers.give(std::mem::replace(&mut self.buffer, larger));
    }
}

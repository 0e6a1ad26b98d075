//! The two streams, over zlib's raw format (RFC 1951).
//!
//! A stream takes some tens or hundreds of KB and is used for one message after the other. Either it is told to forget what
//! was before (no context takeover), and then serves any connection, or it belongs to one.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::TAIL;
use crate::base::cause::Cause;
use crate::base::pool::{Pool, copy};

/// What stands behind a message that refers to none before it: the tail, and a last block that is empty. A stream that does
/// not come to its end with it was cut in the middle of a block.
const TAIL_AND_END: [u8; 6] = [TAIL[0], TAIL[1], TAIL[2], TAIL[3], 0x03, 0x00];

/// The first buffer for a message is so many times as large as its compressed payload. JSON shrinks to a fourth.
const EXPECTED_RATIO: usize = 4;

/// Bytes of the smallest buffer that a message is inflated into.
const OUT_BYTES_MIN: usize = 1 << 10;

/// Makes messages of their compressed payloads.
#[derive(Debug)]
pub struct Inflater {
    stream: Decompress,
    /// The last message did not come to an end that the next one could go on from.
    is_spent: bool,
}

impl Inflater {
    /// What one occupies, about: its window, which lies there twice over its smallest sizes, and its tables.
    pub const fn bytes(window_bits: u8) -> usize {
        (1 << window_bits) + (12 << 10)
    }

    /// One for messages of a window up to this: the binary logarithm of its bytes, 8 to 15.
    #[must_use]
    pub fn new(window_bits: u8) -> Self {
        Self { stream: Decompress::new_with_window_bits(false, window_bits.clamp(9, 15)), is_spent: false }
    }

    /// A message of its compressed payload: a buffer and how many bytes of it are the message. With `keeps_context` it may
    /// refer to the messages before it.
    ///
    /// It costs at most `bytes_max` and one more, rounded up to a buffer's size, whatever the payload says.
    ///
    /// # Errors
    /// `MessageTooBig` above `bytes_max`, `BadDeflate` for what is no such payload. The context is gone then.
    pub fn inflate(
        &mut self,
        payload: &[u8],
        bytes_max: usize,
        keeps_context: bool,
        buffers: &mut Pool,
    ) -> Result<(Vec<u8>, usize), Cause> {
        if !keeps_context || self.is_spent {
            self.stream.reset(false);
        }
        self.is_spent = true;
        let expected = (payload.len() * EXPECTED_RATIO).clamp(OUT_BYTES_MIN, bytes_max.max(OUT_BYTES_MIN));
        let mut out = Out { bytes: buffers.take_filled(expected), len: 0, bytes_max, buffers };
        match self.run(payload, keeps_context, &mut out) {
            Ok(()) if out.len <= bytes_max => Ok((out.bytes, out.len)),
            result => {
                // The room has one byte more than the limit, and a last block may end there.
                self.is_spent = true;
                out.buffers.give(out.bytes);
                Err(result.err().unwrap_or(Cause::MessageTooBig))
            }
        }
    }

    fn run(&mut self, payload: &[u8], keeps_context: bool, out: &mut Out<'_>) -> Result<(), Cause> {
        // A sender that has flushed nothing since the last flush has nothing to send, and some send just that.
        if payload.is_empty() {
            self.is_spent = false;
            return Ok(());
        }
        let mut rest = payload;
        if self.feed(&mut rest, out)? {
            // A last block within the message (RFC 7692 §7.2.3.4): what follows it is a stream of its own. One is allowed:
            // each costs a reset, and takes two bytes.
            self.stream.reset(false);
            if rest.is_empty() || self.feed(&mut rest, out)? {
                return if rest.is_empty() { Ok(()) } else { Err(Cause::BadDeflate) };
            }
        }
        let mut tail = if keeps_context { &TAIL[..] } else { &TAIL_AND_END[..] };
        let has_ended = self.feed(&mut tail, out)?;
        // With its context kept there is no telling whether the stream stands between two blocks: the next message will.
        if has_ended == keeps_context || !tail.is_empty() {
            return Err(Cause::BadDeflate);
        }
        self.is_spent = !keeps_context;
        Ok(())
    }

    /// Inflates `rest`, up to the end of the stream if that is in it: whether it is.
    fn feed(&mut self, rest: &mut &[u8], out: &mut Out<'_>) -> Result<bool, Cause> {
        loop {
            let (before_in, before_out) = (self.stream.total_in(), self.stream.total_out());
            let room = out.room()?;
            let room_bytes = room.len();
            let status = self.stream.decompress(rest, room, FlushDecompress::Sync);
            let (taken, made) = (self.stream.total_in() - before_in, self.stream.total_out() - before_out);
            *rest = &rest[taken as usize..];
            out.len += made as usize;
            match status {
                Ok(Status::StreamEnd) => return Ok(true),
                // Full: there may be more to come.
                Ok(_) if made as usize == room_bytes => {}
                Ok(_) if rest.is_empty() => return Ok(false),
                Ok(_) if taken > 0 || made > 0 => {}
                Ok(_) | Err(_) => return Err(Cause::BadDeflate),
            }
        }
    }
}

/// Where a message is inflated to.
struct Out<'a> {
    bytes: Vec<u8>,
    len: usize,
    bytes_max: usize,
    buffers: &'a mut Pool,
}

impl Out<'_> {
    /// Room for at least one more byte, and for one more than the limit at most: who fills that is above it.
    fn room(&mut self) -> Result<&mut [u8], Cause> {
        if self.len > self.bytes_max {
            return Err(Cause::MessageTooBig);
        }
        if self.len == self.bytes.len() {
            let size = (2 * self.len).min(self.bytes_max + 1);
            let mut larger = self.buffers.take_filled(size);
            copy(&mut larger[..self.len], &self.bytes);
            self.buffers.give(std::mem::replace(&mut self.bytes, larger));
        }
        let end = self.bytes.len().min(self.bytes_max + 1);
        Ok(&mut self.bytes[self.len..end])
    }
}

/// Makes compressed payloads of messages.
#[derive(Debug)]
pub struct Deflater {
    stream: Compress,
    level: u32,
    window_bits: u8,
}

impl Deflater {
    /// What one occupies, about: twice its window, as much again for the chains, and 240 KiB of tables.
    pub const fn bytes(window_bits: u8) -> usize {
        (4 << window_bits) + (248 << 10)
    }

    /// One at a level from 1, the fastest, to 9, for a window from 9 to 15, as the binary logarithm of its bytes.
    #[must_use]
    pub fn new(level: u32, window_bits: u8) -> Self {
        let (level, window_bits) = (level.min(9), window_bits.clamp(9, 15));
        let stream = Compress::new_with_window_bits(Compression::new(level), false, window_bits);
        Self { stream, level, window_bits }
    }

    /// Forgets what was before: the next message refers to none of it.
    pub fn reset(&mut self) {
        self.stream.reset();
    }

    /// Appends a message's compressed payload. Without `keeps_context` it refers to none of the messages before it.
    ///
    /// False, and nothing is appended and the context is forgotten, where it is no smaller: the message is then to be sent as
    /// it is. With its context kept it may be an eighth larger: the messages that follow will be smaller for it.
    pub fn deflate(&mut self, payload: &[u8], keeps_context: bool, out: &mut Vec<u8>) -> bool {
        if !keeps_context {
            self.reset();
        }
        let start = out.len();
        // What has no pattern takes 9 bits for each byte, and headers of blocks.
        out.reserve(payload.len() + payload.len() / 7 + 64);
        let before = self.stream.total_in();
        let status = self.stream.compress_vec(payload, out, FlushCompress::Sync);
        let taken = self.stream.total_in() - before;
        let has_room = out.len() < out.capacity();
        let is_whole =
            status.is_ok() && taken == payload.len() as u64 && has_room && out[start..].ends_with(&TAIL);
        if !is_whole {
            // zlib-rs 0.6.8 panics, or writes nonsense, after the reset of a stream that still had something to write.
            out.truncate(start);
            *self = Self::new(self.level, self.window_bits);
            return false;
        }
        let allowance = if keeps_context { payload.len() / 8 + 16 } else { 0 };
        out.truncate(out.len() - TAIL.len());
        if out.len() - start >= payload.len() + allowance {
            out.truncate(start);
            self.reset();
            return false;
        }
        true
    }
}

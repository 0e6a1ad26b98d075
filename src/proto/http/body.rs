//! A request body, read as it arrives: by length or by chunks, under a limit.
//!
//! Owns where in the body it is, never the bytes: they are appended to the caller's buffer, which grows with what has
//! arrived and never with what was announced. Chunk extensions and trailers are checked and skipped. Called by the
//! core once a head with a body is parsed.

use super::framing::Framing;
use super::grammar::{is_token_byte, is_value_byte};
use crate::base::cause::Cause;

/// Digits of a chunk's size: 16 hold 64 bits; more could only be leading zeros.
pub const CHUNK_SIZE_DIGITS_MAX: u32 = 16;

/// Bytes of one chunk's size line, extensions and CRLF included. Beyond it the body is malformed.
pub const CHUNK_LINE_BYTES_MAX: u32 = 256;

/// Bytes of chunk extensions in a whole body. Without it a 1 MiB body in one-byte chunks could bring 256 MiB of them.
pub const CHUNK_EXTENSIONS_BYTES_MAX: u32 = 16 << 10;

/// Bytes of the trailer section, its last empty line included. Beyond it the body is malformed.
pub const TRAILER_BYTES_MAX: u32 = 8 << 10;

/// A body in the course of arriving.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Body {
    state: State,
    /// Bytes still to come of the body, or of this chunk.
    left: u64,
    /// Bytes that the chunks after this one may still bring.
    room: u64,
    /// Bytes of this size line, or of the trailer section.
    line: u32,
    /// Bytes of chunk extensions so far.
    extensions: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// In a body of announced length.
    Length,
    /// In a chunk's size.
    Size,
    /// In white space between a size and its extensions.
    SizeSpace,
    /// In a chunk's extensions.
    Extension,
    /// At the LF of a size line.
    SizeLf,
    /// In a chunk.
    Data,
    /// At the CR behind a chunk.
    DataCr,
    /// At the LF behind a chunk.
    DataLf,
    /// At the first byte of a trailer, or of the empty line.
    TrailerStart,
    /// In a trailer's name.
    TrailerName,
    /// In a trailer's value.
    TrailerValue,
    /// At the LF behind a trailer.
    TrailerLf,
    /// At the LF of the empty line.
    LastLf,
    /// Behind the last byte.
    Complete,
}

impl Body {
    /// The body that this framing announces, of at most `body_bytes_max` bytes.
    ///
    /// # Errors
    /// `BodyTooLarge` where the announced length is larger.
    pub fn new(framing: Framing, body_bytes_max: usize) -> Result<Self, Cause> {
        let body_bytes_max = body_bytes_max as u64;
        let (state, left) = match framing {
            Framing::None | Framing::Length(0) => (State::Complete, 0),
            Framing::Length(length) if length > body_bytes_max => return Err(Cause::BodyTooLarge),
            Framing::Length(length) => (State::Length, length),
            Framing::Chunked => (State::Size, 0),
        };
        Ok(Self { state, left, room: body_bytes_max, line: 0, extensions: 0 })
    }

    /// True once the last byte was fed. What follows belongs to the next request.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// Takes bytes in the order they arrived, appends what is content to `content`, and says how many it took: all
    /// of them, unless the body was complete before.
    ///
    /// # Errors
    /// `BadBody` where the chunks are malformed or pass a limit of their own, `BodyTooLarge` as soon as the announced
    /// chunks sum up to more than `body_bytes_max`. The body is then lost and must not be fed again.
    pub fn feed(&mut self, bytes: &[u8], content: &mut Vec<u8>) -> Result<usize, Cause> {
        let mut taken = 0;
        while taken < bytes.len() {
            match self.state {
                State::Complete => break,
                State::Length | State::Data => taken += self.take_content(&bytes[taken..], content),
                _ => {
                    self.step(bytes[taken])?;
                    taken += 1;
                }
            }
        }
        Ok(taken)
    }

    fn take_content(&mut self, bytes: &[u8], content: &mut Vec<u8>) -> usize {
        let count = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        content.extend_from_slice(&bytes[..count]);
        self.left -= count as u64;
        if self.left == 0 {
            self.state = if self.state == State::Data { State::DataCr } else { State::Complete };
        }
        count
    }

    /// One byte of what stands between the content (RFC 9112 §7.1). Line ends are CRLF and nothing else: a bare LF
    /// that ends a size line here and not in a proxy is a smuggled request.
    fn step(&mut self, byte: u8) -> Result<(), Cause> {
        self.count_line()?;
        self.state = match (self.state, byte) {
            (State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.add_digit(byte)?,
            (State::Size, b'\r') if self.line > 1 => State::SizeLf,
            (State::Size, b' ' | b'\t') if self.line > 1 => State::SizeSpace,
            (State::Size, b';') if self.line > 1 => State::Extension,
            (State::SizeSpace, b' ' | b'\t') => self.count_extension(State::SizeSpace)?,
            (State::SizeSpace, b';') => State::Extension,
            (State::Extension, b'\r') => State::SizeLf,
            (State::Extension, _) if is_value_byte(byte) => self.count_extension(State::Extension)?,
            (State::SizeLf, b'\n') => {
                self.line = 0;
                self.room -= self.left;
                if self.left == 0 { State::TrailerStart } else { State::Data }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => {
                self.line = 0;
                State::Size
            }
            (State::TrailerStart, b'\r') => State::LastLf,
            (State::TrailerStart | State::TrailerName, _) if is_token_byte(byte) => State::TrailerName,
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, _) if is_value_byte(byte) => State::TrailerValue,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::LastLf, b'\n') => State::Complete,
            _ => return Err(Cause::BadBody),
        };
        Ok(())
    }

    fn count_line(&mut self) -> Result<(), Cause> {
        self.line += 1;
        let most = match self.state {
            State::Size | State::SizeSpace | State::Extension | State::SizeLf => CHUNK_LINE_BYTES_MAX,
            _ => TRAILER_BYTES_MAX,
        };
        if self.line > most { Err(Cause::BadBody) } else { Ok(()) }
    }

    fn count_extension(&mut self, next: State) -> Result<State, Cause> {
        self.extensions += 1;
        if self.extensions > CHUNK_EXTENSIONS_BYTES_MAX { Err(Cause::BadBody) } else { Ok(next) }
    }

    /// A digit of a chunk's size. The size is refused with the digit that makes it too large, so it cannot overflow.
    fn add_digit(&mut self, byte: u8) -> Result<State, Cause> {
        let digit = char::from(byte).to_digit(16).ok_or(Cause::BadBody)?;
        if self.line > CHUNK_SIZE_DIGITS_MAX {
            return Err(Cause::BadBody);
        }
        self.left = self.left * 16 + u64::from(digit);
        if self.left > self.room { Err(Cause::BodyTooLarge) } else { Ok(State::Size) }
    }
}

//! Where a request head ends, found without looking at any byte twice.
//!
//! Owns one number per connection that is waiting for a head. Judges nothing but the first byte; everything else is
//! [`Request::parse`](super::Request::parse)'s. Called by the core on every read until the head is whole.

use super::grammar::is_token_byte;
use crate::base::cause::Cause;

/// Empty lines tolerated before a request: RFC 9112 §2.2 asks for at least one, for clients that end a body with an
/// extra CRLF.
pub const LEADING_CRLFS_MAX: usize = 4;

/// How far the search for the end of a head has come.
///
/// It is one number, so a head that dribbles in byte by byte costs each byte one look, not a rescan of all before it
/// (16 KiB in single bytes would otherwise be 134 million looks).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HeadScan(usize);

impl HeadScan {
    /// A search that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(0)
    }

    /// The length of the head that `bytes` begin with, its leading and closing empty lines included, or `None` while
    /// it is incomplete. `bytes` are all that arrived since the last request, those of earlier calls first.
    ///
    /// A head that cannot become right ends where that shows, so that whoever speaks TLS to a plain port, or ends
    /// lines with a bare LF, is refused at once instead of at `head_timeout`: `Request::parse` then says why.
    #[must_use]
    pub fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.0 == 0 {
            match skip_leading(bytes) {
                Leading::Incomplete => return None,
                Leading::Wrong(end) => return Some(end),
                Leading::Start(start) => self.0 = start,
            }
        }
        while let Some(offset) = find_lf_before_line_end(bytes.get(self.0..)?) {
            let newline = self.0 + offset;
            match &bytes[newline + 1..] {
                [b'\r', b'\n', ..] => return Some(newline + 3),
                [b'\n', ..] => return Some(newline + 2),
                [b'\r'] => {
                    self.0 = newline;
                    return None;
                }
                _ => self.0 = newline + 1,
            }
        }
        // The last byte may be an LF whose successor is still to come.
        self.0 = self.0.max(bytes.len() - 1);
        None
    }

    /// [`find`](Self::find) for a head of at most `head_bytes_max` bytes.
    ///
    /// # Errors
    /// `HeadTooLarge` as soon as so many bytes have arrived that the head must be larger.
    pub fn find_within(&mut self, bytes: &[u8], head_bytes_max: usize) -> Result<Option<usize>, Cause> {
        let found = self.find(&bytes[..bytes.len().min(head_bytes_max)]);
        if found.is_none() && bytes.len() >= head_bytes_max {
            return Err(Cause::HeadTooLarge);
        }
        Ok(found)
    }
}

#[cfg(test)]
thread_local! {
    /// Bytes looked at so far, for a test to count.
    pub(super) static LOOKED_AT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Bytes compared at once: two AVX registers, about the length of a line.
const BLOCK: usize = 64;

/// The first LF that CR or LF follows: an empty line begins behind it, or a line that no request has.
///
/// A block is judged without leaving it early, so the compiler compares 16 or 32 bytes at a time: a browser's head of
/// 578 bytes takes 96 ns instead of 290.
fn find_lf_before_line_end(bytes: &[u8]) -> Option<usize> {
    #[cfg(test)]
    LOOKED_AT.set(LOOKED_AT.get() + bytes.len());
    let is_found =
        |(first, second): (&u8, &u8)| (*first == b'\n') & ((*second == b'\r') | (*second == b'\n'));
    let blocks = bytes.chunks(BLOCK).zip(bytes.get(1..)?.chunks(BLOCK));
    blocks.enumerate().find_map(|(index, (firsts, seconds))| {
        let pairs = || firsts.iter().zip(seconds);
        let any = pairs().fold(false, |any, pair| any | is_found(pair));
        any.then(|| pairs().position(is_found)).flatten().map(|offset| index * BLOCK + offset)
    })
}

/// What the first bytes of a head are.
pub(super) enum Leading {
    /// Nothing but empty lines so far.
    Incomplete,
    /// No request begins like this; the offset is behind the byte that shows it.
    Wrong(usize),
    /// The request line begins here.
    Start(usize),
}

/// Steps over the empty lines before a request line, and looks at its first byte, which must be a token's.
pub(super) fn skip_leading(bytes: &[u8]) -> Leading {
    let mut start = 0;
    loop {
        match &bytes[start..] {
            [] => return Leading::Incomplete,
            [b'\r'] if start < 2 * LEADING_CRLFS_MAX => return Leading::Incomplete,
            [b'\r', b'\n', ..] if start < 2 * LEADING_CRLFS_MAX => start += 2,
            [first, ..] if is_token_byte(*first) => return Leading::Start(start),
            [..] => return Leading::Wrong(start + 1),
        }
    }
}

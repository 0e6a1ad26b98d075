//! Where a MessagePack value ends, and whether it is one. What is inside of numbers and extensions is left to whoever wants it.

use super::super::packet::Malformed;

/// How deep values may be nested whatever the limit: the scanner calls itself once for each.
pub(super) const DEPTH_MAX: u32 = 127;

/// A value, up to its content: what it is, and for a string or an array or a map how long.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Head {
    /// Nil, or what JavaScript's `undefined` is turned into.
    Absent,
    /// An integer that is not negative.
    Number(u64),
    /// Text of so many bytes.
    Text(usize),
    /// So many bytes of anything that has nothing in it: the rest of a number, bytes, an extension.
    Plain(usize),
    /// So many values.
    Array(usize),
    /// So many keys, each with its value.
    Map(usize),
}

/// Reads values one by one, each checked.
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// What is behind the values that were read.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// The next `count` bytes.
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(count).ok_or(Malformed::Msgpack)?;
        let taken = self.bytes.get(self.at..end).ok_or(Malformed::Msgpack)?;
        self.at = end;
        Ok(taken)
    }

    /// The big-endian number in the next `count` bytes, at most eight.
    fn number(&mut self, count: usize) -> Result<u64, Malformed> {
        Ok(self.take(count)?.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn length(&mut self, count: usize) -> Result<usize, Malformed> {
        Ok(self.number(count)? as usize)
    }

    /// Steps into the next value.
    pub(super) fn head(&mut self) -> Result<Head, Malformed> {
        let &[marker] = self.take(1)? else { return Err(Malformed::Msgpack) };
        let low = usize::from(marker & 0x0f);
        Ok(match marker {
            0x00..=0x7f => Head::Number(u64::from(marker)),
            0x80..=0x8f => Head::Map(low),
            0x90..=0x9f => Head::Array(low),
            0xa0..=0xbf => Head::Text(usize::from(marker & 0x1f)),
            0xc0 => Head::Absent,
            // The one marker that nothing is assigned to.
            0xc1 => return Err(Malformed::Msgpack),
            0xc2 | 0xc3 | 0xe0..=0xff => Head::Plain(0),
            // Bytes and extensions, their length in 1, 2 or 4 bytes; an extension has one more, its type.
            0xc4..=0xc6 => Head::Plain(self.length(1 << (marker - 0xc4))?),
            0xc7..=0xc9 => Head::Plain(self.length(1 << (marker - 0xc7))? + 1),
            // Floating point, 4 and 8 bytes.
            0xca | 0xcb => Head::Plain(4 << (marker - 0xca)),
            // Integers of 1, 2, 4 and 8 bytes, without and with a sign.
            0xcc..=0xcf => Head::Number(self.number(1 << (marker - 0xcc))?),
            0xd0..=0xd3 => Head::Plain(1 << (marker - 0xd0)),
            // Extensions of 1, 2, 4, 8 and 16 bytes. The one of type 0 with a zero in it is `undefined`.
            0xd4 if self.rest().starts_with(&[0, 0]) => {
                self.at += 2;
                Head::Absent
            }
            0xd4..=0xd8 => Head::Plain((1 << (marker - 0xd4)) + 1),
            0xd9..=0xdb => Head::Text(self.length(1 << (marker - 0xd9))?),
            0xdc | 0xdd => Head::Array(self.length(2 << (marker - 0xdc))?),
            0xde | 0xdf => Head::Map(self.length(2 << (marker - 0xde))?),
        })
    }

    pub(super) fn text(&mut self, length: usize) -> Result<&'a str, Malformed> {
        simdutf8::basic::from_utf8(self.take(length)?).map_err(|_| Malformed::Msgpack)
    }

    /// Steps over the next value. However many elements an array says it has, each takes a byte or the input ends.
    pub(super) fn skip(&mut self, depth_left: u32) -> Result<(), Malformed> {
        let elements = match self.head()? {
            Head::Absent | Head::Number(_) => return Ok(()),
            Head::Text(length) => return self.text(length).map(|_| ()),
            Head::Plain(length) => return self.take(length).map(|_| ()),
            Head::Array(count) => count,
            Head::Map(count) => count.saturating_mul(2),
        };
        let depth_left = depth_left.checked_sub(1).ok_or(Malformed::TooDeep)?;
        (0..elements).try_for_each(|_| self.skip(depth_left))
    }
}

/// Where the first value in `bytes`, which were checked, ends.
pub(in super::super) fn end(bytes: &[u8]) -> usize {
    let mut scanner = Scanner::new(bytes);
    scanner.skip(DEPTH_MAX).map_or(bytes.len(), |()| scanner.at)
}

/// Whether a value, which was checked, is nil or `undefined`.
pub(in super::super) fn is_absent(bytes: &[u8]) -> bool {
    Scanner::new(bytes).head() == Ok(Head::Absent)
}

/// The text that a value, which was checked, is.
pub(in super::super) fn text_of(bytes: &[u8]) -> Option<&str> {
    let mut scanner = Scanner::new(bytes);
    let Ok(Head::Text(length)) = scanner.head() else { return None };
    scanner.text(length).ok()
}

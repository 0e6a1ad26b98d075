//! Which part of a content a `Range` field asks for (RFC 9110 §14).

use super::grammar::elements;

/// What of a content is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Range {
    /// All of it, as without the field: a unit other than bytes, several ranges, or no range at all. A server may
    /// ignore any of them (§14.2).
    Whole,
    /// From the first of these bytes through the last, both within the content.
    Part {
        /// The first byte, counted from 0.
        first: u64,
        /// The last byte, itself included.
        last: u64,
    },
    /// A part that begins behind the content's end: 416.
    Unsatisfiable,
}

impl Range {
    /// Reads the value of a `Range` field against a content of `length` bytes.
    ///
    /// Several ranges are answered whole: a response of many overlapping parts is larger than the content many times over.
    ///
    /// ```
    /// use throng::proto::http::Range;
    ///
    /// assert_eq!(Range::parse(b"bytes=0-99", 1000), Range::Part { first: 0, last: 99 });
    /// assert_eq!(Range::parse(b"bytes=-100", 1000), Range::Part { first: 900, last: 999 });
    /// assert_eq!(Range::parse(b"bytes=1000-", 1000), Range::Unsatisfiable);
    /// assert_eq!(Range::parse(b"bytes=0-0,9-9", 1000), Range::Whole);
    /// ```
    #[must_use]
    pub fn parse(value: &[u8], length: u64) -> Self {
        let Some((unit, set)) = split_once(value, b'=') else { return Self::Whole };
        let mut ranges = elements(set);
        let (Some(range), None) = (ranges.next(), ranges.next()) else { return Self::Whole };
        let Some((first, last)) = split_once(range, b'-') else { return Self::Whole };
        if !unit.eq_ignore_ascii_case(b"bytes") {
            return Self::Whole;
        }
        match (first, last) {
            (b"", suffix) => match number(suffix) {
                None => Self::Whole,
                Some(0) => Self::Unsatisfiable,
                // The last bytes of nothing are nothing, which no `Content-Range` can say.
                Some(_) if length == 0 => Self::Whole,
                Some(suffix) => Self::Part { first: length.saturating_sub(suffix), last: length - 1 },
            },
            (first, b"") => number(first).map_or(Self::Whole, |first| Self::within(first, u64::MAX, length)),
            (first, last) => match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => Self::within(first, last, length),
                _ => Self::Whole,
            },
        }
    }

    fn within(first: u64, last: u64, length: u64) -> Self {
        if first >= length {
            return Self::Unsatisfiable;
        }
        Self::Part { first, last: last.min(length - 1) }
    }
}

/// Digits and nothing else. What passes 64 bits is as good as the largest number: it lies behind every end.
fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| {
        digits
            .iter()
            .fold(0, |number: u64, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })
}

/// What stands before and behind the first such byte.
fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&byte| byte == separator)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

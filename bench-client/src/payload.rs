//! What a message carries so that its echo can be checked and timed without keeping anything per message.
//!
//! The first 16 bytes are the stamp: kind (7 bits), connection number (21), sequence number (28), intended send time
//! in nanoseconds modulo 2⁴⁰ (18 minutes; 40) and how much later than that it was sent (16, a small float). That is
//! 112 bits, seven to a byte, so every byte is ASCII and the same stamp may travel as text and as binary. The first
//! byte is the kind itself, which lets a server under test tell an echo from a publish. Where it stands in JSON it is 20
//! characters that need no escape.

/// The bytes a stamp takes: the smallest message.
pub(crate) const STAMP_BYTES: usize = 16;
/// The bytes a stamp takes as text that JSON does not escape: the kind, then 49 and 56 bits, six to a character.
pub(crate) const STAMP_TEXT_BYTES: usize = 20;
/// Where the second number begins in such a text.
const WHEN_AT: usize = 10;
/// Base64's characters for URLs: no encoder of JSON escapes any of them.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// The value of each digit; everything else has the top bit set.
const VALUES: [u8; 256] = values();
/// Sequence numbers wrap here; 2²⁸ = 268 million messages per connection.
pub(crate) const SEQUENCE_MASK: u32 = (1 << 28) - 1;
/// The largest connection number, plus one.
pub(crate) const CONNECTIONS_MAX: usize = 1 << 21;
const TIME_MASK: u64 = (1 << 40) - 1;

/// What a message is for; its first byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Sent to be sent back to the same connection.
    Echo,
    /// Sent to be relayed to the other connections.
    Publish,
}

/// The stamp of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    /// Echo or publish.
    pub(crate) kind: Kind,
    /// The sending connection's number.
    pub(crate) connection: u32,
    /// Its number among that connection's messages.
    pub(crate) sequence: u32,
    /// When it was to be sent, on the run's clock.
    pub(crate) intended: u64,
    /// How many nanoseconds later than intended it was sent; kept to three digits.
    pub(crate) slip: u64,
}

/// Nanoseconds from a stamp's intended time to `now`, both on the run's clock.
pub(crate) fn elapsed(stamp: &Stamp, now: u64) -> u64 {
    now.wrapping_sub(stamp.intended) & TIME_MASK
}

/// The clock of another process may be ahead of this one's by so much: of the 1,100 s that a stamp tells it takes one.
const AHEAD_MAX: u64 = 1_000_000_000;

/// Nanoseconds from a stamp's intended time to `now`, by clocks of which either may be a little ahead: what seems to have
/// come before it was sent took no time.
pub(crate) fn elapsed_between(stamp: &Stamp, now: u64) -> u64 {
    let elapsed = now.wrapping_add(AHEAD_MAX).wrapping_sub(stamp.intended) & TIME_MASK;
    elapsed.saturating_sub(AHEAD_MAX)
}

impl Stamp {
    /// What says which connection it is, where nothing is sent yet.
    pub(crate) fn of_connection(connection: u32) -> Self {
        Self { kind: Kind::Echo, connection, sequence: 0, intended: 0, slip: 0 }
    }

    /// The stamp as bytes.
    pub(crate) fn encode(&self) -> [u8; STAMP_BYTES] {
        let (who, when) = self.numbers();
        let mut bytes = [0; STAMP_BYTES];
        bytes[..8].copy_from_slice(&spread(who).to_be_bytes());
        bytes[8..].copy_from_slice(&spread(when).to_be_bytes());
        bytes
    }

    /// The stamp as text, its kind in front.
    pub(crate) fn encode_text(&self) -> [u8; STAMP_TEXT_BYTES] {
        let (mut who, mut when) = self.numbers();
        let mut text = [(who >> 49) as u8; STAMP_TEXT_BYTES];
        who &= (1 << 49) - 1;
        for (number, digits) in [(&mut who, 1..WHEN_AT), (&mut when, WHEN_AT..STAMP_TEXT_BYTES)] {
            for digit in text[digits].iter_mut().rev() {
                *digit = DIGITS[(*number & 63) as usize];
                *number >>= 6;
            }
        }
        text
    }

    /// Who sent it, 56 bits, and when, 56 bits.
    fn numbers(&self) -> (u64, u64) {
        let kind = match self.kind {
            Kind::Echo => b'E',
            Kind::Publish => b'P',
        };
        let who = (u64::from(kind) << 49)
            | (u64::from(self.connection) & (CONNECTIONS_MAX as u64 - 1)) << 28
            | u64::from(self.sequence & SEQUENCE_MASK);
        (who, ((self.intended & TIME_MASK) << 16) | u64::from(shorten(self.slip)))
    }

    /// Reads the stamp at the front of a message; `None` if there is none.
    pub(crate) fn decode(message: &[u8]) -> Option<Self> {
        let (who, rest) = message.split_first_chunk::<8>()?;
        let when = rest.first_chunk::<8>()?;
        let (who, when) = (u64::from_be_bytes(*who), u64::from_be_bytes(*when));
        if (who | when) & 0x8080_8080_8080_8080 != 0 {
            return None;
        }
        Self::of(gather(who), gather(when))
    }

    /// Reads the stamp at the front of a text; `None` if there is none.
    pub(crate) fn decode_text(text: &[u8]) -> Option<Self> {
        let (kind, digits) = text.first_chunk::<STAMP_TEXT_BYTES>()?.split_first()?;
        let mut strange = 0;
        let mut number = |digits: &[u8]| {
            digits.iter().fold(0, |number: u64, &digit| {
                let value = VALUES[digit as usize];
                strange |= value;
                number << 6 | u64::from(value & 63)
            })
        };
        let (who, when) = digits.split_at(WHEN_AT - 1);
        let (who, when) = (number(who), number(when));
        // Nine digits have five bits more than who sent it, ten have four more than when.
        if strange & 0x80 != 0 || who >> 49 != 0 || when >> 56 != 0 {
            return None;
        }
        Self::of(u64::from(*kind) << 49 | who, when)
    }

    fn of(who: u64, when: u64) -> Option<Self> {
        let kind = match (who >> 49) as u8 {
            b'E' => Kind::Echo,
            b'P' => Kind::Publish,
            _ => return None,
        };
        Some(Self {
            kind,
            connection: (who >> 28) as u32 & (CONNECTIONS_MAX as u32 - 1),
            sequence: who as u32 & SEQUENCE_MASK,
            intended: when >> 16,
            slip: lengthen(when as u16),
        })
    }
}

const fn values() -> [u8; 256] {
    let (mut values, mut digit) = ([0x80; 256], 0);
    while digit < DIGITS.len() {
        values[DIGITS[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
}

/// The bytes after a stamp of `stamp` bytes in a message of `size` bytes: printable, the same for every message.
pub(crate) fn filler(size: usize, stamp: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(size.saturating_sub(stamp)).collect()
}

/// Spreads 56 bits over eight bytes, seven bits each, by halving three times.
fn spread(x: u64) -> u64 {
    let x = (x & 0x0FFF_FFFF) | ((x & 0x00FF_FFFF_F000_0000) << 4);
    let x = (x & 0x0000_3FFF_0000_3FFF) | ((x & 0x0FFF_C000_0FFF_C000) << 2);
    (x & 0x007F_007F_007F_007F) | ((x & 0x3F80_3F80_3F80_3F80) << 1)
}

/// The inverse of [`spread`].
fn gather(x: u64) -> u64 {
    let x = (x & 0x007F_007F_007F_007F) | ((x & 0x7F00_7F00_7F00_7F00) >> 1);
    let x = (x & 0x0000_3FFF_0000_3FFF) | ((x & 0x3FFF_0000_3FFF_0000) >> 2);
    (x & 0x0FFF_FFFF) | ((x & 0x0FFF_FFFF_0000_0000) >> 4)
}

/// 64 bits as a 6-bit exponent and an 11-bit mantissa whose top bit is implied: within 0.1 %.
pub(crate) fn shorten(value: u64) -> u16 {
    let shift = (64 - value.leading_zeros()).saturating_sub(11);
    ((u64::from(shift) << 10) + (value >> shift)) as u16
}

/// The inverse of [`shorten`].
pub(crate) fn lengthen(code: u16) -> u64 {
    let shift = u64::from(code >> 10).saturating_sub(1);
    (u64::from(code) - (shift << 10)) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_ascii_and_comes_back() {
        for kind in [Kind::Echo, Kind::Publish] {
            for (connection, sequence, intended, slip) in [
                (0, 0, 0, 0),
                (2_097_151, SEQUENCE_MASK, TIME_MASK, 2047),
                (99_999, 12_345_678, 987_654_321, 77),
            ] {
                let stamp = Stamp { kind, connection, sequence, intended, slip };
                let bytes = stamp.encode();
                assert!(bytes.is_ascii());
                assert_eq!(Stamp::decode(&bytes), Some(stamp));
                assert_eq!(bytes[0], if kind == Kind::Echo { b'E' } else { b'P' });
                let text = stamp.encode_text();
                assert!(text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)));
                assert_eq!((Stamp::decode_text(&text), text[0]), (Some(stamp), bytes[0]));
            }
        }
    }

    #[test]
    fn every_single_bit_survives_spreading() {
        for bit in 0..56 {
            assert_eq!(spread(1 << bit), 1 << (bit + bit / 7), "bit {bit}");
            assert_eq!(gather(spread(1 << bit)), 1 << bit);
        }
    }

    #[test]
    fn a_slip_keeps_three_digits_from_a_nanosecond_to_minutes() {
        for value in [0, 1, 2047, 2048, 50_000, 999_999, 500_000_000, 90_000_000_000, u64::MAX] {
            let back = lengthen(shorten(value));
            assert!(back <= value && value - back <= value / 1000, "{value} came back as {back}");
        }
    }

    #[test]
    fn time_is_measured_across_the_wrap() {
        let stamp = Stamp { kind: Kind::Echo, connection: 0, sequence: 0, intended: TIME_MASK - 5, slip: 0 };
        assert_eq!(elapsed(&stamp, TIME_MASK + 11), 16);
        assert_eq!(elapsed_between(&stamp, TIME_MASK + 11), 16);
        assert_eq!(elapsed_between(&stamp, TIME_MASK - 6), 0, "by a clock that is behind the sender's");
        let longest = TIME_MASK - AHEAD_MAX;
        assert_eq!(elapsed_between(&stamp, TIME_MASK - 5 + longest), longest);
    }

    #[test]
    fn a_strange_message_has_no_stamp() {
        let good = Stamp { kind: Kind::Echo, connection: 1, sequence: 2, intended: 3, slip: 4 }.encode();
        assert_eq!(Stamp::decode(&good[..15]), None);
        assert_eq!(Stamp::decode(b"Hello, I am a server."), None);
        let mut high = good;
        high[9] |= 0x80;
        assert_eq!(Stamp::decode(&high), None);
        let good = Stamp { kind: Kind::Echo, connection: 1, sequence: 2, intended: 3, slip: 4 }.encode_text();
        assert_eq!(Stamp::decode_text(&good[..19]), None);
        for (at, byte) in [(0, b'F'), (1, b'_'), (1, b'"'), (9, b'+'), (10, b'_'), (19, b'='), (19, 0xFF)] {
            let mut strange = good;
            strange[at] = byte;
            assert_eq!(Stamp::decode_text(&strange), None, "{at}");
        }
    }
}

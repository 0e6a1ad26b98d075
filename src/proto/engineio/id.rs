//! A session's id: what a client shows with every request, and where its home shard finds the session.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;

/// Bytes of an id before encoding: 15 of randomness, 2 of the shard, 4 of the slot.
const BYTES: usize = 21;

/// An id: 120 random bits that nobody guesses, and the place of the session.
///
/// It prints as 28 characters of base64url (21 bytes are 168 bits, 28 times 6, so none is wasted on padding). Place and
/// randomness are both checked by the home shard: an id that names a place where another session lives is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId {
    /// Randomness, from the caller.
    pub random: [u8; 15],
    /// The home shard.
    pub shard: u16,
    /// The session's slot in its shard's table.
    pub slot: u32,
}

impl SessionId {
    /// How long an id is as text.
    pub const LEN: usize = 28;

    /// The id as text, ASCII throughout.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; BYTES];
        bytes[..15].copy_from_slice(&self.random);
        bytes[15..17].copy_from_slice(&self.shard.to_be_bytes());
        bytes[17..].copy_from_slice(&self.slot.to_be_bytes());
        let mut text = [0; Self::LEN];
        BASE64URL_NOPAD.encode_mut(&bytes, &mut text);
        text
    }

    /// The id that `text` is, `None` where it is none. There is one text for every id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != Self::LEN {
            return None;
        }
        let mut bytes = [0; BYTES];
        BASE64URL_NOPAD.decode_mut(text.as_bytes(), &mut bytes).ok()?;
        let (random, place) = bytes.split_first_chunk()?;
        let (shard, slot) = place.split_first_chunk()?;
        let slot = slot.first_chunk()?;
        Some(Self { random: *random, shard: u16::from_be_bytes(*shard), slot: u32::from_be_bytes(*slot) })
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.encode();
        f.write_str(std::str::from_utf8(&text).expect("base64url is ASCII"))
    }
}

/// Whoever knows an id can speak for its session, so logs show the place alone.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({}-{})", self.shard, self.slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_28_characters_and_comes_back() {
        let random: [u8; 15] = std::array::from_fn(|index| (index * 37) as u8);
        for (shard, slot) in [(0, 0), (1, 2), (u16::MAX, u32::MAX), (7, 19_999), (0x1234, 0x5678_9abc)] {
            let id = SessionId { random, shard, slot };
            let text = id.to_string();
            assert_eq!(text.len(), SessionId::LEN);
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            assert_eq!(SessionId::parse(&text), Some(id));
            assert!(!format!("{id:?}").contains(&text[..20]));
        }
    }

    #[test]
    fn what_is_no_id_is_none() {
        let right = SessionId { random: [5; 15], shard: 1, slot: 1 }.to_string();
        for end in 0..right.len() {
            assert_eq!(SessionId::parse(&right[..end]), None);
        }
        assert_eq!(SessionId::parse(&format!("{right}A")), None);
        for odd in ["+", "/", "=", " ", "."] {
            assert_eq!(SessionId::parse(&format!("{}{odd}", &right[..27])), None);
            assert_eq!(SessionId::parse(&format!("{odd}{}", &right[1..])), None);
        }
        assert_eq!(SessionId::parse(&"\u{e9}".repeat(14)), None);
    }
}

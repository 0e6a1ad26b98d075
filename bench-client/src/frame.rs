//! WebSocket frames as a client writes and reads them (RFC 6455 §5). Bytes in, bytes out: no sockets, no clocks.

/// Frame opcodes (RFC 6455 §11.8).
pub(crate) mod opcode {
    /// The next fragment of a message.
    pub(crate) const CONTINUATION: u8 = 0;
    /// Text.
    pub(crate) const TEXT: u8 = 1;
    /// Binary.
    pub(crate) const BINARY: u8 = 2;
    /// Close.
    pub(crate) const CLOSE: u8 = 8;
    /// Ping.
    pub(crate) const PING: u8 = 9;
    /// Pong.
    pub(crate) const PONG: u8 = 10;
}

/// The largest frame that is taken from a server: 64 MiB, four times the largest message this client sends.
pub(crate) const FRAME_BYTES_MAX: u64 = 64 << 20;

/// A frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    /// Whether this frame ends its message.
    pub(crate) is_final: bool,
    /// The opcode, one of [`opcode`].
    pub(crate) opcode: u8,
    /// The masking key. Servers send none (RFC 6455 §5.1).
    pub(crate) mask: Option<[u8; 4]>,
    /// Bytes of the header itself.
    pub(crate) header_bytes: usize,
    /// Bytes of the payload.
    pub(crate) payload_bytes: usize,
}

impl Header {
    /// Reads the header at the front of `bytes`; `Ok(None)` while it is incomplete.
    ///
    /// # Errors
    /// What the server did wrong, in words.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Self>, &'static str> {
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err("sent a frame with reserved bits set, and no extension was agreed");
        }
        let (is_final, code) = (first & 0x80 != 0, first & 0x0F);
        let (length, length_bytes) = match second & 0x7F {
            126 => match rest.first_chunk::<2>() {
                Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 2),
                None => return Ok(None),
            },
            127 => match rest.first_chunk::<8>() {
                Some(bytes) => (u64::from_be_bytes(*bytes), 8),
                None => return Ok(None),
            },
            short => (u64::from(short), 0),
        };
        match code {
            opcode::CONTINUATION | opcode::TEXT | opcode::BINARY => {}
            opcode::CLOSE | opcode::PING | opcode::PONG if is_final && length <= 125 => {}
            opcode::CLOSE | opcode::PING | opcode::PONG => {
                return Err("sent a control frame that is too long or fragmented");
            }
            _ => return Err("sent a frame with an unknown opcode"),
        }
        if length > FRAME_BYTES_MAX {
            return Err("announced a frame above 64 MiB");
        }
        let masked = second & 0x80 != 0;
        let mask = if masked {
            match rest.get(length_bytes..).and_then(|rest| rest.first_chunk::<4>()) {
                Some(key) => Some(*key),
                None => return Ok(None),
            }
        } else {
            None
        };
        let header_bytes = 2 + length_bytes + if masked { 4 } else { 0 };
        Ok(Some(Self { is_final, opcode: code, mask, header_bytes, payload_bytes: length as usize }))
    }
}

/// Appends one final, masked frame whose payload is `head` then `tail`.
pub(crate) fn append_masked(out: &mut Vec<u8>, opcode: u8, head: &[u8], tail: &[u8], key: [u8; 4]) {
    let length = head.len() + tail.len();
    match length {
        0..=125 => out.extend_from_slice(&[0x80 | opcode, 0x80 | length as u8]),
        126..=65_535 => {
            out.extend_from_slice(&[0x80 | opcode, 0x80 | 126]);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.extend_from_slice(&[0x80 | opcode, 0x80 | 127]);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&key);
    let start = out.len();
    out.extend_from_slice(head);
    out.extend_from_slice(tail);
    apply_mask(&mut out[start..], key);
}

/// Masks or unmasks `payload`, whose first byte is masked by the key's first byte (RFC 6455 §5.3).
pub(crate) fn apply_mask(payload: &mut [u8], key: [u8; 4]) {
    let half = u64::from(u32::from_ne_bytes(key));
    let wide = half << 32 | half;
    let mut words = payload.chunks_exact_mut(8);
    for word in &mut words {
        let masked = u64::from_ne_bytes(word.try_into().expect("chunks of eight")) ^ wide;
        word.copy_from_slice(&masked.to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// Masking keys: xorshift64*, seeded per worker. §5.3 wants keys a page's script cannot predict; here nobody writes
/// payloads against us, so a cheap generator is enough.
#[derive(Debug)]
pub(crate) struct Keys(u64);

impl Keys {
    /// A generator; any seed is fine.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next key.
    pub(crate) fn draw(&mut self) -> [u8; 4] {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32).to_ne_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tungstenite::protocol::{Role, WebSocketContext};

    struct Wire(std::io::Cursor<Vec<u8>>);
    impl std::io::Read for Wire {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(into)
        }
    }
    impl std::io::Write for Wire {
        fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
            Ok(from.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn tungstenite_reads_what_is_written_at_every_length_class() {
        let mut keys = Keys::new(7);
        for length in [0, 1, 7, 8, 9, 125, 126, 127, 65_535, 65_536, 100_003] {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let cut = length.min(16) / 2 * 2;
            let mut out = Vec::new();
            append_masked(&mut out, opcode::BINARY, &payload[..cut], &payload[cut..], keys.draw());
            let header = Header::decode(&out).unwrap().unwrap();
            assert_eq!((header.payload_bytes, header.header_bytes + length), (length, out.len()));
            let mut context = WebSocketContext::new(Role::Server, None);
            let message = context.read(&mut Wire(std::io::Cursor::new(out))).unwrap();
            assert_eq!(message.into_data(), payload, "{length} bytes");
        }
    }

    #[test]
    fn a_header_is_incomplete_until_its_last_byte() {
        for (length, key) in [(5, None), (5, Some([1, 2, 3, 4])), (300, None), (70_000, Some([0; 4]))] {
            let mut out = Vec::new();
            append_masked(&mut out, opcode::TEXT, &vec![b'x'; length], b"", key.unwrap_or_default());
            if key.is_none() {
                out[1] &= 0x7F;
            }
            let header = Header::decode(&out).unwrap().unwrap();
            assert_eq!(header.mask, key);
            for cut in 0..header.header_bytes {
                assert_eq!(Header::decode(&out[..cut]), Ok(None), "{cut} of {}", header.header_bytes);
            }
        }
    }

    #[test]
    fn broken_frames_are_refused() {
        for (bytes, word) in [
            (&[0xC2, 0][..], "reserved"),
            (&[0x83, 0], "opcode"),
            (&[0x09, 0], "control"),
            (&[0x89, 126, 0, 126], "control"),
            (&[0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0], "64 MiB"),
        ] {
            let said = Header::decode(bytes).unwrap_err();
            assert!(said.contains(word), "{said}");
        }
    }
}

//! Frames written: onto a connection's queue, or once for many.
//!
//! A server's frames are never masked, a client's always (RFC 6455 §5.1). Called by the core, by what frames a
//! broadcast, and by the load generator. None of it allocates beyond the buffer it is given.

use super::close::REASON_BYTES_MAX;
use super::head::{CONTROL_BYTES_MAX, HEAD_BYTES_MAX};
use super::mask::unmask;
use super::message::{Message, Opcode};
use crate::base::pool::extend;

/// A frame's header, on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    bytes: [u8; HEAD_BYTES_MAX],
    len: u8,
}

impl Header {
    /// The header's 2 to 14 bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// A server's header for a payload of `len` bytes, its length in the shortest form (RFC 6455 §5.2).
#[inline]
#[must_use]
pub const fn header(opcode: Opcode, fin: bool, len: usize) -> Header {
    let mut bytes = [0; HEAD_BYTES_MAX];
    bytes[0] = opcode as u8 | if fin { 0x80 } else { 0 };
    if len < 126 {
        bytes[1] = len as u8;
        return Header { bytes, len: 2 };
    }
    if len <= u16::MAX as usize {
        [bytes[2], bytes[3]] = (len as u16).to_be_bytes();
        bytes[1] = 126;
        return Header { bytes, len: 4 };
    }
    [bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7], bytes[8], bytes[9]] =
        (len as u64).to_be_bytes();
    bytes[1] = 127;
    Header { bytes, len: 10 }
}

/// A server's header for a message of one frame whose compressed payload has `len` bytes (RFC 7692 §6).
#[inline]
#[must_use]
pub const fn compressed_header(opcode: Opcode, len: usize) -> Header {
    let mut header = header(opcode, true, len);
    header.bytes[0] |= 0x40;
    header
}

/// A client's header: the mask bit set, the mask at its end.
#[inline]
#[must_use]
pub const fn masked_header(opcode: Opcode, fin: bool, len: usize, mask: [u8; 4]) -> Header {
    let Header { mut bytes, len: end } = header(opcode, fin, len);
    bytes[1] |= 0x80;
    let at = end as usize;
    [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]] = mask;
    Header { bytes, len: end + 4 }
}

/// Appends a message as one unmasked frame.
#[inline]
pub fn append(out: &mut Vec<u8>, message: Message<'_>) {
    let payload = message.as_bytes();
    // One check of the capacity for both parts.
    out.reserve(HEAD_BYTES_MAX + payload.len());
    // A header whose length is a constant is one store; otherwise it is a call to memcpy.
    match *header(message.opcode(), true, payload.len()).as_bytes() {
        [first, len] => out.extend_from_slice(&[first, len]),
        [first, len, high, low] => out.extend_from_slice(&[first, len, high, low]),
        ref long => out.extend_from_slice(long),
    }
    extend(out, payload);
}

/// Appends an unmasked control frame. A payload is cut to 125 bytes (RFC 6455 §5.5).
#[inline]
pub fn append_control(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
    out.extend_from_slice(header(opcode, true, payload.len()).as_bytes());
    extend(out, payload);
}

/// Appends a close frame: without a payload where `code` is `None`; the reason is cut to 123 bytes at a character's
/// boundary.
pub fn append_close(out: &mut Vec<u8>, code: Option<u16>, reason: &str) {
    let Some(code) = code else { return append_control(out, Opcode::Close, &[]) };
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let reason = &reason[..end];
    out.extend_from_slice(header(Opcode::Close, true, 2 + reason.len()).as_bytes());
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

/// Appends a client's frame: `payload` masked with `mask`.
#[inline]
pub fn append_masked(out: &mut Vec<u8>, opcode: Opcode, fin: bool, payload: &[u8], mask: [u8; 4]) {
    out.reserve(HEAD_BYTES_MAX + payload.len());
    match *masked_header(opcode, fin, payload.len(), mask).as_bytes() {
        [first, len, a, b, c, d] => out.extend_from_slice(&[first, len, a, b, c, d]),
        ref longer => out.extend_from_slice(longer),
    }
    let start = out.len();
    extend(out, payload);
    unmask(&mut out[start..], mask, 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tungstenite::protocol::frame::FrameHeader;
    use tungstenite::protocol::frame::coding::OpCode;

    const OPCODES: [Opcode; 6] =
        [Opcode::Continue, Opcode::Text, Opcode::Binary, Opcode::Close, Opcode::Ping, Opcode::Pong];
    const BORDERS: [usize; 12] = [0, 1, 20, 125, 126, 127, 255, 256, 65_535, 65_536, 1 << 20, 1 << 32];

    #[test]
    fn headers_are_those_of_the_authority() {
        for opcode in OPCODES {
            for len in BORDERS {
                for fin in [false, true] {
                    for mask in [None, Some([1, 2, 3, 4])] {
                        let ours = match mask {
                            Some(mask) => masked_header(opcode, fin, len, mask),
                            None => header(opcode, fin, len),
                        };
                        let opcode = OpCode::from(opcode as u8);
                        let theirs = FrameHeader { is_final: fin, opcode, mask, ..FrameHeader::default() };
                        let mut formatted = Vec::new();
                        theirs.format(len as u64, &mut formatted).unwrap();
                        assert_eq!(ours.as_bytes(), formatted, "{opcode:?} {len} {fin} {mask:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_way_of_writing_a_message_writes_the_same_frame() {
        for len in [0, 1, 125, 126, 65_535, 65_536] {
            let payload: Vec<u8> = (0..len).map(|index| index as u8).collect();
            let message = Message::Binary(&payload);
            let mut out = b"before".to_vec();
            append(&mut out, message);
            let expected = [header(Opcode::Binary, true, len).as_bytes(), &payload].concat();
            assert_eq!(&out[6..], expected);
            let mut masked = Vec::new();
            append_masked(&mut masked, Opcode::Binary, true, &payload, [5, 6, 7, 8]);
            let head_len = masked.len() - len;
            unmask(&mut masked[head_len..], [5, 6, 7, 8], 0);
            assert_eq!(&masked[head_len..], payload);
        }
    }

    #[test]
    fn control_frames_stay_within_125_bytes() {
        let mut out = Vec::new();
        append_control(&mut out, Opcode::Ping, &[7; 200]);
        assert_eq!((out.len(), out[0], out[1]), (127, 0x89, 125));
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        for (reason, kept) in
            [("", 0), ("bye", 3), (&"a".repeat(123), 123), (&"a".repeat(124), 123), (&"é".repeat(62), 122)]
        {
            let mut out = Vec::new();
            append_close(&mut out, Some(1000), reason);
            assert_eq!(out[..4], [0x88, 2 + kept as u8, 0x03, 0xe8]);
            assert_eq!(&out[4..], &reason.as_bytes()[..kept]);
        }
        let mut out = Vec::new();
        append_close(&mut out, None, "not sent without a code");
        assert_eq!(out, [0x88, 0]);
    }
}

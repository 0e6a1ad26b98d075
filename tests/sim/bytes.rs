//! What a server's bytes say, read by code of the simulators' own and not by throng's decoders.

use std::ops::Range;

/// A response whose body has come.
pub struct Answer {
    pub status: u16,
    /// The bytes of the body, and with it of the whole.
    pub body: Range<usize>,
    /// No other one follows.
    pub is_last: bool,
}

/// The response that the bytes begin with, once it is whole.
pub fn answer(bytes: &[u8]) -> Option<Answer> {
    let start = bytes.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..start]);
    let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    let value = |name| head.lines().find_map(|line: &str| line.strip_prefix(name));
    let length = value("Content-Length: ").and_then(|length| length.parse().ok()).unwrap_or(0);
    // What follows an interim answer or an upgrade is not its body.
    let length = if status < 200 { 0 } else { length };
    let body = start..start + length;
    let is_last = value("Connection: ") == Some("close");
    bytes.get(body.clone()).map(|_| Answer { status, body, is_last })
}

/// A frame that has come.
pub struct Frame {
    pub is_final: bool,
    pub opcode: u8,
    pub payload: Range<usize>,
}

/// The frame that the bytes begin with, once it is whole; what its head says that no server may say.
pub fn frame(bytes: &[u8]) -> Option<Result<Frame, String>> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (start, len) = match second {
        0..=125 => (2, usize::from(second)),
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        _ => (2, usize::MAX),
    };
    if len > 1 << 20 || first & 0x70 != 0 {
        return Some(Err(format!("frame begins with {first:02x} {second:02x}: bytes were lost or doubled")));
    }
    let payload = start..start + len;
    bytes.get(payload.clone()).map(|_| Ok(Frame { is_final: first & 0x80 != 0, opcode: first & 15, payload }))
}

//! What goes over the wire, written and read by a few lines of this program's own: it is to find the server's mistakes,
//! not to share them.

/// A frame's first byte, as peers send it.
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;

/// Appends a masked frame.
pub(crate) fn frame(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    out.push(first);
    match payload.len() {
        short @ 0..126 => out.push(0x80 | short as u8),
        long @ 126..65_536 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(long as u16).to_be_bytes());
        }
        longer => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(longer as u64).to_be_bytes());
        }
    }
    let mask = [0x5a, 0x17, 0xc3, 0x88];
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// A masked frame by itself.
pub(crate) fn framed(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 14);
    frame(&mut out, first, payload);
    out
}

/// The request of a WebSocket.
pub(crate) fn handshake(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: siege\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// Where Socket.IO's WebSockets are.
pub(crate) const SOCKET_IO: &str = "/socket.io/?EIO=4&transport=websocket";

/// One frame of the server's: its first byte, and where its payload lies.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) first: u8,
    pub(crate) payload: std::ops::Range<usize>,
}

/// The frame at the front of `bytes`, and how many of them it takes; `None` while it is incomplete. A frame that no server
/// may send is an error.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Heard, usize)>, String> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if second & 0x80 != 0 {
        return Err(format!("a masked frame: {:02x?}", &bytes[..bytes.len().min(16)]));
    }
    if !matches!(*first, TEXT | 0x82 | CLOSE | PING | PONG) {
        return Err(format!("a frame that begins with {first:#04x}"));
    }
    let (header, length) = match (second & 0x7f, rest) {
        (126, [a, b, ..]) => (4, u64::from(u16::from_be_bytes([*a, *b]))),
        (127, [a, b, c, d, e, f, g, h, ..]) => (10, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h])),
        (126 | 127, _) => return Ok(None),
        (short, _) => (2, u64::from(short)),
    };
    let length = usize::try_from(length).map_err(|_| "a frame longer than memory".to_owned())?;
    let end = header + length;
    Ok((bytes.len() >= end).then_some((Heard { first: *first, payload: header..end }, end)))
}

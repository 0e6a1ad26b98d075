//! From bytes read to whole messages: frames are decoded where they were read, and only the incomplete one at the
//! end is copied. Called by the worker after every read; hands messages to the traffic.

use crate::conn::{Conn, Phase};
use crate::frame::{FRAME_BYTES_MAX, Header, append_masked, apply_mask, opcode};
use crate::traffic::Traffic;

/// Why a connection is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// The server sent a close frame with this code (1005: none, RFC 6455 §7.1.5).
    Closed(u16),
    /// The server broke the protocol.
    Violation(&'static str),
    /// The server ended TCP without a close frame.
    Eof,
    /// The kernel reported an error.
    Failed(std::io::ErrorKind),
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed(code) => write!(f, "the server closed a connection with code {code}"),
            Self::Violation(what) => write!(f, "the server {what}"),
            Self::Eof => f.write_str("the server ended a connection without a close frame"),
            Self::Failed(kind) => write!(f, "a connection failed: {kind}"),
        }
    }
}

/// Takes bytes that were read from `conn` at `now`. Replies (pongs, the answer to a close) are left in the traffic's
/// output.
///
/// # Errors
/// Why the connection is over.
pub(crate) fn feed(conn: &mut Conn, bytes: &mut [u8], traffic: &mut Traffic, now: u64) -> Result<(), End> {
    let carried = conn.rest.as_mut().map(|rest| std::mem::take(&mut rest.carry)).unwrap_or_default();
    if carried.is_empty() {
        let taken = frames(conn, bytes, traffic, now)?;
        if taken < bytes.len() {
            conn.rest().carry.extend_from_slice(&bytes[taken..]);
        }
    } else {
        let mut carry = carried;
        carry.extend_from_slice(bytes);
        let taken = frames(conn, &mut carry, traffic, now)?;
        if taken < carry.len() {
            carry.drain(..taken);
            conn.rest().carry = carry;
        }
    }
    conn.tidy();
    Ok(())
}

/// Handles every complete frame in `bytes` and returns how many bytes they took.
fn frames(conn: &mut Conn, bytes: &mut [u8], traffic: &mut Traffic, now: u64) -> Result<usize, End> {
    let mut at = 0;
    while let Some(header) = Header::decode(&bytes[at..]).map_err(End::Violation)? {
        if header.mask.is_some() && !traffic.masked_is_fine {
            return Err(End::Violation(
                "sent a masked frame (RFC 6455 section 5.1); --raw-echo accepts them",
            ));
        }
        let start = at + header.header_bytes;
        let Some(payload) = bytes.get_mut(start..start + header.payload_bytes) else { break };
        if let Some(key) = header.mask {
            apply_mask(payload, key);
        }
        frame(conn, header, payload, traffic, now)?;
        at = start + header.payload_bytes;
    }
    Ok(at)
}

fn frame(
    conn: &mut Conn,
    header: Header,
    payload: &[u8],
    traffic: &mut Traffic,
    now: u64,
) -> Result<(), End> {
    match header.opcode {
        opcode::PING => {
            let key = traffic.keys.draw();
            append_masked(&mut traffic.out, opcode::PONG, payload, b"", key);
        }
        opcode::PONG => {}
        opcode::CLOSE => {
            let code = payload.first_chunk::<2>().map(|code| u16::from_be_bytes(*code));
            // §5.5.1: the close is answered in kind, unless ours came first.
            if conn.phase == Phase::Open {
                let key = traffic.keys.draw();
                append_masked(
                    &mut traffic.out,
                    opcode::CLOSE,
                    payload.get(..2).unwrap_or_default(),
                    b"",
                    key,
                );
            }
            return Err(End::Closed(code.unwrap_or(1005)));
        }
        opcode::CONTINUATION => {
            let Some((_, fragments)) = conn.rest.as_mut().and_then(|rest| rest.fragments.as_mut()) else {
                return Err(End::Violation("sent a continuation of nothing"));
            };
            fragments.extend_from_slice(payload);
            if fragments.len() as u64 > FRAME_BYTES_MAX {
                return Err(End::Violation("sent a message above 64 MiB"));
            }
            if header.is_final
                && let Some((opcode, message)) = conn.rest().fragments.take()
            {
                traffic.message(conn, opcode, &message, now);
            }
        }
        _ if conn.rest.as_ref().is_some_and(|rest| rest.fragments.is_some()) => {
            return Err(End::Violation("began a message inside a fragmented one"));
        }
        opcode if header.is_final => traffic.message(conn, opcode, payload, now),
        opcode => conn.rest().fragments = Some((opcode, payload.to_vec())),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;
    use crate::conn::Opening;
    use crate::payload::{Kind, Stamp};

    const SIZE: usize = 200;

    fn parts(raw_echo: bool) -> (Conn, Traffic, std::net::TcpListener) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = mio::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let opening = Opening { serial: 0, attempt: 1, began: 0, key: None, response: Vec::new() };
        let mut conn = Conn::new(stream, 3, false, opening);
        conn.phase = Phase::Open;
        conn.rest = None;
        let mut traffic = Traffic::for_test(if raw_echo { "--size 200 --raw-echo" } else { "--size 200" });
        traffic.window = (0, SECOND);
        (conn, traffic, listener)
    }

    fn frame_bytes(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
        let mut out = Vec::new();
        append_masked(&mut out, first & 0x0F, payload, b"", key.unwrap_or_default());
        out[0] = first;
        if key.is_none() {
            // A server's frame: no mask bit, no key. The zero key left the payload as it was.
            let header = Header::decode(&out).unwrap().unwrap();
            out[1] &= 0x7F;
            out.drain(header.header_bytes - 4..header.header_bytes);
        }
        out
    }

    fn message(sequence: u32) -> Vec<u8> {
        let stamp = Stamp { kind: Kind::Echo, connection: 3, sequence, intended: 10, slip: 0 };
        [&stamp.encode()[..], &crate::payload::filler(SIZE)].concat()
    }

    /// Three echoes, the second in three fragments around a ping.
    fn stream(key: Option<[u8; 4]>) -> Vec<u8> {
        let second = message(1);
        [
            frame_bytes(0x82, &message(0), key),
            frame_bytes(0x02, &second[..5], key),
            frame_bytes(0x89, b"hi", key),
            frame_bytes(0x00, b"", key),
            frame_bytes(0x80, &second[5..], key),
            frame_bytes(0x82, &message(2), key),
        ]
        .concat()
    }

    fn check(raw_echo: bool, key: Option<[u8; 4]>) {
        let whole = stream(key);
        for cut in 0..whole.len() {
            let (mut conn, mut traffic, _listener) = parts(raw_echo);
            conn.sent = 3;
            let mut bytes = whole.clone();
            let (one, two) = bytes.split_at_mut(cut);
            feed(&mut conn, one, &mut traffic, 110).unwrap();
            feed(&mut conn, two, &mut traffic, 110).unwrap();
            let tally = traffic.stats.tally;
            assert_eq!((tally.received, tally.corrupt, tally.reordered), (3, 0, 0), "cut at {cut}");
            assert!(conn.rest.is_none(), "nothing is kept, cut at {cut}");
            let pong = Header::decode(&traffic.out[crate::traffic::OUT_SKEW..]).unwrap().unwrap();
            assert_eq!((pong.opcode, pong.payload_bytes), (opcode::PONG, 2));
        }
    }

    #[test]
    fn a_servers_frames_come_out_the_same_at_every_split() {
        check(false, None);
    }

    #[test]
    fn raw_echo_takes_masked_frames_at_every_split_and_unmasked_ones_too() {
        check(true, Some([0x9C, 0x00, 0xFF, 0x31]));
        check(true, None);
    }

    #[test]
    fn without_raw_echo_a_masked_frame_ends_the_connection() {
        let (mut conn, mut traffic, _listener) = parts(false);
        conn.sent = 1;
        let mut bytes = frame_bytes(0x82, &message(0), Some([1, 2, 3, 4]));
        let end = feed(&mut conn, &mut bytes, &mut traffic, 110).unwrap_err();
        assert!(
            matches!(end, End::Violation(what) if what.contains("masked") && what.contains("--raw-echo")),
            "{end}"
        );
        assert_eq!(traffic.stats.tally.received, 0);
    }

    #[test]
    fn what_breaks_the_protocol_ends_the_connection() {
        for (bytes, word) in [
            (frame_bytes(0x80, b"x", None), "continuation"),
            ([frame_bytes(0x02, b"x", None), frame_bytes(0x82, b"y", None)].concat(), "inside"),
            (frame_bytes(0x88, &1001u16.to_be_bytes(), None), "code 1001"),
            (frame_bytes(0x88, b"", None), "code 1005"),
        ] {
            let (mut conn, mut traffic, _listener) = parts(false);
            let end = feed(&mut conn, &mut bytes.clone(), &mut traffic, 110).unwrap_err().to_string();
            assert!(end.contains(word), "{end}");
        }
    }
}

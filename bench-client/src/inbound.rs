//! From bytes read to whole messages, by throng's own decoder in the client's role. Called by the worker after every
//! read; hands messages to the traffic.

use throng::base::cause::Cause;
use throng::proto::ws::{Decoder, Item, Limits, Message, Opcode, Role, close};

use crate::conn::{Conn, Phase};
use crate::socketio::packet_of;
use crate::traffic::Traffic;
use crate::trust::Failure;

/// What is taken from a server: messages of 64 MiB, four times the largest this client sends, in any number of
/// fragments that a server might think of.
pub(crate) const LIMITS: Limits = Limits { message_bytes_max: 64 << 20, fragments_max: 1 << 16 };

/// Why a connection is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// The server sent a close frame with this code (1005: none, RFC 6455 §7.1.5).
    Closed(u16),
    /// The server broke the protocol, as a decoder with this role sees it.
    Violation(Cause, Role),
    /// The server ended or refused what is spoken above WebSocket, in words that continue "the server …".
    Refused(String),
    /// The server ended TCP without a close frame.
    Eof,
    /// The kernel reported an error.
    Failed(std::io::ErrorKind),
    /// TLS failed, in a whole sentence.
    Insecure(String),
}

impl End {
    /// What an error of a socket, or of its TLS, is.
    pub(crate) fn of(error: &std::io::Error) -> Self {
        match Failure::within(error) {
            Some(sentence) => Self::Insecure(sentence.to_owned()),
            None => Self::Failed(error.kind()),
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed(code) => write!(f, "the server closed a connection with code {code}"),
            Self::Violation(cause, role) => {
                write!(f, "the server broke RFC 6455: {}", cause.row().sentence)?;
                match (cause, role) {
                    (Cause::BadFrame, Role::Client) => {
                        f.write_str(" (if it is masked, from a server that echoes bytes: --raw-echo)")
                    }
                    (Cause::BadFrame, Role::Server) => f.write_str(" (--raw-echo expects masked frames)"),
                    _ => Ok(()),
                }
            }
            Self::Refused(what) => write!(f, "the server {what}"),
            Self::Eof => f.write_str("the server ended a connection without a close frame"),
            Self::Failed(kind) => write!(f, "a connection failed: {kind}"),
            Self::Insecure(sentence) => f.write_str(sentence),
        }
    }
}

/// Takes bytes that were read from `conn` at `now`, behind what went straight to its carry. Replies (pongs, the
/// answer to a close) are left in the traffic's output.
///
/// # Errors
/// Why the connection is over.
pub(crate) fn feed(conn: &mut Conn, bytes: &mut [u8], traffic: &mut Traffic, now: u64) -> Result<(), End> {
    if conn.phase == Phase::Closing {
        // Its accounts are made up: what comes only now was lost, and is not reordered as well.
        return feed_to(conn, bytes, traffic, now, |_, _, _, _| Ok(()));
    }
    if traffic.socket_io.is_some() {
        return feed_to(conn, bytes, traffic, now, |traffic, conn, message, now| {
            traffic.packet(conn, packet_of(message), now)
        });
    }
    if conn.phase == Phase::Joining {
        return feed_to(conn, bytes, traffic, now, |traffic, conn, message, now| {
            match (conn.phase, traffic.worded.is_some()) {
                (Phase::Joining, _) => traffic.scripted(conn, message.as_bytes(), now),
                (_, true) => traffic.worded(conn, message, now),
                (_, false) => traffic.message(conn, message, now),
            }
            Ok(())
        });
    }
    if traffic.worded.is_some() {
        return feed_to(conn, bytes, traffic, now, |traffic, conn, message, now| {
            traffic.worded(conn, message, now);
            Ok(())
        });
    }
    feed_to(conn, bytes, traffic, now, |traffic, conn, message, now| {
        traffic.message(conn, message, now);
        Ok(())
    })
}

/// The same, with who takes the messages settled: what is spoken is not asked for each of them again.
#[inline]
fn feed_to(
    conn: &mut Conn,
    bytes: &mut [u8],
    traffic: &mut Traffic,
    now: u64,
    take: impl Fn(&mut Traffic, &mut Conn, Message<'_>, u64) -> Result<(), End>,
) -> Result<(), End> {
    let carry = conn.rest.as_mut().and_then(|rest| rest.carry.take());
    let mut decoder = Decoder::new(traffic.role, LIMITS, carry, bytes).agreed(traffic.agreed);
    let result = loop {
        if let Some(message) = decoder.next_common() {
            match message {
                Ok(message) => {
                    if let Err(end) = take(traffic, conn, message, now) {
                        break Err(end);
                    }
                }
                Err(cause) => break Err(End::Violation(cause, traffic.role)),
            }
            continue;
        }
        match decoder.next(&mut traffic.store) {
            Ok(Some(Item::Message(message))) => {
                if let Err(end) = take(traffic, conn, message, now) {
                    break Err(end);
                }
            }
            Ok(None) => break Ok(()),
            Ok(Some(Item::Ping(payload))) => traffic.output.append(Opcode::Pong, payload),
            Ok(Some(Item::Pong(_))) => {}
            Ok(Some(Item::Close { code, .. })) => {
                // §5.5.1: the close is answered in kind, unless ours came first.
                if conn.phase == Phase::Open {
                    let code = code.map(u16::to_be_bytes);
                    traffic.output.append(Opcode::Close, code.as_ref().map_or(&[][..], |code| &code[..]));
                }
                break Err(End::Closed(code.unwrap_or(close::NO_STATUS)));
            }
            Err(cause) => break Err(End::Violation(cause, traffic.role)),
        }
    };
    let finished = decoder.finish(&mut traffic.store);
    if let Some(buffer) = finished.retired {
        traffic.store.buffers.give(buffer);
    }
    if finished.carry.is_some() {
        conn.rest().carry = finished.carry;
    } else {
        conn.tidy();
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;
    use crate::conn::Opening;
    use crate::payload::{Kind, STAMP_BYTES, Stamp, filler};
    use throng::proto::ws::Store;
    use throng::proto::ws::encode::{header, masked_header};
    use throng::proto::ws::mask::unmask;

    fn parts(flags: &str) -> (Conn, Traffic, std::net::TcpListener) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = mio::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let opening = Opening { attempt: 1, ..Opening::default() };
        let mut conn = Conn::new(stream, 3, false, opening);
        conn.phase = Phase::Open;
        conn.rest = None;
        let mut traffic = Traffic::for_test(flags);
        traffic.window = (0, SECOND);
        (conn, traffic, listener)
    }

    fn frame(opcode: Opcode, fin: bool, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
        let Some(key) = key else {
            return [header(opcode, fin, payload.len()).as_bytes(), payload].concat();
        };
        let mut masked = payload.to_vec();
        unmask(&mut masked, key, 0);
        [masked_header(opcode, fin, payload.len(), key).as_bytes(), &masked].concat()
    }

    fn message(sequence: u32, size: usize) -> Vec<u8> {
        let stamp = Stamp { kind: Kind::Echo, connection: 3, sequence, intended: 10, slip: 0 };
        [&stamp.encode()[..], &filler(size, STAMP_BYTES)].concat()
    }

    /// Three echoes, the second in three fragments around a ping.
    fn stream(key: Option<[u8; 4]>) -> Vec<u8> {
        let second = message(1, 200);
        [
            frame(Opcode::Binary, true, &message(0, 200), key),
            frame(Opcode::Binary, false, &second[..5], key),
            frame(Opcode::Ping, true, b"hi", key),
            frame(Opcode::Continue, false, b"", key),
            frame(Opcode::Continue, true, &second[5..], key),
            frame(Opcode::Binary, true, &message(2, 200), key),
        ]
        .concat()
    }

    fn check(flags: &str, key: Option<[u8; 4]>) {
        let whole = stream(key);
        for cut in 0..whole.len() {
            let (mut conn, mut traffic, _listener) = parts(flags);
            conn.sent = 3;
            let mut bytes = whole.clone();
            let (one, two) = bytes.split_at_mut(cut);
            feed(&mut conn, one, &mut traffic, 110).unwrap();
            feed(&mut conn, two, &mut traffic, 110).unwrap();
            let tally = traffic.stats.tally;
            assert_eq!((tally.received, tally.corrupt, tally.reordered), (3, 0, 0), "cut at {cut}");
            assert!(conn.rest.is_none(), "nothing is kept, cut at {cut}");
            let mut pong = traffic.output.as_bytes().to_vec();
            let mut decoder = Decoder::new(Role::Server, LIMITS, None, &mut pong);
            let mut store = Store::new();
            assert_eq!(decoder.next(&mut store), Ok(Some(Item::Pong(b"hi"))), "cut at {cut}");
        }
    }

    #[test]
    fn a_servers_frames_come_out_the_same_at_every_split() {
        check("--size 200", None);
    }

    #[test]
    fn raw_echo_takes_the_clients_own_frames_at_every_split() {
        check("--size 200 --raw-echo", Some([0x9C, 0x00, 0xFF, 0x31]));
    }

    #[test]
    fn a_large_message_is_read_into_its_place_and_checked_to_its_last_byte() {
        use std::io::Write;
        let size = 1 << 20;
        for spoilt in [None, Some(16), Some(size / 2), Some(size - 1)] {
            let (mut conn, mut traffic, listener) = parts("--size 1MiB");
            let mut server = listener.accept().unwrap().0;
            server.set_nonblocking(true).unwrap();
            conn.sent = 1;
            let mut payload = message(0, size);
            if let Some(at) = spoilt {
                payload[at] ^= 1;
            }
            let bytes = frame(Opcode::Binary, true, &payload, None);
            let (mut scratch, mut written, mut read, mut straight) = (vec![0; 64 << 10], 0, 0, 0);
            while read < bytes.len() {
                if written < bytes.len() {
                    written += server.write(&bytes[written..]).unwrap_or(0);
                }
                let Ok(arrived) = conn.read(&mut scratch, &mut traffic.store) else { continue };
                read += arrived.bytes;
                straight += arrived.bytes - arrived.in_scratch;
                feed(&mut conn, &mut scratch[..arrived.in_scratch], &mut traffic, 110).unwrap();
            }
            let tally = traffic.stats.tally;
            assert_eq!((tally.received, tally.corrupt), if spoilt.is_none() { (1, 0) } else { (0, 1) });
            assert!(conn.rest.is_none());
            assert!(straight > size / 2, "{straight} bytes went past the scratch");
        }
    }

    #[test]
    fn masked_and_unmasked_are_not_mistaken_for_each_other() {
        for (flags, key) in [("--size 200", Some([1, 2, 3, 4])), ("--size 200 --raw-echo", None)] {
            let (mut conn, mut traffic, _listener) = parts(flags);
            conn.sent = 1;
            let mut bytes = frame(Opcode::Binary, true, &message(0, 200), key);
            let end = feed(&mut conn, &mut bytes, &mut traffic, 110).unwrap_err();
            assert!(matches!(end, End::Violation(Cause::BadFrame, _)), "{flags}: {end}");
            assert!(end.to_string().contains("masked") && end.to_string().contains("--raw-echo"), "{end}");
            assert_eq!(traffic.stats.tally.received, 0);
        }
    }

    #[test]
    fn what_comes_behind_the_run_is_not_judged() {
        let (mut conn, mut traffic, _listener) = parts("--size 200");
        conn.sent = 3;
        conn.echoes.give_up(3);
        conn.phase = Phase::Closing;
        let mut bytes = [stream(None), frame(Opcode::Close, true, b"", None)].concat();
        assert_eq!(feed(&mut conn, &mut bytes, &mut traffic, 110), Err(End::Closed(1005)));
        let tally = traffic.stats.tally;
        assert_eq!((tally.received, tally.reordered, conn.echoes.missing()), (0, 0, 3));
    }

    #[test]
    fn what_breaks_the_protocol_and_what_ends_a_connection_is_told() {
        let two =
            [frame(Opcode::Binary, false, b"x", None), frame(Opcode::Binary, true, b"y", None)].concat();
        for (bytes, word) in [
            (frame(Opcode::Continue, true, b"x", None), "breaks the protocol"),
            (two, "breaks the protocol"),
            (vec![0x82, 127, 0, 0, 0, 0, 4, 0, 0, 1], "too big"),
            (frame(Opcode::Text, true, b"\xff", None), "UTF-8"),
            (frame(Opcode::Close, true, &1001u16.to_be_bytes(), None), "code 1001"),
            (frame(Opcode::Close, true, b"", None), "code 1005"),
        ] {
            let (mut conn, mut traffic, _listener) = parts("--size 200");
            let end = feed(&mut conn, &mut bytes.clone(), &mut traffic, 110).unwrap_err().to_string();
            assert!(end.contains(word), "{end}");
            let is_answered = !traffic.output.as_bytes().is_empty();
            assert_eq!(is_answered, end.contains("code"), "a close is answered in kind: {end}");
        }
    }
}

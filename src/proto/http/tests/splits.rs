//! However its bytes arrive, a head is the same head.

use proptest::prelude::*;

use super::super::scan::LOOKED_AT;
use super::super::{HeadScan, HeaderSlots, LEADING_CRLFS_MAX, Request};
use super::judge;

/// Heads and what is none, each followed by bytes that belong to something else.
const STREAMS: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nrest",
    b"\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n\nrest",
    b"GET / HTTP/1.1\r\nHost: a\n\r\nrest",
    b"GET / HTTP/1.1\r\nHost: a\r\n\nrest",
    b"GET / HTTP/1.0\r\n\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    b"\r\r\nGET / HTTP/1.1\r\n\r\n",
    b"GET\r\n\r\r\n\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n",
    b"",
];

/// Feeds `stream` in pieces that end at `ends` and at its own end; returns the head's length, and with how many bytes
/// it was found.
fn find_in_pieces(stream: &[u8], ends: impl IntoIterator<Item = usize>, most: usize) -> (String, usize) {
    let mut scan = HeadScan::new();
    for end in ends.into_iter().chain([stream.len()]) {
        let found = scan.find_within(&stream[..end], most);
        if found != Ok(None) {
            return (format!("{found:?}"), end);
        }
    }
    (String::from("incomplete"), stream.len())
}

#[test]
fn every_split_of_a_head_finds_the_same_end() {
    for stream in STREAMS {
        for most in [usize::MAX, 40, 28, 3] {
            let (whole, _) = find_in_pieces(stream, [], most);
            let (bytewise, seen) = find_in_pieces(stream, 0..stream.len(), most);
            assert_eq!(bytewise, whole, "byte by byte: {:?}", String::from_utf8_lossy(stream));
            for first in 0..=stream.len() {
                for second in first..=stream.len() {
                    let (pieced, _) = find_in_pieces(stream, [first, second], most);
                    assert_eq!(pieced, whole, "{first}, {second}: {:?}", String::from_utf8_lossy(stream));
                }
            }
            let accepted = judge(stream, |_| ()).is_some_and(|judged| judged.is_ok());
            if accepted && whole.starts_with("Ok") {
                assert_eq!(whole, format!("Ok(Some({seen}))"), "found with its last byte");
            }
        }
    }
}

#[test]
fn no_byte_of_a_dribbled_head_is_looked_at_twice() {
    // What was seen is overwritten with the end of a head: whoever looked again would find it there.
    let mut head = b"GET / HTTP/1.1\r\nX: ".to_vec();
    head.resize(16 << 10, b'a');
    head.extend_from_slice(b"\r\nY: 1\r\n\r\n");
    let mut scan = HeadScan::new();
    for end in 1..head.len() {
        assert_eq!(scan.find(&head[..end]), None, "{end}");
        if end >= 3 {
            head[end - 3] = b'\n';
        }
    }
    assert_eq!(scan.find(&head), Some(head.len()));
}

/// Pieces that come close to being heads, and often are.
fn pieces_of_heads() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(&b"\r\n"[..]),
        1 => Just(&b"\n"[..]),
        1 => Just(&b"\r"[..]),
        2 => Just(&b"GET / HTTP/1.1\r\n"[..]),
        1 => Just(&b"POST http://h/x?y HTTP/1.0\r\n"[..]),
        2 => Just(&b"Host: a\r\n"[..]),
        1 => Just(&b"Content-Length: 12"[..]),
        1 => Just(&b"Transfer-Encoding: chunked"[..]),
        1 => Just(&b"X: \xff\0\t"[..]),
        1 => Just(&b": , ;"[..]),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_give_the_same_verdict(
        stream in pieces_of_heads(),
        mut ends in prop::collection::vec(0usize..200, 0..6),
        most in 1usize..200,
    ) {
        ends.iter_mut().for_each(|end| *end = (*end).min(stream.len()));
        ends.sort_unstable();
        prop_assert_eq!(find_in_pieces(&stream, ends, most).0, find_in_pieces(&stream, [], most).0);
    }

    #[test]
    fn what_is_accepted_is_what_httparse_reads(
        stream in prop_oneof![pieces_of_heads(), prop::collection::vec(any::<u8>(), 0..300)],
    ) {
        let Some(length) = HeadScan::new().find(&stream) else { return Ok(()) };
        prop_assert!(length <= stream.len());
        let mut slots = HeaderSlots::new();
        let Ok(request) = Request::parse(&stream[..length], &mut slots) else { return Ok(()) };
        let mut fields = [httparse::EMPTY_HEADER; 100];
        let mut raw = httparse::Request::new(&mut fields);
        prop_assert_eq!(raw.parse(&stream), Ok(httparse::Status::Complete(length)));
        prop_assert_eq!((raw.method, raw.path), (Some(request.method()), Some(request.target())));
        prop_assert!(request.headers().eq(raw.headers.iter().map(|field| (field.name, field.value))));
        prop_assert!(request.path().starts_with('/'));
        // One line is one CRLF: no reader of lines can see another request in it.
        let lines = stream[..length].iter().filter(|&&byte| byte == b'\n').count();
        let leading = lines - raw.headers.len() - 2;
        prop_assert!(leading <= LEADING_CRLFS_MAX);
    }
}

/// However small the pieces are that a head comes in, the search looks at each byte once or twice.
#[test]
fn a_dribbled_head_of_8_mib_is_looked_at_once() {
    const BYTES: usize = 8 << 20;
    let line = format!("X: {}\r\n", "x".repeat(BYTES / 32));
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", line.repeat(31)).into_bytes();
    for piece in [1, 7, 1000] {
        let mut scan = HeadScan::new();
        LOOKED_AT.set(0);
        let ends = (piece..head.len()).step_by(piece);
        for end in ends {
            assert_eq!(scan.find_within(&head[..end], 16 << 20), Ok(None));
        }
        assert_eq!(scan.find_within(&head, 16 << 20), Ok(Some(head.len())));
        let looked_at = LOOKED_AT.get();
        assert!(looked_at < 3 * head.len(), "{looked_at} bytes for {} in pieces of {piece}", head.len());
    }
}

//! Which heads are requests, which are not, and what is read from those that are.

use super::super::{Framing, HEAD_FIELDS_MAX, HeadScan, HeaderSlots, Request};
use super::judge;
use crate::base::cause::Cause::{self, BadHead, CodingNotSupported, HeadTooLarge, VersionNotSupported};

/// Heads that are refused, with why. Each differs from a good one by what its line shows.
const REFUSED: &[(&str, Cause)] = &[
    // No request line, or one of another protocol.
    ("\x16\x03\x01\x02\x00\x01", BadHead),
    (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("GET\r\n\r\n", BadHead),
    ("GET /\r\n\r\n", BadHead),
    ("GET / \r\n\r\n", BadHead),
    ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", BadHead),
    ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    // Versions.
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", VersionNotSupported),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", VersionNotSupported),
    ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", VersionNotSupported),
    ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", VersionNotSupported),
    ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", BadHead),
    ("GET / HTTP/11\r\nHost: a\r\n\r\n", BadHead),
    ("GET / HTTP/1\r\nHost: a\r\n\r\n", BadHead),
    ("GET / http/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("GET / HTTP/a.b\r\nHost: a\r\n\r\n", BadHead),
    ("GET / RTSP/1.0\r\nHost: a\r\n\r\n", BadHead),
    // Targets that are no path of this server.
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", BadHead),
    ("GET index.html HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("GET ?x HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("GET http://:80/a HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("GET http://me@a/ HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    ("GET http://a:80b/ HTTP/1.1\r\nHost: a\r\n\r\n", BadHead),
    // Hosts and origins.
    ("GET / HTTP/1.1\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n", BadHead),
    ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", BadHead),
    ("GET http://a/ HTTP/1.1\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: me@a\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: []\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: [::1]80\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: ä\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nOrigin: http://b\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://ä\r\n\r\n", BadHead),
    // Fields.
    ("GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a\r\nX\t: 1\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\tfolded\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\n X: 1\r\nHost: a\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a\r\nX\0: 1\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: 1\0\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: \x0b1\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: 1\rY: 2\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a\r\nÄ: 1\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\nHost: a\r\n\r\n", BadHead),
    ("GET / HTTP/1.1\nHost: a\n\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a\r\n\n", BadHead),
    ("GET / HTTP/1.1\r\nHost: a\n\r\n", BadHead),
    // Lengths: the classics of request smuggling.
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5,6\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5.0\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \"5\"\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", BadHead),
    ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", BadHead),
    ("POST / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nX: X\nTransfer-Encoding: chunked\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", BadHead),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", CodingNotSupported),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", CodingNotSupported),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", CodingNotSupported),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", CodingNotSupported),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", CodingNotSupported),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", CodingNotSupported),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", CodingNotSupported),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n", CodingNotSupported),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", CodingNotSupported),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
        CodingNotSupported,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        CodingNotSupported,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        CodingNotSupported,
    ),
];

#[test]
fn what_is_no_request_is_refused_for_what_it_is() {
    for (head, cause) in REFUSED {
        let judged = judge(head.as_bytes(), |request| format!("{request:?}"));
        assert_eq!(judged, Some(Err(*cause)), "{head:?}");
    }
}

/// Heads that are requests: target, path, query, host, framing.
type Read = (&'static str, &'static str, Option<&'static str>, Option<&'static str>, Framing);
const READ: &[Read] = &[
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "/", None, Some("a"), Framing::None),
    ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "/", None, Some("a"), Framing::None),
    ("\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "/", None, Some("a"), Framing::None),
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", "/", None, Some(""), Framing::None),
    ("GET / HTTP/1.1\r\nHOST:a:8080 \r\n\r\n", "/", None, Some("a:8080"), Framing::None),
    ("GET / HTTP/1.1\r\nHost:\t[::1]:80\t\r\n\r\n", "/", None, Some("[::1]:80"), Framing::None),
    ("GET / HTTP/1.0\r\n\r\n", "/", None, None, Framing::None),
    ("GET /a/b?c=d?e HTTP/1.1\r\nHost: a\r\n\r\n", "/a/b", Some("c=d?e"), Some("a"), Framing::None),
    ("GET /? HTTP/1.1\r\nHost: a\r\n\r\n", "/", Some(""), Some("a"), Framing::None),
    ("GET //a/../%2e HTTP/1.1\r\nHost: a\r\n\r\n", "//a/../%2e", None, Some("a"), Framing::None),
    ("GET /ä|{} HTTP/1.1\r\nHost: a\r\n\r\n", "/ä|{}", None, Some("a"), Framing::None),
    ("GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", "/", None, Some("b"), Framing::None),
    ("GET HTTP://b:1/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "/x", Some("y"), Some("b:1"), Framing::None),
    ("GET https://b?y HTTP/1.1\r\nHost: a\r\n\r\n", "/", Some("y"), Some("b"), Framing::None),
    ("GET http://b/ HTTP/1.0\r\n\r\n", "/", None, Some("b"), Framing::None),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: \u{e4}\r\nY:\r\n\r\n", "/", None, Some("a"), Framing::None),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "/", None, Some("a"), Framing::Length(0)),
    ("POST / HTTP/1.1\r\nHost: a\r\ncontent-length:005\r\n\r\n", "/", None, Some("a"), Framing::Length(5)),
    (
        "POST / HTTP/1.0\r\nContent-Length: 18446744073709551615\r\n\r\n",
        "/",
        None,
        None,
        Framing::Length(u64::MAX),
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n",
        "/",
        None,
        Some("a"),
        Framing::Chunked,
    ),
    ("POST / HTTP/1.1\r\nHost: a\r\nX-Content-Length: 9\r\n\r\n", "/", None, Some("a"), Framing::None),
];

#[test]
fn what_is_a_request_is_read_in_one_way() {
    for (head, path, query, host, framing) in READ {
        let judged = judge(head.as_bytes(), |request| {
            assert_eq!((request.path(), request.query()), (*path, *query), "{head:?}");
            assert_eq!((request.host(), request.framing()), (*host, *framing), "{head:?}");
        });
        assert_eq!(judged, Some(Ok(())), "{head:?}");
    }
}

#[test]
fn fields_are_found_in_any_case_and_keep_their_order() {
    let head = b"PATCH /x HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-a:  2\t\r\nX-B: \xff\r\nOrigin: https://o\r\n\
        Sec-WebSocket-Protocol: chat, sup er,,\r\nsec-websocket-protocol: mqtt\r\n\r\n";
    let judged = judge(head, |request| {
        assert_eq!((request.method(), request.target(), request.version_minor()), ("PATCH", "/x", 1));
        assert_eq!(request.header("x-A"), Some("1"));
        assert_eq!(request.header_all("X-a").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!((request.header("x-b"), request.header("x-c")), (None, None));
        assert_eq!(request.headers().nth(3), Some(("X-B", &b"\xff"[..])));
        assert_eq!(request.origin(), Some("https://o"));
        assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["chat", "mqtt"]);
    });
    assert_eq!(judged, Some(Ok(())));
}

#[test]
fn persistence_and_upgrade_follow_connection() {
    // The fields, then: kept alive in 1.0, in 1.1, an upgrade to WebSocket.
    let table = [
        ("", false, true, false),
        ("Connection: close\r\n", false, false, false),
        ("Connection: Keep-Alive\r\n", true, true, false),
        ("Connection: keep-alive, CLOSE\r\n", false, false, false),
        ("Connection: keep-alive\r\nConnection: x , close\r\n", false, false, false),
        ("Connection: closed\r\n", false, true, false),
        ("Connection: Upgrade\r\n", false, true, false),
        ("Upgrade: websocket\r\n", false, true, false),
        ("Connection: Upgrade\r\nUpgrade: WebSocket\r\n", false, true, true),
        ("Connection: keep-alive,upgrade\r\nUpgrade: h2c, websocket\r\n", true, true, true),
        ("Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: websocket\r\n", true, true, true),
        ("Connection: Upgrade\r\nUpgrade: websockets\r\n", false, true, false),
        ("Connection: Upgraded\r\nUpgrade: websocket\r\n", false, true, false),
    ];
    for (fields, kept_in_0, kept_in_1, upgrade) in table {
        for (minor, kept) in [(0, kept_in_0), (1, kept_in_1)] {
            let head = format!("GET / HTTP/1.{minor}\r\nHost: a\r\n{fields}\r\n");
            let judged = judge(head.as_bytes(), |request| (request.keep_alive(), request.is_upgrade()));
            assert_eq!(judged, Some(Ok((kept, upgrade))), "{head:?}");
        }
    }
}

#[test]
fn a_client_is_told_to_continue_only_where_it_waits_for_that() {
    let table = [
        ("1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n", true),
        ("1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n", true),
        ("1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n", false),
        ("1.1\r\nHost: a\r\nContent-Length: 1\r\n", false),
        ("1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n", false),
    ];
    for (rest, expected) in table {
        let head = format!("POST / HTTP/{rest}\r\n");
        let judged = judge(head.as_bytes(), |request| request.expects_continue());
        assert_eq!(judged, Some(Ok(expected)), "{head:?}");
    }
}

#[test]
fn the_limits_hold_to_the_byte_and_to_the_field() {
    for (count, expected) in [(HEAD_FIELDS_MAX - 1, Ok(())), (HEAD_FIELDS_MAX, Err(HeadTooLarge))] {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(count));
        assert_eq!(judge(head.as_bytes(), |_| ()), Some(expected), "{count} fields and Host");
    }
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut longer = head.to_vec();
    longer.extend_from_slice(b"the next bytes");
    for bytes in [&head[..], &longer] {
        assert_eq!(HeadScan::new().find_within(bytes, head.len()), Ok(Some(head.len())));
        assert_eq!(HeadScan::new().find_within(bytes, head.len() - 1), Err(HeadTooLarge));
    }
    assert_eq!(HeadScan::new().find_within(&head[..20], 21), Ok(None));
    assert_eq!(HeadScan::new().find_within(&head[..20], 20), Err(HeadTooLarge));
}

#[test]
fn parse_takes_a_head_and_nothing_else() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for bytes in [&head[..head.len() - 1], b"GET / HTTP/1.1\r\nHost: a\r\n\r\nG", b"\r\n", b""] {
        assert_eq!(Request::parse(bytes, &mut HeaderSlots::new()).map(|_| ()), Err(BadHead), "{bytes:?}");
    }
}

//! Responses as they go over the wire.

use super::super::{CONTINUE, Response};
use crate::base::cause::{Cause, TABLE};

fn encode(response: &Response, head_only: bool, keep_alive: bool) -> String {
    let mut out = Vec::new();
    response.encode(&mut out, head_only, keep_alive);
    String::from_utf8(out).unwrap()
}

#[test]
fn responses_have_the_fields_that_frame_them() {
    let table = [
        (
            Response::text("hi"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\
             Connection: keep-alive\r\n\r\nhi",
        ),
        (
            Response::html(String::from("<p>")).status(404),
            "HTTP/1.1 404 Not Found\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 3\r\n\
             Connection: keep-alive\r\n\r\n<p>",
        ),
        (
            Response::json("{}").header("X", "1").header("x", "2"),
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
             Connection: keep-alive\r\nX: 1\r\nx: 2\r\n\r\n{}",
        ),
        (
            Response::text("a{}").header("content-type", "text/css"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\na{}",
        ),
        (Response::new(200), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"),
        (
            Response::new(205),
            "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
        ),
        (
            Response::new(204).body(b"not sent".to_vec()),
            "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n",
        ),
        (
            Response::new(304).header("ETag", "\"1\"").body(&b"not sent"[..]),
            "HTTP/1.1 304 Not Modified\r\nConnection: keep-alive\r\nETag: \"1\"\r\n\r\n",
        ),
        (Response::new(103), "HTTP/1.1 103 Early Hints\r\nConnection: keep-alive\r\n\r\n"),
        (Response::new(299), "HTTP/1.1 299 \r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"),
        (
            Response::new(99),
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
        ),
        (
            Response::new(200).status(600),
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
        ),
    ];
    for (response, wire) in &table {
        assert_eq!(encode(response, false, true), *wire);
        let closing = wire.replace("Connection: keep-alive", "Connection: close");
        assert_eq!(encode(response, false, false), closing);
        let head = &wire[..wire.find("\r\n\r\n").unwrap() + 4];
        assert_eq!(encode(response, true, true), head, "HEAD tells of the content and does not send it");
    }
}

#[test]
fn no_field_can_begin_another() {
    let table = [
        ("X", "1\r\nSet-Cookie: a", "X: 1  Set-Cookie: a\r\n"),
        ("X", "1\n\0\x7f2\t3", "X: 1   2\t3\r\n"),
        ("X: 1\r\nY", "2", "X--1--Y: 2\r\n"),
        ("X Y", "é", "X-Y: é\r\n"),
        ("", "1", "-: 1\r\n"),
        ("Content-Length", "9", ""),
        ("transfer-encoding", "chunked", ""),
        ("CONNECTION", "close", ""),
    ];
    for (name, value, line) in table {
        let wire = encode(&Response::new(200).header(name, value), false, true);
        let framing = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n";
        assert_eq!(wire, format!("{framing}{line}\r\n"));
    }
    let typed = encode(&Response::new(200).header("Content-Type", "a/b\r\nX: 1"), false, true);
    assert!(typed.contains("Content-Type: a/b  X: 1\r\n"), "{typed}");
}

#[test]
fn every_cause_has_an_answer_that_a_client_can_read() {
    for row in TABLE {
        let response = Response::refusal(row.cause);
        assert!(row.cause.status().is_none_or(|status| status == response.code()), "{}", row.name);
        let wire = encode(&response, false, false);
        let mut fields = [httparse::EMPTY_HEADER; 16];
        let mut raw = httparse::Response::new(&mut fields);
        let length = raw.parse(wire.as_bytes()).unwrap().unwrap();
        assert!(!raw.reason.unwrap().is_empty(), "{}", row.name);
        assert_eq!(&wire[length..], row.sentence);
        assert_eq!(wire.contains("Retry-After: 5\r\n"), raw.code == Some(503), "{wire}");
    }
    assert_eq!(Response::refusal(Cause::ServerStops).code(), 503);
    assert_eq!(Response::refusal(Cause::HandlerPanicked).code(), 500);
    assert_eq!(
        encode(&Response::refusal(Cause::UpgradeRequired), false, false),
        "HTTP/1.1 426 Upgrade Required\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 35\r\n\
         Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n\
         WebSocket version 13 is spoken here"
    );
    let not_allowed = Response::refusal(Cause::MethodNotAllowed).header("Allow", "GET, HEAD");
    assert!(encode(&not_allowed, false, true).contains("\r\nAllow: GET, HEAD\r\n"));
}

#[test]
fn a_client_that_waits_is_told_to_continue() {
    let mut fields = [];
    let mut raw = httparse::Response::new(&mut fields);
    assert_eq!(raw.parse(CONTINUE), Ok(httparse::Status::Complete(CONTINUE.len())));
    assert_eq!(raw.code, Some(100));
}

//! Any fields at all as a WebSocket handshake: where throng and tungstenite both accept, they answer the same.
//!
//! The bytes are the fields of a request whose first line is right.
#![no_main]

use libfuzzer_sys::fuzz_target;
use throng::proto::http::{HeaderSlots, Request};
use throng::proto::ws::deflate::Terms;
use throng::proto::ws::handshake;
use tungstenite::handshake::server::create_response;
use tungstenite::http;

const TERMS: Terms = Terms { window_bits: 15, server_takeover: true, client_takeover: true };

fuzz_target!(|fields: &[u8]| {
    let head = [b"GET /chat HTTP/1.1\r\nHost: a\r\n", fields, b"\r\n\r\n"].concat();
    let mut slots = HeaderSlots::new();
    let Ok(request) = Request::parse(&head, &mut slots) else { return };
    let Ok(accept) = handshake::check(&request) else { return };

    let mut answer = Vec::new();
    assert!(accept.encode(None, Some(TERMS), &mut answer).is_ok());
    let answer = String::from_utf8(answer).expect("a response is ASCII");
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\n"));
    assert_eq!(answer.matches("\r\n\r\n").count(), 1, "nothing of the request can end the response early");
    for offered in request.subprotocols() {
        let mut chosen = Vec::new();
        assert!(accept.encode(Some(offered), None, &mut chosen).is_ok(), "what is offered can be chosen");
        assert!(chosen.is_ascii() && chosen.windows(4).filter(|end| *end == b"\r\n\r\n").count() == 1);
    }

    let mut theirs = http::Request::builder().uri(request.target());
    for (name, value) in request.headers() {
        theirs = theirs.header(name, value);
    }
    let Ok(theirs) = theirs.body(()) else { return };
    if let Ok(response) = create_response(&theirs) {
        let key = response.headers()["Sec-WebSocket-Accept"].to_str().expect("base64 is ASCII");
        assert!(answer.contains(&format!("\r\nSec-WebSocket-Accept: {key}\r\n")));
    }
});

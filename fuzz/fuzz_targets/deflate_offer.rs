//! Any bytes at all as `Sec-WebSocket-Extensions`: what is answered was offered, and is what was agreed on.
//!
//! The first byte chooses the server's terms, the rest is the field; at each NUL another one begins.
#![no_main]

use libfuzzer_sys::fuzz_target;
use throng::proto::ws::deflate::{Offers, Terms};

fuzz_target!(|data: &[u8]| {
    let [choice, fields @ ..] = data else { return };
    let terms = Terms {
        window_bits: 9 + choice % 7,
        server_takeover: choice & 0x40 != 0,
        client_takeover: choice & 0x80 != 0,
    };
    let offers = Offers::parse(fields.split(|&byte| byte == 0));
    let agreed = offers.agree(terms);
    let mut answer = Vec::new();
    offers.answer(terms, &mut answer);
    assert_eq!(agreed.is_on(), !answer.is_empty());
    if answer.is_empty() {
        return;
    }
    let answer = String::from_utf8(answer).expect("an answer is ASCII");
    let mut parts = answer.split("; ");
    assert_eq!(parts.next(), Some("permessage-deflate"));
    let parts: Vec<_> = parts.collect();
    assert_eq!(parts.contains(&"server_no_context_takeover"), !agreed.server_takeover());
    assert_eq!(parts.contains(&"client_no_context_takeover"), !agreed.client_takeover());
    assert!(agreed.server_bits() <= terms.window_bits);
    assert!((!agreed.server_takeover() || terms.server_takeover) && (!agreed.client_takeover() || terms.client_takeover));
    let bits = |name: &str| parts.iter().find_map(|part| part.strip_prefix(name)?.parse::<u8>().ok());
    assert_eq!(bits("server_max_window_bits=").unwrap_or(15), agreed.server_bits());
    assert_eq!(bits("client_max_window_bits=").unwrap_or(15), agreed.client_bits());
    // What a server answers is an offer that it would itself accept, and comes to the same.
    if agreed.client_bits() >= 9 {
        let again = Offers::parse([answer.as_bytes()].into_iter()).agree(Terms { window_bits: 15, ..terms });
        assert_eq!(again, agreed, "{answer}");
    }
});

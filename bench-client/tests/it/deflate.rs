//! Compressed messages: sent, inflated and judged as any others, and refused where the server does not agree.

use std::io::{Read, Write};

use tungstenite::handshake::derive_accept_key;

use crate::house::throng;
use crate::support::{assert_clean, bench, bench_with, echo, tcp_server};

#[test]
fn compressed_messages_are_sent_inflated_and_checked_in_every_scenario() {
    let address = throng();
    for (flags, size) in [
        (format!("echo ws://{address}/ --pipeline 3"), 3000),
        (format!("echo ws://{address}/ --rate 300 --text"), 3000),
        (format!("mixed ws://{address}/bench --rate 300 --broadcast-every 50ms"), 3000),
        (format!("broadcast ws://{address}/topic/d --every 20ms"), 3000),
        (format!("rooms ws://{address}/topic/${{room}} --rooms 2 --members 4 --rate 100"), 3000),
        (format!("churn ws://{address}/ --rate 300 --churn 50%"), 3000),
        (format!("ack http://{address} --namespace /bench --transport upgrade"), 3000),
        (format!("ack http://{address} --namespace /bench --binary"), 3000),
    ] {
        let connections = if flags.starts_with("rooms") { "" } else { "-c 8" };
        let said =
            bench(&format!("{flags} {connections} --size {size} --duration 300ms --warmup 0s --deflate"));
        assert_clean(&said);
        let (sent, arrived) =
            (said.count("sent") + said.count("published"), said.count("received") + said.count("delivered"));
        assert!(arrived > 0 && said.count("deflated") >= sent, "{flags}: {}", said.stdout);
        assert!(said.count("inflated") >= arrived, "{flags}: {}", said.stdout);
        // An alphabet over and over.
        let (from, to) = (said.count("deflated_from_bytes"), said.count("deflated_to_bytes"));
        assert!(from >= sent * size && to * 10 < from, "{flags}: {}", said.stdout);
        let wire = said.count("bytes_out") + said.count("bytes_in");
        assert!(wire < (sent + arrived) * size / 2, "{flags}: {wire} B, {}", said.stdout);
        let line = format!("deflate       {} sent compressed (from 0 B on)", said.count("deflated"));
        assert!(said.stdout.contains(&line) && said.report["deflate"]["bytes_min"] == 0, "{}", said.stdout);
    }
}

#[test]
fn what_is_short_goes_as_it_is_and_her_own_words_are_found_in_what_is_inflated() {
    let address = throng();
    let flags = format!("echo ws://{address}/ -c 3 --duration 200ms --warmup 0s --deflate");
    // throng compresses from 1 KiB on.
    let said = bench(&format!("{flags} --size 2000 --deflate-min 4KiB"));
    assert_clean(&said);
    assert_eq!(
        (said.count("deflated"), said.count("inflated")),
        (0, said.count("received")),
        "{}",
        said.stdout
    );
    let words = format!("{{\"id\":${{seq}},\"text\":\"{}\"}}", "lorem ipsum ".repeat(200));
    let said = bench_with(&flags, &["--send", &words, "--match", "json:/id"]);
    assert_clean(&said);
    let counts = ["sent", "received", "deflated", "inflated"].map(|name| said.count(name));
    assert!(counts[0] > 0 && counts == [counts[0]; 4], "{}", said.stdout);
}

#[test]
fn a_server_that_does_not_agree_is_named_as_that() {
    for transport in ["", "--protocol socketio --ack --event x"] {
        let said = bench(&format!("echo ws://{} -c 2 --deflate {transport}", echo()));
        assert_eq!(said.code, Some(3), "{}{}", said.stdout, said.stderr);
        let fix = "the server does not agree to compression (permessage-deflate): switch it on there";
        assert!(said.stderr.contains(fix) && said.stderr.contains("without --deflate"), "{}", said.stderr);
    }
}

#[test]
fn a_payload_that_cannot_be_inflated_is_the_servers_fault() {
    let address = tcp_server(|mut stream| {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
            head.extend_from_slice(&byte);
        }
        let head = String::from_utf8_lossy(&head);
        let field = |name: &str| {
            head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
        };
        assert!(field("Sec-WebSocket-Extensions:").contains("server_no_context_takeover"), "{head}");
        let accept = derive_accept_key(field("Sec-WebSocket-Key:").as_bytes());
        let answer = format!(
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\n"
        );
        // A final block of a type that there is none of (RFC 1951 §3.2.3).
        drop(stream.write_all(&[answer.as_bytes(), &[0xC2, 2, 0x07, 0xFF]].concat()));
        while stream.read(&mut byte).is_ok_and(|read| read == 1) {}
    });
    let said = bench(&format!("idle ws://{address} -c 1 --duration 100ms --warmup 0s --deflate"));
    assert_eq!(said.code, Some(1), "{}{}", said.stdout, said.stderr);
    let errors = said.report["errors"].as_object().unwrap();
    assert!(errors.keys().any(|sentence| sentence.contains("compressed")), "{errors:?}");
}

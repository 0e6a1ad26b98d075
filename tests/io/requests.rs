//! Requests under the path: what is asked for wrongly, with the status and the literal body that it is answered.

use super::http::{sid_of, target};
use super::peer::{UNKNOWN, start, talking, with_shards};

const TRANSPORT: (u16, &str) = (400, r#"{"code":0,"message":"Transport unknown"}"#);
const METHOD: (u16, &str) = (400, r#"{"code":2,"message":"Bad handshake method"}"#);
const BAD: (u16, &str) = (400, r#"{"code":3,"message":"Bad request"}"#);
const VERSION: (u16, &str) = (400, r#"{"code":5,"message":"Unsupported protocol version"}"#);

#[test]
fn a_wrong_request_hears_why() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |_| {});
        let mut line = fixture.line();
        let long = "A".repeat(28);
        let far = throng::io::SessionId { random: [7; 15], shard: 999, slot: 0 }.to_string();
        let near = throng::io::SessionId { random: [7; 15], shard: 0, slot: 0 }.to_string();
        for (method, query, expected) in [
            ("GET", "", TRANSPORT),
            ("GET", "?EIO=4", TRANSPORT),
            ("GET", "?EIO=4&transport=abc", TRANSPORT),
            ("POST", "?EIO=4&transport=polling", METHOD),
            ("PUT", "?EIO=4&transport=polling", METHOD),
            ("GET", "?EIO=4&transport=websocket", BAD),
            ("GET", "?EIO=3&transport=polling", VERSION),
            ("GET", "?transport=polling", VERSION),
            ("GET", "?EIO=4&transport=polling&j=1", BAD),
            ("GET", "?EIO=4&transport=polling&sid=abc", UNKNOWN),
            ("POST", "?EIO=4&transport=polling&sid=abc", UNKNOWN),
            ("GET", &format!("?EIO=4&transport=polling&sid={long}"), UNKNOWN),
            ("GET", &format!("?EIO=4&transport=polling&sid={far}"), UNKNOWN),
            ("GET", &format!("?EIO=4&transport=polling&sid={near}"), UNKNOWN),
            ("POST", &format!("?EIO=4&transport=polling&sid={near}"), UNKNOWN),
            ("PUT", &format!("?EIO=4&transport=polling&sid={near}"), BAD),
        ] {
            // All on one connection: a refusal does not end it.
            let answer = line.ask(method, &format!("/socket.io/{query}"), "");
            assert_eq!((answer.status, answer.body.as_str()), expected, "{method} {query}");
            assert_eq!(
                answer.header("Content-Type").as_deref(),
                Some("application/json"),
                "{method} {query}"
            );
        }
        assert_eq!(fixture.ask_websocket("&sid=abc").err(), Some(400));
        assert_eq!(fixture.ask_websocket(&format!("&sid={far}")).err(), Some(400));
        assert_eq!(fixture.ask_websocket(&format!("&sid={near}")).err(), Some(400));
        assert_eq!(fixture.end().counter("io_requests_refused"), Some(16 + 3));
    });
}

#[test]
fn an_open_packet_says_what_was_configured() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |io| {
            io.ping_interval = std::time::Duration::from_millis(12_345);
            io.ping_timeout = std::time::Duration::from_millis(6789);
            io.max_payload = 1234;
        });
        let mut line = fixture.line();
        let answer = line.ask("GET", "/socket.io/?EIO=4&transport=polling", "");
        let packets = answer.packets();
        let sid = sid_of(&packets[0]);
        assert_eq!(
            packets,
            [format!(
                "0{{\"sid\":\"{sid}\",\"upgrades\":[\"websocket\"],\"pingInterval\":12345,\"pingTimeout\":6789,\"maxPayload\":1234}}"
            )]
        );
        assert_eq!(answer.header("Cache-Control").as_deref(), Some("no-store"));
        assert!(usize::from(sid.shard) < shards);
        let mut ws = fixture.ask_websocket("").unwrap();
        let open = ws.text();
        let sid_there = sid_of(&open);
        assert_eq!(
            open,
            packets[0].replace("[\"websocket\"]", "[]").replace(&sid.to_string(), &sid_there.to_string())
        );
        ws.close();
        assert_eq!(line.ask("POST", &target(&sid), "1").body, "ok");
        fixture.stop();
    });
}

#[test]
fn transports_that_are_not_served_are_unknown() {
    let fixture = start(1, talking, |io| io.transports.websocket = false);
    let answer = fixture.line().ask("GET", "/socket.io/?EIO=4&transport=polling", "");
    assert!(answer.body.contains("\"upgrades\":[]"), "{}", answer.body);
    assert_eq!(fixture.ask_websocket("").err(), Some(400));
    fixture.stop();

    let fixture = start(1, talking, |io| io.transports.polling = false);
    let answer = fixture.line().ask("GET", "/socket.io/?EIO=4&transport=polling", "");
    assert_eq!((answer.status, answer.body.as_str()), TRANSPORT);
    fixture.connected();
    fixture.stop();
}

#[test]
fn a_session_of_one_transport_is_none_of_the_other() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |_| {});
        let mut ws = fixture.websocket();
        let sid = ws.sid.unwrap();
        let mut line = fixture.line_off(sid.shard);
        for (method, body) in [("GET", ""), ("POST", "40")] {
            let answer = line.ask(method, &target(&sid), body);
            assert_eq!((answer.status, answer.body.as_str()), BAD);
        }
        ws.enter("/");
        assert_eq!(fixture.said(), "+/");
        ws.close();
        assert_eq!(fixture.said(), "-/ transport close");
        fixture.end();
    });
}

#[test]
fn the_body_of_a_post_has_a_limit() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |io| io.max_payload = 100);
        let mut poller = fixture.polling();
        assert_eq!(fixture.said(), "+/");
        let answer = poller.ask_post("x".repeat(101));
        assert_eq!((answer.status, answer.body.as_str()), (413, ""));
        // It costs nothing else: the session goes on.
        let most = format!("42[\"echo\",\"{}\"]", "x".repeat(100 - 13));
        assert_eq!(most.len(), 100);
        poller.post(&most);
        assert_eq!(poller.next(), most);
        poller.post("1");
        assert_eq!(fixture.said(), "-/ transport close");
        assert_eq!(fixture.end().counter("io_bodies_too_large"), Some(1));
    });
}

#[test]
fn the_packets_of_a_post_have_a_limit() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |io| io.packets_per_payload_max = 3);
        let mut poller = fixture.polling();
        assert_eq!(fixture.said(), "+/");
        poller.post("3\x1e3\x1e3");
        let answer = poller.ask_post("3\x1e3\x1e3\x1e3");
        assert_eq!((answer.status, answer.body.as_str()), BAD);
        assert_eq!(fixture.said(), "-/ parse error");
        poller.is_gone();
        assert_eq!(fixture.end().counter("io_payloads_too_long"), Some(1));
    });
}

#[test]
fn a_post_that_is_not_text_ends_its_session() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |_| {});
        for body in [&b"4\xff"[..], b"", b"x", b"b!", b"3\x1e", b"0"] {
            let mut poller = fixture.polling();
            assert_eq!(fixture.said(), "+/");
            let answer = poller.ask_post(body);
            // An open packet is a packet, but none of a client's.
            assert_eq!(answer.status, if body == b"0" { 200 } else { 400 }, "{body:?}");
            assert_eq!(fixture.said(), "-/ parse error");
            poller.is_gone();
        }
        assert_eq!(fixture.end().counter("io_payloads_malformed"), Some(5));
    });
}

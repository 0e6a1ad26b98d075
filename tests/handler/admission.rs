//! Who gets in: at once, not at all, or when somebody else has decided.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use throng::{Admission, Cause, Origins};
use tungstenite::Message;

use super::probe::{Hooks, frame, rest_of, start, text, with_shards};

const HANDSHAKE: &str = "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
fn at_once() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        let offers = [("sec-websocket-protocol", "chat, mqtt")];
        let _client = fixture.ask("/protocol?mqtt", &offers).unwrap();
        let id = fixture.opened();
        assert_eq!(fixture.on(id, |_, conn| conn.data().clone()), "/protocol");

        let not_offered = fixture.ask("/protocol?soap", &offers).unwrap_err();
        assert_eq!(not_offered.status(), 503);

        let refused = fixture.ask("/refuse", &[]).unwrap_err();
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["x-why"]),
            (401, &"because".parse().unwrap())
        );
        assert_eq!(refused.body().as_deref(), Some(&b"not you"[..]));
        assert_eq!(fixture.ask("/refuse/429", &[]).unwrap_err().status(), 429);
        // It is told to close, whatever it asked for.
        let refused = fixture.http(format!("GET /refuse HTTP/1.1\r\n{HANDSHAKE}"));
        assert!(refused.contains("\r\nConnection: close\r\n"), "{refused}");

        let metrics = fixture.stop();
        assert_eq!(metrics.counter("websockets_opened"), Some(1));
        assert_eq!(metrics.counter("refused"), Some(3));
        assert_eq!(metrics.counter("not_answered"), Some(1));
    });
}

#[test]
fn from_the_right_origin() {
    let fixture = start(1, Hooks::default(), |config| {
        config.origins = Origins::Only(vec!["https://example.org".to_owned()]);
    });
    assert!(fixture.ask("/", &[]).is_ok());
    assert!(fixture.ask("/", &[("origin", "https://example.org")]).is_ok());
    for origin in ["https://example.org.evil.net", "http://example.org", "null", "https://EXAMPLE.org"] {
        assert_eq!(fixture.ask("/", &[("origin", origin)]).unwrap_err().status(), 403, "{origin}");
    }
    assert_eq!(fixture.stop().counter("origin_refused"), Some(4));
}

#[test]
fn decided_on_another_thread() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        let address = fixture.address;
        let asked = thread::spawn(move || {
            let stream = std::net::TcpStream::connect(address).unwrap();
            tungstenite::client(format!("ws://{address}/defer"), stream).unwrap().0
        });
        fixture.deferred().accept("from a thread".to_owned());
        let mut client = asked.join().unwrap();
        let id = fixture.opened();
        assert_eq!(fixture.on(id, |_, conn| conn.data().clone()), "from a thread");
        client.send(Message::text("in")).unwrap();
        assert_eq!(text(&mut client), "in");
        fixture.stop();
    });
}

/// A client at the door, as raw bytes: what it sent, and the stream.
fn at_the_door(fixture: &super::probe::Fixture, behind: &[u8]) -> std::net::TcpStream {
    let mut stream = fixture.stream();
    let mut bytes = format!("GET /defer HTTP/1.1\r\n{HANDSHAKE}").into_bytes();
    bytes.extend_from_slice(behind);
    stream.write_all(&bytes).unwrap();
    stream
}

#[test]
fn deferred_and_answered_in_every_way() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});

        let mut refused = at_the_door(&fixture, b"");
        fixture.deferred().refuse(418);
        assert!(rest_of(&mut refused).starts_with("HTTP/1.1 418 "));

        let mut dropped = at_the_door(&fixture, b"");
        drop(fixture.deferred());
        let answer = rest_of(&mut dropped);
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Retry-After"), "{answer}");

        let mut decided = at_the_door(&fixture, b"");
        fixture.deferred().answer(|probe| {
            probe.say("on its shard");
            Admission::refuse(451)
        });
        assert!(rest_of(&mut decided).starts_with("HTTP/1.1 451 "));
        assert_eq!(fixture.said(), "on its shard");

        let mut twice = at_the_door(&fixture, b"");
        fixture.deferred().answer(|_| Admission::Deferred);
        assert!(rest_of(&mut twice).starts_with("HTTP/1.1 503 "));
        assert_eq!(fixture.ask("/defer/nothing", &[]).unwrap_err().status(), 503);

        let metrics = fixture.stop();
        assert_eq!(metrics.counter("websockets_opened"), Some(0));
        assert_eq!(metrics.counter("not_answered"), Some(3));
        assert_eq!(metrics.counter("refused"), Some(2));
    });
}

#[test]
fn a_refusal_that_was_deferred_ends_the_connection() {
    let fixture = start(1, Hooks::default(), |_| {});
    // Whatever stands behind the request is not taken for another one.
    let mut stream = at_the_door(&fixture, b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    fixture.deferred().refuse(403);
    let answer = rest_of(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("Connection: close"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    fixture.stop();
}

#[test]
fn what_comes_while_the_decision_is_open_is_handed_on_behind_it() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        let mut stream = at_the_door(&fixture, &[frame(0x81, b"one"), frame(0x01, b"t")].concat());
        let pending = fixture.deferred();
        stream.write_all(&[frame(0x80, b"wo"), frame(0x82, b"three")].concat()).unwrap();
        pending.accept(String::new());
        fixture.opened();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        let mut echoes = [0; 17];
        stream.read_exact(&mut echoes).unwrap();
        assert_eq!(&echoes, b"\x81\x03one\x81\x03two\x82\x05three");
        fixture.stop();
    });
}

#[test]
fn never_answered() {
    let fixture = start(1, Hooks::default(), |config| config.admit_timeout = Duration::from_millis(80));
    let began = Instant::now();
    let mut stream = at_the_door(&fixture, b"");
    let pending = fixture.deferred();
    assert!(rest_of(&mut stream).starts_with("HTTP/1.1 503 "));
    assert!(began.elapsed() >= Duration::from_millis(80));
    // Too late: nobody waits any more, and nobody is let in.
    pending.accept(String::new());
    let (mut client, _) = fixture.client();
    client.send(Message::text("still here")).unwrap();
    assert_eq!(text(&mut client), "still here");
    let metrics = fixture.stop();
    assert_eq!(metrics.counter(Cause::NotAnswered.name()), Some(1));
    assert_eq!(metrics.counter("stale_keys"), Some(1));
    assert_eq!(metrics.counter("websockets_opened"), Some(1));
}

#[test]
fn gone_while_the_decision_is_open() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        let mut stream = at_the_door(&fixture, b"");
        let pending = fixture.deferred();
        stream.shutdown(Shutdown::Write).unwrap();
        // The server ends its side too: it has seen that the client is gone.
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        pending.accept(String::new());

        let stream = at_the_door(&fixture, b"");
        let pending = fixture.deferred();
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
        while fixture.handle.count() > 0 {
            thread::yield_now();
        }
        drop(pending);
        let metrics = fixture.stop();
        assert_eq!(metrics.counter("stale_keys"), Some(2));
        assert_eq!(metrics.counter("websockets_opened"), Some(0));
        assert_eq!(metrics.counter("peer_vanished"), Some(2));
    });
}

#[test]
fn decided_with_what_a_helper_thread_found_out() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        let _client = fixture.ask("/defer/job", &[]).unwrap();
        let id = fixture.opened();
        let thread = fixture.on(id, |_, conn| conn.data().clone());
        assert!(thread.starts_with("throng-helper-"), "{thread}");
        assert_eq!(fixture.ask("/defer/job/panic", &[]).unwrap_err().status(), 503);
        fixture.stop();
    });
}

/// A token that is still out there when its client was let in by another word.
#[test]
fn a_second_word_about_a_client_changes_nothing() {
    let fixture = start(1, Hooks::default(), |_| {});
    let mut client = fixture.ask("/defer/in-vain", &[]).unwrap();
    let late = fixture.deferred();
    let id = fixture.opened();
    late.accept("somebody else".to_owned());
    client.send(Message::text("still here")).unwrap();
    assert_eq!(text(&mut client), "still here");
    // The word and this call go to the same shard, each in its own mailbox: the counter says when the word was heard.
    while fixture.handle.metrics().counter("stale_keys") == Some(0) {
        thread::yield_now();
    }
    assert_eq!(fixture.on(id, |_, conn| conn.data().clone()), "/defer/in-vain");
    fixture.stop();
}

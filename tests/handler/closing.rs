//! How connections end: by either side, by what a peer does wrong, by the server's stop.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use throng::{Cause, Delivery};
use tungstenite::Message;
use tungstenite::protocol::CloseFrame;

use super::probe::{Hooks, close_of, frame, hang_up, send_raw, start, text, with_shards};

#[test]
fn by_the_application() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        // RFC 6455 §7.4: what may not be sent goes out as 1000; a reason is cut to 123 bytes, between characters.
        let long = "ä".repeat(100);
        for (code, sent, reason, told) in [
            (1000, 1000, "bye", "bye"),
            (1001, 1001, "", ""),
            (4321, 4321, "mine", "mine"),
            (1005, 1000, "", ""),
            (1006, 1000, "", ""),
            (999, 1000, "", ""),
            (5000, 1000, "", ""),
            (3000, 3000, &long, &long[..122]),
        ] {
            let (mut client, id) = fixture.client();
            let reason = reason.to_owned();
            let after = fixture.on(id, move |_, conn| {
                conn.send("last words");
                conn.close(code, &reason);
                conn.close(4999, "a second time");
                conn.send("too late")
            });
            assert_eq!(after, Delivery::Dropped);
            assert_eq!(text(&mut client), "last words");
            assert_eq!(close_of(&mut client), (sent, told.to_owned()));
            let reason = fixture.closed(id);
            assert_eq!((reason.cause, reason.code), (Cause::Requested, sent), "{code}");
        }
        assert_eq!(fixture.stop().counter("requested"), Some(8));
    });
}

#[test]
fn in_the_middle_of_a_read() {
    let message = |_: &mut super::probe::Probe,
                   conn: &mut throng::Conn<'_, super::probe::Probe>,
                   message: throng::Message<'_>| {
        conn.send(message);
        if message == throng::Message::Text("close") {
            conn.close(4000, "asked to");
        }
    };
    let fixture = start(1, Hooks { message, ..Hooks::default() }, |_| {});
    let (mut client, id) = fixture.client();
    let bytes = [frame(0x81, b"before"), frame(0x81, b"close"), frame(0x81, b"behind")].concat();
    send_raw(&mut client, &bytes);
    assert_eq!((text(&mut client), text(&mut client)), ("before".to_owned(), "close".to_owned()));
    assert_eq!(close_of(&mut client), (4000, "asked to".to_owned()));
    assert_eq!(fixture.closed(id).code, 4000);
    fixture.stop();
}

#[test]
fn by_the_peer() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        for code in [1000, 1001, 1003, 1007, 1011, 3000, 4999] {
            let (mut client, id) = fixture.client();
            client.close(Some(CloseFrame { code: code.into(), reason: "enough".into() })).unwrap();
            assert_eq!(close_of(&mut client).0, code, "it is answered in kind");
            let reason = fixture.closed(id);
            assert_eq!((reason.cause, reason.code), (Cause::PeerClosed, code));
        }
        let (mut client, id) = fixture.client();
        client.close(None).unwrap();
        assert_eq!(client.read().unwrap(), Message::Close(None));
        hang_up(&mut client);
        let reason = fixture.closed(id);
        assert_eq!((reason.cause, reason.code), (Cause::PeerClosed, 1005));
        assert_eq!(fixture.stop().counter("peer_closed"), Some(8));
    });
}

#[test]
fn without_a_close_frame() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        let (mut client, id) = fixture.client();
        // What it said before its FIN is answered.
        client.send(Message::text("last")).unwrap();
        client.get_ref().shutdown(Shutdown::Write).unwrap();
        assert_eq!(text(&mut client), "last");
        assert_eq!(client.get_mut().read(&mut [0]).unwrap(), 0);
        let reason = fixture.closed(id);
        assert_eq!((reason.cause, reason.code), (Cause::PeerVanished, 1006));

        let (client, id) = fixture.client();
        // With SO_LINGER 0 closing is a reset.
        socket2::SockRef::from(client.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        let reason = fixture.closed(id);
        assert_eq!((reason.cause, reason.code), (Cause::PeerReset, 1006));

        let (mut client, id) = fixture.client();
        send_raw(&mut client, &frame(0x81, b"cut off")[..9]);
        client.get_ref().shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.get_mut().read(&mut [0]).unwrap(), 0);
        assert_eq!(fixture.closed(id).cause, Cause::PeerVanished);
        fixture.stop();
    });
}

#[test]
fn a_closing_handshake_that_is_not_finished() {
    let fixture = start(1, Hooks::default(), |config| config.close_timeout = Duration::from_millis(60));
    let (mut client, id) = fixture.client();
    fixture.on(id, |_, conn| conn.close(4000, ""));
    // The close frame is read but never answered: after close_timeout TCP ends.
    let mut rest = Vec::new();
    client.get_mut().read_to_end(&mut rest).unwrap();
    assert_eq!(rest, [0x88, 2, 0x0f, 0xa0]);
    let reason = fixture.closed(id);
    assert_eq!((reason.cause, reason.code), (Cause::Requested, 4000));
    assert_eq!(fixture.stop().counter("closes_cut"), Some(1));
}

/// What a peer may not send, what it is told, and under what it is counted. A client beside it notices nothing.
#[test]
fn for_what_a_peer_did_wrong() {
    let mut too_big_at_once = frame(0x82, &[]);
    too_big_at_once.splice(1..2, [0xFF, 0, 0, 0, 0, 0, 1, 0, 0]);
    let table: Vec<(&str, Vec<u8>, u16, Cause)> = vec![
        ("reserved bit", frame(0xC1, b"x"), 1002, Cause::BadFrame),
        ("unknown opcode", frame(0x83, b"x"), 1002, Cause::BadFrame),
        ("unknown control opcode", frame(0x8B, b"x"), 1002, Cause::BadFrame),
        ("unmasked", b"\x81\x01x".to_vec(), 1002, Cause::BadFrame),
        ("continuation of nothing", frame(0x80, b"x"), 1002, Cause::BadFrame),
        ("text within a message", [frame(0x01, b"a"), frame(0x81, b"b")].concat(), 1002, Cause::BadFrame),
        ("fragmented ping", frame(0x09, b""), 1002, Cause::BadFrame),
        ("long ping", frame(0x89, &[0; 126]), 1002, Cause::BadFrame),
        ("close of one byte", frame(0x88, b"x"), 1002, Cause::BadClose),
        ("close with 1005", frame(0x88, &1005_u16.to_be_bytes()), 1002, Cause::BadClose),
        ("close with 999", frame(0x88, &999_u16.to_be_bytes()), 1002, Cause::BadClose),
        ("text that is not UTF-8", frame(0x81, b"\xff"), 1007, Cause::BadUtf8),
        ("text cut within a character", frame(0x81, b"\xc3"), 1007, Cause::BadUtf8),
        ("such text in fragments", [frame(0x01, b"\xc3"), frame(0x80, b"x")].concat(), 1007, Cause::BadUtf8),
        ("too big", frame(0x82, &[0; 4097]), 1009, Cause::MessageTooBig),
        ("announced too big", too_big_at_once, 1009, Cause::MessageTooBig),
        (
            "too big together",
            [frame(0x02, &[0; 4000]), frame(0x80, &[0; 97])].concat(),
            1009,
            Cause::MessageTooBig,
        ),
        (
            "too many fragments",
            [frame(0x01, b"a"), frame(0, b"b").repeat(8)].concat(),
            1008,
            Cause::TooManyFragments,
        ),
    ];
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |config| {
            config.message_bytes_max = 4096;
            config.fragments_max = 8;
        });
        let (mut beside, _) = fixture.client();
        for (what, bytes, code, cause) in &table {
            let (mut client, id) = fixture.client();
            send_raw(&mut client, &[&frame(0x81, b"fine"), &bytes[..]].concat());
            assert_eq!(text(&mut client), "fine", "{what}");
            assert_eq!(close_of(&mut client).0, *code, "{what}");
            let reason = fixture.closed(id);
            assert_eq!((reason.cause, reason.code), (*cause, *code), "{what}");
            beside.send(Message::text(*what)).unwrap();
            assert_eq!(text(&mut beside), *what);
        }
        let metrics = fixture.stop();
        for (what, _, _, cause) in &table {
            let times = table.iter().filter(|(_, _, _, other)| other == cause).count() as u64;
            assert_eq!(metrics.counter(cause.name()), Some(times), "{what}");
        }
    });
}

#[test]
fn pings_are_answered_between_messages() {
    let fixture = start(1, Hooks::default(), |_| {});
    let (mut client, _) = fixture.client();
    let bytes = [
        frame(0x81, b"1"),
        frame(0x89, b"are you there"),
        frame(0x01, b"2"),
        frame(0x89, b""),
        frame(0x80, b"3"),
    ];
    client.get_mut().write_all(&bytes.concat()).unwrap();
    assert_eq!(text(&mut client), "1");
    assert_eq!(client.read().unwrap(), Message::Pong("are you there".into()));
    assert_eq!(client.read().unwrap(), Message::Pong("".into()));
    assert_eq!(text(&mut client), "23");
    fixture.stop();
}

#[test]
fn who_does_not_answer_a_ping() {
    let fixture = start(1, Hooks::default(), |config| {
        config.ping_interval = Duration::from_millis(40);
        config.pong_timeout = Duration::from_millis(60);
        config.close_timeout = Duration::from_millis(60);
    });
    let (mut silent, id) = fixture.client();
    let mut bytes = Vec::new();
    silent.get_mut().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes[..6], [0x89, 0, 0x88, bytes[3], 0x03, 0xe9], "a ping, then 1001");
    assert_eq!(fixture.closed(id).cause, Cause::PongTimeout);
    // tungstenite answers pings by itself, as long as it is read.
    let (mut client, _) = fixture.client();
    for _ in 0..5 {
        assert_eq!(client.read().unwrap(), Message::Ping("".into()));
        client.flush().unwrap();
    }
    fixture.stop();
}

#[test]
fn by_the_stop_of_the_server() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        let mut clients: Vec<_> = (0..20).map(|_| fixture.client()).collect();
        let mut waiting = fixture.stream();
        waiting.write_all(b"GET / HT").unwrap();
        let address = fixture.address;
        fixture.handle.stop(Duration::from_secs(10));
        fixture.handle.stop(Duration::from_secs(10));
        for (client, id) in &mut clients {
            assert_eq!(close_of(client), (1001, Cause::ServerStops.sentence().to_owned()));
            assert_eq!(fixture.closed(*id).cause, Cause::ServerStops);
        }
        assert_eq!(waiting.read(&mut [0]).unwrap(), 0);
        drop(waiting);
        let metrics = fixture.stop();
        assert_eq!(metrics.counter("server_stops"), Some(20));
        assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
    });
}

#[test]
fn a_stop_waits_for_nobody_longer_than_its_grace() {
    let fixture = start(1, Hooks::default(), |_| {});
    let (_silent, id) = fixture.client();
    fixture.handle.stop(Duration::from_millis(50));
    assert_eq!(fixture.closed(id).cause, Cause::ServerStops);
    fixture.stop();
}

//! Sessions of Engine.IO: polls and POSTs, what ends them, and connections that carry several.

use std::net::Shutdown;

use throng::io::{Data, Io};
use tungstenite::Message;

use super::http::target;
use super::peer::{Tell, start, talking, with_shards};

/// Echoes messages, without Socket.IO.
fn echo(io: &mut Io, _: &Tell) {
    io.engine(|session, data: Data<'_>| _ = session.send(data));
}

#[test]
fn packets_of_both_kinds_come_back_in_order() {
    with_shards(|shards| {
        let fixture = start(shards, echo, |_| {});
        let mut poller = fixture.poller();
        poller.post("4a\x1ebAQIDBA==\x1e4\u{20ac}\x1eb\x1e4");
        assert_eq!(poller.poll().packets(), ["4a", "bAQIDBA==", "4\u{20ac}", "b", "4"]);
        // A poll that waits is answered with what one POST brings, all of it.
        poller.wait_with_a_poll(&fixture);
        poller.post("4b\x1e4c");
        assert_eq!(poller.polls.answer().packets(), ["4b", "4c"]);
        assert_eq!(fixture.handle.io_audit().iter().map(|audit| audit.session_handshakes).sum::<usize>(), 0);
        poller.post("1");

        let mut ws = fixture.websocket();
        ws.send_all(&["4a", "4b"]);
        ws.client.send(Message::binary(vec![1, 2])).unwrap();
        ws.send("4");
        assert_eq!(
            (ws.text(), ws.text(), ws.binary(), ws.text()),
            ("4a".into(), "4b".into(), vec![1, 2], "4".into())
        );
        ws.send("1");
        assert_eq!(ws.close_code(), 1000);
        fixture.end();
    });
}

#[test]
fn a_second_poll_at_once_ends_the_session() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |_| {});
        let mut poller = fixture.polling();
        assert_eq!(fixture.said(), "+/");
        let mut second = fixture.line_off(poller.sid.shard);
        // Which of the two is first does not matter: the other one is refused, and the first is told that it is over.
        poller.send_poll();
        second.send("GET", &target(&poller.sid), &[], b"");
        let mut answers = [poller.polls.answer(), second.answer()].map(|answer| (answer.status, answer.body));
        answers.sort();
        assert_eq!(answers[0], (200, "1".into()));
        assert_eq!(answers[1], (400, r#"{"code":3,"message":"Bad request"}"#.into()));
        assert_eq!(fixture.said(), "-/ transport error");
        poller.is_gone();
        fixture.end();
    });
}

#[test]
fn a_poll_that_is_aborted_ends_the_session() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |_| {});
        for how in [Shutdown::Both, Shutdown::Write] {
            let mut poller = fixture.polling();
            assert_eq!(fixture.said(), "+/");
            poller.wait_with_a_poll(&fixture);
            poller.polls.stream.shutdown(how).unwrap();
            assert_eq!(fixture.said(), "-/ transport error");
            assert_eq!(poller.ask_post("3").status, 400);
        }
        fixture.end();
    });
}

#[test]
fn a_client_that_closes_is_let_go() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |_| {});
        // With a poll that waits, and with one that comes too late.
        let mut poller = fixture.polling();
        poller.wait_with_a_poll(&fixture);
        poller.post("1");
        assert_eq!(poller.polls.answer().packets(), ["6"]);
        assert_eq!([fixture.said(), fixture.said()], ["+/", "-/ transport close"]);
        poller.is_gone();
        let mut poller = fixture.polling();
        poller.post("1");
        assert_eq!(poller.next(), "6");
        assert_eq!([fixture.said(), fixture.said()], ["+/", "-/ transport close"]);
        poller.is_gone();
        fixture.end();
    });
}

#[test]
fn what_follows_a_close_in_one_body_is_not_heard() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |_| {});
        let mut poller = fixture.polling();
        assert_eq!(fixture.said(), "+/");
        poller.post("42[\"echo\"]\x1e1\x1e42[\"echo\"]\x1e40");
        assert_eq!(fixture.said(), "-/ transport close");
        fixture.end();
    });
}

#[test]
fn a_message_on_a_websocket_has_a_limit() {
    with_shards(|shards| {
        for is_binary in [false, true] {
            let fixture = start(shards, echo, |io| io.max_payload = 100);
            let mut ws = fixture.websocket();
            ws.send(&format!("4{}", "x".repeat(99)));
            assert_eq!(ws.text().len(), 100);
            let most = Message::binary(vec![0; 100]);
            ws.client.send(most).unwrap();
            assert_eq!(ws.binary().len(), 100);
            let more = if is_binary { Message::binary(vec![0; 101]) } else { Message::text("4".repeat(101)) };
            ws.client.send(more).unwrap();
            assert_eq!(ws.close_code(), 1009);
            assert_eq!(fixture.end().counter("io_messages_too_large"), Some(1));
        }
    });
}

#[test]
fn what_waits_for_a_poll_has_a_limit() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |io| io.polling_bytes_max = 1000);
        let mut poller = fixture.polling();
        assert_eq!(fixture.said(), "+/");
        // 2 × 500 with their separator are one byte too many; a poll that waits takes any number.
        let half = format!("42[\"echo\",\"{}\"]", "x".repeat(500 - 13));
        poller.post(&half);
        assert_eq!(poller.next(), half);
        poller.wait_with_a_poll(&fixture);
        poller.post(&format!("{half}\x1e{half}\x1e{half}"));
        assert_eq!(poller.polls.answer().packets().len(), 3);
        poller.post(&half);
        poller.post(&half);
        assert_eq!(fixture.said(), "-/ transport error");
        poller.is_gone();
        assert_eq!(fixture.end().counter("io_polls_overflowed"), Some(1));
    });
}

#[test]
fn one_connection_carries_polls_of_many_sessions() {
    with_shards(|shards| {
        let fixture = start(shards, echo, |_| {});
        let sids: Vec<_> = (0..12).map(|_| fixture.line().handshake()).collect();
        let mut line = fixture.line();
        for (n, sid) in sids.iter().enumerate() {
            assert_eq!(line.ask("POST", &target(sid), format!("4{n}")).body, "ok");
        }
        // Sent at once, answered one after the other.
        for sid in &sids {
            line.send("GET", &target(sid), &[], b"");
        }
        for n in 0..sids.len() {
            assert_eq!(line.answer().packets(), [format!("4{n}")]);
        }
        for sid in &sids {
            line.send("POST", &target(sid), &[], b"1");
        }
        sids.iter().for_each(|_| assert_eq!(line.answer().body, "ok"));
        fixture.end();
    });
}

#[test]
fn a_body_in_pieces_and_chunks_is_one() {
    use std::io::Write;
    with_shards(|shards| {
        let fixture = start(shards, echo, |_| {});
        let mut poller = fixture.poller();
        let head =
            format!("POST {} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", target(&poller.sid));
        for piece in [head.as_bytes(), b"2\r\n4a\r\n", b"1\r\n\x1e\r\n", b"2\r\n4b\r\n", b"0\r\n\r\n"] {
            poller.posts.stream.write_all(piece).unwrap();
        }
        assert_eq!(poller.posts.answer().body, "ok");
        assert_eq!(poller.poll().packets(), ["4a", "4b"]);
        poller.post("1");
        fixture.end();
    });
}

//! What is sent, and how what comes is judged and timed.

use super::*;
use crate::conn::Opening;
use std::io::Read;
use throng::proto::ws::{Decoder, Item, Limits};

/// An open connection, and the server's end of it.
fn pair() -> (Conn, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    stream.set_nonblocking(true).unwrap();
    let opening = Opening { attempt: 1, ..Opening::default() };
    let mut conn = Conn::new(mio::net::TcpStream::from_std(stream), 3, false, opening);
    conn.phase = Phase::Open;
    (conn, listener.accept().unwrap().0)
}

/// The payloads of the next frames that arrive.
fn receive(server: &mut std::net::TcpStream, frames: usize, size: usize) -> Vec<Vec<u8>> {
    let mut bytes = vec![0; frames * (6 + size)];
    server.read_exact(&mut bytes).unwrap();
    let limits = Limits { message_bytes_max: size, fragments_max: 1 };
    let (mut store, mut payloads) = (Store::new(), Vec::new());
    let mut decoder = Decoder::new(Role::Server, limits, None, &mut bytes);
    while let Some(Item::Message(message)) = decoder.next(&mut store).unwrap() {
        payloads.push(message.as_bytes().to_vec());
    }
    payloads
}

#[test]
fn what_is_sent_late_is_late_for_its_response_time_and_not_for_its_service_time() {
    let (mut conn, mut server) = pair();
    let mut traffic = Traffic::for_test("--rate 100");
    traffic.window = (2000, 5000);
    // Due at 1000, before the window, and at 3000, within; sent at 6000, after it.
    traffic.send_due(&mut conn, Kind::Echo, [1000, 3000].into_iter(), 6000).unwrap();
    for payload in receive(&mut server, 2, 20) {
        traffic.message(&mut conn, Message::Binary(&payload), 7000);
    }
    let stats = &mut traffic.stats;
    assert_eq!((stats.tally.sent, stats.tally.received, stats.tally.received_in_window), (2, 2, 0));
    let at_most = |recorder: &mut crate::stats::Recorder| (recorder.window().len(), recorder.window().max());
    // 4000 ns as three digits know it.
    assert_eq!(at_most(&mut stats.response), (1, 4001));
    assert_eq!(at_most(&mut stats.service), (1, 1000));
    assert_eq!(at_most(&mut stats.slip), (1, 3001));
}

#[test]
fn a_closed_loop_keeps_its_pipeline_full_until_the_window_ends() {
    let (mut conn, mut server) = pair();
    let mut traffic = Traffic::for_test("--pipeline 3");
    traffic.window = (0, 1000);
    traffic.refill(&mut conn, 10).and_then(|()| traffic.flush(&mut conn)).unwrap();
    let first = receive(&mut server, 3, 20);
    traffic.message(&mut conn, Message::Binary(&first[0]), 20);
    traffic.message(&mut conn, Message::Binary(&first[0]), 21);
    traffic.refill(&mut conn, 30).and_then(|()| traffic.flush(&mut conn)).unwrap();
    receive(&mut server, 1, 20);
    traffic.message(&mut conn, Message::Binary(&first[1]), 1000);
    traffic.refill(&mut conn, 1000).unwrap();
    let tally = traffic.stats.tally;
    assert_eq!((tally.sent, tally.received, tally.received_in_window, tally.duplicated), (4, 2, 1, 1));
}

#[test]
fn an_echo_of_somebody_else_or_of_nothing_is_corrupt() {
    let (mut conn, _server) = pair();
    let mut traffic = Traffic::for_test("--size 16");
    conn.sent = 5;
    for (connection, sequence, corrupt) in [(3, 4, 0), (4, 3, 1), (3, 5, 2), (3, 3, 2)] {
        let stamp = Stamp { kind: Kind::Echo, connection, sequence, intended: 0, slip: 0 };
        traffic.message(&mut conn, Message::Binary(&stamp.encode()), 9);
        assert_eq!(traffic.stats.tally.corrupt, corrupt, "{connection} {sequence}");
    }
    let publish = Stamp { kind: Kind::Publish, connection: 9, sequence: 0, intended: 0, slip: 0 };
    traffic.message(&mut conn, Message::Binary(&publish.encode()), 9);
    assert_eq!(traffic.stats.tally.corrupt, 3, "nobody publishes in an echo run");
    traffic.started = false;
    traffic.message(&mut conn, Message::from(b"welcome"), 9);
    assert_eq!((traffic.stats.tally.corrupt, traffic.stats.tally.foreign), (3, 1));
}

//! Peers that begin and do not end: what they make a shard hold has a bound, and they pay for it, not those beside them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use throng::Cause;
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use super::probe::{Client, Fixture, Hooks, start};

const BYTES: usize = 100_000;

/// What a shard may keep: nine of these messages, in buffers of 128 KiB, are too much.
const BOUND: usize = 1 << 20;

fn fixture() -> Fixture {
    start(1, Hooks::default(), |config| {
        config.incomplete_bytes_max = BOUND;
        config.message_bytes_max = BOUND / 2;
        config.body_bytes_max = BOUND / 2;
        config.outbox_bytes_max = 2 * BOUND;
        config.close_timeout = Duration::from_millis(200);
    })
}

/// Begins a message of `BYTES` bytes and sends all of them but the last.
fn begin(client: &mut Client) {
    let mut frame = vec![0x82, 0xff];
    frame.extend_from_slice(&(BYTES as u64).to_be_bytes());
    frame.resize(frame.len() + 4 + BYTES - 1, 0);
    client.get_mut().write_all(&frame).unwrap();
}

fn echo(client: &mut Client, bytes: usize) {
    client.send(Message::binary(vec![5; bytes])).unwrap();
    assert_eq!(client.read().unwrap().len(), bytes);
}

/// So many, some milliseconds apart, so that it is known who is the oldest.
fn gathered<T>(mut one: impl FnMut() -> T) -> Vec<T> {
    let mut all = Vec::new();
    for _ in 0..20 {
        all.push(one());
        thread::sleep(Duration::from_millis(3));
    }
    all
}

#[test]
fn the_oldest_of_those_who_never_end_their_messages_pay_and_nobody_beside_them() {
    let fixture = fixture();
    let (mut beside, _) = fixture.client();
    let mut hogs = gathered(|| {
        let (mut client, id) = fixture.client();
        begin(&mut client);
        echo(&mut beside, 1000);
        (client, id)
    });
    // A message that is larger than anybody's share, and comes to its end.
    echo(&mut beside, 4 * BYTES);
    let (mut last, _) = hogs.pop().unwrap();
    last.get_mut().write_all(&[0]).unwrap();
    assert_eq!(last.read().unwrap().len(), BYTES);
    let (mut first, id) = hogs.swap_remove(0);
    let Message::Close(Some(close)) = first.read().unwrap() else { panic!("it is told") };
    assert_eq!((close.code, fixture.closed(id).cause), (CloseCode::Policy, Cause::MessagesFull));
    echo(&mut beside, 1000);
    let metrics = fixture.stop();
    let counted = |name| metrics.counter(name).unwrap();
    assert!((12..=15).contains(&counted("messages_full")), "{}", counted("messages_full"));
    assert!(counted("incomplete_relieved") > 0);
}

#[test]
fn bodies_that_never_end_are_answered_and_those_that_do_are_taken() {
    let fixture = fixture();
    let (mut beside, _) = fixture.client();
    let mut hogs = gathered(|| {
        let mut stream: TcpStream = fixture.stream();
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BYTES}\r\n\r\n");
        stream.write_all(&[head.as_bytes(), &vec![b'b'; BYTES - 1]].concat()).unwrap();
        echo(&mut beside, 1000);
        stream
    });
    let answer = |stream: &mut TcpStream| {
        let mut line = [0; 12];
        stream.read_exact(&mut line).unwrap();
        String::from_utf8(line.to_vec()).unwrap()
    };
    let mut last = hogs.pop().unwrap();
    last.write_all(b"b").unwrap();
    assert_eq!(answer(&mut last), "HTTP/1.1 200");
    assert_eq!(answer(&mut hogs[0]), "HTTP/1.1 503");
    let metrics = fixture.stop();
    assert!((10..=13).contains(&metrics.counter("requests_full").unwrap()));
    assert_eq!(metrics.counter("messages_full"), Some(0));
}

/// A byte now and then keeps a connection, and does not keep a message.
#[test]
fn a_message_has_its_time_whether_there_are_pings_or_not() {
    for (ping_ms, silent_ms) in [(30, 75_000), (0, 50)] {
        let fixture = start(1, Hooks::default(), |config| {
            config.message_timeout = Duration::from_millis(100);
            config.close_timeout = Duration::from_millis(50);
            config.ping_interval = Duration::from_millis(ping_ms);
            config.silent_timeout = Duration::from_millis(silent_ms);
        });
        let (mut client, id) = fixture.client();
        let mut stream = client.get_ref().try_clone().unwrap();
        let trickle = thread::spawn(move || {
            stream.write_all(&[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
            while stream.write_all(&[0]).is_ok() {
                thread::sleep(Duration::from_millis(5));
            }
        });
        let close = loop {
            match client.read().unwrap() {
                Message::Close(close) => break close.unwrap(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((close.code, fixture.closed(id).cause), (CloseCode::Policy, Cause::MessageTimeout));
        drop(client);
        trickle.join().unwrap();
        assert_eq!(fixture.stop().counter("message_timeout"), Some(1));
    }
}

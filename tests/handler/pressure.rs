//! Peers that do not read: they pause, they are told, they are closed. Others notice nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use throng::{Cause, ConnId, Delivery};
use tungstenite::Message;

use super::probe::{Client, Fixture, Hooks, PATIENCE, frame, start, text, with_shards};

/// A WebSocket whose kernel takes little for it: the server's outbox grows as soon as it does not read.
pub(crate) fn slow(fixture: &Fixture) -> (Client, ConnId) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&fixture.address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let client = tungstenite::client(format!("ws://{}/", fixture.address), stream).unwrap().0;
    (client, fixture.opened())
}

#[test]
fn one_that_reads_too_little_is_closed() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |config| config.outbox_bytes_max = 500_000);
        let (mut beside, beside_id) = fixture.client();
        let (mut client, id) = slow(&fixture);
        fixture.on(beside_id, |_, conn| conn.subscribe("t"));
        fixture.on(id, |_, conn| conn.subscribe("t"));
        // Everybody gets the same; one of them reads, the other does not.
        let mut published = 0;
        while fixture.try_on(id, |_, _| ()).is_some() {
            fixture.handle.publish("t", &[7; 10_000]).unwrap();
            assert_eq!(beside.read().unwrap().len(), 10_000);
            published += 1;
            assert!(published < 10_000, "it was never closed");
        }
        beside.send(Message::text("unharmed")).unwrap();
        while text_or_none(&mut beside).as_deref() != Some("unharmed") {}
        // What had begun to go out comes whole, then the close frame, and nothing else.
        let code = loop {
            match client.read().unwrap() {
                Message::Close(Some(frame)) => break u16::from(frame.code),
                message => assert!(message.len() == 10_000),
            }
        };
        assert_eq!(code, 1008);
        drop(client);
        assert_eq!(fixture.closed(id).cause, Cause::OutboxFull);
        assert_eq!(fixture.stop().counter("outbox_full"), Some(1));
    });
}

fn text_or_none(client: &mut Client) -> Option<String> {
    client.read().unwrap().into_text().ok().map(|text| text.to_string())
}

#[test]
fn one_that_reads_nothing_is_closed() {
    let fixture = start(1, Hooks::default(), |config| {
        config.stall_timeout = Duration::from_millis(100);
        config.close_timeout = Duration::from_millis(100);
    });
    let (mut beside, _) = fixture.client();
    let (client, id) = slow(&fixture);
    assert_eq!(
        fixture.on(id, |_, conn| [(); 150].map(|()| conn.send(&[7; 10_000]))[149]),
        Delivery::Pressured
    );
    assert_eq!(fixture.closed(id).cause, Cause::Stalled);
    drop(client);
    beside.send(Message::text("unharmed")).unwrap();
    assert_eq!(text(&mut beside), "unharmed");
    assert_eq!(fixture.stop().counter("stalled"), Some(1));
}

#[test]
fn on_drain_comes_once_per_episode() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        let (mut client, id) = fixture.client();
        for _ in 0..3 {
            // All in one turn, so that nothing is taken meanwhile: 64 KiB are reached with the seventh.
            let said = fixture.on(id, |_, conn| [(); 100].map(|()| conn.send(&[7; 10_000])));
            assert!(said[..6].iter().all(|said| *said == Delivery::Queued), "{said:?}");
            assert!(said[6..].iter().all(|said| *said == Delivery::Pressured), "{said:?}");
            for _ in 0..100 {
                assert_eq!(client.read().unwrap().len(), 10_000);
            }
            fixture.drained(id);
            assert_eq!(fixture.on(id, |_, conn| conn.queued_bytes()), 0);
        }
        drop(client);
        // Three episodes and three drains: the next event is the end.
        let more = fixture.wait(|event| match event {
            super::probe::Event::Drained(_) => Ok(true),
            super::probe::Event::Closed(..) => Ok(false),
            other => Err(other),
        });
        assert!(!more);
        fixture.stop();
    });
}

#[test]
fn one_that_does_not_read_its_echoes_is_not_read_either() {
    let fixture = start(1, Hooks::default(), |_| {});
    let (mut client, id) = fixture.client();
    // A thread sends 60 MB: more than the kernel takes for both ends, so most of it waits at the sender.
    let mut sender = client.get_ref().try_clone().unwrap();
    const MESSAGES: usize = 3000;
    let message = frame(0x82, &[9; 20_000]);
    let writing = std::thread::spawn(move || (0..MESSAGES).for_each(|_| sender.write_all(&message).unwrap()));
    while fixture.handle.metrics().counter("reads_paused") == Some(0) {
        std::thread::yield_now();
    }
    let queued = fixture.on(id, |_, conn| conn.queued_bytes());
    // One read brings 256 KiB, which may come on top of what paused it.
    assert!(queued <= (64 << 10) + (256 << 10) + 20_010, "{queued}");
    for _ in 0..MESSAGES {
        assert_eq!(client.read().unwrap().len(), 20_000);
    }
    writing.join().unwrap();
    fixture.stop();
}

#[test]
fn answers_to_pipelined_requests_do_not_pile_up() {
    let request = |_: &mut throng::Shard<'_, super::probe::Probe>, _: &throng::Request<'_>, _: &[u8]| {
        throng::Response::text("x".repeat(50_000))
    };
    let fixture = start(1, Hooks { request, ..Hooks::default() }, |_| {});
    let (_beside, id) = fixture.client();
    let mut stream = fixture.stream();
    // 4,000 answers of 50 KB would be 200 MB; the client reads none before it has asked for all.
    let mut sender = stream.try_clone().unwrap();
    const REQUESTS: usize = 4000;
    let writing = std::thread::spawn(move || {
        sender.write_all("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(REQUESTS - 1).as_bytes()).unwrap();
        sender.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    });
    while fixture.handle.metrics().counter("reads_paused") == Some(0) {
        std::thread::yield_now();
    }
    fixture.on(id, |_, _| ());
    let mut bytes = [0; 1 << 16];
    let mut total = 0;
    loop {
        match stream.read(&mut bytes).unwrap() {
            0 => break,
            n => total += n,
        }
    }
    writing.join().unwrap();
    assert!(total > REQUESTS * 50_000);
    fixture.stop();
}

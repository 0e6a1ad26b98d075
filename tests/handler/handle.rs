//! What other threads do to a running server.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use throng::{Cause, Full};
use tungstenite::Message;
use tungstenite::protocol::Role;

use super::probe::{Call, Client, Hooks, PATIENCE, close_of, frame, start, text, with_shards};

#[test]
fn it_sends_posts_and_closes() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        let mut clients: Vec<_> = (0..shards).map(|shard| fixture.client_on(shard)).collect();
        let handle = fixture.handle.clone();
        std::thread::scope(|scope| {
            for (client, id) in &mut clients {
                let handle = &handle;
                scope.spawn(move || {
                    for n in 0..50 {
                        handle.send(*id, &format!("{n}")).unwrap();
                    }
                    handle.send(*id, &[1, 2]).unwrap();
                    for n in 0..50 {
                        assert_eq!(text(client), format!("{n}"));
                    }
                    assert_eq!(client.read().unwrap(), Message::binary(vec![1, 2]));
                });
            }
        });
        let (client, id) = &mut clients[0];
        handle.post(*id, "a str").unwrap();
        assert_eq!(fixture.said(), "a post of another type, a str: true");
        handle.close(*id, 4242, "by hand").unwrap();
        assert_eq!(close_of(client), (4242, "by hand".to_owned()));
        let reason = fixture.closed(*id);
        assert_eq!((reason.cause, reason.code), (Cause::Requested, 4242));
        // For one that is gone: no error, and counted.
        handle.send(*id, "late").unwrap();
        handle.post(*id, "late").unwrap();
        handle.close(*id, 1000, "late").unwrap();
        let metrics = fixture.stop();
        assert_eq!((metrics.counter("sends_dropped"), metrics.counter("stale_keys")), (Some(1), Some(1)));
        // It outlives the server: what it says then goes nowhere.
        let _gone = (handle.publish("t", "late"), handle.send(clients[0].1, "late"));
        handle.stop(Duration::ZERO);
        assert_eq!(handle.count(), 0);
    });
}

#[test]
fn a_handler_gives_it_to_whom_it_likes() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        let mut clients: Vec<_> = (0..shards).map(|shard| fixture.client_on(shard)).collect();
        for (_, id) in &clients {
            fixture.on(*id, |_, conn| _ = conn.subscribe("t"));
        }
        let first = clients[0].1;
        let thread = fixture.on(first, move |_, conn| {
            let handle = conn.handle();
            std::thread::spawn(move || {
                handle.publish("t", "published").unwrap();
                handle.send(first, "sent").unwrap();
                handle.count()
            })
        });
        assert_eq!(thread.join().unwrap(), shards);
        for (client, _) in &mut clients {
            assert_eq!(text(client), "published");
        }
        assert_eq!(text(&mut clients[0].0), "sent");
        // It outlives the connection that it was taken from, and is the server's own.
        let handle = fixture.on(first, |_, conn| conn.handle());
        drop(clients);
        handle.stop(Duration::ZERO);
        fixture.stop();
    });
}

#[test]
fn it_counts() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        assert_eq!(fixture.handle.count(), 0);
        let clients: Vec<_> = (0..20).map(|_| fixture.client()).collect();
        assert_eq!(fixture.handle.count(), 20);
        let on_shards: usize = (0..shards)
            .filter_map(|shard| clients.iter().find(|(_, id)| id.shard() == shard))
            .map(|(_, id)| fixture.on(*id, |_, conn| conn.connections()))
            .sum();
        assert_eq!(on_shards, 20);
        for (mut client, id) in clients {
            client.send(Message::text("x")).unwrap();
            assert_eq!(text(&mut client), "x");
            drop(client);
            fixture.closed(id);
        }
        let metrics = fixture.stop();
        assert_eq!(metrics.counter("connections_opened"), Some(20));
        assert_eq!(metrics.counter("websockets_opened"), Some(20));
        assert_eq!(metrics.counter("messages_in"), Some(20));
        assert_eq!(metrics.counter("no such counter"), None);
        assert!(
            metrics.counter("bytes_in") > Some(20 * 100) && metrics.counter("bytes_out") > Some(20 * 100)
        );
        assert_eq!(metrics.turn_us.len(), metrics.counter("turns").unwrap());
    });
}

/// Both ends of a TCP connection that another server is supposed to have upgraded.
fn upgraded() -> (Client, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    (Client::from_raw_socket(stream, Role::Client, None), listener.accept().unwrap().0)
}

#[test]
fn it_adopts() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        let mut adopted = Vec::new();
        for n in 0..2 * shards {
            let (mut client, stream) = upgraded();
            let local = client.get_ref().local_addr().unwrap();
            // Part of it was read by the server that had it before, the rest was not.
            let bytes = [frame(0x81, b"read before"), frame(0x81, b"and after")].concat();
            client.get_mut().write_all(&bytes[21..]).unwrap();
            fixture.handle.adopt(stream, bytes[..21].to_vec(), format!("adopted {n}")).unwrap();
            let id = fixture.opened();
            assert_eq!(
                (text(&mut client), text(&mut client)),
                ("read before".to_owned(), "and after".to_owned())
            );
            let (data, peer) = fixture.on(id, |_, conn| (conn.data().clone(), conn.peer_addr()));
            assert_eq!((data, peer), (format!("adopted {n}"), Some(local)));
            client.send(Message::text("goes on")).unwrap();
            assert_eq!(text(&mut client), "goes on");
            adopted.push((client, id));
        }
        for shard in 0..shards {
            assert_eq!(
                adopted.iter().filter(|(_, id)| id.shard() == shard).count(),
                2,
                "each goes to the emptiest"
            );
        }
        // A value the handler does not know: it is closed, and never announced.
        let (mut client, stream) = upgraded();
        fixture.handle.adopt(stream, Vec::new(), 7_u8).unwrap();
        assert_eq!(close_of(&mut client).0, 1008);
        // A stream without a peer.
        let (client, stream) = upgraded();
        socket2::SockRef::from(client.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        assert!((&stream).read(&mut [0]).is_err());
        assert!(fixture.handle.adopt(stream, Vec::new(), String::new()).is_err());
        fixture.stop();
    });
}

#[test]
fn a_publish_is_in_every_mailbox_or_in_none() {
    let open = |conn: &mut throng::Conn<'_, super::probe::Probe>| _ = conn.subscribe("t");
    let fixture = start(3, Hooks { open, ..Hooks::default() }, |config| config.mailbox_slots = 16);
    let mut clients: Vec<_> = (0..3).map(|shard| fixture.client_on(shard)).collect();
    // One shard does not come back from its handler; the others go on.
    let (go, gate) = mpsc::channel::<()>();
    let (entered, is_in) = mpsc::channel();
    fixture.cast(clients[1].1, move |_, _| {
        entered.send(()).unwrap();
        gate.recv().unwrap();
    });
    is_in.recv_timeout(PATIENCE).unwrap();
    let mut taken = 0;
    while fixture.handle.publish("t", &format!("{taken}")) != Err(Full) {
        taken += 1;
    }
    assert_eq!(taken, 16);
    let stuck = clients[1].1;
    assert_eq!(fixture.handle.send(stuck, "x"), Err(Full));
    assert_eq!(fixture.handle.post(stuck, "x"), Err(Full));
    assert_eq!(fixture.handle.close(stuck, 1000, ""), Err(Full));
    for n in 0..taken {
        assert_eq!(text(&mut clients[0].0), format!("{n}"));
    }
    fixture.handle.send(clients[0].1, "others are reached").unwrap();
    assert_eq!(text(&mut clients[0].0), "others are reached");
    go.send(()).unwrap();
    // It has a free slot again once it is back; the tries meanwhile were told no.
    while fixture.handle.publish("t", "last") == Err(Full) {
        std::thread::yield_now();
    }
    for client in [1, 2] {
        for n in 0..taken {
            assert_eq!(text(&mut clients[client].0), format!("{n}"));
        }
    }
    for (client, _) in &mut clients {
        assert_eq!(text(client), "last");
    }
    fixture.stop();
}

#[test]
fn a_stop_is_heard_in_a_flood() {
    let fixture = start(1, Hooks::default(), |config| config.mails_per_turn = 16);
    let (_client, id) = fixture.client();
    let running = AtomicBool::new(true);
    let (told, done) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let handle = fixture.handle.clone();
            let (running, told) = (&running, told.clone());
            scope.spawn(move || {
                while running.load(Ordering::Relaxed) {
                    let told = told.clone();
                    // It takes the shard far longer than it takes this thread to send the next.
                    let call: Call = Box::new(move |_, _| {
                        let began = Instant::now();
                        while began.elapsed() < Duration::from_micros(200) {}
                        let _nobody_listens = told.send(());
                    });
                    let _full = handle.post(id, call);
                }
            });
        }
        // It is under way, and the mailbox full.
        (0..100).for_each(|_| done.recv_timeout(PATIENCE).unwrap());
        fixture.stop();
        running.store(false, Ordering::Relaxed);
    });
}

#[test]
fn dropping_the_server_stops_it() {
    let server = throng::Server::builder().bind("127.0.0.1:0").unwrap();
    struct Echo;
    impl throng::Handler for Echo {
        type Data = ();
        fn admit(&mut self, _: &throng::Opening<'_, Self>) -> throng::Admission<()> {
            throng::Admission::accept(())
        }
        fn on_message(&mut self, conn: &mut throng::Conn<'_, Self>, message: throng::Message<'_>) {
            conn.send(message);
        }
    }
    let server = server.serve(|_| Echo).unwrap();
    let address = server.local_addrs()[0];
    let stream = TcpStream::connect(address).unwrap();
    let mut client = tungstenite::client(format!("ws://{address}/"), stream).unwrap().0;
    drop(server);
    assert_eq!(close_of(&mut client).0, 1001);
    assert!(TcpStream::connect(address).is_err());
}

//! A handler that panics costs the connection it worked for: told 1011, or 500 before there is a WebSocket. Nobody else
//! notices, and the shard goes on.

use std::time::Duration;

use throng::{Cause, Conn, ConnId, Message as Ours, Post};
use tungstenite::Message;

use super::probe::{Client, Fixture, Hooks, Probe, close_of, hang_up, start, text, with_shards};

/// Runs `panics` on a connection of a server with these hooks, and sees what comes of it.
fn costs_its_connection(hooks: Hooks, panics: impl Fn(&Fixture, &mut Client, ConnId)) {
    with_shards(|shards| {
        let fixture = start(shards, hooks, |config| {
            config.outbox_bytes_high = 1000;
            config.outbox_bytes_low = 1000;
        });
        let (mut client, id) = fixture.client();
        let (mut beside, _) = fixture.client_on(id.shard());
        panics(&fixture, &mut client, id);
        let (code, _) = loop {
            match client.read().unwrap() {
                Message::Close(Some(frame)) => break (u16::from(frame.code), frame.reason),
                _ => continue,
            }
        };
        assert_eq!(code, 1011);
        hang_up(&mut client);
        assert_eq!(fixture.closed(id).cause, Cause::HandlerPanicked);
        beside.send(Message::text("unharmed")).unwrap();
        assert_eq!(text(&mut beside), "unharmed");
        let metrics = fixture.stop();
        assert_eq!((metrics.counter("panics"), metrics.counter("handler_panicked")), (Some(1), Some(1)));
    });
}

#[test]
fn in_on_message() {
    let message = |_: &mut Probe, conn: &mut Conn<'_, Probe>, message: Ours<'_>| {
        assert_ne!(message, Ours::Text("panic"));
        conn.send(message);
    };
    costs_its_connection(Hooks { message, ..Hooks::default() }, |_, client, _| {
        for said in ["before", "panic", "behind"] {
            client.write(Message::text(said)).unwrap();
        }
        client.flush().unwrap();
    });
}

#[test]
fn in_on_drain() {
    costs_its_connection(Hooks { drain: |_| panic!("in on_drain"), ..Hooks::default() }, |fixture, _, id| {
        fixture.cast(id, |_, conn| _ = conn.send(&[0; 2000]));
    });
}

#[test]
fn in_on_post() {
    costs_its_connection(Hooks::default(), |fixture, _, id| fixture.cast(id, |_, _| panic!("in on_post")));
}

#[test]
fn in_a_timer_of_its_own() {
    costs_its_connection(Hooks::default(), |fixture, _, id| {
        fixture.cast(id, |_, conn| _ = conn.after_on(Duration::ZERO, |_, _| panic!("in a timer")));
    });
    costs_its_connection(Hooks::default(), |fixture, _, id| {
        fixture.cast(id, |_, conn| _ = conn.every_on(Duration::from_millis(1), |_, _| panic!("in a timer")));
    });
}

#[test]
fn in_what_follows_a_job() {
    costs_its_connection(Hooks::default(), |fixture, _, id| {
        fixture.cast(id, |_, conn| _ = conn.offload_on(|| (), |_, _, ()| panic!("in done")));
    });
}

#[test]
fn in_on_open() {
    with_shards(|shards| {
        let open = |conn: &mut Conn<'_, Probe>| assert_ne!(conn.data(), "/open");
        let fixture = start(shards, Hooks { open, ..Hooks::default() }, |_| {});
        let (mut beside, _) = fixture.client();
        let mut client = fixture.ask("/open", &[]).unwrap();
        let id = fixture.opened();
        assert_eq!(close_of(&mut client).0, 1011);
        assert_eq!(fixture.closed(id).cause, Cause::HandlerPanicked);
        beside.send(Message::text("unharmed")).unwrap();
        assert_eq!(text(&mut beside), "unharmed");
        fixture.stop();
    });
}

#[test]
fn in_on_close() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks { close: |_| panic!("in on_close"), ..Hooks::default() }, |_| {});
        for n in 1..4 {
            let (mut client, id) = fixture.client();
            fixture.on(id, |_, conn| _ = conn.subscribe("t"));
            client.close(None).unwrap();
            hang_up(&mut client);
            assert_eq!(fixture.closed(id).cause, Cause::PeerClosed);
            let (mut next, _) = fixture.client_on(id.shard());
            next.send(Message::text(format!("{n}"))).unwrap();
            assert_eq!(text(&mut next), format!("{n}"));
            drop(next);
        }
        fixture.stop();
    });
}

#[test]
fn before_there_is_a_websocket() {
    with_shards(|shards| {
        let request =
            |_: &mut throng::Shard<'_, Probe>, _: &throng::Request<'_>, _: &[u8]| panic!("in on_request");
        let fixture = start(shards, Hooks { request, ..Hooks::default() }, |_| {});
        let (mut beside, _) = fixture.client();
        assert_eq!(fixture.ask("/panic", &[]).unwrap_err().status(), 500);
        let answer = fixture.http("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        // The decision on one who waits at the door.
        let address = fixture.address;
        let asked = std::thread::spawn(move || {
            let stream = std::net::TcpStream::connect(address).unwrap();
            tungstenite::client(format!("ws://{address}/defer"), stream).map(|_| ()).unwrap_err().to_string()
        });
        fixture.deferred().answer(|_| panic!("in decide"));
        assert!(asked.join().unwrap().contains("500"));
        beside.send(Message::text("unharmed")).unwrap();
        assert_eq!(text(&mut beside), "unharmed");
        let metrics = fixture.stop();
        assert_eq!((metrics.counter("panics"), metrics.counter("handler_panicked")), (Some(3), Some(3)));
    });
}

#[test]
fn in_adopt_and_without_a_connection() {
    with_shards(|shards| {
        let hooks = Hooks {
            start: |_, _| panic!("in on_start"),
            adopt: |_: Post| panic!("in adopt"),
            ..Hooks::default()
        };
        let fixture = start(shards, hooks, |_| {});
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        fixture.handle.adopt(listener.accept().unwrap().0, Vec::new(), ()).unwrap();
        let mut client = Client::from_raw_socket(stream, tungstenite::protocol::Role::Client, None);
        assert_eq!(close_of(&mut client).0, 1011);

        let (mut client, id) = fixture.client();
        fixture.on(id, |_, conn| {
            conn.after(Duration::ZERO, |_, _| panic!("in a timer of the shard"));
            conn.after(Duration::ZERO, |probe: &mut Probe, _| probe.say("the next timer rings"));
            conn.offload(|| (), |_, _, ()| panic!("in done"));
        });
        assert_eq!(fixture.said(), "the next timer rings");
        client.send(Message::text("unharmed")).unwrap();
        assert_eq!(text(&mut client), "unharmed");
        drop(client);
        fixture.closed(id);
        assert_eq!(fixture.stop().counter("handler_panicked"), Some(1));
    });
}

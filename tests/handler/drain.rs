//! A drain: who is told what, when, and that nothing is lost on the way.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use throng::{Config, Message};

use super::probe::{Hooks, close_of, rest_of, start, text, with_shards};

const UPGRADE: &str = "GET /late HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn paced(seconds: f32) -> impl Fn(&mut Config) {
    move |config| (config.drain_time, config.drain_rate) = (Duration::from_secs_f32(seconds), 0)
}

#[test]
fn websockets_are_closed_in_pace_behind_all_that_was_said() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), paced(0.6));
        let mut clients: Vec<_> = (0..30).map(|_| fixture.client()).collect();
        for (_, id) in &clients {
            fixture.handle.send(*id, Message::Text("last words")).unwrap();
        }
        let began = Instant::now();
        fixture.handle.drain();
        let waiting: Vec<_> = clients
            .drain(..)
            .map(|(mut client, _)| {
                thread::spawn(move || {
                    assert_eq!(text(&mut client), "last words");
                    let (code, reason) = close_of(&mut client);
                    assert_eq!((code, reason.as_str()), (1001, "the server is stopping"));
                    began.elapsed()
                })
            })
            .collect();
        let mut told: Vec<_> = waiting.into_iter().map(|one| one.join().unwrap()).collect();
        told.sort_unstable();
        // On each shard the n-th of m goes n/m through the time; with three shards each has its own m.
        assert!(told[0] < Duration::from_millis(500), "{told:?}");
        assert!(told[29] >= Duration::from_millis(500), "{told:?}");
        if shards == 1 {
            for (n, at) in told.iter().enumerate() {
                assert!(*at >= Duration::from_millis(20 * n as u64), "the {n}th after {at:?}");
            }
        }
        let (metrics, cut) = fixture.end();
        assert_eq!((metrics.counter("server_stops"), cut.total()), (Some(30), 0));
    });
}

#[test]
fn requests_under_way_are_answered_and_no_websocket_is_opened() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), paced(0.3));
        let begin = |bytes: &str| {
            let mut stream = fixture.stream();
            stream.write_all(bytes.as_bytes()).unwrap();
            stream
        };
        let mut half = begin("GET /half HTTP/1.1\r\nHo");
        let mut kept = begin("GET /kept HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut answer = [0; 512];
        assert!(kept.read(&mut answer).unwrap() > 0);
        // Its answer is deferred until somebody decides.
        let mut owed = begin(&UPGRADE.replace("/late", "/defer"));
        let pending = fixture.deferred();
        let mut silent = fixture.stream();
        let mut client = fixture.client().0;
        fixture.handle.drain();
        assert_eq!(close_of(&mut client).0, 1001);

        half.write_all(b"st: a\r\n\r\n").unwrap();
        let said = rest_of(&mut half);
        assert!(said.starts_with("HTTP/1.1 200") && said.contains("Connection: close"), "{said}");
        assert_eq!(rest_of(&mut kept), "");
        silent.write_all(UPGRADE.as_bytes()).unwrap();
        let said = rest_of(&mut silent);
        assert!(said.starts_with("HTTP/1.1 503") && said.contains("Retry-After: 5"), "{said}");
        pending.accept(String::new());
        let said = rest_of(&mut owed);
        assert!(said.starts_with("HTTP/1.1 503") && said.contains("stopping"), "{said}");
        drop((half, kept, silent, owed));
        let (_, cut) = fixture.end();
        assert_eq!(cut.total(), 0);
    });
}

#[test]
fn while_it_is_delayed_everybody_is_served_and_only_readyz_says_it() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |config| {
            config.drain_delay = Duration::from_secs(1);
        });
        let ask =
            |path: &str| fixture.http(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        assert!(ask("/readyz").starts_with("HTTP/1.1 200"));
        let mut client = fixture.client().0;
        let began = Instant::now();
        fixture.handle.drain();
        while ask("/readyz").starts_with("HTTP/1.1 200") {}
        let said = ask("/readyz");
        assert!(said.starts_with("HTTP/1.1 503") && said.contains("no-store"), "{said}");
        assert!(ask("/healthz").starts_with("HTTP/1.1 200"));
        let mut late = fixture.client().0;
        assert!(began.elapsed() < Duration::from_secs(1), "too slow to show anything");
        for client in [&mut client, &mut late] {
            assert_eq!(close_of(client).0, 1001);
        }
        assert!(began.elapsed() >= Duration::from_secs(1));
        assert_eq!(fixture.end().1.total(), 0);
    });
}

#[test]
fn what_is_left_at_the_end_of_the_grace_is_cut_and_counted_by_where_it_stood() {
    let fixture = start(1, Hooks::default(), |config| {
        (config.drain_rate, config.drain_time) = (0, Duration::ZERO);
        config.stop_grace = Duration::from_millis(600);
    });
    // One never answers the close frame, one never ends its request, one is never answered.
    let silent = fixture.client().0;
    let mut half = fixture.stream();
    half.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let mut owed = fixture.stream();
    owed.write_all(UPGRADE.replace("/late", "/defer").as_bytes()).unwrap();
    let pending = fixture.deferred();
    let began = Instant::now();
    fixture.handle.drain();
    let (_, cut) = fixture.end();
    let took = began.elapsed();
    // The loop counts from its turn's beginning, in whole milliseconds.
    assert!((Duration::from_millis(598)..Duration::from_secs(3)).contains(&took), "{took:?}");
    assert_eq!((cut.websockets, cut.requests, cut.answers, cut.leaving), (1, 1, 1, 0), "{cut}");
    assert_eq!(cut.to_string(), "1 requests, 1 owed answers, 1 WebSockets, 0 leaving");
    drop((silent, half, owed, pending));
}

#[test]
fn a_stop_makes_a_drain_quicker() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |config| {
            (config.drain_delay, config.drain_time) = (Duration::from_secs(600), Duration::from_secs(600));
        });
        let mut client = fixture.client().0;
        fixture.handle.drain();
        fixture.handle.stop(Duration::from_secs(10));
        assert_eq!(close_of(&mut client).0, 1001);
        assert_eq!(fixture.end().1.total(), 0);
    });
}

#[test]
fn the_port_is_free_once_the_queue_is_empty() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), paced(1.0));
        let address = fixture.stream().peer_addr().unwrap();
        let mut client = fixture.client().0;
        fixture.handle.drain();
        let patience = Instant::now() + Duration::from_secs(10);
        // Long before the last connection is told.
        while TcpListener::bind(address).is_err() {
            assert!(Instant::now() < patience, "it still listens");
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(close_of(&mut client).0, 1001);
        assert_eq!(fixture.end().1.total(), 0);
    });
}

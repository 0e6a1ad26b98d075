//! Who makes room at `sessions_max`: sessions that linger in no namespace, and nobody else.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use throng::io::{Admit, SessionId};

use super::http::{Line, sid_of, target};
use super::later::login;
use super::peer::{Fixture, PATIENCE, UNKNOWN, start, talking, with_shards};

const OPEN: &str = "/socket.io/?EIO=4&transport=polling";

/// A session lingers from a fifteenth of it on.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const LINGER: Duration = Duration::from_millis(200);

/// Asks once for a session from 127.0.0.`host`.
fn ask(fixture: &Fixture, host: u8) -> Option<(Line, SessionId)> {
    let mut line = Line::open_from(host, fixture.address);
    let answer = line.ask("GET", OPEN, "");
    match answer.status {
        200 => Some((line, sid_of(&answer.packets()[0]))),
        503 => None,
        other => panic!("{other}"),
    }
}

/// Asks until there is room.
fn come_in(fixture: &Fixture, host: u8) -> (Line, SessionId) {
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < PATIENCE, "nobody makes room");
        if let Some(opened) = ask(fixture, host) {
            return opened;
        }
    }
}

fn lingering(fixture: &Fixture) -> usize {
    fixture.handle.io_audit().iter().map(|audit| audit.unconnected).sum()
}

fn post(line: &mut Line, sid: &SessionId, packet: &str) -> (u16, String) {
    let answer = line.ask("POST", &target(sid), packet);
    (answer.status, answer.body)
}

fn ok() -> (u16, String) {
    (200, "ok".to_owned())
}

#[test]
fn who_lingers_in_no_namespace_makes_room_and_the_oldest_first() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |io| {
            io.sessions_max = 4;
            io.connect_timeout = CONNECT_TIMEOUT;
        });
        // One lingers, and connects after all.
        let mut connected = fixture.websocket();
        while lingering(&fixture) == 0 {}
        connected.enter("/");
        assert_eq!(fixture.said(), "+/");
        // A flood of three, and none of it ever connects.
        let mut flood = fixture.line();
        let sids: Vec<_> = (0..3).map(|_| flood.handshake()).collect();
        let mut came: Vec<_> = [2, 2].into_iter().map(|host| come_in(&fixture, host)).collect();
        // The two that have lingered longest are gone, and were told so as others are whose session is closed.
        for sid in &sids[..2] {
            assert_eq!(flood.ask("GET", &target(sid), "").body, "1");
            assert_eq!(post(&mut flood, sid, "3"), (UNKNOWN.0, UNKNOWN.1.to_owned()));
        }
        assert_eq!(post(&mut flood, &sids[2], "3"), ok());
        for (line, sid) in &mut came {
            assert_eq!(post(line, sid, "40"), ok());
            assert_eq!(fixture.said(), "+/");
        }
        // With its pace one makes room for a newcomer of its own address as well.
        came.push(come_in(&fixture, 1));
        assert_eq!(post(&mut flood, &sids[2], "3").0, UNKNOWN.0);
        let (line, sid) = &mut came[2];
        assert_eq!(post(line, sid, "40"), ok());
        assert_eq!(fixture.said(), "+/");

        // Whoever is connected stays, however long.
        let began = Instant::now();
        while began.elapsed() < 3 * LINGER {
            assert!(ask(&fixture, 3).is_none());
        }
        connected.send("42[\"echo\",1]");
        assert_eq!(connected.text(), "42[\"echo\",1]");
        connected.close();
        came.iter_mut().for_each(|(line, sid)| assert_eq!(post(line, sid, "1"), ok()));
        assert_eq!(fixture.said_sorted(4), ["-/ transport close"; 4]);
        assert_eq!(fixture.end().counter("io_sessions_evicted"), Some(3));
    });
}

#[test]
fn a_websocket_that_lingers_is_closed_and_one_that_waits_for_a_word_is_not() {
    with_shards(|shards| {
        let (tokens, asked) = mpsc::channel();
        let fixture = start(shards, login(tokens), |io| {
            io.sessions_max = 2;
            io.connect_timeout = CONNECT_TIMEOUT;
        });
        let mut waits = fixture.websocket();
        waits.send("40/login,");
        let (_, pending) = asked.recv_timeout(PATIENCE).unwrap();
        let lingers = fixture.websocket();
        let (mut line, sid) = come_in(&fixture, 2);
        assert_eq!(lingers.close_code(), 1000);
        // One that asks after it has begun to linger is as safe.
        assert_eq!(post(&mut line, &sid, "40/login,"), ok());
        let (_, second) = asked.recv_timeout(PATIENCE).unwrap();
        let began = Instant::now();
        while began.elapsed() < 3 * LINGER {
            assert!(ask(&fixture, 3).is_none());
        }
        pending.answer(Admit::accept(4));
        assert!(waits.text().starts_with("40/login,{\"sid\":"));
        assert_eq!(fixture.said(), "+4 {} true");
        waits.close();
        assert_eq!(fixture.said(), "-/login transport close");
        assert_eq!(post(&mut line, &sid, "1"), ok());
        second.answer(Admit::accept(5));
        assert_eq!(fixture.end().counter("io_sessions_evicted"), Some(1));
    });
}

#[test]
fn a_flood_from_one_address_keeps_nobody_else_out() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |io| {
            io.sessions_max = 300;
            io.connect_timeout = CONNECT_TIMEOUT;
        });
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let (mut line, is_over, began) = (fixture.line(), &is_over, Instant::now());
            scope.spawn(move || {
                // A test that fails waits for its threads.
                while !is_over.load(Ordering::Relaxed) && began.elapsed() < 3 * PATIENCE {
                    assert!([200, 503].contains(&line.ask("GET", OPEN, "").status));
                }
            });
            // All that the flood has is fresh at first.
            while lingering(&fixture) < 140 {}
            let mut came = Vec::new();
            // However fast others come, they are fewer than there linger at any moment.
            for nth in 0..100 {
                let (mut line, sid) = ask(&fixture, 2).unwrap_or_else(|| panic!("refused: the {nth}th"));
                assert_eq!(post(&mut line, &sid, "40"), ok());
                assert_eq!(fixture.said(), "+/");
                came.push(line);
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert!(fixture.stop().counter("io_sessions_evicted") >= Some(100));
    });
}

//! Socket.IO where every shard has an fd table of its own, of 200 fds: upgrades move from one table to another, onto a shard
//! that is full, and into a table that is.
//!
//! A process of its own, one test at a time: a table is a copy, and keeps the sockets of whatever else is open.

#[path = "io/http.rs"]
#[allow(dead_code, reason = "the suite of Socket.IO uses all of it")]
mod http;
#[path = "io/peer.rs"]
#[allow(dead_code, reason = "the suite of Socket.IO uses all of it")]
mod peer;

use std::cell::RefCell;
use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use throng::FdTables;
use throng::io::Io;

use http::Line;
use peer::{Fixture, PATIENCE, Poller, Tell, Ws, start_with, talk};

const TABLE: u64 = 200;

thread_local! {
    /// What takes the fds of a shard's table.
    static HOARD: RefCell<Vec<File>> = const { RefCell::new(Vec::new()) };
}

/// Makes this test the only one, and fd tables small.
fn small_tables() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(TABLE), maximum }).unwrap();
    turn
}

/// The namespace of the suite, which can also take all fds that are left of its shard's table, and give them back.
fn hoarding(io: &mut Io, tell: &Tell) {
    let namespace = io
        .of("/")
        .on("fill", |socket, (): &()| {
            let taken = std::iter::from_fn(|| File::open("/dev/null").ok());
            HOARD.with_borrow_mut(|hoard| hoard.extend(taken));
            socket.emit("filled", ());
        })
        .on("free", |socket, (): &()| {
            HOARD.with_borrow_mut(Vec::clear);
            socket.emit("freed", ());
        });
    talk(namespace, tell);
}

/// A server, and how many connections each of its shards may hold.
fn start(shards: usize, connections: usize) -> (Fixture, usize) {
    let mut per_shard = 0;
    let more = |builder: throng::Builder| {
        let builder = builder.configure(|config| {
            (config.fd_tables, config.max_connections) = (FdTables::Own, connections);
        });
        per_shard = builder.plan().unwrap().per_shard;
        builder
    };
    (start_with(shards, hoarding, |_| {}, more), per_shard)
}

/// The first half of an upgrade, sent on a connection that is there.
fn ask_upgrade(line: &mut Line, poller: &Poller) {
    let target = format!("/socket.io/?EIO=4&transport=websocket&sid={}", poller.sid);
    let fields = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    line.send("GET", &target, &fields, b"");
}

/// Sees that a session goes on by polling.
fn polls(poller: &mut Poller, number: usize) {
    poller.post(&format!("42[\"echo\",{number}]"));
    assert_eq!(poller.next(), format!("42[\"echo\",{number}]"));
}

/// Moves a session to its WebSocket, with packets that wait meanwhile, and ends it there.
fn upgrades(mut ws: Ws, mut poller: Poller) {
    ws.send("2probe");
    assert_eq!(ws.text(), "3probe");
    (0..5).for_each(|n| poller.post(&format!("42[\"echo\",{n}]")));
    ws.send_all(&["5", "42[\"echo\",5]"]);
    (0..6).for_each(|n| assert_eq!(ws.text(), format!("42[\"echo\",{n}]")));
    ws.close();
}

#[test]
fn a_session_moves_to_a_websocket_of_another_table() {
    let _turn = small_tables();
    let (fixture, _) = start(3, 60);
    // Some of the WebSockets come in on their session's shard, most on another one.
    for _ in 0..12 {
        let poller = fixture.polling();
        let ws = fixture.ask_websocket(&format!("&sid={}", poller.sid)).unwrap();
        upgrades(ws, poller);
        assert_eq!([fixture.said(), fixture.said()], ["+/", "-/ transport close"]);
    }
    let counted = fixture.end();
    assert!(counted.counter("moved") > Some(0), "{:?}", counted.counter("moved"));
    assert_eq!(counted.counter("connections_shed"), Some(0));
}

#[test]
fn an_upgrade_onto_a_full_shard_is_refused_and_polling_goes_on() {
    let _turn = small_tables();
    let (fixture, per_shard) = start(2, 120);
    assert!(per_shard < 110, "{per_shard}");
    let mut poller = fixture.polling();
    let home = poller.sid.shard;
    let mut there = fixture.line_off(home);
    let mut full: Vec<Line> = Vec::new();
    while full.len() < per_shard {
        let mut line = fixture.line();
        if line.shard() == home {
            full.push(line);
        }
        // Those that came in elsewhere are gone before the next one comes, or they would be too many.
        let began = Instant::now();
        while fixture.handle.count() > full.len() + 4 {
            assert!(began.elapsed() < PATIENCE, "{} connections", fixture.handle.count());
        }
    }
    ask_upgrade(&mut there, &poller);
    let answer = there.answer();
    assert_eq!((answer.status, answer.header("Retry-After").as_deref()), (503, Some("5")));
    assert_eq!(there.rest(), "", "and its connection ends");
    polls(&mut poller, 1);
    assert_eq!(fixture.ask_websocket(&format!("&sid={}", poller.sid)).err(), Some(503));
    polls(&mut poller, 2);
    // With room it may try again, once the shard knows that there is some.
    full.truncate(per_shard / 2);
    let began = Instant::now();
    let ws = loop {
        match fixture.ask_websocket(&format!("&sid={}", poller.sid)) {
            Ok(ws) => break ws,
            Err(status) => assert!(status == 503 && began.elapsed() < PATIENCE, "{status}"),
        }
    };
    upgrades(ws, poller);
    assert_eq!([fixture.said(), fixture.said()], ["+/", "-/ transport close"]);
    drop(full);
    assert!(fixture.end().counter("connections_shed") >= Some(2));
}

#[test]
fn an_upgrade_into_a_full_table_ends_and_polling_goes_on() {
    let _turn = small_tables();
    let (fixture, _) = start(2, 40);
    let mut poller = fixture.polling();
    let mut there = fixture.line_off(poller.sid.shard);
    poller.post("42[\"fill\"]");
    assert_eq!(poller.next(), "42[\"filled\"]");
    // The stream finds no fd at home: nobody is left who could answer on it.
    ask_upgrade(&mut there, &poller);
    assert_eq!(there.rest(), "");
    polls(&mut poller, 1);
    poller.post("42[\"free\"]");
    assert_eq!(poller.next(), "42[\"freed\"]");
    let ws = fixture.ask_websocket(&format!("&sid={}", poller.sid)).unwrap();
    upgrades(ws, poller);
    assert_eq!([fixture.said(), fixture.said()], ["+/", "-/ transport close"]);
    assert_eq!(fixture.end().counter("connections_shed"), Some(1));
}

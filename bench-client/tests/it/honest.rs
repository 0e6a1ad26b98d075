//! The tool measured: what it says of servers whose faults are known to the message and to the millisecond.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Said, assert_clean, bench, messages, send, server};

/// From a server's first message on: when it stands still, and for how long.
const STALL: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(1));

/// A server that answers at once, but for one second in the ten after its first message, when nobody is answered.
fn stalling() -> std::net::SocketAddr {
    let began = OnceLock::<Instant>::new();
    server(move |socket| {
        messages(socket, |socket, _, message| {
            let (from, lasting) = STALL;
            let since = began.get_or_init(Instant::now).elapsed();
            if (from..from + lasting).contains(&since) {
                thread::sleep(from + lasting - since);
            }
            send(socket, message);
        });
    })
}

#[test]
fn a_second_of_stall_in_ten_is_told_by_an_open_loop_and_hidden_by_a_closed_one() {
    let run = |flags: &str| bench(&format!("echo ws://{}/ --duration 10s --warmup 0s {flags}", stalling()));
    let (open, closed) = thread::scope(|scope| {
        let closed = scope.spawn(|| run("-c 1"));
        (run("-c 10 --rate 500"), closed.join().unwrap())
    });
    assert_clean(&open);
    assert_clean(&closed);
    // 500 of 5,000 messages fall due while nobody is answered, the last of them as it ends: a tenth waits for up to a
    // second, 1 % for more than 0.9 s, and 0.1 % for more than 0.99 s.
    let (p50, p99, p999) =
        (open.figure("/response/p50"), open.figure("/response/p99"), open.figure("/response/p999"));
    assert!(p99 >= 800_000.0 && p999 >= 950_000.0, "p99 {p99}, p99.9 {p999}: {}", open.stdout);
    assert!(p50 < 100_000.0, "p50 {p50}");
    assert_eq!(open.figure("/response/count"), 5000.0);
    // The one connection waits with one message, and sends nothing meanwhile: one answer of thousands is late.
    let (p99, max) = (closed.figure("/response/p99"), closed.figure("/response/max"));
    assert!(closed.count("sent") > 2000, "{}", closed.stdout);
    assert!(p99 < 100_000.0 && max >= 990_000.0, "p99 {p99}, max {max}: {}", closed.stdout);
}

/// What a server does to one message in 10,000.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fault {
    Drops,
    Doubles,
    Swaps,
}

/// Messages of all connections from one fault to the next.
const FAULT_EVERY: u64 = 10_000;

/// Runs the client against a server with this fault: what it said, and how often the server says it did it.
fn faulty(fault: Fault, flags: &str) -> (Said, u64) {
    let (seen, done) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&done);
    let address = server(move |socket| {
        let held = Mutex::new(None);
        messages(socket, |socket, _, message| {
            // Amidst the run, so that what is held back has a successor on its connection.
            let is_chosen = seen.fetch_add(1, Relaxed) % FAULT_EVERY == FAULT_EVERY / 2;
            counted.fetch_add(u64::from(is_chosen), Relaxed);
            match fault {
                Fault::Drops if is_chosen => return,
                Fault::Doubles if is_chosen => send(socket, message.clone()),
                Fault::Swaps if is_chosen => return *held.lock().unwrap() = Some(message),
                _ => {}
            }
            send(socket, message);
            if let Some(earlier) = held.lock().unwrap().take() {
                send(socket, earlier);
            }
        });
    });
    let said = bench(&format!("echo ws://{address}/ -c 10 --warmup 0s --drain 1s {flags}"));
    (said, done.load(Relaxed))
}

#[test]
fn one_message_in_ten_thousand_that_is_dropped_doubled_or_swapped_is_counted_exactly() {
    for fault in [Fault::Drops, Fault::Doubles, Fault::Swaps] {
        for (flags, sent) in
            [("--rate 15000 --duration 2s", Some(30_000)), ("--pipeline 16 --duration 2s", None)]
        {
            let (said, done) = faulty(fault, flags);
            let all = said.count("sent");
            assert!(sent.is_none_or(|sent| sent == all) && all > FAULT_EVERY, "{flags}: {}", said.stdout);
            assert_eq!(done, (all + FAULT_EVERY / 2) / FAULT_EVERY, "what the server did to {all} messages");
            let of = |wanted: Fault| if fault == wanted { done } else { 0 };
            assert_eq!(
                (
                    said.count("lost"),
                    said.count("duplicated"),
                    said.count("reordered"),
                    said.count("corrupt")
                ),
                (of(Fault::Drops), of(Fault::Doubles), of(Fault::Swaps), 0),
                "{fault:?} {flags}: {}",
                said.stdout
            );
            assert_eq!((said.code, said.count("received")), (Some(1), all - of(Fault::Drops)));
        }
    }
}

//! Pings, and clients that do not answer them: never early, and little late.

use std::time::{Duration, Instant};

use throng::io::Io;

use super::peer::{Tell, start, talking, with_shards};

/// A poll of the shard's wakes up to a millisecond early of what the client measures, and a ping is filed one early.
const EARLY: Duration = Duration::from_millis(3);
/// The machine may be busy; an idle one is at most a few milliseconds late.
const LATE: Duration = Duration::from_millis(500);

const INTERVAL: Duration = Duration::from_millis(200);
const TIMEOUT: Duration = Duration::from_millis(150);

fn is_about(elapsed: Duration, expected: Duration) {
    assert!(elapsed + EARLY >= expected && elapsed < expected + LATE, "{elapsed:?} instead of {expected:?}");
}

#[test]
fn a_websocket_is_pinged_and_closed_when_it_does_not_answer() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |io| (io.ping_interval, io.ping_timeout) = (INTERVAL, TIMEOUT));
        let mut began = Instant::now();
        let mut ws = fixture.connected();
        for _ in 0..3 {
            assert_eq!(ws.text(), "2");
            is_about(began.elapsed(), INTERVAL);
            // The next one is due an interval after the answer.
            began = Instant::now();
            ws.send("3");
        }
        assert_eq!(ws.text(), "2");
        is_about(began.elapsed(), INTERVAL);
        // What else it says is no answer.
        ws.send("42[\"echo\"]");
        assert_eq!(ws.text(), "42[\"echo\"]");
        assert_eq!(ws.close_code(), 1000);
        is_about(began.elapsed(), INTERVAL + TIMEOUT);
        assert_eq!([fixture.said(), fixture.said()], ["+/", "-/ ping timeout"]);
        fixture.end();
    });
}

#[test]
fn a_websocket_that_is_slow_to_take_what_it_is_sent_has_not_failed_to_answer() {
    with_shards(|shards| {
        // More than both ends' kernels take together, and a frame that tungstenite still takes.
        let describe = |io: &mut Io, _: &Tell| {
            io.of("/")
                .on("much", |socket, (): &()| _ = socket.emit("much", "x".repeat(5 << 20)))
                .on("echo", |socket, (): &()| _ = socket.emit("echo", ()));
        };
        let fixture = start(shards, describe, |io| (io.ping_interval, io.ping_timeout) = (INTERVAL, TIMEOUT));
        let (mut slow, mut other) = (fixture.connected(), fixture.connected());
        slow.send("42[\"much\"]");
        // Three rounds of pings and answers.
        for _ in 0..3 {
            assert_eq!(other.text(), "2");
            other.send("3");
        }
        slow.send("3");
        slow.send("42[\"echo\"]");
        let heard: Vec<_> =
            std::iter::from_fn(|| Some(slow.text())).take_while(|text| text != "42[\"echo\"]").collect();
        assert!(heard.iter().any(|text| text.len() > 5 << 20));
        other.close();
        slow.close();
        fixture.end();
    });
}

#[test]
fn a_polling_client_is_pinged_and_let_go_when_it_does_not_answer() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |io| (io.ping_interval, io.ping_timeout) = (INTERVAL, TIMEOUT));
        let began = Instant::now();
        let mut poller = fixture.polling();
        assert_eq!(poller.next(), "2");
        assert!(began.elapsed() + EARLY >= INTERVAL);
        let answered = Instant::now();
        poller.post("3");
        assert_eq!(poller.next(), "2");
        is_about(answered.elapsed(), INTERVAL);
        // The poll that waits is told.
        assert_eq!(poller.next(), "1");
        is_about(answered.elapsed(), INTERVAL + TIMEOUT);
        assert_eq!([fixture.said(), fixture.said()], ["+/", "-/ ping timeout"]);
        poller.is_gone();
        fixture.end();
    });
}

#[test]
fn who_connects_to_no_namespace_is_let_go() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |io| io.connect_timeout = INTERVAL);
        let began = Instant::now();
        let ws = fixture.websocket();
        let mut poller = fixture.poller();
        let mut stays = fixture.connected();
        assert_eq!(fixture.said(), "+/");
        assert_eq!(ws.close_code(), 1000);
        assert!(began.elapsed() >= INTERVAL, "{:?}", began.elapsed());
        assert!([UNKNOWN_OR_CLOSE.0, UNKNOWN_OR_CLOSE.1].contains(&poller.poll().body.as_str()));
        stays.send("42[\"echo\"]");
        assert_eq!(stays.text(), "42[\"echo\"]");
        stays.close();
        assert_eq!(fixture.said(), "-/ transport close");
        assert_eq!(fixture.end().counter("io_connects_late"), Some(2));
    });
}

/// What a poll brings that comes behind the end of its session, and one that was in time.
const UNKNOWN_OR_CLOSE: (&str, &str) = (super::peer::UNKNOWN.1, "1");

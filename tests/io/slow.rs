//! Clients that take what they are sent too slowly, and stay: what was dropped by an operator or a policy is counted, the rest is
//! whole and in order, by either transport.

use std::sync::mpsc;

use throng::SlowPolicy;
use throng::io::{Binary, Io, Socket};

use super::peer::{Fixture, Poller, Tell, start, start_with, with_shards};

/// What an event of the test is: its number and 80 letters, so that 6 of them with their entries fit into 1,000 bytes.
fn packet(event: &str, n: u32) -> String {
    format!("42[\"{event}\",{n},\"{}\"]", "x".repeat(80))
}

fn args(n: u32) -> (u32, String) {
    (n, "x".repeat(80))
}

/// `flood` says 1 to 20 to its own client, `all` to everybody; by the operator that is named.
fn flooding(io: &mut Io, _: &Tell) {
    io.of("/")
        .on("flood", |socket: &mut Socket<'_>, how: &str| {
            for n in 1..=20 {
                let _delivery = match how {
                    "new" => socket.drop_new().emit("n", args(n)),
                    "oldest" => socket.drop_oldest().emit("n", args(n)),
                    "latest" => socket.latest_only("k").emit("n", args(n)),
                    "close" => socket.or_close().emit("n", args(n)),
                    _ => socket.emit("n", args(n)),
                };
            }
        })
        .on("all", |socket: &mut Socket<'_>, how: &str| {
            for n in 1..=20 {
                let io = socket.io();
                assert!(match how {
                    "new" => io.drop_new().emit("n", args(n)),
                    "oldest" => io.drop_oldest().emit("n", args(n)),
                    "latest" => io.latest_only("k").emit("n", args(n)),
                    "close" => io.or_close().emit("n", args(n)),
                    _ => io.emit("n", args(n)),
                });
            }
        })
        .on("join", |socket: &mut Socket<'_>, room: &str| _ = socket.join(room))
        .on("policy", |socket: &mut Socket<'_>, how: &str| {
            let policy = match how {
                "new" => SlowPolicy::DropNew,
                "oldest" => SlowPolicy::DropOldest,
                _ => SlowPolicy::LatestOnly,
            };
            socket.set_slow_policy(policy);
            assert_eq!(socket.slow_policy(), policy);
        });
}

const COUNTERS: [&str; 3] = ["units_dropped_new", "units_dropped_oldest", "units_replaced"];

fn counted(fixture: &Fixture) -> [u64; 3] {
    let metrics = fixture.handle.metrics();
    COUNTERS.map(|name| metrics.counter(name).unwrap())
}

#[test]
fn what_a_polling_client_has_no_room_for_is_dropped_by_operator_or_policy() {
    with_shards(|shards| {
        let fixture = start(shards, flooding, |io| io.polling_bytes_max = 1000);
        let firsts: Vec<_> = (1..=6).map(|n| packet("n", n)).collect();
        let lasts: Vec<_> = (15..=20).map(|n| packet("n", n)).collect();
        for event in ["flood", "all"] {
            for (how, left, counts) in [
                ("new", &firsts[..], [14, 0, 0]),
                ("oldest", &lasts[..], [0, 14, 0]),
                ("latest", &lasts[5..], [0, 0, 19]),
            ] {
                for policy in [false, true] {
                    let mut poller = fixture.polling();
                    if policy {
                        poller.post(&format!("42[\"policy\",\"{how}\"]"));
                    }
                    let before = counted(&fixture);
                    let how = if policy { "as the client" } else { how };
                    poller.post(&format!("42[\"{event}\",\"{how}\"]"));
                    assert_eq!(poller.poll().packets(), left, "{event} {how}");
                    let after = counted(&fixture);
                    assert_eq!([0, 1, 2].map(|at| after[at] - before[at]), counts, "{event} {how}");
                    // Into a poll that waits goes everything but what another has taken the place of.
                    poller.wait_with_a_poll(&fixture);
                    poller.post(&format!("42[\"{event}\",\"{how}\"]"));
                    let expected = if counts[2] > 0 { 1 } else { 20 };
                    assert_eq!(poller.polls.answer().packets().len(), expected, "{event} {how}");
                    poller.post("1");
                }
            }
        }
        // An operator beats the policy.
        let mut poller = fixture.polling();
        poller.post("42[\"policy\",\"new\"]\x1e42[\"flood\",\"close\"]");
        poller.is_gone();
        assert_eq!(fixture.end().counter("io_polls_overflowed"), Some(1));
    });
}

#[test]
fn acks_and_what_asks_for_them_are_not_dropped() {
    for policy in [SlowPolicy::DropNew, SlowPolicy::DropOldest, SlowPolicy::LatestOnly] {
        let describe = |io: &mut Io, tell: &Tell| {
            let tell = tell.clone();
            io.of("/").on("ask", |socket, (): &()| _ = socket.ack(())).on("turn", move |socket, (): &()| {
                let tell = tell.clone();
                socket.emit("question", Binary(&[1]));
                socket.emit_with_ack("question", (), move |_, answer: Result<&u32, _>| {
                    tell.say(format!("{answer:?}"));
                });
                socket.emit("question", Binary(&[2]));
            });
        };
        let fixture = start_with(
            1,
            describe,
            |io| io.polling_bytes_max = 2000,
            |builder| builder.configure(|config| config.slow_policy = policy),
        );
        let mut poller = fixture.polling();
        let asked: Vec<_> = (0..100).map(|n| format!("42{n}[\"ask\"]")).collect();
        poller.post(&asked.join("\x1e"));
        let answers: Vec<_> = (0..100).map(|n| format!("43{n}[]")).collect();
        assert_eq!(poller.poll().packets(), answers, "{policy:?}");
        poller.post("42[\"turn\"]");
        let packets = poller.poll().packets();
        let binary =
            |bytes| ["451-[\"question\",{\"_placeholder\":true,\"num\":0}]".to_owned(), format!("b{bytes}")];
        let question = vec!["420[\"question\"]".to_owned()];
        // The event and its attachment are one, and go together.
        let expected = match policy {
            SlowPolicy::LatestOnly => [binary("Ag==").to_vec(), question].concat(),
            _ => [binary("AQ==").to_vec(), question, binary("Ag==").to_vec()].concat(),
        };
        assert_eq!(packets, expected, "{policy:?}");
        poller.post("430[7]");
        assert_eq!(fixture.said(), "Ok(7)");
        poller.post("1");
        fixture.end();
    }
}

#[test]
fn what_waits_by_a_policy_goes_on_over_the_websocket() {
    with_shards(|shards| {
        let fixture = start(shards, flooding, |io| io.polling_bytes_max = 1000);
        for how in ["oldest", "latest"] {
            let mut poller = fixture.polling();
            let mut ws = fixture.ask_websocket(&format!("&sid={}", poller.sid)).unwrap();
            ws.send("2probe");
            assert_eq!(ws.text(), "3probe");
            poller.post(&format!("42[\"policy\",\"{how}\"]\x1e42[\"flood\",\"\"]"));
            ws.send("5");
            for n in if how == "oldest" { 15..=20 } else { 20..=20 } {
                assert_eq!(ws.text(), packet("n", n));
            }
            // The policy has moved along: within a turn one event takes the place of the other.
            ws.send("42[\"all\",\"\"]");
            for n in if how == "oldest" { 1..=20 } else { 20..=20 } {
                assert_eq!(ws.text(), packet("n", n));
            }
            ws.close();
        }
        fixture.end();
    });
}

/// A WebSocket whose client reads nothing until its outbox has been full, with its acks among what waits.
#[test]
fn a_websocket_that_is_full_loses_what_may_be_lost_and_nothing_else() {
    with_shards(|shards| {
        let (tokens, taken) = mpsc::channel();
        let describe = move |io: &mut Io, _: &Tell| {
            let tokens = tokens.clone();
            io.of("/").on("later", move |socket, (): &()| tokens.send(socket.take_ack()).unwrap());
        };
        let fixture = start_with(
            shards,
            describe,
            |_| {},
            |builder| builder.configure(|config| config.outbox_bytes_max = 300_000),
        );
        let mut ws = fixture.connected();
        ws.send("427[\"later\"]");
        let ack = taken.recv().unwrap();
        let io = || fixture.handle.io();
        let mut filled = 0_u32;
        while counted(&fixture)[1] == 0 {
            filled += 1;
            assert!(io().drop_oldest().emit("fill", (filled, "x".repeat(20_000))));
        }
        assert!(io().latest_only("EURUSD").emit("price", 1));
        assert!(io().drop_new().emit("new", ()), "there is no room for it, and it is encoded for everybody");
        assert!(ack.answer("answer"));
        (2..=9).for_each(|price| assert!(io().latest_only("EURUSD").emit("price", price)));
        assert!(io().or_close().emit("end", ()));
        let mut heard = Vec::new();
        let mut last = 0;
        loop {
            let text = ws.text();
            match text.strip_prefix("42[\"fill\",") {
                Some(fill) => {
                    let n = fill.split(',').next().unwrap().parse().unwrap();
                    assert!(n > last, "{n} behind {last}");
                    last = n;
                }
                None => heard.push(text),
            }
            // The small event may have fitted beside the large ones.
            heard.retain(|heard| heard != "42[\"new\"]");
            if heard.len() == 3 {
                break;
            }
        }
        assert_eq!(last, filled, "the newest stays");
        let [new, _, replaced] = counted(&fixture);
        // An ack from another thread comes by another way than what is emitted there.
        heard.sort_unstable();
        assert_eq!(heard, ["42[\"end\"]", "42[\"price\",9]", "437[\"answer\"]"]);
        assert!(new <= 1 && replaced == 8, "{new} {replaced}");
        ws.close();
        fixture.end();
    });
}

/// 20 clients that do not poll, and one that has little to poll for: together they stay within the bound of their shard.
#[test]
fn the_bound_over_all_that_wait_is_paid_by_those_with_most() {
    let fixture = start_with(
        1,
        flooding,
        |config| config.max_payload = 100_000,
        |builder| {
            builder.configure(|config| {
                config.outboxes_bytes_max = 100_000;
                config.message_bytes_max = 100_000;
            })
        },
    );
    let mut little = fixture.polling();
    let pollers: Vec<Poller> = (0..20).map(|_| fixture.polling()).collect();
    little.post("42[\"join\",\"little\"]");
    let others = || fixture.handle.io().except("little");
    for _ in 0..10 {
        assert!(others().drop_oldest().emit("fill", "x".repeat(3000)));
        // Which are asked for come behind it.
        let held = fixture.handle.io_audit()[0].polls_held;
        assert!(held <= 100_000, "{held}");
    }
    assert!(fixture.handle.metrics().counter("outboxes_relieved") > Some(0));
    assert_eq!(fixture.handle.io_audit()[0].sessions, 21, "they lost messages, and stay");
    while fixture.handle.io_audit()[0].sessions == 21 {
        assert!(others().or_close().emit("fill", "x".repeat(3000)));
    }
    let gone = 21 - fixture.handle.io_audit()[0].sessions;
    assert!(gone <= 12, "not all of them: {gone}");
    assert!(fixture.handle.io().emit("hello", ()));
    assert_eq!(little.next(), "42[\"hello\"]");
    pollers.into_iter().chain([little]).for_each(|mut poller| _ = poller.ask_post("1"));
    assert_eq!(fixture.end().counter("io_polls_overflowed"), Some(gone as u64));
}

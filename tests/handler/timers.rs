//! Timers of a shard and of a connection, and work that is done elsewhere.

use std::thread;
use std::time::{Duration, Instant};

use tungstenite::Message;

use super::probe::{Hooks, Probe, start, text, with_shards};

const MS: Duration = Duration::from_millis(1);

#[test]
fn they_ring_in_order_and_never_early() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        let (_client, id) = fixture.client();
        fixture.cast(id, |_, conn| {
            let began = Instant::now();
            for ms in [30, 10, 20, 0] {
                conn.after(ms * MS, move |probe: &mut Probe, _| {
                    assert!(began.elapsed() >= ms * MS);
                    probe.say(format!("shard {ms}"));
                });
                conn.after_on(ms * MS, move |probe, conn| {
                    assert!(began.elapsed() >= ms * MS);
                    probe.say(format!("{} {ms}", conn.id()));
                });
            }
        });
        for ms in [0, 10, 20, 30] {
            assert_eq!((fixture.said(), fixture.said()), (format!("shard {ms}"), format!("{id} {ms}")));
        }
        assert_eq!(fixture.stop().counter("panics"), Some(0));
    });
}

#[test]
fn they_repeat_until_they_are_cancelled() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        let (mut client, id) = fixture.client();
        let began = Instant::now();
        let timers = fixture.on(id, |_, conn| {
            let mut rings = 0;
            let of_the_shard = conn.every(5 * MS, move |probe: &mut Probe, _| {
                rings += 1;
                probe.say(format!("ring {rings}"));
            });
            (of_the_shard, conn.every_on(5 * MS, |_, conn| _ = conn.send("tick")))
        });
        for n in 1..=4 {
            assert_eq!(fixture.said(), format!("ring {n}"));
            assert_eq!(text(&mut client), "tick");
        }
        assert!(began.elapsed() >= 20 * MS);
        let cancelled = fixture.on(id, move |probe, conn| {
            let cancelled = [conn.cancel(timers.0), conn.cancel(timers.1), conn.cancel(timers.0)];
            probe.say("cancelled");
            conn.send("cancelled");
            // One set now rings after whatever was due by now.
            conn.after(10 * MS, |probe: &mut Probe, _| probe.say("last"));
            cancelled
        });
        assert_eq!(cancelled, [true, true, false]);
        while fixture.said() != "cancelled" {}
        while text(&mut client) != "cancelled" {}
        assert_eq!(fixture.said(), "last");
        client.send(Message::text("no more ticks")).unwrap();
        assert_eq!(text(&mut client), "no more ticks");
        fixture.stop();
    });
}

#[test]
fn one_may_cancel_itself_and_set_others() {
    let fixture = start(1, Hooks::default(), |_| {});
    let (_client, id) = fixture.client();
    fixture.cast(id, |_, conn| {
        let own = std::rc::Rc::new(std::cell::Cell::new(None));
        let mut rings = 0;
        let timer = conn.every(MS, {
            let own = own.clone();
            move |probe: &mut Probe, shard| {
                rings += 1;
                probe.say(format!("ring {rings}"));
                if rings == 3 {
                    assert!(shard.cancel(own.get().unwrap()));
                    shard.after(10 * MS, |probe: &mut Probe, _| probe.say("then this"));
                }
            }
        });
        own.set(Some(timer));
    });
    for said in ["ring 1", "ring 2", "ring 3", "then this"] {
        assert_eq!(fixture.said(), said);
    }
    assert_eq!(fixture.stop().counter("panics"), Some(0));
}

#[test]
fn a_connections_timers_end_with_it() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        let (gone, gone_id) = fixture.client();
        let (_other, id) = fixture.client_on(gone_id.shard());
        fixture.on(gone_id, |_, conn| {
            conn.after_on(20 * MS, |probe, _| probe.say("after"));
            conn.every_on(20 * MS, |probe, _| probe.say("every"));
        });
        drop(gone);
        fixture.closed(gone_id);
        fixture.cast(id, |_, conn| {
            conn.after_on(40 * MS, |probe, _| probe.say("of another"));
        });
        assert_eq!(fixture.said(), "of another");
        fixture.stop();
    });
}

#[test]
fn shards_start_with_their_own() {
    let hooks = Hooks {
        start: |probe, shard| {
            probe.say("start");
            shard.after(MS, |probe: &mut Probe, shard| probe.say(format!("shard {}", shard.index())));
        },
        ..Hooks::default()
    };
    let fixture = start(3, hooks, |_| {});
    let mut said: Vec<_> = (0..6).map(|_| fixture.said()).collect();
    said.sort();
    assert_eq!(said, ["shard 0", "shard 1", "shard 2", "start", "start", "start"]);
    fixture.stop();
}

#[test]
fn work_is_done_elsewhere_and_its_result_comes_back() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        let (mut client, id) = fixture.client();
        let here = fixture.on(id, |_, conn| {
            let here = thread::current().id();
            conn.offload(
                move || (thread::current().id() != here, vec![1, 2, 3]),
                move |probe: &mut Probe, _, (was_elsewhere, value)| {
                    probe.say(format!("{was_elsewhere} {value:?} {}", thread::current().id() == here));
                },
            );
            conn.offload_on(|| "computed".to_owned(), |_, conn, value| _ = conn.send(&value));
            here
        });
        assert_ne!(here, thread::current().id());
        assert_eq!(fixture.said(), "true [1, 2, 3] true");
        assert_eq!(text(&mut client), "computed");

        // A job that panics is counted, and the next one runs. A result for one that is gone is dropped.
        let (go, gate) = std::sync::mpsc::channel::<()>();
        fixture.on(id, move |_, conn| {
            conn.offload(|| panic!("in a job"), |probe: &mut Probe, _, ()| probe.say("never"));
            conn.offload_on(move || gate.recv().unwrap(), |probe, _, ()| probe.say("too late"));
        });
        drop(client);
        fixture.closed(id);
        go.send(()).unwrap();
        let (_other, other) = fixture.client_on(id.shard());
        fixture.cast(other, |_, conn| _ = conn.offload(|| (), |probe: &mut Probe, _, ()| probe.say("next")));
        assert_eq!(fixture.said(), "next");
        assert_eq!(fixture.stop().counter("jobs_panicked"), Some(1));
    });
}

/// A shard has a limit of jobs, and says so.
#[test]
fn jobs_beyond_the_limit_are_refused() {
    let fixture =
        start(1, Hooks::default(), |config| (config.offload_jobs_max, config.offload_threads) = (2, 1));
    let (_client, id) = fixture.client();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let taken = fixture.on(id, |_, conn| {
        let first = conn.offload(move || wait.recv(), |probe: &mut Probe, _, _| probe.say("first"));
        let rest = [(); 2].map(|()| conn.offload(|| (), |probe: &mut Probe, _, ()| probe.say("second")));
        [first, rest[0], rest[1]]
    });
    assert_eq!(taken, [true, true, false]);
    go.send(()).unwrap();
    assert_eq!((fixture.said(), fixture.said()), ("first".to_owned(), "second".to_owned()));
    assert!(fixture.on(id, |_, conn| conn.offload(|| (), |_, _, ()| ())));
    assert_eq!(fixture.stop().counter("jobs_refused"), Some(1));
}

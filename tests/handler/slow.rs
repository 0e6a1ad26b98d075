//! Peers that read too slowly and stay: what they lack was dropped by a policy and counted, and the rest is in order.

use throng::{Cause, Conn, Delivery, SlowPolicy};
use tungstenite::Message;

use super::pressure::slow;
use super::probe::{Client, Fixture, Hooks, Probe, start, with_shards};

const LIMIT: usize = 100_000;

fn fixture(shards: usize) -> Fixture {
    start(shards, Hooks::default(), |config| config.outbox_bytes_max = LIMIT)
}

/// Fills the kernel until what follows waits in the outbox.
fn stuff(fixture: &Fixture, id: throng::ConnId) {
    let is_stuck = || fixture.on(id, |_, conn| conn.queued_bytes() > 0);
    while !(is_stuck() && is_stuck()) {
        fixture.on(id, |_, conn| _ = conn.or_close().send(&[0; 4000]));
    }
}

/// The numbers that arrive, up to and with the last.
fn numbers(client: &mut Client, last: u32) -> Vec<u32> {
    let mut numbers = Vec::new();
    while numbers.last() != Some(&last) {
        match client.read().unwrap() {
            Message::Text(text) => numbers.push(text.split(' ').next().unwrap().parse().unwrap()),
            Message::Binary(_) => {}
            other => panic!("{other:?}"),
        }
    }
    numbers
}

fn numbered(n: u32) -> String {
    format!("{n} {}", "x".repeat(1000))
}

type Say = fn(&mut Conn<'_, Probe>, u32) -> Delivery;

/// Each policy, of the connection and of the message: sends 1,000 messages of 1,000 bytes and reads what came of them.
#[test]
fn what_does_not_fit_is_dropped_by_policy_and_the_rest_is_in_order() {
    let own: [(SlowPolicy, Say); 2] = [
        (SlowPolicy::Close, |conn, n| conn.drop_new().send(&numbered(n))),
        (SlowPolicy::DropNew, |conn, n| conn.send(&numbered(n))),
    ];
    let oldest: [(SlowPolicy, Say); 2] = [
        (SlowPolicy::LatestOnly, |conn, n| conn.drop_oldest().send(&numbered(n))),
        (SlowPolicy::DropOldest, |conn, n| conn.send(&numbered(n))),
    ];
    for (policy, say) in own {
        let (got, said, dropped) = flood(policy, say, "units_dropped_new");
        let fitted = said.iter().take_while(|said| **said != Delivery::Dropped).count();
        assert!((50..=100).contains(&fitted), "{fitted}");
        assert_eq!(got[..fitted], (1..=fitted as u32).collect::<Vec<_>>(), "the first ones stay");
        assert_eq!((got.len() - 1, dropped), (fitted, 1000 - fitted as u64));
    }
    for (policy, say) in oldest {
        let (got, said, dropped) = flood(policy, say, "units_dropped_oldest");
        assert!(!said.contains(&Delivery::Dropped));
        let first = 1001 - (got.len() as u32 - 1);
        assert!((50..=100).contains(&(got.len() - 1)), "{}", got.len());
        assert_eq!(got[..got.len() - 1], (first..=1000).collect::<Vec<_>>(), "the last ones stay");
        // The end mark pushed one out as well.
        assert!((dropped - u64::from(first - 1)) <= 2, "{dropped} {first}");
    }
}

fn flood(policy: SlowPolicy, say: Say, counter: &str) -> (Vec<u32>, Vec<Delivery>, u64) {
    let fixture = fixture(1);
    let (mut client, id) = slow(&fixture);
    fixture.on(id, move |_, conn| conn.set_slow_policy(policy));
    stuff(&fixture, id);
    let said = fixture.on(id, move |_, conn| (1..=1000).map(|n| say(conn, n)).collect::<Vec<_>>());
    assert_eq!(fixture.on(id, |_, conn| conn.slow_policy()), policy);
    let dropped = fixture.handle.metrics().counter(counter).unwrap();
    let reading = std::thread::spawn(move || numbers(&mut client, 0));
    fixture.drained(id);
    fixture.on(id, |_, conn| assert_eq!(conn.or_close().send("0 end"), Delivery::Queued));
    let got = reading.join().unwrap();
    fixture.stop();
    (got, said, dropped)
}

#[test]
fn the_latest_of_each_key_arrives_wherever_it_was_published() {
    with_shards(|shards| {
        let fixture = fixture(shards);
        let (mut client, id) = slow(&fixture);
        let (_beside, beside) = fixture.client();
        fixture.on(id, |_, conn| conn.subscribe("prices"));
        stuff(&fixture, id);
        for n in 1..=1000 {
            let name = ["a", "b", "c"][n as usize % 3];
            match n % 2 {
                0 => fixture.handle.latest_only(name).publish("prices", &numbered(n)).unwrap(),
                _ => fixture.on(beside, move |_, conn| {
                    assert!(conn.latest_only(name).broadcast("prices", &numbered(n)));
                }),
            }
        }
        fixture.on(beside, |_, conn| assert!(conn.publish("prices", "0 end")));
        let got = numbers(&mut client, 0);
        // The kernel may have taken some yet; what it did not take was replaced.
        let mut last = [0; 3];
        for &n in &got[..got.len() - 1] {
            assert!(n > std::mem::replace(&mut last[n as usize % 3], n), "each key in order: {got:?}");
        }
        assert_eq!(last, [999, 1000, 998]);
        assert_eq!(fixture.stop().counter("units_replaced"), Some(1001 - got.len() as u64));
    });
}

#[test]
fn a_fast_reader_gets_the_last_of_a_turn_and_its_other_messages_in_order() {
    let fixture = fixture(1);
    let (mut client, id) = fixture.client();
    fixture.on(id, |_, conn| {
        conn.subscribe("prices");
        for n in 1..=10 {
            conn.latest_only("a").publish("prices", &numbered(n));
            conn.publish("prices", &numbered(n + 100));
        }
    });
    assert_eq!(numbers(&mut client, 110), [&[10][..], &(101..=110).collect::<Vec<_>>()].concat());
    fixture.on(id, |_, conn| {
        conn.set_slow_policy(SlowPolicy::LatestOnly);
        (1..=10).for_each(|n| _ = conn.send(&numbered(n)));
        (11..=20).for_each(|n| _ = conn.publish("prices", &numbered(n)));
        conn.or_close().send("0 end");
    });
    assert_eq!(numbers(&mut client, 0), [10, 20, 0], "of what is sent directly and of each topic");
    fixture.stop();
}

#[test]
fn latest_ones_that_do_not_fit_together_end_the_connection() {
    let fixture = fixture(1);
    let (client, id) = slow(&fixture);
    stuff(&fixture, id);
    fixture.on(id, |_, conn| {
        let said: Vec<_> = (0..1000).map(|n| conn.latest_only(n.to_string()).send(&numbered(n))).collect();
        assert_eq!(said.last(), Some(&Delivery::Dropped));
    });
    drop(client);
    assert_eq!(fixture.closed(id).cause, Cause::OutboxFull);
    fixture.stop();
}

/// 30 connections that read nothing, and one that holds little: the bound is kept by those with most.
#[test]
fn the_bound_over_all_outboxes_is_paid_by_those_who_hold_most() {
    let fixture = start(1, Hooks::default(), |config| config.outboxes_bytes_max = 1 << 20);
    let (mut little, little_id) = slow(&fixture);
    stuff(&fixture, little_id);
    let hogs: Vec<_> = (0..30).map(|_| slow(&fixture)).collect();
    for (n, (_, id)) in hogs.iter().enumerate() {
        let drops = n % 2 == 0;
        fixture.on(*id, move |_, conn| {
            if drops {
                conn.set_slow_policy(SlowPolicy::DropOldest);
            }
            (0..30).for_each(|n| _ = conn.send(&[n; 10_000]));
        });
    }
    let count = |name| fixture.handle.metrics().counter(name).unwrap();
    while count("units_dropped_oldest") == 0 || count("outboxes_full") == 0 {
        std::thread::yield_now();
    }
    fixture.on(little_id, |_, conn| conn.send("1 is still there"));
    assert_eq!(numbers(&mut little, 1), [1]);
    let hogs = hogs.into_iter().enumerate().filter(|(n, _)| n % 2 == 0);
    for (_, (client, id)) in hogs {
        assert_eq!(
            fixture.on(id, |_, conn| conn.slow_policy()),
            SlowPolicy::DropOldest,
            "it lost messages, and stays"
        );
        drop(client);
    }
    let metrics = fixture.stop();
    assert!((1..=15).contains(&metrics.counter("outboxes_full").unwrap()));
}

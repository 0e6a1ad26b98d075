//! Compressed messages on real sockets, both ways: what is negotiated, what is compressed and for whom, and what a peer's
//! bombs and broken streams come to.

use std::io::Write;

use throng::proto::ws::Message;
use throng::proto::ws::deflate::Deflater;
use throng::{Config, SlowPolicy};

use super::probe::{Hooks, start, with_shards};
use peer::Peer;

mod peer;

const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// Text-like bytes, never the same twice.
fn words(number: usize, len: usize) -> Vec<u8> {
    let mut words = Vec::new();
    let mut state = number as u32 + 1;
    while words.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        words.extend_from_slice(
            [&b"room"[..], b"socket", b"message", b"event", b"turn "][(state >> 24) as usize % 5],
        );
        words.extend_from_slice((state >> 20 & 63).to_string().as_bytes());
    }
    words.truncate(len);
    words
}

fn on(config: &mut Config) {
    config.deflate = true;
}

#[test]
fn it_is_agreed_on_where_both_want_it() {
    let offers = [OFFER, "permessage-deflate; server_max_window_bits=8", "permessage-deflate; x", "x-other"];
    for (is_on, answers) in [(false, [false; 4]), (true, [true, false, false, false])] {
        let fixture = start(1, Hooks::default(), |config| config.deflate = is_on);
        for (offer, answered) in offers.iter().zip(answers) {
            let (mut peer, _) = Peer::connect(&fixture, "/", offer);
            let expected = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
            assert_eq!(peer.answer, if answered { expected } else { "" }, "{offer}");
            let message = words(1, 5000);
            peer.send(&Peer::frame(0x82, &message));
            assert!(peer.next() == Ok((message, answered)));
            if !answered {
                // RSV1 without an agreement (RFC 6455 §5.2).
                peer.send(&Peer::frame(0xc2, b"\x03\x00"));
                assert_eq!(peer.next(), Err(1002));
            }
        }
        let metrics = fixture.stop();
        assert_eq!(metrics.counter("deflates_declined"), Some(u64::from(is_on)));
    }
}

/// Every window and both takeovers, messages of all sizes from both sides: everything comes back as it was.
#[test]
fn echoes_come_back_with_every_window_and_context() {
    let takeovers = [(false, false), (true, false), (false, true), (true, true)];
    for (window, (server, client)) in (9..=15).flat_map(|window| takeovers.map(|takeover| (window, takeover)))
    {
        let fixture = start(1, Hooks::default(), |config| {
            on(config);
            config.deflate_window_bits = window;
            config.deflate_server_takeover = server;
            config.deflate_client_takeover = client;
            config.message_bytes_max = 300_000;
        });
        let (mut peer, _) = Peer::connect(&fixture, "/", OFFER);
        assert_eq!(peer.answer.contains("server_no_context_takeover"), !server);
        assert_eq!(peer.answer.contains("client_no_context_takeover"), !client);
        peer.deflater = Some(Deflater::new(6, window as u8));
        let sizes = [0, 1, 20, 1023, 1024, 1025, 4096, 30_000, 299_000];
        let messages: Vec<_> =
            (0..40).map(|number| words(number % 11, sizes[number % sizes.len()])).collect();
        let mut sent = Vec::new();
        for (number, message) in messages.iter().enumerate() {
            sent.extend(if number % 3 == 0 { Peer::frame(0x82, message) } else { peer.compressed(message) });
        }
        let mut writer = peer.stream.try_clone().unwrap();
        let writes = std::thread::spawn(move || writer.write_all(&sent).unwrap());
        let mut compressed = 0;
        for message in &messages {
            let (echo, is_compressed) = peer.next().unwrap();
            assert!(echo == *message, "window {window}, {server}, {client}, {} bytes", message.len());
            assert!(!is_compressed || message.len() >= 1024);
            compressed += u64::from(is_compressed);
        }
        writes.join().unwrap();
        let metrics = fixture.stop();
        let count = |name| metrics.counter(name).unwrap();
        assert_eq!(count("messages_in"), 40);
        assert!(count("messages_inflated") >= 15 && compressed >= 15, "{compressed}");
        assert!(count("messages_deflated") >= compressed);
        assert!(count("deflate_bytes_saved") > 0 && count("inflate_bytes") > 100_000);
    }
}

#[test]
fn a_publication_is_compressed_once_for_all_who_take_it_so() {
    with_shards(|shards| {
        let hooks = Hooks { open: |conn| _ = conn.subscribe("t"), message: |_, _, _| {}, ..Hooks::default() };
        let fixture = start(shards, hooks, |config| {
            on(config);
            config.deflate_server_takeover = true;
        });
        let small = "permessage-deflate; server_max_window_bits=9; server_no_context_takeover";
        let offers = [
            OFFER,
            "x",
            small,
            OFFER,
            OFFER,
            "permessage-deflate; server_no_context_takeover",
            small,
            "x",
            OFFER,
        ];
        let mut peers: Vec<_> = offers.map(|offer| Peer::connect(&fixture, "/", offer)).into_iter().collect();
        // Own messages between the publications: those have a context, which the publications leave behind.
        for number in 0..8 {
            let (own, public) = (words(3, 3000 + number), words(number, 4000));
            for (_, id) in &peers {
                let own = own.clone();
                fixture.on(*id, move |_, conn| _ = conn.send(&own));
            }
            fixture.handle.publish("t", &public).unwrap();
            fixture.handle.publish("t", "short").unwrap();
            fixture.handle.publish_uncompressed("t", &public).unwrap();
            for ((peer, _), offer) in peers.iter_mut().zip(offers) {
                let takes = offer != "x";
                assert!(peer.next() == Ok((own.clone(), takes)), "{offer}, {number}");
                assert!(peer.next() == Ok((public.clone(), takes)), "{offer}, {number}");
                assert!(peer.next() == Ok((b"short".to_vec(), false)));
                assert!(peer.next() == Ok((public.clone(), false)));
            }
        }
        drop(peers);
        let metrics = fixture.stop();
        // Seven of nine take them; with one shard two windows are two forms.
        let deflated = metrics.counter("messages_deflated").unwrap();
        let (own, forms) = (8 * 7, 8 * 2);
        assert!((own + forms..=own + forms * shards as u64).contains(&deflated), "{deflated}");
        assert!(shards > 1 || deflated == own + forms);
    });
}

#[test]
fn what_is_not_to_be_compressed_is_not() {
    let hooks = Hooks { message: |_, conn, message| _ = conn.send_uncompressed(message), ..Hooks::default() };
    let fixture = start(1, hooks, on);
    let (mut peer, id) = Peer::connect(&fixture, "/", OFFER);
    for len in [10, 1024, 5000, 100_000] {
        let message = words(len, len);
        let bytes = peer.compressed(&message);
        peer.send(&bytes);
        assert!(peer.next() == Ok((message, false)));
    }
    // Nor is what would be no smaller, or what a turn has no more time for.
    let noise: Vec<u8> = std::iter::successors(Some(1_u64), |state| {
        Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1))
    })
    .map(|state| (state >> 56) as u8)
    .take(3000)
    .collect();
    fixture.on(id, {
        let sent = noise.clone();
        move |_, conn| _ = conn.send(&sent)
    });
    assert!(peer.next() == Ok((noise, false)));
    let fixture = start(1, Hooks::default(), |config| {
        on(config);
        config.deflate_bytes_per_turn = 0;
    });
    let (mut peer, _) = Peer::connect(&fixture, "/", OFFER);
    peer.send(&Peer::frame(0x82, &words(1, 5000)));
    assert!(peer.next() == Ok((words(1, 5000), false)));
    assert_eq!(fixture.stop().counter("deflates_skipped"), Some(1));
}

#[test]
fn bombs_and_broken_streams_end_their_connection_and_no_other() {
    let fixture = start(1, Hooks::default(), |config| {
        on(config);
        config.message_bytes_max = 100_000;
    });
    let (mut healthy, _) = Peer::connect(&fixture, "/", OFFER);
    let mut bomb = Vec::new();
    assert!(Deflater::new(9, 15).deflate(&vec![0; 50 << 20], false, &mut bomb));
    let cut = words(1, 9000);
    let mut whole = Vec::new();
    assert!(Deflater::new(6, 15).deflate(&cut, false, &mut whole));
    let mut no_text = Vec::new();
    assert!(Deflater::new(6, 15).deflate(&[0xff; 99], false, &mut no_text));
    let fragments = [Peer::frame(0x42, &bomb[..30_000]), Peer::frame(0x80, &bomb[30_000..])].concat();
    for (name, bytes, code) in [
        ("a bomb", Peer::frame(0xc2, &bomb), 1009),
        ("a bomb in fragments", fragments, 1009),
        ("nonsense", Peer::frame(0xc2, b"\x06nonsense"), 1007),
        ("cut", Peer::frame(0xc2, &whole[..whole.len() / 2]), 1007),
        ("no text", Peer::frame(0xc1, &no_text), 1007),
        ("a compressed ping", Peer::frame(0xc9, b""), 1002),
    ] {
        let (mut peer, id) = Peer::connect(&fixture, "/", OFFER);
        peer.send(&bytes);
        assert_eq!(peer.next(), Err(code), "{name}");
        drop(peer);
        assert_eq!(fixture.closed(id).code, code);
        let bytes = healthy.compressed(&cut);
        healthy.send(&bytes);
        assert!(healthy.next().is_ok_and(|(echo, _)| echo == cut), "{name}");
    }
    drop(healthy);
    let metrics = fixture.stop();
    assert_eq!((metrics.counter("bad_deflate"), metrics.counter("message_too_big")), (Some(2), Some(2)));
}

/// A read of many messages that inflate to much more than a turn's budget is taken in over many turns, in order.
#[test]
fn what_a_turn_does_not_inflate_is_inflated_in_the_next_ones() {
    let hooks = Hooks {
        message: |_, conn, message| {
            let Message::Binary(bytes) = message else { return };
            let mut said = bytes[..8].to_vec();
            said.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            conn.send(&said);
        },
        ..Hooks::default()
    };
    for takeover in [false, true] {
        let fixture = start(1, hooks, |config| {
            on(config);
            config.deflate_client_takeover = takeover;
            config.inflate_bytes_per_turn = 10_000;
        });
        let mut peers: Vec<_> = (0..3).map(|_| Peer::connect(&fixture, "/", OFFER).0).collect();
        for peer in &mut peers {
            let mut bytes = Vec::new();
            for number in 0..100_u64 {
                let mut message = vec![number as u8; 20_000];
                message[..8].copy_from_slice(&number.to_be_bytes());
                bytes.extend(peer.compressed(&message));
                bytes.extend(Peer::frame(0x82, &number.to_be_bytes()));
            }
            peer.send(&bytes);
        }
        for peer in &mut peers {
            for number in 0..100_u64 {
                for len in [20_000_u32, 8] {
                    let expected = [&number.to_be_bytes()[..], &len.to_be_bytes()].concat();
                    assert_eq!(peer.next(), Ok((expected, false)));
                }
            }
        }
        let metrics = fixture.stop();
        assert_eq!(metrics.counter("messages_inflated"), Some(300));
        assert!(metrics.counter("turns").unwrap() >= 150, "two budgets a turn, of a message each");
    }
}

#[test]
fn contexts_have_a_limit_and_go_with_their_connection() {
    let fixture = start(1, Hooks::default(), |config| {
        on(config);
        config.deflate_server_takeover = true;
        config.deflate_bytes_max = 900_000;
    });
    let is_denied = |peer: &Peer| peer.answer.contains("server_no_context_takeover");
    let mut peers: Vec<_> = (0..4).map(|_| Peer::connect(&fixture, "/", OFFER)).collect();
    let denied: Vec<_> = peers.iter().map(|(peer, _)| is_denied(peer)).collect();
    assert_eq!(denied, [false, false, true, true]);
    for (peer, _) in &mut peers {
        for _ in 0..3 {
            let bytes = peer.compressed(&words(1, 3000));
            peer.send(&bytes);
            assert!(peer.next() == Ok((words(1, 3000), true)));
        }
    }
    let (gone, id) = peers.remove(0);
    drop(gone);
    fixture.closed(id);
    // Its handler hears of it just before its context is freed, in the same turn.
    let (peer, _) = Peer::connect(&fixture, "/", OFFER);
    assert!(!is_denied(&peer));
    drop((peer, peers));
    assert_eq!(fixture.stop().counter("takeovers_refused"), Some(2));
}

/// What may be dropped once it is compressed has no context, and what is never dropped keeps its own around it.
#[test]
fn whoever_misses_messages_by_a_policy_can_read_the_others() {
    for (policy, counter) in [
        (SlowPolicy::DropNew, "units_dropped_new"),
        (SlowPolicy::DropOldest, "units_dropped_oldest"),
        (SlowPolicy::LatestOnly, "units_replaced"),
    ] {
        let fixture = start(1, Hooks::default(), |config| {
            on(config);
            config.deflate_server_takeover = true;
            (config.outbox_bytes_max, config.outbox_bytes_high, config.outbox_bytes_low) =
                (20_000, 10_000, 5000);
        });
        let (mut peer, id) = Peer::connect(&fixture, "/", OFFER);
        fixture.on(id, move |_, conn| conn.set_slow_policy(policy));
        for round in 0..3 {
            let (kept, all) = (round * 1000, round * 1000..round * 1000 + 200);
            // Nothing leaves before the handler returns.
            fixture.on(id, move |_, conn| {
                for number in all {
                    let message = words(number, 1500);
                    _ = if number < kept + 5 { conn.or_close().send(&message) } else { conn.send(&message) };
                }
            });
            fixture.on(id, |_, conn| _ = conn.or_close().send("end"));
            let mut got = Vec::new();
            loop {
                let (message, is_compressed) = peer.next().unwrap();
                if message == b"end" {
                    break;
                }
                let number = (kept..kept + 200).find(|&number| words(number, 1500) == message);
                assert!(is_compressed);
                got.push(
                    number.unwrap_or_else(|| panic!("{policy:?}: one that nobody has sent, behind {got:?}")),
                );
            }
            assert!(got.starts_with(&[kept, kept + 1, kept + 2, kept + 3, kept + 4]), "{got:?}");
            assert!(got.is_sorted() && (6..150).contains(&got.len()), "{policy:?}: {got:?}");
        }
        drop(peer);
        assert!(fixture.stop().counter(counter).unwrap() > 200, "{policy:?}");
    }
}

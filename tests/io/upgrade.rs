//! From polling to WebSocket: the probe, what is queued meanwhile, and upgrades that come to nothing.

use std::time::{Duration, Instant};

use super::peer::{Fixture, Poller, Ws, start, talking, with_shards};

/// The WebSocket that is to take a session over. The kernel gives it any shard: it is moved to the session's.
fn probe(fixture: &Fixture, poller: &Poller) -> Ws {
    fixture.ask_websocket(&format!("&sid={}", poller.sid)).unwrap()
}

/// The same, with its probe answered.
fn probed(fixture: &Fixture, poller: &Poller) -> Ws {
    let mut ws = probe(fixture, poller);
    ws.send("2probe");
    assert_eq!(ws.text(), "3probe");
    ws
}

#[test]
fn what_is_queued_arrives_once_and_in_order() {
    with_shards(|shards| {
        // Several, so that with three shards some of the WebSockets are moved and some are not.
        for _ in 0..6 {
            let fixture = start(shards, talking, |_| {});
            let mut poller = fixture.polling();
            assert_eq!(fixture.said(), "+/");
            poller.wait_with_a_poll(&fixture);
            let mut ws = probed(&fixture, &poller);
            // The poll that waits ends, so that the client can move.
            assert_eq!(poller.polls.answer().packets(), ["6"]);
            for n in 0..5 {
                poller.post(&format!("42[\"echo\",{n}]"));
            }
            poller.post("452-[\"echo\",{\"_placeholder\":true,\"num\":1},{\"_placeholder\":true,\"num\":0}]\x1ebAQ==\x1ebAg==");
            ws.send("5");
            ws.send("42[\"echo\",5]");
            for n in 0..5 {
                assert_eq!(ws.text(), format!("42[\"echo\",{n}]"));
            }
            assert_eq!(
                ws.text(),
                "452-[\"echo\",{\"_placeholder\":true,\"num\":1},{\"_placeholder\":true,\"num\":0}]"
            );
            assert_eq!((ws.binary(), ws.binary()), (vec![1], vec![2]));
            assert_eq!(ws.text(), "42[\"echo\",5]");
            // Polling is over for it.
            assert_eq!(poller.ask_post("42[\"echo\"]").status, 400);
            assert_eq!(poller.poll().status, 400);
            ws.close();
            assert_eq!(fixture.said(), "-/ transport close");
            fixture.end();
        }
    });
}

#[test]
fn a_poll_that_still_waits_ends_with_the_upgrade() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |_| {});
        let mut poller = fixture.polling();
        let mut ws = probed(&fixture, &poller);
        // Between the probe and the end of the upgrade a poll is answered at once.
        assert_eq!(poller.next(), "6");
        ws.send_all(&["5", "42[\"echo\"]"]);
        assert_eq!(ws.text(), "42[\"echo\"]");
        ws.close();
        assert_eq!([fixture.said(), fixture.said()], ["+/", "-/ transport close"]);
        fixture.end();
    });
}

#[test]
fn a_probe_that_goes_away_leaves_polling_as_it_was() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |_| {});
        let mut poller = fixture.polling();
        assert_eq!(fixture.said(), "+/");
        for how in 0..5 {
            let mut ws = probe(&fixture, &poller);
            if how != 4 {
                ws.send("2probe");
                assert_eq!(ws.text(), "3probe");
            }
            match how {
                0 => ws.close(),
                1 => drop(ws),
                // Neither the probe nor the end of it.
                2 => {
                    ws.send("4nonsense");
                    assert_eq!(ws.close_code(), 1000);
                }
                3 => {
                    ws.client.send(tungstenite::Message::binary(vec![1])).unwrap();
                    assert_eq!(ws.close_code(), 1000);
                }
                // Not without a probe.
                _ => {
                    ws.send("5");
                    assert_eq!(ws.close_code(), 1000);
                }
            }
            poller.post(&format!("42[\"echo\",{how}]"));
            // Before the server knows that the probe is gone, a poll may bring a noop.
            let packets = std::iter::repeat_with(|| poller.poll().packets()).flatten();
            assert_eq!(
                packets.into_iter().find(|packet| packet != "6").unwrap(),
                format!("42[\"echo\",{how}]")
            );
            // It may try again, once the server knows.
            loop {
                let mut again = probe(&fixture, &poller);
                again.client.send(tungstenite::Message::text("2probe")).unwrap();
                if matches!(again.client.read().unwrap(), tungstenite::Message::Text(_)) {
                    again.close();
                    break;
                }
            }
            while poller_is_probed(&fixture, &poller) {}
        }
        poller.post("1");
        assert_eq!(fixture.said(), "-/ transport close");
        fixture.end();
    });
}

/// Whether a WebSocket of the session is closed at once, since the server holds another for its probe.
fn poller_is_probed(fixture: &Fixture, poller: &Poller) -> bool {
    let mut ws = probe(fixture, poller);
    // One that is taken is closed for what it says; the code is the same, so an answer to the probe tells.
    let sent = ws.client.send(tungstenite::Message::text("2probe"));
    let is_taken = sent.is_ok() && ws.client.read().is_ok_and(|message| message.is_text());
    if is_taken {
        ws.send("x");
        assert_eq!(ws.close_code(), 1000);
    }
    !is_taken
}

#[test]
fn a_second_websocket_for_a_session_is_closed() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |_| {});
        let poller = fixture.polling();
        let mut ws = probed(&fixture, &poller);
        assert_eq!(probe(&fixture, &poller).close_code(), 1000);
        ws.send_all(&["5", "42[\"echo\"]"]);
        assert_eq!(ws.text(), "42[\"echo\"]");
        assert_eq!(probe(&fixture, &poller).close_code(), 1000);
        ws.send("42[\"echo\"]");
        assert_eq!(ws.text(), "42[\"echo\"]");
        ws.close();
        assert_eq!([fixture.said(), fixture.said()], ["+/", "-/ transport close"]);
        fixture.end();
    });
}

#[test]
fn upgrades_that_are_not_allowed_are_closed() {
    let fixture = start(1, talking, |io| io.allow_upgrades = false);
    let mut poller = fixture.polling();
    assert_eq!(probe(&fixture, &poller).close_code(), 1000);
    poller.post("42[\"echo\"]");
    assert_eq!(poller.next(), "42[\"echo\"]");
    poller.post("1");
    assert_eq!([fixture.said(), fixture.said()], ["+/", "-/ transport close"]);
    fixture.end();
}

#[test]
fn an_upgrade_that_takes_too_long_is_ended() {
    with_shards(|shards| {
        let timeout = Duration::from_millis(200);
        let fixture = start(shards, talking, |io| io.upgrade_timeout = timeout);
        let mut poller = fixture.polling();
        // The time of a probe that was given up is not that of the next.
        let first = probed(&fixture, &poller);
        first.close();
        while poller_is_probed(&fixture, &poller) {}
        // Half of the first one's time is over when the next begins; nothing is waited for.
        std::thread::sleep(timeout / 2);
        let began = Instant::now();
        let ws = loop {
            let mut ws = probe(&fixture, &poller);
            ws.send("2probe");
            if ws.client.read().unwrap().is_text() {
                break ws;
            }
        };
        assert_eq!(ws.close_code(), 1000);
        assert!(began.elapsed() >= timeout, "{:?}", began.elapsed());
        poller.post("42[\"echo\"]");
        assert_eq!(poller.next(), "42[\"echo\"]");
        poller.post("1");
        assert_eq!([fixture.said(), fixture.said()], ["+/", "-/ transport close"]);
        fixture.end();
    });
}

#[test]
fn a_session_that_ends_during_the_upgrade_takes_its_probe_along() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |_| {});
        let mut poller = fixture.polling();
        let ws = probed(&fixture, &poller);
        poller.post("1");
        assert_eq!(ws.close_code(), 1000);
        assert_eq!([fixture.said(), fixture.said()], ["+/", "-/ transport close"]);
        fixture.end();
    });
}

//! What a connection says of itself, and how messages reach it.

use throng::Delivery;
use tungstenite::Message;

use super::probe::{Hooks, hang_up, start, text, with_shards};

#[test]
fn it_has_a_name_an_address_and_data() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        for _ in 0..10 {
            let (client, id) = fixture.client();
            let (told, peer, index, count, queued) = fixture.on(id, |_, conn| {
                (conn.id(), conn.peer_addr(), conn.index(), conn.shards(), conn.queued_bytes())
            });
            assert_eq!((told, index, count, queued), (id, id.shard(), shards, 0));
            assert_eq!(peer, Some(client.get_ref().local_addr().unwrap()));
        }
        let client = fixture.ask("/some/where?else", &[]).unwrap();
        let id = fixture.opened();
        fixture.on(id, |_, conn| conn.data().push('!'));
        assert_eq!(fixture.on(id, |_, conn| conn.data().clone()), "/some/where!");
        drop(client);
        fixture.stop();
    });
}

#[test]
fn it_counts_what_is_queued_in_the_same_turn() {
    let message = |probe: &mut super::probe::Probe,
                   conn: &mut throng::Conn<'_, super::probe::Probe>,
                   _: throng::Message<'_>| {
        conn.send("12345678");
        conn.send(&[0; 300]);
        // Two frames: 2 + 8 and 4 + 300 bytes, whether they are corked or queued.
        probe.say(conn.queued_bytes().to_string());
    };
    let fixture = start(1, Hooks { message, ..Hooks::default() }, |_| {});
    let (mut client, id) = fixture.client();
    client.send(Message::text("now")).unwrap();
    assert_eq!(fixture.said(), "314");
    let queued = fixture.on(id, |_, conn| {
        conn.send("12345678");
        conn.send(&[0; 300]);
        conn.queued_bytes()
    });
    assert_eq!(queued, 314);
    for _ in 0..2 {
        assert_eq!(text(&mut client), "12345678");
        assert_eq!(client.read().unwrap().len(), 300);
    }
    fixture.stop();
}

#[test]
fn messages_keep_their_order_whichever_way_they_take() {
    let open = |conn: &mut throng::Conn<'_, super::probe::Probe>| _ = conn.subscribe("t");
    let message = |_: &mut super::probe::Probe,
                   conn: &mut throng::Conn<'_, super::probe::Probe>,
                   message: throng::Message<'_>| {
        let large = "x".repeat(5000);
        for n in 0..4 {
            conn.send(message);
            conn.publish("t", &format!("published {n}"));
            conn.send(&format!("sent {n}"));
            conn.publish("t", &large);
            conn.send(&large);
        }
    };
    with_shards(|shards| {
        let fixture = start(shards, Hooks { open, message, ..Hooks::default() }, |_| {});
        let (mut client, _) = fixture.client();
        // A small message and a large one, which is echoed from where it lies.
        for said in ["hi", &"y".repeat(10_000)] {
            for _ in 0..3 {
                client.write(Message::text(said)).unwrap();
            }
            client.flush().unwrap();
            for n in (0..4).cycle().take(12) {
                assert_eq!(text(&mut client), said);
                assert_eq!(text(&mut client), format!("published {n}"));
                assert_eq!(text(&mut client), format!("sent {n}"));
                assert_eq!((text(&mut client).len(), text(&mut client).len()), (5000, 5000));
            }
        }
        fixture.stop();
    });
}

#[test]
fn any_connection_is_reached_from_any_other() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        let mut clients: Vec<_> = (0..shards).map(|shard| fixture.client_on(shard)).collect();
        let ids: Vec<_> = clients.iter().map(|(_, id)| *id).collect();
        for from in &ids {
            for (to, target) in ids.iter().enumerate() {
                let (from, target) = (*from, *target);
                let (delivery, is_here) = fixture.on(from, move |_, conn| {
                    (throng::Shard::send(conn, target, &format!("from {from}")), conn.conn(target).is_some())
                });
                assert_eq!(delivery, Delivery::Queued);
                assert_eq!(is_here, from.shard() == target.shard());
                assert_eq!(text(&mut clients[to].0), format!("from {from}"));
            }
        }
        // One that is gone gets nothing, and neither does the next tenant of its slot.
        let (mut gone, gone_id) = clients.pop().unwrap();
        gone.close(None).unwrap();
        hang_up(&mut gone);
        fixture.closed(gone_id);
        let (mut newcomer, newcomer_id) = fixture.client_on(gone_id.shard());
        assert_ne!(newcomer_id, gone_id);
        let delivery = fixture.on(newcomer_id, move |_, conn| {
            let delivery = throng::Shard::send(conn, gone_id, "for one that is gone");
            conn.send("for you");
            delivery
        });
        assert_eq!(delivery, Delivery::Dropped);
        assert_eq!(text(&mut newcomer), "for you");
        fixture.stop();
    });
}

#[test]
fn every_size_comes_back_whole() {
    let fixture = start(1, Hooks::default(), |config| config.read_bytes_per_turn = 4 << 10);
    let (mut client, _) = fixture.client();
    for size in [0, 1, 125, 126, 127, 4080, 4090, 4096, 5000, 65_535, 65_536, 100_000, 1 << 20] {
        let payload: Vec<u8> = (0..size).map(|n| (n * 7 + n / 256) as u8).collect();
        client.send(Message::binary(payload.clone())).unwrap();
        assert!(client.read().unwrap().into_data() == payload, "{size} bytes");
    }
    fixture.stop();
}

//! Subscriptions and publishes, from handlers and from threads.

use std::collections::HashMap;
use std::thread;

use throng::{Handle, Subscribed};
use tungstenite::Message;

use super::probe::{Client, Hooks, start, text, with_shards};

#[test]
fn to_whom_a_publish_goes() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |config| {
            (config.topics_per_connection_max, config.topic_bytes_max) = (2, 3);
        });
        let mut clients: Vec<_> =
            (0..shards).flat_map(|shard| [fixture.client_on(shard), fixture.client_on(shard)]).collect();
        let ids: Vec<_> = clients.iter().map(|(_, id)| *id).collect();
        for id in &ids {
            let said = fixture.on(*id, |_, conn| {
                [conn.subscribe("all"), conn.subscribe("all"), conn.subscribe("b"), conn.subscribe("c")]
            });
            assert_eq!(said, [Subscribed::New, Subscribed::Already, Subscribed::New, Subscribed::TooMany]);
            assert_eq!(fixture.on(*id, |_, conn| conn.subscribe("long")), Subscribed::TooLong);
        }
        assert_eq!(fixture.on(ids[0], |_, conn| (conn.subscribers("all"), conn.subscribers("none"))), (2, 0));

        assert!(fixture.on(ids[0], |_, conn| conn.publish("all", "with the sender")));
        assert!(fixture.on(ids[0], |_, conn| conn.broadcast("all", "without the sender")));
        assert!(fixture.on(ids[0], |_, conn| conn.publish("nobody's", "unheard")));
        fixture.handle.publish("all", "from outside").unwrap();
        fixture.handle.publish("all", &[1, 2, 3]).unwrap();
        for (n, (client, _)) in clients.iter_mut().enumerate() {
            assert_eq!(text(client), "with the sender");
            if n > 0 {
                assert_eq!(text(client), "without the sender");
            }
            assert_eq!(text(client), "from outside");
            assert_eq!(client.read().unwrap(), Message::binary(vec![1, 2, 3]));
        }

        // Who has unsubscribed hears no more; who has gone leaves nothing behind.
        assert_eq!(
            fixture.on(ids[0], |_, conn| (conn.unsubscribe("all"), conn.unsubscribe("all"))),
            (true, false)
        );
        let (gone, gone_id) = clients.pop().unwrap();
        drop(gone);
        fixture.closed(gone_id);
        fixture.handle.publish("all", "later").unwrap();
        fixture.handle.publish("b", "to the others").unwrap();
        for (n, (client, _)) in clients.iter_mut().enumerate() {
            if n > 0 {
                assert_eq!(text(client), "later");
            }
            assert_eq!(text(client), "to the others");
        }
        fixture.stop();
    });
}

/// Reads until everybody has said their last, and checks that each one's numbers come in order without gaps.
fn in_order(client: &mut Client, publishers: usize, each: u32) {
    let mut heard: HashMap<String, u32> = HashMap::new();
    for _ in 0..publishers as u32 * each {
        let said = text(client);
        let (who, number) = said.split_once(' ').unwrap();
        let next = heard.entry(who.to_owned()).or_default();
        assert_eq!(number.parse(), Ok(*next), "{who}");
        *next += 1;
    }
    assert_eq!(heard.len(), publishers);
}

#[test]
fn each_publishers_messages_come_in_order() {
    const EACH: u32 = 500;
    let open = |conn: &mut throng::Conn<'_, super::probe::Probe>| _ = conn.subscribe("all");
    let message = |_: &mut super::probe::Probe,
                   conn: &mut throng::Conn<'_, super::probe::Probe>,
                   message: throng::Message<'_>| {
        conn.publish("all", message);
    };
    let from_a_thread = |handle: &Handle, name: &str| {
        for n in 0..EACH {
            // The shards take about a thousand publishes per turn; who is faster tries again.
            while handle.publish("all", &format!("{name} {n}")).is_err() {
                thread::yield_now();
            }
        }
    };
    with_shards(|shards| {
        // A mailbox of 16 slots: shards spill to each other, threads are told `Full`.
        let fixture =
            start(shards, Hooks { open, message, ..Hooks::default() }, |config| config.mailbox_slots = 16);
        let mut clients: Vec<_> = (0..2 * shards).map(|n| fixture.client_on(n % shards)).collect();
        thread::scope(|scope| {
            for name in ["one", "two"] {
                let handle = &fixture.handle;
                scope.spawn(move || from_a_thread(handle, name));
            }
            for (n, (client, _)) in clients.iter_mut().enumerate() {
                for number in 0..EACH {
                    client.write(Message::text(format!("client{n} {number}"))).unwrap();
                }
                client.flush().unwrap();
            }
            for (client, _) in &mut clients {
                in_order(client, 2 + 2 * shards, EACH);
            }
        });
        let metrics = fixture.stop();
        let published = u64::from(EACH) * (2 + 2 * shards as u64);
        assert_eq!(metrics.counter("publishes"), Some(published * shards as u64));
        assert_eq!(metrics.counter("deliveries"), Some(published * 2 * shards as u64));
        assert_eq!(metrics.counter("publishes_dropped"), Some(0));
    });
}

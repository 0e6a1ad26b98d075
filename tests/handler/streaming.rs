//! One large message in parts, and what happens to others meanwhile.

use throng::{Cause, Delivery};
use tungstenite::Message;

use super::probe::{Hooks, PATIENCE, close_of, frame, send_raw, start, text, with_shards};

#[test]
fn other_messages_wait_until_it_is_finished() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |_| {});
        let (mut client, id) = fixture.client();
        fixture.on(id, |_, conn| conn.subscribe("t"));
        assert_eq!(fixture.on(id, |_, conn| conn.send_part("once ")), Delivery::Queued);
        // In between, in every way: a publish, a send, an echo, and a ping, which alone may come through.
        fixture.handle.publish("t", "published").unwrap();
        fixture.on(id, |_, conn| {
            conn.publish("t", "published here");
            conn.send("sent")
        });
        send_raw(&mut client, &[frame(0x81, b"echoed"), frame(0x89, b"ping")].concat());
        assert_eq!(client.read().unwrap(), Message::Pong("ping".into()));
        assert_eq!(fixture.on(id, |_, conn| conn.send_part("upon ")), Delivery::Queued);
        fixture.on(id, |_, conn| conn.send_last_part("a time"));
        assert_eq!(text(&mut client), "once upon a time");
        for said in ["published", "published here", "sent", "echoed"] {
            assert_eq!(text(&mut client), said);
        }
        // Then messages go straight again, and so does the next in parts, of which the last may be empty.
        client.send(Message::text("free")).unwrap();
        assert_eq!(text(&mut client), "free");
        fixture.on(id, |_, conn| {
            conn.send_part(&[1, 2]);
            conn.send_last_part(&[])
        });
        assert_eq!(client.read().unwrap(), Message::binary(vec![1, 2]));
        assert_eq!(fixture.on(id, |_, conn| conn.queued_bytes()), 0);
        fixture.stop();
    });
}

/// A part from within the message that is being read.
#[test]
fn it_may_begin_and_end_in_one_read() {
    let message = |_: &mut super::probe::Probe,
                   conn: &mut throng::Conn<'_, super::probe::Probe>,
                   message: throng::Message<'_>| {
        match message {
            throng::Message::Text("begin") => conn.send_part("a"),
            throng::Message::Text("end") => conn.send_last_part("b"),
            other => conn.send(other),
        };
    };
    let fixture = start(1, Hooks { message, ..Hooks::default() }, |_| {});
    let (mut client, _) = fixture.client();
    let said = ["1", "begin", "2", "end", "3", "begin", "4"];
    send_raw(&mut client, &said.map(|text| frame(0x81, text.as_bytes())).concat());
    for heard in ["1", "ab", "2", "3"] {
        assert_eq!(text(&mut client), heard);
    }
    // The rest in another read.
    send_raw(&mut client, &["5", "end", "6"].map(|text| frame(0x81, text.as_bytes())).concat());
    for heard in ["ab", "4", "5", "6"] {
        assert_eq!(text(&mut client), heard);
    }
    fixture.stop();
}

#[test]
fn a_large_one_follows_the_peer() {
    const PARTS: usize = 200;
    // Each part is sent when the one before has gone: memory stays at one part, whatever the message's size.
    let drain = |conn: &mut throng::Conn<'_, super::probe::Probe>| {
        let sent = conn.data().len();
        if sent < PARTS {
            conn.data().push('.');
            assert_eq!(conn.send_part(&[sent as u8; 100_000]), Delivery::Pressured);
        } else if sent == PARTS {
            conn.data().push('.');
            conn.send_last_part(&[]);
        }
    };
    let fixture = start(1, Hooks { drain, ..Hooks::default() }, |config| config.outbox_bytes_max = 150_000);
    let (mut client, id) = fixture.client();
    client.set_config(|config| *config = config.max_message_size(None).max_frame_size(None));
    fixture.cast(id, |_, conn| {
        conn.data().replace_range(.., ".");
        conn.send_part(&[0; 100_000]);
    });
    let message = client.read().unwrap().into_data();
    assert_eq!(message.len(), PARTS * 100_000);
    assert!(message.chunks(100_000).enumerate().all(|(n, part)| part.iter().all(|byte| *byte == n as u8)));
    fixture.stop();
}

#[test]
fn a_close_in_the_middle_drops_what_waits() {
    with_shards(|shards| {
        let fixture = start(shards, Hooks::default(), |config| config.close_timeout = 3 * PATIENCE);
        let (mut client, id) = fixture.client();
        fixture.on(id, |_, conn| {
            conn.send_part("never finished");
            conn.send("held");
            conn.close(4000, "enough");
        });
        assert_eq!(close_of(&mut client), (4000, "enough".to_owned()));
        let reason = fixture.closed(id);
        assert_eq!((reason.cause, reason.code), (Cause::Requested, 4000));
        fixture.stop();
    });
}

#[test]
fn what_waits_counts_as_queued() {
    let fixture = start(1, Hooks::default(), |config| {
        config.outbox_bytes_max = 10_000;
        config.outbox_bytes_high = 5000;
        config.outbox_bytes_low = 100;
    });
    let (mut client, id) = fixture.client();
    let said = fixture.on(id, |_, conn| {
        conn.send_part("part");
        [(); 4].map(|()| conn.send(&[0; 3000]))
    });
    use Delivery::{Dropped, Pressured, Queued};
    assert_eq!(said, [Queued, Pressured, Pressured, Dropped]);
    assert_eq!(close_of(&mut client).0, 1008);
    assert_eq!(fixture.closed(id).cause, Cause::OutboxFull);
    fixture.stop();
}

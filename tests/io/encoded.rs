//! How often an event is encoded: once, whatever the number of sockets and shards.

use throng::io::Io;

use super::peer::{Tell, start};

#[test]
fn a_broadcast_to_three_shards_is_encoded_once() {
    const SHARDS: usize = 3;
    let describe = |io: &mut Io, _: &Tell| {
        io.of("/")
            .on_connection(|socket| _ = socket.join("room"))
            .on("to room", |socket, text: &str| _ = socket.io().to("room").emit("said", text))
            .on("to one", |socket, text: &str| _ = socket.emit("said", text));
    };
    let fixture = start(SHARDS, describe, |_| {});
    let encoded = || fixture.handle.metrics().counter("io_broadcasts_encoded").unwrap();
    let mut members: Vec<_> =
        (0..SHARDS).flat_map(|shard| [shard, shard]).map(|shard| fixture.connected_on(shard)).collect();
    let mut poller = fixture.polling();
    // Their connection handlers have run once they have said something.
    for ws in &mut members {
        ws.send("42[\"to one\",\"hello\"]");
        assert_eq!(ws.text(), "42[\"said\",\"hello\"]");
    }
    poller.post("42[\"to one\",\"hello\"]");
    assert_eq!(poller.next(), "42[\"said\",\"hello\"]");
    assert_eq!(encoded(), 0, "what is for one is no broadcast");
    for round in 1..=3 {
        members[round].send("42[\"to room\",\"all\"]");
        for ws in &mut members {
            assert_eq!(ws.text(), "42[\"said\",\"all\"]");
        }
        assert_eq!(poller.next(), "42[\"said\",\"all\"]");
        assert_eq!(encoded(), round as u64);
    }
    // And from a thread that is no shard.
    fixture.handle.io().to("room").emit("said", "from outside");
    for ws in &mut members {
        assert_eq!(ws.text(), "42[\"said\",\"from outside\"]");
    }
    assert_eq!(poller.next(), "42[\"said\",\"from outside\"]");
    assert_eq!(encoded(), 4);
    members.into_iter().for_each(super::peer::Ws::close);
    poller.post("1");
    fixture.end();
}

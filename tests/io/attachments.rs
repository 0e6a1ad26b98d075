//! Packets whose attachments do not come: their time, and what a shard keeps for all of them.

use std::time::Duration;

use throng::io::IoConfig;
use tungstenite::Message;

use super::peer::{Fixture, Poller, Ws, start, talking, with_shards};

const PACKET: &str = r#"451-["echo",{"_placeholder":true,"num":0}]"#;
const TWO: &str = r#"452-["echo",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;

fn attach(ws: &mut Ws, bytes: usize) {
    ws.client.send(Message::binary(vec![1; bytes])).unwrap();
}

/// Sees that a client is told of its session's end.
fn is_over_on_websocket(fixture: &Fixture, ws: Ws) {
    assert_eq!(fixture.said(), "-/ parse error");
    assert_eq!(ws.close_code(), 1000);
}

fn is_over_by_polling(fixture: &Fixture, mut poller: Poller) {
    assert_eq!(fixture.said(), "-/ parse error");
    poller.is_gone();
}

#[test]
fn attachments_that_do_not_come_in_time_end_the_session() {
    with_shards(|shards| {
        let fixture =
            start(shards, talking, |io: &mut IoConfig| io.attachments_timeout = Duration::from_millis(100));
        let (mut whole, mut late) = (fixture.connected(), fixture.connected());
        let (mut slow, mut poller) = (fixture.connected(), fixture.polling());
        assert_eq!(fixture.said_sorted(4), ["+/"; 4]);
        // Its time is over with its packet.
        whole.send(PACKET);
        attach(&mut whole, 3);
        assert_eq!((whole.text(), whole.binary()), (PACKET.to_owned(), vec![1; 3]));

        late.send(PACKET);
        is_over_on_websocket(&fixture, late);
        // An attachment is not the last one.
        slow.send(TWO);
        attach(&mut slow, 3);
        is_over_on_websocket(&fixture, slow);
        poller.post(PACKET);
        is_over_by_polling(&fixture, poller);

        whole.send(PACKET);
        attach(&mut whole, 3);
        assert_eq!((whole.text(), whole.binary()), (PACKET.to_owned(), vec![1; 3]));
        whole.close();
        assert_eq!(fixture.said(), "-/ transport close");
        assert_eq!(fixture.end().counter("io_attachments_late"), Some(3));
    });
}

#[test]
fn who_holds_most_of_what_is_unfinished_pays_where_it_is_too_much() {
    let fixture = start(1, talking, |io: &mut IoConfig| io.unfinished_bytes_max = 100_000);
    let mut clients: Vec<_> = (0..3).map(|_| fixture.connected()).collect();
    let mut poller = fixture.polling();
    assert_eq!(fixture.said_sorted(4), ["+/"; 4]);
    let kept = || fixture.handle.io_audit()[0].unfinished;
    for (ws, bytes) in clients.iter_mut().zip([30_000, 40_000, 20_000]) {
        let before = kept();
        ws.send(TWO);
        attach(ws, bytes);
        while kept() < before + bytes {}
    }
    // One more than there is room for, and it is not its sender who has most.
    let base64 = "AQEB".repeat(20_000 / 3);
    poller.post(&format!("{TWO}\x1eb{base64}"));
    is_over_on_websocket(&fixture, clients.remove(1));
    // The others' packets become whole.
    for (ws, bytes) in clients.iter_mut().zip([30_000, 20_000]) {
        attach(ws, 1);
        assert_eq!((ws.text(), ws.binary().len(), ws.binary().len()), (TWO.to_owned(), bytes, 1));
    }
    poller.post("bAQ==");
    assert_eq!(poller.packets(3)[1].len(), 1 + base64.len());
    assert_eq!(kept(), 0);
    clients.into_iter().for_each(Ws::close);
    poller.post("1");
    assert_eq!(fixture.said_sorted(3), ["-/ transport close"; 3]);
    assert_eq!(fixture.end().counter("io_unfinished_overflowed"), Some(1));
}

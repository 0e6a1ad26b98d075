//! Packets that are none: each ends its own session, on either transport, and no other.

use tungstenite::Message;

use super::peer::{start, talking, with_shards};

const DEEP: &str = "42[\"echo\",[[[[[[[[[1]]]]]]]]]]";

/// The message that is wrong, behind others that are not, which reach for each kind there is.
const MALFORMED: [(&str, &[&str]); 21] = [
    ("no kind", &["4"]),
    ("an unknown kind", &["47[\"echo\"]"]),
    ("no count of attachments", &["45[\"echo\"]"]),
    ("a count without a hyphen", &["451[\"echo\"]"]),
    ("too many attachments", &["4511-[\"echo\"]"]),
    ("text instead of an attachment", &["451-[\"echo\",{\"_placeholder\":true,\"num\":0}]", "42[\"echo\"]"]),
    ("an attachment that was not announced", &["bAQ=="]),
    (
        "attachments that are too large",
        &[
            "452-[\"echo\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]",
            "bAAAAAAAAAAAAAAAA",
            "bAAAAAAAAAAAAAAAA",
        ],
    ),
    ("a placeholder of nothing", &["451-[\"echo\",{\"_placeholder\":true,\"num\":1}]"]),
    ("too long a namespace", &["42/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,[\"echo\"]"]),
    ("too large an ack id", &["429007199254740992[\"echo\"]"]),
    ("no JSON", &["42[\"echo\",]"]),
    ("no end", &["42[\"echo\""]),
    ("an event that is no array", &["42{}"]),
    ("an event without a name", &["42[]"]),
    ("a name that is none", &["42[null]"]),
    ("a reserved name", &["42[\"disconnect\"]"]),
    ("too long a name", &["42[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]"]),
    ("too many arguments", &["42[\"echo\",1,2,3,4,5,6]"]),
    ("too deep", &[DEEP]),
    ("a disconnect with a payload", &["41[]"]),
];

#[test]
fn each_ends_its_own_session() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |io| {
            let limits = &mut io.packet_limits;
            limits.attachments_bytes_max = 20;
            limits.namespace_bytes_max = 40;
            limits.event_bytes_max = 40;
            (limits.args_max, limits.depth_max) = (5, 8);
        });
        let mut beside: Vec<_> = (0..shards).map(|shard| fixture.connected_on(shard)).collect();
        (0..shards).for_each(|_| assert_eq!(fixture.said(), "+/"));
        for (what, packets) in MALFORMED {
            let mut ws = fixture.connected();
            assert_eq!(fixture.said(), "+/");
            ws.send("42[\"echo\",\"before\"]");
            assert_eq!(ws.text(), "42[\"echo\",\"before\"]");
            for packet in packets {
                match packet.strip_prefix('b') {
                    Some(base64) => ws.client.send(Message::binary(vec![0; base64.len() * 3 / 4])).unwrap(),
                    None => ws.send(packet),
                }
            }
            // What comes behind is not heard; whether it can still be sent is the kernel's.
            drop(ws.client.send(Message::text("42[\"echo\",\"behind\"]")));
            assert_eq!(ws.close_code(), 1000, "{what}");
            assert_eq!(fixture.said(), "-/ parse error", "{what}");

            let mut poller = fixture.polling();
            assert_eq!(fixture.said(), "+/");
            poller.post(&[packets, &["42[\"echo\",\"behind\"]"]].concat().join("\x1e"));
            assert_eq!(fixture.said(), "-/ parse error", "{what}");
            poller.is_gone();

            for ws in &mut beside {
                ws.send("42[\"echo\"]");
                assert_eq!(ws.text(), "42[\"echo\"]", "{what}");
            }
        }
        beside.into_iter().for_each(super::peer::Ws::close);
        (0..shards).for_each(|_| assert_eq!(fixture.said(), "-/ transport close"));
        fixture.end();
    });
}

#[test]
fn frames_that_are_no_packets_end_their_session() {
    with_shards(|shards| {
        let fixture = start(shards, talking, |_| {});
        for frame in ["", "x", "7", "0{}"] {
            let mut ws = fixture.connected();
            ws.send(frame);
            assert_eq!(ws.close_code(), 1000, "{frame}");
            assert_eq!([fixture.said(), fixture.said()], ["+/", "-/ parse error"], "{frame}");
        }
        fixture.end();
    });
}

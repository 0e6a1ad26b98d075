//! Packets that are none: each ends its own session, on either transport, and no other.

use tungstenite::Message;

use super::peer::{start, talking, with_shards};

const DEEP: &str = "42[\"echo\",[[[[[[[[[1]]]]]]]]]]";

/// What each is called, the packets of which the last is wrong, the reason its sockets hear, and the counter that counts it.
type Case = (&'static str, &'static [&'static str], &'static str, &'static str);

const PARSE: &str = "parse error";
const MALFORMED: [Case; 26] = [
    ("no kind", &["4"], PARSE, "io_packets_malformed"),
    ("an unknown kind", &["47[\"echo\"]"], PARSE, "io_packets_malformed"),
    ("no count of attachments", &["45[\"echo\"]"], PARSE, "io_packets_malformed"),
    ("a count without a hyphen", &["451[\"echo\"]"], PARSE, "io_packets_malformed"),
    ("too many attachments", &["4511-[\"echo\"]"], PARSE, "io_attachments_too_many"),
    ("more than any number", &["4599999999999999999999-[\"echo\"]"], PARSE, "io_attachments_too_many"),
    (
        "text instead of an attachment",
        &["451-[\"echo\",{\"_placeholder\":true,\"num\":0}]", "42[\"echo\"]"],
        PARSE,
        "io_packets_malformed",
    ),
    ("an attachment that was not announced", &["bAQ=="], PARSE, "io_packets_malformed"),
    (
        "attachments that are too large",
        &[
            "452-[\"echo\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]",
            "bAAAAAAAAAAAAAAAA",
            "bAAAAAAAAAAAAAAAA",
        ],
        PARSE,
        "io_attachments_too_large",
    ),
    (
        "a placeholder of nothing",
        &["451-[\"echo\",{\"_placeholder\":true,\"num\":1}]"],
        PARSE,
        "io_placeholders_wrong",
    ),
    (
        "too long a namespace",
        &["42/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,[\"echo\"]"],
        PARSE,
        "io_namespaces_too_long",
    ),
    ("too large an ack id", &["429007199254740992[\"echo\"]"], PARSE, "io_ack_ids_too_large"),
    ("the same of an ack", &["4399999999999999999999[]"], PARSE, "io_ack_ids_too_large"),
    ("no JSON", &["42[\"echo\",]"], PARSE, "io_packets_malformed"),
    ("no end", &["42[\"echo\""], PARSE, "io_packets_malformed"),
    ("an event that is no array", &["42{}"], PARSE, "io_packets_malformed"),
    ("an event without a name", &["42[]"], PARSE, "io_packets_malformed"),
    ("a name that is none", &["42[null]"], PARSE, "io_packets_malformed"),
    ("a reserved name", &["42[\"disconnect\"]"], PARSE, "io_packets_malformed"),
    (
        "too long a name",
        &["42[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]"],
        PARSE,
        "io_events_too_long",
    ),
    ("too many arguments", &["42[\"echo\",1,2,3,4,5,6]"], PARSE, "io_args_too_many"),
    ("too deep", &[DEEP], PARSE, "io_nested_too_deep"),
    ("a disconnect with a payload", &["41[]"], PARSE, "io_packets_malformed"),
    // Well formed, but no client's to send.
    ("a ping, which is the server's", &["2"], "transport error", "io_packets_unexpected"),
    ("a probe of what is in use", &["2probe"], "transport error", "io_packets_unexpected"),
    ("an event for elsewhere", &["42/nowhere,[\"echo\"]"], "forced server close", "io_packets_unexpected"),
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
        for (what, packets, reason, counter) in MALFORMED {
            let counted = || fixture.handle.metrics().counter(counter).unwrap();
            let before = counted();
            let gone = format!("-/ {reason}");
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
            assert_eq!(fixture.said(), gone, "{what}");
            assert_eq!(counted() - before, 1, "{what}: {counter}");

            let mut poller = fixture.polling();
            assert_eq!(fixture.said(), "+/");
            poller.post(&[packets, &["42[\"echo\",\"behind\"]"]].concat().join("\x1e"));
            assert_eq!(fixture.said(), gone, "{what}");
            assert_eq!(counted() - before, 2, "{what}: {counter}");
            // Who is disconnected by the server's force is still told so, if it asks in time.
            if reason == "forced server close" {
                assert_eq!(poller.next(), "1", "{what}");
            }
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
        let counted = fixture.end();
        assert_eq!(counted.counter("io_payloads_malformed"), Some(3));
        assert_eq!(counted.counter("io_packets_unexpected"), Some(1), "an open packet is one");
    });
}

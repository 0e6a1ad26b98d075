//! Packets in MessagePack that are none: each ends its own session, on either transport.

use data_encoding::BASE64;
use serde_json::{Value, json};
use throng::io::Parser;
use tungstenite::Message;

use super::peer::{Fixture, Poller, Ws, start, talking, with_shards};

fn packed(packet: &Value) -> Vec<u8> {
    rmp_serde::to_vec_named(packet).unwrap()
}

fn event(data: &Value) -> Vec<u8> {
    packed(&json!({ "type": 2, "nsp": "/", "data": data }))
}

/// An event whose array of a name and arguments is these bytes.
fn event_of(data: &[u8]) -> Vec<u8> {
    [b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data", data].concat()
}

/// A record of a payload.
fn record(bytes: &[u8]) -> String {
    format!("b{}", BASE64.encode(bytes))
}

/// What is wrong, and the counter that counts it. A length that is announced is never believed.
fn malformed() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let long = "a".repeat(41);
    let deep = (0..9).fold(json!(1), |inner, _| json!([inner]));
    let none = "io_packets_malformed";
    vec![
        ("nothing", vec![], none),
        ("the marker that nothing has", vec![0xc1], none),
        ("no map", vec![0x01], none),
        ("a map of 4,294,967,295", vec![0xdf, 0xff, 0xff, 0xff, 0xff], none),
        ("a key of 4,294,967,295 bytes", vec![0x81, 0xdb, 0xff, 0xff, 0xff, 0xff, b'a'], none),
        ("an array of 4,294,967,295", event_of(&[0xdd, 0xff, 0xff, 0xff, 0xff, 0xa4]), none),
        ("bytes of 4,294,967,295", event_of(b"\x92\xa4echo\xc6\xff\xff\xff\xff\x00"), none),
        ("text that is none", event_of(b"\x92\xa4echo\xa2\xff\xfe"), none),
        ("something behind it", [event(&json!(["echo"])), vec![0]].concat(), none),
        ("no type", packed(&json!({ "nsp": "/", "data": ["echo"] })), none),
        ("a type of JSON's alone", packed(&json!({ "type": 5, "nsp": "/", "data": ["echo"] })), none),
        ("no namespace", packed(&json!({ "type": 2, "data": ["echo"] })), none),
        ("no name", event(&json!([])), none),
        ("a reserved name", event(&json!(["disconnect"])), none),
        (
            "too long a namespace",
            packed(&json!({ "type": 2, "nsp": format!("/{long}"), "data": ["echo"] })),
            "io_namespaces_too_long",
        ),
        ("too long a name", event(&json!([long])), "io_events_too_long"),
        ("too many arguments", event(&json!(["echo", 1, 2, 3, 4, 5, 6])), "io_args_too_many"),
        ("too deep", event(&json!(["echo", deep])), "io_nested_too_deep"),
        (
            "too large an ack id",
            packed(&json!({ "type": 2, "nsp": "/", "data": ["echo"], "id": 1_u64 << 53 })),
            "io_ack_ids_too_large",
        ),
    ]
}

fn start_packed(shards: usize) -> Fixture {
    start(shards, talking, |io| {
        io.parser = Parser::Msgpack;
        let limits = &mut io.packet_limits;
        (limits.namespace_bytes_max, limits.event_bytes_max) = (40, 40);
        (limits.args_max, limits.depth_max) = (5, 8);
    })
}

fn connected(fixture: &Fixture) -> Ws {
    let mut ws = fixture.websocket();
    ws.client.send(Message::binary(packed(&json!({ "type": 0, "nsp": "/" })))).unwrap();
    ws.binary();
    assert_eq!(fixture.said(), "+/");
    ws
}

fn polling(fixture: &Fixture) -> Poller {
    let mut poller = fixture.poller();
    poller.post(&record(&packed(&json!({ "type": 0, "nsp": "/" }))));
    assert!(poller.next().starts_with('b'));
    assert_eq!(fixture.said(), "+/");
    poller
}

#[test]
fn each_ends_its_own_session() {
    with_shards(|shards| {
        let fixture = start_packed(shards);
        let mut beside = connected(&fixture);
        for (what, bytes, counter) in malformed() {
            let counted = || fixture.handle.metrics().counter(counter).unwrap();
            let before = counted();
            let mut ws = connected(&fixture);
            ws.client.send(Message::binary(bytes.clone())).unwrap();
            assert_eq!(ws.close_code(), 1000, "{what}");
            assert_eq!(fixture.said(), "-/ parse error", "{what}");
            assert_eq!(counted() - before, 1, "{what}: {counter}");

            let mut poller = polling(&fixture);
            poller.post(&record(&bytes));
            assert_eq!(fixture.said(), "-/ parse error", "{what}");
            assert_eq!(counted() - before, 2, "{what}: {counter}");
            poller.is_gone();

            beside.client.send(Message::binary(event(&json!(["echo", what])))).unwrap();
            let echoed: Value = rmp_serde::from_slice(&beside.binary()).unwrap();
            assert_eq!(echoed["data"], json!(["echo", what]));
        }
        // A text is none of its packets, whatever it says.
        beside.send("42[\"echo\"]");
        assert_eq!(beside.close_code(), 1000);
        assert_eq!(fixture.said(), "-/ parse error");
        fixture.end();
    });
}

//! Any bytes as a Socket.IO packet in MessagePack: handlers of every kind take it or do not, and passed on it has the same
//! arguments.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use throng::proto::socketio::{BinaryBuf, Kind, Limits, Packet, RawArgs, msgpack};

fuzz_target!(|data: &[u8]| {
    let limits = Limits::default();
    let Ok(packet) = Packet::parse_msgpack(data, &limits) else { return };
    let (args, mut scratch) = (packet.args, String::new());
    let _ = args.parse::<str>(&mut scratch);
    let _ = args.parse::<[u8]>(&mut scratch).map(<[u8]>::len);
    let _ = args.parse::<(f64, Option<BinaryBuf>, Vec<u8>, String)>(&mut scratch);
    let _ = args.parse::<Vec<Option<BinaryBuf>>>(&mut scratch);
    let _ = args.parse::<Value>(&mut scratch);
    assert!(args.len() <= 256);
    let raw = args.parse::<RawArgs>(&mut scratch).expect("it takes everything");
    let mut out = Vec::new();
    let written = match packet.kind {
        Kind::Event => msgpack::event(&mut out, packet.namespace, packet.ack_id, &packet.event, &raw),
        Kind::Ack => msgpack::ack(&mut out, packet.namespace, packet.ack_id.unwrap_or(0), &raw),
        _ => return,
    };
    written.expect("what came can be sent");
    let again = Packet::parse_msgpack(&out, &limits).expect("it is right");
    assert_eq!((again.kind, &again.event, again.args), (packet.kind, &packet.event, args));
});

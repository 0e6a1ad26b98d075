//! Any text as a Socket.IO packet: it is right exactly where `serde_json` finds JSON of the right shape, handlers of every
//! kind take it or do not, and passed on it is the same packet.
//!
//! The first byte is the length of each attachment.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;
use throng::proto::socketio::{BinaryBuf, Decoder, Kind, Limits, Packet, RawArgs, encode};

/// Asks for the arguments in every way there is.
fn take(packet: &Packet<'_>) {
    let (args, mut scratch) = (packet.args, String::new());
    let _ = args.parse::<str>(&mut scratch);
    let _ = args.parse::<[u8]>(&mut scratch).map(<[u8]>::len);
    let _ = args.parse::<(f64, Option<BinaryBuf>, Vec<u8>, String)>(&mut scratch);
    let _ = args.parse::<Vec<Option<BinaryBuf>>>(&mut scratch);
    let _ = args.parse::<Value>(&mut scratch);
    assert!(args.parse::<()>(&mut scratch).is_ok());
    // Whatever the head let through is JSON.
    assert_eq!(args.parse::<RawValue>(&mut scratch).is_ok(), !args.is_empty());
    let mut out = Vec::new();
    let mut attachments = Vec::new();
    let raw = args.parse::<RawArgs>(&mut scratch).expect("it takes everything");
    assert_eq!(raw.as_args(), args);
    let id = packet.ack_id;
    let written = match packet.kind {
        Kind::Event => encode::event(&mut out, packet.namespace, id, &packet.event, &raw, &mut attachments),
        Kind::Ack => encode::ack(&mut out, packet.namespace, id.unwrap_or(0), &args, &mut attachments),
        _ => return,
    };
    written.expect("what came can be sent");
    assert_eq!(attachments, args.attachments());
    // An unescaped name may be shorter or longer than it came, a number used as one is quoted now.
    let limits = Limits { event_bytes_max: usize::MAX, namespace_bytes_max: usize::MAX, ..Limits::default() };
    let again = Packet::parse(std::str::from_utf8(&out).expect("it is text"), &limits).expect("it is right");
    assert_eq!(
        (again.kind.assembled(), again.namespace, &again.event),
        (packet.kind, packet.namespace, &packet.event)
    );
    assert_eq!(again.args.as_json(), args.as_json());
}

fuzz_target!(|data: &[u8]| {
    let [length, text @ ..] = data else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let limits = Limits::default();
    let mut decoder = Decoder::new();
    let attachment = vec![7; usize::from(*length)];
    match decoder.text(text, &limits) {
        Err(_) => {
            let parsed = Packet::parse(text, &limits);
            assert!(parsed.is_err());
        }
        Ok(Some(packet)) => {
            if !packet.data.is_empty() {
                serde_json::from_str::<serde::de::IgnoredAny>(packet.data).expect("it is JSON");
            }
            take(&packet);
        }
        Ok(None) => loop {
            assert!(decoder.text(text, &limits).is_err());
            if let Some(assembly) = decoder.binary(&attachment, &limits).expect("it is outstanding") {
                assert_eq!(assembly.outstanding(), 0);
                take(&assembly.packet());
                break;
            }
        },
    }
});

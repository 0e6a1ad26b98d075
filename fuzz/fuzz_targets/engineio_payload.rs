//! Any text as an Engine.IO payload: what is read, written again, is the same text.
//!
//! The first byte is the limit of packets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use throng::proto::engineio::{Asks, Malformed, Packet, Payload, PayloadWriter, SessionId, Transports};

fuzz_target!(|data: &[u8]| {
    let [packets_max, body @ ..] = data else { return };
    let Ok(body) = std::str::from_utf8(body) else { return };
    let (mut buffer, mut out) = (Vec::new(), Vec::new());
    let mut writer = PayloadWriter::new(&mut out);
    let mut payload = Payload::new(body, u32::from(*packets_max), &mut buffer);
    let failed = loop {
        match payload.next() {
            Some(Ok(packet)) => writer.packet(packet),
            Some(Err(malformed)) => break Some(malformed),
            None => break None,
        }
    };
    assert!(payload.next().is_none(), "nothing comes behind an end");
    let packets = writer.packets();
    assert!(packets <= u32::from(*packets_max));
    assert!(body.as_bytes().starts_with(&out), "what was read is what is there");
    match failed {
        None => assert_eq!(out, body.as_bytes()),
        Some(Malformed::TooManyPackets) => assert_eq!(packets, u32::from(*packets_max)),
        Some(_) => assert!(out.len() < body.len() || body.is_empty()),
    }
    assert!(buffer.len() <= body.len());

    // The same text as everything else that Engine.IO reads.
    if let Ok(packet) = Packet::parse_text(body) {
        assert_eq!(packet.kind.digit(), body.as_bytes()[0]);
    }
    if let Some(id) = SessionId::parse(body) {
        assert_eq!(id.to_string(), body);
    }
    for asks_upgrade in [false, true] {
        let _ = Asks::parse("GET", Some(body), asks_upgrade, Transports::default());
    }
});

//! The open packet: what the server tells a client about its session.

use super::id::SessionId;
use super::packet::PacketKind;

/// The answer to a handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Open {
    /// The session's id, to be sent with every further request.
    pub sid: SessionId,
    /// Whether the client may move on to WebSocket: never where it is there already.
    pub upgrades_to_websocket: bool,
    /// Milliseconds from one ping of the server's to the next.
    pub ping_interval_ms: u64,
    /// Milliseconds the client has to answer one, and after which it may take the server for gone.
    pub ping_timeout_ms: u64,
    /// Bytes a client may put into one request or message.
    pub payload_bytes_max: usize,
}

impl Open {
    /// Appends the packet, digit and JSON, with the members in the order in which the official server writes them.
    pub fn append(&self, out: &mut Vec<u8>) {
        let Self { sid, upgrades_to_websocket, ping_interval_ms, ping_timeout_ms, payload_bytes_max } = self;
        let upgrades = if *upgrades_to_websocket { "\"websocket\"" } else { "" };
        let json = format!(
            "{{\"sid\":\"{sid}\",\"upgrades\":[{upgrades}],\"pingInterval\":{ping_interval_ms},\
             \"pingTimeout\":{ping_timeout_ms},\"maxPayload\":{payload_bytes_max}}}"
        );
        out.push(PacketKind::Open.digit());
        out.extend_from_slice(json.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_members_stand_in_the_official_order() {
        let mut open = Open {
            sid: SessionId { random: [0xff; 15], shard: 1, slot: 2 },
            upgrades_to_websocket: true,
            ping_interval_ms: 25_000,
            ping_timeout_ms: 20_000,
            payload_bytes_max: 1_000_000,
        };
        let mut out = b"<".to_vec();
        open.append(&mut out);
        assert_eq!(
            std::str::from_utf8(&out).unwrap(),
            r#"<0{"sid":"____________________AAEAAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#
        );
        open.upgrades_to_websocket = false;
        out.clear();
        open.append(&mut out);
        assert!(out.windows(14).any(|part| part == b"\"upgrades\":[],"));
    }
}

//! A payload: the packets of one HTTP body, parted by the record separator. Binary messages are base64 behind a `b`.
//!
//! Text that itself has a separator in it cannot be told from two packets: the protocol assumes there is none. JSON
//! escapes it, so no Socket.IO packet can have one outside of a namespace's name.

use data_encoding::BASE64;

use super::packet::{Data, Malformed, Packet, PacketKind};

/// Parts the packets of a payload: ASCII's record separator.
pub const SEPARATOR: u8 = 0x1e;

/// Begins a binary message in a payload, in place of a kind's digit.
const BINARY: u8 = b'b';

/// Reads a payload, packet by packet. After an error it has nothing more.
#[derive(Debug)]
pub struct Payload<'a> {
    rest: Option<&'a str>,
    packets_left: u32,
    buffer: &'a mut Vec<u8>,
}

impl<'a> Payload<'a> {
    /// A reader of a body of at most `packets_max` packets. Binary messages are decoded into `buffer`, one after the
    /// other: it never grows beyond three quarters of the body.
    #[must_use]
    pub const fn new(body: &'a str, packets_max: u32, buffer: &'a mut Vec<u8>) -> Self {
        Self { rest: Some(body), packets_left: packets_max, buffer }
    }

    /// The next packet, borrowed until the one after it is asked for; `None` behind the last.
    ///
    /// # Errors
    /// The payload is malformed here. An empty body is one empty packet, and that is malformed.
    #[expect(
        clippy::should_implement_trait,
        reason = "each item borrows the reader, which no Iterator allows"
    )]
    pub fn next(&mut self) -> Option<Result<Packet<'_>, Malformed>> {
        let rest = self.rest.take()?;
        let Some(packets_left) = self.packets_left.checked_sub(1) else {
            return Some(Err(Malformed::TooManyPackets));
        };
        self.packets_left = packets_left;
        let (record, behind) = match rest.split_once(char::from(SEPARATOR)) {
            Some((record, behind)) => (record, Some(behind)),
            None => (rest, None),
        };
        let packet = match record.as_bytes().split_first() {
            Some((&BINARY, base64)) => decode(base64, self.buffer).map(Packet::binary),
            _ => Packet::parse_text(record),
        };
        if packet.is_ok() {
            self.rest = behind;
        }
        Some(packet)
    }
}

/// Decodes strict base64 into `buffer`, in place of what it held.
fn decode<'b>(base64: &[u8], buffer: &'b mut Vec<u8>) -> Result<&'b [u8], Malformed> {
    let bytes_max = BASE64.decode_len(base64.len()).map_err(|_| Malformed::Base64)?;
    buffer.resize(bytes_max, 0);
    let bytes = BASE64.decode_mut(base64, buffer).map_err(|_| Malformed::Base64)?;
    // The decoder takes padded pieces one behind the other; a record is one piece, padded at its end alone.
    let padding = base64.iter().rev().take_while(|&&byte| byte == b'=').count();
    if bytes + padding != bytes_max {
        return Err(Malformed::Base64);
    }
    buffer.truncate(bytes);
    Ok(buffer)
}

/// Writes a payload onto the end of a buffer, packet by packet.
#[derive(Debug)]
pub struct PayloadWriter<'a> {
    out: &'a mut Vec<u8>,
    packets: u32,
}

impl<'a> PayloadWriter<'a> {
    /// A writer of a payload that begins where `out` ends now.
    #[must_use]
    pub const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, packets: 0 }
    }

    /// Appends a packet. Of binary data only a message can be made, so its kind is not looked at.
    pub fn packet(&mut self, packet: Packet<'_>) {
        match packet.data {
            Data::Text(text) => self.text(packet.kind, text),
            Data::Binary(bytes) => self.binary(bytes),
        }
    }

    /// Appends a packet with text.
    pub fn text(&mut self, kind: PacketKind, text: &str) {
        self.part();
        self.out.push(kind.digit());
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Appends a message of bytes, as base64.
    pub fn binary(&mut self, bytes: &[u8]) {
        self.part();
        self.out.push(BINARY);
        let start = self.out.len();
        self.out.resize(start + BASE64.encode_len(bytes.len()), 0);
        BASE64.encode_mut(bytes, &mut self.out[start..]);
    }

    /// How many packets were appended.
    #[must_use]
    pub const fn packets(&self) -> u32 {
        self.packets
    }

    fn part(&mut self) {
        if self.packets > 0 {
            self.out.push(SEPARATOR);
        }
        self.packets += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKETS_MAX: u32 = 100;

    /// Every packet as text: its kind's digit or `b`, then its data.
    fn read(body: &str, packets_max: u32) -> (Vec<Vec<u8>>, Option<Malformed>) {
        let (mut buffer, mut packets) = (vec![9; 3], Vec::new());
        let mut payload = Payload::new(body, packets_max, &mut buffer);
        while let Some(packet) = payload.next() {
            match packet {
                Ok(Packet { kind, data: Data::Text(text) }) => {
                    packets.push([&[kind.digit()], text.as_bytes()].concat());
                }
                Ok(Packet { kind, data: Data::Binary(bytes) }) => {
                    assert_eq!(kind, PacketKind::Message);
                    packets.push([&[BINARY], bytes].concat());
                }
                Err(malformed) => {
                    assert_eq!(payload.next(), None, "nothing comes after an error");
                    return (packets, Some(malformed));
                }
            }
        }
        (packets, None)
    }

    #[test]
    fn the_examples_of_the_protocol() {
        let hello = b"4hello".to_vec();
        assert_eq!(read("4hello", PACKETS_MAX), (vec![hello.clone()], None));
        let three = vec![hello.clone(), b"2".to_vec(), b"4world".to_vec()];
        assert_eq!(read("4hello\x1e2\x1e4world", PACKETS_MAX), (three, None));
        let mixed = vec![hello, vec![b'b', 1, 2, 3, 4]];
        assert_eq!(read("4hello\x1ebAQIDBA==", PACKETS_MAX), (mixed, None));
        assert_eq!(read("b", PACKETS_MAX), (vec![b"b".to_vec()], None));
        assert_eq!(read("4\u{20ac}", PACKETS_MAX), (vec!["4\u{20ac}".as_bytes().to_vec()], None));
    }

    #[test]
    fn what_is_malformed_ends_the_payload_there() {
        for (body, read_before, why) in [
            ("", 0, Malformed::Empty),
            ("\x1e", 0, Malformed::Empty),
            ("4a\x1e", 1, Malformed::Empty),
            ("\x1e4a", 0, Malformed::Empty),
            ("4a\x1e\x1e4b", 1, Malformed::Empty),
            ("abc", 0, Malformed::Kind),
            ("4a\x1e7\x1e4b", 1, Malformed::Kind),
            ("bAQIDBA", 0, Malformed::Base64),
            ("bAQIDBA=", 0, Malformed::Base64),
            ("bAQIDBB==", 0, Malformed::Base64),
            ("bAQID_-==", 0, Malformed::Base64),
            ("bAQ ID", 0, Malformed::Base64),
            ("bAQIDBA==AQ==", 0, Malformed::Base64),
            ("b====", 0, Malformed::Base64),
            ("b\u{e9}\u{e9}", 0, Malformed::Base64),
        ] {
            let (packets, malformed) = read(body, PACKETS_MAX);
            assert_eq!((packets.len(), malformed), (read_before, Some(why)), "{body:?}");
        }
    }

    #[test]
    fn packets_are_counted() {
        assert_eq!(read("2\x1e2\x1e2", 3).1, None);
        let (packets, malformed) = read("2\x1e2\x1e2\x1e2", 3);
        assert_eq!((packets.len(), malformed), (3, Some(Malformed::TooManyPackets)));
        assert_eq!(read("2", 0).1, Some(Malformed::TooManyPackets));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let bytes: Vec<u8> = (0..=255).collect();
        for len in 0..=bytes.len() {
            let mut out = b"kept".to_vec();
            let mut writer = PayloadWriter::new(&mut out);
            writer.text(PacketKind::Message, "2[\"e\"]");
            writer.binary(&bytes[..len]);
            writer.packet(Packet::text(PacketKind::Ping, ""));
            writer.packet(Packet::binary(&bytes[len..]));
            assert_eq!(writer.packets(), 4);
            let body = std::str::from_utf8(&out).unwrap().strip_prefix("kept").unwrap();
            let binary = |bytes: &[u8]| [b"b", bytes].concat();
            let expected =
                vec![b"42[\"e\"]".to_vec(), binary(&bytes[..len]), b"2".to_vec(), binary(&bytes[len..])];
            assert_eq!(read(body, PACKETS_MAX), (expected, None));
        }
    }

    #[test]
    fn no_prefix_of_a_payload_is_too_much() {
        let body = "0{}\x1ebAQIDBA==\x1e4\u{20ac}\x1e6";
        for end in (0..=body.len()).filter(|&end| body.is_char_boundary(end)) {
            let (packets, malformed) = read(&body[..end], PACKETS_MAX);
            let separators = body[..end].bytes().filter(|&byte| byte == SEPARATOR).count();
            assert_eq!(packets.len() + usize::from(malformed.is_some()), separators + 1, "{end}");
        }
    }
}

//! What is about to be sent on the connection at hand: frames in one buffer, which goes to one send; or, where sessions
//! poll, a payload of packets. Where messages are compressed `deflating` makes their frames.
//!
//! One per worker. A connection that cannot send a large buffer keeps it, and gives it back once it is empty.

use throng::proto::engineio::{PacketKind, PayloadWriter, SEPARATOR};
use throng::proto::ws::mask::unmask;
use throng::proto::ws::{Opcode, encode};

use crate::deflating::{Deflated, Deflating};
use crate::payload::STAMP_BYTES;

/// The output begins this far into its buffer. Two large buffers start at the same offset within a page, and copying
/// between equal page offsets costs up to three times as much (4K aliasing).
const SKEW: usize = 2048;
/// From this size on an unsent rest keeps its buffer instead of being copied out of it.
const KEPT_WHOLE_MIN: usize = 64 << 10;
/// Bytes of the longest header: two, eight of length, four of key (RFC 6455 §5.2).
const HEADER_BYTES_MAX: usize = 14;
/// Bytes copied at a time, so that they are still in the first cache when they are masked.
const PIECE_BYTES: usize = 2 << 10;
/// Bytes of spare buffers that are kept: 16 connections in the middle of 1 MiB each.
const SPARE_BYTES_MAX: usize = 32 << 20;

/// Frames for one connection.
#[derive(Debug)]
pub(crate) struct Output {
    /// The frames, after [`SKEW`] bytes that are never sent.
    bytes: Vec<u8>,
    /// Where a message is no plain frame.
    unusual: Option<Unusual>,
    keys: Keys,
    spares: Vec<Vec<u8>>,
    spare_bytes: usize,
}

/// What a message is where it is no plain frame. It is asked once for a message whether there is any of it.
#[derive(Debug)]
enum Unusual {
    /// A packet of a payload.
    Packets,
    /// A compressed frame, if that is smaller.
    Deflated(Box<Deflating>),
}

/// What the kernel has not taken of an output.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    bytes: Vec<u8>,
    /// Where the unsent bytes begin.
    from: usize,
}

impl Output {
    /// An empty output; `seed` is for its masking keys.
    pub(crate) fn new(seed: u64) -> Self {
        let (bytes, keys) = (vec![0; SKEW], Keys::new(seed));
        Self { bytes, unusual: None, keys, spares: Vec::new(), spare_bytes: 0 }
    }

    /// The same, for sessions that poll.
    pub(crate) fn of_payloads(self) -> Self {
        Self { unusual: Some(Unusual::Packets), ..self }
    }

    /// The same, with messages from so many bytes on compressed.
    pub(crate) fn deflating(self, bytes_min: usize) -> Self {
        Self { unusual: Some(Unusual::Deflated(Box::new(Deflating::new(bytes_min)))), ..self }
    }

    /// What compression has come to.
    pub(crate) fn deflated(&self) -> Deflated {
        match &self.unusual {
            Some(Unusual::Deflated(deflating)) => deflating.sum,
            _ => Deflated::default(),
        }
    }

    /// The frames.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[SKEW..]
    }

    /// Appends a message with these parts that is no plain frame.
    #[cold]
    fn append_unusual(&mut self, opcode: Opcode, parts: &[&[u8]]) {
        let Some(Unusual::Deflated(deflating)) = &mut self.unusual else {
            return self.append_packet(opcode, parts);
        };
        if !deflating.append(opcode, parts, self.keys.draw(), &mut self.bytes) {
            self.append_frame(opcode, parts);
        }
    }

    /// Appends one packet with these parts as its data. A close frame is the packet that closes the session.
    fn append_packet(&mut self, opcode: Opcode, parts: &[&[u8]]) {
        if !self.as_bytes().is_empty() {
            self.bytes.push(SEPARATOR);
        }
        match opcode {
            Opcode::Close => self.bytes.push(PacketKind::Close.digit()),
            Opcode::Binary => PayloadWriter::new(&mut self.bytes).binary(&parts.concat()),
            _ => parts.iter().for_each(|part| self.bytes.extend_from_slice(part)),
        }
    }

    /// Appends one masked frame.
    pub(crate) fn append(&mut self, opcode: Opcode, payload: &[u8]) {
        if self.unusual.is_some() {
            return self.append_unusual(opcode, &[payload]);
        }
        encode::append_masked(&mut self.bytes, opcode, true, payload, self.keys.draw());
    }

    /// Appends a masked frame with the payload `stamp`, then `filler`.
    ///
    /// The stamp is masked in registers: put together with the filler first, its two halves would be stored one by one
    /// and loaded as one, which stalls.
    #[inline]
    pub(crate) fn append_stamped(&mut self, opcode: Opcode, stamp: [u8; STAMP_BYTES], filler: &[u8]) {
        if self.unusual.is_some() {
            return self.append_unusual(opcode, &[&stamp, filler]);
        }
        let key = self.keys.draw();
        let length = STAMP_BYTES + filler.len();
        self.bytes.reserve(HEADER_BYTES_MAX + length);
        let [a, b, c, d] = key;
        match *encode::header(opcode, true, length).as_bytes() {
            // In registers too: the key of a masked header is stored where the length ends, and then loaded.
            [first, length] => self.bytes.extend_from_slice(&[first, length | 0x80, a, b, c, d]),
            _ => self.bytes.extend_from_slice(encode::masked_header(opcode, true, length, key).as_bytes()),
        }
        let mask = u128::from_ne_bytes([a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d]);
        self.bytes.extend_from_slice(&(u128::from_ne_bytes(stamp) ^ mask).to_ne_bytes());
        // A stamp's length and a piece's are multiples of four, so every piece begins with the mask's first byte.
        for piece in filler.chunks(PIECE_BYTES) {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(piece);
            unmask(&mut self.bytes[start..], key, 0);
        }
    }

    /// Appends a masked frame with these parts, one behind the other, as its payload.
    pub(crate) fn append_parts(&mut self, opcode: Opcode, parts: &[&[u8]]) {
        if self.unusual.is_some() {
            return self.append_unusual(opcode, parts);
        }
        self.append_frame(opcode, parts);
    }

    #[inline]
    fn append_frame(&mut self, opcode: Opcode, parts: &[&[u8]]) {
        let key = self.keys.draw();
        let length = parts.iter().map(|part| part.len()).sum();
        self.bytes.reserve(HEADER_BYTES_MAX + length);
        self.bytes.extend_from_slice(encode::masked_header(opcode, true, length, key).as_bytes());
        let payload = self.bytes.len();
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        unmask(&mut self.bytes[payload..], key, 0);
    }

    /// Empties it, but for its first `sent` bytes, into `unsent`.
    pub(crate) fn keep(&mut self, sent: usize, unsent: &mut Unsent) {
        let from = SKEW + sent;
        if unsent.is_empty() && self.bytes.len() - from >= KEPT_WHOLE_MIN {
            self.give_back(std::mem::take(unsent));
            let spare = self.spares.pop();
            self.spare_bytes -= spare.as_ref().map_or(0, Vec::capacity);
            let spare = spare.unwrap_or_else(|| vec![0; SKEW]);
            *unsent = Unsent { bytes: std::mem::replace(&mut self.bytes, spare), from };
        } else {
            unsent.append(&self.bytes[from..]);
            self.clear();
        }
    }

    /// Forgets the frames.
    pub(crate) fn clear(&mut self) {
        self.bytes.truncate(SKEW);
    }

    /// Takes the buffer of an empty rest back.
    pub(crate) fn give_back(&mut self, Unsent { mut bytes, .. }: Unsent) {
        let size = bytes.capacity();
        if size >= KEPT_WHOLE_MIN && self.spare_bytes + size <= SPARE_BYTES_MAX {
            bytes.resize(SKEW, 0);
            self.spare_bytes += size;
            self.spares.push(bytes);
        }
    }
}

impl Unsent {
    /// The bytes, in order.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.from..]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// The first `n` bytes have been sent.
    pub(crate) fn sent(&mut self, n: usize) {
        self.from += n;
    }

    fn append(&mut self, bytes: &[u8]) {
        // Dropping the sent part whenever it is the larger one copies each byte about once.
        if self.from > self.bytes.len() / 2 {
            self.bytes.drain(..self.from);
            self.from = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }
}

/// Masking keys: xorshift64*, seeded per worker. RFC 6455 §5.3 wants keys a page's script cannot predict; here nobody
/// writes payloads against us, so a cheap generator is enough.
#[derive(Debug)]
pub(crate) struct Keys(u64);

impl Keys {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn draw(&mut self) -> [u8; 4] {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32).to_ne_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use throng::proto::ws::{Decoder, Item, Limits, Message, Role, Store};

    #[test]
    fn a_server_reads_what_is_appended_and_keys_differ() {
        let mut output = Output::new(7);
        let lengths = [0, 1, 16, 17, 20, 125, 126, 2063, 2064, 2065, 4113, 65_535, 65_536, 100_003];
        let payloads: Vec<Vec<u8>> =
            lengths.iter().map(|&length| (0..length).map(|i: u32| (i * 7) as u8).collect()).collect();
        for payload in &payloads {
            match payload.split_first_chunk() {
                Some((stamp, filler)) => output.append_stamped(Opcode::Binary, *stamp, filler),
                None => output.append(Opcode::Binary, payload),
            }
        }
        let limits = Limits { message_bytes_max: 1 << 20, fragments_max: 1 };
        let mut bytes = output.as_bytes().to_vec();
        let (mut store, mut read) = (Store::new(), Vec::new());
        let mut decoder = Decoder::new(Role::Server, limits, None, &mut bytes);
        while let Some(item) = decoder.next(&mut store).unwrap() {
            let Item::Message(Message::Binary(payload)) = item else { panic!("{item:?}") };
            read.push(payload.to_vec());
        }
        assert_eq!(read, payloads);
        let mut keys = Keys::new(7);
        assert_ne!(keys.draw(), keys.draw());
    }

    #[test]
    fn sessions_that_poll_get_the_packets_of_one_payload() {
        let mut output = Output::new(7).of_payloads();
        output.append(Opcode::Text, b"40");
        output.append_parts(Opcode::Text, &[b"451-", b"[]"]);
        output.append_stamped(Opcode::Binary, *b"0123456789abcdef", b"!!");
        output.append(Opcode::Close, &1000u16.to_be_bytes());
        assert_eq!(output.as_bytes(), b"40\x1e451-[]\x1ebMDEyMzQ1Njc4OWFiY2RlZiEh\x1e1");
    }

    #[test]
    fn what_is_deflated_is_what_a_server_inflates_and_the_rest_is_as_it_was() {
        use throng::proto::ws::deflate::Agreed;
        let text: Vec<u8> = b"[\"word\",17]".iter().cycle().take(3000).copied().collect();
        let mut output = Output::new(7).deflating(100);
        // Short, of no pattern, control: as they are. Above the least and with one: compressed.
        let mut draws = Keys::new(3);
        let noise: Vec<u8> = (0..250).flat_map(|_| draws.draw()).collect();
        output.append(Opcode::Binary, &text[..99]);
        output.append(Opcode::Binary, &noise);
        output.append(Opcode::Ping, &text[..120]);
        assert_eq!(output.deflated(), Deflated::default());
        let plain = output.as_bytes().len();
        output.append_stamped(Opcode::Binary, *b"0123456789abcdef", &text);
        output.append_parts(Opcode::Text, &[&text[..7], &text[7..]]);
        output.append(Opcode::Text, &text);
        let sum = output.deflated();
        assert_eq!((sum.messages, sum.from_bytes), (3, 9016));
        assert!(sum.to_bytes < 900 && output.as_bytes().len() - plain < 900 + 3 * 8, "{sum:?}");
        let limits = Limits { message_bytes_max: 1 << 20, fragments_max: 1 };
        let (mut bytes, mut store, mut read) = (output.as_bytes().to_vec(), Store::new(), Vec::new());
        let mut decoder =
            Decoder::new(Role::Server, limits, None, &mut bytes).agreed(Agreed::windows(15, 15));
        while let Some(item) = decoder.next(&mut store).unwrap() {
            match item {
                Item::Message(message) => read.push(message.as_bytes().to_vec()),
                Item::Ping(payload) => read.push(payload.to_vec()),
                item => panic!("{item:?}"),
            }
        }
        let stamped = [b"0123456789abcdef", &text[..]].concat();
        assert_eq!(read, [text[..99].to_vec(), noise, text[..120].to_vec(), stamped, text.clone(), text]);
        assert_eq!(store.inflated.messages, 3);
    }

    #[test]
    fn what_is_unsent_stays_in_order_however_it_is_kept_and_taken() {
        for size in [10, 1000, KEPT_WHOLE_MIN, 3 * KEPT_WHOLE_MIN] {
            for taken in [1, 7, 900, 100_000] {
                let mut output = Output::new(1);
                let (mut unsent, mut expected, mut sent) = (Unsent::default(), Vec::new(), Vec::new());
                for round in 0..20 {
                    output.append(Opcode::Binary, &vec![round; size]);
                    // A send is tried only while nothing is left from before.
                    let at_once =
                        if unsent.is_empty() { output.as_bytes().len().min(round as usize) } else { 0 };
                    expected.extend_from_slice(output.as_bytes());
                    sent.extend_from_slice(&output.as_bytes()[..at_once]);
                    output.keep(at_once, &mut unsent);
                    assert!(output.as_bytes().is_empty());
                    let n = taken.min(unsent.as_bytes().len());
                    sent.extend_from_slice(&unsent.as_bytes()[..n]);
                    unsent.sent(n);
                    if unsent.is_empty() {
                        output.give_back(std::mem::take(&mut unsent));
                    }
                }
                sent.extend_from_slice(unsent.as_bytes());
                assert!(sent == expected, "{size} bytes, {taken} taken at a time");
            }
        }
    }

    #[test]
    fn large_buffers_go_round_and_spares_are_bounded() {
        let mut output = Output::new(1);
        let mut rests: Vec<Unsent> = Vec::new();
        for _ in 0..3 {
            for _ in 0..40 {
                output.append(Opcode::Binary, &vec![0; 1 << 20]);
                let mut unsent = Unsent::default();
                output.keep(0, &mut unsent);
                rests.push(unsent);
            }
            for rest in rests.drain(..) {
                output.give_back(rest);
            }
            let held: usize = output.spares.iter().map(Vec::capacity).sum();
            assert_eq!(held, output.spare_bytes);
            assert!(held <= SPARE_BYTES_MAX && output.spares.len() >= 16, "{held}");
        }
    }
}

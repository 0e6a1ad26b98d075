//! tungstenite as the oracle, on random streams: right ones, and right ones with something changed.

use throng::Cause;
use throng::proto::ws::{Limits, Opcode, Role, encode};

use super::harness::{Event, assert_agrees, cut, whole};

/// xorshift64*: small, and the same everywhere for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize) % n
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn payload(&mut self, opcode: Opcode, len: usize) -> Vec<u8> {
        if opcode == Opcode::Text {
            let mut text: String = (0..len).map(|_| self.pick(&['a', 'b', ' ', 'é', '€', '𝄞'])).collect();
            while text.len() > len {
                text.pop();
            }
            return text.into_bytes();
        }
        (0..len).map(|_| self.below(256) as u8).collect()
    }
}

const LENGTHS: [usize; 16] = [0, 1, 2, 7, 20, 100, 124, 125, 126, 127, 200, 400, 1000, 2100, 5000, 66_000];

fn frame(random: &mut Random, role: Role, out: &mut Vec<u8>, opcode: Opcode, fin: bool, payload: &[u8]) {
    match role {
        Role::Server => {
            let mask = [(); 4].map(|()| random.below(256) as u8);
            encode::append_masked(out, opcode, fin, payload, mask);
        }
        Role::Client => {
            out.extend_from_slice(encode::header(opcode, fin, payload.len()).as_bytes());
            out.extend_from_slice(payload);
        }
    }
}

fn control(random: &mut Random, role: Role, out: &mut Vec<u8>) {
    let opcode = random.pick(&[Opcode::Ping, Opcode::Pong]);
    let len = random.below(126);
    let payload = random.payload(opcode, len);
    frame(random, role, out, opcode, true, &payload);
}

/// A right stream of a few messages, sometimes with a close frame at its end.
fn stream(random: &mut Random, role: Role) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..1 + random.below(8) {
        if random.one_in(4) {
            control(random, role, &mut out);
        }
        let opcode = random.pick(&[Opcode::Text, Opcode::Binary]);
        let lengths = if random.one_in(5) { &LENGTHS[..] } else { &LENGTHS[..12] };
        let len = random.pick(lengths);
        let payload = random.payload(opcode, len);
        let (mut rest, mut next) = (&payload[..], opcode);
        while random.one_in(3) {
            let (now, later) = rest.split_at(random.below(rest.len() + 1));
            frame(random, role, &mut out, next, false, now);
            (rest, next) = (later, Opcode::Continue);
            if random.one_in(3) {
                control(random, role, &mut out);
            }
        }
        frame(random, role, &mut out, next, true, rest);
    }
    if random.one_in(3) {
        let code = random.pick(&[1000u16, 1001, 1005, 1011, 1016, 3000, 4999, 5000]).to_be_bytes();
        let reason = random.payload(Opcode::Text, 10);
        let payload = [&code[..], &reason].concat();
        let len = random.pick(&[0, 1, 2, payload.len()]);
        frame(random, role, &mut out, Opcode::Close, true, &payload[..len]);
    }
    out
}

/// Changes something: a bit, a byte, a piece taken out, put in twice, or the end.
fn mutate(random: &mut Random, stream: &mut Vec<u8>) {
    for _ in 0..1 + random.below(3) {
        if stream.is_empty() {
            return;
        }
        // Headers are few and far between, and the first one is certain.
        let at =
            if random.one_in(2) { random.below(stream.len().min(12)) } else { random.below(stream.len()) };
        match random.below(5) {
            0 => stream[at] ^= 1 << random.below(8),
            1 => stream[at] = random.pick(&[0, 1, 0x7e, 0x7f, 0x80, 0x81, 0xfe, 0xff]),
            2 => drop(stream.drain(at..(at + 1 + random.below(20)).min(stream.len()))),
            3 => {
                let piece = stream[at..(at + 1 + random.below(20)).min(stream.len())].to_vec();
                stream.splice(at..at, piece);
            }
            _ => stream.truncate(at),
        }
    }
}

#[test]
fn random_streams_right_and_wrong_agree_with_tungstenite() {
    let mut causes = std::collections::HashMap::<Option<Cause>, u32>::new();
    let mut messages = 0;
    for seed in 1..=6000u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let role = random.pick(&[Role::Server, Role::Server, Role::Client]);
        let message_bytes_max = random.pick(&[100, 3000, 1 << 20]);
        let limits = Limits { message_bytes_max, fragments_max: u32::MAX };
        let mut stream = stream(&mut random, role);
        if random.below(3) > 0 {
            mutate(&mut random, &mut stream);
        }
        let largest = random.pick(&[30, 4000]);
        let sizes = [(); 3].map(|()| 1 + random.below(largest));
        let direct = random.one_in(2);
        let said = std::panic::catch_unwind(|| {
            let ours = whole(role, limits, &stream);
            assert_agrees(role, limits, &stream, &ours);
            assert!(cut(role, limits, &stream, &sizes, direct) == ours, "cut in {sizes:?}, direct: {direct}");
            ours
        });
        let ours = said.unwrap_or_else(|_| panic!("seed {seed}"));
        *causes.entry(ours.end).or_default() += 1;
        messages +=
            ours.events.iter().filter(|event| matches!(event, Event::Text(_) | Event::Binary(_))).count();
    }
    // The streams are worth something only while they reach every end.
    for cause in [Cause::BadFrame, Cause::BadClose, Cause::BadUtf8, Cause::MessageTooBig].map(Some) {
        assert!(causes.get(&cause).is_some_and(|count| *count > 50), "{cause:?}: {causes:?}");
    }
    assert!(causes[&None] > 1000 && messages > 9_000, "{causes:?}, {messages} messages");
}

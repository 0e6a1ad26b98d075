//! However a stream is cut, the items are the same.

use throng::proto::ws::{Limits, Opcode, Role, encode};

use super::harness::{Outcome, assert_agrees, cut, whole};

const LIMITS: Limits = Limits { message_bytes_max: 200_000, fragments_max: 100 };

/// A frame in the role's peer's hand: a client's are masked.
fn frame(role: Role, opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match role {
        Role::Server => encode::append_masked(&mut out, opcode, fin, payload, [0xa5, 0x5a, 0xc3, 0x3c]),
        Role::Client => {
            out.extend_from_slice(encode::header(opcode, fin, payload.len()).as_bytes());
            out.extend_from_slice(payload);
        }
    }
    out
}

/// Text of `len` bytes with characters of one to four bytes.
fn text(len: usize) -> Vec<u8> {
    let mut text: String = "aé€𝄞".chars().cycle().take(len).collect();
    while text.len() > len {
        text.pop();
    }
    let missing = len - text.len();
    text.push_str(&"z".repeat(missing));
    text.into_bytes()
}

/// Streams as lists of frames.
fn streams(role: Role) -> Vec<(String, Vec<Vec<u8>>)> {
    use Opcode::{Binary, Close, Continue, Ping, Pong, Text};
    let frame = |opcode, fin, payload: &[u8]| frame(role, opcode, fin, payload);
    let mut streams = Vec::new();
    for len in [0, 1, 2, 3, 4, 5, 20, 124, 125, 126, 127, 128, 300, 2047, 2048, 4096, 65_535, 65_536, 100_000]
    {
        streams.push((format!("text of {len}"), vec![frame(Text, true, &text(len))]));
    }
    for len in [0, 20, 125, 126, 65_535, 65_536] {
        let frames = vec![frame(Binary, true, &vec![7; len]), frame(Text, true, b"after")];
        streams.push((format!("{len} bytes, then text"), frames));
    }
    let named = |name: &str, frames: Vec<Vec<u8>>| (name.to_owned(), frames);
    streams.extend([
        named("pings", vec![frame(Ping, true, b""), frame(Ping, true, &[1; 125]), frame(Pong, true, b"x")]),
        named("close", vec![frame(Close, true, b""), frame(Text, true, b"ignored")]),
        named("close 1000", vec![frame(Text, true, b"a"), frame(Close, true, b"\x03\xe8bye"), vec![0xff; 9]]),
        named("bad close", vec![frame(Close, true, b"\x03"), frame(Text, true, b"ignored")]),
        named("two fragments", vec![frame(Text, false, b"\xe2\x82"), frame(Continue, true, b"\xac")]),
        named(
            "control in between",
            vec![
                frame(Binary, false, b"ab"),
                frame(Ping, true, b"in"),
                frame(Continue, false, b"cd"),
                frame(Pong, true, b"between"),
                frame(Continue, true, b"ef"),
                frame(Text, true, b"after"),
            ],
        ),
        named("close within", vec![frame(Text, false, b"ab"), frame(Close, true, b"\x03\xe9")]),
        named(
            "empty fragments",
            vec![frame(Text, false, b""), frame(Continue, false, b""), frame(Continue, true, b"")],
        ),
        named("large fragments", vec![frame(Text, false, &text(5000)), frame(Continue, true, &text(70_000))]),
        named(
            "two fragmented",
            [(); 2].map(|()| [frame(Text, false, b"a"), frame(Continue, true, b"b")].concat()).into(),
        ),
        named("many", (0..30).map(|len| frame(Binary, true, &vec![len as u8; len])).collect()),
        named("bad text", vec![frame(Text, true, b"ok"), frame(Text, true, &[0xff; 30])]),
        named("bad text, fragmented", vec![frame(Text, false, b"ok"), frame(Continue, false, &[0xff; 30])]),
        named("too big", vec![frame(Text, true, b"ok"), frame(Binary, true, &[1; 200_001])]),
        named(
            "too big together",
            vec![frame(Text, false, &text(150_000)), frame(Continue, true, &text(50_001))],
        ),
        named("reserved bits", vec![frame(Text, true, b"ok"), vec![0xf1, 0x85, 0, 0, 0, 0, 1, 2, 3, 4, 5]]),
    ]);
    streams
}

/// Every place where it can be cut; in a long payload every one near its ends and a sample of the others.
fn cuts(frames: &[Vec<u8>]) -> Vec<usize> {
    let (mut cuts, mut start) = (Vec::new(), 0);
    for frame in frames {
        let near =
            |at: &usize| frame.len() <= 600 || *at <= 24 || *at + 8 >= frame.len() || at.is_multiple_of(1999);
        cuts.extend((0..frame.len()).filter(near).map(|at| start + at));
        start += frame.len();
    }
    cuts.retain(|at| *at > 0);
    cuts
}

fn check(role: Role, name: &str, stream: &[u8], sizes: &[usize], expected: &Outcome) {
    for direct in [false, true] {
        let outcome = cut(role, LIMITS, stream, sizes, direct);
        assert!(outcome == *expected, "{role:?}, {name}, in {sizes:?}, direct: {direct}: {:?}", outcome.end);
    }
}

#[test]
fn every_split_gives_the_items_of_the_whole() {
    for role in [Role::Server, Role::Client] {
        for (name, frames) in streams(role) {
            let stream = frames.concat();
            let expected = whole(role, LIMITS, &stream);
            assert!(expected.end.is_some() || !expected.events.is_empty(), "{name} says something");
            assert_agrees(role, LIMITS, &stream, &expected);
            for at in cuts(&frames) {
                check(role, &name, &stream, &[at, stream.len()], &expected);
            }
            check(role, &name, &stream, &[1], &expected);
            check(role, &name, &stream, &[7, 4096], &expected);
            check(role, &name, &stream, &[3000, 1], &expected);
        }
    }
}

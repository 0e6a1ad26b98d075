//! Compressed messages through the decoder: however a stream is cut and a message fragmented, the items are the same.

use throng::Cause;
use throng::proto::ws::deflate::{Agreed, Deflater};
use throng::proto::ws::{Limits, Opcode, Role, encode};

use super::harness::{Event, Outcome, Reader};

const LIMITS: Limits = Limits { message_bytes_max: 20_000, fragments_max: 40 };
const AGREED: Agreed = Agreed::windows(15, 15);

/// A client's frame, whose first byte may have RSV1.
fn frame(opcode: Opcode, fin: bool, compressed: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    encode::append_masked(&mut frame, opcode, fin, payload, [0xa5, 0x5a, 0xc3, 0x3c]);
    frame[0] |= if compressed { 0x40 } else { 0 };
    frame
}

fn deflated(message: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    assert!(Deflater::new(6, 15).deflate(message, false, &mut payload), "{message:?}");
    payload
}

/// A compressed message in frames of these lengths, the last of what is left.
fn fragments(opcode: Opcode, payload: &[u8], lengths: &[usize]) -> Vec<u8> {
    let (mut stream, mut rest, mut opcode) = (Vec::new(), payload, opcode);
    for &length in lengths {
        let (now, later) = rest.split_at(length.min(rest.len()));
        stream.extend(frame(opcode, false, opcode != Opcode::Continue, now));
        (rest, opcode) = (later, Opcode::Continue);
    }
    stream.extend(frame(opcode, true, opcode != Opcode::Continue, rest));
    stream
}

fn read(agreed: Agreed, limits: Limits, stream: &[u8], sizes: &[usize], direct: bool) -> Outcome {
    let mut reader = Reader::new(Role::Server, limits);
    reader.agreed = agreed;
    reader.cut(stream, sizes, direct)
}

fn whole(agreed: Agreed, limits: Limits, stream: &[u8]) -> Outcome {
    read(agreed, limits, stream, &[usize::MAX], false)
}

#[test]
fn every_split_of_whole_fragmented_and_interrupted_messages_comes_to_the_same() {
    let text = "the quick brown fox, the lazy dog, the quick € ".repeat(12);
    let payload = deflated(text.as_bytes());
    let large = vec![7; 9000];
    let stream = [
        frame(Opcode::Text, true, true, &payload),
        frame(Opcode::Text, true, false, b"plain"),
        fragments(Opcode::Text, &payload, &[1, 0, 5, 20]),
        frame(Opcode::Ping, true, false, b"between"),
        frame(Opcode::Binary, false, true, &payload[..9]),
        frame(Opcode::Ping, true, false, b"within"),
        frame(Opcode::Continue, true, false, &payload[9..]),
        frame(Opcode::Binary, false, false, b"pl"),
        frame(Opcode::Continue, true, false, b"ain"),
        frame(Opcode::Binary, true, true, &deflated(&large)),
        frame(Opcode::Binary, true, true, &[]),
        frame(Opcode::Close, true, false, b"\x03\xe8"),
    ]
    .concat();
    let expected = Outcome {
        events: vec![
            Event::Text(text.clone()),
            Event::Text("plain".to_owned()),
            Event::Text(text.clone()),
            Event::Ping(b"between".to_vec()),
            Event::Ping(b"within".to_vec()),
            Event::Binary(text.into_bytes()),
            Event::Binary(b"plain".to_vec()),
            Event::Binary(large),
            Event::Binary(Vec::new()),
            Event::Close(Some(1000), String::new()),
        ],
        end: None,
    };
    assert_eq!(whole(AGREED, LIMITS, &stream), expected);
    for at in 1..stream.len() {
        for direct in [false, true] {
            assert_eq!(read(AGREED, LIMITS, &stream, &[at, usize::MAX], direct), expected, "cut at {at}");
        }
    }
    for size in 1..40 {
        assert_eq!(read(AGREED, LIMITS, &stream, &[size], true), expected, "cut every {size}");
    }
}

#[test]
fn a_context_is_kept_over_reads_and_plain_messages() {
    let mut deflater = Deflater::new(6, 10);
    let (mut stream, mut events) = (Vec::new(), Vec::new());
    for number in 0..20 {
        let message = format!("message {number} of twenty that resemble each other");
        let mut payload = Vec::new();
        assert!(deflater.deflate(message.as_bytes(), true, &mut payload));
        assert!(payload.len() < 15 || number == 0, "the context makes it smaller: {}", payload.len());
        stream.extend(frame(Opcode::Text, true, true, &payload));
        stream.extend(frame(Opcode::Text, true, false, b"plain"));
        events.extend([Event::Text(message), Event::Text("plain".to_owned())]);
    }
    let agreed = Agreed::windows(15, 10).takeover(false, true);
    for size in [1, 7, 64, usize::MAX] {
        let outcome = read(agreed, LIMITS, &stream, &[size], false);
        assert_eq!((&outcome.events, outcome.end), (&events, None), "cut every {size}");
    }
    assert_eq!(
        whole(AGREED, LIMITS, &stream).end,
        Some(Cause::BadDeflate),
        "without it they refer to nothing"
    );
}

#[test]
fn what_breaks_the_rules() {
    let payload = deflated(&[b'a'; 500]);
    let limits = |message_bytes_max| Limits { message_bytes_max, ..LIMITS };
    let ping = frame(Opcode::Ping, true, true, b"x");
    let bomb = deflated(&[0; 20_001]);
    for (name, limits, stream, end) in [
        ("not UTF-8", LIMITS, frame(Opcode::Text, true, true, &deflated(&[0xc3; 100])), Cause::BadUtf8),
        (
            "not UTF-8, in fragments",
            LIMITS,
            fragments(Opcode::Text, &deflated(&[0xc3; 100]), &[2]),
            Cause::BadUtf8,
        ),
        (
            "no payload of deflate",
            LIMITS,
            frame(Opcode::Binary, true, true, b"\x06nonsense"),
            Cause::BadDeflate,
        ),
        ("cut", LIMITS, frame(Opcode::Binary, true, true, &payload[..payload.len() - 1]), Cause::BadDeflate),
        ("a control frame", LIMITS, ping, Cause::BadFrame),
        ("RSV2", LIMITS, vec![0xa1, 0x80, 0, 0, 0, 0], Cause::BadFrame),
        (
            "a later frame",
            LIMITS,
            [frame(Opcode::Text, false, true, b"a"), frame(Opcode::Continue, true, true, b"")].concat(),
            Cause::BadFrame,
        ),
        (
            "a later frame of a plain one",
            LIMITS,
            [frame(Opcode::Text, false, false, b"a"), frame(Opcode::Continue, true, true, b"")].concat(),
            Cause::BadFrame,
        ),
        (
            "a message within another",
            LIMITS,
            [frame(Opcode::Text, false, true, b"a"), frame(Opcode::Text, true, true, b"")].concat(),
            Cause::BadFrame,
        ),
        ("too big", limits(499), frame(Opcode::Binary, true, true, &payload), Cause::MessageTooBig),
        (
            "too big, in fragments",
            limits(499),
            fragments(Opcode::Binary, &payload, &[2, 2]),
            Cause::MessageTooBig,
        ),
        ("a bomb", LIMITS, frame(Opcode::Binary, true, true, &bomb), Cause::MessageTooBig),
        (
            "more compressed bytes than any message",
            limits(100),
            frame(Opcode::Binary, true, true, &[0; 200]),
            Cause::MessageTooBig,
        ),
        (
            "the same in fragments",
            limits(100),
            fragments(Opcode::Binary, &[0; 200], &[100]),
            Cause::MessageTooBig,
        ),
        ("fragments", LIMITS, fragments(Opcode::Binary, &payload, &[0; 40]), Cause::TooManyFragments),
    ] {
        for size in [1, 3, 50, usize::MAX] {
            let outcome = read(AGREED, limits, &stream, &[size], false);
            assert_eq!((outcome.events.len(), outcome.end), (0, Some(end)), "{name}, cut every {size}");
        }
        // Where nothing was agreed on the first bit is too much, but where it is none of these frames' at all.
        let plain = whole(Agreed::NOTHING, limits, &stream).end;
        assert_eq!(plain, Some(Cause::BadFrame), "{name}");
    }
    assert_eq!(whole(AGREED, limits(500), &fragments(Opcode::Binary, &payload, &[2, 2])).end, None);
}

//! Every rule that a peer can break, and the cause it is told.

use throng::Cause;
use throng::proto::ws::{Limits, Opcode, Role, encode};

use super::harness::{Event, assert_agrees, cut, whole};

const LIMITS: Limits = Limits { message_bytes_max: 1000, fragments_max: 4 };

/// A client's frame.
fn frame(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode::append_masked(&mut out, opcode, fin, payload, [0x11, 0x22, 0x33, 0x44]);
    out
}

/// A client's frame whose first byte is this.
fn first_byte(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = frame(Opcode::Binary, true, payload);
    out[0] = first;
    out
}

fn close(payload: &[u8]) -> Vec<u8> {
    frame(Opcode::Close, true, payload)
}

#[test]
fn each_violation_has_its_cause() {
    use Cause::{BadClose, BadFrame, BadUtf8, MessageTooBig, TooManyFragments};
    use Opcode::{Binary, Continue, Ping, Text};
    let fragment = |opcode, fin| frame(opcode, fin, b"abc");
    let table: Vec<(&str, Vec<u8>, Cause)> = vec![
        ("rsv1", first_byte(0xc2, b"x"), BadFrame),
        ("rsv2", first_byte(0xa2, b"x"), BadFrame),
        ("rsv3", first_byte(0x92, b"x"), BadFrame),
        ("rsv1 on a ping", first_byte(0xc9, b"x"), BadFrame),
        ("opcode 3", first_byte(0x83, b"x"), BadFrame),
        ("opcode 7", first_byte(0x87, b"x"), BadFrame),
        ("opcode 11", first_byte(0x8b, b"x"), BadFrame),
        ("opcode 15", first_byte(0x8f, b"x"), BadFrame),
        ("opcode 3, fragmented", first_byte(0x03, b"x"), BadFrame),
        ("no mask", vec![0x82, 1, b'x'], BadFrame),
        ("no mask, empty", vec![0x82, 0], BadFrame),
        ("no mask on a ping", vec![0x89, 0], BadFrame),
        ("no mask on a close", vec![0x88, 0], BadFrame),
        ("a fragmented ping", first_byte(0x09, b"x"), BadFrame),
        ("a fragmented pong", first_byte(0x0a, b"x"), BadFrame),
        ("a fragmented close", first_byte(0x08, b"\x03\xe8"), BadFrame),
        ("a ping of 126", frame(Ping, true, &[0; 126]), BadFrame),
        ("a close of 126", close(&[3; 126]), BadFrame),
        ("a ping of 70,000", frame(Ping, true, &[0; 70_000]), BadFrame),
        ("continuation of nothing", fragment(Continue, true), BadFrame),
        ("continuation of nothing, to go on", fragment(Continue, false), BadFrame),
        ("text within a message", [fragment(Text, false), fragment(Text, true)].concat(), BadFrame),
        ("a second beginning", [fragment(Text, false), fragment(Binary, false)].concat(), BadFrame),
        (
            "continuation after the end",
            [fragment(Text, false), fragment(Continue, true), fragment(Continue, true)].concat(),
            BadFrame,
        ),
        ("5 in 16 bits", [&[0x82, 0xfe, 0, 5, 0, 0, 0, 0][..], b"abcde"].concat(), BadFrame),
        ("125 in 16 bits", [&[0x82, 0xfe, 0, 125, 0, 0, 0, 0][..], &[0; 125]].concat(), BadFrame),
        (
            "5 in 64 bits",
            [&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0][..], b"abcde"].concat(),
            BadFrame,
        ),
        ("65,535 in 64 bits", vec![0x82, 0xff, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0], BadFrame),
        ("the top bit of 64", vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], BadFrame),
        ("a ping in 16 bits", [&[0x89, 0xfe, 0, 5, 0, 0, 0, 0][..], b"abcde"].concat(), BadFrame),
        ("a close of one byte", close(b"\x03"), BadClose),
        ("close 999", close(b"\x03\xe7"), BadClose),
        ("close 1004", close(b"\x03\xec"), BadClose),
        ("close 1005", close(b"\x03\xed"), BadClose),
        ("close 1006", close(b"\x03\xee"), BadClose),
        ("close 1015", close(b"\x03\xf7"), BadClose),
        ("close 2999", close(b"\x0b\xb7"), BadClose),
        ("close 5000", close(b"\x13\x88"), BadClose),
        ("a reason that is no text", close(b"\x03\xe8\xff"), BadUtf8),
        ("a reason cut in a character", close(b"\x03\xe8\xc3"), BadUtf8),
        ("text that is none", frame(Text, true, b"ab\xffcd"), BadUtf8),
        (
            "long text that is none",
            frame(Text, true, &[[b'a'; 300].as_slice(), b"\xc0\xaf"].concat()),
            BadUtf8,
        ),
        ("a surrogate", frame(Text, true, b"\xed\xa0\x80"), BadUtf8),
        ("text cut in a character", frame(Text, true, b"\xe2\x82"), BadUtf8),
        ("a fragment that is no text", frame(Text, false, b"ab\xffcd"), BadUtf8),
        (
            "text that ends in a character",
            [frame(Text, false, b"\xe2\x82"), frame(Continue, true, b"")].concat(),
            BadUtf8,
        ),
        ("a message of 1,001", frame(Binary, true, &[0; 1001]), MessageTooBig),
        ("a first fragment of 1,001", frame(Text, false, &[b'a'; 1001]), MessageTooBig),
        ("2⁶³ − 1", vec![0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0], MessageTooBig),
        (
            "fragments of 1,001 together",
            [frame(Binary, false, &[0; 500]), frame(Continue, true, &[0; 501])].concat(),
            MessageTooBig,
        ),
        (
            "5 fragments",
            [
                fragment(Binary, false),
                fragment(Continue, false),
                fragment(Continue, false),
                frame(Continue, false, b""),
                frame(Continue, true, b""),
            ]
            .concat(),
            TooManyFragments,
        ),
    ];
    for (name, violation, cause) in table {
        // Behind a right message and a ping, and before bytes that are then ignored.
        let right = [frame(Opcode::Text, true, b"right"), frame(Ping, true, b"?")].concat();
        let stream = [&right[..], &violation, &frame(Binary, true, b"ignored")].concat();
        let outcome = whole(Role::Server, LIMITS, &stream);
        assert_eq!(outcome.end, Some(cause), "{name}");
        assert_eq!(outcome.events[..2], [Event::Text("right".into()), Event::Ping(b"?".into())], "{name}");
        assert_eq!(cut(Role::Server, LIMITS, &stream, &[1], false), outcome, "{name}, byte by byte");
        assert_eq!(cut(Role::Server, LIMITS, &stream, &[5, 2, 2100], true), outcome, "{name}, in parts");
        if cause != TooManyFragments {
            assert_agrees(Role::Server, LIMITS, &stream, &outcome);
        }
    }
}

#[test]
fn a_client_accepts_no_mask() {
    let mut masked = Vec::new();
    encode::append_masked(&mut masked, Opcode::Text, true, b"x", [0; 4]);
    assert_eq!(whole(Role::Client, LIMITS, &masked).end, Some(Cause::BadFrame));
    let mut unmasked = Vec::new();
    encode::append(&mut unmasked, "x".into());
    assert_eq!(whole(Role::Client, LIMITS, &unmasked).events, [Event::Text("x".into())]);
}

#[test]
fn what_is_just_allowed_is_allowed() {
    let four = [
        frame(Opcode::Text, false, &[b'a'; 500]),
        frame(Opcode::Ping, true, &[1; 125]),
        frame(Opcode::Continue, false, b""),
        frame(Opcode::Continue, false, &[b'b'; 498]),
        frame(Opcode::Pong, true, b""),
        frame(Opcode::Continue, true, "é".as_bytes()),
    ];
    let outcome = whole(Role::Server, LIMITS, &four.concat());
    let text = ["a".repeat(500), "b".repeat(498), "é".to_owned()].concat();
    assert_eq!(outcome.events, [Event::Ping(vec![1; 125]), Event::Pong(vec![]), Event::Text(text)]);
    assert_eq!(outcome.end, None);
    let largest = frame(Opcode::Binary, true, &[9; 1000]);
    assert_eq!(whole(Role::Server, LIMITS, &largest).events, [Event::Binary(vec![9; 1000])]);
    for payload in [&b""[..], b"\x03\xe8", &[&b"\x0f\xa0"[..], &[b'r'; 123]].concat()] {
        let stream = [close(payload), frame(Opcode::Text, true, b"ignored")].concat();
        let outcome = whole(Role::Server, LIMITS, &stream);
        assert!(matches!(outcome.events[..], [Event::Close(..)]) && outcome.end.is_none(), "{payload:?}");
    }
}

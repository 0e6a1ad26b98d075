//! Frames that are well formed, in any order: fragments, control frames in between, messages within messages.
//!
//! The first three bytes choose limit and cuts; then a frame is a byte for opcode and FIN, a byte for its length, and
//! its payload.
#![no_main]

#[path = "../../tests/ws/harness.rs"]
mod harness;

use harness::{assert_agrees, cut, whole};
use libfuzzer_sys::fuzz_target;
use throng::Cause;
use throng::proto::ws::{Limits, Opcode, Role, encode};

const OPCODES: [Opcode; 8] = [
    Opcode::Continue,
    Opcode::Continue,
    Opcode::Continue,
    Opcode::Text,
    Opcode::Binary,
    Opcode::Ping,
    Opcode::Pong,
    Opcode::Close,
];

fuzz_target!(|data: &[u8]| {
    let [choice, first, second, frames @ ..] = data else { return };
    let (mut rest, mut stream) = (frames, Vec::new());
    while let [kind, len, payload @ ..] = rest {
        let (payload, after) = payload.split_at(payload.len().min(usize::from(*len)));
        let opcode = OPCODES[usize::from(kind & 7)];
        encode::append_masked(&mut stream, opcode, kind & 8 == 0, payload, [*kind, *len, 0x55, 0xaa]);
        rest = after;
    }
    let message_bytes_max = [20, 400, 3000, 70_000][usize::from(choice >> 2 & 3)];
    let limits = Limits { message_bytes_max, fragments_max: u32::MAX };
    let ours = whole(Role::Server, limits, &stream);
    assert_agrees(Role::Server, limits, &stream, &ours);
    let sizes = [usize::from(*first), usize::from(*second) * 16];
    assert_eq!(cut(Role::Server, limits, &stream, &sizes, choice & 2 != 0), ours, "cut in {sizes:?}");

    // A limit on fragments only ever ends the same stream earlier.
    let limits = Limits { fragments_max: 1 + u32::from(choice >> 4), ..limits };
    let limited = whole(Role::Server, limits, &stream);
    assert!(ours.events.starts_with(&limited.events));
    assert!(limited == ours || limited.end == Some(Cause::TooManyFragments));
});

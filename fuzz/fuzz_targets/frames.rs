//! Any bytes at all as a stream of frames: whole, cut and tungstenite come to the same.
//!
//! The first three bytes choose role, limit and cuts; the rest is the stream.
#![no_main]

#[path = "../../tests/ws/harness.rs"]
mod harness;

use harness::{assert_agrees, cut, whole};
use libfuzzer_sys::fuzz_target;
use throng::proto::ws::{Limits, Role};

fuzz_target!(|data: &[u8]| {
    let [choice, first, second, stream @ ..] = data else { return };
    let role = if choice & 1 == 0 { Role::Server } else { Role::Client };
    let message_bytes_max = [20, 130, 3000, 70_000][usize::from(choice >> 2 & 3)];
    let limits = Limits { message_bytes_max, fragments_max: u32::MAX };
    let ours = whole(role, limits, stream);
    assert_agrees(role, limits, stream, &ours);
    let sizes = [usize::from(*first), usize::from(*second) * 16];
    assert_eq!(cut(role, limits, stream, &sizes, choice & 2 != 0), ours, "cut in {sizes:?}");
});

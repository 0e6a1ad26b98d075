//! A request body: any bytes at all as chunks, and right chunks made from any bytes.
//!
//! The first three bytes choose which of the two, the limit and the cuts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use throng::Cause;
use throng::proto::http::{Body, Framing};

/// Feeds `stream` in pieces of `size`. Returns how many bytes it took or why it failed, whether it is complete, and
/// the content so far.
fn feed(
    framing: Framing,
    body_bytes_max: usize,
    stream: &[u8],
    size: usize,
) -> (Result<usize, Cause>, bool, Vec<u8>) {
    let mut content = Vec::new();
    let mut body = match Body::new(framing, body_bytes_max) {
        Ok(body) => body,
        Err(cause) => return (Err(cause), false, content),
    };
    let mut taken = 0;
    for piece in stream.chunks(size.max(1)) {
        match body.feed(piece, &mut content) {
            Ok(n) => taken += n,
            Err(cause) => return (Err(cause), false, content),
        }
        if body.is_complete() {
            break;
        }
    }
    (Ok(taken), body.is_complete(), content)
}

fuzz_target!(|data: &[u8]| {
    let [choice, limit, size, rest @ ..] = data else { return };
    let body_bytes_max = usize::from(*limit) * 16;
    if choice & 1 == 0 {
        let length = Framing::Length(u64::from(choice >> 2));
        let framing = if choice & 2 == 0 { Framing::Chunked } else { length };
        let whole = feed(framing, body_bytes_max, rest, rest.len());
        assert!(whole.2.len() <= body_bytes_max, "{} of {body_bytes_max} bytes", whole.2.len());
        assert_eq!(feed(framing, body_bytes_max, rest, usize::from(*size)), whole, "in pieces of {size}");
        return;
    }
    // Right chunks of `choice / 2` bytes each, a trailer on every other body, and what belongs to the next request.
    let mut stream = Vec::new();
    for chunk in rest.chunks(usize::from(choice >> 1).max(1)) {
        stream.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        stream.extend_from_slice(chunk);
        stream.extend_from_slice(b"\r\n");
    }
    stream.extend_from_slice(if size & 1 == 0 { b"0\r\n\r\n" } else { b"0\r\nSome: trailer\r\n\r\n" });
    let end = stream.len();
    stream.extend_from_slice(b"GET / HTTP/1.1\r\n");
    let (taken, is_complete, content) = feed(Framing::Chunked, body_bytes_max, &stream, usize::from(*size));
    if rest.len() > body_bytes_max {
        assert_eq!(taken, Err(Cause::BodyTooLarge));
    } else {
        assert_eq!((taken, is_complete, &content[..]), (Ok(end), true, rest));
    }
});

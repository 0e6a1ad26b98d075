//! Any bytes at all as a request head: its end is found in the same place however it is cut, and what is accepted
//! holds what the parser promises.
//!
//! The first byte chooses the limit and the cuts; the rest is the stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use throng::proto::http::{Framing, HEAD_FIELDS_MAX, HeadScan, HeaderSlots, Request};

fuzz_target!(|data: &[u8]| {
    let [choice, stream @ ..] = data else { return };
    let head_bytes_max = [40, 256, 4096, 1 << 20][usize::from(choice & 3)];
    let whole = HeadScan::new().find_within(stream, head_bytes_max);
    let step = 1 + usize::from(choice >> 2);
    let mut scan = HeadScan::new();
    let ends = (1..=stream.len()).filter(|end| end % step == 0 || *end == stream.len());
    let cut =
        ends.map(|end| scan.find_within(&stream[..end], head_bytes_max)).find(|found| *found != Ok(None));
    assert_eq!(cut.unwrap_or(Ok(None)), whole, "in steps of {step}");

    let Ok(Some(end)) = whole else { return };
    assert!(end <= stream.len().min(head_bytes_max));
    let mut slots = HeaderSlots::new();
    let Ok(request) = Request::parse(&stream[..end], &mut slots) else { return };
    assert!(stream[..end].ends_with(b"\r\n\r\n"), "it ends with an empty line");
    assert!(request.headers().count() <= HEAD_FIELDS_MAX);
    assert!(request.headers().all(|(_, value)| !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))));
    assert!(request.path().starts_with('/') || request.method() == "OPTIONS", "{}", request.target());
    assert!(request.version_minor() == 0 || request.host().is_some());
    let announces = |name| request.header_all(name).count();
    match request.framing() {
        Framing::None => assert_eq!(announces("content-length") + announces("transfer-encoding"), 0),
        Framing::Length(_) => assert_eq!(announces("transfer-encoding"), 0),
        Framing::Chunked => assert_eq!((announces("content-length"), request.version_minor()), (0, 1)),
    }
    let _ = (
        request.keep_alive(),
        request.expects_continue(),
        request.is_upgrade(),
        request.subprotocols().count(),
    );
});

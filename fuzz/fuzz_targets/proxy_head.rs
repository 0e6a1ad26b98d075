//! Any bytes as the beginning of a connection from a proxy: whatever is said of them stays true however they come, and a
//! head is never longer than what came, nor than its limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use throng::ProxyProtocol;
use throng::proto::proxy::{LINE_BYTES_MAX, parse};

const BYTES_MAX: usize = 600;

fuzz_target!(|bytes: &[u8]| {
    let whole = parse(bytes, ProxyProtocol::Any, BYTES_MAX);
    match whole {
        Ok(Some(head)) => {
            assert!(head.bytes <= bytes.len() && head.bytes <= BYTES_MAX.max(LINE_BYTES_MAX));
            // One version alone says the same, and the other one refuses it.
            let (own, other) = match bytes[0] {
                b'P' => (ProxyProtocol::V1, ProxyProtocol::V2),
                _ => (ProxyProtocol::V2, ProxyProtocol::V1),
            };
            assert_eq!(parse(bytes, own, BYTES_MAX), whole);
            assert!(parse(bytes, other, BYTES_MAX).is_err());
            for end in 0..head.bytes {
                assert_eq!(parse(&bytes[..end], ProxyProtocol::Any, BYTES_MAX), Ok(None));
            }
        }
        Ok(None) => {
            for end in 0..bytes.len() {
                assert_eq!(parse(&bytes[..end], ProxyProtocol::Any, BYTES_MAX), Ok(None));
            }
            assert!(bytes.len() < BYTES_MAX.max(LINE_BYTES_MAX));
        }
        // A refusal is final.
        Err(refusal) => {
            let more = [bytes, &[0; 8]].concat();
            assert_eq!(parse(&more, ProxyProtocol::Any, BYTES_MAX), Err(refusal));
        }
    }
});

//! Any bytes at all as compressed payloads, and as messages to be compressed.
//!
//! The first byte chooses context, window and limit. The rest is cut at each 0xfe into payloads: what they come to keeps to the
//! limit, a right one is right after a wrong one, and an inflater without context has forgotten everything. Then the same
//! bytes are messages: what is deflated inflates to them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use throng::Cause;
use throng::base::pool::Pool;
use throng::proto::ws::deflate::{Deflater, Inflater};

fuzz_target!(|data: &[u8]| {
    let [choice, data @ ..] = data else { return };
    let (keeps_context, bits) = (choice & 1 != 0, 9 + (choice >> 1) % 7);
    let bytes_max = [1, 1000, 4096, 100_000][usize::from(choice >> 6)];
    let (mut pool, mut inflater) = (Pool::new(), Inflater::new(bits));
    for payload in data.split(|&byte| byte == 0xfe) {
        let result = inflater.inflate(payload, bytes_max, keeps_context, &mut pool);
        if !keeps_context {
            let alone = Inflater::new(15).inflate(payload, bytes_max, false, &mut Pool::new());
            if let (Ok((bytes, len)), Ok((theirs, their_len))) = (&result, &alone) {
                assert!(bytes[..*len] == theirs[..*their_len]);
            }
        }
        match result {
            Ok((bytes, len)) => {
                assert!(len <= bytes_max && bytes.len() <= (2 * bytes_max).max(1 << 10).max(payload.len() * 8));
                pool.give(bytes);
            }
            Err(cause) => assert!(matches!(cause, Cause::BadDeflate | Cause::MessageTooBig)),
        }
        if pool.kept_bytes() > 1 << 20 {
            return;
        }
    }
    let (mut deflater, mut inflater) = (Deflater::new(u32::from(choice >> 3 & 7) + 1, bits), Inflater::new(bits));
    for message in data.split(|&byte| byte == 0xfe) {
        let mut payload = Vec::new();
        if deflater.deflate(message, keeps_context, &mut payload) {
            let (bytes, len) = inflater
                .inflate(&payload, message.len(), keeps_context, &mut pool)
                .expect("what was deflated inflates");
            assert!(bytes[..len] == *message);
        }
    }
});

//! The two streams against each other and against what other libraries have written.

use super::{Deflater, Inflater, WINDOW_BITS};
use crate::base::cause::Cause;
use crate::base::pool::Pool;

/// The RFC's own examples (§7.2.3): payload as sent, and whether it needs the context of the one before.
#[test]
fn the_examples_of_the_rfc() {
    let hello: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let mut pool = Pool::new();
    for payload in [
        hello,
        // A stored block (§7.2.3.3), a last block (§7.2.3.4), two blocks (§7.2.3.5).
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        // A last block with nothing behind it, as one that forgets §7.2.3.4's byte sends it.
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
    ] {
        for keeps_context in [false, true] {
            let mut inflater = Inflater::new(15);
            for _ in 0..2 {
                assert_eq!(
                    text(inflater.inflate(payload, 5, keeps_context, &mut pool)),
                    Ok("Hello".to_owned())
                );
            }
        }
    }
    // §7.2.3.2: the second message refers to the first.
    let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let mut inflater = Inflater::new(9);
    assert_eq!(text(inflater.inflate(hello, 5, true, &mut pool)), Ok("Hello".to_owned()));
    assert_eq!(text(inflater.inflate(&second, 5, true, &mut pool)), Ok("Hello".to_owned()));
    assert_eq!(text(inflater.inflate(&second, 5, false, &mut pool)), Err(Cause::BadDeflate));
    // §7.2.3.6: nothing, as it should be sent and as some send it.
    for nothing in [&[0x00][..], &[]] {
        assert_eq!(text(inflater.inflate(nothing, 1, false, &mut pool)), Ok(String::new()));
        assert_eq!(text(inflater.inflate(nothing, 1, true, &mut pool)), Ok(String::new()));
    }
}

fn text(inflated: Result<(Vec<u8>, usize), Cause>) -> Result<String, Cause> {
    inflated.map(|(bytes, len)| String::from_utf8(bytes[..len].to_vec()).unwrap())
}

/// xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below
    }

    /// Bytes that shrink much, a little or not at all.
    fn message(&mut self, len: usize) -> Vec<u8> {
        let letters = [1, 4, 30, 256][self.next(4)];
        let mut message: Vec<u8> = Vec::with_capacity(len);
        while message.len() < len {
            if self.next(3) == 0 && !message.is_empty() {
                let from = self.next(message.len());
                let end = message.len().min(from + 3 + self.next(60));
                message.extend_from_within(from..end);
            } else {
                message.push(self.next(letters) as u8);
            }
        }
        message.truncate(len);
        message
    }
}

#[test]
fn random_messages_come_back_at_every_level_and_window_with_and_without_context() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut pool = Pool::new();
    let mut compressed = 0;
    for (level, window, keeps_context) in (1..=9)
        .flat_map(|level| WINDOW_BITS.map(move |window| (level, window)))
        .flat_map(|(level, window)| [(level, window, false), (level, window, true)])
    {
        let (mut deflater, mut inflater) = (Deflater::new(level, window), Inflater::new(window));
        for _ in 0..6 {
            let len = [0, 1, 20, 300, 3000, 3000, 40_000][random.next(if level % 4 == 1 { 7 } else { 6 })];
            let message = random.message(len);
            let mut payload = b"before".to_vec();
            if !deflater.deflate(&message, keeps_context, &mut payload) {
                // It is sent as it is, and the receiver's inflater hears nothing of it.
                assert_eq!(payload, b"before");
                continue;
            }
            compressed += 1;
            assert!(keeps_context || payload.len() - 6 < message.len());
            let (bytes, len) =
                inflater.inflate(&payload[6..], message.len(), keeps_context, &mut pool).unwrap();
            assert!(
                bytes[..len] == message,
                "level {level}, window {window}, {keeps_context}, {}",
                message.len()
            );
        }
    }
    assert!(compressed > 300, "{compressed}");
}

/// A stream that was cut short for want of room would panic, or write nonsense, at what comes next.
#[test]
fn what_does_not_shrink_leaves_nothing_behind() {
    let (mut random, mut pool) = (Random(3), Pool::new());
    let noise: Vec<u8> = std::iter::repeat_with(|| random.next(256) as u8).take(300_000).collect();
    for (level, window, keeps_context) in [(1, 15, false), (1, 15, true), (1, 9, false), (6, 12, true)] {
        let (mut deflater, mut inflater) = (Deflater::new(level, window), Inflater::new(15));
        for len in [1, 20, 1024, 70_000, 300_000] {
            let mut payload = Vec::new();
            if deflater.deflate(&noise[..len], keeps_context, &mut payload) {
                assert!(keeps_context && payload.len() < len + len / 8 + 16);
                let (bytes, len) = inflater.inflate(&payload, len, keeps_context, &mut pool).unwrap();
                assert!(bytes[..len] == noise[..len]);
            } else {
                // What follows refers to nothing.
                inflater = Inflater::new(15);
            }
            payload.clear();
            let message = random.message(100_000);
            if deflater.deflate(&message, keeps_context, &mut payload) {
                let (bytes, len) = inflater.inflate(&payload, 100_000, keeps_context, &mut pool).unwrap();
                assert!(bytes[..len] == message, "level {level}, window {window}, behind {len}");
            } else {
                inflater = Inflater::new(15);
            }
        }
    }
}

/// A shared inflater of the largest window does for messages of any.
#[test]
fn messages_of_different_windows_go_through_one_inflater() {
    let (mut random, mut pool, mut inflater) = (Random(7), Pool::new(), Inflater::new(15));
    for window in WINDOW_BITS.chain(WINDOW_BITS.rev()) {
        let message = random.message(40_000);
        let mut payload = Vec::new();
        if Deflater::new(6, window).deflate(&message, false, &mut payload) {
            let (bytes, len) = inflater.inflate(&payload, 1 << 20, false, &mut pool).unwrap();
            assert!(bytes[..len] == message);
        }
    }
}

#[test]
fn a_bomb_costs_its_limit_and_no_more() {
    let mut payload = Vec::new();
    assert!(Deflater::new(9, 15).deflate(&vec![0; 10 << 20], false, &mut payload));
    assert!(payload.len() < 11_000);
    for (bytes_max, fits) in
        [(1, false), (1000, false), (1 << 20, false), ((10 << 20) - 1, false), (10 << 20, true)]
    {
        let mut pool = Pool::new();
        let inflated = Inflater::new(15).inflate(&payload, bytes_max, false, &mut pool);
        match inflated {
            Ok((bytes, len)) => {
                assert!(fits && len == 10 << 20);
                assert!(bytes.capacity() <= (10 << 20) + 1);
            }
            Err(cause) => assert!(!fits && cause == Cause::MessageTooBig),
        }
        assert!(pool.kept_bytes() <= 3 * bytes_max + 4096, "{bytes_max}: {}", pool.kept_bytes());
    }
}

/// Where a message is as large as is allowed, and one larger.
#[test]
fn the_limit_is_exact() {
    // However it ends: with the tail, with a last block and an empty one behind it, with a last block alone.
    for payload in [
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
    ] {
        let inflate = |bytes_max| Inflater::new(15).inflate(payload, bytes_max, false, &mut Pool::new());
        assert_eq!((text(inflate(5)), text(inflate(4))), (Ok("Hello".to_owned()), Err(Cause::MessageTooBig)));
    }
    let (mut random, mut pool) = (Random(5), Pool::new());
    for len in [1, 2, 1023, 1024, 1025, 4096, 10_000] {
        let message = vec![random.next(256) as u8; len + 20];
        let mut payload = Vec::new();
        assert!(Deflater::new(1, 15).deflate(&message, false, &mut payload));
        for keeps_context in [false, true] {
            let mut inflate =
                |bytes_max| Inflater::new(15).inflate(&payload, bytes_max, keeps_context, &mut pool);
            assert_eq!(inflate(len + 20).map(|(_, len)| len), Ok(len + 20));
            assert_eq!(inflate(len + 19).map(|(_, len)| len), Err(Cause::MessageTooBig), "{len}");
        }
    }
}

/// A payload that is cut anywhere, or has something behind it, is none; and the next message is as if it had never come.
#[test]
fn what_is_cut_or_damaged_is_refused_and_forgotten() {
    let (mut random, mut pool, mut inflater) = (Random(3), Pool::new(), Inflater::new(15));
    let message = random.message(3000);
    let mut payload = Vec::new();
    assert!(Deflater::new(6, 15).deflate(&message, false, &mut payload));
    for end in 1..payload.len() {
        assert_eq!(
            inflater.inflate(&payload[..end], 1 << 20, false, &mut pool),
            Err(Cause::BadDeflate),
            "{end}"
        );
        let (bytes, len) = inflater.inflate(&payload, 1 << 20, false, &mut pool).unwrap();
        assert!(bytes[..len] == message);
        pool.give(bytes);
    }
    // A reserved type of block, a stored block whose lengths disagree, a distance before the start.
    for wrong in
        [&[0x06][..], &[0x00, 0x01, 0x00, 0x00, 0x00, 0x41], &[0x03, 0x00, 0x03, 0x00, 0x00], &[0x02, 0x06]]
    {
        assert_eq!(inflater.inflate(wrong, 1 << 20, false, &mut pool), Err(Cause::BadDeflate), "{wrong:?}");
    }
}

/// The receiver hears nothing of a message that is sent as it is, so the sender must not refer to it.
#[test]
fn what_does_not_shrink_is_left_alone_and_forgotten() {
    let (mut random, mut pool) = (Random(11), Pool::new());
    let noise: Vec<u8> = (0..5000).map(|_| random.next(256) as u8).collect();
    let (mut deflater, mut inflater) = (Deflater::new(6, 15), Inflater::new(15));
    let mut payload = Vec::new();
    for message in [&[b'a'; 3000][..], &noise, &[b'a'; 3000]] {
        payload.clear();
        if deflater.deflate(message, true, &mut payload) {
            let (bytes, len) = inflater.inflate(&payload, 1 << 20, true, &mut pool).unwrap();
            assert!(bytes[..len] == *message);
        } else {
            assert!(payload.is_empty(), "{}", message.len());
        }
    }
}

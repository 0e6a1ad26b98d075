//! Bodies: by length and in chunks, whole and in pieces, good and bad.

use proptest::prelude::*;

use super::super::{
    Body, CHUNK_EXTENSIONS_BYTES_MAX, CHUNK_LINE_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX, Framing, TRAILER_BYTES_MAX,
};
use crate::base::cause::Cause::{self, BadBody, BodyTooLarge};

/// What came of feeding a body: the content, and how many bytes of the stream were its own where it was complete.
type Outcome = Result<(Vec<u8>, Option<usize>), Cause>;

fn feed_in_pieces(
    framing: Framing,
    stream: &[u8],
    ends: impl IntoIterator<Item = usize>,
    most: usize,
) -> Outcome {
    let mut body = Body::new(framing, most)?;
    let mut content = Vec::new();
    let mut start = 0;
    for end in ends.into_iter().chain([stream.len()]) {
        let taken = body.feed(&stream[start..end], &mut content)?;
        assert!(taken == end - start || body.is_complete(), "only a complete body leaves bytes");
        start += taken;
        if body.is_complete() {
            return Ok((content, Some(start)));
        }
    }
    Ok((content, None))
}

fn chunked(stream: &[u8]) -> Outcome {
    feed_in_pieces(Framing::Chunked, stream, [], 100)
}

/// A chunked stream, and its content or why it is refused. `None` as length: the body is not complete.
type Read = Result<(&'static str, Option<usize>), Cause>;
const CHUNKED: &[(&str, Read)] = &[
    ("0\r\n\r\nrest", Ok(("", Some(5)))),
    ("3\r\nabc\r\n0\r\n\r\n", Ok(("abc", Some(13)))),
    ("3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\nGET", Ok(("abcdef", Some(21)))),
    ("A\r\n0123456789\r\n0\r\n\r\n", Ok(("0123456789", Some(20)))),
    ("00a\r\n0123456789\r\n000\r\n\r\n", Ok(("0123456789", Some(24)))),
    ("4\r\n\r\n\r\n\r\n0\r\n\r\n", Ok(("\r\n\r\n", Some(14)))),
    ("3;x\r\nabc\r\n0;y=\"z; \"\r\n\r\n", Ok(("abc", Some(23)))),
    ("3 \t;x\r\nabc\r\n0\r\n\r\n", Ok(("abc", Some(17)))),
    ("3;\r\nabc\r\n0\r\n\r\n", Ok(("abc", Some(14)))),
    ("0\r\nA: b\r\nC:\r\n\r\nrest", Ok(("", Some(15)))),
    ("3\r\nab", Ok(("ab", None))),
    ("3\r\nabc\r\n0\r\n\r", Ok(("abc", None))),
    ("64\r\n", Ok(("", None))),
    ("65\r\n", Err(BodyTooLarge)),
    ("ffffffffffffffff\r\n", Err(BodyTooLarge)),
    ("10000000000000003\r\n", Err(BodyTooLarge)),
    ("3\r\nabc\r\n62\r\n", Err(BodyTooLarge)),
    ("00000000000000003\r\nabc\r\n0\r\n\r\n", Err(BadBody)),
    ("\r\n", Err(BadBody)),
    (";x\r\n", Err(BadBody)),
    (" 3\r\nabc", Err(BadBody)),
    (" ;x\r\n\r\n", Err(BadBody)),
    ("3 \r\nabc", Err(BadBody)),
    ("3 3\r\nabc", Err(BadBody)),
    ("+3\r\nabc", Err(BadBody)),
    ("-3\r\nabc", Err(BadBody)),
    ("0x3\r\nabc", Err(BadBody)),
    ("3_\r\nabc", Err(BadBody)),
    ("g\r\n", Err(BadBody)),
    ("3\nabc", Err(BadBody)),
    ("3\rabc", Err(BadBody)),
    ("3\r\r\nabc", Err(BadBody)),
    ("3;x\nabc", Err(BadBody)),
    ("3;x\rabc", Err(BadBody)),
    ("3;\0\r\nabc", Err(BadBody)),
    ("3\r\nabcd\r\n0\r\n\r\n", Err(BadBody)),
    ("3\r\nabc0\r\n\r\n", Err(BadBody)),
    ("3\r\nabc\n0\r\n\r\n", Err(BadBody)),
    ("3\r\nabc\r0\r\n\r\n", Err(BadBody)),
    ("3\r\nabc\rX0\r\n\r\n", Err(BadBody)),
    ("0\r\n\n", Err(BadBody)),
    ("0\n\r\n", Err(BadBody)),
    ("0\r\n folded\r\n\r\n", Err(BadBody)),
    ("0\r\nA\r\n\r\n", Err(BadBody)),
    ("0\r\n: b\r\n\r\n", Err(BadBody)),
    ("0\r\nA : b\r\n\r\n", Err(BadBody)),
    ("0\r\nA: b\nC: d\r\n\r\n", Err(BadBody)),
    ("0\r\nA: b\rXC: d\r\n\r\n", Err(BadBody)),
    ("0\r\n\rX", Err(BadBody)),
    ("0\r\nA: \0\r\n\r\n", Err(BadBody)),
    ("0\r\nGET / HTTP/1.1\r\n\r\n", Err(BadBody)),
];

#[test]
fn chunks_are_read_in_one_way() {
    for (stream, expected) in CHUNKED {
        let expected = expected.map(|(content, length)| (content.as_bytes().to_vec(), length));
        assert_eq!(chunked(stream.as_bytes()), expected, "{stream:?}");
    }
}

#[test]
fn every_split_of_a_chunked_body_gives_the_same() {
    for (stream, _) in CHUNKED {
        let stream = stream.as_bytes();
        let whole = chunked(stream);
        assert_eq!(feed_in_pieces(Framing::Chunked, stream, 0..stream.len(), 100), whole, "byte by byte");
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let pieced = feed_in_pieces(Framing::Chunked, stream, [first, second], 100);
                assert_eq!(pieced, whole, "{first}, {second} of {:?}", String::from_utf8_lossy(stream));
            }
        }
    }
}

#[test]
fn a_length_is_kept_to_the_byte() {
    let stream = b"0123456789";
    for length in 0..=stream.len() {
        for split in 0..=stream.len() {
            let read = feed_in_pieces(Framing::Length(length as u64), stream, [split], length);
            assert_eq!(read, Ok((stream[..length].to_vec(), Some(length))));
        }
    }
    assert_eq!(feed_in_pieces(Framing::Length(11), stream, [], 11), Ok((stream.to_vec(), None)));
    assert!(Body::new(Framing::None, 0).unwrap().is_complete());
}

#[test]
fn a_body_above_the_limit_is_refused_before_it_comes() {
    assert_eq!(Body::new(Framing::Length(11), 10), Err(BodyTooLarge));
    assert_eq!(Body::new(Framing::Length(u64::MAX), 10), Err(BodyTooLarge));
    let mut body = Body::new(Framing::Chunked, 10).unwrap();
    let mut content = b"kept".to_vec();
    assert_eq!(body.feed(b"4\r\nabcd\r\n7", &mut content), Err(BodyTooLarge));
    assert_eq!(content, b"keptabcd", "what the caller's buffer held plays no part");
    let mut widest = Body::new(Framing::Chunked, usize::MAX).unwrap();
    let mut stream = "f".repeat(CHUNK_SIZE_DIGITS_MAX as usize).into_bytes();
    stream.extend_from_slice(b"\r\nab");
    assert_eq!(widest.feed(&stream, &mut content), Ok(20), "a size of 64 bits is no overflow");
}

#[test]
fn what_is_skipped_is_limited_to_the_byte() {
    let line = |bytes: u32| format!("1;{}\r\nx\r\n", "e".repeat(bytes as usize - 4));
    let end = "0\r\n\r\n";
    let longest = line(CHUNK_LINE_BYTES_MAX);
    assert!(chunked(format!("{longest}{end}").as_bytes()).is_ok());
    assert_eq!(chunked(format!("{}{end}", line(CHUNK_LINE_BYTES_MAX + 1)).as_bytes()), Err(BadBody));

    let each = CHUNK_LINE_BYTES_MAX - 4;
    let full = CHUNK_EXTENSIONS_BYTES_MAX / each;
    let left = CHUNK_EXTENSIONS_BYTES_MAX % each;
    let fitting = longest.repeat(full as usize) + &line(left + 4);
    assert!(chunked(format!("{fitting}{end}").as_bytes()).is_ok());
    let passing = longest.repeat(full as usize) + &line(left + 5);
    assert_eq!(chunked(format!("{passing}{end}").as_bytes()), Err(BadBody));

    // `A:` and CRLF, and the empty line, are the other 6 bytes.
    let trailer = |bytes: u32| format!("0\r\nA:{}\r\n\r\n", "t".repeat(bytes as usize - 6));
    assert!(chunked(trailer(TRAILER_BYTES_MAX).as_bytes()).is_ok());
    assert_eq!(chunked(trailer(TRAILER_BYTES_MAX + 1).as_bytes()), Err(BadBody));
}

/// How one chunk is written: its content, leading zeros, upper case, an extension.
type Written = (Vec<u8>, usize, bool, String);

fn encode(chunks: &[Written], trailers: &[(String, String)]) -> Vec<u8> {
    let mut stream = Vec::new();
    for (content, zeros, upper, extension) in chunks.iter().filter(|(content, ..)| !content.is_empty()) {
        let size = if *upper { format!("{:X}", content.len()) } else { format!("{:x}", content.len()) };
        stream.extend_from_slice(format!("{}{size}{extension}\r\n", "0".repeat(*zeros)).as_bytes());
        stream.extend_from_slice(content);
        stream.extend_from_slice(b"\r\n");
    }
    stream.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        stream.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    stream.extend_from_slice(b"\r\n");
    stream
}

proptest! {
    #[test]
    fn what_was_written_in_chunks_is_read_back_from_any_pieces(
        chunks in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..40), 0usize..8, any::<bool>(), "( ?;[a-z]{1,5}(=\"[a-z; ]{0,5}\")?){0,2}"),
            0..8,
        ),
        trailers in prop::collection::vec(("[A-Za-z-]{1,8}", "[ -~]{0,8}"), 0..3),
        mut ends in prop::collection::vec(0usize..600, 0..10),
    ) {
        let content = chunks.iter().flat_map(|(content, ..)| content.iter().copied()).collect::<Vec<_>>();
        let mut stream = encode(&chunks, &trailers);
        let length = stream.len();
        stream.extend_from_slice(b"GET / HTTP/1.1\r\n");
        ends.iter_mut().for_each(|end| *end = (*end).min(stream.len()));
        ends.sort_unstable();
        let read = feed_in_pieces(Framing::Chunked, &stream, ends, content.len());
        prop_assert_eq!(read, Ok((content, Some(length))));
    }

    #[test]
    fn damaged_chunks_are_judged_alike_whole_and_in_pieces(
        content in prop::collection::vec(any::<u8>(), 1..30),
        damage in prop::collection::vec((0usize..60, prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'0'), any::<u8>()]), 1..4),
        mut ends in prop::collection::vec(0usize..60, 0..6),
    ) {
        let mut stream = encode(&[(content.clone(), 0, false, String::new()), (content, 1, true, ";e".into())], &[]);
        for (at, byte) in damage {
            let at = at % stream.len();
            stream[at] = byte;
        }
        ends.iter_mut().for_each(|end| *end = (*end).min(stream.len()));
        ends.sort_unstable();
        prop_assert_eq!(feed_in_pieces(Framing::Chunked, &stream, ends, 100), chunked(&stream));
    }
}

//! Content codings (RFC 9110 §8.4.1): whether a client takes gzip, and content as gzip (RFC 1952).
//!
//! Owns a compressor, which is used again and again: its tables are some hundred KB, too much to be made for each response.
//! Called where responses are made; never decides which are worth it.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use super::grammar::elements;

/// ID1 ID2, CM 8 (deflate), no flags, no time, XFL 4 (the fastest), OS 255 (unknown): RFC 1952 §2.3.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

/// CRC-32 and length at the end.
const TRAILER_BYTES: usize = 8;

/// What content of so many bytes takes at the most once it is compressed: 9 bits for each byte with the fixed codes of RFC 1951
/// §3.2.6, and headers of blocks.
const fn deflated_bytes_max(len: usize) -> usize {
    len + len / 7 + 64
}

/// Whether an `Accept-Encoding` takes gzip (RFC 9110 §12.5.3): it names it, or a star, with a weight above 0. Where there is
/// none a client takes anything, and is sent it as it is: it may be a simple one.
#[must_use]
pub fn takes_gzip<'a>(fields: impl Iterator<Item = &'a [u8]>) -> bool {
    let (mut named, mut star) = (None, None);
    for field in fields {
        for element in elements(field) {
            let mut parts = element.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
            let coding = parts.next().unwrap_or_default();
            let is_taken = parts.find_map(weight).is_none_or(|weight| weight > 0.0);
            if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") {
                named = Some(is_taken);
            } else if coding == b"*" {
                star = Some(is_taken);
            }
        }
    }
    named.or(star).unwrap_or(false)
}

/// A weight parameter (`q=0.5`); what is none counts as 0.
fn weight(parameter: &[u8]) -> Option<f32> {
    let [b'q' | b'Q', b'=', number @ ..] = parameter else { return None };
    Some(std::str::from_utf8(number).ok().and_then(|number| number.parse().ok()).unwrap_or(0.0))
}

/// A compressor.
#[derive(Debug)]
pub struct Gzip(Compress);

impl Default for Gzip {
    /// At the level that is fastest. 4 KiB of JSON take 16 µs and become 1.1 KB (1 MiB: 4 ms, 250 KB); at zlib's default they
    /// take 44 µs (1 MiB: 40 ms) and become 1.0 KB. Base64 of random bytes takes three times as long and shrinks by a quarter.
    fn default() -> Self {
        Self(Compress::new(Compression::fast(), false))
    }
}

impl Gzip {
    /// The content as gzip; `None` where that is not smaller. Of its length the trailer has 32 bits (RFC 1952 §2.3.1).
    pub fn encode(&mut self, content: &[u8]) -> Option<Vec<u8>> {
        self.0.reset();
        let most = content.len().checked_sub(TRAILER_BYTES + 1)?;
        let mut out = Vec::with_capacity(HEADER.len() + deflated_bytes_max(content.len()) + TRAILER_BYTES);
        out.extend_from_slice(&HEADER);
        let status = self.0.compress_vec(content, &mut out, FlushCompress::Finish);
        if !matches!(status, Ok(Status::StreamEnd)) {
            // zlib-rs 0.6.8 panics, or writes nonsense, after the reset of a stream that was not taken to its end.
            *self = Self::default();
            return None;
        }
        if out.len() > most {
            return None;
        }
        let mut crc = Crc::new();
        crc.update(content);
        out.extend_from_slice(&crc.sum().to_le_bytes());
        out.extend_from_slice(&(content.len() as u32).to_le_bytes());
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn gzip_is_taken_where_it_is_named_or_starred() {
        for (fields, expected) in [
            (&[][..], false),
            (&[""][..], false),
            (&["gzip"][..], true),
            (&["GZip"][..], true),
            (&["x-gzip"][..], true),
            (&["gzip, deflate, br, zstd"][..], true),
            (&["deflate", "br;q=1.0, gzip;q=0.8, *;q=0.1"][..], true),
            (&["identity"][..], false),
            (&["gzipped"][..], false),
            (&["*"][..], true),
            (&["*;q=0"][..], false),
            (&["gzip;q=0"][..], false),
            (&["gzip;q=0.000, *"][..], false),
            (&["gzip; Q=0.001"][..], true),
            (&["*;q=0, gzip;q=1"][..], true),
            (&["gzip;q=x"][..], false),
            (&["gzip;q="][..], false),
            (&[",,gzip,"][..], true),
        ] {
            assert_eq!(takes_gzip(fields.iter().map(|field| field.as_bytes())), expected, "{fields:?}");
        }
    }

    #[test]
    fn what_is_encoded_is_decoded_by_another_decoder() {
        let mut gzip = Gzip::default();
        let text = "42[\"chat message\",\"hello\"]\u{1e}".repeat(1000);
        for len in [200, 1000, 1024, 10_000, text.len()] {
            // The same compressor again and again.
            for _ in 0..2 {
                let content = &text.as_bytes()[..len];
                let encoded = gzip.encode(content).unwrap();
                assert!(encoded.len() < len / 2, "{len}: {}", encoded.len());
                let mut decoded = Vec::new();
                flate2::read::GzDecoder::new(&encoded[..]).read_to_end(&mut decoded).unwrap();
                assert_eq!(decoded, content);
            }
        }
    }

    #[test]
    fn what_does_not_shrink_stays_as_it_is() {
        let mut gzip = Gzip::default();
        // xorshift: bytes without a pattern.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .take(100_000)
        .collect();
        for len in [0, 1, 9, 10, 100, 1024, 100_000] {
            assert_eq!(gzip.encode(&noise[..len]), None, "{len}");
            // And it works after that.
            let content = [&noise[..len], &[b'a'; 70_000]].concat();
            let gzipped = gzip.encode(&content).unwrap();
            let mut decoded = Vec::new();
            flate2::read::GzDecoder::new(&gzipped[..]).read_to_end(&mut decoded).unwrap();
            assert!(decoded == content, "after {len}");
        }
    }
}

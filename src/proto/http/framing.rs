//! How long a request's body is: the one reading of `Content-Length` and `Transfer-Encoding` in throng.
//!
//! RFC 9112 §6.3 lets a server be lenient here and there; every leniency is an attack where something in front of it
//! is lenient elsewhere. So there is exactly one accepted spelling of each, and everything else is refused.

use crate::base::cause::Cause;

/// How a request's body is delimited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// There is no body: the next byte begins the next request.
    None,
    /// This many bytes follow; 0 where the client said so.
    Length(u64),
    /// Chunks follow (RFC 9112 §7.1).
    Chunked,
}

impl Framing {
    /// True where not a single byte of body follows the head.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }

    /// Reads the framing of a request from its fields.
    ///
    /// # Errors
    /// `BadHead` where the fields contradict each other, repeat, or are no number, and for any `Transfer-Encoding` in
    /// HTTP/1.0, which has none (RFC 9112 §6.1). `CodingNotSupported` for any coding but one plain `chunked`.
    pub(super) fn of(fields: &[httparse::Header<'_>], version_minor: u8) -> Result<Self, Cause> {
        let mut length = None;
        let mut chunked = false;
        let mut other_coding = false;
        for field in fields {
            if field.name.eq_ignore_ascii_case("content-length") {
                let announced = parse_length(field.value).ok_or(Cause::BadHead)?;
                if length.replace(announced).is_some() {
                    return Err(Cause::BadHead);
                }
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                other_coding |= chunked || !field.value.eq_ignore_ascii_case(b"chunked");
                chunked = true;
            }
        }
        match (length, chunked) {
            (None, false) => Ok(Self::None),
            (Some(length), false) => Ok(Self::Length(length)),
            (Some(_), true) => Err(Cause::BadHead),
            (None, true) if version_minor == 0 => Err(Cause::BadHead),
            (None, true) if other_coding => Err(Cause::CodingNotSupported),
            (None, true) => Ok(Self::Chunked),
        }
    }
}

/// `1*DIGIT`, and nothing that a lenient number parser would also take: no sign, no space, no list, no overflow.
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |length, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    })
}

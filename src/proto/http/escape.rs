//! Percent-encoding (RFC 3986 §2.1) undone: once, strictly, into UTF-8 or not at all.
//!
//! The one reading of escapes in throng. Whoever decodes twice, or passes on what no escape is, sees another path than
//! whoever checked it. Used by [`Request`](super::Request) for queries, by routes and files for paths.

use std::borrow::Cow;

/// Decodes one segment of a path, that is what stands between two slashes.
///
/// `None` where an escape is broken, the result is not UTF-8, or it would be more or less than one name: a slash or
/// backslash, NUL, `.` and `..` are refused however they were written. So what is returned may be looked up in a
/// directory without leaving it. It may be empty, and it may begin with a dot.
///
/// ```
/// use throng::proto::http::decode_segment;
///
/// assert_eq!(decode_segment("caf%C3%A9").as_deref(), Some("café"));
/// assert_eq!(decode_segment("a+b%20c").as_deref(), Some("a+b c"));
/// assert_eq!(decode_segment("%252e").as_deref(), Some("%2e"), "once");
/// assert!(["%2e%2E", "a%2Fb", "a%5cb", "a%00", "%c0%ae", "%zz", "%2"].iter().all(|bad| decode_segment(bad).is_none()));
/// ```
#[must_use]
pub fn decode_segment(segment: &str) -> Option<Cow<'_, str>> {
    let decoded = decode(segment, false)?;
    let is_one_name =
        !matches!(&*decoded, "." | "..") && !decoded.bytes().any(|byte| matches!(byte, b'/' | b'\\' | b'\0'));
    is_one_name.then_some(decoded)
}

/// The names and values of a query, `a=1&b=2`, in order. `+` is a space, as forms write it. A pair that cannot be decoded
/// is left out.
pub(super) fn query_params(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decode(name, true)?, decode(value, true)?))
    })
}

fn decode(text: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| byte == b'%' || plus_is_space && byte == b'+') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        decoded.push(match (first, behind) {
            (b'%', [high, low, behind @ ..]) => {
                rest = behind;
                digit(*high)? << 4 | digit(*low)?
            }
            (b'%', _) => return None,
            (b'+', _) if plus_is_space => b' ',
            (other, _) => *other,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

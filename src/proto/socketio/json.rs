//! Where a JSON value ends, and whether it is one (RFC 8259): in one pass, without recursion and without allocating.
//!
//! The text is UTF-8 already. What is inside of strings and numbers is left to whoever wants it.

use std::borrow::Cow;

use super::packet::Malformed;

/// The deepest nesting that is read: one bit each in the scanner's stack, and the depth at which `serde_json` stops.
const DEPTH_MAX: u32 = 127;

/// The key of a placeholder, quoted.
const PLACEHOLDER: &[u8] = b"\"_placeholder\"";

/// How a value is checked.
#[derive(Clone, Copy)]
pub(super) struct Checks {
    /// Arrays and objects within each other.
    pub(super) depth_max: u32,
    /// How many attachments the packet has: its placeholders are checked against it. `None`: it has no placeholders, and
    /// what looks like one is an object like any other.
    pub(super) attachments: Option<u32>,
}

/// The first byte at or behind `at` that is no white space.
#[inline]
pub(super) fn skip_space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = text.get(at) {
        at += 1;
    }
    at
}

/// The end of the value that begins at `at`, where no white space may stand.
///
/// # Errors
/// `Json`, `TooDeep` or `Placeholder`.
#[inline]
pub(super) fn value(text: &[u8], at: usize, checks: Checks) -> Result<usize, Malformed> {
    match text.get(at) {
        Some(b'"') => string(text, at + 1).map(|(end, _)| end),
        Some(b'[' | b'{') => nested(text, at, checks),
        _ => scalar(text, at),
    }
}

/// The end of an array or object and of all that is in it.
fn nested(text: &[u8], mut at: usize, checks: Checks) -> Result<usize, Malformed> {
    let depth_max = checks.depth_max.min(DEPTH_MAX);
    let mut depth = 0;
    // One bit per open array (0) or object (1), the innermost lowest.
    let mut open = 0_u128;
    loop {
        at = match text.get(at) {
            Some(b'"') => string(text, at + 1)?.0,
            Some(&bracket @ (b'[' | b'{')) => {
                let is_object = bracket == b'{';
                if let (true, Some(attachments)) = (is_object, checks.attachments)
                    && let Some((num, end)) = placeholder(text, at)
                {
                    if num >= attachments {
                        return Err(Malformed::Placeholder);
                    }
                    end
                } else {
                    if depth == depth_max {
                        return Err(Malformed::TooDeep);
                    }
                    at = skip_space(text, at + 1);
                    // `]` and `}` are two above their opening brackets in ASCII.
                    if text.get(at) == Some(&(bracket + 2)) {
                        at + 1
                    } else {
                        depth += 1;
                        open = open << 1 | u128::from(is_object);
                        if is_object {
                            at = key(text, at, checks)?;
                        }
                        continue;
                    }
                }
            }
            _ => scalar(text, at)?,
        };
        // A value has ended: another one follows, or what it stood in ends too.
        loop {
            if depth == 0 {
                return Ok(at);
            }
            at = skip_space(text, at);
            let in_object = open & 1 == 1;
            match text.get(at) {
                Some(b',') => {
                    at = skip_space(text, at + 1);
                    if in_object {
                        at = key(text, at, checks)?;
                    }
                    break;
                }
                Some(b'}') if in_object => {}
                Some(b']') if !in_object => {}
                _ => return Err(Malformed::Json),
            }
            at += 1;
            depth -= 1;
            open >>= 1;
        }
    }
}

/// The beginning of a member's value, from the quote of its key.
#[inline]
fn key(text: &[u8], at: usize, checks: Checks) -> Result<usize, Malformed> {
    if text.get(at) != Some(&b'"') {
        return Err(Malformed::Json);
    }
    let (end, _) = string(text, at + 1)?;
    let colon = skip_space(text, end);
    if text.get(colon) != Some(&b':') {
        return Err(Malformed::Json);
    }
    let begin = skip_space(text, colon + 1);
    // A right placeholder was skipped as a whole, so this one has members that none has, or its number is none.
    if checks.attachments.is_some() && &text[at..end] == PLACEHOLDER && text[begin..].starts_with(b"true") {
        return Err(Malformed::Placeholder);
    }
    Ok(begin)
}

/// The end of a string, from behind its opening quote, and whether it has escapes.
#[inline]
pub(super) fn string(text: &[u8], mut at: usize) -> Result<(usize, bool), Malformed> {
    let mut escaped = false;
    loop {
        at += plain(&text[at..]);
        match text.get(at) {
            Some(b'"') => return Ok((at + 1, escaped)),
            Some(b'\\') => {
                escaped = true;
                at += match text.get(at + 1) {
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                    Some(b'u') if hex(text, at + 2).is_some() => 6,
                    _ => return Err(Malformed::Json),
                };
            }
            _ => return Err(Malformed::Json),
        }
    }
}

/// How many bytes at the beginning stand for themselves in a string: no quote, backslash or control character.
#[inline]
fn plain(text: &[u8]) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    while let Some(eight) = text[at..].first_chunk() {
        let word = u64::from_le_bytes(*eight);
        // The high bit of the lowest byte that is zero, and never of one below it: borrows only go up.
        let zero = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
        let below_32 = word.wrapping_sub(LOW * 0x20) & !word & HIGH;
        let found = zero(word ^ (LOW * u64::from(b'"'))) | zero(word ^ (LOW * u64::from(b'\\'))) | below_32;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = text[at..].iter();
    at + rest.take_while(|&&byte| byte != b'"' && byte != b'\\' && byte >= b' ').count()
}

/// The end of a number or of one of the three words.
#[inline]
fn scalar(text: &[u8], at: usize) -> Result<usize, Malformed> {
    let word = match text.get(at) {
        Some(b'-' | b'0'..=b'9') => return number(text, at),
        Some(b't') => "true",
        Some(b'f') => "false",
        Some(b'n') => "null",
        _ => return Err(Malformed::Json),
    };
    if text[at..].starts_with(word.as_bytes()) { Ok(at + word.len()) } else { Err(Malformed::Json) }
}

/// The end of a number.
pub(super) fn number(text: &[u8], mut at: usize) -> Result<usize, Malformed> {
    let digits = |mut at: usize| {
        let start = at;
        while let Some(b'0'..=b'9') = text.get(at) {
            at += 1;
        }
        if at > start { Ok(at) } else { Err(Malformed::Json) }
    };
    if text.get(at) == Some(&b'-') {
        at += 1;
    }
    // No digit follows a leading zero.
    at = if text.get(at) == Some(&b'0') { at + 1 } else { digits(at)? };
    if text.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let signed = matches!(text.get(at + 1), Some(b'+' | b'-'));
        at = digits(at + 1 + usize::from(signed))?;
    }
    if let Some(b'0'..=b'9') = text.get(at) { Err(Malformed::Json) } else { Ok(at) }
}

/// The number of the placeholder that begins at `at` and its end, or `None` where there is none.
///
/// It is `{"_placeholder":true,"num":0}`, its members in either order: what every encoder writes, and what can be told
/// from other objects by its first key.
pub(super) fn placeholder(text: &[u8], at: usize) -> Option<(u32, usize)> {
    let (mut at, mut marked, mut num) = (at, false, None);
    for opening in [b'{', b','] {
        if text.get(at) != Some(&opening) {
            return None;
        }
        at = skip_space(text, at + 1);
        let rest = &text[at..];
        let is_mark = rest.starts_with(PLACEHOLDER);
        let key = if is_mark { PLACEHOLDER } else { b"\"num\"" };
        if !rest.starts_with(key) {
            return None;
        }
        at = skip_space(text, at + key.len());
        if text.get(at) != Some(&b':') {
            return None;
        }
        at = skip_space(text, at + 1);
        if is_mark {
            at += text[at..].starts_with(b"true").then_some(4)?;
            marked = true;
        } else {
            let end = number(text, at).ok()?;
            num = Some(std::str::from_utf8(&text[at..end]).ok()?.parse().ok()?);
            at = end;
        }
        at = skip_space(text, at);
    }
    (marked && text.get(at) == Some(&b'}')).then_some((num?, at + 1))
}

/// Four hexadecimal digits.
fn hex(text: &[u8], at: usize) -> Option<u16> {
    let digits: &[u8; 4] = text.get(at..)?.first_chunk()?;
    digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)? as u16))
}

/// What a string stands for: `inside` is what is between its quotes, and was checked by [`string`].
///
/// Half a surrogate pair, which JavaScript's strings can hold and UTF-8 cannot, becomes U+FFFD: so does it where
/// JavaScript itself turns a string into UTF-8.
pub(super) fn unescape(inside: &str, out: &mut String) {
    let mut rest = inside;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let (c, length) = match escape.as_bytes() {
            [b'u', ..] => unit(escape),
            [b'b', ..] => ('\u{8}', 1),
            [b'f', ..] => ('\u{c}', 1),
            [b'n', ..] => ('\n', 1),
            [b'r', ..] => ('\r', 1),
            [b't', ..] => ('\t', 1),
            [one, ..] => (char::from(*one), 1),
            [] => (char::REPLACEMENT_CHARACTER, 0),
        };
        out.push(c);
        rest = &escape[length..];
    }
    out.push_str(rest);
}

/// The character that `uXXXX`, or two of it with a backslash between, stands for, and its length.
fn unit(escape: &str) -> (char, usize) {
    let text = escape.as_bytes();
    let Some(first) = hex(text, 1) else { return (char::REPLACEMENT_CHARACTER, 1) };
    let second = if text.get(5..7) == Some(b"\\u") { hex(text, 7) } else { None };
    if let (0xd800..=0xdbff, Some(second @ 0xdc00..=0xdfff)) = (first, second) {
        let point = 0x1_0000 + ((u32::from(first) - 0xd800) << 10) + (u32::from(second) - 0xdc00);
        return (char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER), 11);
    }
    (char::from_u32(u32::from(first)).unwrap_or(char::REPLACEMENT_CHARACTER), 5)
}

/// The same, borrowed where nothing is escaped.
pub(super) fn text(inside: &str, escaped: bool) -> Cow<'_, str> {
    if !escaped {
        return Cow::Borrowed(inside);
    }
    let mut out = String::with_capacity(inside.len());
    unescape(inside, &mut out);
    Cow::Owned(out)
}

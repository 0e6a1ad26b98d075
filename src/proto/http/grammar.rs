//! The few character classes of RFC 9110 that several files here judge by.

/// A character of a token (RFC 9110 §5.6.2): methods, field names, subprotocols.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.'
        | b'^'..=b'`' | b'|' | b'~')
}

/// A token has at least one character.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_byte)
}

/// A character of a field value (RFC 9110 §5.5): visible, space, tab, or above ASCII. No CR, LF, NUL or other control.
pub(super) const fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// The elements of a comma-separated list (RFC 9110 §5.6.1), without the white space around them; empty ones are
/// skipped, as a recipient must.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// `host [":" port]` (RFC 3986 §3.2, without user information): what a `Host` field and an absolute target name.
pub(super) fn is_authority(authority: &[u8]) -> bool {
    let (host_is_right, port) = match authority.strip_prefix(b"[") {
        Some(rest) => {
            let Some(end) = rest.iter().position(|&byte| byte == b']') else { return false };
            let address = &rest[..end];
            (!address.is_empty() && address.iter().all(|&byte| is_address_byte(byte)), &rest[end + 1..])
        }
        None => {
            let end = authority.iter().position(|&byte| byte == b':').unwrap_or(authority.len());
            (authority[..end].iter().all(|&byte| is_name_byte(byte)), &authority[end..])
        }
    };
    let port_is_right = match port {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    host_is_right && port_is_right
}

/// A character between the brackets of an IPv6 address or a later kind.
const fn is_address_byte(byte: u8) -> bool {
    byte == b':' || is_name_byte(byte)
}

/// A character of a registered name or an IPv4 address: unreserved, a sub-delimiter, or part of a percent-escape.
const fn is_name_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' | b'!' | b'$'..=b','
        | b';' | b'=')
}

//! Which close codes may be received and sent (RFC 6455 §7.4), and what a close frame's payload says.

use tungstenite::protocol::frame::coding::CloseCode;

use super::utf8;
use crate::base::cause::Cause;

/// What the code of a close frame without one is called (RFC 6455 §7.1.5). It is never on the wire.
pub const NO_STATUS: u16 = 1005;

/// Bytes of a close frame's reason: what its code leaves of a control frame's 125.
pub const REASON_BYTES_MAX: usize = 123;

/// Whether a peer may send this code. tungstenite judges: 1004 to 1006, 1014 to 2999 and whatever is not in
/// 1000..5000 is refused.
#[must_use]
pub fn may_be_received(code: u16) -> bool {
    CloseCode::from(code).is_allowed()
}

/// Whether a server may send this code: what it may receive except 1010, which only a client says (RFC 6455 §7.4.1).
#[must_use]
pub fn may_be_sent(code: u16) -> bool {
    code != 1010 && may_be_received(code)
}

/// Reads a close frame's payload: code and reason.
///
/// # Errors
/// `BadClose` for one byte alone or a code that may not be received, `BadUtf8` for the reason.
pub(super) fn parse(payload: &[u8]) -> Result<(Option<u16>, &str), Cause> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok((None, "")) } else { Err(Cause::BadClose) };
    };
    let code = u16::from_be_bytes(*code);
    if !may_be_received(code) {
        return Err(Cause::BadClose);
    }
    Ok((Some(code), utf8::text(reason)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_judged_as_in_the_rfc() {
        for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999]
        {
            assert!(may_be_received(code), "{code}");
            assert_eq!(may_be_sent(code), code != 1010, "{code}");
        }
        for code in [0, 1, 999, 1004, 1005, 1006, 1014, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
            assert!(!may_be_received(code) && !may_be_sent(code), "{code}");
        }
    }

    #[test]
    fn payloads() {
        assert_eq!(parse(b""), Ok((None, "")));
        assert_eq!(parse(b"\x03"), Err(Cause::BadClose));
        assert_eq!(parse(b"\x03\xe8"), Ok((Some(1000), "")));
        assert_eq!(parse("\x03\u{0}é".as_bytes()), Err(Cause::BadClose));
        assert_eq!(parse(b"\x0f\xa0\xc3\xa9"), Ok((Some(4000), "é")));
        assert_eq!(parse(b"\x03\xe8\xc3"), Err(Cause::BadUtf8));
        assert_eq!(parse(b"\x03\xed"), Err(Cause::BadClose));
    }
}

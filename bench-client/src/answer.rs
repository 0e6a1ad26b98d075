//! An HTTP response as far as Engine.IO's polling needs it: status, body, whether the connection stays.
//!
//! Sans-I/O; `handshake` and `exchange` call it with what they have read so far. Bodies have a length: no server of this
//! protocol sends them in pieces, but for an error's, which then goes without its body.

use std::borrow::Cow;

/// The most bytes a response head may take.
pub(crate) const HEAD_BYTES_MAX: usize = 16 << 10;
/// The type of a TLS record that is an alert; the version follows, whose first byte is 3.
const TLS_ALERT: u8 = 21;
/// The most header fields a response may have.
pub(crate) const FIELDS_MAX: usize = 64;
/// The most that is repeated of what a refusal says.
const SAID_CHARS_MAX: usize = 200;
/// The most bytes of a body: as much as a WebSocket message may have.
const BODY_BYTES_MAX: usize = crate::inbound::LIMITS.message_bytes_max;

/// A whole response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    /// Empty where an error has no length.
    pub(crate) body: Cow<'a, [u8]>,
    /// The server ends the connection behind it.
    pub(crate) closes: bool,
    /// Bytes of head and body.
    pub(crate) bytes: usize,
}

/// Reads a response's head: how many bytes it takes, `Ok(None)` while it is incomplete.
///
/// # Errors
/// What the server did wrong, in words that continue "the server …".
pub(crate) fn head<'b>(
    response: &mut httparse::Response<'_, 'b>,
    bytes: &'b [u8],
) -> Result<Option<usize>, String> {
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => Ok(Some(head)),
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Ok(None),
        Ok(httparse::Status::Partial) => Err("sent a response head above 16 KiB".into()),
        // An alert: what a client hears that says its request to whoever expects a handshake (RFC 8446 §6).
        Err(_) if bytes.starts_with(&[TLS_ALERT, 3]) => {
            Err("speaks TLS: wss:// or https:// is with it".into())
        }
        Err(_) => Err("does not speak HTTP".into()),
    }
}

/// Reads a response; `Ok(None)` while it is incomplete.
///
/// # Errors
/// What the server did wrong, in words that continue "the server …".
pub(crate) fn read(bytes: &[u8]) -> Result<Option<Answer<'_>>, String> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let Some(head) = head(&mut response, bytes)? else { return Ok(None) };
    let status = response.code.unwrap_or_default();
    let field = |name: &str| {
        let field = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(field.value).ok().map(str::trim)
    };
    let closes = field("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let length = match field("Content-Length").and_then(|length| length.parse().ok()) {
        Some(length @ ..=BODY_BYTES_MAX) => length,
        _ if status != 200 => {
            return Ok(Some(Answer { status, body: Cow::default(), closes: true, bytes: bytes.len() }));
        }
        _ => return Err(format!("answered polling with {status} and without a length up to 64 MiB")),
    };
    let bytes = bytes.get(..head + length);
    Ok(bytes.map(|bytes| Answer { status, body: bytes[head..].into(), closes, bytes: bytes.len() }))
}

/// What a refusal says in its body, as the end of a sentence: the first line, where that is text and no page. Empty where the body
/// has no length, or has not arrived.
pub(crate) fn said(bytes: &[u8]) -> String {
    let body = read(bytes).ok().flatten().map(|answer| answer.body).unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let line = text.trim_start().lines().next().unwrap_or_default().trim_end();
    if line.is_empty() || line.starts_with('<') || line.contains(|c: char| c.is_control() || c == '\u{fffd}')
    {
        return String::new();
    }
    format!("; it says: {}", line.chars().take(SAID_CHARS_MAX).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_refusal_says_is_its_first_line_if_it_is_text() {
        let long = "é".repeat(1000);
        let refusal = |body: &[u8]| {
            [format!("HTTP/1.1 503 X\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
        };
        for (body, expected) in [
            ("", ""),
            ("\r\nfull\r\nmore", "; it says: full"),
            ("{\"code\":4}", "; it says: {\"code\":4}"),
            ("<html>", ""),
            ("\u{1b}[31m", ""),
        ] {
            assert_eq!(said(&refusal(body.as_bytes())), expected);
        }
        assert_eq!(said(&refusal(b"\xff")), "");
        assert_eq!(said(b"no head"), "");
        assert_eq!(
            said(b"HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfull\r\n"),
            "",
            "not its length"
        );
        assert_eq!(said(&refusal(long.as_bytes())).chars().count(), 11 + 200);
    }

    #[test]
    fn a_response_is_read_at_its_last_byte_and_not_before() {
        let text = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: Close\r\n\r\nabcHTTP";
        let end = text.len() - 4;
        for cut in 0..end {
            assert_eq!(read(&text[..cut]), Ok(None), "{cut}");
        }
        let answer = read(text).unwrap().unwrap();
        assert_eq!(
            (answer.status, &*answer.body, answer.closes, answer.bytes),
            (200, &b"abc"[..], true, end)
        );
    }

    #[test]
    fn what_has_no_length_is_an_error_or_the_answer_to_one() {
        let answer =
            read(b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n").unwrap().unwrap();
        assert_eq!((answer.status, answer.body.len(), answer.closes), (400, 0, true));
        for (text, word) in [
            ("HTTP/1.1 200 OK\r\n\r\n", "without a length"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 67108865\r\n\r\n", "without a length"),
            ("SSH-2.0\r\n", "HTTP"),
        ] {
            assert!(read(text.as_bytes()).is_err_and(|said| said.contains(word)), "{text}");
        }
        let long = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(HEAD_BYTES_MAX));
        assert!(read(long.as_bytes()).is_err_and(|said| said.contains("16 KiB")));
    }
}

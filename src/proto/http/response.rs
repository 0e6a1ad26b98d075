//! Responses: what a handler makes, and the bytes it becomes.
//!
//! Owns the fields that frame a message, so that none can be missing, doubled or untrue: `Content-Length`,
//! `Connection` and the status line are written here and nowhere else. Made by the application and, for refusals, by
//! the core; encoded by the core into its output.

use std::borrow::Cow;
use std::io::Write;

use tungstenite::http::StatusCode;

use super::grammar::{is_token_byte, is_value_byte};
use crate::base::cause::Cause;

/// What a client that holds its body back is told, once throng wants the body (RFC 9110 §15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Seconds after which a client that was answered 503 may try again.
pub const RETRY_AFTER_SECONDS: u32 = 5;

/// An HTTP response.
///
/// ```
/// use throng::proto::http::Response;
///
/// let mut bytes = Vec::new();
/// Response::text("hello").header("Cache-Control", "no-store").encode(&mut bytes, false, true);
/// assert!(bytes.starts_with(b"HTTP/1.1 200 OK\r\n") && bytes.ends_with(b"\r\n\r\nhello"));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct Response {
    status: u16,
    /// Fields as they go out, each ending in CRLF.
    fields: Vec<u8>,
    content_type: Cow<'static, str>,
    content: Cow<'static, [u8]>,
    names_upgrade: bool,
    names_retry: bool,
}

impl Response {
    /// An empty response. A status that is none (RFC 9110 §15: 100 to 599) becomes 500.
    pub const fn new(status: u16) -> Self {
        Self {
            status: checked(status),
            fields: Vec::new(),
            content_type: Cow::Borrowed(""),
            content: Cow::Borrowed(b""),
            names_upgrade: false,
            names_retry: false,
        }
    }

    /// 200 with plain text in UTF-8.
    pub fn text(content: impl Into<Cow<'static, str>>) -> Self {
        Self::typed("text/plain; charset=utf-8", into_bytes(content.into()))
    }

    /// 200 with an HTML page in UTF-8.
    pub fn html(content: impl Into<Cow<'static, str>>) -> Self {
        Self::typed("text/html; charset=utf-8", into_bytes(content.into()))
    }

    /// 200 with JSON, already serialised.
    pub fn json(content: impl Into<Cow<'static, str>>) -> Self {
        Self::typed("application/json", into_bytes(content.into()))
    }

    /// The answer to a request that is refused for this cause: the status of the table and its sentence as text.
    ///
    /// 426 names what is spoken here, and any 503 says when to come back (RFC 9110 §15.5.22, §15.6.4). 405 must name the methods
    /// that are served: whoever knows them adds `.header("Allow", "GET, HEAD")`. A cause that ends connections and
    /// refuses no requests becomes 503 where it says that the server goes away (close code 1001), else 500.
    pub fn refusal(cause: Cause) -> Self {
        let status = match (cause.status(), cause.close_code()) {
            (Some(status), _) => status,
            (None, Some(1001)) => 503,
            (None, _) => 500,
        };
        let refusal = Self::text(cause.sentence()).status(status);
        match status {
            426 => refusal.header("Upgrade", "websocket").header("Sec-WebSocket-Version", "13"),
            _ => refusal,
        }
    }

    fn typed(content_type: &'static str, content: Cow<'static, [u8]>) -> Self {
        let mut response = Self::new(200).body(content);
        response.content_type = Cow::Borrowed(content_type);
        response
    }

    /// The same with another status; one that is none becomes 500.
    pub const fn status(mut self, status: u16) -> Self {
        self.status = checked(status);
        self
    }

    /// Its status.
    #[must_use]
    pub const fn status_code(&self) -> u16 {
        self.status
    }

    /// The same with other content. Its type stays as it was.
    pub fn body(mut self, content: impl Into<Cow<'static, [u8]>>) -> Self {
        self.content = content.into();
        self
    }

    /// The same with one more field; `Content-Type` is replaced, any other name may stand several times.
    ///
    /// Nothing that is put in here can end the field and begin another: a control character in `value` becomes a
    /// space (the second of the two ways that RFC 9110 §5.5 gives for CR, LF and NUL), and in `name` whatever no name may
    /// have becomes `-`. `Content-Length`, `Transfer-Encoding` and `Connection` are left out: throng writes them.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let framing = ["content-length", "transfer-encoding", "connection"];
        if framing.iter().any(|one| name.eq_ignore_ascii_case(one)) {
            return self;
        }
        if name.eq_ignore_ascii_case("content-type") {
            let clean = value.chars().map(|one| if one.is_ascii_control() { ' ' } else { one });
            self.content_type = Cow::Owned(clean.collect());
            return self;
        }
        self.names_upgrade |= name.eq_ignore_ascii_case("upgrade");
        self.names_retry |= name.eq_ignore_ascii_case("retry-after");
        let name = if name.is_empty() { "-" } else { name };
        self.fields.extend(name.bytes().map(|byte| if is_token_byte(byte) { byte } else { b'-' }));
        self.fields.extend_from_slice(b": ");
        self.fields.extend(value.bytes().map(|byte| if is_value_byte(byte) { byte } else { b' ' }));
        self.fields.extend_from_slice(b"\r\n");
        self
    }

    /// The status code.
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.status
    }

    /// The content, as it is sent to a GET.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// Appends the response as it goes over the wire.
    ///
    /// `head_only` for a HEAD request: everything as for a GET, but no content. `keep_alive` says whether another
    /// request may follow on this connection; either way the response says so, as HTTP/1.0 clients need to hear the
    /// one and all clients the other (RFC 9112 §9.3). `Content-Length` is always there, except where the status forbids
    /// content (1xx, 204, 304), and there no content is sent.
    pub fn encode(&self, out: &mut Vec<u8>, head_only: bool, keep_alive: bool) {
        let has_content = !matches!(self.status, 100..200 | 204 | 304);
        let content: &[u8] = if has_content && !head_only { &self.content } else { b"" };
        out.reserve(160 + self.fields.len() + self.content_type.len() + content.len());
        self.encode_head(out, has_content, keep_alive).expect("a Vec takes every byte written to it");
        out.extend_from_slice(content);
    }

    fn encode_head(&self, out: &mut Vec<u8>, has_content: bool, keep_alive: bool) -> std::io::Result<()> {
        write!(out, "HTTP/1.1 {} {}\r\n", self.status, reason(self.status))?;
        if !self.content_type.is_empty() {
            write!(out, "Content-Type: {}\r\n", self.content_type)?;
        }
        if has_content {
            write!(out, "Content-Length: {}\r\n", self.content.len())?;
        }
        let upgrade = if self.names_upgrade { "Upgrade, " } else { "" };
        let persistence = if keep_alive { "keep-alive" } else { "close" };
        write!(out, "Connection: {upgrade}{persistence}\r\n")?;
        if self.status == 503 && !self.names_retry {
            // Whoever hears it without would come back at once, and all of them together.
            write!(out, "Retry-After: {RETRY_AFTER_SECONDS}\r\n")?;
        }
        out.extend_from_slice(&self.fields);
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}

const fn checked(status: u16) -> u16 {
    if status >= 100 && status < 600 { status } else { 500 }
}

fn into_bytes(text: Cow<'static, str>) -> Cow<'static, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// The phrase that RFC 9110 §15 gives a status, empty for one that it does not know.
fn reason(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("")
}

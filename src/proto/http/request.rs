//! A request head, parsed and borrowed: what the core routes by and what a handler is shown.
//!
//! Whatever exists as a [`Request`] has passed every check: its target has a path, its lengths do not contradict each
//! other, it names at most one host and one origin. Called by the core with the bytes that
//! [`HeadScan`](super::HeadScan) delimited.

use ::core::net::SocketAddr;
use std::borrow::Cow;

use httparse::Status;

use super::escape::query_params;
use super::framing::Framing;
use super::grammar::{elements, is_authority, is_token};
use super::scan::{Leading, skip_leading};
use super::target::Target;
use crate::base::cause::Cause;

/// Fields in a request head; browsers send about 15. Beyond it a request is refused 431.
pub const HEAD_FIELDS_MAX: usize = 64;

/// Room for the fields of one head, 2 KiB: lives on the stack next to the [`Request`] that borrows it.
#[derive(Clone, Debug)]
pub struct HeaderSlots<'b>([httparse::Header<'b>; HEAD_FIELDS_MAX]);

impl HeaderSlots<'_> {
    /// Empty slots.
    #[must_use]
    pub const fn new() -> Self {
        Self([httparse::EMPTY_HEADER; HEAD_FIELDS_MAX])
    }
}

impl Default for HeaderSlots<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// A request's head.
///
/// Names of fields are compared without regard to case. Text is as it was sent: nothing is percent-decoded, but for
/// [`query_param`](Self::query_param) and [`query_params`](Self::query_params).
///
/// ```
/// use throng::proto::http::{HeadScan, HeaderSlots, Request};
///
/// let arrived = b"GET /rooms?name=a HTTP/1.1\r\nHost: localhost\r\n\r\nwhat follows";
/// let length = HeadScan::new().find(arrived).unwrap();
/// let mut slots = HeaderSlots::new();
/// let request = Request::parse(&arrived[..length], &mut slots).unwrap();
/// assert_eq!((request.path(), request.query()), ("/rooms", Some("name=a")));
/// assert_eq!((request.host(), request.keep_alive()), (Some("localhost"), true));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    method: &'a str,
    target: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    host: Option<&'a str>,
    fields: &'a [httparse::Header<'a>],
    framing: Framing,
    version_minor: u8,
    is_secure: bool,
    client: Option<SocketAddr>,
}

impl<'a> Request<'a> {
    /// Parses a head, from its first byte to the empty line that ends it.
    ///
    /// # Errors
    /// `VersionNotSupported` for a well-formed version other than 1.0 and 1.1, `HeadTooLarge` for more than
    /// [`HEAD_FIELDS_MAX`] fields, `CodingNotSupported` for a transfer coding other than chunked, and `BadHead` for
    /// everything else that RFC 9112 forbids or leaves open to two readings: bare CR or LF, folded fields, space
    /// before a colon, a target that is no path, no `Host` in 1.1 or two of them, lengths that contradict.
    pub fn parse<'b: 'a>(head: &'b [u8], slots: &'a mut HeaderSlots<'b>) -> Result<Self, Cause> {
        let Leading::Start(start) = skip_leading(head) else { return Err(Cause::BadHead) };
        let head = &head[start..];
        let mut raw = httparse::Request::new(&mut slots.0);
        match raw.parse(head) {
            Ok(Status::Complete(length)) if length == head.len() && !has_bare_lf(head) => {}
            Ok(_) => return Err(Cause::BadHead),
            Err(httparse::Error::TooManyHeaders) => return Err(Cause::HeadTooLarge),
            Err(httparse::Error::Version) if names_other_version(head) => {
                return Err(Cause::VersionNotSupported);
            }
            Err(_) => return Err(Cause::BadHead),
        }
        let (Some(method), Some(target), Some(version_minor)) = (raw.method, raw.path, raw.version) else {
            return Err(Cause::BadHead);
        };
        let request = Self::check(method, target, version_minor, raw.headers)?;
        if version_minor == 1 && request.header_all("host").next().is_none() {
            return Err(Cause::BadHead);
        }
        Ok(request)
    }

    /// The checks that need the whole head.
    fn check(
        method: &'a str,
        target: &'a str,
        version_minor: u8,
        fields: &'a [httparse::Header<'a>],
    ) -> Result<Self, Cause> {
        let Target { authority, path, query } = Target::split(target).ok_or(Cause::BadHead)?;
        let host = single(fields, "host", is_authority)?;
        // A non-ASCII or second `Origin` must not look like none at all, which is what a client that is no browser
        // sends and what every origin rule lets pass.
        single(fields, "origin", <[u8]>::is_ascii)?;
        let framing = Framing::of(fields, version_minor)?;
        Ok(Self {
            method,
            target,
            path,
            query,
            host: authority.or(host),
            fields,
            framing,
            version_minor,
            is_secure: false,
            client: None,
        })
    }

    /// The method, as sent: methods are case-sensitive (RFC 9110 §9.1).
    #[must_use]
    pub const fn method(&self) -> &'a str {
        self.method
    }

    /// The whole target, as sent.
    #[must_use]
    pub const fn target(&self) -> &'a str {
        self.target
    }

    /// The target's path. It begins with a slash; `/` where an absolute target has none.
    #[must_use]
    pub const fn path(&self) -> &'a str {
        self.path
    }

    /// What follows the target's first question mark, `None` where there is none.
    #[must_use]
    pub const fn query(&self) -> Option<&'a str> {
        self.query
    }

    /// The value that the query gives a name, decoded; the first where there are several. `Some("")` for a name without
    /// a value, `None` where the name is missing or its value cannot be decoded: a broken escape, or no UTF-8.
    ///
    /// ```
    /// # use throng::proto::http::{HeaderSlots, Request};
    /// # let mut slots = HeaderSlots::new();
    /// let request = Request::parse(b"GET /chat?name=J%C3%BCrgen+K&quiet HTTP/1.0\r\n\r\n", &mut slots).unwrap();
    /// assert_eq!(request.query_param("name").as_deref(), Some("Jürgen K"));
    /// assert_eq!(request.query_param("quiet").as_deref(), Some(""));
    /// assert_eq!(request.query_param("room"), None);
    /// ```
    #[must_use]
    pub fn query_param(&self, name: &str) -> Option<Cow<'a, str>> {
        self.query_params().find(|(one, _)| one == name).map(|(_, value)| value)
    }

    /// The names and values of the query, decoded as forms encode them (`+` is a space), in order. What cannot be decoded
    /// is left out.
    pub fn query_params(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        query_params(self.query.unwrap_or_default())
    }

    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    #[must_use]
    pub const fn version_minor(&self) -> u8 {
        self.version_minor
    }

    /// The same request, as it came in over TLS or not.
    #[must_use]
    pub const fn over(mut self, is_secure: bool) -> Self {
        self.is_secure = is_secure;
        self
    }

    /// Whether it came in over TLS: `https://`, or `wss://`.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// How the body is delimited.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        self.framing
    }

    /// The value of the first field of this name, `None` where there is none or where it is not UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let first = self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
        simdutf8::basic::from_utf8(first.value).ok()
    }

    /// The values of all fields of this name, in order, as bytes: they need not be text.
    pub fn header_all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    /// The same, of this client.
    #[must_use]
    pub const fn of(mut self, client: SocketAddr) -> Self {
        self.client = Some(client);
        self
    }

    /// The client's address: the peer's, or, where that is one of `trusted_proxies`, the one it speaks for. `None` for a request
    /// that came by no connection.
    #[must_use]
    pub const fn peer_addr(&self) -> Option<SocketAddr> {
        self.client
    }

    /// All fields in order: name as sent, and value.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        self.fields.iter().map(|field| (field.name, field.value))
    }

    /// Whether a field that is a comma-separated list, over all its lines, has this element in any case.
    #[must_use]
    pub fn header_lists(&self, name: &str, element: &str) -> bool {
        self.header_all(name)
            .any(|value| elements(value).any(|one| one.eq_ignore_ascii_case(element.as_bytes())))
    }

    /// The `Origin`: the page that a browser connects for. Clients that are no browsers send none.
    #[must_use]
    pub fn origin(&self) -> Option<&'a str> {
        self.header("origin")
    }

    /// `host[:port]` that the request is for: from an absolute target, else from `Host`.
    #[must_use]
    pub const fn host(&self) -> Option<&'a str> {
        self.host
    }

    /// The subprotocols that the client offers, the one it likes best first (RFC 6455 §4.1). What is no token is
    /// skipped: it could not be answered.
    pub fn subprotocols(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.header_all("sec-websocket-protocol")
            .flat_map(elements)
            .filter(|element| is_token(element))
            .filter_map(|element| std::str::from_utf8(element).ok())
    }

    /// Whether this asks for WebSocket: `Connection` lists `upgrade` and `Upgrade` lists `websocket`.
    #[must_use]
    pub fn is_upgrade(&self) -> bool {
        self.header_lists("connection", "upgrade") && self.header_lists("upgrade", "websocket")
    }

    /// Whether the client wants another request on this connection (RFC 9112 §9.3): in 1.1 unless it says `close`, in
    /// 1.0 only if it says `keep-alive`.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        let asked = self.version_minor == 1 || self.header_lists("connection", "keep-alive");
        asked && !self.header_lists("connection", "close")
    }

    /// Whether the client holds its body back until it is told [`CONTINUE`](super::CONTINUE) (RFC 9110 §10.1.1).
    /// Never in 1.0, where the expectation must be ignored.
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        self.version_minor == 1 && !self.framing.is_empty() && self.header_lists("expect", "100-continue")
    }
}

/// The value of a field that may stand once, and must pass `is_right`, which accepts ASCII only.
fn single<'a>(
    fields: &'a [httparse::Header<'a>],
    name: &str,
    is_right: impl Fn(&[u8]) -> bool,
) -> Result<Option<&'a str>, Cause> {
    let mut values =
        fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() || !is_right(value) {
        return Err(Cause::BadHead);
    }
    std::str::from_utf8(value).map(Some).map_err(|_| Cause::BadHead)
}

/// Whether a line of a head that httparse took ends in LF alone, as RFC 9112 §2.2 lets a server take it.
///
/// httparse takes no CR without LF behind it, so the LFs outnumber the CRs by those that stand alone. They are counted
/// in blocks of 64, whose excess fits 8 bits: the compiler then counts 16 or 32 bytes at once.
fn has_bare_lf(head: &[u8]) -> bool {
    let excess = |block: &[u8]| {
        block.iter().fold(0i8, |sum, &byte| sum + i8::from(byte == b'\n') - i8::from(byte == b'\r'))
    };
    head.chunks(64).map(|block| i32::from(excess(block))).sum::<i32>() != 0
}

/// Whether the third of three words in the request line is a version that is written as one: `HTTP/2.0`, not `HTTP/x`.
fn names_other_version(head: &[u8]) -> bool {
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ').skip(2);
    matches!((words.next(), words.next()), (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None)
        if major.is_ascii_digit() && minor.is_ascii_digit())
}

//! The server's side of the opening handshake (RFC 6455 §4.2): a request becomes an [`Accept`], or a cause.
//!
//! tungstenite judges the handshake and derives the key. What is judged here is what it cannot see: lists that are
//! spread over several fields, fields that may stand only once, a body. The one extension is `deflate`'s. Called by the
//! core for every request that asks for WebSocket; the origin is not judged here but by `Config::origins`.

use std::fmt;

use tungstenite::error::{Error, ProtocolError};
use tungstenite::handshake::server::create_response;
use tungstenite::http::{self, header};

use super::deflate::{Offers, Terms};
use crate::base::cause::Cause;
use crate::proto::http::Request;

/// A handshake that may be accepted. It borrows nothing, so an admission may be decided later.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accept {
    key: String,
    /// The subprotocols, each behind a comma, which no name contains: one allocation, however many names are offered.
    offered: String,
    offers: Offers,
}

/// The subprotocol chosen is not one that the client offered; it would have to fail the connection (RFC 6455 §4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotOffered;

impl fmt::Display for NotOffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client did not offer this subprotocol")
    }
}

impl std::error::Error for NotOffered {}

/// Judges a handshake.
///
/// # Errors
/// `UpgradeRequired` for a request that does not ask for WebSocket at all, or for a version other than 13;
/// `MethodNotAllowed` for one that does and is no GET; `BadHandshake` where a part is missing, malformed or there
/// twice, or where a body is announced: whether its bytes were frames would have two readings.
pub fn check(request: &Request<'_>) -> Result<Accept, Cause> {
    if !request.header_lists("upgrade", "websocket") {
        return Err(Cause::UpgradeRequired);
    }
    if !request.framing().is_empty() {
        return Err(Cause::BadHandshake);
    }
    let response = create_response(&judged_by_tungstenite(request)?).map_err(|error| cause_of(&error))?;
    let key = response.headers().get(header::SEC_WEBSOCKET_ACCEPT).and_then(|key| key.to_str().ok());
    let key = key.ok_or(Cause::BadHandshake)?.to_owned();
    let offered = request.subprotocols().fold(String::new(), |offered, name| offered + "," + name);
    let offers = Offers::parse(request.header_all("sec-websocket-extensions"));
    Ok(Accept { key, offered, offers })
}

/// What a handshake that another HTTP server has read is to be answered with, before its connection is
/// [adopted](crate::Handle::adopt): the fields of the 101. That server has seen to it that the method is GET.
///
/// ```
/// use throng::proto::ws::handshake;
/// use tungstenite::http::{HeaderMap, HeaderValue};
///
/// let field = HeaderValue::from_static;
/// let mut asked = HeaderMap::new();
/// asked.insert("connection", field("Upgrade"));
/// asked.insert("upgrade", field("websocket"));
/// asked.insert("sec-websocket-version", field("13"));
/// assert_eq!(handshake::answer(&asked).unwrap_err().status(), Some(400));
/// asked.insert("sec-websocket-key", field("dGhlIHNhbXBsZSBub25jZQ=="));
/// assert_eq!(handshake::answer(&asked).unwrap()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
///
/// # Errors
/// As [`check`]: the cause's status is what to answer instead.
pub fn answer(headers: &http::HeaderMap) -> Result<http::HeaderMap, Cause> {
    let lists = |name, wanted: &str| {
        let lines = headers.get_all(name).iter().filter_map(|line: &http::HeaderValue| line.to_str().ok());
        lines.flat_map(|line| line.split(',')).any(|element| element.trim().eq_ignore_ascii_case(wanted))
    };
    if !lists(header::UPGRADE, "websocket") {
        return Err(Cause::UpgradeRequired);
    }
    let mut judged = http::Request::new(());
    if lists(header::CONNECTION, "upgrade") {
        judged.headers_mut().insert(header::CONNECTION, http::HeaderValue::from_static("Upgrade"));
    }
    judged.headers_mut().insert(header::UPGRADE, http::HeaderValue::from_static("websocket"));
    for name in [header::SEC_WEBSOCKET_VERSION, header::SEC_WEBSOCKET_KEY] {
        for value in headers.get_all(&name) {
            if judged.headers_mut().insert(&name, value.clone()).is_some() {
                return Err(Cause::BadHandshake);
            }
        }
    }
    create_response(&judged).map(|response| response.into_parts().0.headers).map_err(|error| cause_of(&error))
}

impl Accept {
    /// What the client offers of compression.
    #[must_use]
    pub const fn offers(&self) -> &Offers {
        &self.offers
    }

    /// Appends the response that completes the handshake: 101, with the subprotocol that was chosen, and with the answer to
    /// the client's offer of compression where there are `terms` for it.
    ///
    /// # Errors
    /// [`NotOffered`], and nothing is appended, where the client did not offer this subprotocol. They are compared
    /// exactly (RFC 6455 §4.2.2).
    pub fn encode(
        &self,
        subprotocol: Option<&str>,
        terms: Option<Terms>,
        out: &mut Vec<u8>,
    ) -> Result<(), NotOffered> {
        // What comes before the first comma is no name.
        let is_offered = |chosen: &str| self.offered.split(',').skip(1).any(|offered| offered == chosen);
        if subprotocol.is_some_and(|chosen| !is_offered(chosen)) {
            return Err(NotOffered);
        }
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        );
        out.extend_from_slice(b"Sec-WebSocket-Accept: ");
        out.extend_from_slice(self.key.as_bytes());
        if let Some(chosen) = subprotocol {
            out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
            out.extend_from_slice(chosen.as_bytes());
        }
        if let Some(terms) = terms.filter(|&terms| self.offers.agree(terms).is_on()) {
            out.extend_from_slice(b"\r\nSec-WebSocket-Extensions: ");
            self.offers.answer(terms, out);
        }
        out.extend_from_slice(b"\r\n\r\n");
        Ok(())
    }
}

/// The request as tungstenite reads one. It looks at the first line of a field only, so the lists are given as what
/// they list, over all their lines; the target plays no part.
fn judged_by_tungstenite(request: &Request<'_>) -> Result<http::Request<()>, Cause> {
    let mut judged = http::Request::new(());
    *judged.method_mut() =
        http::Method::from_bytes(request.method().as_bytes()).map_err(|_| Cause::BadHandshake)?;
    *judged.version_mut() =
        if request.version_minor() == 1 { http::Version::HTTP_11 } else { http::Version::HTTP_10 };
    let headers = judged.headers_mut();
    if request.header_lists("connection", "upgrade") {
        headers.insert(header::CONNECTION, http::HeaderValue::from_static("Upgrade"));
    }
    headers.insert(header::UPGRADE, http::HeaderValue::from_static("websocket"));
    for name in [header::SEC_WEBSOCKET_VERSION, header::SEC_WEBSOCKET_KEY] {
        for value in request.header_all(name.as_str()) {
            let value = http::HeaderValue::from_bytes(value).map_err(|_| Cause::BadHandshake)?;
            if headers.insert(&name, value).is_some() {
                return Err(Cause::BadHandshake);
            }
        }
    }
    Ok(judged)
}

fn cause_of(error: &Error) -> Cause {
    match error {
        Error::Protocol(ProtocolError::WrongHttpMethod) => Cause::MethodNotAllowed,
        Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader) => Cause::UpgradeRequired,
        _ => Cause::BadHandshake,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};

    use tungstenite::client::IntoClientRequest;
    use tungstenite::handshake::HandshakeError;

    use super::*;
    use crate::base::cause::Cause::{BadHandshake, MethodNotAllowed, UpgradeRequired};
    use crate::proto::http::{HeadScan, HeaderSlots};

    /// A stream to a peer in memory: once the request is whole, `answer` makes what is read from it.
    struct Loopback<F> {
        sent: Vec<u8>,
        received: io::Cursor<Vec<u8>>,
        answer: F,
    }

    impl<F: FnMut(&Request<'_>) -> Vec<u8>> Write for Loopback<F> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.sent.extend_from_slice(bytes);
            if let Some(length) = HeadScan::new().find(&self.sent) {
                let mut slots = HeaderSlots::new();
                let request =
                    Request::parse(&self.sent[..length], &mut slots).expect("a client sends a request");
                self.received = io::Cursor::new((self.answer)(&request));
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<F> Read for Loopback<F> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.received.read(buffer)
        }
    }

    fn connect(
        offered: &'static str,
        chosen: Option<&str>,
    ) -> Result<http::Response<Option<Vec<u8>>>, String> {
        let mut request = "ws://localhost/chat?room=1".into_client_request().unwrap();
        if !offered.is_empty() {
            let offered = http::HeaderValue::from_static(offered);
            request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, offered);
        }
        let answer = |request: &Request<'_>| {
            assert_eq!(
                (request.path(), request.query(), request.is_upgrade()),
                ("/chat", Some("room=1"), true)
            );
            let mut out = Vec::new();
            check(request).unwrap().encode(chosen, None, &mut out).unwrap();
            out
        };
        let stream = Loopback { sent: Vec::new(), received: io::Cursor::default(), answer };
        match tungstenite::client(request, stream) {
            Ok((_, response)) => Ok(response),
            Err(HandshakeError::Failure(error)) => Err(error.to_string()),
            Err(HandshakeError::Interrupted(_)) => Err(String::from("interrupted")),
        }
    }

    #[test]
    fn the_client_of_tungstenite_is_content_with_the_answer() {
        let response = connect("", None).unwrap();
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers().len(), 3, "no extension, no subprotocol: {response:?}");
        let response = connect("chat, mqtt", Some("mqtt")).unwrap();
        assert_eq!(response.headers().get(header::SEC_WEBSOCKET_PROTOCOL).unwrap(), "mqtt");
    }

    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const ASKS: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";

    fn judge(head: &str) -> Result<Accept, Cause> {
        let mut slots = HeaderSlots::new();
        check(&Request::parse(head.as_bytes(), &mut slots).unwrap())
    }

    /// Whether tungstenite's own server takes this handshake.
    fn tungstenite_takes(head: &str) -> bool {
        struct Peer(io::Cursor<Vec<u8>>);
        impl Read for Peer {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.read(buffer)
            }
        }
        impl Write for Peer {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        tungstenite::accept(Peer(io::Cursor::new(head.as_bytes().to_vec()))).is_ok()
    }

    #[test]
    fn a_handshake_is_judged_as_tungstenite_judges_it() {
        let get = "GET / HTTP/1.1\r\nHost: a\r\n";
        // The head, what comes of it, and whether tungstenite's server sees it the same way.
        let table = [
            (format!("{get}{ASKS}{VERSION}{KEY}\r\n"), None, true),
            (
                format!("{get}connection: keep-alive, UPGRADE\r\nupgrade: WebSocket\r\n{VERSION}{KEY}\r\n"),
                None,
                true,
            ),
            (format!("{get}{ASKS}{VERSION}{KEY}Content-Length: 0\r\n\r\n"), None, true),
            (format!("{get}\r\n"), Some(UpgradeRequired), true),
            (format!("{get}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), Some(UpgradeRequired), true),
            (format!("{get}Connection: Upgrade\r\n{VERSION}{KEY}\r\n"), Some(UpgradeRequired), true),
            (format!("{get}Upgrade: websocket\r\n{VERSION}{KEY}\r\n"), Some(BadHandshake), true),
            (
                format!("{get}Connection: close\r\nUpgrade: websocket\r\n{VERSION}{KEY}\r\n"),
                Some(BadHandshake),
                true,
            ),
            (format!("{get}{ASKS}{KEY}\r\n"), Some(UpgradeRequired), true),
            (format!("{get}{ASKS}Sec-WebSocket-Version: 8\r\n{KEY}\r\n"), Some(UpgradeRequired), true),
            (format!("{get}{ASKS}Sec-WebSocket-Version: 13, 8\r\n{KEY}\r\n"), Some(UpgradeRequired), true),
            (format!("{get}{ASKS}{VERSION}\r\n"), Some(BadHandshake), true),
            (format!("{get}{ASKS}{VERSION}Sec-WebSocket-Key:\r\n\r\n"), Some(BadHandshake), true),
            (format!("{get}{ASKS}{VERSION}Sec-WebSocket-Key: c2hvcnQ=\r\n\r\n"), Some(BadHandshake), true),
            (
                format!("{get}{ASKS}{VERSION}Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==\r\n\r\n"),
                Some(BadHandshake),
                true,
            ),
            (format!("POST / HTTP/1.1\r\nHost: a\r\n{ASKS}{VERSION}{KEY}\r\n"), Some(MethodNotAllowed), true),
            (format!("GET / HTTP/1.0\r\nHost: a\r\n{ASKS}{VERSION}{KEY}\r\n"), Some(BadHandshake), true),
            // Where tungstenite looks at the first line of a field only, and at no body.
            (
                format!(
                    "{get}Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: x, websocket\r\n{VERSION}{KEY}\r\n"
                ),
                None,
                false,
            ),
            (format!("{get}{ASKS}{VERSION}{KEY}{KEY}\r\n"), Some(BadHandshake), false),
            (format!("{get}{ASKS}{VERSION}{VERSION}{KEY}\r\n"), Some(BadHandshake), false),
            (format!("{get}{ASKS}{VERSION}{KEY}Content-Length: 2\r\n\r\n"), Some(BadHandshake), false),
            (
                format!("{get}{ASKS}{VERSION}{KEY}Transfer-Encoding: chunked\r\n\r\n"),
                Some(BadHandshake),
                false,
            ),
        ];
        for (head, refused, agreed) in &table {
            let judged = judge(head);
            assert_eq!(judged.as_ref().err(), refused.as_ref(), "{head}");
            assert_eq!(judged.is_ok() == tungstenite_takes(head), *agreed, "{head}");
        }
    }

    #[test]
    fn only_what_was_offered_can_be_chosen() {
        let protocols = "Sec-WebSocket-Protocol: chat, b\u{e4}d\r\nSec-WebSocket-Protocol: mqtt\r\n";
        let accept =
            judge(&format!("GET / HTTP/1.1\r\nHost: a\r\n{ASKS}{VERSION}{KEY}{protocols}\r\n")).unwrap();
        for chosen in ["Chat", "chat, mqtt", "b\u{e4}d", "", "soap"] {
            let mut out = Vec::new();
            assert_eq!(
                (accept.encode(Some(chosen), None, &mut out), out.len()),
                (Err(NotOffered), 0),
                "{chosen}"
            );
        }
        let mut out = b"before".to_vec();
        accept.encode(Some("mqtt"), None, &mut out).unwrap();
        let expected = "beforeHTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn another_servers_request_is_judged_as_ours_is() {
        for (head, judged) in [
            (format!("{ASKS}{VERSION}{KEY}"), None),
            (
                format!(
                    "Connection: keep-alive\r\nConnection: x,upgrade\r\nUpgrade: h2c, WebSocket\r\n{VERSION}{KEY}"
                ),
                None,
            ),
            (format!("{VERSION}{KEY}"), Some(Cause::UpgradeRequired)),
            (format!("{ASKS}{KEY}"), Some(Cause::UpgradeRequired)),
            (format!("{ASKS}{VERSION}"), Some(Cause::BadHandshake)),
            (format!("Upgrade: websocket\r\n{VERSION}{KEY}"), Some(Cause::BadHandshake)),
            (format!("{ASKS}{VERSION}{KEY}{KEY}"), Some(Cause::BadHandshake)),
        ] {
            let mut headers = http::HeaderMap::new();
            for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
                let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
                headers.append(name, http::HeaderValue::from_str(value).unwrap());
            }
            let answer = answer(&headers);
            assert_eq!(answer.as_ref().err(), judged.as_ref(), "{head}");
            assert_eq!(judge(&format!("GET / HTTP/1.1\r\nHost: a\r\n{head}\r\n")).err(), judged, "{head}");
            if let Ok(answer) = answer {
                assert_eq!(answer.len(), 3);
                assert_eq!(answer[header::UPGRADE], "websocket");
            }
        }
    }
}

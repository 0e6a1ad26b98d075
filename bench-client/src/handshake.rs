//! The opening handshake from the client's side (RFC 6455 §4.1): the request, and whether the answer is right.
//!
//! Sans-I/O. tungstenite makes the key and knows what must come back for it.

use throng::proto::engineio::SEPARATOR;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use crate::target::Target;

/// The most bytes a response head may take.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// The most header fields a response may have.
const FIELDS_MAX: usize = 64;

/// What every handshake of a run sends, but for the key and the session.
#[derive(Debug)]
pub(crate) struct Handshake {
    path: String,
    /// From the path to the key.
    before_key: Vec<u8>,
    after_key: Vec<u8>,
    subprotocol: Option<String>,
    /// A whole request for an Engine.IO session by polling, where the run begins with one and upgrades it.
    poll: Option<Vec<u8>>,
}

impl Handshake {
    /// A handshake for `target` with the header lines the flags ask for.
    pub(crate) fn new(
        target: &Target,
        subprotocol: Option<&str>,
        origin: Option<&str>,
        headers: &[(String, String)],
    ) -> Self {
        let mut after_key = b"\r\n".to_vec();
        let mut line =
            |name: &str, value: &str| after_key.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        if let Some(subprotocol) = subprotocol {
            line("Sec-WebSocket-Protocol", subprotocol);
        }
        if let Some(origin) = origin {
            line("Origin", origin);
        }
        for (name, value) in headers {
            line(name, value);
        }
        after_key.extend_from_slice(b"\r\n");
        let before_key = format!(
            " HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: ",
            target.host
        );
        Self {
            path: target.path.clone(),
            before_key: before_key.into_bytes(),
            after_key,
            subprotocol: subprotocol.map(str::to_owned),
            poll: None,
        }
    }

    /// The same, but an Engine.IO session is opened by polling first, on the same connection.
    pub(crate) fn upgrading(mut self, target: &Target) -> Self {
        let path = self.path.replace("transport=websocket", "transport=polling");
        let mut poll = format!("GET {path} HTTP/1.1\r\nHost: {}", target.host).into_bytes();
        poll.extend_from_slice(&self.after_key);
        self.poll = Some(poll);
        self
    }

    /// The request that opens a session, where one is to be opened before the upgrade.
    pub(crate) fn poll(&self) -> Option<&[u8]> {
        self.poll.as_deref()
    }

    /// Appends a request with a fresh key, to upgrade the session `sid` if there is one, and returns the key.
    pub(crate) fn append_request(&self, out: &mut Vec<u8>, sid: Option<&str>) -> String {
        let key = generate_key();
        out.extend_from_slice(b"GET ");
        out.extend_from_slice(self.path.as_bytes());
        if let Some(sid) = sid {
            out.extend_from_slice(b"&sid=");
            out.extend_from_slice(sid.as_bytes());
        }
        out.extend_from_slice(&self.before_key);
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(&self.after_key);
        key
    }

    /// Reads the response to [`poll`](Self::poll): the session's id, `Ok(None)` while it is incomplete.
    ///
    /// # Errors
    /// Why there is no session, in words that continue "the server …".
    pub(crate) fn session(bytes: &[u8]) -> Result<Option<String>, String> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        let head = match response.parse(bytes) {
            Ok(httparse::Status::Complete(head)) => head,
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(None),
            Ok(httparse::Status::Partial) => return Err("sent a response head above 16 KiB".into()),
            Err(_) => return Err("does not speak HTTP".into()),
        };
        let status = response.code.unwrap_or_default();
        let length = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case("Content-Length"));
        let length = length.and_then(|field| std::str::from_utf8(field.value).ok()?.trim().parse().ok());
        let Some(length @ ..=HEAD_BYTES_MAX) = length else {
            return Err(format!("answered polling with {status} and without a length up to 16 KiB"));
        };
        let Some(body) = bytes[head..].get(..length) else { return Ok(None) };
        let body = String::from_utf8_lossy(body);
        if status != 200 {
            return Err(format!("refused polling: {status} {body}").trim_end().into());
        }
        // Some servers send more packets behind the open packet.
        let open = body.split(char::from(SEPARATOR)).next().and_then(|packet| packet.strip_prefix('0'));
        let open = open.and_then(|json| serde_json::from_str::<serde_json::Value>(json).ok());
        let sid = open.as_ref().and_then(|open| open.get("sid")?.as_str());
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'&' && byte != b'#';
        match sid.filter(|sid| sid.bytes().all(is_plain)) {
            Some(sid) => Ok(Some(sid.to_owned())),
            None => Err("does not speak Engine.IO 4: its answer to polling is no open packet".into()),
        }
    }

    /// Reads the response to the request that was sent with `key`: how many bytes the head took, `Ok(None)` while it
    /// is incomplete.
    ///
    /// # Errors
    /// Why this is no WebSocket connection, in words that continue "the server …".
    pub(crate) fn response(&self, bytes: &[u8], key: &str) -> Result<Option<usize>, String> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        let head = match response.parse(bytes) {
            Ok(httparse::Status::Complete(head)) => head,
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(None),
            Ok(httparse::Status::Partial) => return Err("sent a response head above 16 KiB".into()),
            Err(_) => return Err("does not speak HTTP, so no WebSocket either".into()),
        };
        let status = response.code.unwrap_or_default();
        if status != 101 {
            return Err(format!(
                "refused the WebSocket handshake: {status} {}",
                response.reason.unwrap_or_default()
            )
            .trim_end()
            .into());
        }
        let field = |name: &str| {
            response
                .headers
                .iter()
                .find(|field| field.name.eq_ignore_ascii_case(name))
                .map(|field| field.value.trim_ascii())
        };
        let has_token = |name: &str, token: &str| {
            field(name).is_some_and(|value| {
                value
                    .split(|&byte| byte == b',')
                    .any(|word| word.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
            })
        };
        if !has_token("Upgrade", "websocket") || !has_token("Connection", "upgrade") {
            return Err("answered 101 but does not upgrade to WebSocket".into());
        }
        if field("Sec-WebSocket-Accept") != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
            return Err("answered with a wrong Sec-WebSocket-Accept".into());
        }
        if field("Sec-WebSocket-Extensions").is_some_and(|value| !value.is_empty()) {
            return Err("agreed to an extension that was not offered".into());
        }
        // §4.1: a subprotocol that was not asked for fails the connection; none at all does not.
        if let Some(chosen) = field("Sec-WebSocket-Protocol") {
            let offered = self.subprotocol.as_deref().unwrap_or_default();
            if !offered.split(',').any(|word| word.trim().as_bytes() == chosen) {
                return Err("chose a subprotocol that was not offered".into());
            }
        }
        Ok(Some(head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake() -> (Handshake, String) {
        let target = Target::resolve("ws://127.0.0.1:1/x?y").unwrap();
        let handshake =
            Handshake::new(&target, Some("a, b"), Some("http://o"), &[("X-Y".into(), "z".into())]);
        let mut request = Vec::new();
        let key = handshake.append_request(&mut request, None);
        let text = String::from_utf8(request).unwrap();
        assert!(
            text.starts_with("GET /x?y HTTP/1.1\r\nHost: 127.0.0.1:1\r\n")
                && text.ends_with("X-Y: z\r\n\r\n"),
            "{text}"
        );
        assert!(
            text.contains(&format!("Sec-WebSocket-Key: {key}\r\n")) && text.contains("Origin: http://o\r\n"),
            "{text}"
        );
        (handshake, key)
    }

    fn answer(key: &str, extra: &str) -> String {
        let accept = derive_accept_key(key.as_bytes());
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n{extra}\r\n"
        )
    }

    #[test]
    fn a_right_answer_is_accepted_at_its_last_byte_and_not_before() {
        let (handshake, key) = handshake();
        let answer = answer(&key, "Sec-WebSocket-Protocol: b\r\n");
        for cut in 0..answer.len() {
            assert_eq!(handshake.response(&answer.as_bytes()[..cut], &key), Ok(None), "{cut}");
        }
        let with_frame = format!("{answer}\u{1}");
        assert_eq!(handshake.response(with_frame.as_bytes(), &key), Ok(Some(answer.len())));
    }

    #[test]
    fn a_wrong_answer_says_what_is_wrong() {
        let (handshake, key) = handshake();
        for (answer, word) in [
            (answer("another key", ""), "Accept"),
            (answer(&key, "Sec-WebSocket-Protocol: c\r\n"), "subprotocol"),
            (answer(&key, "Sec-WebSocket-Extensions: permessage-deflate\r\n"), "extension"),
            (answer(&key, "").replace("WebSocket\r\n", "h2c\r\n"), "does not upgrade"),
            ("HTTP/1.1 404 Not Found\r\n\r\n".into(), "404 Not Found"),
            ("SSH-2.0-OpenSSH_9.2\r\n".into(), "HTTP"),
            (format!("HTTP/1.1 101 X\r\nA: {}", "x".repeat(HEAD_BYTES_MAX)), "16 KiB"),
        ] {
            let said = handshake.response(answer.as_bytes(), &key).unwrap_err();
            assert!(said.contains(word), "{said}");
        }
    }

    #[test]
    fn a_session_is_opened_by_polling_and_named_in_the_upgrade() {
        let target = Target::resolve("ws://127.0.0.1:1/").unwrap().into_engine_io();
        let handshake = Handshake::new(&target, None, None, &[]).upgrading(&target);
        let poll = std::str::from_utf8(handshake.poll().unwrap()).unwrap();
        assert_eq!(poll, "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n");
        let body = "0{\"sid\":\"a_b-c\"}\u{1e}40";
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        for cut in 0..answer.len() {
            assert_eq!(Handshake::session(&answer.as_bytes()[..cut]), Ok(None), "{cut}");
        }
        let sid = Handshake::session(answer.as_bytes()).unwrap().unwrap();
        let mut request = Vec::new();
        handshake.append_request(&mut request, Some(&sid));
        assert!(request.starts_with(b"GET /socket.io/?EIO=4&transport=websocket&sid=a_b-c HTTP/1.1\r\nHost"));
        for (answer, word) in [
            ("HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\n{}", "refused polling: 400 {}"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "Engine.IO 4"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n0{\"sid\":\"a b\"}", "Engine.IO 4"),
            ("HTTP/1.1 200 OK\r\n\r\n", "without a length"),
            ("SSH-2.0\r\n", "HTTP"),
        ] {
            assert!(Handshake::session(answer.as_bytes()).is_err_and(|said| said.contains(word)), "{word}");
        }
    }
}

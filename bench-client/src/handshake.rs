//! The opening handshake from the client's side (RFC 6455 §4.1): the request, and whether the answer is right.
//!
//! Sans-I/O. tungstenite makes the key and knows what must come back for it.

use std::borrow::Cow;

use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use crate::answer::{self, FIELDS_MAX};
use crate::deflating;
use crate::session::Requests;
use crate::target::Target;

/// What a handshake sends, but for the key and the session.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    path: String,
    /// From the path to the key.
    before_key: Vec<u8>,
    after_key: Vec<u8>,
    subprotocol: Option<String>,
    /// Compression is offered.
    pub(crate) deflates: bool,
    /// The requests of Engine.IO's polling, where sessions begin with it.
    requests: Option<Requests>,
    /// Whether they stay with it.
    pub(crate) is_polling: bool,
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
            deflates: false,
            requests: None,
            is_polling: false,
        }
    }

    /// The same, but an Engine.IO session is opened by polling first: to be upgraded on the same connection, or to stay so.
    pub(crate) fn by_polling(mut self, target: &Target, is_polling: bool) -> Self {
        let path = self.path.replace("transport=websocket", "transport=polling");
        let fields = String::from_utf8_lossy(&self.after_key);
        // Between the end of the key's line and the end of the head.
        let fields = fields.strip_prefix("\r\n").and_then(|fields| fields.strip_suffix("\r\n"));
        self.requests = Some(Requests::new(path, &target.host, fields.unwrap_or_default()));
        self.is_polling = is_polling;
        self
    }

    /// What opens a session by polling, and goes on with it, where sessions begin so.
    pub(crate) fn requests(&self) -> Option<&Requests> {
        self.requests.as_ref()
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
        if self.deflates {
            out.extend_from_slice(deflating::OFFER);
        }
        out.extend_from_slice(&self.after_key);
        key
    }

    /// Reads the response to the request that was sent with `key`: how many bytes the head took, `Ok(None)` while it
    /// is incomplete.
    ///
    /// # Errors
    /// Why this is no WebSocket connection, in words that continue "the server …".
    pub(crate) fn response(&self, bytes: &[u8], key: &str) -> Result<Option<usize>, String> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        let Some(head) = answer::head(&mut response, bytes)? else { return Ok(None) };
        let fields = |name: &'static str| {
            let is_named = move |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case(name);
            response.headers.iter().filter(is_named).map(|field| field.value)
        };
        let field = |name| fields(name).next().map(<[u8]>::trim_ascii);
        let status = response.code.unwrap_or_default();
        if status != 101 {
            let reason = response.reason.unwrap_or_default();
            let said = format!("{status} {reason}");
            let advice = advice(status, field("Location"));
            return Err(format!("refused the WebSocket handshake: {}{advice}", said.trim_end()));
        }
        let has_token = |name, token: &str| {
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
        deflating::check(self.deflates, fields("Sec-WebSocket-Extensions"))?;
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

/// What is likely wanted of who got this status instead of a WebSocket.
fn advice(status: u16, location: Option<&[u8]>) -> Cow<'static, str> {
    match (status, location) {
        (200..=299, _) => "; it answers, but not by WebSocket: is this path one's?".into(),
        (300..=399, Some(location)) => {
            let location = String::from_utf8_lossy(location);
            format!("; it is at {location}: name that, as ws:// or wss://").into()
        }
        (401 | 403, _) => {
            "; it wants to know who connects: --header, --cookie, --origin or the URL's query".into()
        }
        (404, _) => "; is the URL's path right?".into(),
        (400 | 426, _) => "; is the URL's path a WebSocket's, and --subprotocol one that it knows?".into(),
        _ => "".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::HEAD_BYTES_MAX;
    use crate::spoken::Transport;

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
            ("HTTP/1.1 404 Not Found\r\n\r\n".into(), "404 Not Found; is the URL's path right?"),
            ("HTTP/1.1 200 OK\r\n\r\n".into(), "200 OK; it answers, but not by WebSocket"),
            ("HTTP/1.1 308 X\r\nLocation: https://h/y\r\n\r\n".into(), "308 X; it is at https://h/y"),
            ("HTTP/1.1 401 Unauthorized\r\n\r\n".into(), "--header, --cookie"),
            ("SSH-2.0-OpenSSH_9.2\r\n".into(), "HTTP"),
            (format!("HTTP/1.1 101 X\r\nA: {}", "x".repeat(HEAD_BYTES_MAX)), "16 KiB"),
        ] {
            let said = handshake.response(answer.as_bytes(), &key).unwrap_err();
            assert!(said.contains(word), "{said}");
        }
    }

    #[test]
    fn a_session_is_opened_by_polling_and_named_in_the_upgrade() {
        let target = Target::resolve("ws://127.0.0.1:1/").unwrap().into_engine_io(Transport::Upgrade);
        for fields in [&[][..], &[("X-Y".to_owned(), "z".to_owned())]] {
            let handshake = Handshake::new(&target, None, None, fields).by_polling(&target, false);
            let open = String::from_utf8(handshake.requests().unwrap().open()).unwrap();
            let field = if fields.is_empty() { "" } else { "X-Y: z\r\n" };
            let head = format!(
                "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: 127.0.0.1:1\r\n{field}\r\n"
            );
            assert_eq!(open, head);
            let mut request = Vec::new();
            handshake.append_request(&mut request, Some("a_b-c"));
            assert!(
                request.starts_with(b"GET /socket.io/?EIO=4&transport=websocket&sid=a_b-c HTTP/1.1\r\nHost")
            );
        }
    }
}

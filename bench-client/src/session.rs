//! An Engine.IO session by polling: the requests that open it, poll it and post to it, and what opens it.
//!
//! Sans-I/O. `connector` and `probe` open sessions, to upgrade them or to stay with polling; `polling` goes on with them.

use serde_json::Value;
use throng::proto::engineio::SEPARATOR;

use crate::answer;

/// What every request has, but for the session.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    /// Path and query.
    path: String,
    /// From the version to the last header field, the end of its line included.
    rest: String,
}

/// An open session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Session {
    pub(crate) sid: Box<str>,
    /// Bytes of one POST at most.
    pub(crate) payload_bytes_max: usize,
}

/// What a server takes that does not say it: the official one's `maxHttpBufferSize`.
const PAYLOAD_BYTES_MAX: usize = 1_000_000;

impl Requests {
    /// Requests to `path` of `host`, with these further header fields, each a line.
    pub(crate) fn new(path: String, host: &str, fields: &str) -> Self {
        Self { path, rest: format!(" HTTP/1.1\r\nHost: {host}\r\n{fields}") }
    }

    /// Opens a session.
    pub(crate) fn open(&self) -> Vec<u8> {
        format!("GET {}{}\r\n", self.path, self.rest).into_bytes()
    }

    /// Asks for the session's packets.
    pub(crate) fn poll(&self, session: &Session) -> Vec<u8> {
        format!("GET {}&sid={}{}\r\n", self.path, session.sid, self.rest).into_bytes()
    }

    /// Posts packets.
    pub(crate) fn post(&self, session: &Session, payload: &[u8]) -> Vec<u8> {
        let Self { path, rest } = self;
        let mut request =
            Vec::with_capacity(path.len() + session.sid.len() + rest.len() + 96 + payload.len());
        for part in [
            "POST ",
            path,
            "&sid=",
            &session.sid,
            rest,
            "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: ",
            &payload.len().to_string(),
            "\r\n\r\n",
        ] {
            request.extend_from_slice(part.as_bytes());
        }
        request.extend_from_slice(payload);
        request
    }
}

impl Session {
    /// Reads the response to [`Requests::open`]; `Ok(None)` while it is incomplete.
    ///
    /// # Errors
    /// Why there is no session, in words that continue "the server …".
    pub(crate) fn opened(bytes: &[u8]) -> Result<Option<Self>, String> {
        let Some(answer) = answer::read(bytes)? else { return Ok(None) };
        let body = String::from_utf8_lossy(&answer.body);
        if answer.status != 200 {
            return Err(format!("refused polling: {} {body}", answer.status).trim_end().into());
        }
        // Some servers send more packets behind the open packet.
        let open = body.split(char::from(SEPARATOR)).next().and_then(|packet| packet.strip_prefix('0'));
        let open = open.and_then(|json| serde_json::from_str::<Value>(json).ok());
        let sid = open.as_ref().and_then(|open| open.get("sid")?.as_str());
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'&' && byte != b'#';
        let Some(sid) = sid.filter(|sid| sid.bytes().all(is_plain)) else {
            return Err("does not speak Engine.IO 4: its answer to polling is no open packet".into());
        };
        let most = open.as_ref().and_then(|open| open.get("maxPayload")?.as_u64());
        let payload_bytes_max = most.map_or(PAYLOAD_BYTES_MAX, |most| most as usize);
        Ok(Some(Self { sid: sid.into(), payload_bytes_max }))
    }
}

/// The first of `queued` packets, as many as fit into `bytes_max`: how many bytes. One alone may be larger.
pub(crate) fn first_packets(queued: &[u8], bytes_max: usize) -> usize {
    if queued.len() <= bytes_max {
        return queued.len();
    }
    let is_separator = |&byte: &u8| byte == SEPARATOR;
    let fitting = queued[..=bytes_max].iter().rposition(is_separator);
    fitting.or_else(|| queued.iter().position(is_separator)).unwrap_or(queued.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_opened_polled_and_posted_to() {
        let requests = Requests::new("/e/?EIO=4&transport=polling".into(), "h:1", "X: y\r\n");
        let head = " HTTP/1.1\r\nHost: h:1\r\nX: y\r\n";
        assert_eq!(requests.open(), format!("GET /e/?EIO=4&transport=polling{head}\r\n").into_bytes());
        let body = "0{\"sid\":\"a_b-c\",\"maxPayload\":77}\u{1e}40";
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        for cut in 0..answer.len() {
            assert_eq!(Session::opened(&answer.as_bytes()[..cut]), Ok(None), "{cut}");
        }
        let session = Session::opened(answer.as_bytes()).unwrap().unwrap();
        assert_eq!((&*session.sid, session.payload_bytes_max), ("a_b-c", 77));
        let path = "/e/?EIO=4&transport=polling&sid=a_b-c";
        assert_eq!(requests.poll(&session), format!("GET {path}{head}\r\n").into_bytes());
        let fields = "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: 3\r\n\r\n40,";
        assert_eq!(requests.post(&session, b"40,"), format!("POST {path}{head}{fields}").into_bytes());
    }

    #[test]
    fn what_opens_no_session_says_what_is_wrong() {
        for (answer, word) in [
            ("HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\n{}", "refused polling: 400 {}"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "Engine.IO 4"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n0{\"sid\":\"a b\"}", "Engine.IO 4"),
            ("HTTP/1.1 200 OK\r\n\r\n", "without a length"),
            ("SSH-2.0\r\n", "HTTP"),
        ] {
            assert!(Session::opened(answer.as_bytes()).is_err_and(|said| said.contains(word)), "{word}");
        }
    }

    #[test]
    fn packets_are_posted_whole_and_as_many_as_fit() {
        let queued = b"42a\x1e42bb\x1e42ccc";
        for (bytes_max, first) in [(1, 3), (3, 3), (7, 3), (8, 8), (13, 8), (14, 14), (99, 14)] {
            assert_eq!(first_packets(queued, bytes_max), first, "{bytes_max}");
        }
        assert_eq!(first_packets(b"42large", 3), 7, "the server is to say what it thinks of it");
    }
}

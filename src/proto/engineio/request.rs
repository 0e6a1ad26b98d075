//! What an HTTP request asks of Engine.IO, judged from its method and query alone, and the answer to a wrong one.
//!
//! Checks stand in the order of the official server's, so that a request with two faults hears of the same one. What
//! needs the sessions (is the sid known, is it of this transport, may it upgrade) is asked afterwards, by whoever has them.

use std::fmt;

/// How packets travel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    /// HTTP long-polling.
    Polling,
    /// WebSocket.
    WebSocket,
}

impl Transport {
    /// Its name in queries and in the open packet.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }
}

/// Which transports a server serves. Both by default.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Transports {
    /// Whether HTTP long-polling is.
    pub polling: bool,
    /// Whether WebSocket is.
    pub websocket: bool,
}

impl Default for Transports {
    fn default() -> Self {
        Self { polling: true, websocket: true }
    }
}

/// What a request asks for. A `sid` is whatever the client sent as one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asks<'a> {
    /// A new session on this transport.
    Open {
        /// Polling, or WebSocket where the request asks for a WebSocket handshake.
        transport: Transport,
    },
    /// What a session has for its client: a GET.
    Poll {
        /// The session.
        sid: &'a str,
    },
    /// To take the packets in the body: a POST.
    Post {
        /// The session.
        sid: &'a str,
    },
    /// A WebSocket for a session that polls: the first half of an upgrade.
    Upgrade {
        /// The session.
        sid: &'a str,
    },
}

impl<'a> Asks<'a> {
    /// Judges a request. `asks_upgrade` says whether it is a WebSocket handshake.
    ///
    /// Of a parameter that stands twice the last one counts. Values are compared as they were sent: no client encodes
    /// what these parameters may hold. `t` and `b64` are ignored, since protocol 4 has no use for either.
    ///
    /// # Errors
    /// What the official server would answer, see [`RequestError`]. `j` (JSONP, which no client of protocol 4 has) is a
    /// bad request, as is any method but GET and POST.
    pub fn parse(
        method: &str,
        query: Option<&'a str>,
        asks_upgrade: bool,
        serves: Transports,
    ) -> Result<Self, RequestError> {
        let query = Query::read(query.unwrap_or_default());
        let transport = match query.transport {
            "polling" if serves.polling => Transport::Polling,
            "websocket" if serves.websocket => Transport::WebSocket,
            _ => return Err(RequestError::UnknownTransport),
        };
        let sid = query.sid;
        if sid.is_empty() {
            return match (method, transport, asks_upgrade) {
                ("GET", Transport::WebSocket, false) | ("GET", Transport::Polling, true) => {
                    Err(RequestError::BadRequest)
                }
                ("GET", ..) if query.eio != "4" => Err(RequestError::UnsupportedProtocol),
                ("GET", ..) if query.jsonp => Err(RequestError::BadRequest),
                ("GET", ..) => Ok(Self::Open { transport }),
                _ => Err(RequestError::BadHandshakeMethod),
            };
        }
        match (method, transport, asks_upgrade) {
            ("GET", Transport::WebSocket, true) => Ok(Self::Upgrade { sid }),
            ("GET", Transport::Polling, false) if !query.jsonp => Ok(Self::Poll { sid }),
            ("POST", Transport::Polling, false) if !query.jsonp => Ok(Self::Post { sid }),
            _ => Err(RequestError::BadRequest),
        }
    }
}

/// The parameters of a query that Engine.IO knows; empty where there is none.
#[derive(Default)]
struct Query<'a> {
    eio: &'a str,
    transport: &'a str,
    sid: &'a str,
    jsonp: bool,
}

impl<'a> Query<'a> {
    fn read(query: &'a str) -> Self {
        let mut read = Self::default();
        for parameter in query.split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                "EIO" => read.eio = value,
                "transport" => read.transport = value,
                "sid" => read.sid = value,
                "j" => read.jsonp = true,
                _ => {}
            }
        }
        read
    }
}

/// Why a request is refused. The discriminant is the protocol's code, but for the last two's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum RequestError {
    /// No `transport`, or one that is not served.
    UnknownTransport = 0,
    /// No session has this `sid`, or it has ended.
    UnknownSession,
    /// A handshake that is no GET.
    BadHandshakeMethod,
    /// The request does not fit its transport or its session.
    BadRequest,
    /// The application refused.
    Forbidden,
    /// A handshake whose `EIO` is not 4.
    UnsupportedProtocol,
    /// There is no room for another session. To the protocol it is a word of the application's, as [`Self::Forbidden`] is.
    Full,
    /// Its address has as many sessions as it may have; in the protocol as [`Self::Full`] is.
    AddressFull,
}

impl RequestError {
    /// The code, as it stands in the body.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Full | Self::AddressFull => Self::Forbidden as u8,
            other => other as u8,
        }
    }

    /// The message, as it stands in the body.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::UnknownTransport => "Transport unknown",
            Self::UnknownSession => "Session ID unknown",
            Self::BadHandshakeMethod => "Bad handshake method",
            Self::BadRequest => "Bad request",
            Self::Forbidden => "Forbidden",
            Self::UnsupportedProtocol => "Unsupported protocol version",
            Self::Full => "the server is full",
            Self::AddressFull => "too many sessions from this address",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Forbidden => 403,
            Self::Full | Self::AddressFull => 503,
            _ => 400,
        }
    }

    /// The body: JSON, to be sent as `application/json`.
    #[must_use]
    pub const fn body(self) -> &'static str {
        match self {
            Self::UnknownTransport => r#"{"code":0,"message":"Transport unknown"}"#,
            Self::UnknownSession => r#"{"code":1,"message":"Session ID unknown"}"#,
            Self::BadHandshakeMethod => r#"{"code":2,"message":"Bad handshake method"}"#,
            Self::BadRequest => r#"{"code":3,"message":"Bad request"}"#,
            Self::Forbidden => r#"{"code":4,"message":"Forbidden"}"#,
            Self::UnsupportedProtocol => r#"{"code":5,"message":"Unsupported protocol version"}"#,
            Self::Full => r#"{"code":4,"message":"the server is full"}"#,
            Self::AddressFull => r#"{"code":4,"message":"too many sessions from this address"}"#,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for RequestError {}

#[cfg(test)]
mod tests {
    use super::*;
    use RequestError::{BadHandshakeMethod, BadRequest, UnknownTransport, UnsupportedProtocol};

    fn asks<'a>(method: &str, query: &'a str, asks_upgrade: bool) -> Result<Asks<'a>, RequestError> {
        Asks::parse(method, Some(query), asks_upgrade, Transports::default())
    }

    #[test]
    fn what_a_right_request_asks_for() {
        let (polling, websocket) = (Transport::Polling, Transport::WebSocket);
        for (method, query, asks_upgrade, expected) in [
            ("GET", "EIO=4&transport=polling", false, Asks::Open { transport: polling }),
            ("GET", "EIO=4&transport=polling&t=N8hyd6w&b64=1", false, Asks::Open { transport: polling }),
            ("GET", "transport=polling&sid=&EIO=4", false, Asks::Open { transport: polling }),
            ("GET", "EIO=3&EIO=4&transport=polling", false, Asks::Open { transport: polling }),
            ("GET", "EIO=4&transport=websocket", true, Asks::Open { transport: websocket }),
            ("GET", "EIO=4&transport=polling&sid=abc", false, Asks::Poll { sid: "abc" }),
            ("GET", "transport=polling&sid=abc", false, Asks::Poll { sid: "abc" }),
            ("POST", "EIO=4&transport=polling&sid=abc&t=1", false, Asks::Post { sid: "abc" }),
            ("GET", "EIO=4&transport=websocket&sid=abc", true, Asks::Upgrade { sid: "abc" }),
        ] {
            assert_eq!(asks(method, query, asks_upgrade), Ok(expected), "{method} {query}");
        }
    }

    #[test]
    fn a_wrong_one_hears_of_the_fault_that_comes_first() {
        for (method, query, asks_upgrade, expected) in [
            ("GET", "", false, UnknownTransport),
            ("GET", "EIO=4", false, UnknownTransport),
            ("GET", "EIO=4&transport=abc", false, UnknownTransport),
            ("GET", "EIO=4&transport=webtransport", true, UnknownTransport),
            ("GET", "EIO=4&transport=Polling", false, UnknownTransport),
            ("POST", "EIO=3&transport=abc&sid=x", false, UnknownTransport),
            ("POST", "EIO=4&transport=polling", false, BadHandshakeMethod),
            ("PUT", "EIO=3&transport=polling", false, BadHandshakeMethod),
            ("POST", "EIO=4&transport=websocket", false, BadHandshakeMethod),
            ("GET", "EIO=3&transport=websocket", false, BadRequest),
            ("GET", "EIO=4&transport=polling", true, BadRequest),
            ("GET", "transport=polling", false, UnsupportedProtocol),
            ("GET", "EIO=abc&transport=polling", false, UnsupportedProtocol),
            ("GET", "EIO=3&transport=websocket", true, UnsupportedProtocol),
            ("GET", "EIO=&transport=websocket", true, UnsupportedProtocol),
            ("GET", "EIO=4&transport=polling&j=0", false, BadRequest),
            ("GET", "EIO=4&transport=polling&sid=x&j=0", false, BadRequest),
            ("GET", "EIO=4&transport=websocket&sid=x", false, BadRequest),
            ("GET", "EIO=4&transport=polling&sid=x", true, BadRequest),
            ("PUT", "EIO=4&transport=polling&sid=x", false, BadRequest),
            ("POST", "EIO=4&transport=websocket&sid=x", false, BadRequest),
        ] {
            assert_eq!(asks(method, query, asks_upgrade), Err(expected), "{method} {query}");
        }
        assert_eq!(Asks::parse("GET", None, false, Transports::default()), Err(UnknownTransport));
    }

    #[test]
    fn a_transport_that_is_not_served_is_unknown() {
        let query = Some("EIO=4&transport=polling");
        let websocket = Transports { polling: false, websocket: true };
        assert_eq!(Asks::parse("GET", query, false, websocket), Err(UnknownTransport));
        let polling = Transports { polling: true, websocket: false };
        let query = Some("EIO=4&transport=websocket&sid=x");
        assert_eq!(Asks::parse("GET", query, true, polling), Err(UnknownTransport));
    }

    #[test]
    fn the_body_is_the_code_and_the_message() {
        let all = [
            UnknownTransport,
            RequestError::UnknownSession,
            BadHandshakeMethod,
            BadRequest,
            RequestError::Forbidden,
            UnsupportedProtocol,
        ];
        for (code, error) in all.into_iter().enumerate() {
            assert_eq!(usize::from(error.code()), code);
            assert_eq!(error.body(), format!("{{\"code\":{code},\"message\":\"{error}\"}}"));
            assert_eq!(error.status(), if error == RequestError::Forbidden { 403 } else { 400 });
        }
        for full in [RequestError::Full, RequestError::AddressFull] {
            let body = format!("{{\"code\":4,\"message\":\"{full}\"}}");
            assert_eq!((full.status(), full.body()), (503, &*body));
        }
    }
}

//! The one table of ends and refusals: what happened ↔ what the peer is told ↔ which counter counts it.
//!
//! Every connection that ends, and every request that is refused, ends or is refused for exactly one [`Cause`].
//! The protocols name the cause, the core looks up the answer here, sends it, and counts it. Nothing else in
//! throng decides a close code (RFC 6455 §7.4) or an HTTP status.

/// What a peer is told when its connection ends or its request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// A WebSocket close frame with this code.
    Close(u16),
    /// An HTTP response with this status, then the end of the connection.
    Status(u16),
    /// Nothing: nobody is there to hear it, or the peer has already been told.
    Silent,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The cause this row is about.
    pub cause: Cause,
    /// What the peer is told.
    pub answer: Answer,
    /// The counter's name, and the cause's name in logs.
    pub name: &'static str,
    /// One sentence for people: why it ended. Also the close frame's reason where one is sent.
    pub sentence: &'static str,
}

macro_rules! causes {
    ($($(#[$doc:meta])* $cause:ident, $answer:expr, $name:literal, $sentence:literal;)+) => {
        /// Why a connection ended or a request was refused.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Cause { $($(#[$doc])* $cause,)+ }

        /// The table itself, in the order of the enum.
        pub const TABLE: &[Row] = &[
            $(Row { cause: Cause::$cause, answer: $answer, name: $name, sentence: $sentence },)+
        ];
    };
}

use Answer::{Close, Silent, Status};

causes! {
    // Ends that are nobody's fault.
    /// The peer closed with a close frame, and was answered in kind.
    PeerClosed, Silent, "peer_closed", "closed by the peer";
    /// The peer ended TCP without a close frame (code 1006 for whoever asks).
    PeerVanished, Silent, "peer_vanished", "the peer ended the TCP connection";
    /// The connection was reset, or the kernel reported another error on it.
    PeerReset, Silent, "peer_reset", "the TCP connection was reset";
    /// An HTTP exchange is over and was not to be kept alive.
    HttpDone, Silent, "http_done", "the HTTP exchange is complete";
    /// The connection went to another shard, where it lives on.
    Moved, Silent, "moved", "moved to another shard";
    /// A handler or the handle closed it; it chose the code.
    Requested, Close(1000), "requested", "closed by the application";
    /// The server stops.
    ServerStops, Close(1001), "server_stops", "the server is stopping";

    // WebSocket: the peer broke the protocol.
    /// A frame that RFC 6455 forbids: reserved bits, unknown opcode, wrong masking, broken fragmentation.
    BadFrame, Close(1002), "bad_frame", "the frame breaks the protocol";
    /// A close frame with a code or a length that may not be sent.
    BadClose, Close(1002), "bad_close", "the close frame is malformed";
    /// What a trusted proxy sent first is no PROXY protocol head, or none that is spoken here.
    BadProxyHead, Silent, "bad_proxy_head", "the PROXY protocol head is malformed";
    /// Text that is not UTF-8.
    BadUtf8, Close(1007), "bad_utf8", "the text is not UTF-8";
    /// A compressed message whose payload is none (RFC 7692 §7.2.2).
    BadDeflate, Close(1007), "bad_deflate", "the compressed message is malformed";
    /// A message above `message_bytes_max`.
    MessageTooBig, Close(1009), "message_too_big", "the message is too big";
    /// A message in more than `fragments_max` fragments.
    TooManyFragments, Close(1008), "too_many_fragments", "the message has too many fragments";

    // WebSocket: a limit in time or space was reached.
    /// A message was not whole within `message_timeout`.
    MessageTimeout, Close(1008), "message_timeout", "the message took too long";
    /// What is incomplete on its shard came to `incomplete_bytes_max`, and it held more than its share.
    MessagesFull, Close(1008), "messages_full", "the message is incomplete, and too much is for all";
    /// Nothing was heard for `pong_timeout` after a ping.
    PongTimeout, Close(1001), "pong_timeout", "no answer to a ping";
    /// Nothing was heard for `silent_timeout`.
    SilentTimeout, Silent, "silent_timeout", "silent for too long";
    /// The outbox passed `outbox_bytes_max`.
    OutboxFull, Close(1008), "outbox_full", "reads too slowly: too much is queued";
    /// The outboxes of its shard came to `outboxes_bytes_max`, and it held more than its share.
    OutboxesFull, Close(1008), "outboxes_full", "reads too slowly: too much is queued for all";
    /// The outbox was not empty and nothing was taken from it for `stall_timeout`.
    Stalled, Close(1008), "stalled", "reads nothing: sending has stalled";
    /// A handler panicked while it worked for this connection.
    HandlerPanicked, Close(1011), "handler_panicked", "internal error";

    /// The peer broke TLS, in its handshake or behind it. It was sent TLS's own alert.
    TlsFailed, Silent, "tls_failed", "the peer broke TLS";

    // HTTP: the request is refused.
    /// A request in the clear where TLS is spoken.
    PlainHttp, Status(400), "plain_http", "this port speaks TLS: use https:// or wss://";
    /// A head that is not HTTP/1.1, or has contradictory lengths.
    BadHead, Status(400), "bad_head", "the request head is malformed";
    /// A WebSocket handshake that lacks a part or has a wrong one.
    BadHandshake, Status(400), "bad_handshake", "the WebSocket handshake is malformed";
    /// A body whose chunks are malformed.
    BadBody, Status(400), "bad_body", "the request body is malformed";
    /// The `Origin` is not one that is accepted.
    OriginRefused, Status(403), "origin_refused", "this origin is not accepted";
    /// No route has this path.
    NotFound, Status(404), "not_found", "nothing is served here";
    /// The route exists, the method is not one of its own.
    MethodNotAllowed, Status(405), "method_not_allowed", "this method is not served here";
    /// The request, head and body, did not arrive within `head_timeout`.
    HeadTimeout, Status(408), "head_timeout", "the request took too long";
    /// The body came more slowly than `body_rate_min`.
    BodyTooSlow, Status(408), "body_too_slow", "the request body comes too slowly";
    /// The body is larger than `body_bytes_max`.
    BodyTooLarge, Status(413), "body_too_large", "the request body is too large";
    /// A WebSocket version other than 13, or a plain request where only WebSocket is served.
    UpgradeRequired, Status(426), "upgrade_required", "WebSocket version 13 is spoken here";
    /// A head above `head_bytes_max` or with too many fields.
    HeadTooLarge, Status(431), "head_too_large", "the request head is too large";
    /// A file above `file_bytes_max` was asked for as a whole.
    FileTooLarge, Status(500), "file_too_large", "the file is too large to be sent in one response";
    /// A file is there and could not be read.
    FileUnreadable, Status(500), "file_unreadable", "the file could not be read";
    /// A transfer coding other than chunked.
    CodingNotSupported, Status(501), "coding_not_supported", "this transfer coding is not supported";
    /// A deferred admission or answer was dropped, or not given within `admit_timeout`.
    NotAnswered, Status(503), "not_answered", "the application did not answer in time";
    /// `max_connections` is reached, or the fd table is full.
    Full, Status(503), "full", "the server is full";
    /// `connections_per_ip_max` or `connections_per_prefix_max` is reached.
    AddressFull, Status(503), "address_full", "too many connections from this address";
    /// `handshakes_max` is reached.
    HandshakesFull, Status(503), "handshakes_full", "too many connections have not asked for anything yet";
    /// The shard's turns are longer than `turn_max`.
    Overloaded, Status(503), "overloaded", "the server is overloaded";
    /// What is incomplete on its shard came to `incomplete_bytes_max`, and it held more than its share.
    RequestsFull, Status(503), "requests_full", "too much of all requests is incomplete";
    /// The process has more memory than `memory_bytes_max`.
    MemoryFull, Status(503), "memory_full", "the server has no memory to spare";
    /// An HTTP version other than 1.0 and 1.1.
    VersionNotSupported, Status(505), "version_not_supported", "this HTTP version is not supported";
    /// The application refused; it chose the status.
    Refused, Status(403), "refused", "refused by the application";
}

impl Cause {
    /// How many causes there are: the length of a table indexed by [`Cause::index`].
    pub const COUNT: usize = TABLE.len();

    /// This cause's place in [`TABLE`] and in tables like it.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// This cause's row.
    pub const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The name under which it is counted and logged.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// One sentence for people.
    pub const fn sentence(self) -> &'static str {
        self.row().sentence
    }

    /// The WebSocket close code the peer is told, or `None` where no close frame is sent.
    pub const fn close_code(self) -> Option<u16> {
        match self.row().answer {
            Close(code) => Some(code),
            Status(_) | Silent => None,
        }
    }

    /// The HTTP status the peer is told, or `None` where no response is sent.
    pub const fn status(self) -> Option<u16> {
        match self.row().answer {
            Status(status) => Some(status),
            Close(_) | Silent => None,
        }
    }
}

/// How a WebSocket connection ended, as `on_close` is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct CloseReason {
    /// Why: the row of the table.
    pub cause: Cause,
    /// The close code: the peer's own if it sent one, else the one it was told, else 1006 (RFC 6455 §7.1.5).
    pub code: u16,
}

impl CloseReason {
    /// The reason for `cause` with the code the table gives it, 1006 where it gives none.
    pub const fn of(cause: Cause) -> Self {
        match cause.close_code() {
            Some(code) => Self { cause, code },
            None => Self { cause, code: 1006 },
        }
    }

    /// The reason for `cause` with a code that somebody chose.
    pub const fn with_code(cause: Cause, code: u16) -> Self {
        Self { cause, code }
    }
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.cause.sentence(), self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.cause.index(), index, "{}", row.name);
        }
    }

    #[test]
    fn every_row_has_its_own_counter_and_a_sentence_that_fits_a_close_frame() {
        let names: HashSet<_> = TABLE.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), TABLE.len());
        for row in TABLE {
            assert!(!row.sentence.is_empty() && row.sentence.len() <= 123, "RFC 6455 §5.5: {}", row.name);
        }
    }

    #[test]
    fn every_answer_may_be_sent() {
        for row in TABLE {
            match row.answer {
                Close(code) => assert!(matches!(code, 1000..=1003 | 1007..=1011), "{}", row.name),
                Status(status) => assert!((400..600).contains(&status), "{}", row.name),
                Silent => {}
            }
        }
    }
}

//! What settings choose between.

/// Which fd table a shard's sockets live in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum FdTables {
    /// One table for the whole process, as usual. `max_connections` is at most what it holds.
    #[default]
    Shared,
    /// A table per shard (`unshare(CLONE_FILES)`): shards × `RLIMIT_NOFILE` connections.
    ///
    /// The contract: an fd that was opened after the server started means nothing on a shard's thread, so a handler
    /// must use no file, socket or async runtime of another thread. `offload` is the way out and back.
    Own,
}

/// Which `Origin` headers a WebSocket handshake, and every request under Socket.IO's path, may carry. Clients that are no
/// browsers send none and are accepted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Origins {
    /// Every origin: any web page may connect.
    #[default]
    Any,
    /// These, compared exactly (`https://example.org`, `http://localhost:8080`, `null` only if listed).
    Only(Vec<String>),
}

/// What becomes of new connections while there may be no more: at `max_connections`, `handshakes_max`, `turn_max` and
/// `memory_bytes_max`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// Each is answered 503 with `Retry-After`.
    #[default]
    Refuse,
    /// They wait in the kernel's queue, `backlog` of them, until there is room again.
    Wait,
}

/// Which PROXY protocol head connections from `trusted_proxies` begin with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum ProxyProtocol {
    /// None: the bytes are the client's.
    #[default]
    Off,
    /// A line of text, version 1.
    V1,
    /// A binary head, version 2.
    V2,
    /// Either version.
    Any,
}

/// Which fields of a request that a trusted proxy sends name its client. Only one kind: a proxy passes on what it does not
/// write itself, and a client would choose its address by the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Forwarded {
    /// None: the client is the peer.
    #[default]
    Off,
    /// `X-Forwarded-For`, and `X-Forwarded-Proto` beside it.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Rfc7239,
}

/// Whether a text is an origin as browsers send it: scheme, host and a port that is not the scheme's own, all in lower case, and
/// no path; or `null`. Compared exactly, any other would never match.
#[must_use]
pub fn is_origin(text: &str) -> bool {
    let host = text.split_once("://").filter(|(scheme, _)| !scheme.is_empty()).map(|(_, host)| host);
    let is_host = |host: &str| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@*".contains(&byte))
    };
    text == "null" || host.is_some_and(is_host) && !text.bytes().any(|byte| byte.is_ascii_uppercase())
}

//! The settings of Socket.IO: what each means, its unit, its default and why, and what happens at a limit.

use std::path::PathBuf;
use std::time::Duration;

use crate::base::error::SetupError;
use crate::proto::engineio::Transports;
use crate::proto::socketio::Limits;

use super::bundle::Bundle;
use super::cookie::Cookie;
use super::cors::Cors;
use super::dress::HttpCompression;
use super::namespaces::DYNAMIC_MAX;
use super::parser::Parser;

/// The settings of Socket.IO, by the official server's names where it has them. Checked when the server is built.
///
/// ```
/// let mut config = throng::io::IoConfig::default();
/// config.ping_interval = std::time::Duration::from_secs(10);
/// config.check().unwrap();
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct IoConfig {
    /// The path it is served under. `/socket.io/`.
    pub path: String,
    /// Which transports are served. Polling and WebSocket.
    pub transports: Transports,
    /// Whether a polling client may move to WebSocket. Yes.
    pub allow_upgrades: bool,
    /// Between the answer to one ping and the next. 25 s.
    pub ping_interval: Duration,
    /// How long after a ping a client may stay silent. 20 s; then `ping timeout`.
    pub ping_timeout: Duration,
    /// How long an upgrade may take from its WebSocket on. 10 s; then that WebSocket is closed and polling goes on.
    pub upgrade_timeout: Duration,
    /// Sessions on all shards together. 0 (default): as many as there may be connections; beyond it one that has been in no
    /// namespace for a fifteenth of `connect_timeout` is closed for the newcomer, or that is answered 503. A session that polls outlives its connections by `ping_interval` and `ping_timeout`, so a limit of the
    /// connections alone is none of the sessions.
    pub sessions_max: usize,
    /// Sessions of one address, or of one IPv6 prefix of 64 bits, on all shards; beyond it 503. A flood of handshakes from one
    /// place fills `sessions_max` without it. 0 (default): as many as
    /// [`connections_per_ip_max`](crate::Config::connections_per_ip_max) and
    /// [`connections_per_prefix_max`](crate::Config::connections_per_prefix_max) say of connections, the former also of a
    /// prefix where the latter is 0, and `trusted_proxies` excepted; any number where both are 0.
    pub sessions_per_ip_max: usize,
    /// How long a client may be connected to no namespace. 45 s; then its session is closed.
    pub connect_timeout: Duration,
    /// Bytes of one request's body or one message (`maxHttpBufferSize`). 1,000,000; beyond it 413, or close 1009.
    pub max_payload: usize,
    /// Packets of one request's body. 4,096; beyond it the session is closed.
    pub packets_per_payload_max: u32,
    /// Bytes that may wait for a client between two of its polls, and 64 for each message's entry. 2 MiB; beyond it `slow_policy`
    /// decides, or the message's own operator: unless it drops, the session is closed. All that waits on a shard has a bound of
    /// its own, as large as `outboxes_bytes_max`.
    pub polling_bytes_max: usize,
    /// What a packet may consist of; whatever exceeds a limit closes its session (`parse error`).
    pub packet_limits: Limits,
    /// How long the attachments of a packet may take to be whole, from its text on. 60 s; then its session is closed
    /// (`parse error`).
    pub attachments_timeout: Duration,
    /// Bytes that a shard may keep of packets whose attachments are not whole, over all its sessions. 64 MiB; beyond it those
    /// sessions are closed that hold most (`parse error`).
    pub unfinished_bytes_max: usize,
    /// Namespaces a session may be connected to, or wait to be let into. 16; beyond it it is closed.
    pub namespaces_per_session_max: u16,
    /// Namespaces that patterns may have let in on one shard (`Io::of_matching`). 10,000; beyond it a client hears `Invalid
    /// namespace`, as of one that there is not.
    pub dynamic_namespaces_max: u16,
    /// Rooms a socket may be in. 1,024; beyond it `join` says so.
    pub rooms_per_socket_max: usize,
    /// Bytes of a room's name. 1,024; `join` says so of a longer one.
    pub room_bytes_max: usize,
    /// Acks that may be awaited of a socket. 4,096; beyond it the oldest is given up.
    pub acks_per_socket_max: usize,
    /// Jobs of one namespace on one shard that may be under way (`Socket::offload`). 65,536; beyond it `offload` says so.
    pub jobs_per_namespace_max: usize,
    /// Whether the request that opened a session is kept for [`Socket::handshake`](super::Socket::handshake), and lent for each
    /// of its namespaces. No: it is lent for the first, and forgotten. Kept it is the request's head, once per session, and
    /// about 300 bytes per socket beside its `auth`.
    pub keep_handshake: bool,
    /// Whether and when answers to polls are compressed. From 1,024 bytes on, for clients that take gzip.
    pub http_compression: Option<HttpCompression>,
    /// Which pages of other origins may connect. None by polling; by WebSocket those of [`Config::origins`](crate::Config).
    pub cors: Cors,
    /// The cookie in which a client that begins by polling is told its session's id: for a proxy that goes by cookies. None.
    pub cookie: Option<Cookie>,
    /// The form of packets, which clients must be told to have as well. JSON.
    pub parser: Parser,
    /// A directory with the official browser client, as npm's `socket.io-client` has it under `dist`: at least a
    /// `socket.io.js`. None: throng's own client is served, as `socket.io.js` and `socket.io.min.js`. Files are read when the
    /// server is built: `socket.io.js`, `socket.io.min.js`, `socket.io.esm.min.js`, `socket.io.msgpack.min.js` and the
    /// `.map` of each.
    pub client_dir: Option<PathBuf>,
}

impl Default for IoConfig {
    fn default() -> Self {
        Self {
            path: "/socket.io/".to_owned(),
            transports: Transports::default(),
            allow_upgrades: true,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            sessions_max: 0,
            sessions_per_ip_max: 0,
            connect_timeout: Duration::from_secs(45),
            max_payload: 1_000_000,
            packets_per_payload_max: 4096,
            polling_bytes_max: 2 << 20,
            packet_limits: Limits::default(),
            attachments_timeout: Duration::from_secs(60),
            unfinished_bytes_max: 64 << 20,
            namespaces_per_session_max: 16,
            dynamic_namespaces_max: 10_000,
            rooms_per_socket_max: 1024,
            room_bytes_max: 1024,
            acks_per_socket_max: 4096,
            jobs_per_namespace_max: 65_536,
            keep_handshake: false,
            http_compression: Some(HttpCompression::default()),
            cors: Cors::default(),
            cookie: None,
            parser: Parser::default(),
            client_dir: None,
        }
    }
}

impl IoConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first that cannot be right, with what it was and what would be right.
    pub fn check(&self) -> Result<(), SetupError> {
        let Self { path, .. } = self;
        if path.len() < 2 || !path.starts_with('/') || !path.ends_with('/') || path.contains(['?', '#', ' '])
        {
            return Err(SetupError::setting(
                "io.path",
                path,
                "a path between two slashes, as /socket.io/".to_owned(),
            ));
        }
        if !self.transports.polling && !self.transports.websocket {
            return Err(SetupError::setting(
                "io.transports",
                "none",
                "polling, WebSocket or both".to_owned(),
            ));
        }
        for (setting, value) in [
            ("io.ping_interval", self.ping_interval),
            ("io.ping_timeout", self.ping_timeout),
            ("io.upgrade_timeout", self.upgrade_timeout),
            ("io.connect_timeout", self.connect_timeout),
            ("io.attachments_timeout", self.attachments_timeout),
        ] {
            if !(Duration::from_millis(1)..=DAY).contains(&value) {
                return Err(SetupError::setting(
                    setting,
                    format!("{value:?}"),
                    "a time from 1ms to a day".to_owned(),
                ));
            }
        }
        if !(1..=1 << 30).contains(&self.max_payload) {
            return Err(SetupError::setting(
                "io.max_payload",
                self.max_payload,
                "from 1 to 1073741824 bytes".to_owned(),
            ));
        }
        if self.namespaces_per_session_max == 0 {
            return Err(SetupError::setting("io.namespaces_per_session_max", 0, "1 at least".to_owned()));
        }
        if usize::from(self.dynamic_namespaces_max) > DYNAMIC_MAX {
            let right = format!("at most {DYNAMIC_MAX}");
            return Err(SetupError::setting("io.dynamic_namespaces_max", self.dynamic_namespaces_max, right));
        }
        self.cookie.as_ref().map_or(Ok(()), Cookie::check)?;
        Bundle::check(self.client_dir.as_deref())
    }
}

const DAY: Duration = Duration::from_secs(86_400);

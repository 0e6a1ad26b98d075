//! Every setting of a server: what it means, its unit, its default and why, and what happens at a limit.

use std::time::Duration;

pub use super::choices::{FdTables, Forwarded, Origins, ProxyProtocol, WhenFull, is_origin};
use super::prefix::Prefix;
use super::slow::SlowPolicy;

/// The settings of a server. All are checked once, when it is built.
///
/// ```
/// let mut config = throng::Config::default();
/// config.message_bytes_max = 64 << 10;
/// config.check().unwrap();
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Shards, each a thread with its own loop. 0 (default): one per core this process may run on, and more only where
    /// own fd tables need more tables. At most 1,024.
    pub shards: usize,
    /// Connections in all. 0 (default): what the fd tables hold, up to 1,048,576. Beyond it a connection is answered 503.
    pub max_connections: usize,
    /// What becomes of new connections above this and the other caps on all of them. Refused (default), or left waiting.
    pub when_full: WhenFull,
    /// Connections of one address, IPv4 or IPv6. 0 (default): any number. Beyond it 503. Behind a proxy that does not say
    /// whose connection it is all of them have the proxy's address.
    pub connections_per_ip_max: usize,
    /// Connections of one IPv6 prefix of 64 bits. 0 (default): any number. Beyond it 503.
    pub connections_per_prefix_max: usize,
    /// Connections whose first request is not complete, on all shards. 0 (default): any number. Beyond it 503.
    pub handshakes_max: usize,
    /// While a shard's turns take longer than this, and 0.1 s behind each that did, it takes no new connections. Zero
    /// (default) is off.
    pub turn_max: Duration,
    /// While the process has more bytes in memory than this it takes no new connections; looked at once a second. 0
    /// (default) is off.
    pub memory_bytes_max: usize,
    /// Shared (default) or own fd tables.
    pub fd_tables: FdTables,
    /// Pin each shard's thread to a core. Off by default: it helps only where nothing else runs on the host.
    pub pin: bool,
    /// The kernel's queue of connections not yet accepted, per listener. 65,535; the kernel caps it at
    /// `net.core.somaxconn`.
    pub backlog: u32,
    /// `TCP_NOTSENT_LOWAT`: bytes the kernel buffers for a peer that does not read. 16 KiB: one stalled reader then
    /// costs about 0.1 MB of kernel memory instead of 4.5 MB. 0 leaves the kernel's default.
    pub notsent_lowat: u32,

    /// `SO_REUSEPORT`: other servers of this user may listen on the same port, if they say so too, and the kernel spreads
    /// clients over all of them. For a successor that is there before its predecessor drains. Off by default: a second
    /// server by mistake would take half of the clients unnoticed.
    pub reuse_port: bool,

    /// Which origins a browser may connect from. Any by default.
    pub origins: Origins,
    /// Addresses of proxies that may say who their client is. None by default.
    pub trusted_proxies: Vec<Prefix>,
    /// Whether connections from `trusted_proxies` begin with a PROXY protocol head. Off by default; where it is on, one that
    /// does not is closed. From any other address no head is taken: it is no HTTP, and answered 400.
    pub proxy_protocol: ProxyProtocol,
    /// Bytes of a PROXY protocol head. 4 KiB; beyond it the connection is closed.
    pub proxy_bytes_max: usize,
    /// Which fields of requests from `trusted_proxies` name the client. Off by default.
    pub forwarded: Forwarded,
    /// Bytes of a request head. 16 KiB; beyond it 431.
    pub head_bytes_max: usize,
    /// How long a request may take to arrive, head and body together, from accept or from its first byte. 10 s; then 408.
    pub head_timeout: Duration,
    /// Bytes of a request body. 1 MiB; beyond it 413. At most half of `incomplete_bytes_max`.
    pub body_bytes_max: usize,
    /// Bytes a second that a request body must bring on the average, once it has been on its way for `body_rate_grace`. 240;
    /// below it 408; 0 is off. `head_timeout` ends all requests; this one the slow, where that is long for the sake of large
    /// bodies.
    pub body_rate_min: usize,
    /// How long a body may be on its way before `body_rate_min` is asked of it. 5 s; it is looked at after one to two of these.
    pub body_rate_grace: Duration,
    /// How long a connection may be silent where no ping watches over it: HTTP between requests, and WebSocket with
    /// `ping_interval` off. 75 s; zero is off.
    pub silent_timeout: Duration,
    /// How long a deferred admission or answer may take. 10 s; then 503.
    pub admit_timeout: Duration,

    /// Bytes of a WebSocket message. 1 MiB; beyond it close 1009. At most `outboxes_bytes_max`, and half of `incomplete_bytes_max`.
    pub message_bytes_max: usize,
    /// How long a WebSocket message may take to arrive, from its first byte on. 60 s, which is 1 MiB at 17 KiB a second; then close
    /// 1008. Zero is off. It is looked at when the peer is looked after, so it is found late by up to `ping_interval` and
    /// `pong_timeout`, or `silent_timeout` where there are no pings; without either of them it is off.
    pub message_timeout: Duration,
    /// Bytes that a shard keeps of messages and requests that have not come whole, over all its connections. 64 MiB; beyond it, of
    /// those who hold more than their fair share, the oldest are closed (1008) or answered 503, until an eighth is free.
    pub incomplete_bytes_max: usize,
    /// Fragments of a WebSocket message. 65,536; beyond it close 1008.
    pub fragments_max: u32,
    /// Compressed messages (permessage-deflate, RFC 7692), for clients that offer them. Off by default: it costs a server some
    /// 20 µs for a message of 4 KiB where sending it plain costs 2.
    pub deflate: bool,
    /// How hard to compress, from 1 to 9. 1: 6 takes twice as long and leaves a tenth less.
    pub deflate_level: u32,
    /// Messages of fewer bytes are sent as they are. 1 KiB.
    pub deflate_bytes_min: usize,
    /// The largest window of either side, as the binary logarithm of its bytes: 9 to 15. 15 is 32 KiB.
    pub deflate_window_bits: u32,
    /// Messages to a client may refer to those before them, if it lets them (context takeover). Off: it takes 376 KB per
    /// connection at a window of 15, 250 KB at 9.
    pub deflate_server_takeover: bool,
    /// A client's messages may refer to those before them, which most clients do unless they are told. Off: it takes 44 KB
    /// per connection at a window of 15.
    pub deflate_client_takeover: bool,
    /// What the contexts of a shard's connections may come to. 64 MiB; beyond it a client is told to do without.
    pub deflate_bytes_max: usize,
    /// Bytes of messages that a shard compresses per turn. 1 MiB, about 10 ms; beyond it they are sent as they are.
    pub deflate_bytes_per_turn: usize,
    /// Bytes that a shard inflates per turn, and again for those who had to wait. 1 MiB, about 2 ms; beyond it clients that
    /// may send compressed messages wait for the next turn. One message may be larger.
    pub inflate_bytes_per_turn: usize,
    /// A peer not heard for this long is pinged. 30 s; zero is off.
    pub ping_interval: Duration,
    /// How long after a ping a peer may stay silent. 20 s; then close 1001.
    pub pong_timeout: Duration,
    /// How long a closing handshake may take. 5 s; then TCP is closed. The last HTTP response of a connection has as long
    /// for every part of it that the peer takes.
    pub close_timeout: Duration,

    /// How long a drain still serves everybody, after `/readyz` says 503: for load balancers that look only now and then. 0
    /// (default): not at all.
    pub drain_delay: Duration,
    /// Over how long a drain closes the connections. 10 s; zero is at once. Fewer are closed sooner, see `drain_rate`.
    pub drain_time: Duration,
    /// Connections that a drain closes per second where that is sooner than `drain_time`. 2,000; 0 is no pace of its own. A
    /// client that is closed comes back at once, to whoever serves now: this bounds that storm.
    pub drain_rate: usize,
    /// How long a drain may take in all; then whatever is left is cut. 0 (default): what `drain_delay`, `drain_time` and
    /// `close_timeout` come to, and a second.
    pub stop_grace: Duration,

    /// Queued bytes at which a `Pressured` connection is called drained and read again. 32 KiB.
    pub outbox_bytes_low: usize,
    /// Queued bytes above which `send` says `Pressured` and reading from that peer pauses. 64 KiB.
    pub outbox_bytes_high: usize,
    /// Queued bytes, and 64 for each message's entry, beyond which `slow_policy` decides: unless it drops, the connection is closed
    /// (1008). 2 MiB. One message of up to 1 GiB always fits an empty outbox.
    pub outbox_bytes_max: usize,
    /// What becomes of messages that do not fit, unless the connection or the message says otherwise. `Close`.
    pub slow_policy: SlowPolicy,
    /// Bytes that those who read too slowly may make a shard hold together: their buffers, shared frames once, 64 bytes for each
    /// message's entry. 8 MiB; beyond it those who hold more than their fair share are shortened by policy or closed (1008),
    /// until an eighth is free.
    pub outboxes_bytes_max: usize,
    /// How long a peer may take nothing while something is queued. 30 s; then close 1008.
    pub stall_timeout: Duration,

    /// Messages waiting in a shard's mailbox. 4,096; beyond it other threads get `Full` and shards spill.
    pub mailbox_slots: usize,
    /// Bytes of publishes and sends that may wait in a shard's mailbox, and again in what each other shard holds for it
    /// while it is full. 8 MiB; beyond it they are dropped and counted, and threads get `Full`.
    pub mailbox_bytes_max: usize,
    /// Topics a connection may be subscribed to. 1,024; beyond it `subscribe` says so.
    pub topics_per_connection_max: usize,
    /// Bytes of a topic's name. 1,024; `subscribe` says so of a longer one. A connection's names are its own to choose where
    /// the application lets it: with their number this bounds them to 1 MiB.
    pub topic_bytes_max: usize,

    /// Connections accepted per turn and listener. 64, about 1 ms.
    pub accepts_per_turn: usize,
    /// TLS handshakes taken up per turn. 8, about 1 ms; the rest wait for the next turn.
    pub tls_handshakes_per_turn: usize,
    /// Bytes kept of a TLS handshake whose messages are not whole. 16 KiB; beyond it the connection ends.
    pub tls_handshake_bytes_max: usize,
    /// First requests of connections dealt with per turn, and as many again of those that had to wait. 128, about 2 ms.
    pub handshakes_per_turn: usize,
    /// Bytes read from one connection per turn: the size of the shard's one read buffer. 256 KiB.
    pub read_bytes_per_turn: usize,
    /// How long a turn's reads may take before each further connection is read 16 KiB at a time, and as long again for those that
    /// had to wait. 2 ms: nobody waits behind the large messages of a thousand others. Zero is off.
    pub input_time_per_turn: Duration,
    /// How long one connection's messages may be handled at a stretch, looked at every 64 of them. 2 ms; what is left comes
    /// behind the others. Zero is off.
    pub read_time_per_turn: Duration,
    /// Mailbox messages handled per turn. 1,024.
    pub mails_per_turn: usize,
    /// Messages queued for subscribers per turn, a publish counting eight more. 65,536, about 2 ms: whoever publishes
    /// faster is read no further in that turn, and what other shards publish waits in the mailbox.
    pub deliveries_per_turn: usize,
    /// Sockets written to per turn outside of their own reads. 256, about 2 ms.
    pub flushes_per_turn: usize,

    /// Threads that run `offload` jobs, started with the server. 2.
    pub offload_threads: usize,
    /// Jobs of one shard that are under way or wait for a thread. 65,536; beyond it `offload` refuses.
    pub offload_jobs_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            shards: 0,
            max_connections: 0,
            when_full: WhenFull::Refuse,
            connections_per_ip_max: 0,
            connections_per_prefix_max: 0,
            handshakes_max: 0,
            turn_max: Duration::ZERO,
            memory_bytes_max: 0,
            fd_tables: FdTables::Shared,
            pin: false,
            backlog: 65_535,
            notsent_lowat: 16 << 10,
            reuse_port: false,
            origins: Origins::Any,
            trusted_proxies: Vec::new(),
            proxy_protocol: ProxyProtocol::Off,
            proxy_bytes_max: 4 << 10,
            forwarded: Forwarded::Off,
            head_bytes_max: 16 << 10,
            head_timeout: Duration::from_secs(10),
            body_bytes_max: 1 << 20,
            body_rate_min: 240,
            body_rate_grace: Duration::from_secs(5),
            silent_timeout: Duration::from_secs(75),
            admit_timeout: Duration::from_secs(10),
            message_bytes_max: 1 << 20,
            message_timeout: Duration::from_secs(60),
            incomplete_bytes_max: 64 << 20,
            fragments_max: 65_536,
            deflate: false,
            deflate_level: 1,
            deflate_bytes_min: 1 << 10,
            deflate_window_bits: 15,
            deflate_server_takeover: false,
            deflate_client_takeover: false,
            deflate_bytes_max: 64 << 20,
            deflate_bytes_per_turn: 1 << 20,
            inflate_bytes_per_turn: 1 << 20,
            ping_interval: Duration::from_secs(30),
            pong_timeout: Duration::from_secs(20),
            close_timeout: Duration::from_secs(5),
            drain_delay: Duration::ZERO,
            drain_time: Duration::from_secs(10),
            drain_rate: 2000,
            stop_grace: Duration::ZERO,
            outbox_bytes_low: 32 << 10,
            outbox_bytes_high: 64 << 10,
            outbox_bytes_max: 2 << 20,
            slow_policy: SlowPolicy::Close,
            outboxes_bytes_max: 8 << 20,
            stall_timeout: Duration::from_secs(30),
            mailbox_slots: 4096,
            mailbox_bytes_max: 8 << 20,
            topics_per_connection_max: 1024,
            topic_bytes_max: 1024,
            accepts_per_turn: 64,
            tls_handshakes_per_turn: 8,
            tls_handshake_bytes_max: 16 << 10,
            handshakes_per_turn: 128,
            read_bytes_per_turn: 256 << 10,
            input_time_per_turn: Duration::from_millis(2),
            read_time_per_turn: Duration::from_millis(2),
            mails_per_turn: 1024,
            deliveries_per_turn: 65_536,
            flushes_per_turn: 256,
            offload_threads: 2,
            offload_jobs_max: 65_536,
        }
    }
}

/// The last FIN of a drain is answered within a second, or its peer is gone.
const LAST_FIN: Duration = Duration::from_secs(1);

impl Config {
    /// How long a drain takes at the most: `stop_grace`, or what its parts come to.
    #[must_use]
    pub fn grace(&self) -> Duration {
        let parts = self.drain_delay + self.drain_time + self.close_timeout + LAST_FIN;
        if self.stop_grace.is_zero() { parts } else { self.stop_grace }
    }

    /// From how many bytes on messages are compressed; more than any has where compression is off.
    #[must_use]
    pub const fn deflate_from(&self) -> usize {
        if self.deflate { self.deflate_bytes_min } else { usize::MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grace_is_what_its_parts_come_to_unless_it_is_set() {
        let config = Config::default();
        assert_eq!(config.grace(), Duration::from_secs(16));
        assert_eq!(Config { drain_delay: Duration::from_secs(4), ..config.clone() }.grace().as_secs(), 20);
        assert_eq!(Config { stop_grace: Duration::from_secs(3), ..config }.grace().as_secs(), 3);
    }
}

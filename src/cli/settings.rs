//! The table of settings: every one is a flag, an environment variable and a key of the file, and stands here once.
//!
//! What a setting means at length is told by [`Config`] and by `docs/TUNING.md`; a test compares this table with the
//! fields of `Config`, so that none is forgotten.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use throng::Config;
use throng::io::IoConfig;

use super::value::{self, Form};

/// What the settings come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    /// The library's own.
    pub(super) config: Config,
    /// The binary's.
    pub(super) own: Own,
}

/// Settings that are not the library's, or mean more here than there.
#[derive(Clone, Debug)]
pub(super) struct Own {
    /// Where to listen.
    pub(super) bind: Vec<String>,
    /// Where to listen for TLS.
    pub(super) bind_tls: Vec<String>,
    /// Certificates, and as many keys.
    pub(super) tls_cert: Vec<String>,
    pub(super) tls_key: Vec<String>,
    /// Which fd tables.
    pub(super) fd_tables: Tables,
    /// Where Socket.IO's official browser client lies, if it is to be served.
    pub(super) io_client_dir: Option<PathBuf>,
    /// Limits of Socket.IO's, as `IoConfig` has them.
    pub(super) io_sessions_max: usize,
    pub(super) io_sessions_per_ip_max: usize,
    pub(super) io_connect_timeout: Duration,
}

impl Default for Own {
    fn default() -> Self {
        let io = IoConfig::default();
        Self {
            bind: vec!["localhost:3000".to_owned()],
            bind_tls: Vec::new(),
            tls_cert: Vec::new(),
            tls_key: Vec::new(),
            fd_tables: Tables::Auto,
            io_client_dir: None,
            io_sessions_max: io.sessions_max,
            io_sessions_per_ip_max: io.sessions_per_ip_max,
            io_connect_timeout: io.connect_timeout,
        }
    }
}

/// Which fd tables the shards use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tables {
    /// The shared one, unless more connections are asked for than it holds.
    Auto,
    /// The process's one.
    Shared,
    /// One per shard.
    Own,
}

/// A row of the table.
pub(super) struct Setting {
    /// Its name, which is its key in the file.
    pub(super) name: &'static str,
    /// The heading it stands under.
    pub(super) group: &'static str,
    /// One sentence.
    pub(super) help: &'static str,
    /// What its values look like.
    pub(super) form: Form,
    /// Takes a text; `None` where it is not of the form.
    pub(super) set: fn(&mut Options, &str) -> Option<()>,
    /// Its value, as TOML.
    pub(super) show: fn(&Options) -> String,
}

macro_rules! settings {
    ($($group:literal: $($kind:ident $part:ident.$field:ident, $help:literal;)+)+) => {
        /// The table itself.
        pub(super) const SETTINGS: &[Setting] = &[$($(Setting {
            name: stringify!($field),
            group: $group,
            help: $help,
            form: value::$kind::FORM,
            set: |options, text| {
                options.$part.$field = value::$kind::parse(text)?;
                Some(())
            },
            show: |options| value::$kind::show(&options.$part.$field),
        },)+)+];
    };
}

settings! {
    "Connections":
    addresses own.bind, "Where to listen; repeatable. localhost is both 127.0.0.1 and ::1, port 0 is a free one; nowhere where only bind_tls is set";
    addresses own.bind_tls, "Where to listen for https:// and wss://; repeatable";
    files own.tls_cert, "A certificate chain in PEM; repeatable, the first is shown to whoever names no host. SIGHUP reads it again";
    files own.tls_key, "The key of each --tls-cert, in their order";
    count config.shards, "Threads with a loop each; 0 is one per core";
    count config.max_connections, "Connections in all, beyond it 503; 0 is what the fd tables hold";
    fullness config.when_full, "Above a cap on all connections: refuse new ones (503), or let them wait in the kernel's queue";
    count config.connections_per_ip_max, "Connections of one address, beyond it 503; 0 is any number";
    count config.connections_per_prefix_max, "Connections of one IPv6 /64, beyond it 503; 0 is any number";
    count config.handshakes_max, "Connections without a complete request yet, beyond it 503; 0 is any number";
    time config.turn_max, "While turns take longer, no new connections; 0 is off";
    size config.memory_bytes_max, "With more in memory, no new connections; 0 is off";
    tables own.fd_tables, "One fd table for all, or one per shard: shards × fd limit. auto: own only where needed";
    switch config.pin, "Pin each shard to a core, on a host that does nothing else";
    count config.backlog, "The kernel's queue of connections not yet accepted, per listener";
    switch config.reuse_port, "Share the port with other servers of this user that say so too: for a restart without a gap";
    size config.notsent_lowat, "What the kernel buffers for a peer that does not read; 0 leaves its default";

    "HTTP":
    origins config.origins, "A page's origin that may open WebSockets, or use Socket.IO; repeatable. any: every page may";
    prefixes config.trusted_proxies, "Addresses of proxies that may say who their client is; repeatable";
    proxy_protocol config.proxy_protocol, "Which PROXY protocol head connections from there begin with";
    size config.proxy_bytes_max, "A PROXY protocol head, beyond it the connection is closed";
    forwarded config.forwarded, "Which fields of requests from there name the client";
    size config.head_bytes_max, "A request head, beyond it 431";
    size config.tls_handshake_bytes_max, "What is kept of a TLS handshake that is not whole, beyond it the end";
    span config.head_timeout, "How long a request may take to arrive, head and body, then 408";
    size config.body_bytes_max, "A request body, beyond it 413";
    size config.body_rate_min, "What a body must bring a second, on the average, else 408; 0 is off";
    span config.body_rate_grace, "How long a body may take before that is asked of it";
    time config.silent_timeout, "How long a connection without pings may be silent; 0 is off";
    span config.admit_timeout, "How long a deferred admission may take, then 503";

    "WebSocket":
    size config.message_bytes_max, "A message, beyond it close 1009";
    time config.message_timeout, "How long a message may take to arrive, then close 1008; 0 is off";
    size config.incomplete_bytes_max, "Kept by a shard of messages and requests that are not whole: beyond it the oldest of those with most end";
    count config.fragments_max, "Fragments of a message, beyond it close 1008";
    switch config.deflate, "Compressed messages (permessage-deflate), for clients that offer them";
    count config.deflate_level, "How hard to compress, 1 to 9";
    size config.deflate_bytes_min, "Messages of fewer bytes are sent as they are";
    count config.deflate_window_bits, "The largest window of either side: 9 to 15, that is 512 bytes to 32 KiB";
    switch config.deflate_server_takeover, "Messages to a client may refer to those before them: some 376 KB per connection";
    switch config.deflate_client_takeover, "A client's messages may refer to those before them: some 44 KB per connection";
    size config.deflate_bytes_max, "What a shard's contexts may come to, beyond it clients do without";
    size config.deflate_bytes_per_turn, "What a shard compresses per turn, beyond it messages are sent as they are";
    size config.inflate_bytes_per_turn, "What a shard inflates per turn, beyond it clients wait for the next";
    time config.ping_interval, "A peer not heard for this long is pinged; 0 is off";
    span config.pong_timeout, "How long after a ping a peer may be silent, then close 1001";
    span config.close_timeout, "How long a closing handshake may take";

    "Socket.IO":
    directory own.io_client_dir, "The official browser client's dist directory, served in place of throng's own";
    count own.io_sessions_max, "Sessions, beyond it 503; 0 is as many as connections";
    count own.io_sessions_per_ip_max, "Sessions of one address, or of one IPv6 /64, beyond it 503; 0 is as many as it may have connections";
    span own.io_connect_timeout, "How long a session may be in no namespace, then it is closed";

    "Ending":
    time config.drain_delay, "After a signal: how long /readyz says 503 and everybody is still served";
    time config.drain_time, "Then: over how long connections are closed; 0 is at once";
    count config.drain_rate, "Connections closed per second, where that is sooner; 0 is no bound";
    time config.stop_grace, "How long all of it may take, then the rest is cut; 0 is what its parts come to";

    "Queues":
    size config.outbox_bytes_low, "Queued for a peer: at this much it is read again";
    size config.outbox_bytes_high, "Queued for a peer: above this it is not read";
    size config.outbox_bytes_max, "Queued for a peer: beyond it slow-policy decides";
    policy config.slow_policy, "What does not fit: close (1008), drop-new, drop-oldest, or of each topic latest-only";
    size config.outboxes_bytes_max, "Held for all slow readers of a shard: beyond it those with most are shortened or closed";
    span config.stall_timeout, "How long a peer may take nothing of what is queued, then close 1008";
    count config.mailbox_slots, "Messages waiting in a shard's mailbox";
    size config.mailbox_bytes_max, "Publishes and sends waiting for a shard: beyond it threads get Full, shards hold as much again and then drop";
    count config.topics_per_connection_max, "Topics of a connection";
    size config.topic_bytes_max, "Bytes of a topic's name";

    "Work per turn":
    count config.accepts_per_turn, "Connections accepted per turn and listener";
    count config.tls_handshakes_per_turn, "TLS handshakes taken up per turn";
    count config.handshakes_per_turn, "First requests dealt with per turn, and again of those that waited";
    size config.read_bytes_per_turn, "Bytes read of a connection per turn: the shard's one read buffer";
    time config.input_time_per_turn, "How long a turn's reads may take before each connection is read 16 KiB at a time; 0 is off";
    time config.read_time_per_turn, "How long one connection's messages may be handled at a stretch; 0 is off";
    count config.mails_per_turn, "Messages of other shards handled per turn";
    count config.deliveries_per_turn, "Messages queued for subscribers per turn, and again of other shards";
    count config.flushes_per_turn, "Sockets written to per turn outside of their own reads";
    count config.offload_threads, "Threads for jobs that block";
    count config.offload_jobs_max, "Jobs of one shard that may be under way";
}

/// A setting's names on the command line and in the environment.
pub(super) struct Names {
    /// `message-bytes-max`.
    pub(super) flag: String,
    /// `THRONG_MESSAGE_BYTES_MAX`.
    pub(super) variable: String,
}

/// The names, in the order of [`SETTINGS`].
pub(super) static NAMES: LazyLock<Vec<Names>> = LazyLock::new(|| {
    let names = |setting: &Setting| Names {
        // Repeatable, so one is named at a time.
        flag: if setting.name == "origins" { "origin".to_owned() } else { setting.name.replace('_', "-") },
        variable: format!("THRONG_{}", setting.name.to_uppercase()),
    };
    SETTINGS.iter().map(names).collect()
});

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_field_of_the_library_s_settings_is_in_the_table() {
        let printed = format!("{:?}", Config::default());
        let fields = printed.trim_start_matches("Config {").trim_end_matches('}').split(", ");
        let mut expected: BTreeSet<_> = fields.map(|field| field.split(':').next().unwrap().trim()).collect();
        expected.extend(["bind", "bind_tls", "tls_cert", "tls_key", "io_client_dir"]);
        expected.extend(["io_sessions_max", "io_sessions_per_ip_max", "io_connect_timeout"]);
        let names: BTreeSet<_> = SETTINGS.iter().map(|setting| setting.name).collect();
        assert_eq!((names.len(), names), (SETTINGS.len(), expected));
    }

    #[test]
    fn what_is_shown_can_be_read_and_sets_its_own_field_alone() {
        // Each kind's values; the last one is no default of any setting.
        let samples = |form: Form| -> &'static [(&'static str, &'static str)] {
            match form.place {
                "N" => &[("64", "64"), ("100k", "100000"), ("1M", "1000000"), ("4_097", "4097")],
                "SIZE" => &[
                    ("0", "0"),
                    ("1000", "1000"),
                    ("64k", "\"64 KiB\""),
                    ("3 MiB", "\"3 MiB\""),
                    ("3G", "\"3 GiB\""),
                    ("7777B", "7777"),
                ],
                "TIME" => &[("0", "0"), ("2m", "\"120s\""), ("1 h", "\"3600s\""), ("1234ms", "\"1234ms\"")],
                "on|off" => &[("off", "false"), ("true", "true")],
                "HOST:PORT" => &[("[::]:1, a:2", "[\"[::]:1\", \"a:2\"]")],
                "FILE" => &[("", "[]"), ("a.pem", "[\"a.pem\"]"), ("a, /b c", "[\"a\", \"/b c\"]")],
                "PREFIX" => &[("", "[]"), ("10.0.0.0/8, ::1", "[\"10.0.0.0/8\", \"::1\"]")],
                "off|v1|v2|any" => {
                    &[("off", "\"off\""), ("v1", "\"v1\""), ("any", "\"any\""), ("v2", "\"v2\"")]
                }
                "off|x-forwarded-for|forwarded" => &[
                    ("off", "\"off\""),
                    ("forwarded", "\"forwarded\""),
                    ("x-forwarded-for", "\"x-forwarded-for\""),
                ],
                "ORIGIN" => &[("any", "\"any\""), ("https://a,null", "[\"https://a\", \"null\"]")],
                "DIR" => &[("", "\"\""), ("dist", "\"dist\""), ("/a b/\"c\"", "'/a b/\"c\"'")],
                "refuse|wait" => &[("refuse", "\"refuse\""), ("wait", "\"wait\"")],
                "POLICY" => &[("drop-new", "\"drop-new\""), ("latest-only", "\"latest-only\"")],
                "auto|shared|own" => &[("shared", "\"shared\""), ("own", "\"own\"")],
                other => panic!("a kind without samples: {other}"),
            }
        };
        let defaults: Vec<_> = SETTINGS.iter().map(|setting| (setting.show)(&Options::default())).collect();
        for (index, setting) in SETTINGS.iter().enumerate() {
            let mut options = Options::default();
            for (text, shown) in samples(setting.form) {
                (setting.set)(&mut options, text).unwrap_or_else(|| panic!("{} = {text}", setting.name));
                assert_eq!((setting.show)(&options), *shown, "{} = {text}", setting.name);
                let file: toml::Table = format!("a = {shown}").parse().unwrap();
                (setting.set)(&mut options, &super::super::file::text(&file["a"]).unwrap()).unwrap();
                assert_eq!((setting.show)(&options), *shown);
            }
            for (other, default) in SETTINGS.iter().zip(&defaults) {
                let is_own = other.name == setting.name;
                assert_ne!((other.show)(&options) == *default, is_own, "{index} {}", other.name);
            }
        }
    }

    #[test]
    fn zero_is_advised_where_it_is_right_and_nowhere_else() {
        let times = SETTINGS.iter().filter(|setting| setting.form.place == "TIME");
        for setting in times.filter(|setting| !setting.name.starts_with("io_")) {
            let mut options = Options::default();
            (setting.set)(&mut options, "0").unwrap();
            let is_advised = setting.form.right.ends_with(", or 0");
            assert_eq!(options.config.check().is_ok(), is_advised, "{}", setting.name);
        }
    }

    #[test]
    fn what_is_not_of_its_form_is_refused() {
        let table = [
            ("shards", &["", "-1", "two", "1.5", "2 KiB", "99999999999999999999"][..]),
            ("fragments_max", &["5000M"]),
            ("message_bytes_max", &["1 KB", "64kB", "KiB", "1 TiB", "20000000000 GiB"]),
            ("ping_interval", &["30", "s", "1.5s", "2 days"]),
            ("pin", &["", "yes", "2"]),
            ("bind", &["a:1,", ",b:2"]),
            ("fd_tables", &["both"]),
            ("trusted_proxies", &["10.0.0.1/8", "a", "::1,", "10.0.0.0/33"]),
            ("proxy_protocol", &["", "on", "v3"]),
            ("forwarded", &["", "on", "X-Forwarded-For"]),
            (
                "origins",
                &[
                    "",
                    "example.org",
                    "https://example.org/",
                    "https://Example.org",
                    "https://*",
                    "any,null",
                    "://a",
                ],
            ),
        ];
        for (name, wrong) in table {
            let setting = SETTINGS.iter().find(|setting| setting.name == name).unwrap();
            for text in wrong {
                assert!((setting.set)(&mut Options::default(), text).is_none(), "{name} = {text}");
            }
        }
    }
}

//! The modes that are more than a load on connections that stay: one file each, with its flags and what it asks for.
//!
//! `cli` has their flags, `asked` asks each what it comes to. What they do while they run is in the files that do it.

pub(crate) mod ack;
pub(crate) mod churn;
pub(crate) mod connect;
pub(crate) mod find_max;
pub(crate) mod reconnect;
pub(crate) mod rooms;
pub(crate) mod slow;
pub(crate) mod soak;

/// Flags whose defaults differ in a mode: the mode, the flag, its default there.
pub(crate) const DEFAULTS: &[(&str, &str, &str)] = &[
    ("connect", "connections", "10k"),
    ("connect", "connect_rate", "2k"),
    ("connect", "duration", "1s"),
    ("connect", "warmup", "0s"),
    ("churn", "connections", "1k"),
    ("find-max", "duration", "5s"),
    ("reconnect", "connections", "1k"),
    ("reconnect", "duration", "15s"),
    ("slow", "size", "1KiB"),
    ("soak", "duration", "1h"),
    ("soak", "interval", "10s"),
];

//! Why a server could not be set up, and why a message from another thread was not taken.

use std::{fmt, io};

/// A server could not be built or started. Its text names the setting, what it was, and what would be right.
///
/// Its `Debug` is that text too: it is what `fn main() -> Result<(), SetupError>` prints.
#[non_exhaustive]
pub enum SetupError {
    /// A setting has a value that cannot be right.
    Setting {
        /// The setting's name, as in [`Config`](crate::Config).
        setting: &'static str,
        /// What it was.
        was: String,
        /// What would be right.
        right: String,
    },
    /// The fd limit is too small for the shards alone, let alone for a connection.
    FdLimit {
        /// `RLIMIT_NOFILE`, fds of a table.
        limit: u64,
        /// The least to serve one connection with.
        least: u64,
        /// Shards that were planned.
        shards: usize,
    },
    /// The host refused something: an address in use, too few fds, a missing privilege.
    Host {
        /// What was attempted.
        attempt: String,
        /// What the kernel said.
        source: io::Error,
        /// What to do about it.
        advice: String,
    },
}

impl SetupError {
    pub(crate) fn setting(setting: &'static str, was: impl fmt::Display, right: impl Into<String>) -> Self {
        Self::Setting { setting, was: was.to_string(), right: right.into() }
    }

    pub(crate) fn host(attempt: impl Into<String>, source: io::Error, advice: impl Into<String>) -> Self {
        Self::Host { attempt: attempt.into(), source, advice: advice.into() }
    }
}

impl fmt::Debug for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting { setting, was, right } => write!(f, "{setting} is {was}; it must be {right}"),
            Self::FdLimit { limit, least, shards } => {
                let (plural, fewer) = if *shards == 1 { ("", "") } else { ("s", ", or set fewer shards") };
                let right = (*least).max(1024).next_power_of_two();
                write!(
                    f,
                    "the fd limit is {limit}, and {least} is the least to serve with on {shards} shard{plural}; raise it: \
                     `ulimit -n {right}`, or LimitNOFILE={right} in the service's unit{fewer}"
                )
            }
            Self::Host { attempt, source, advice } => write!(f, "cannot {attempt}: {source}; {advice}"),
        }
    }
}

impl std::error::Error for SetupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Setting { .. } | Self::FdLimit { .. } => None,
            Self::Host { source, .. } => Some(source),
        }
    }
}

/// A message from another thread was not taken, because a shard's mailbox has no free slot. Nothing was delivered
/// to anybody; the sender decides whether to try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a shard's mailbox is full; nothing was delivered")
    }
}

impl std::error::Error for Full {}

//! The flags: what each means, its unit, its default.

use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::deflating::DeflateFlags;
use crate::help;
use crate::openings::OpeningFlags;
use crate::outputs::Outputs;
use crate::pace::Pace;
use crate::remote::coordinator;
use crate::scenarios;
use crate::spoken::{Publishes, Spoken};
use crate::talk::{AckedTalk, Talk};
use crate::trust::TlsFlags;
use crate::units;
use crate::wording::Words;

/// A load generator for WebSocket and Socket.IO servers.
#[derive(Parser, Debug)]
#[command(version, about, after_help = help::EXIT_CODES, after_long_help = help::long(), max_term_width = 120)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) mode: Mode,
}

/// The command, with the defaults that differ from mode to mode.
pub(crate) fn command() -> clap::Command {
    scenarios::DEFAULTS.iter().fold(Cli::command(), |command, &(mode, flag, default)| {
        command.mut_subcommand(mode, |mode| mode.mut_arg(flag, |flag| flag.default_value(default)))
    })
}

/// What to do with the connections.
#[derive(Subcommand, Debug)]
pub(crate) enum Mode {
    /// Connect and stay silent: how fast can they connect, what do they cost
    Idle {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        spoken: Spoken,
    },
    /// What a connection costs the server: connect, send one message on each and take it back, wait --duration, and
    /// compare the server's memory (its PSS, in user space) with what it was before the first connection
    Memory {
        #[command(flatten)]
        talk: AckedTalk,
        /// The one message of each: so many per second over all connections
        #[arg(long, value_name = "N", default_value = "10k", value_parser = rate)]
        rate: u64,
    },
    /// A storm: connections are made at a rate (--connect-rate), and how long each takes is what is measured, from when its
    /// turn was
    Connect(scenarios::connect::Flags),
    /// Every connection sends messages and checks that the same come back
    Echo {
        #[command(flatten)]
        talk: AckedTalk,
        /// Open loop: messages per second over all connections, each on a schedule that waits for nobody. Latency
        /// counts from the scheduled time. Without it: closed loop
        #[arg(long, value_name = "N", value_parser = rate, conflicts_with = "pipeline")]
        rate: Option<u64>,
        #[command(flatten)]
        pace: Pace,
        /// Closed loop: messages each connection keeps in flight
        #[arg(long, value_name = "D", default_value_t = 1, conflicts_with_all = ["tick", "arrivals"], value_parser = clap::value_parser!(u32).range(1..=65_536))]
        pipeline: u32,
        /// The server is no WebSocket server but sends every byte back as it came: expect the client's own frames,
        /// masked as they went, which from a WebSocket server are an error (RFC 6455 section 5.1). The opening
        /// handshake is checked as ever
        #[arg(long)]
        raw_echo: bool,
    },
    /// A share of the connections is ended and replaced every second, while all of them echo
    Churn(scenarios::churn::Flags),
    /// All connections are cut at one moment, or the server is killed or restarted, and they come back as clients do: when how
    /// many of them were back
    Reconnect(scenarios::reconnect::Flags),
    /// The highest load at which an objective holds: doubled until it does not, then halved in between to 5 %
    FindMax(scenarios::find_max::Flags),
    /// A share of the connections read slowly what is published to all, while the others echo: what do those see of it
    Slow(scenarios::slow::Flags),
    /// A long run at a modest load: does memory grow, do times
    Soak(scenarios::soak::Flags),
    /// Rooms in which everybody talks to the others: what comes to each, checked for each sender
    Rooms(scenarios::rooms::Flags),
    /// Round trips of Socket.IO: every connection emits events and checks that their acks carry the argument back
    Ack(scenarios::ack::Flags),
    /// All connections subscribe; one more publishes, and every delivery is checked and timed
    Broadcast {
        #[command(flatten)]
        talk: Talk,
        /// Time between two publishes
        #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::duration)]
        every: Duration,
        /// Publishes per second, instead of --every
        #[arg(long, value_name = "N", value_parser = rate, conflicts_with = "every")]
        rate: Option<u64>,
        /// Messages published at once
        #[arg(long, value_name = "B", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
        burst: u32,
    },
    /// Echo on all connections at a fixed rate while one more publishes to all of them (first payload byte `E`: to be
    /// sent back, `P`: to be relayed to the others; throng serves this at /bench). In Socket.IO these are two events
    Mixed {
        #[command(flatten)]
        talk: Talk,
        #[command(flatten)]
        publishes: Publishes,
        /// Socket.IO: the event is answered by its ack, which carries the argument back
        #[arg(long)]
        ack: bool,
        /// Echo messages per second over all connections, open loop
        #[arg(long, value_name = "N", default_value = "10k", value_parser = rate)]
        rate: u64,
        #[command(flatten)]
        pace: Pace,
        /// Time between two publishes
        #[arg(long, value_name = "TIME", default_value = "5s", value_parser = units::duration)]
        broadcast_every: Duration,
        /// Messages published at once
        #[arg(long, value_name = "B", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
        burst: u32,
    },
}

/// Flags about messages.
#[derive(Args, Clone, Debug)]
pub(crate) struct Message {
    #[command(flatten)]
    pub(crate) words: Words,
    /// Bytes of a message, 16 at least: it carries its connection, number and times
    #[arg(long, value_name = "BYTES", default_value = "20", value_parser = size)]
    pub(crate) size: usize,
    /// Send text messages (the payload is ASCII either way), which is the default in Socket.IO
    #[arg(long, conflicts_with = "binary")]
    pub(crate) text: bool,
    /// Send binary messages, which is the default but in Socket.IO: there the argument is then an attachment
    #[arg(long)]
    pub(crate) binary: bool,
    /// A closed-loop connection that hears nothing for this long gives its messages up as lost and goes on
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::duration)]
    pub(crate) reply_timeout: Duration,
    /// How long after the last message was sent those under way may still arrive
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = units::duration)]
    pub(crate) drain: Duration,
}

impl Default for Message {
    fn default() -> Self {
        Self {
            words: Words::default(),
            size: 20,
            text: false,
            binary: true,
            reply_timeout: Duration::from_secs(10),
            drain: Duration::from_secs(5),
        }
    }
}

/// Flags of every mode.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// ws://HOST:PORT/PATH of the server, or wss:// where it speaks TLS. Without it `throng` is started on a free port, measured and stopped
    pub(crate) url: Option<String>,
    /// Connections (k and M are 1000 and 1000000)
    #[arg(short, long, value_name = "N", default_value = "100", value_parser = connections)]
    pub(crate) connections: usize,
    /// Worker threads; more are started where the fd limit forces it [default: cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// How long to measure; in memory mode how long to wait after the last message
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::duration)]
    pub(crate) duration: Duration,
    /// How long to send before measuring
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::duration)]
    pub(crate) warmup: Duration,
    /// New connections per second; 0: as many as --connect-inflight allows
    #[arg(long, value_name = "N/s", default_value = "0", value_parser = units::count)]
    pub(crate) connect_rate: u64,
    /// Connections per worker that may be opening at the same time
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=16_384))]
    pub(crate) connect_inflight: u32,
    /// Time for one attempt at TCP, TLS and WebSocket handshake; three attempts are made
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::duration)]
    pub(crate) connect_timeout: Duration,
    /// Source addresses, comma separated. Each is good for about 20,000 connections, or for half of
    /// net.ipv4.ip_local_port_range if that is less; beyond it the kernel is slow to find a port. `auto`: on an IPv4
    /// loopback target 127.0.1.1, 127.0.1.2, … as needed, else what the kernel chooses (::1 is a single address)
    #[arg(long, value_name = "ADDR,ADDR|auto", default_value = "auto", value_parser = sources)]
    pub(crate) source: Sources,
    #[command(flatten)]
    pub(crate) opening: OpeningFlags,
    /// Subprotocols to offer, comma separated
    #[arg(long, value_name = "NAME")]
    pub(crate) subprotocol: Option<String>,
    /// A header field for the handshake; may be given again
    #[arg(long = "header", value_name = "K:V", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
    /// The Origin of the handshake
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) origin: Option<String>,
    #[command(flatten)]
    pub(crate) deflate: DeflateFlags,
    #[command(flatten)]
    pub(crate) tls: TlsFlags,
    /// The server's process id: its CPU time and memory are then reported
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) server_pid: Option<u32>,
    #[command(flatten)]
    pub(crate) outputs: Outputs,
    #[command(flatten)]
    pub(crate) remote: coordinator::RemoteFlags,
    /// Never sleep: each worker thread takes a whole core and asks for what has come without waiting. To wake a sleeping
    /// client is part of what a send costs its server, and how often that happens varies; without it figures are steadier
    #[arg(long)]
    pub(crate) spin: bool,
    /// Take the figures for valid though this client was saturated: for runs that load it to the full on purpose, such as those
    /// that measure a server's CPU time per message in a closed loop. --spin implies it
    #[arg(long)]
    pub(crate) allow_saturated: bool,
    /// Show no progress
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// Where connections come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Sources {
    /// Chosen by what the run needs.
    Auto,
    /// These.
    Only(Vec<std::net::IpAddr>),
}

pub(crate) fn rate(text: &str) -> Result<u64, String> {
    units::count(text).and_then(|rate| match rate {
        1..=100_000_000 => Ok(rate),
        _ => Err("a rate from 1 to 100M messages per second is wanted".into()),
    })
}

fn connections(text: &str) -> Result<usize, String> {
    units::count(text).and_then(|count| match count {
        1..=2_000_000 => Ok(count as usize),
        _ => Err("a number from 1 to 2M is wanted".into()),
    })
}

fn size(text: &str) -> Result<usize, String> {
    units::bytes(text).and_then(|size| match size {
        16..=16_777_216 => Ok(size),
        _ => Err("a size from 16 bytes to 16 MiB is wanted".into()),
    })
}

fn sources(text: &str) -> Result<Sources, String> {
    if text == "auto" {
        return Ok(Sources::Auto);
    }
    let parse = |word: &str| word.trim().parse().map_err(|_| format!("`{word}` is not an IP address"));
    text.split(',').map(parse).collect::<Result<_, _>>().map(Sources::Only)
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() && !text.contains(['\r', '\n']) => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("a header is NAME:VALUE on one line".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent_and_all_are_explained() {
        command().debug_assert();
        for mode in command().get_subcommands() {
            for flag in mode.get_arguments() {
                assert!(flag.get_help().is_some(), "{} {}", mode.get_name(), flag.get_id());
            }
        }
    }

    #[test]
    fn wrong_values_are_refused() {
        for line in [
            "echo -c 0",
            "echo --size 15",
            "echo --rate 5 --pipeline 2",
            "broadcast --every 1s --rate 5",
            "echo --text --binary",
            "idle --source 127.0.0",
            "idle --header nocolon",
            "mixed --rate 0",
            "idle --size 20",
            "idle --server-pid 0",
            "idle --raw-echo",
            "echo --pipeline 2 --tick 1ms",
            "echo --pipeline 2 --arrivals poisson",
            "echo --rate 5 --arrivals often",
            "memory --rate 0",
            "echo --protocol http",
            "echo --deflate-min 1k",
            "echo --publish-event x",
            "idle --transport poll",
            "broadcast --ack",
            "idle --event x",
        ] {
            assert!(
                Cli::try_parse_from(std::iter::once("bench-client").chain(line.split(' '))).is_err(),
                "{line}"
            );
        }
    }
}

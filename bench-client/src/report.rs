//! What a run comes to: figures and checks. `printed` is the same as text; as JSON it is what stands here, field by
//! field, and docs/BENCH-CLIENT.md explains each.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::comeback::Comeback;
use crate::curve::Curve;
use crate::distribution::{Distribution, Times};
use crate::drift::Drift;
use crate::machine::Machine;
use crate::remote::coordinator::Node;
use crate::series::Sample;
use crate::slow::SlowUse;
use crate::stats::Tally;

/// How the connections were made.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Connect {
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
    /// From the first attempt to the end of the handshake.
    pub(crate) times: Option<Times>,
    /// Connect mode: when how many were open.
    pub(crate) ramp: Option<Curve>,
}

/// What was spoken below HTTP.
#[derive(Debug, Default, Serialize)]
pub(crate) struct TlsUse {
    pub(crate) handshakes: u64,
    pub(crate) resumed: u64,
    /// Versions with their cipher suites, and how often.
    pub(crate) spoken: BTreeMap<String, u64>,
    pub(crate) times: Option<Times>,
}

/// How messages were compressed; how many were is in the tally.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct DeflateUse {
    /// Bytes from which messages were compressed, where that made them smaller.
    pub(crate) bytes_min: usize,
}

/// What the server used. Its memory is its proportional set size.
#[derive(Debug, Default, Serialize)]
pub(crate) struct ServerUse {
    pub(crate) pid: u32,
    /// Cores it was busy with, while it was measured.
    pub(crate) cores: f64,
    /// Per message that came back or was delivered, while it was measured.
    pub(crate) cpu_microseconds_per_message: Option<f64>,
    pub(crate) memory_before: Option<u64>,
    pub(crate) memory_connected: Option<u64>,
    /// Memory mode: some time after one echo on each connection.
    pub(crate) memory_rested: Option<u64>,
    pub(crate) memory_end: Option<u64>,
    /// What a connection had added to its memory once all were open.
    pub(crate) bytes_per_connection: Option<f64>,
    /// Memory mode: the same some time after one echo on each.
    pub(crate) bytes_per_rested_connection: Option<f64>,
}

/// What this process used, while it was measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct ClientUse {
    pub(crate) cores: f64,
    pub(crate) cpu_microseconds_per_message: Option<f64>,
    /// Share of a core of its busiest thread.
    pub(crate) busiest_thread: f64,
    /// What a connection added to its memory.
    pub(crate) bytes_per_connection: Option<f64>,
}

/// How far what was published came, of what was due while it was measured and reached anybody.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Broadcast {
    /// Connections that each publish was for.
    pub(crate) members: u64,
    pub(crate) publishes: u64,
    /// Publishes that reached all of them.
    pub(crate) complete: u64,
    /// Where several processes carried the run out: how far the clock of the one that published may be from another's.
    pub(crate) clock_error_microseconds: f64,
}

/// The run over time.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Over {
    /// As it was asked for; a long run's samples are longer.
    pub(crate) interval_seconds: f64,
    pub(crate) samples: Vec<Sample>,
}

/// What this report's fields are, for whoever reads them. A field may be added under the same name; none changes its
/// meaning or goes.
pub(crate) const SCHEMA: &str = "throng-bench/1";

/// Everything about a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) schema: &'static str,
    /// The client's.
    pub(crate) version: &'static str,
    /// What the run is called where it is compared with others.
    pub(crate) name: String,
    /// The command line, but for what says who the client is.
    pub(crate) command: Vec<String>,
    /// In seconds since 1970.
    pub(crate) ended_at: u64,
    /// What everything that was drawn at random follows from.
    pub(crate) seed: u64,
    pub(crate) machine: Machine,
    pub(crate) mode: &'static str,
    pub(crate) url: String,
    pub(crate) load: String,
    pub(crate) connections: usize,
    pub(crate) workers: usize,
    /// The processes that carried the run out together, if it was not this one.
    pub(crate) nodes: Vec<Node>,
    pub(crate) own_fd_tables: bool,
    pub(crate) raw_echo: bool,
    /// Of a run whose connections agreed on compression.
    pub(crate) deflate: Option<DeflateUse>,
    /// What was spoken above WebSocket, in words.
    pub(crate) spoken: Option<String>,
    /// Of an open loop whose messages are due in ticks.
    pub(crate) tick_microseconds: Option<f64>,
    pub(crate) size: usize,
    pub(crate) interrupted: bool,
    /// Length of the measured window.
    pub(crate) window_seconds: f64,
    pub(crate) connect: Connect,
    pub(crate) tls: Option<TlsUse>,
    pub(crate) tally: Tally,
    /// The beginning of the first message that was nothing that was waited for.
    pub(crate) strange: Option<String>,
    pub(crate) echoes_per_second: f64,
    pub(crate) deliveries_per_second: f64,
    pub(crate) response: Option<Times>,
    pub(crate) service: Option<Times>,
    pub(crate) delivery: Option<Times>,
    /// From when a publish was due until the first of its subscribers has it, one time for each publish.
    pub(crate) first_delivery: Option<Times>,
    /// Until the last one has it.
    pub(crate) last_delivery: Option<Times>,
    pub(crate) broadcast: Option<Broadcast>,
    pub(crate) slip: Option<Times>,
    /// How late the client's loops came to their chores.
    pub(crate) loop_lag: Option<Times>,
    /// What the slow readers got.
    pub(crate) slow: Option<SlowUse>,
    /// Of a soak: how its end differs from its beginning.
    pub(crate) drift: Option<Drift>,
    /// What became of connections that were ended on purpose.
    pub(crate) comeback: Option<Comeback>,
    pub(crate) server: Option<ServerUse>,
    /// Growth of the whole machine's slab memory while connecting, per connection.
    pub(crate) kernel_slab_bytes_per_connection: Option<f64>,
    pub(crate) client: ClientUse,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) warnings: Vec<String>,
    /// Why the figures are the client's and not the server's. Not empty: they are invalid.
    pub(crate) saturated: Vec<String>,
    /// The checks that did not hold. Empty: the run is fine.
    pub(crate) failures: Vec<String>,
    pub(crate) series: Over,
    /// By the kind of time; a kind of which there were none is missing.
    pub(crate) distributions: BTreeMap<&'static str, Distribution>,
}

/// The checks: one line for each that did not hold.
pub(crate) fn failures(tally: &Tally, expects_echoes: bool, expects_deliveries: bool) -> Vec<String> {
    let counts = [
        (tally.failed, "connections could not be opened"),
        (tally.closed_by_server, "connections were ended by the server"),
        (tally.lost, "messages were lost"),
        (tally.duplicated, "messages arrived twice"),
        (tally.reordered, "messages arrived out of order"),
        (tally.corrupt, "messages came back changed or were not expected"),
        (tally.misrouted, "messages came to another room"),
        (tally.unsent, "messages were due and could not be sent"),
    ];
    let mut lines: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    for (expected, received, what) in [
        (expects_echoes, tally.received, "no message came back"),
        (expects_deliveries, tally.delivered, "nothing that was published arrived"),
    ] {
        if expected && received == 0 {
            lines.push(what.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_that_should_be_zero_fails_the_run() {
        assert!(failures(&Tally { received: 1, ..Tally::default() }, true, false).is_empty());
        assert_eq!(failures(&Tally::default(), true, true).len(), 2);
        let bad = Tally {
            failed: 1,
            closed_by_server: 1,
            lost: 1,
            duplicated: 1,
            reordered: 1,
            corrupt: 1,
            unsent: 1,
            ..Tally::default()
        };
        assert_eq!(failures(&bad, false, false).len(), 7);
    }
}

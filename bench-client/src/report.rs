//! What a run comes to: figures, checks, and both as text and JSON.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::stats::Tally;

/// Percentiles of one kind of time, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Times {
    pub(crate) count: u64,
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Times {
    /// The percentiles of a histogram of nanoseconds; `None` if it is empty.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        (!histogram.is_empty()).then(|| Self {
            count: histogram.len(),
            mean: histogram.mean() / 1000.0,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max() as f64 / 1000.0,
        })
    }
}

/// How the connections were made.
#[derive(Debug, Serialize)]
pub(crate) struct Connect {
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
    /// From the first attempt to the end of the handshake.
    pub(crate) times: Option<Times>,
}

/// What was spoken below HTTP.
#[derive(Debug, Serialize)]
pub(crate) struct TlsUse {
    pub(crate) handshakes: u64,
    pub(crate) resumed: u64,
    /// Versions with their cipher suites, and how often.
    pub(crate) spoken: BTreeMap<String, u64>,
    pub(crate) times: Option<Times>,
}

/// What the server used. Its memory is its proportional set size.
#[derive(Debug, Serialize)]
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
#[derive(Debug, Serialize)]
pub(crate) struct ClientUse {
    pub(crate) cores: f64,
    pub(crate) cpu_microseconds_per_message: Option<f64>,
    /// Share of a core of its busiest thread.
    pub(crate) busiest_thread: f64,
    /// What a connection added to its memory.
    pub(crate) bytes_per_connection: Option<f64>,
}

/// Everything about a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) mode: &'static str,
    pub(crate) url: String,
    pub(crate) load: String,
    pub(crate) connections: usize,
    pub(crate) workers: usize,
    pub(crate) own_fd_tables: bool,
    pub(crate) raw_echo: bool,
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
    pub(crate) echoes_per_second: f64,
    pub(crate) deliveries_per_second: f64,
    pub(crate) response: Option<Times>,
    pub(crate) service: Option<Times>,
    pub(crate) delivery: Option<Times>,
    pub(crate) last_delivery: Option<Times>,
    pub(crate) slip: Option<Times>,
    pub(crate) server: Option<ServerUse>,
    /// Growth of the whole machine's slab memory while connecting, per connection.
    pub(crate) kernel_slab_bytes_per_connection: Option<f64>,
    pub(crate) client: ClientUse,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) warnings: Vec<String>,
    /// The checks that did not hold. Empty: the run is fine.
    pub(crate) failures: Vec<String>,
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

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables = if self.own_fd_tables { ", each with its own fd table" } else { "" };
        writeln!(f, "{} of {}: {}", self.mode, self.url, self.load)?;
        writeln!(
            f,
            "  {} connections, {} workers{tables}, measured for {:.3} s",
            self.connections, self.workers, self.window_seconds
        )?;
        if self.raw_echo {
            writeln!(f, "  raw echo: the server sent the client's own frames back")?;
        }
        if let Some(spoken) = &self.spoken {
            writeln!(f, "  {spoken}")?;
        }
        let tally = &self.tally;
        writeln!(
            f,
            "connect       {} opened, {} failed, {} retries, in {:.2} s ({:.0}/s)",
            tally.opened, tally.failed, tally.retries, self.connect.seconds, self.connect.per_second
        )?;
        times(f, "connect time", self.connect.times)?;
        if let Some(tls) = &self.tls {
            let spoken: Vec<_> = tls.spoken.keys().map(String::as_str).collect();
            let (handshakes, resumed) = (tls.handshakes, tls.resumed);
            writeln!(
                f,
                "tls           {handshakes} handshakes, {resumed} of them resumed, {}",
                spoken.join("; ")
            )?;
            times(f, "tls handshake", tls.times)?;
        }
        if tally.sent > 0 {
            writeln!(
                f,
                "echo          {} sent, {} came back, {:.0}/s while measured",
                tally.sent, tally.received, self.echoes_per_second
            )?;
        }
        times(f, "response time", self.response)?;
        times(f, "service time", self.service)?;
        if tally.published > 0 {
            let rate = self.deliveries_per_second;
            writeln!(
                f,
                "broadcast     {} published, {} delivered, {rate:.0}/s while measured",
                tally.published, tally.delivered
            )?;
        }
        times(f, "delivery time", self.delivery)?;
        times(f, "last delivery", self.last_delivery)?;
        times(f, "sent late by", self.slip)?;
        if tally.sent + tally.published > 0 {
            writeln!(
                f,
                "checks        {} lost, {} duplicated, {} reordered, {} corrupt, {} unsent, {} timeouts",
                tally.lost, tally.duplicated, tally.reordered, tally.corrupt, tally.unsent, tally.timeouts
            )?;
        }
        writeln!(f, "closes        {} by the server", tally.closed_by_server)?;
        self.resources(f)?;
        for (sentence, count) in &self.errors {
            writeln!(f, "error         {count} × {sentence}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning       {warning}")?;
        }
        if self.interrupted {
            writeln!(f, "interrupted   the figures are those of a shorter run")?;
        }
        match &self.failures[..] {
            [] => writeln!(f, "result        fine"),
            failures => writeln!(f, "result        FAILED: {}", failures.join("; ")),
        }
    }
}

impl Report {
    fn resources(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(server) = &self.server {
            write!(f, "server        {:.2} cores", server.cores)?;
            if let Some(microseconds) = server.cpu_microseconds_per_message {
                write!(f, ", {microseconds:.3} µs of CPU per message")?;
            }
            if let Some(bytes) = server.bytes_per_connection {
                write!(f, ", {bytes:.0} B of user memory per connection")?;
            }
            writeln!(f)?;
            let mib = |bytes: Option<u64>| {
                bytes.map_or_else(|| "?".to_owned(), |bytes| format!("{:.1}", bytes as f64 / 1048576.0))
            };
            let (before, connected, end) =
                (mib(server.memory_before), mib(server.memory_connected), mib(server.memory_end));
            writeln!(
                f,
                "  memory      PSS {before} MiB before connecting, {connected} connected, {end} at the end"
            )?;
            if let (Some(bytes), rested) = (server.bytes_per_rested_connection, mib(server.memory_rested)) {
                writeln!(
                    f,
                    "  at rest     {bytes:.1} B of user memory per connection: PSS {rested} MiB after one echo on each"
                )?;
            }
        }
        if let Some(bytes) = self.kernel_slab_bytes_per_connection {
            writeln!(
                f,
                "kernel        {bytes:.0} B of slab memory per connection, whatever ends of it are on this machine (estimate: \
                 the machine's growth)"
            )?;
        }
        write!(f, "this client   {:.2} cores", self.client.cores)?;
        if let Some(microseconds) = self.client.cpu_microseconds_per_message {
            write!(f, ", {microseconds:.3} µs of CPU per message")?;
        }
        write!(f, ", busiest thread {:.0} % of a core", self.client.busiest_thread * 100.0)?;
        if let Some(bytes) = self.client.bytes_per_connection {
            write!(f, ", {bytes:.0} B of user memory per connection")?;
        }
        writeln!(f)
    }
}

fn times(f: &mut fmt::Formatter<'_>, name: &str, times: Option<Times>) -> fmt::Result {
    let Some(times) = times else { return Ok(()) };
    let Times { p50, p90, p99, p999, max, count, .. } = times;
    writeln!(
        f,
        "  {name:<14}p50 {p50:.1}  p90 {p90:.1}  p99 {p99:.1}  p99.9 {p999:.1}  max {max:.1} µs  ({count})"
    )
}

/// A histogram of nanoseconds in HdrHistogram's percentile format, values in microseconds.
pub(crate) fn hgrm(histogram: &Histogram<u64>) -> String {
    let mut text = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
    let mut below = 0;
    for step in histogram.iter_quantiles(5) {
        below += step.count_since_last_iteration();
        let (value, quantile) = (step.value_iterated_to() as f64 / 1000.0, step.quantile_iterated_to());
        // Writing to a String cannot fail.
        let _ = if quantile < 1.0 {
            writeln!(text, "{value:12.3} {quantile:2.12} {below:10} {:14.2}", 1.0 / (1.0 - quantile))
        } else {
            writeln!(text, "{value:12.3} {quantile:2.12} {below:10}")
        };
    }
    let _ = writeln!(
        text,
        "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]\n#[Max     = {:12.3}, Total count    = {:12}]",
        histogram.mean() / 1000.0,
        histogram.stdev() / 1000.0,
        histogram.max() as f64 / 1000.0,
        histogram.len()
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::histogram;

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

    #[test]
    fn percentiles_are_microseconds_and_the_file_ends_with_the_total() {
        let mut times = histogram(3);
        assert!(Times::of(&times).is_none());
        for microseconds in 1..=1000 {
            times.record(microseconds * 1000).unwrap();
        }
        let summary = Times::of(&times).unwrap();
        assert!((summary.p50 - 500.0).abs() < 1.0 && (summary.p99 - 990.0).abs() < 1.0, "{summary:?}");
        let text = hgrm(&times);
        let last = text.lines().rfind(|line| !line.starts_with('#')).unwrap();
        let words: Vec<_> = last.split_whitespace().collect();
        assert_eq!((words[1], words[2]), ("1.000000000000", "1000"), "{text}");
        assert!(text.contains("Total count    =         1000]"));
    }
}

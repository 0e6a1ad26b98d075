//! The line a second on standard error while a run is going on.

use std::io::{IsTerminal, Write, stderr};

use hdrhistogram::Histogram;

use crate::clock::SECOND;
use crate::stats::Tally;

/// Writes the progress lines: one that is written over on a terminal, one after the other elsewhere.
#[derive(Debug)]
pub(crate) struct Progress {
    is_quiet: bool,
    is_terminal: bool,
    last: Tally,
    last_at: u64,
}

impl Progress {
    pub(crate) fn new(is_quiet: bool) -> Self {
        Self { is_quiet, is_terminal: stderr().is_terminal(), last: Tally::default(), last_at: 0 }
    }

    /// Shows where the run is: the counts so far and the times of the last second.
    pub(crate) fn show(&mut self, phase: &str, now: u64, tally: Tally, times: &Histogram<u64>) {
        let seconds = now.saturating_sub(self.last_at).max(1) as f64 / SECOND as f64;
        let rate = |now: u64, before: u64| (now.saturating_sub(before) as f64 / seconds) as u64;
        let sent = rate(tally.sent + tally.published, self.last.sent + self.last.published);
        let heard = rate(tally.received + tally.delivered, self.last.received + self.last.delivered);
        (self.last, self.last_at) = (tally, now);
        if self.is_quiet {
            return;
        }
        let connected = tally.opened.saturating_sub(tally.closed_by_server);
        let mut line = format!("{:6.1}s {phase:<8} connected {connected}", now as f64 / SECOND as f64);
        if sent + heard > 0 {
            line += &format!("  out {sent}/s  in {heard}/s");
        }
        if !times.is_empty() {
            let at = |q| times.value_at_quantile(q) as f64 / 1000.0;
            line += &format!("  p50 {:.0} µs  p99 {:.0} µs", at(0.5), at(0.99));
        }
        let errors =
            tally.failed + tally.closed_by_server + tally.corrupt + tally.duplicated + tally.reordered;
        line += &format!("  errors {}", errors + tally.timeouts + tally.unsent);
        // What cannot be shown is not worth ending a run for.
        drop(if self.is_terminal {
            write!(stderr(), "\r\x1b[K{line}")
        } else {
            writeln!(stderr(), "{line}")
        });
    }

    /// Leaves the terminal's line, before anything else is written.
    pub(crate) fn end(&self) {
        if self.is_terminal && !self.is_quiet && self.last_at > 0 {
            drop(writeln!(stderr()));
        }
    }
}

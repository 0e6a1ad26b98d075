//! The line a second on standard error while a run is going on.

use std::io::{IsTerminal, Write, stderr};

use crate::series::{Causes, Interval};
use crate::stats::Tally;

/// Lines no more often than this, in seconds, however short the intervals are.
const EVERY: f64 = 0.95;

/// Writes the progress lines: one that is written over on a terminal, one after the other elsewhere.
#[derive(Debug)]
pub(crate) struct Progress {
    is_quiet: bool,
    is_terminal: bool,
    /// Whether a line stands on the terminal.
    is_open: bool,
    /// What happened since the last line.
    since: Option<Interval>,
}

impl Progress {
    pub(crate) fn new(is_quiet: bool) -> Self {
        Self { is_quiet, is_terminal: stderr().is_terminal(), is_open: false, since: None }
    }

    /// Shows what happened in an interval, and the errors so far.
    pub(crate) fn show(&mut self, interval: &Interval, sum: &Tally) {
        if self.is_quiet {
            return;
        }
        let since = match self.since.take() {
            Some(mut since) => {
                since.follow(interval.clone());
                since
            }
            None => interval.clone(),
        };
        if since.seconds < EVERY {
            self.since = Some(since);
            return;
        }
        let line = line(&since, sum);
        // What cannot be shown is not worth ending a run for. A terminal is told not to wrap the line meanwhile: of one
        // that takes two rows only the second would be written over.
        drop(if self.is_terminal {
            self.is_open = true;
            write!(stderr(), "\r\x1b[?7l\x1b[K{line}\x1b[?7h")
        } else {
            writeln!(stderr(), "{line}")
        });
    }

    /// Leaves the terminal's line, before anything else is written.
    pub(crate) fn end(&mut self) {
        if std::mem::take(&mut self.is_open) {
            drop(writeln!(stderr()));
        }
    }
}

fn line(interval: &Interval, sum: &Tally) -> String {
    let mut line = format!("{:6.1}s {:<8} open {}", interval.at, interval.phase, interval.open);
    if interval.opening > 0 {
        line += &format!(" (+{} opening)", interval.opening);
    }
    let sent = interval.rate(|tally| tally.sent + tally.published);
    let heard = interval.rate(|tally| tally.received + tally.delivered);
    if sent + heard > 0.0 {
        line += &format!("  out {sent:.0}/s  in {heard:.0}/s");
    }
    if let Some(spread) = interval.main_spread() {
        line += &format!("  p50 {:.0} µs  p99 {:.0} µs", spread.p50, spread.p99);
    }
    let causes = Causes::of(sum).named();
    let sum: u64 = causes.iter().map(|(_, count)| count).sum();
    line += &format!("  errors {sum}");
    if sum > 0 {
        let causes = causes.iter().filter(|(_, count)| *count > 0);
        let named: Vec<_> = causes.map(|(name, count)| format!("{count} {name}")).collect();
        line += &format!(" ({})", named.join(", "));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Times;
    use crate::stats::histogram;

    #[test]
    fn a_line_has_connections_rates_times_and_errors_by_cause() {
        let quiet = Interval {
            at: 3.0,
            seconds: 1.0,
            phase: "connect".into(),
            open: 7,
            opening: 2,
            ..Interval::default()
        };
        assert_eq!(line(&quiet, &Tally::default()), "   3.0s connect  open 7 (+2 opening)  errors 0");
        let mut times = histogram(2);
        times.record_n(100_000, 99).unwrap();
        times.record(3_000_000).unwrap();
        let grown = Tally { sent: 30, published: 2, received: 40, delivered: 4, ..Tally::default() };
        let busy = Interval { seconds: 2.0, opening: 0, grown, response: Times::of(&times), ..quiet };
        let sum = Tally { closed_by_server: 4, timeouts: 1, ..Tally::default() };
        let said = line(&busy, &sum);
        assert!(
            said.contains("  out 16/s  in 22/s  p50 100 µs  p99 100 µs  errors 5 (4 closed, 1 timeouts)"),
            "{said}"
        );
    }
}

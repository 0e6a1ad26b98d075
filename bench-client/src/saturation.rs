//! Whether this client, and not the server, was what a run measured. Pure; called by `summary`.
//!
//! A load generator that cannot keep up reports its own queue as the server's. Three signs of it are looked at: a
//! thread that was busy nearly all the time, a schedule that was kept late, and a loop that came late to its chores, which is
//! how late it comes to a socket as well.

use crate::distribution::Times;

/// A worker busier than this share of a core delays what it measures.
const BUSY: f64 = 0.9;
/// A schedule that is kept this late at its 99th percentile is late, in microseconds, where that is also more than a tenth of
/// what was measured: 1.2 ms of lateness in 400 ms of a stalled server change nothing.
const LATE_MIN: f64 = 1000.0;
const LATE_SHARE: f64 = 0.1;
/// A loop that is this late one time in ten lags, in microseconds, where that is also more than half of the median time.
const LAG_MIN: f64 = 10_000.0;
const LAG_SHARE: f64 = 0.5;

/// What is known of a client's own part in what it measured. Times are microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// Share of a core of the busiest thread.
    pub(crate) busiest_thread: f64,
    /// How late messages were sent.
    pub(crate) slip: Option<Times>,
    /// How late the loops came to their chores.
    pub(crate) lag: Option<Times>,
    /// What was measured with it: responses, deliveries or connects.
    pub(crate) times: Option<Times>,
}

/// Why the figures are the client's and not the server's, a sentence each; empty if they are the server's.
pub(crate) fn reasons(seen: &Seen) -> Vec<String> {
    let mut reasons = Vec::new();
    if seen.busiest_thread > BUSY {
        reasons.push(format!(
            "a thread of this client was busy {:.0} % of the time: use more --threads or cores, or less load",
            seen.busiest_thread * 100.0
        ));
    }
    let (p50, p99) = seen.times.map_or((0.0, 0.0), |times| (times.p50, times.p99));
    if let Some(slip) = seen.slip.filter(|slip| slip.p99 > LATE_MIN.max(p99 * LATE_SHARE)) {
        reasons.push(format!(
            "1 % of the messages were sent more than {:.0} µs late: this client could not keep the schedule; use more --threads or cores, or less load",
            slip.p99
        ));
    }
    if let Some(lag) = seen.lag.filter(|lag| lag.p90 > LAG_MIN.max(p50 * LAG_SHARE)) {
        reasons.push(format!(
            "one time in ten a loop of this client came more than {:.0} µs late to its sockets: it lacks CPU time",
            lag.p90
        ));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(p50: f64, p90: f64, p99: f64) -> Option<Times> {
        Some(Times { count: 9, min: p50, mean: p50, p50, p90, p99, p999: p99, p9999: p99, max: p99 })
    }

    #[test]
    fn each_sign_is_seen_alone_and_none_where_it_is_small_beside_what_was_measured() {
        let fine = Seen {
            busiest_thread: 0.9,
            slip: times(1.0, 10.0, 1000.0),
            lag: times(0.0, 10_000.0, 90_000.0),
            times: times(300.0, 400.0, 900.0),
        };
        assert!(reasons(&fine).is_empty() && reasons(&Seen::default()).is_empty());
        let stalled = times(150_000.0, 300_000.0, 400_000.0);
        for (seen, word) in [
            (Seen { busiest_thread: 0.91, ..fine }, "busy 91 %"),
            (Seen { slip: times(1.0, 10.0, 1001.0), ..fine }, "1001 µs late"),
            (Seen { slip: times(1.0, 10.0, 40_001.0), times: stalled, ..fine }, "40001 µs late"),
            (Seen { lag: times(0.0, 10_001.0, 10_001.0), ..fine }, "10001 µs late"),
        ] {
            let said = reasons(&seen);
            assert!(said.len() == 1 && said[0].contains(word), "{said:?}");
        }
        let small = Seen { slip: times(1.0, 10.0, 40_000.0), lag: times(0.0, 75_000.0, 0.0), ..fine };
        assert!(reasons(&Seen { times: stalled, ..small }).is_empty());
    }
}

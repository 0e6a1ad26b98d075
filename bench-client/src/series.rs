//! A run over time: what happened in each interval, from the first connect to the last close.
//!
//! Bounded: beyond [`INTERVALS_MAX`] two neighbours become one, so a soak of days ends with intervals of minutes. An
//! interval keeps its times as a list of values and counts, so that its percentiles stay right when it is joined with
//! another. Pure; filled by `watch`, told by `report`.

use std::borrow::Cow;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::stats::Tally;

/// Intervals kept: two hours of seconds, about 10 MB.
const INTERVALS_MAX: usize = 7200;

/// Values in nanoseconds, ascending, each with how often it was seen.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Times(Vec<(u64, u64)>);

/// Percentiles of an interval's times, in microseconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(crate) struct Spread {
    pub(crate) count: u64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Times {
    /// What a histogram of nanoseconds holds.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        Self(
            histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect(),
        )
    }

    /// Adds the times of another interval.
    pub(crate) fn join(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
        self.0.sort_unstable_by_key(|&(value, _)| value);
        self.0.dedup_by(|later, kept| {
            let is_same = later.0 == kept.0;
            kept.1 += if is_same { later.1 } else { 0 };
            is_same
        });
    }

    /// Their percentiles; `None` without any.
    pub(crate) fn spread(&self) -> Option<Spread> {
        let count: u64 = self.0.iter().map(|&(_, count)| count).sum();
        let at = |quantile: f64| {
            let wanted = ((quantile * count as f64).ceil() as u64).max(1);
            let mut below = 0;
            let found = self.0.iter().find(|&&(_, count)| {
                below += count;
                below >= wanted
            });
            found.map_or(0.0, |&(value, _)| value as f64 / 1000.0)
        };
        (count > 0).then(|| Spread { count, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1.0) })
    }
}

/// What happened in one interval, and how things stood at its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Interval {
    /// Its end, in seconds since the run began.
    pub(crate) at: f64,
    /// Its length in seconds.
    pub(crate) seconds: f64,
    /// What the run was doing at its end.
    pub(crate) phase: Cow<'static, str>,
    /// Connections open at its end.
    pub(crate) open: u64,
    /// Connections that were being opened then.
    pub(crate) opening: u64,
    /// By how much the counts grew.
    pub(crate) grown: Tally,
    pub(crate) response: Times,
    pub(crate) delivery: Times,
    /// Share of a core of the busiest of the client's threads.
    pub(crate) busiest_thread: f64,
    /// How late a loop of the client came to its chores at worst, in microseconds.
    pub(crate) loop_lag: f64,
    /// Cores the server was busy with.
    pub(crate) server_cores: Option<f64>,
    /// The server's user memory in bytes: its resident set.
    pub(crate) server_bytes: Option<u64>,
    /// Growth of the machine's slab memory since before the first connection, in bytes.
    pub(crate) slab_bytes: Option<u64>,
}

impl Interval {
    /// Adds the interval that came after this one.
    pub(crate) fn follow(&mut self, next: Self) {
        let seconds = self.seconds + next.seconds;
        let mean = |one: f64, two: f64| (one * self.seconds + two * next.seconds) / seconds.max(1e-9);
        self.busiest_thread = mean(self.busiest_thread, next.busiest_thread);
        self.server_cores =
            self.server_cores.zip(next.server_cores).map(|(one, two)| mean(one, two)).or(next.server_cores);
        self.add(&next);
        (self.at, self.seconds, self.phase) = (next.at, seconds, next.phase);
        (self.open, self.opening) = (next.open, next.opening);
        (self.server_bytes, self.slab_bytes) = (next.server_bytes, next.slab_bytes);
    }

    /// Adds what another worker did in the same interval.
    pub(crate) fn beside(&mut self, other: &Self) {
        self.add(other);
        (self.open, self.opening) = (self.open + other.open, self.opening + other.opening);
        self.busiest_thread = self.busiest_thread.max(other.busiest_thread);
        self.server_cores = self.server_cores.or(other.server_cores);
        self.server_bytes = self.server_bytes.or(other.server_bytes);
        self.slab_bytes = self.slab_bytes.max(other.slab_bytes);
    }

    fn add(&mut self, other: &Self) {
        self.grown.add(&other.grown);
        self.response.join(&other.response);
        self.delivery.join(&other.delivery);
        self.loop_lag = self.loop_lag.max(other.loop_lag);
    }

    /// So many of these a second.
    pub(crate) fn rate(&self, count: impl Fn(&Tally) -> u64) -> f64 {
        count(&self.grown) as f64 / self.seconds.max(1e-9)
    }

    /// Responses, or deliveries where there are none: what a run is asked for first.
    pub(crate) fn main_spread(&self) -> Option<Spread> {
        self.response.spread().or_else(|| self.delivery.spread())
    }
}

/// All intervals of a run.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    intervals: Vec<Interval>,
    /// Intervals that are joined into one that is kept.
    stride: u32,
    /// How many of them the last one has.
    last: u32,
}

impl Default for Series {
    fn default() -> Self {
        Self { intervals: Vec::new(), stride: 1, last: 1 }
    }
}

impl Series {
    /// Appends an interval.
    pub(crate) fn push(&mut self, interval: Interval) {
        if self.last < self.stride
            && let Some(last) = self.intervals.last_mut()
        {
            last.follow(interval);
            self.last += 1;
            return;
        }
        if self.intervals.len() == INTERVALS_MAX {
            let mut halved = Vec::with_capacity(INTERVALS_MAX / 2);
            let mut intervals = std::mem::take(&mut self.intervals).into_iter();
            while let Some(mut one) = intervals.next() {
                if let Some(two) = intervals.next() {
                    one.follow(two);
                }
                halved.push(one);
            }
            self.intervals = halved;
            self.stride *= 2;
        }
        self.intervals.push(interval);
        self.last = 1;
    }

    /// Adds what another worker did, each interval to the one of these that ends with it or next.
    pub(crate) fn beside(&mut self, other: &[Interval]) {
        for theirs in other {
            match self.intervals.iter_mut().find(|mine| mine.at > theirs.at - 1e-3) {
                Some(mine) => mine.beside(theirs),
                None => self.push(theirs.clone()),
            }
        }
    }

    /// The same as the report tells it.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.intervals.iter().map(Sample::of).collect()
    }
}

/// One interval as the report has it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sample {
    pub(crate) at_seconds: f64,
    pub(crate) seconds: f64,
    pub(crate) phase: Cow<'static, str>,
    pub(crate) open: u64,
    pub(crate) opening: u64,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) published: u64,
    pub(crate) delivered: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) errors: Causes,
    pub(crate) response: Option<Spread>,
    pub(crate) delivery: Option<Spread>,
    pub(crate) client_busiest_thread: f64,
    pub(crate) client_loop_lag: f64,
    pub(crate) server_cores: Option<f64>,
    pub(crate) server_user_bytes: Option<u64>,
    pub(crate) kernel_slab_bytes: Option<u64>,
}

/// What went wrong in an interval.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Causes {
    pub(crate) failed: u64,
    pub(crate) closed_by_server: u64,
    pub(crate) corrupt: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    pub(crate) timeouts: u64,
    pub(crate) unsent: u64,
}

impl Causes {
    /// The counts of these that are errors.
    pub(crate) fn of(tally: &Tally) -> Self {
        let &Tally { failed, closed_by_server, corrupt, duplicated, reordered, timeouts, unsent, .. } = tally;
        Self { failed, closed_by_server, corrupt, duplicated, reordered, timeouts, unsent }
    }

    /// Each under the name a person reads.
    pub(crate) fn named(&self) -> [(&'static str, u64); 7] {
        [
            ("not opened", self.failed),
            ("closed", self.closed_by_server),
            ("corrupt", self.corrupt),
            ("duplicated", self.duplicated),
            ("reordered", self.reordered),
            ("timeouts", self.timeouts),
            ("unsent", self.unsent),
        ]
    }
}

impl Sample {
    fn of(interval: &Interval) -> Self {
        let grown = &interval.grown;
        Self {
            at_seconds: interval.at,
            seconds: interval.seconds,
            phase: interval.phase.clone(),
            open: interval.open,
            opening: interval.opening,
            sent: grown.sent,
            received: grown.received,
            published: grown.published,
            delivered: grown.delivered,
            bytes_in: grown.bytes_in,
            bytes_out: grown.bytes_out,
            errors: Causes::of(grown),
            response: interval.response.spread(),
            delivery: interval.delivery.spread(),
            client_busiest_thread: interval.busiest_thread,
            client_loop_lag: interval.loop_lag,
            server_cores: interval.server_cores,
            server_user_bytes: interval.server_bytes,
            kernel_slab_bytes: interval.slab_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::histogram;

    fn interval(at: f64, values: &[u64]) -> Interval {
        let mut histogram = histogram(2);
        for &value in values {
            histogram.record(value).unwrap();
        }
        let grown = Tally { received: values.len() as u64, ..Tally::default() };
        Interval { at, seconds: 1.0, open: 5, grown, response: Times::of(&histogram), ..Interval::default() }
    }

    #[test]
    fn percentiles_of_joined_intervals_are_those_of_all_their_times() {
        let mut one = interval(1.0, &[1000, 1000, 2000]);
        one.follow(interval(2.0, &[1000, 9000, 500_000]));
        let spread = one.response.spread().unwrap();
        assert_eq!(spread.count, 6);
        for (figure, about) in [(spread.p50, 1.0), (spread.p90, 500.0), (spread.max, 500.0)] {
            assert!((figure / about - 1.0).abs() < 0.02, "{spread:?}");
        }
        assert_eq!((one.at, one.seconds, one.open, one.grown.received), (2.0, 2.0, 5, 6));
        assert_eq!(interval(1.0, &[]).response.spread(), None);
    }

    #[test]
    fn a_long_run_keeps_its_sums_in_fewer_and_longer_intervals() {
        let mut series = Series::default();
        let seconds = 5 * INTERVALS_MAX + 3;
        for second in 1..=seconds {
            series.push(interval(second as f64, &[second as u64]));
            assert!(series.intervals.len() <= INTERVALS_MAX);
        }
        let samples = series.samples();
        assert_eq!(samples.iter().map(|sample| sample.received).sum::<u64>(), seconds as u64);
        let lengths: f64 = samples.iter().map(|sample| sample.seconds).sum();
        assert_eq!((lengths, samples.last().unwrap().at_seconds), (seconds as f64, seconds as f64));
        assert!(samples.iter().rev().skip(1).all(|sample| sample.seconds == 8.0), "{:?}", samples[0]);
    }
}

//! How the last tenth of a run differs from its first: what a leak or a slow decay looks like. Made by `summary` of the series.

use std::fmt;

use serde::Serialize;

use crate::series::Sample;

/// One tenth.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(crate) struct Tenth {
    /// Medians over its intervals, in microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// The server's user memory at its end.
    pub(crate) server_bytes: Option<u64>,
}

/// Both.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(crate) struct Drift {
    pub(crate) first: Tenth,
    pub(crate) last: Tenth,
}

impl Drift {
    /// Of the intervals that were measured; `None` with fewer than ten.
    pub(crate) fn of(samples: &[Sample]) -> Option<Self> {
        let measured: Vec<_> =
            samples.iter().filter(|sample| sample.phase == "measure" && sample.response.is_some()).collect();
        let tenth = measured.len() / 10;
        (tenth > 0).then(|| Self {
            first: Tenth::of(&measured[..tenth]),
            last: Tenth::of(&measured[measured.len() - tenth..]),
        })
    }
}

impl Tenth {
    fn of(samples: &[&Sample]) -> Self {
        let median = |point: fn(&Sample) -> Option<f64>| {
            let mut points: Vec<_> = samples.iter().filter_map(|sample| point(sample)).collect();
            points.sort_by(f64::total_cmp);
            points.get(points.len() / 2).copied().unwrap_or_default()
        };
        Self {
            p50: median(|sample| sample.response.map(|times| times.p50)),
            p99: median(|sample| sample.response.map(|times| times.p99)),
            server_bytes: samples.last().and_then(|sample| sample.server_user_bytes),
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        write!(f, "p50 {:.1} to {:.1} µs, p99 {:.1} to {:.1} µs", first.p50, last.p50, first.p99, last.p99)?;
        if let (Some(before), Some(after)) = (first.server_bytes, last.server_bytes) {
            let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
            write!(f, ", server {:.1} to {:.1} MiB", mib(before), mib(after))?;
        }
        f.write_str(", first tenth to last")
    }
}

//! A histogram of nanoseconds as people and tools read it: its percentiles, HdrHistogram's percentile format, and the
//! whole of it in HdrHistogram's own encoding, which others merge and compare.
//!
//! Pure. Called when a run is over, and by the progress line.

use std::fmt::{self, Write};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::Serialize;

/// Percentiles of one kind of time, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Times {
    pub(crate) count: u64,
    pub(crate) min: f64,
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) p9999: f64,
    pub(crate) max: f64,
}

impl Times {
    /// The percentiles of a histogram of nanoseconds; `None` if it is empty.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        (!histogram.is_empty()).then(|| Self {
            count: histogram.len(),
            min: histogram.min() as f64 / 1000.0,
            mean: histogram.mean() / 1000.0,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max() as f64 / 1000.0,
        })
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p90, p99, p999, max, count, .. } = self;
        write!(f, "p50 {p50:.1}  p90 {p90:.1}  p99 {p99:.1}  p99.9 {p999:.1}  max {max:.1} µs  ({count})")
    }
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

/// The whole of a histogram: in HdrHistogram's V2 encoding, deflated, as base64. Exact to its last count.
pub(crate) fn encoded(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut bytes).expect("memory takes every histogram");
    BASE64_STANDARD.encode(bytes)
}

/// Reads what [`encoded`] wrote, or another of HdrHistogram's writers.
///
/// # Errors
/// That it is no such histogram.
pub(crate) fn decoded(text: &str) -> Result<Histogram<u64>, String> {
    let wrong = |error: String| format!("no HdrHistogram in base64: {error}");
    let bytes = BASE64_STANDARD.decode(text).map_err(|error| wrong(error.to_string()))?;
    Deserializer::new().deserialize(&mut &bytes[..]).map_err(|error| wrong(error.to_string()))
}

/// A whole distribution, to be drawn, merged and compared.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Distribution {
    /// As [`encoded`]; its values are nanoseconds.
    pub(crate) hdr: String,
    pub(crate) percentiles: Vec<Point>,
}

/// So much of all (from 0 to 1) took so long at most, which was so many times.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(crate) struct Point {
    pub(crate) quantile: f64,
    pub(crate) microseconds: f64,
    pub(crate) count: u64,
}

impl Distribution {
    /// `None` without a time in it.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let percentiles = points(histogram);
        (!histogram.is_empty()).then(|| Self { hdr: encoded(histogram), percentiles })
    }
}

/// The curve of a histogram of nanoseconds: five points for each halving of what is above.
pub(crate) fn points(histogram: &Histogram<u64>) -> Vec<Point> {
    let mut below = 0;
    let point = |step: hdrhistogram::iterators::IterationValue<u64>| {
        below += step.count_since_last_iteration();
        let microseconds = step.value_iterated_to().min(histogram.max()) as f64 / 1000.0;
        Point { quantile: step.quantile_iterated_to(), microseconds, count: below }
    };
    histogram.iter_quantiles(5).map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::histogram;

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

    #[test]
    fn a_distribution_comes_back_to_the_last_count() {
        let mut times = histogram(3);
        for value in 1..=5000 {
            times.record_n(value * 777, value).unwrap();
        }
        let distribution = Distribution::of(&times).unwrap();
        assert_eq!(decoded(&distribution.hdr).unwrap(), times);
        for wrong in ["", "!", "AAAA"] {
            assert!(decoded(wrong).is_err(), "{wrong}");
        }
        let last = distribution.percentiles.last().unwrap();
        assert_eq!((last.quantile, last.count), (1.0, times.len()));
        let is_rising =
            |points: &[Point]| points.is_sorted_by(|a, b| a.quantile <= b.quantile && a.count <= b.count);
        assert!(is_rising(&distribution.percentiles) && distribution.percentiles.len() > 40);
        assert!(Distribution::of(&histogram(3)).is_none());
    }
}

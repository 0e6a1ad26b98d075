//! How far many connections were by when: the shares of them that were open after so many seconds. Made by `summary`.

use std::fmt;

use hdrhistogram::Histogram;
use serde::Serialize;

/// When how many of them were open, in seconds since the beginning, or since they were cut.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(crate) struct Curve {
    /// Connections that were to be open.
    pub(crate) wanted: u64,
    /// Those that were.
    pub(crate) open: u64,
    /// `None`: so many never were.
    pub(crate) p10: Option<f64>,
    pub(crate) p50: Option<f64>,
    pub(crate) p90: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) p100: Option<f64>,
}

impl Curve {
    /// The curve of `wanted` connections, each of which that came to be open has its time in a histogram of nanoseconds.
    pub(crate) fn of(times: &Histogram<u64>, wanted: u64) -> Self {
        let open = times.len();
        let at = |percent: u64| {
            // The connection that makes the share whole.
            let nth = (wanted * percent).div_ceil(100);
            (nth > 0 && nth <= open)
                .then(|| times.value_at_quantile(nth as f64 / open as f64).min(times.max()) as f64 / 1e9)
        };
        Self { wanted, open, p10: at(10), p50: at(50), p90: at(90), p99: at(99), p100: at(100) }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.open, self.wanted)?;
        let points =
            [("10", self.p10), ("50", self.p50), ("90", self.p90), ("99", self.p99), ("100", self.p100)];
        for (percent, seconds) in points {
            match seconds {
                Some(seconds) => write!(f, "  {percent} % after {seconds:.3} s")?,
                None => write!(f, "  {percent} % never")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::histogram;

    #[test]
    fn a_share_is_reached_by_the_connection_that_makes_it_whole_or_never() {
        let mut times = histogram(3);
        for second in 1..=90 {
            times.record(second * 1_000_000_000).unwrap();
        }
        let curve = Curve::of(&times, 100);
        let about = |point: Option<f64>, seconds: f64| point.is_some_and(|at| (at - seconds).abs() < 0.2);
        assert!(about(curve.p10, 10.0) && about(curve.p50, 50.0) && about(curve.p90, 90.0), "{curve}");
        assert_eq!((curve.p99, curve.p100), (None, None));
        assert!(curve.to_string().starts_with("90 of 100") && curve.to_string().ends_with("100 % never"));
        assert_eq!(Curve::of(&histogram(3), 0).p100, None);
    }
}

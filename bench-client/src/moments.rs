//! The times since somebody last looked: what a worker hands to the main thread a few times a second.

use hdrhistogram::Histogram;

use crate::stats::{Stats, histogram};

/// A histogram of nanoseconds, two digits each, for every kind of time that is watched while it goes on.
#[derive(Debug)]
pub(crate) struct Moments {
    pub(crate) response: Histogram<u64>,
    pub(crate) service: Histogram<u64>,
    pub(crate) delivery: Histogram<u64>,
    /// How late the loop came to its chores.
    pub(crate) lag: Histogram<u64>,
}

impl Moments {
    pub(crate) fn new() -> Self {
        Self { response: histogram(2), service: histogram(2), delivery: histogram(2), lag: histogram(2) }
    }

    /// Takes what was recorded since the last time.
    pub(crate) fn take(&mut self, stats: &mut Stats) {
        stats.response.drain_live(&mut self.response);
        stats.service.drain_live(&mut self.service);
        stats.delivery.drain_live(&mut self.delivery);
        stats.lag.drain_live(&mut self.lag);
    }

    /// Moves everything into `into`.
    pub(crate) fn drain(&mut self, into: &mut Self) {
        for (mine, theirs) in [
            (&mut self.response, &mut into.response),
            (&mut self.service, &mut into.service),
            (&mut self.delivery, &mut into.delivery),
            (&mut self.lag, &mut into.lag),
        ] {
            if !mine.is_empty() {
                theirs.add(&*mine).expect("all of them have the same bounds");
                mine.reset();
            }
        }
    }

    /// Forgets everything.
    pub(crate) fn reset(&mut self) {
        for times in [&mut self.response, &mut self.service, &mut self.delivery, &mut self.lag] {
            times.reset();
        }
    }
}

//! One time scale for a whole run: nanoseconds since it began, the same on every thread.

use std::time::Instant;

/// The run's clock; cheap to copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: Instant,
}

/// Nanoseconds in a second, for arithmetic on the clock's readings.
pub(crate) const SECOND: u64 = 1_000_000_000;

impl Clock {
    /// A clock that reads 0 now.
    pub(crate) fn start() -> Self {
        Self { epoch: Instant::now() }
    }

    /// Nanoseconds since the start; 2⁶⁴ of them last 584 years.
    pub(crate) fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }
}

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

    /// The same clock, reading `ahead` nanoseconds less, or more if that is negative.
    pub(crate) fn set_back(self, ahead: i64) -> Self {
        let by = std::time::Duration::from_nanos(ahead.unsigned_abs());
        let epoch = if ahead < 0 { self.epoch.checked_sub(by) } else { self.epoch.checked_add(by) };
        Self { epoch: epoch.unwrap_or(self.epoch) }
    }

    /// Nanoseconds since the start; 2⁶⁴ of them last 584 years.
    pub(crate) fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_set_back_and_forth() {
        let clock = Clock::start();
        let ahead = clock.set_back(-5_000_000_000);
        assert!(ahead.now() >= 5 * SECOND && ahead.now() < clock.now() + 6 * SECOND);
        assert!(ahead.set_back(5_000_000_000).now() < 4 * SECOND);
    }
}

//! One time scale for a whole run: nanoseconds since it began, the same on every thread.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The run's clock; cheap to copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: Instant,
}

/// What two processes of one machine have in common: the clock that their own ones go by.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// Which machine since it started, and which of its time namespaces.
    machine: String,
    /// What its monotonic clock read when the process's own read 0.
    pub(crate) at: i64,
    /// By how much that may be wrong.
    pub(crate) error: u64,
}

impl Origin {
    /// Whether both go by the same clock.
    pub(crate) fn is_same_machine(&self, other: &Self) -> bool {
        !self.machine.is_empty() && self.machine == other.machine
    }
}

/// Nanoseconds in a second, for arithmetic on the clock's readings.
pub(crate) const SECOND: u64 = 1_000_000_000;
/// How often it is compared with its machine's.
const READINGS: usize = 16;

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

    /// What it is by the clock of its machine.
    pub(crate) fn origin(&self) -> Origin {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let namespace = std::fs::read_link("/proc/self/ns/time");
        let machine = boot.and_then(|boot| Ok(format!("{} {}", boot.trim(), namespace?.display())));
        // Of some readings in between two others, the one with the least between those.
        let readings = (0..READINGS).map(|_| {
            let before = self.now();
            let time = clock_gettime(ClockId::Monotonic);
            let between = self.now() - before;
            let read = time.tv_sec * SECOND as i64 + time.tv_nsec;
            (between.div_ceil(2), read - (before + between / 2) as i64)
        });
        let (error, at) = readings.min().unwrap_or_default();
        Origin { machine: machine.unwrap_or_default(), at, error }
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

    #[test]
    fn two_clocks_of_one_machine_are_told_apart_by_their_origins() {
        let one = Clock::start();
        let two = one.set_back(-7_000_000);
        let (mine, its) = (one.origin(), two.origin());
        assert!(mine.is_same_machine(&its));
        assert!((mine.at - its.at).abs_diff(7_000_000) <= mine.error + its.error, "{mine:?} {its:?}");
        let nowhere = Origin { machine: String::new(), ..mine.clone() };
        assert!(!nowhere.is_same_machine(&nowhere) && !mine.is_same_machine(&nowhere));
    }
}

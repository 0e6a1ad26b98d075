//! How long a client that lost its connection waits before it tries again, and the flags about it.

use std::time::Duration;

use clap::Args;

use crate::random::Random;
use crate::share;
use crate::units;

/// Flags about coming back.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Backoff {
    /// How long to wait before the second attempt at coming back (where the server or the network cut the connection: before
    /// the first); twice as long before every further one
    #[arg(id = "backoff", long = "backoff", value_name = "TIME", default_value = "1s", value_parser = units::duration)]
    first: Duration,
    /// The longest such wait
    #[arg(id = "backoff_max", long = "backoff-max", value_name = "TIME", default_value = "5s", value_parser = units::duration)]
    max: Duration,
    /// How far each wait is drawn from that, to either side, so that not all come back at once
    #[arg(id = "jitter", long = "jitter", value_name = "PERCENT", default_value = "50%", value_parser = share::parse)]
    jitter: f64,
}

impl Backoff {
    /// Nanoseconds until the next attempt, after so many that failed.
    pub(crate) fn wait(&self, failed: u8, random: &mut Random) -> u64 {
        // 2³² times any wait is beyond its maximum.
        let doubled = (self.first.as_nanos() as u64).saturating_mul(1 << failed.min(32));
        let wait = doubled.min(self.max.as_nanos() as u64) as f64;
        (wait * (1.0 + self.jitter * (2.0 * random.fraction() - 1.0))) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_maximum_and_are_drawn_around_it() {
        let even = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(5), jitter: 0.0 };
        let mut random = Random::new(1);
        let waits = [0, 1, 2, 3, 40, 255].map(|failed| even.wait(failed, &mut random) / 1_000_000_000);
        assert_eq!(waits, [1, 2, 4, 5, 5, 5]);
        let drawn = Backoff { jitter: 0.5, ..even };
        let waits: Vec<_> = (0..1000).map(|_| drawn.wait(1, &mut random) / 1_000_000).collect();
        assert!(waits.iter().all(|wait| (1000..=3000).contains(wait)));
        assert!(waits.iter().min() < Some(&1100) && waits.iter().max() > Some(&2900));
    }
}

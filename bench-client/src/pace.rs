//! The flags about an open loop's schedule. `cli` has them, `settings` and `outbound` ask.

use std::time::Duration;

use clap::Args;

use crate::units;

/// When the messages of an open loop are due.
#[derive(Args, Clone, Debug)]
pub(crate) struct Pace {
    /// Open loop: messages that fall due within so long of each other are due, and sent, together, on different
    /// connections; each worker wakes once for them. The rate stays exact, times count from the beginning of the tick,
    /// and what is sent later than that is told under `sent late by`. 0: every message at its own time, for twice the
    /// CPU time
    #[arg(long, value_name = "TIME", default_value = "1ms", value_parser = units::duration)]
    tick: Duration,
    /// Open loop: messages come evenly, on one connection after the other, or as a Poisson process does, each on a connection
    /// drawn at random, as those of many independent users would
    #[arg(long, value_enum, default_value_t)]
    pub(crate) arrivals: Arrivals,
    /// What decides on everything that is drawn at random: with the same seed, the same messages are due at the same times
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// How messages follow each other.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Arrivals {
    /// Evenly.
    #[default]
    Constant,
    /// At random, with the rate as their mean.
    Poisson,
}

impl Pace {
    /// The tick in nanoseconds, at least one.
    pub(crate) fn tick(&self) -> u64 {
        self.tick.as_nanos().max(1) as u64
    }
}

/// Where there is no schedule, or one that every message keeps for itself.
impl Default for Pace {
    fn default() -> Self {
        Self { tick: Duration::ZERO, arrivals: Arrivals::Constant, seed: 1 }
    }
}

//! Some connections read slowly while something is published to all and the others echo.

use std::time::Duration;

use clap::Args;

use crate::asked::Asked;
use crate::cli::rate;
use crate::pace::Pace;
use crate::settings::{Load, Publish};
use crate::share;
use crate::slow::Slow;
use crate::spoken::Publishes;
use crate::talk::Talk;
use crate::units;

/// The flags.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    #[command(flatten)]
    talk: Talk,
    #[command(flatten)]
    publishes: Publishes,
    /// Connections that read slowly
    #[arg(long, value_name = "PERCENT", default_value = "10%", value_parser = share::some)]
    slow: f64,
    /// Bytes a second that each of them reads
    #[arg(long, value_name = "BYTES", default_value = "1KiB", value_parser = units::bytes)]
    slow_rate: usize,
    /// Echo messages per second over the other connections, open loop
    #[arg(long, value_name = "N", default_value = "1k", value_parser = rate, conflicts_with = "no_echo")]
    rate: u64,
    /// Publish alone: for servers that do not echo as well (a topic of throng's, /topic/NAME)
    #[arg(long)]
    no_echo: bool,
    #[command(flatten)]
    pace: Pace,
    /// Time between two publishes
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = units::duration)]
    broadcast_every: Duration,
    /// Messages published at once
    #[arg(long, value_name = "B", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    burst: u32,
}

impl Flags {
    pub(crate) fn asked(self) -> Asked {
        let Self { talk, publishes, slow, slow_rate, rate, no_echo, pace, .. } = self;
        let mut asked = talk.asked("slow");
        asked.said.publishes = Some(publishes);
        Asked {
            throng_path: if no_echo { "/topic/bench" } else { "/bench" },
            load: if no_echo { Load::None } else { Load::Open(rate) },
            publish: Some(Publish { every: self.broadcast_every.as_nanos() as u64, burst: self.burst }),
            pace,
            slow: Some(Slow { share: slow, bytes_per_second: slow_rate.max(1) as u64 }),
            ..asked
        }
    }
}

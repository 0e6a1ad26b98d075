//! A long run at a modest load, and how its last tenth differs from its first.

use clap::Args;

use crate::asked::Asked;
use crate::cli::rate;
use crate::pace::Pace;
use crate::settings::Load;
use crate::talk::AckedTalk;

/// The flags.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    #[command(flatten)]
    talk: AckedTalk,
    /// Messages per second over all connections, open loop
    #[arg(long, value_name = "N", default_value = "1k", value_parser = rate)]
    rate: u64,
    #[command(flatten)]
    pace: Pace,
}

impl Flags {
    pub(crate) fn asked(self) -> Asked {
        let Self { talk, rate, pace } = self;
        Asked { load: Load::Open(rate), pace, is_soak: true, ..talk.asked("soak") }
    }
}

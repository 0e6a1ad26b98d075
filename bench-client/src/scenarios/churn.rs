//! Connections that come and go while the others go on.

use clap::Args;

use crate::asked::Asked;
use crate::backoff::Backoff;
use crate::cli::rate;
use crate::disruption::{Disruption, Endings};
use crate::pace::Pace;
use crate::settings::Load;
use crate::share;
use crate::talk::AckedTalk;

/// The flags.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    #[command(flatten)]
    talk: AckedTalk,
    /// Connections that are ended and replaced every second
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = share::some)]
    churn: f64,
    /// How they are ended: by turns with a closing handshake and by a reset, or always the one or the other
    #[arg(long, value_enum, default_value_t)]
    ending: Endings,
    #[command(flatten)]
    backoff: Backoff,
    /// Echo messages per second over all connections, open loop
    #[arg(long, value_name = "N", default_value = "1k", value_parser = rate)]
    rate: u64,
    #[command(flatten)]
    pace: Pace,
}

impl Flags {
    pub(crate) fn asked(self) -> Asked {
        let Self { talk, churn, ending, backoff, rate, pace } = self;
        Asked {
            load: Load::Open(rate),
            pace,
            disruption: Some((Disruption::Churn(churn, ending), backoff)),
            ..talk.asked("churn")
        }
    }
}

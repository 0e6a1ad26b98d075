//! A long run at a modest load, and how its last tenth differs from its first.

use clap::Args;

use crate::asked::Asked;
use crate::cli::{Common, Message, rate};
use crate::pace::Pace;
use crate::settings::Load;
use crate::spoken::{Events, Said, Spoken};

/// The flags.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    message: Message,
    #[command(flatten)]
    spoken: Spoken,
    #[command(flatten)]
    events: Events,
    /// Socket.IO: the event is answered by its ack, which carries the argument back
    #[arg(long)]
    ack: bool,
    /// Messages per second over all connections, open loop
    #[arg(long, value_name = "N", default_value = "1k", value_parser = rate)]
    rate: u64,
    #[command(flatten)]
    pace: Pace,
}

impl Flags {
    pub(crate) fn asked(self) -> Asked {
        let Self { common, message, spoken, events, ack, rate, pace } = self;
        Asked {
            message,
            said: Said { spoken, events, is_acked: ack, ..Said::default() },
            load: Load::Open(rate),
            pace,
            is_soak: true,
            ..Asked::new("soak", common)
        }
    }
}

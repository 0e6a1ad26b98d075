//! Connections that come and go while the others go on.

use clap::Args;

use crate::asked::Asked;
use crate::backoff::Backoff;
use crate::cli::{Common, Message, rate};
use crate::disruption::{Disruption, Endings};
use crate::pace::Pace;
use crate::settings::Load;
use crate::share;
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
        let Self { common, message, spoken, events, ack, churn, ending, backoff, rate, pace } = self;
        Asked {
            message,
            said: Said { spoken, events, is_acked: ack, ..Said::default() },
            load: Load::Open(rate),
            pace,
            disruption: Some((Disruption::Churn(churn, ending), backoff)),
            ..Asked::new("churn", common)
        }
    }
}

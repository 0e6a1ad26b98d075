//! Round trips of Socket.IO: an event, answered by its ack.

use clap::Args;

use crate::asked::Asked;
use crate::cli::{Common, Message, rate};
use crate::pace::Pace;
use crate::settings::Load;
use crate::spoken::{Events, Protocol, Said, Spoken};

/// Where throng's own binary acks.
const THRONG_NAMESPACE: &str = "/bench";

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
    /// Open loop: events per second over all connections. Without it: closed loop
    #[arg(long, value_name = "N", value_parser = rate, conflicts_with = "pipeline")]
    rate: Option<u64>,
    #[command(flatten)]
    pace: Pace,
    /// Closed loop: events each connection keeps in flight
    #[arg(long, value_name = "D", default_value_t = 1, conflicts_with_all = ["tick", "arrivals"], value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pipeline: u32,
}

impl Flags {
    pub(crate) fn asked(self) -> Asked {
        let Self { common, message, mut spoken, events, rate, pace, pipeline } = self;
        spoken.protocol = Protocol::Socketio;
        if common.url.is_none() {
            spoken.namespace.get_or_insert_with(|| THRONG_NAMESPACE.to_owned());
        }
        Asked {
            message,
            said: Said { spoken, events, is_acked: true, ..Said::default() },
            load: rate.map_or(Load::Closed(pipeline), Load::Open),
            pace,
            ..Asked::new("ack", common)
        }
    }
}

//! Round trips of Socket.IO: an event, answered by its ack.

use clap::Args;

use crate::asked::Asked;
use crate::cli::rate;
use crate::pace::Pace;
use crate::settings::Load;
use crate::spoken::Protocol;
use crate::talk::Talk;

/// Where throng's own binary acks.
const THRONG_NAMESPACE: &str = "/bench";

/// The flags.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    #[command(flatten)]
    talk: Talk,
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
        let Self { mut talk, rate, pace, pipeline } = self;
        talk.spoken.protocol = Protocol::Socketio;
        if talk.common.url.is_none() {
            talk.spoken.namespace.get_or_insert_with(|| THRONG_NAMESPACE.to_owned());
        }
        let mut asked = talk.asked("ack");
        asked.said.is_acked = true;
        Asked { load: rate.map_or(Load::Closed(pipeline), Load::Open), pace, ..asked }
    }
}

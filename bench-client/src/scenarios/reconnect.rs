//! All connections are cut at one moment, and come back as clients do.

use std::time::Duration;

use clap::Args;

use crate::asked::Asked;
use crate::backoff::Backoff;
use crate::cli::rate;
use crate::disruption::{By, Disruption};
use crate::pace::Pace;
use crate::settings::Load;
use crate::share;
use crate::talk::AckedTalk;
use crate::units;

/// The flags.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    #[command(flatten)]
    talk: AckedTalk,
    /// Connections that this client cuts, by a reset
    #[arg(long, value_name = "PERCENT", default_value = "100%", value_parser = share::some, conflicts_with_all = ["kill_server", "by_server"])]
    share: f64,
    /// When they are cut, counted from when measuring began
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = units::duration)]
    after: Duration,
    /// Instead of cutting connections, kill the throng that this client started (SIGKILL), and start it again after --down
    #[arg(long, conflicts_with_all = ["by_server", "url"])]
    kill_server: bool,
    /// How long a killed server is down
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = units::duration, requires = "kill_server")]
    down: Duration,
    /// Cut nothing: wait for the server to end the connections, or to be restarted. Recovery counts from the first that is lost
    #[arg(long)]
    by_server: bool,
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
        let Self { talk, share, after, backoff, rate, pace, .. } = self;
        let by = match (self.kill_server, self.by_server) {
            (true, _) => By::Kill(self.down.as_nanos() as u64),
            (_, true) => By::Server,
            _ => By::Client,
        };
        let cut = Disruption::Cut { share, after: after.as_nanos() as u64, by };
        Asked { load: Load::Open(rate), pace, disruption: Some((cut, backoff)), ..talk.asked("reconnect") }
    }
}

//! Rooms in which everybody talks.

use clap::Args;

use crate::asked::Asked;
use crate::cli::{Common, Message, rate};
use crate::pace::Pace;
use crate::rooms::Rooms;
use crate::settings::Load;

/// The flags.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    message: Message,
    /// Rooms. Where a URL is given, ${room} stands in it for the number of a connection's room, as in ws://HOST/topic/r-${room};
    /// what is sent on such a path has to come to all others there
    #[arg(long, value_name = "R", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rooms: u32,
    /// Members of each room; --connections is what this comes to
    #[arg(long, value_name = "M", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    members: u32,
    /// Messages per second that are sent over all connections, open loop; each goes to all others in its room
    #[arg(long, value_name = "N", default_value = "500", value_parser = rate)]
    rate: u64,
    #[command(flatten)]
    pace: Pace,
}

impl Flags {
    pub(crate) fn asked(self) -> Asked {
        let Self { mut common, message, rooms, members, rate, pace } = self;
        common.connections = rooms as usize * members as usize;
        Asked {
            throng_path: "/topic/bench-${csv.room}",
            message,
            load: Load::Open(rate),
            pace,
            rooms: Some(Rooms { count: rooms, members }),
            ..Asked::new("rooms", common)
        }
    }
}

//! Rooms in which everybody talks.

use clap::Args;

use crate::asked::Asked;
use crate::cli::{Common, Message, rate};
use crate::pace::Pace;
use crate::rooms::Rooms;
use crate::settings::Load;
use crate::spoken::{Events, Protocol, Said, Spoken};

/// Where throng's own binary has rooms, and what is said there.
const THRONG_NAMESPACE: &str = "/bench";
const EVENT: &str = "say";

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
    /// Rooms. Where a URL is given, ${room} stands in it for the number of a connection's room, as in ws://HOST/topic/r-${room};
    /// what is sent on such a path has to come to all others there. It may stand in --namespace or --on-open instead (in a
    /// script's file as ${csv.room}). In Socket.IO without any of these a connection emits `join` with `bench-${room}`, waits
    /// until that comes back as `joined`, and what is said is the event `say`
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
        let Self { mut common, message, mut spoken, mut events, rooms, members, rate, pace } = self;
        if spoken.protocol == Protocol::Socketio {
            events.event.get_or_insert_with(|| EVENT.to_owned());
            if common.url.is_none() {
                spoken.namespace.get_or_insert_with(|| THRONG_NAMESPACE.to_owned());
            }
        }
        common.connections = rooms as usize * members as usize;
        Asked {
            throng_path: "/topic/bench-${csv.room}",
            message,
            said: Said { spoken, events, ..Said::default() },
            load: Load::Open(rate),
            pace,
            rooms: Some(Rooms { count: rooms, members }),
            ..Asked::new("rooms", common)
        }
    }
}

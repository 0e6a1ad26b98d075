//! What each mode asks for: its flags in the form that is common to all of them, not checked yet. Called by `settings`.

use crate::backoff::Backoff;
use crate::cli::{Common, Message, Mode};
use crate::clock::SECOND;
use crate::disruption::Disruption;
use crate::pace::Pace;
use crate::rooms::Rooms;
use crate::settings::{Load, Publish};
use crate::slow::Slow;
use crate::spoken::Said;

/// A mode and its flags.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) mode: &'static str,
    /// The path throng serves it at.
    pub(crate) throng_path: &'static str,
    pub(crate) common: Common,
    pub(crate) message: Message,
    pub(crate) said: Said,
    pub(crate) load: Load,
    pub(crate) publish: Option<Publish>,
    pub(crate) pace: Pace,
    pub(crate) is_raw: bool,
    /// The connecting is what is measured.
    pub(crate) is_storm: bool,
    /// What ends connections on purpose, and how they come back.
    pub(crate) disruption: Option<(Disruption, Backoff)>,
    /// Who reads slowly.
    pub(crate) slow: Option<Slow>,
    /// Who talks to whom.
    pub(crate) rooms: Option<Rooms>,
    /// How the end differs from the beginning is told.
    pub(crate) is_soak: bool,
}

impl Asked {
    /// A mode that sends nothing.
    pub(crate) fn new(mode: &'static str, common: Common) -> Self {
        Self {
            mode,
            throng_path: "/",
            common,
            message: Message::default(),
            said: Said::default(),
            load: Load::None,
            publish: None,
            pace: Pace::default(),
            is_raw: false,
            is_storm: false,
            disruption: None,
            slow: None,
            rooms: None,
            is_soak: false,
        }
    }

    /// What a mode asks for.
    pub(crate) fn of(mode: Mode) -> Self {
        match mode {
            Mode::Idle { common, spoken } => {
                Self { said: Said { spoken, ..Said::default() }, ..Self::new("idle", common) }
            }
            Mode::Connect(flags) => flags.asked(),
            Mode::Ack(flags) => flags.asked(),
            Mode::Churn(flags) => flags.asked(),
            Mode::Slow(flags) => flags.asked(),
            Mode::Rooms(flags) => flags.asked(),
            Mode::Soak(flags) => flags.asked(),
            Mode::FindMax(flags) => flags.first(),
            Mode::Reconnect(flags) => flags.asked(),
            Mode::Memory { talk, rate } => Self { load: Load::Once(rate), ..talk.asked("memory") },
            Mode::Echo { talk, rate, pace, pipeline, raw_echo } => Self {
                load: rate.map_or(Load::Closed(pipeline), Load::Open),
                pace,
                is_raw: raw_echo,
                ..talk.asked("echo")
            },
            Mode::Broadcast { talk, every, rate, burst } => {
                let every = rate.map_or(every.as_nanos() as u64, |rate| SECOND / rate);
                Self {
                    throng_path: "/topic/bench",
                    publish: Some(Publish { every, burst }),
                    ..talk.asked("broadcast")
                }
            }
            Mode::Mixed { talk, publishes, ack, rate, pace, broadcast_every, burst } => {
                let every = broadcast_every.as_nanos() as u64;
                let mut asked = talk.asked("mixed");
                (asked.said.publishes, asked.said.is_acked) = (Some(publishes), ack);
                Self {
                    throng_path: "/bench",
                    load: Load::Open(rate),
                    publish: Some(Publish { every, burst }),
                    pace,
                    ..asked
                }
            }
        }
    }
}

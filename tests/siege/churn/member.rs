//! One who speaks and hears: alone with an echo, or in a topic or a room with others.

use std::time::Instant;

use super::ledger::{Row, message, numbers};
use crate::peer::Peer;
use crate::wire::{CLOSE, SOCKET_IO, TEXT};

/// What a group's members do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Echo,
    Topic,
    IoEcho,
    Room,
}

impl Kind {
    pub(crate) fn of(group: usize) -> Self {
        [Self::Topic, Self::Room, Self::Echo, Self::IoEcho][group % 4]
    }

    /// Whether each of its members hears itself alone.
    pub(crate) fn is_alone(self) -> bool {
        matches!(self, Self::Echo | Self::IoEcho)
    }

    pub(crate) fn path(self, group: usize) -> String {
        match self {
            Self::Echo => "/echo".to_owned(),
            Self::Topic => format!("/topic/{group}"),
            Self::IoEcho | Self::Room => SOCKET_IO.to_owned(),
        }
    }
}

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// It is let in, and is to be heard by nobody yet.
    Coming,
    /// It speaks and hears.
    Here,
    /// It has said that it goes, and the server is to end the connection until then.
    Going(Going, Instant),
}

/// How a member goes that does not simply vanish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Going {
    /// It has sent FIN.
    Finished,
    /// It has sent its close frame.
    Closing,
    /// The same, and the server's came.
    Closed,
}

/// A member.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) peer: Peer,
    pub(crate) id: u64,
    pub(crate) group: usize,
    pub(crate) stage: Stage,
    /// The number of its last message.
    pub(crate) said: u64,
    /// What it has heard of others, or of itself.
    pub(crate) rows: Vec<Row>,
    /// It reads from time to time only.
    pub(crate) is_sluggish: bool,
    /// Until when it does not read.
    pub(crate) sleeps_until: Option<Instant>,
}

/// What the server's word means to a member.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Word {
    /// It is let in.
    Welcome,
    /// It is to answer so.
    Answer(u8, Vec<u8>),
    /// A message.
    Message(usize, u64, u64),
    /// The server's close frame.
    Close,
    /// Nothing that it could be.
    Strange(String),
}

impl Member {
    /// Says its next message.
    pub(crate) fn speak(&mut self) {
        self.said += 1;
        let text = message(self.group, self.id, self.said);
        let (group, number) = (self.group, self.said);
        let framed = match Kind::of(self.group) {
            Kind::Echo | Kind::Topic => text,
            Kind::IoEcho => format!("42{number}[\"echo\",\"{text}\"]"),
            Kind::Room => format!("42[\"say\",\"room {group}\",\"{text}\"]"),
        };
        // A server that has cut it shows when it is read.
        drop(self.peer.frame(TEXT, framed.as_bytes()));
    }

    /// What a frame means.
    pub(crate) fn understand(kind: Kind, group: usize, stage: Stage, first: u8, payload: &[u8]) -> Word {
        let strange = || Word::Strange(format!("{first:#x} {:?}", String::from_utf8_lossy(payload)));
        let is_io = matches!(kind, Kind::IoEcho | Kind::Room);
        let text = match (first, std::str::from_utf8(payload)) {
            (TEXT, Ok(text)) => text,
            (CLOSE, _) => return Word::Close,
            (0x89, _) => return Word::Answer(0x8a, payload.to_vec()),
            _ => return strange(),
        };
        let found = match (is_io, stage) {
            (true, _) if text == "2" => return Word::Answer(TEXT, b"3".to_vec()),
            (true, Stage::Coming) if text.starts_with("0{") => return Word::Answer(TEXT, b"40".to_vec()),
            (true, Stage::Coming) if text.starts_with("40{") => {
                if kind == Kind::IoEcho {
                    return Word::Welcome;
                }
                return Word::Answer(TEXT, format!("420[\"join\",\"room {group}\"]").into_bytes());
            }
            (true, Stage::Coming) if text.starts_with("430[") => return Word::Welcome,
            (false, Stage::Coming) if text.starts_with("shard ") => return Word::Welcome,
            (_, Stage::Coming) => None,
            (false, _) => numbers(text),
            (true, _) if kind == Kind::Room => {
                text.strip_prefix("42[\"said\",\"").and_then(|text| numbers(text.strip_suffix("\"]")?))
            }
            (true, _) => text.strip_prefix("43").and_then(|text| {
                let (ack_id, text) = text.split_once("[\"")?;
                let found = numbers(text.strip_suffix("\"]")?)?;
                (ack_id.parse() == Ok(found.2)).then_some(found)
            }),
        };
        found.map_or_else(strange, |(group, speaker, number)| Word::Message(group, speaker, number))
    }
}

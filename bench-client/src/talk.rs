//! The flags of every mode whose connections say something. Flattened by those modes, each of which adds its own.

use clap::Args;

use crate::asked::Asked;
use crate::cli::{Common, Message};
use crate::spoken::{Events, Said, Spoken};

/// Who is spoken to, what is said, and in which protocol.
#[derive(Args, Clone, Debug)]
pub(crate) struct Talk {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    message: Message,
    #[command(flatten)]
    pub(crate) spoken: Spoken,
    #[command(flatten)]
    events: Events,
}

/// The same, of a mode in which what comes back may be an ack.
#[derive(Args, Clone, Debug)]
pub(crate) struct AckedTalk {
    #[command(flatten)]
    pub(crate) talk: Talk,
    /// Socket.IO: the event is answered by its ack, which carries the argument back
    #[arg(long)]
    ack: bool,
}

impl Talk {
    /// What a mode asks for that says this; how much of it is the mode's to add.
    pub(crate) fn asked(self, mode: &'static str) -> Asked {
        let Self { common, message, spoken, events } = self;
        Asked { message, said: Said { spoken, events, ..Said::default() }, ..Asked::new(mode, common) }
    }
}

impl AckedTalk {
    /// As [`Talk::asked`].
    pub(crate) fn asked(self, mode: &'static str) -> Asked {
        let mut asked = self.talk.asked(mode);
        asked.said.is_acked = self.ack;
        asked
    }
}

//! A storm: connections are made at a rate, and how long each took is what is measured.

use clap::Args;

use crate::asked::Asked;
use crate::cli::Common;
use crate::spoken::{Said, Spoken};

/// The flags.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    spoken: Spoken,
}

impl Flags {
    pub(crate) fn asked(self) -> Asked {
        let said = Said { spoken: self.spoken, ..Said::default() };
        Asked { said, is_storm: true, ..Asked::new("connect", self.common) }
    }
}

//! Socket.IO as a server is built with it: settings, and what describes its namespaces on each shard.

use std::fmt;
use std::sync::Arc;

use crate::base::config::Config;
use crate::base::error::SetupError;

use super::bundle::Bundle;
use super::config::IoConfig;
use super::namespace::Io;
use super::parser::Parser;
use super::remote::IoRemote;
use super::roster::Roster;
use super::shard::IoShard;
use super::state::State;

type Describe = Arc<dyn Fn(&mut Io) + Send + Sync>;

/// What a builder keeps of Socket.IO.
#[derive(Clone, Default)]
pub(crate) struct IoSetup {
    config: IoConfig,
    describe: Option<Describe>,
    bundle: Arc<Bundle>,
    /// What all shards count together; `None` before it is loaded.
    roster: Option<Arc<Roster>>,
}

impl IoSetup {
    pub(crate) fn describe(&mut self, describe: impl Fn(&mut Io) + Send + Sync + 'static) {
        self.describe = Some(Arc::new(describe));
    }

    pub(crate) fn configure(&mut self, change: impl FnOnce(&mut IoConfig)) {
        change(&mut self.config);
    }

    pub(crate) fn check(&self, core: &Config) -> Result<(), SetupError> {
        self.config.check()?;
        // What the core refuses never gets here, and its clients were promised more.
        let (body, message) = (core.body_bytes_max, core.message_bytes_max);
        if self.describe.is_some() && self.config.max_payload > body.min(message) {
            let right =
                format!("at most body_bytes_max and message_bytes_max, which are {body} and {message}");
            return Err(SetupError::setting("io.max_payload", self.config.max_payload, right));
        }
        Ok(())
    }

    /// Makes what all shards share: the files of the browser's client, and the counts of sessions, which are as many as there
    /// may be connections where nothing else is said.
    pub(crate) fn load(
        mut self,
        core: &Config,
        shards: usize,
        max_connections: usize,
    ) -> Result<Self, SetupError> {
        self.bundle = Arc::new(Bundle::read(self.config.client_dir.as_deref())?);
        let most = if self.config.sessions_max == 0 { max_connections } else { self.config.sessions_max };
        self.roster = Some(Arc::new(Roster::new(shards, most, &self.config, core)));
        Ok(self)
    }

    pub(crate) const fn parser(&self) -> Parser {
        self.config.parser
    }

    /// A shard's Socket.IO, made on its thread; `None` where there is none.
    pub(crate) fn build(&self, shard: usize, remote: IoRemote) -> Option<IoShard> {
        let (describe, roster) = (self.describe.as_ref()?, self.roster.clone()?);
        let mut io = Io::default();
        describe(&mut io);
        let state = State::new(shard, Arc::new(self.config.clone()), roster, remote);
        Some(IoShard::new(state, self.bundle.clone(), io))
    }
}

impl fmt::Debug for IoSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoSetup").field("config", &self.config).finish_non_exhaustive()
    }
}

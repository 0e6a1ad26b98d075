//! From settings to a running server.

use std::net::SocketAddr;

use crate::app::raw::Handler;
use crate::base::config::Config;
use crate::base::error::SetupError;

use super::addresses;
use super::plan::{self, Host, Plan};
use super::running::Server;
use super::threads;

/// Builds a server. Made by [`Server::builder`].
#[derive(Clone, Debug, Default)]
pub struct Builder {
    config: Config,
    names: Vec<Vec<SocketAddr>>,
}

impl Builder {
    /// Listens on an address: `host:port`, where `localhost` is both 127.0.0.1 and ::1 and port 0 a free one. May be
    /// called again for more.
    ///
    /// # Errors
    /// The name is none, or cannot be resolved.
    pub fn bind(mut self, name: impl AsRef<str>) -> Result<Self, SetupError> {
        self.names.push(addresses::resolve(name.as_ref())?);
        Ok(self)
    }

    /// Replaces the settings.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Changes some of the settings.
    ///
    /// ```
    /// throng::Server::builder().configure(|config| config.shards = 2);
    /// ```
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// What a server built from this would run with on this host.
    ///
    /// # Errors
    /// A setting that cannot be right, in itself or here, or an fd limit that the shards alone exceed.
    pub fn plan(&self) -> Result<Plan, SetupError> {
        self.config.check()?;
        plan::plan(&self.config, self.names.iter().map(Vec::len).sum(), Host::read())
    }

    /// Starts the server: `handler` is called once on each shard's thread, with the shard's number.
    ///
    /// Without a [`bind`](Self::bind) it accepts nothing by itself, and lives from what is
    /// [adopted](super::Handle::adopt).
    ///
    /// # Errors
    /// A setting that cannot be right, an address that cannot be listened on, or a host that refuses fds or threads.
    pub fn serve<H: Handler>(
        self,
        handler: impl Fn(usize) -> H + Send + Sync + 'static,
    ) -> Result<Server, SetupError> {
        let plan = self.plan()?;
        let listeners = addresses::listen(&self.names, plan.shards, &self.config)?;
        threads::start(self.config, plan, listeners, handler)
    }
}

//! From settings to a running server.

use std::net::SocketAddr;

use crate::app::raw::Handler;
use crate::base::config::{Config, FdTables};
use crate::base::error::SetupError;
use crate::sys::limits;

use super::addresses;
use super::running::Server;
use super::threads;

/// Builds a server. Made by [`Server::builder`].
#[derive(Clone, Debug, Default)]
pub struct Builder {
    config: Config,
    names: Vec<Vec<SocketAddr>>,
}

/// What the settings and the host come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Shards.
    pub shards: usize,
    /// Connections in all.
    pub max_connections: usize,
    /// Connections a single shard may hold.
    pub per_shard: usize,
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
    /// A setting that cannot be right, in itself or here.
    pub fn plan(&self) -> Result<Plan, SetupError> {
        self.config.check()?;
        plan(&self.config)
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

fn plan(config: &Config) -> Result<Plan, SetupError> {
    let limit = limits::fd_limit().soft;
    let open = limits::open_fds().unwrap_or(0) as u64;
    let shared = limits::connections_per_shared_table(limit.saturating_sub(open)) as usize;
    let own = limits::connections_per_own_table(limit.saturating_sub(open)) as usize;
    let cores = limits::allowed_cores().map_or(1, |cores| cores.len().max(1));
    let mut shards = if config.shards == 0 { cores } else { config.shards };
    let wanted = config.max_connections;
    match config.fd_tables {
        FdTables::Shared if wanted > shared => Err(SetupError::setting(
            "max_connections",
            wanted,
            format!(
                "at most {shared} here: one fd table holds {limit} fds; own fd tables hold more, or raise `ulimit -n`"
            ),
        )),
        FdTables::Shared => {
            let max_connections = if wanted == 0 { shared } else { wanted };
            Ok(Plan { shards, max_connections, per_shard: max_connections })
        }
        FdTables::Own => {
            if config.shards == 0 {
                shards = shards.max(wanted.div_ceil(own.max(1)));
            }
            let held = shards * own;
            if wanted > held {
                let right =
                    format!("at most {held}: {shards} tables of {own} each; raise shards or `ulimit -n`");
                return Err(SetupError::setting("max_connections", wanted, right));
            }
            let max_connections = if wanted == 0 { held } else { wanted };
            // The kernel spreads connections at random: a shard takes up to five deviations above the mean.
            let mean = max_connections.div_ceil(shards) as f64;
            let per_shard = (mean + 5.0 * mean.sqrt()).ceil() as usize + 1;
            Ok(Plan { shards, max_connections, per_shard: per_shard.min(max_connections) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_table_refuses_more_than_it_holds_and_own_ones_take_more_shards() {
        let limit = limits::fd_limit().soft as usize;
        let mut config = Config { max_connections: limit + 1, ..Config::default() };
        let said = plan(&config).unwrap_err().to_string();
        assert!(said.contains("max_connections") && said.contains("own fd tables"), "{said}");
        config.fd_tables = FdTables::Own;
        config.max_connections = limit * 5;
        let planned = plan(&config).unwrap();
        assert!(planned.shards >= 6 && planned.max_connections == limit * 5, "{planned:?}");
        assert!(planned.per_shard * planned.shards >= limit * 5);
        config.shards = 2;
        assert!(plan(&config).unwrap_err().to_string().contains("2 tables"));
    }
}

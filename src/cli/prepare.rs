//! What the host allows: raises the fd limit, and decides which fd tables the shards use.

use throng::sys::limits::{self, FdLimit};
use throng::{Builder, Config, FdTables, SetupError};

use super::settings::{Options, Tables};
use super::value::grouped;

/// The library's settings, with what was left open decided.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) config: Config,
    /// The fd limit in force.
    pub(super) fds: FdLimit,
    /// Own tables were chosen because the shared one holds only so many connections.
    pub(super) outgrown: Option<u64>,
    /// Why the fd limit is still below what it may be.
    pub(super) not_raised: Option<String>,
}

/// Decides, and gives the settings to the builder that listens where they say. The fd limit is raised on the way, as far as
/// it may be without a privilege.
///
/// # Errors
/// Nothing that the tables may be holds what is asked for.
pub(super) fn prepare(options: &Options, builder: Builder) -> Result<(Prepared, Builder), SetupError> {
    let (fds, not_raised) = match limits::raise_fd_limit() {
        Ok(fds) => (fds, None),
        Err(error) => {
            let fds = limits::fd_limit();
            (fds, Some(format!("cannot raise the fd limit from {} to {}: {error}", fds.soft, fds.hard)))
        }
    };
    let mut config = options.config.clone();
    config.fd_tables = if options.own.fd_tables == Tables::Own { FdTables::Own } else { FdTables::Shared };
    let mut builder = builder.config(config.clone());
    let mut outgrown = None;
    if let Err(error) = builder.plan() {
        if options.own.fd_tables != Tables::Auto {
            return Err(error);
        }
        let all_it_holds = builder.clone().configure(|config| config.max_connections = 0);
        config.fd_tables = FdTables::Own;
        builder = builder.config(config.clone());
        builder.plan()?;
        outgrown = Some(all_it_holds.plan()?.max_connections as u64);
    }
    Ok((Prepared { config, fds, outgrown, not_raised }, builder))
}

impl Prepared {
    /// How many fd tables there are with so many shards.
    pub(super) fn tables(&self, shards: usize) -> usize {
        if self.config.fd_tables == FdTables::Own { shards } else { 1 }
    }

    /// Which fd tables, and why.
    pub(super) fn tables_in_words(&self) -> String {
        let limit = grouped(self.fds.soft);
        match (self.config.fd_tables, self.outgrown) {
            (FdTables::Own, Some(shared)) => {
                let shared = grouped(shared);
                format!(
                    "one of {limit} fds per shard: more connections are asked for than the {shared} of a shared one"
                )
            }
            (FdTables::Own, None) => format!("one of {limit} fds per shard"),
            _ => format!("one of {limit} fds for all"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_tables_are_taken_only_where_a_shared_one_is_too_small() {
        let limit = limits::raise_fd_limit().unwrap().soft as usize;
        for (tables, connections, expected) in [
            (Tables::Auto, 0, Some((FdTables::Shared, false))),
            (Tables::Auto, 1, Some((FdTables::Shared, false))),
            (Tables::Auto, limit, Some((FdTables::Own, true))),
            (Tables::Shared, limit, None),
            (Tables::Own, 1, Some((FdTables::Own, false))),
        ] {
            let mut options = Options::default();
            options.own.fd_tables = tables;
            options.config.max_connections = connections;
            let prepared = prepare(&options, throng::Server::builder()).ok().map(|(prepared, _)| prepared);
            let decided = prepared.map(|prepared| (prepared.config.fd_tables, prepared.outgrown.is_some()));
            assert_eq!(decided, expected, "{tables:?}, {connections} connections");
        }
    }
}

//! What the host allows: raises the fd limit, and decides which fd tables the shards use.

use throng::sys::limits::{self, FDS_RESERVED, FdLimit};
use throng::{Config, FdTables};

use super::failure::Failure;
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

/// Decides. The fd limit is raised on the way, as far as it may be without a privilege.
pub(super) fn prepare(options: &Options) -> Result<Prepared, Failure> {
    let (fds, not_raised) = match limits::raise_fd_limit() {
        Ok(fds) => (fds, None),
        Err(error) => {
            let fds = limits::fd_limit();
            (fds, Some(format!("cannot raise the fd limit from {} to {}: {error}", fds.soft, fds.hard)))
        }
    };
    let open = limits::open_fds().unwrap_or(0) as u64;
    let free = fds.soft.saturating_sub(open);
    let shared = limits::connections_per_shared_table(free);
    let mut config = options.config.clone();
    let is_outgrown = config.max_connections as u64 > shared;
    config.fd_tables = match options.own.fd_tables {
        Tables::Own => FdTables::Own,
        Tables::Auto if is_outgrown => FdTables::Own,
        Tables::Auto | Tables::Shared => FdTables::Shared,
    };
    // One connection is one fd; where tables are the shards' own, n take n + 5 √n.
    let (held, one) = match config.fd_tables {
        FdTables::Own => (limits::connections_per_own_table(free), 6),
        _ => (shared, 1),
    };
    if held == 0 {
        let (limit, least) = (fds.soft, FDS_RESERVED + open + one);
        return Err(Failure::failed(format!(
            "the fd limit is {limit}, and {least} is the least to serve with; raise it: `ulimit -n 1024`, \
             or LimitNOFILE=1024 in the service's unit"
        )));
    }
    let is_chosen = options.own.fd_tables == Tables::Auto && is_outgrown;
    Ok(Prepared { config, fds, outgrown: is_chosen.then_some(shared), not_raised })
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
        for (tables, connections, expected, is_told) in [
            (Tables::Auto, 0, FdTables::Shared, false),
            (Tables::Auto, 1, FdTables::Shared, false),
            (Tables::Auto, limit, FdTables::Own, true),
            (Tables::Shared, limit, FdTables::Shared, false),
            (Tables::Own, 1, FdTables::Own, false),
        ] {
            let mut options = Options::default();
            options.own.fd_tables = tables;
            options.config.max_connections = connections;
            let prepared = prepare(&options).unwrap();
            assert_eq!((prepared.config.fd_tables, prepared.outgrown.is_some()), (expected, is_told));
        }
    }
}

//! How many shards and connections the settings come to on this host: pure arithmetic over the fd limit.
//!
//! Opens nothing. Called by the builder before anything is set up, so that a host that is too small is one error.

use std::io;

use crate::base::config::{Config, FdTables};
use crate::base::error::SetupError;
use crate::sys::limits;

/// What the settings and the host come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// Shards.
    pub shards: usize,
    /// Connections in all.
    pub max_connections: usize,
    /// Connections a single shard may hold.
    pub per_shard: usize,
}

/// What there is to plan with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    /// Fds per table.
    limit: u64,
    /// Fds that are open already; own tables begin as copies, and have them too.
    open: u64,
    cores: usize,
}

/// Connections to plan where none are asked for. A shard's table is allocated for all it may hold, 76 bytes each, and an fd
/// limit may be a thousand times what a host has memory for.
const HELD_MAX: usize = 1 << 20;

/// Shards to plan at most, as `Config::check` has it.
const SHARDS_MAX: usize = 1024;

impl Host {
    pub(super) fn read() -> Self {
        let limit = limits::fd_limit().soft;
        let open = limits::open_fds().map(|open| open as u64);
        Self {
            limit,
            // EMFILE: the table is full. Where /proc is not mounted nothing is known.
            open: open.unwrap_or_else(|error| if is_full(&error) { limit } else { 0 }),
            cores: limits::allowed_cores().map_or(1, |cores| cores.len().max(1)),
        }
    }

    /// Fds left for connections where this many are not.
    fn room(self, reserved: u64) -> u64 {
        self.limit.saturating_sub(self.open).saturating_sub(reserved)
    }

    /// The limit is too small even for `room` fds of connections.
    fn too_small(self, shards: usize, reserved: u64, room: u64) -> SetupError {
        SetupError::FdLimit { limit: self.limit, least: self.open + reserved + room, shards }
    }
}

/// Plans for `addresses` to listen on.
pub(super) fn plan(config: &Config, addresses: usize, host: Host) -> Result<Plan, SetupError> {
    match config.fd_tables {
        FdTables::Shared => plan_shared(config, addresses, host),
        FdTables::Own => plan_own(config, addresses, host),
    }
}

fn plan_shared(config: &Config, addresses: usize, host: Host) -> Result<Plan, SetupError> {
    let shards = if config.shards == 0 { host.cores } else { config.shards };
    let reserved = limits::fds_reserved_shared(shards, addresses);
    let held = host.room(reserved) as usize;
    let wanted = config.max_connections;
    if held == 0 {
        return Err(host.too_small(shards, reserved, 1));
    }
    if wanted > held {
        let limit = host.limit;
        let right = format!(
            "at most {held} here: one fd table holds {limit} fds; own fd tables hold more, or raise `ulimit -n`"
        );
        return Err(SetupError::setting("max_connections", wanted, right));
    }
    let max_connections = if wanted == 0 { held.min(HELD_MAX) } else { wanted };
    Ok(Plan { shards, max_connections, per_shard: max_connections })
}

fn plan_own(config: &Config, addresses: usize, host: Host) -> Result<Plan, SetupError> {
    let reserved = |shards| limits::fds_reserved_own(shards, addresses);
    let per_table = |shards| limits::connections_per_own_table(host.room(reserved(shards))) as usize;
    let wanted = config.max_connections;
    let shards = match config.shards {
        // Every further shard takes some fds of every table, so that more of them may hold fewer.
        0 => (host.cores..=SHARDS_MAX)
            .find(|&shards| shards * per_table(shards) >= wanted.max(1))
            .or_else(|| (host.cores..=SHARDS_MAX).max_by_key(|&shards| shards * per_table(shards)))
            .unwrap_or(host.cores),
        configured => configured,
    };
    let per_table = per_table(shards);
    if per_table == 0 {
        // One connection on average is up to six: n + 5 √n.
        let shards = if config.shards == 0 { host.cores } else { shards };
        return Err(host.too_small(shards, reserved(shards), 6));
    }
    let held = shards * per_table;
    if wanted > held {
        let right = format!(
            "at most {held}: {shards} tables of {per_table} each; {}raise `ulimit -n`",
            if config.shards == 0 { "" } else { "raise shards or " }
        );
        return Err(SetupError::setting("max_connections", wanted, right));
    }
    let max_connections = if wanted == 0 { held.min(HELD_MAX) } else { wanted };
    // The kernel spreads connections at random: a shard takes up to five deviations above the mean.
    let mean = max_connections.div_ceil(shards) as f64;
    let per_shard = (mean + 5.0 * mean.sqrt()).ceil() as usize + 1;
    Ok(Plan { shards, max_connections, per_shard: per_shard.min(max_connections) })
}

fn is_full(error: &io::Error) -> bool {
    const EMFILE: i32 = 24;
    error.raw_os_error() == Some(EMFILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(fd_tables: FdTables, shards: usize, max_connections: usize) -> Config {
        Config { fd_tables, shards, max_connections, ..Config::default() }
    }

    const fn host(limit: u64) -> Host {
        Host { limit, open: 10, cores: 2 }
    }

    #[test]
    fn a_shared_table_refuses_more_than_it_holds_and_own_ones_take_more_shards() {
        let said = plan(&config(FdTables::Shared, 0, 20_000), 1, host(20_000)).unwrap_err().to_string();
        assert!(said.contains("max_connections") && said.contains("own fd tables"), "{said}");
        for (limit, connections, shards) in
            [(20_000, 100_000, 6), (20_000, 1_000_000, 53), (1024, 30_000, 48)]
        {
            let planned = plan(&config(FdTables::Own, 0, connections), 1, host(limit)).unwrap();
            assert_eq!((planned.shards, planned.max_connections), (shards, connections));
            let per_table = planned.per_shard as u64 + 10 + limits::fds_reserved_own(shards, 1);
            // Rounding up takes one or two of the fds kept to spare.
            assert!(per_table <= limit + 2 && planned.per_shard * shards >= connections, "{planned:?}");
        }
        let said = plan(&config(FdTables::Own, 2, 100_000), 1, host(20_000)).unwrap_err().to_string();
        assert!(said.contains("2 tables") && said.contains("raise shards"), "{said}");
        // More shards than these hold fewer: 1,024 would need 5,120 fds of every table for themselves.
        let said = plan(&config(FdTables::Own, 0, 1 << 20), 1, host(1024)).unwrap_err().to_string();
        assert!(said.contains("tables of") && !said.contains("raise shards"), "{said}");
    }

    #[test]
    fn an_endless_fd_limit_is_not_taken_at_its_word() {
        for tables in [FdTables::Shared, FdTables::Own] {
            let endless = plan(&config(tables, 4, 0), 1, host(1 << 30)).unwrap();
            assert_eq!(endless.max_connections, HELD_MAX);
            let asked = plan(&config(tables, 4, HELD_MAX + 1), 1, host(1 << 30)).unwrap();
            assert_eq!(asked.max_connections, HELD_MAX + 1);
        }
    }

    #[test]
    fn a_plan_serves_somebody_or_names_the_fd_limit() {
        use FdTables::{Own, Shared};
        for (tables, shards, addresses, limit, least) in [
            (Shared, 0, 2, 40, 75),
            (Shared, 30, 2, 100, 177),
            (Shared, 1024, 2, 1024, 5147),
            (Own, 0, 2, 40, 80),
            (Own, 60, 1, 300, 333),
            (Own, 60, 2, 300, 393),
        ] {
            let config = config(tables, shards, 0);
            let said = plan(&config, addresses, host(limit)).unwrap_err().to_string();
            let expected = format!("the fd limit is {limit}, and {least} is the least");
            assert!(said.starts_with(&expected) && said.contains("ulimit -n"), "{said}");
            assert!(plan(&config, addresses, host(least - 1)).is_err());
            let planned = plan(&config, addresses, host(least)).unwrap();
            assert!(planned.max_connections > 0 && planned.per_shard > 0, "{planned:?}");
        }
    }
}

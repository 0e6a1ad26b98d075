//! How many fds, and how many cores, this process may use.
//!
//! Reads and raises; decides nothing. `server` plans shards and connections with it, `bench-client` its threads.

use std::{fs, io};

use rustix::process::{Resource, Rlimit, getpid, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity};

/// `RLIMIT_NOFILE`: fds per table. An unlimited one is `u64::MAX`, which `fs.nr_open` still caps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FdLimit {
    /// What is in force.
    pub soft: u64,
    /// What it may be raised to.
    pub hard: u64,
}

/// The limit in force.
#[must_use]
pub fn fd_limit() -> FdLimit {
    let limit = getrlimit(Resource::Nofile);
    FdLimit { soft: limit.current.unwrap_or(u64::MAX), hard: limit.maximum.unwrap_or(u64::MAX) }
}

/// The soft limit of process `pid`.
///
/// # Errors
/// There is no such process, or it is another user's and `/proc` hides it.
pub fn fd_limit_of(pid: u32) -> io::Result<u64> {
    soft_fds(&fs::read_to_string(format!("/proc/{pid}/limits"))?)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "limits has no `Max open files`"))
}

fn soft_fds(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_ascii_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// Raises the soft limit to the hard one and says what is then in force.
///
/// # Errors
/// What the kernel said; the limit is then as it was.
pub fn raise_fd_limit() -> io::Result<FdLimit> {
    let limit = fd_limit();
    if limit.soft < limit.hard {
        let hard = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard })?;
    }
    Ok(fd_limit())
}

/// Fds open in the calling thread's table.
///
/// # Errors
/// `/proc` is not mounted, or the table is full: reading the directory takes one more fd for a moment.
pub fn open_fds() -> io::Result<usize> {
    // The directory itself is open while it is read, and is not counted.
    Ok(fs::read_dir("/proc/thread-self/fd")?.count().saturating_sub(1))
}

/// Fds of a table that are not for connections: polls, wakers, listeners, hand-offs, logs, the reserve, and one or two that
/// libraries open for a moment.
pub const FDS_RESERVED: u64 = 64;

/// The most connections to plan for in a table that has the `limit` to itself.
///
/// The kernel spreads connections over listeners at random, so shards that get `n` on average get up to `n + 5 √n`:
/// measured with 1,000,000 over 54 tables, mean 18,518 and largest 18,787. Five standard deviations and
/// [`FDS_RESERVED`] must fit: 19,242 of 20,000.
#[must_use]
pub fn connections_per_own_table(limit: u64) -> u64 {
    // n + 5 √n = room, solved for √n.
    let room = limit.saturating_sub(FDS_RESERVED) as f64;
    let root = ((25.0 + 4.0 * room).sqrt() - 5.0) / 2.0;
    (root * root) as u64
}

/// The most connections that fit one shared table.
#[must_use]
pub fn connections_per_shared_table(limit: u64) -> u64 {
    limit.saturating_sub(FDS_RESERVED)
}

/// The numbers of the cores this process may run on, ascending: what a cpuset or `taskset` left of the machine.
///
/// It asks for the main thread, so a thread that was pinned since sees the same cores.
///
/// # Errors
/// The machine has more than 1,024 cores, which the call's mask does not hold.
pub fn allowed_cores() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(Some(getpid()))?;
    Ok((0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_leaves_room_for_five_deviations() {
        for limit in [0_u64, 64, 65, 100, 1024, 20_000, 1_048_576, 1 << 30] {
            let planned = connections_per_own_table(limit);
            let worst = planned as f64 + 5.0 * (planned as f64).sqrt();
            let room = limit.saturating_sub(FDS_RESERVED);
            assert!(worst <= room as f64 + 0.5, "{limit}: {planned}");
            assert!(planned <= connections_per_shared_table(limit));
            let more = planned as f64 + 2.0;
            assert!(more + 5.0 * more.sqrt() > room as f64, "{limit}: {planned} is too careful");
        }
        assert_eq!(connections_per_own_table(20_000), 19_242);
    }

    #[test]
    fn the_limit_of_a_process_is_read_from_its_table() {
        let limits = "Limit      Soft Limit  Hard Limit  Units\nMax open files   1024   4096   files\nMax locked memory 1 1 bytes\n";
        assert_eq!(soft_fds(limits), Some(1024));
        assert_eq!(soft_fds(&limits.replace("1024", "unlimited")), Some(u64::MAX));
        assert_eq!(soft_fds("Max processes 1 1"), None);
        assert_eq!(fd_limit_of(std::process::id()).unwrap(), fd_limit().soft);
        assert!(fd_limit_of(u32::MAX).is_err());
    }

    #[test]
    fn there_is_a_core_to_run_on() {
        let cores = allowed_cores().unwrap();
        assert!(!cores.is_empty() && cores.is_sorted());
        assert_eq!(cores.len(), std::thread::available_parallelism().unwrap().get());
    }
}

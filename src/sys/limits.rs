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

/// Fds of a table that are not for connections, at least: polls, wakers, listeners, hand-offs, logs, the reserve, and one
/// or two that libraries open for a moment.
pub const FDS_RESERVED: u64 = 64;

/// Of these, what is not counted by the shard: logs, the signals' pipe, a file that is read once.
const FDS_SPARE: u64 = 16;

/// Fds that are not for connections where `shards` have one table: each has a poll, a waker, a reserve, and a listener for
/// every one of the `addresses`.
#[must_use]
pub fn fds_reserved_shared(shards: usize, addresses: usize) -> u64 {
    let (shards, addresses) = (shards as u64, addresses as u64);
    (FDS_SPARE + shards * (3 + addresses)).max(FDS_RESERVED)
}

/// Fds that are not for connections in every table, where `shards` have one each.
///
/// A table is a copy of the main thread's, in which every shard has a poll, a waker, both ends of its hand-off, and a
/// listener for every one of the `addresses`. The reserve is the table's own. 54 shards on two addresses take 341 of each.
#[must_use]
pub fn fds_reserved_own(shards: usize, addresses: usize) -> u64 {
    let (shards, addresses) = (shards as u64, addresses as u64);
    (FDS_SPARE + shards * (4 + addresses) + 1).max(FDS_RESERVED)
}

/// The most connections to plan for in a table of its own, of which `room` fds are for connections.
///
/// The kernel spreads connections over listeners at random, so shards that get `n` on average get up to `n + 5 √n`:
/// measured with 1,000,000 over 54 tables, mean 18,518 and largest 18,787. Five standard deviations must fit: 19,242 of
/// 20,000 less [`FDS_RESERVED`].
#[must_use]
pub fn connections_per_own_table(room: u64) -> u64 {
    // n + 5 √n = room, solved for √n.
    let root = ((25.0 + 4.0 * room as f64).sqrt() - 5.0) / 2.0;
    (root * root) as u64
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
        for room in [0_u64, 1, 5, 6, 36, 960, 19_936, 1_048_512, 1 << 30] {
            let planned = connections_per_own_table(room);
            let worst = planned as f64 + 5.0 * (planned as f64).sqrt();
            assert!(worst <= room as f64 + 0.5, "{room}: {planned}");
            let more = planned as f64 + 2.0;
            assert!(more + 5.0 * more.sqrt() > room as f64, "{room}: {planned} is too careful");
        }
        assert_eq!(connections_per_own_table(20_000 - FDS_RESERVED), 19_242);
        assert_eq!((connections_per_own_table(5), connections_per_own_table(6)), (0, 1));
    }

    #[test]
    fn what_the_shards_need_is_counted_above_the_least() {
        for (shards, addresses, shared, own) in
            [(1, 1, 64, 64), (2, 2, 64, 64), (30, 2, 166, 197), (60, 1, 256, 317), (54, 2, 286, 341)]
        {
            assert_eq!(fds_reserved_shared(shards, addresses), shared);
            assert_eq!(fds_reserved_own(shards, addresses), own);
        }
    }

    #[test]
    fn there_is_a_core_to_run_on() {
        let cores = allowed_cores().unwrap();
        assert!(!cores.is_empty() && cores.is_sorted());
        assert_eq!(cores.len(), std::thread::available_parallelism().unwrap().get());
    }
}

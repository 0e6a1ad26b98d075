//! What Linux says about processes and about itself, read from /proc and /sys. Read by the main thread alone.

use std::collections::HashMap;
use std::fs;

/// Nanoseconds of CPU time per thread of a process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cpu(HashMap<String, u64>);

impl Cpu {
    /// The CPU time of every thread of `pid` until now; empty if there is no such process.
    pub(crate) fn of(pid: u32) -> Self {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let time = |task: fs::DirEntry| {
            let schedstat = fs::read_to_string(task.path().join("schedstat")).ok();
            let nanoseconds =
                match schedstat.as_deref().and_then(|text| text.split(' ').next()?.trim().parse().ok()) {
                    // Zero with scheduler statistics compiled out.
                    Some(nanoseconds) if nanoseconds > 0 => nanoseconds,
                    _ => from_stat(&fs::read_to_string(task.path().join("stat")).ok()?)?,
                };
            Some((task.file_name().to_string_lossy().into_owned(), nanoseconds))
        };
        Self(tasks.filter_map(time).collect())
    }

    /// Nanoseconds each thread used since `before`; threads that are gone are not known.
    pub(crate) fn since(&self, before: &Self) -> Vec<u64> {
        self.0
            .iter()
            .map(|(task, time)| time.saturating_sub(before.0.get(task).copied().unwrap_or(0)))
            .collect()
    }

    /// Whether the process was there.
    pub(crate) fn is_known(&self) -> bool {
        !self.0.is_empty()
    }
}

/// utime and stime of a stat line in nanoseconds; a tick is 10 ms on every Linux (USER_HZ = 100).
fn from_stat(line: &str) -> Option<u64> {
    let fields: Vec<_> = line.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(ticks * 10_000_000)
}

/// Bytes of memory that are the process's own share (PSS), or `None` if that may not be read.
pub(crate) fn pss_bytes(pid: u32) -> Option<u64> {
    kilobytes(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?, "Pss:")
}

/// Bytes of slab memory of the whole machine: where the kernel keeps its side of a connection.
pub(crate) fn slab_bytes() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "Slab:")
}

fn kilobytes(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The soft limit of fds of a process.
pub(crate) fn fd_limit(pid: u32) -> Option<u64> {
    soft_fd_limit(&fs::read_to_string(format!("/proc/{pid}/limits")).ok()?)
}

fn soft_fd_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// Numbers of a sysctl, `net.core.somaxconn` written as `net/core/somaxconn`; empty if there is none of that name.
pub(crate) fn sysctl(name: &str) -> Vec<u64> {
    let text = fs::read_to_string(format!("/proc/sys/{name}")).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_are_read() {
        let stat = "42 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0";
        assert_eq!(from_stat(stat), Some(1_750_000_000));
        assert_eq!(kilobytes("Rss: 9 kB\nPss:      1234 kB\n", "Pss:"), Some(1234 * 1024));
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096   files\n";
        assert_eq!(soft_fd_limit(limits), Some(1024));
        assert_eq!(soft_fd_limit(&limits.replace("1024", "unlimited")), Some(u64::MAX));
    }

    #[test]
    fn this_process_is_seen_to_work() {
        let pid = std::process::id();
        let before = Cpu::of(pid);
        let spent = std::hint::black_box((0..30_000_000u64).fold(1u64, |x, y| x.wrapping_mul(y | 1)));
        assert!(Cpu::of(pid).since(&before).iter().sum::<u64>() > 0, "{spent}");
        assert!(pss_bytes(pid).is_some_and(|bytes| bytes > 100_000));
        assert!(slab_bytes().is_some() && fd_limit(pid).is_some() && sysctl("net/core/somaxconn").len() == 1);
        assert!(!Cpu::of(u32::MAX - 1).is_known());
    }
}

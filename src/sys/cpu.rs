//! The CPU time of a process, in nanoseconds. `bench-client` reads a server's before and after a run.

use std::time::Duration;
use std::{fs, io};

/// The CPU time that the threads of process `pid` have used so far, user and kernel together.
///
/// It is the scheduler's own account of each thread, exact to the nanosecond, where `/proc/PID/stat` counts ticks of
/// 10 ms. Threads that have ended are not in it: of a server whose threads live as long as it does, nothing is missing.
///
/// # Errors
/// There is no such process, or it is another user's and `/proc` hides it.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread that ends while the list is read has no account any more.
        if let Ok(account) = fs::read_to_string(task?.path().join("schedstat")) {
            sum += on_cpu_ns(&account)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "schedstat has no number"))?;
        }
    }
    Ok(Duration::from_nanos(sum))
}

/// The first of schedstat's three numbers: time on a core, time waiting for one, times it got one.
fn on_cpu_ns(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted_and_a_stranger_is_an_error() {
        let me = std::process::id();
        let before = cpu_time(me).unwrap();
        let mut sum = 0_u64;
        while cpu_time(me).unwrap() < before + Duration::from_millis(5) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(sum > 0);
        assert!(cpu_time(u32::MAX).is_err());
    }

    #[test]
    fn the_first_number_is_the_one() {
        for (text, ns) in [("123 4 5\n", Some(123)), ("0 0 0", Some(0)), ("", None), ("x 1 2", None)] {
            assert_eq!(on_cpu_ns(text), ns, "{text:?}");
        }
    }
}

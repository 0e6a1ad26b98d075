//! The CPU time of a process, in nanoseconds. `bench-client` reads a server's before and after a run.

use std::collections::BTreeMap;
use std::time::Duration;
use std::{fs, io};

/// The CPU time that the threads of process `pid` have used so far, user and kernel together.
///
/// # Errors
/// As [`thread_times`].
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    thread_times(pid).map(|threads| threads.values().sum())
}

/// The same by thread, under its id.
///
/// It is the scheduler's own account of each thread, exact to the nanosecond, where `/proc/PID/stat` counts ticks of
/// 10 ms; a kernel without scheduler statistics shows zeros there, and then it is the ticks. Threads that have ended
/// are not in it: of a server whose threads live as long as it does, nothing is missing.
///
/// # Errors
/// There is no such process, or it is another user's and `/proc` hides it.
pub fn thread_times(pid: u32) -> io::Result<BTreeMap<u32, Duration>> {
    let mut times = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?;
        let Some(id) = task.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A thread that ends while the list is read has no account any more.
        let Ok(account) = fs::read_to_string(task.path().join("schedstat")) else { continue };
        let ns = match on_cpu_ns(&account) {
            Some(0) => match fs::read_to_string(task.path().join("stat")) {
                Ok(stat) => ticks_ns(&stat),
                Err(_) => continue,
            },
            known => known,
        };
        let odd = || io::Error::new(io::ErrorKind::InvalidData, "schedstat and stat have no number");
        times.insert(id, Duration::from_nanos(ns.ok_or_else(odd)?));
    }
    Ok(times)
}

/// The first of schedstat's three numbers: time on a core, time waiting for one, times it got one.
fn on_cpu_ns(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().next()?.parse().ok()
}

/// utime and stime of a stat line; a tick is 10 ms on every Linux (USER_HZ is 100).
fn ticks_ns(stat: &str) -> Option<u64> {
    // The second field is a name in brackets and may contain anything, brackets and spaces too.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(ticks * 10_000_000)
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
    fn each_thread_has_an_account_of_its_own() {
        let (ask, asked) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            tell.send(rustix::thread::gettid().as_raw_nonzero().get() as u32).unwrap();
            asked.recv().unwrap_err();
        });
        let id = told.recv().unwrap();
        let me = std::process::id();
        let times = thread_times(me).unwrap();
        assert!(times.contains_key(&id) && times.contains_key(&me) && times.len() >= 2, "{times:?}");
        drop(ask);
        thread.join().unwrap();
    }

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "42 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0";
        assert_eq!(ticks_ns(stat), Some(1_750_000_000));
        assert_eq!(ticks_ns("42 (a) S 1 2"), None);
    }

    #[test]
    fn the_first_number_is_the_one() {
        for (text, ns) in [("123 4 5\n", Some(123)), ("0 0 0", Some(0)), ("", None), ("x 1 2", None)] {
            assert_eq!(on_cpu_ns(text), ns, "{text:?}");
        }
    }
}

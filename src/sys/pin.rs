//! Pinning a thread to a core. Only a shard or a load thread asks for it, for itself.

use std::io;

use rustix::thread::{CpuSet, sched_setaffinity};

use super::limits::allowed_cores;

/// Pins the calling thread to the `n`-th core this process may use, counted from 0 and again from the start beyond the
/// last, and says which core that is. Threads it spawns afterwards inherit the pin.
///
/// # Errors
/// What the kernel said; the thread then runs where it ran before.
pub fn pin_to_nth_core(n: usize) -> io::Result<usize> {
    let cores = allowed_cores()?;
    let Some(&core) = cores.get(n % cores.len().max(1)) else {
        return Err(io::Error::other("this process may run on no core"));
    };
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only)?;
    Ok(core)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::thread::sched_getaffinity;

    #[test]
    fn each_thread_has_its_core_and_they_go_round() {
        let cores = allowed_cores().unwrap();
        for n in 0..2 * cores.len() {
            let (core, mask) = std::thread::spawn(move || {
                let core = pin_to_nth_core(n).unwrap();
                (core, sched_getaffinity(None).unwrap())
            })
            .join()
            .unwrap();
            assert_eq!(core, cores[n % cores.len()]);
            assert!(mask.is_set(core) && mask.count() == 1);
        }
        assert_eq!(allowed_cores().unwrap(), cores, "the process as a whole is not pinned");
    }
}

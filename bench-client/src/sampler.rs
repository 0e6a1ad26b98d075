//! What this client and the server use, read between two moments: CPU time by thread, memory. Called once an interval.

use std::collections::BTreeMap;
use std::time::Duration;

use throng::sys::cpu::thread_times;
use throng::sys::memory::{resident_bytes_of, slab_bytes};

use crate::clock::SECOND;

/// The CPU time of each thread of a process; empty if it is gone.
#[derive(Debug, Default)]
pub(crate) struct Used(BTreeMap<u32, Duration>);

impl Used {
    /// As it stands now.
    pub(crate) fn of(pid: u32) -> Self {
        Self(thread_times(pid).unwrap_or_default())
    }

    /// Nanoseconds each thread used since `before`; of threads that are gone nothing is known.
    pub(crate) fn since(&self, before: &Self) -> Vec<u64> {
        let earlier = |id| before.0.get(id).copied().unwrap_or_default();
        self.0.iter().map(|(id, time)| time.saturating_sub(earlier(id)).as_nanos() as u64).collect()
    }
}

/// What was used in one interval.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Resources {
    pub(crate) busiest_thread: f64,
    pub(crate) server_cores: Option<f64>,
    pub(crate) server_bytes: Option<u64>,
    pub(crate) slab_bytes: Option<u64>,
}

/// Reads it again and again.
#[derive(Debug)]
pub(crate) struct Sampler {
    server: Option<u32>,
    own: u32,
    last: (Used, Used),
    last_at: u64,
    slab_before: Option<u64>,
}

impl Sampler {
    /// From now on; the server is the process with this id.
    pub(crate) fn new(server: Option<u32>, now: u64) -> Self {
        let own = std::process::id();
        let last = (Used::of(own), server.map(Used::of).unwrap_or_default());
        Self { server, own, last, last_at: now, slab_before: slab_bytes().ok() }
    }

    /// What was used since the last call. The server's memory is its resident set, which the kernel counts anyway; its
    /// proportional set would lock its memory map for a millisecond per 100 MB, while it is being measured.
    pub(crate) fn sample(&mut self, now: u64) -> Resources {
        let seconds = now.saturating_sub(self.last_at).max(1) as f64 / SECOND as f64;
        let used = (Used::of(self.own), self.server.map(Used::of).unwrap_or_default());
        let cores = |nanoseconds: u64| nanoseconds as f64 / 1e9 / seconds;
        let own = used.0.since(&self.last.0);
        let server = used.1.since(&self.last.1);
        (self.last, self.last_at) = (used, now);
        let grown = slab_bytes().ok().zip(self.slab_before);
        Resources {
            busiest_thread: cores(own.into_iter().max().unwrap_or(0)),
            server_cores: self.server.map(|_| cores(server.into_iter().sum())),
            server_bytes: self.server.and_then(|pid| resident_bytes_of(pid).ok()),
            slab_bytes: grown.map(|(now, before)| now.saturating_sub(before)),
        }
    }
}

//! Helper threads for whatever blocks: a job goes in, its result comes back to the shard it came from.
//!
//! They are started with the server, from its main thread, so that under own fd tables they live in the main thread's
//! table and may do anything, an async runtime included.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};

/// What a helper runs: it ends by sending its result to where it is awaited.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// A job's own part, and its result.
pub(crate) type Work = Box<dyn FnOnce() -> Box<dyn Any + Send> + Send>;

/// The way to the helper threads. They end when the last of these is gone and the jobs are done.
#[derive(Clone, Debug)]
pub(crate) struct Offload {
    jobs: Sender<Job>,
}

impl Offload {
    /// Starts `threads` helpers.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub(crate) fn start(threads: usize) -> std::io::Result<Self> {
        let (jobs, queue) = unbounded();
        for n in 0..threads {
            let queue: Receiver<Job> = queue.clone();
            thread::Builder::new().name(format!("throng-helper-{n}")).spawn(move || {
                for job in queue {
                    // A job that panics has told its shard so; the helper goes on to the next.
                    let _panicked = catch_unwind(AssertUnwindSafe(job));
                }
            })?;
        }
        Ok(Self { jobs })
    }

    pub(crate) fn run(&self, job: Job) {
        // The helpers end only after every sender is gone, this one included.
        let _sent = self.jobs.send(job);
    }
}

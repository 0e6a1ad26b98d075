//! The way back to a shard from anywhere: deferred answers, results of jobs.

use std::sync::Arc;

use crate::app::handle::Handle;

use super::mail::IoMail;

type SendMail = Arc<dyn Fn(usize, IoMail) + Send + Sync>;
type Run = Arc<dyn Fn(Box<dyn FnOnce() + Send>) + Send + Sync>;

/// The shards and the helper threads of a server.
#[derive(Clone)]
pub(crate) struct IoRemote {
    send: SendMail,
    run: Run,
    handle: Handle,
}

impl IoRemote {
    /// `send` takes mail to a shard, which owes it an answer and so never refuses it; `run` has a helper thread run a job.
    pub(crate) fn new(
        send: impl Fn(usize, IoMail) + Send + Sync + 'static,
        run: impl Fn(Box<dyn FnOnce() + Send>) + Send + Sync + 'static,
        handle: Handle,
    ) -> Self {
        Self { send: Arc::new(send), run: Arc::new(run), handle }
    }

    pub(super) fn send(&self, shard: usize, mail: IoMail) {
        (self.send)(shard, mail);
    }

    /// The server, as other threads reach it.
    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        (self.run)(Box::new(job));
    }
}

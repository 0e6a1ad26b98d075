//! A server that runs.

use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::app::handle::Handle;
use crate::base::error::SetupError;
use crate::core::drain::Cut;

use super::builder::Builder;
use super::plan::Plan;

/// A running server. Dropping it stops it and waits for its shards.
#[derive(Debug)]
pub struct Server {
    handle: Handle,
    threads: Vec<Running>,
    addresses: Vec<SocketAddr>,
    #[cfg(feature = "tls")]
    secure: Vec<SocketAddr>,
    plan: Plan,
}

/// A shard's thread: what it has cut, or why it ended.
pub(super) type Running = JoinHandle<io::Result<Cut>>;

/// How long a dropped server lets its connections take to close.
const DROP_GRACE: Duration = Duration::from_secs(1);

impl Server {
    /// A server to be built, with the default settings and no address.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(super) fn new(
        handle: Handle,
        threads: Vec<Running>,
        addresses: Vec<SocketAddr>,
        #[cfg(feature = "tls")] secure: Vec<SocketAddr>,
        plan: Plan,
    ) -> Self {
        Self {
            handle,
            threads,
            addresses,
            #[cfg(feature = "tls")]
            secure,
            plan,
        }
    }

    /// The end that other threads hold.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The addresses it listens on, with the ports that port 0 became.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Those of them that speak TLS.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn secure_addrs(&self) -> &[SocketAddr] {
        &self.secure
    }

    /// What it runs with.
    #[must_use]
    pub const fn plan(&self) -> Plan {
        self.plan
    }

    /// Waits until the server has stopped, which the [`Handle`] tells it to.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    ///
    /// # Panics
    /// As [`wait`](Self::wait).
    pub fn join(self) -> Result<(), SetupError> {
        self.wait().map(drop)
    }

    /// Waits until the server has stopped, and says which connections it had to cut at the end of its grace.
    ///
    /// # Errors
    /// A shard has ended because the kernel would not poll for it.
    ///
    /// # Panics
    /// If a shard's thread has panicked outside of any handler: that is a bug of throng's.
    pub fn wait(mut self) -> Result<Cut, SetupError> {
        let (mut result, mut panic) = (Ok(Cut::default()), None);
        for thread in std::mem::take(&mut self.threads) {
            match thread.join() {
                Ok(Ok(cut)) => result = result.map(|sum| sum.and(cut)),
                Ok(Err(error)) => {
                    result = Err(SetupError::host("run a shard", error, "see the kernel's log"));
                }
                Err(payload) => panic = Some(payload),
            }
        }
        // All of them have ended by now.
        panic.map_or(result, |payload| std::panic::resume_unwind(payload))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        self.handle.stop(DROP_GRACE);
        for thread in self.threads.drain(..) {
            // Whatever it ended with, the server is being thrown away.
            let _ended = thread.join();
        }
    }
}

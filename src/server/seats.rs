//! Socket.IO's shards over an `Io` that is not the kernel's: the seam by which the simulator runs the service that servers
//! run. Starts no thread, opens no socket and checks no setting; called by nobody but tests.

use std::io;
use std::sync::Arc;

use crate::app::handle::Handle;
use crate::app::io::IoAudit;
use crate::app::raw::{Offload, Raw};
use crate::base::config::FdTables;
use crate::base::error::SetupError;
use crate::core::audit::Audit;
use crate::core::io::Io;
use crate::core::shard::{Shard, Turn};

use super::builder::{Builder, Nobody};
use super::shared::Shared;

/// A shard that whoever holds it runs, turn by turn.
pub struct Seat<I: Io>(Shard<Raw<Nobody>, I>);

impl<I: Io> Seat<I> {
    /// One pass of the loop.
    ///
    /// # Errors
    /// What its `Io` refuses to poll with.
    pub fn turn(&mut self) -> io::Result<Turn> {
        self.0.turn()
    }

    /// Whether a message waits in its mailbox.
    #[must_use]
    pub fn has_mail(&self) -> bool {
        self.0.has_mail()
    }

    /// What it holds: connections, and Socket.IO.
    #[must_use]
    pub fn audit(&mut self) -> (Audit, IoAudit) {
        (self.0.audit(), self.0.service().io_audit())
    }
}

impl<I: Io> std::fmt::Debug for Seat<I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Seat").field(&self.0).finish()
    }
}

impl Builder {
    /// The shards that this would start, `Config::shards` of them with room for `capacity` connections each, over what
    /// `make_io` makes; and their handle, which wakes one by `wake`.
    ///
    /// # Errors
    /// The browser's client cannot be read.
    #[doc(hidden)]
    pub fn seats<I: Io>(
        self,
        capacity: usize,
        make_io: impl FnMut(usize) -> I,
        wake: Arc<dyn Fn(usize) + Send + Sync>,
    ) -> Result<(Vec<Seat<I>>, Handle), SetupError> {
        let io = self.io.load(&self.config, self.config.shards, self.config.max_connections)?;
        let (shards, is_own) = (self.config.shards, self.config.fd_tables == FdTables::Own);
        let max_connections = self.config.max_connections;
        let (shared, inboxes) = Shared::new(self.config, shards, max_connections);
        let offload = Offload::start(0).map_err(|error| SetupError::host("start no thread", error, ""))?;
        // Streams of the kernel's cannot come here.
        let pack = Box::new(|_, _, _| Err(io::ErrorKind::Unsupported.into()));
        let remote = shared.remote(
            wake,
            offload,
            pack,
            #[cfg(feature = "tls")]
            Vec::new(),
            io.parser(),
        );
        let seats =
            inboxes.into_iter().zip((0..shards).map(make_io)).enumerate().map(|(shard, (inbox, foreign))| {
                let listeners =
                    if is_own { (0..shards).map(|number| number == shard).collect() } else { vec![true] };
                let seed = shared.seed(shard, inbox, capacity, listeners);
                let raw = Raw::new(Nobody, remote.clone()).with_io(shard, &io);
                Seat(Shard::new(seed, raw, foreign))
            });
        let seats = seats.collect();
        Ok((seats, Handle::new(remote)))
    }
}

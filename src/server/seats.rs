//! Socket.IO's shards over an `Io` that is not the kernel's: the seam by which the simulator runs the service that servers
//! run. Starts no thread, opens no socket and checks no setting; called by nobody but tests.

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use crate::app::handle::Handle;
use crate::app::io::IoAudit;
use crate::app::raw::{Offload, Raw, RawMail, Remote};
use crate::base::config::FdTables;
use crate::base::error::SetupError;
use crate::base::metrics::Counters;
use crate::core::audit::Audit;
use crate::core::census::Census;
use crate::core::io::Io;
use crate::core::mail::Mail;
use crate::core::mailbox::{Inbox, Outlet, mailbox};
use crate::core::shard::{Seed, Shard, Turn};

use super::builder::{Builder, Nobody};
use super::threads::turn_lengths;

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

type Ends = (Vec<Outlet<Mail<RawMail<Nobody>>>>, Vec<Inbox<Mail<RawMail<Nobody>>>>);

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
        let io = self.io.load(self.config.shards, self.config.max_connections)?;
        let config = Arc::new(self.config);
        let shards = config.shards;
        let (outlets, inboxes): Ends =
            (0..shards).map(|_| mailbox(config.mailbox_slots, config.mailbox_bytes_max)).unzip();
        let census = Arc::new(Census::new(shards, config.max_connections));
        let counters: Vec<_> = (0..shards).map(|_| Arc::new(Counters::default())).collect();
        let turn_us: Vec<_> = (0..shards).map(|_| Arc::new(Mutex::new(turn_lengths()))).collect();
        let offload = Offload::start(0).map_err(|error| SetupError::host("start no thread", error, ""))?;
        let parser = io.parser();
        let remote = Arc::new(Remote {
            outlets: outlets.clone(),
            wake,
            census: census.clone(),
            offload,
            jobs_panicked: AtomicU64::new(0),
            counters: counters.clone(),
            turn_us: turn_us.clone(),
            // Streams of the kernel's cannot come here.
            pack: Box::new(|_, _, _| Err(io::ErrorKind::Unsupported.into())),
            handed: AtomicU64::new(0),
            parser,
            encoded: AtomicU64::new(0),
        });
        let is_own = config.fd_tables == FdTables::Own;
        let seats =
            inboxes.into_iter().zip((0..shards).map(make_io)).enumerate().map(|(shard, (inbox, foreign))| {
                let seed = Seed {
                    shard,
                    config: config.clone(),
                    counters: counters[shard].clone(),
                    census: census.clone(),
                    inbox,
                    outlets: outlets.clone(),
                    capacity,
                    listeners: if is_own {
                        (0..shards).map(|number| number == shard).collect()
                    } else {
                        vec![true]
                    },
                    turn_us: turn_us[shard].clone(),
                };
                let raw = Raw::new(Nobody, remote.clone()).with_io(shard, &io);
                Seat(Shard::new(seed, raw, foreign))
            });
        let seats = seats.collect();
        Ok((seats, Handle::new(remote)))
    }
}

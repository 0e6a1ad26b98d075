//! What the shards of a server have in common, made before any of them: mailboxes, counters, census, and the way to them
//! from other threads. Starts nothing; threads and seats call it.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use hdrhistogram::Histogram;

#[cfg(feature = "socketio")]
use crate::app::io::Parser;
use crate::app::raw::{Handler, Offload, Pack, RawMail, Remote, Wake};
use crate::base::config::Config;
use crate::base::metrics::Counters;
use crate::core::census::Census;
use crate::core::mail::Mail;
use crate::core::mailbox::{Inbox, Outlet, mailbox};
use crate::core::shard::Seed;
#[cfg(feature = "tls")]
use crate::core::tls::Tls;

/// What a shard takes its mail from.
pub(super) type ShardInbox<H> = Inbox<Mail<RawMail<H>>>;

/// What every shard has a share of.
pub(super) struct Shared<H: Handler> {
    config: Arc<Config>,
    census: Arc<Census>,
    counters: Vec<Arc<Counters>>,
    turn_us: Vec<Arc<Mutex<Histogram<u32>>>>,
    outlets: Vec<Outlet<Mail<RawMail<H>>>>,
}

impl<H: Handler> Shared<H> {
    /// For so many shards, with each one's inbox.
    pub(super) fn new(config: Config, shards: usize, max_connections: usize) -> (Self, Vec<ShardInbox<H>>) {
        let (outlets, inboxes) =
            (0..shards).map(|_| mailbox(config.mailbox_slots, config.mailbox_bytes_max)).unzip();
        let shared = Self {
            config: Arc::new(config),
            census: Arc::new(Census::new(shards, max_connections)),
            counters: (0..shards).map(|_| Arc::default()).collect(),
            turn_us: (0..shards).map(|_| Arc::new(Mutex::new(turn_lengths()))).collect(),
            outlets,
        };
        (shared, inboxes)
    }

    /// The shards as other threads reach them.
    pub(super) fn remote(
        &self,
        wake: Wake,
        offload: Offload,
        pack: Pack,
        #[cfg(feature = "tls")] tls: Vec<Tls>,
        #[cfg(feature = "socketio")] parser: Parser,
    ) -> Arc<Remote<H>> {
        Arc::new(Remote {
            outlets: self.outlets.clone(),
            wake,
            census: self.census.clone(),
            offload,
            jobs_panicked: AtomicU64::new(0),
            counters: self.counters.clone(),
            turn_us: self.turn_us.clone(),
            pack,
            #[cfg(feature = "tls")]
            tls,
            handed: AtomicU64::new(0),
            deflate_from: self.config.deflate_from(),
            #[cfg(feature = "socketio")]
            parser,
            #[cfg(feature = "socketio")]
            encoded: AtomicU64::new(0),
        })
    }

    /// One shard's share, with room for `capacity` connections. Of the listeners that it is to watch, which are its own.
    pub(super) fn seed(
        &self,
        shard: usize,
        inbox: ShardInbox<H>,
        capacity: usize,
        listeners: Vec<bool>,
    ) -> Seed<RawMail<H>> {
        Seed {
            shard,
            config: self.config.clone(),
            counters: self.counters[shard].clone(),
            census: self.census.clone(),
            inbox,
            outlets: self.outlets.clone(),
            capacity,
            listeners,
            turn_us: self.turn_us[shard].clone(),
        }
    }
}

/// Turn lengths from 1 µs to a minute, to 1 %: about 20 KB a shard.
fn turn_lengths() -> Histogram<u32> {
    Histogram::new_with_bounds(1, 60_000_000, 2).expect("the bounds are constants that the histogram takes")
}

//! The shards, as other threads and the handler's own loose ends reach them.

use std::io;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use hdrhistogram::Histogram;

#[cfg(feature = "socketio")]
use crate::app::io::Parser;
use crate::base::error::Full;
use crate::base::metrics::Counters;
use crate::core::census::Census;
use crate::core::io::Parcel;
use crate::core::mail::Mail;
use crate::core::mailbox::Outlet;
#[cfg(feature = "tls")]
use crate::core::tls::Tls;

use super::handler::Handler;
use super::offload::{Offload, Work};
use super::service::RawMail;

/// Wakes a shard that sleeps.
pub(crate) type Wake = Arc<dyn Fn(usize) + Send + Sync>;

/// Packs another server's connection, the so many-th, for a shard.
pub(crate) type Pack = Box<dyn Fn(TcpStream, usize, u64) -> io::Result<Parcel> + Send + Sync>;

/// The shards of a server, from outside of them.
pub(crate) struct Remote<H: Handler> {
    pub(crate) outlets: Vec<Outlet<Mail<RawMail<H>>>>,
    pub(crate) wake: Wake,
    pub(crate) census: Arc<Census>,
    pub(crate) offload: Offload,
    pub(crate) jobs_panicked: AtomicU64,
    pub(crate) counters: Vec<Arc<Counters>>,
    pub(crate) turn_us: Vec<Arc<Mutex<Histogram<u32>>>>,
    pub(crate) pack: Pack,
    /// What its listeners speak TLS with.
    #[cfg(feature = "tls")]
    pub(crate) tls: Vec<Tls>,
    /// How many WebSockets of other servers were handed over.
    pub(crate) handed: AtomicU64,
    /// From how many bytes on what is published may be compressed.
    pub(crate) deflate_from: usize,
    #[cfg(feature = "socketio")]
    pub(crate) parser: Parser,
    /// Broadcasts of Socket.IO that were encoded on threads that are no shards.
    #[cfg(feature = "socketio")]
    pub(crate) encoded: AtomicU64,
}

impl<H: Handler> Remote<H> {
    /// Puts a message of so many bytes into a shard's mailbox, if there is room.
    pub(crate) fn mail(&self, shard: usize, bytes: usize, mail: Mail<RawMail<H>>) -> Result<(), Full> {
        let Some(outlet) = self.outlets.get(shard).filter(|outlet| outlet.reserve(bytes)) else {
            return Err(Full);
        };
        self.put(shard, outlet, bytes, mail);
        Ok(())
    }

    /// Puts a message into a shard's mailbox that is made only if there is room.
    pub(crate) fn try_mail(
        &self,
        shard: usize,
        mail: impl FnOnce() -> io::Result<Mail<RawMail<H>>>,
    ) -> io::Result<()> {
        let outlet = &self.outlets[shard];
        if !outlet.reserve(0) {
            return Err(io::Error::other(Full));
        }
        match mail() {
            Ok(mail) => self.put(shard, outlet, 0, mail),
            Err(error) => {
                outlet.free(0);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Puts a message of so many bytes into every mailbox, or into none.
    pub(crate) fn mail_all(
        &self,
        bytes: usize,
        mut mail: impl FnMut() -> Mail<RawMail<H>>,
    ) -> Result<(), Full> {
        if let Some(full) = self.outlets.iter().position(|outlet| !outlet.reserve(bytes)) {
            self.outlets[..full].iter().for_each(|outlet| outlet.free(bytes));
            return Err(Full);
        }
        for (shard, outlet) in self.outlets.iter().enumerate() {
            self.put(shard, outlet, bytes, mail());
        }
        Ok(())
    }

    /// Sends an answer that a shard is owed: it takes no slot, so it never waits and is never refused.
    pub(crate) fn answer(&self, shard: usize, mail: RawMail<H>) {
        let outlet = &self.outlets[shard];
        // A shard that is gone is owed nothing any more.
        outlet.put_owed(Mail::Service(mail));
        self.wake_if_asleep(shard, outlet);
    }

    /// Tells every shard to close its connections and end.
    pub(crate) fn stop(&self, grace_ms: u32) {
        for (shard, outlet) in self.outlets.iter().enumerate() {
            outlet.put_owed(Mail::Stop { grace_ms });
            self.wake_if_asleep(shard, outlet);
        }
    }

    /// Tells every shard to close its connections in pace, and end.
    pub(crate) fn drain(&self) {
        for (shard, outlet) in self.outlets.iter().enumerate() {
            outlet.put_owed(Mail::Drain);
            self.wake_if_asleep(shard, outlet);
        }
    }

    fn put(&self, shard: usize, outlet: &Outlet<Mail<RawMail<H>>>, bytes: usize, mail: Mail<RawMail<H>>) {
        // A shard that is gone takes no mail: the server has stopped, and everybody was told.
        outlet.put(mail, bytes);
        self.wake_if_asleep(shard, outlet);
    }

    fn wake_if_asleep(&self, shard: usize, outlet: &Outlet<Mail<RawMail<H>>>) {
        if outlet.must_wake() {
            (self.wake)(shard);
        }
    }

    pub(super) fn offload(self: &Arc<Self>, shard: usize, job_id: usize, work: Work) {
        let remote = self.clone();
        self.offload.run(Box::new(move || {
            let owed = Owed { remote, shard, job_id, result: None };
            owed.finish(work());
        }));
    }
}

/// What a job that panicked leaves instead of a result.
struct Panicked;

/// A result that a shard waits for: it is sent even if the job panics, so that the shard can forget the job.
struct Owed<H: Handler> {
    remote: Arc<Remote<H>>,
    shard: usize,
    job_id: usize,
    result: Option<Box<dyn std::any::Any + Send>>,
}

impl<H: Handler> Owed<H> {
    fn finish(mut self, result: Box<dyn std::any::Any + Send>) {
        self.result = Some(result);
    }
}

impl<H: Handler> Drop for Owed<H> {
    fn drop(&mut self) {
        let result = self.result.take().unwrap_or_else(|| {
            self.remote.jobs_panicked.fetch_add(1, Ordering::Relaxed);
            Box::new(Panicked)
        });
        self.remote.answer(self.shard, RawMail::Done(self.job_id, result));
    }
}

//! A shard, as a handler is lent it: what it can do that is not about one connection.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use crate::app::handle::Handle;
use crate::base::config::Config;
use crate::base::id::{ConnId, Key};
use crate::base::slow::Mark;
use crate::core::core::Core;
use crate::core::service::Delivery;
use crate::core::timers::TimerId;
use crate::proto::ws::Message;

use super::conn::Conn;
use super::handler::Handler;
use super::service::{Alarm, Desk, Raw};

/// The handler's shard, lent for the length of a call.
pub struct Shard<'a, H: Handler> {
    pub(super) core: &'a mut Core<Raw<H>>,
    pub(super) desk: &'a mut Desk<H>,
}

/// A timer that was set; dropping it does not cancel it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Timer(pub(super) TimerId);

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / 2)
}

impl<H: Handler> Shard<'_, H> {
    /// This shard's number, from 0.
    pub fn index(&self) -> usize {
        self.core.shard()
    }

    /// How many shards the server has.
    pub fn shards(&self) -> usize {
        self.core.shards()
    }

    /// The server, as other threads reach it: for a thread that is to publish, or a job that is to stop it. A clone, and cheap.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(self.desk.remote.clone())
    }

    /// The server's settings.
    pub fn config(&self) -> &Config {
        self.core.config()
    }

    /// Whether the server drains or stops: a load balancer should send nobody here any more.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.core.is_draining()
    }

    /// How many connections this shard has.
    pub fn connections(&self) -> usize {
        self.core.connections()
    }

    /// How many of this shard's connections are subscribed to a topic.
    pub fn subscribers(&self, topic: &str) -> usize {
        self.core.hub().count(topic)
    }

    /// Another connection of this shard, while it is open. `None` also for one of another shard: [`send`](Self::send)
    /// reaches those.
    pub fn conn(&mut self, id: ConnId) -> Option<Conn<'_, H>> {
        if id.shard() != self.index() {
            return None;
        }
        self.conn_of(id.key)
    }

    pub(super) fn conn_of(&mut self, key: Key) -> Option<Conn<'_, H>> {
        if !self.core.is_open(key) {
            return None;
        }
        Some(Conn { shard: Shard { core: self.core, desk: self.desk }, key })
    }

    /// Sends a message to any connection of the server. For one of another shard the result says only that it is on its
    /// way there.
    pub fn send<'m>(&mut self, id: ConnId, message: impl Into<Message<'m>>) -> Delivery {
        self.send_with(id, message.into(), Mark::UNSET)
    }

    pub(super) fn send_with(&mut self, id: ConnId, message: Message<'_>, mark: Mark) -> Delivery {
        if id.shard() == self.index() {
            return self.core.send_marked(id.key, message, mark);
        }
        self.core.send_to(id, message, mark)
    }

    /// Sends a message to a topic's subscribers on all shards.
    ///
    /// False: another shard was too far behind to take it (`mailbox_bytes_max`); its subscribers do not get it.
    pub fn publish<'m>(&mut self, topic: &str, message: impl Into<Message<'m>>) -> bool {
        self.core.publish(topic, message.into(), None)
    }

    /// The same, and nobody gets it compressed.
    pub fn publish_uncompressed<'m>(&mut self, topic: &str, message: impl Into<Message<'m>>) -> bool {
        self.core.publish_plain(topic, message.into(), None)
    }

    /// Calls `ring` once, when `delay` has passed: never early, and a millisecond or a turn late.
    pub fn after(
        &mut self,
        delay: Duration,
        ring: impl FnOnce(&mut H, &mut Shard<'_, H>) + 'static,
    ) -> Timer {
        let mut ring = Some(ring);
        let once = move |handler: &mut H, shard: &mut Shard<'_, H>| {
            if let Some(ring) = ring.take() {
                ring(handler, shard);
            }
        };
        Timer(self.core.set_timer(micros(delay), 0, Alarm::Ring(Box::new(once))))
    }

    /// Calls `ring` every `period`, counted from now without drift. A shard that is held up skips what it missed.
    pub fn every(
        &mut self,
        period: Duration,
        ring: impl FnMut(&mut H, &mut Shard<'_, H>) + 'static,
    ) -> Timer {
        let period = micros(period).max(1);
        Timer(self.core.set_timer(period, period, Alarm::Ring(Box::new(ring))))
    }

    /// Cancels a timer; false where it has rung for the last time, or was cancelled.
    pub fn cancel(&mut self, timer: Timer) -> bool {
        self.core.cancel_timer(timer.0)
    }

    /// Runs `job` on a helper thread, then `done` here with its result. The way to anything that blocks: files, databases,
    /// an async runtime. A job that panics is counted (`jobs_panicked`), and `done` is not called.
    ///
    /// False: `offload_jobs_max` jobs of this shard are under way, and this one is not run.
    pub fn offload<T: Send + 'static>(
        &mut self,
        job: impl FnOnce() -> T + Send + 'static,
        done: impl FnOnce(&mut H, &mut Shard<'_, H>, T) + 'static,
    ) -> bool {
        if self.desk.jobs.len() >= self.core.config().offload_jobs_max {
            self.core.counters().jobs_refused.add(1);
            return false;
        }
        let job_id = self.desk.jobs.insert(Box::new(move |handler, shard, result: Box<dyn Any + Send>| {
            if let Ok(result) = result.downcast::<T>() {
                done(handler, shard, *result);
            }
        }));
        let shard = self.index();
        self.desk.remote.offload(shard, job_id, Box::new(move || Box::new(job())));
        true
    }
}

impl<H: Handler> fmt::Debug for Shard<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard").field("index", &self.index()).finish_non_exhaustive()
    }
}

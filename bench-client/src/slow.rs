//! Connections that read slowly: the part of a worker that `slow` adds, and what is told of them.
//!
//! Their sockets have small buffers, no event makes them read, and ten times a second each takes what its rate allows. What
//! comes on them is judged and timed as on any other, but counted apart: what the others see is what matters.

use std::fmt;

use serde::Serialize;

use crate::conn::{Conn, Phase};
use crate::distribution::Times;
use crate::settings::Settings;
use crate::share;
use crate::stats::Stats;
use crate::worker::Worker;

/// The receive buffer of a slow reader's socket, as it is asked for: the kernel's least, doubled. With more, what it does not
/// read would lie with the client and not with the server.
pub(crate) const RECEIVE_BYTES: usize = 4 << 10;
/// Times a second that it reads.
const READS_PER_SECOND: u64 = 10;

/// Which connections read slowly, and how.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Slow {
    /// This share of them.
    pub(crate) share: f64,
    pub(crate) bytes_per_second: u64,
}

/// A worker's slow readers.
#[derive(Debug)]
pub(crate) struct SlowReaders {
    slow: Slow,
    /// What came on them, and what became of them.
    pub(crate) stats: Box<Stats>,
    /// Slot, and bytes that may be read: below 0 after a message that could only be taken whole.
    readers: Vec<(usize, i64)>,
}

impl SlowReaders {
    pub(crate) fn new(slow: Slow) -> Self {
        Self { slow, stats: Box::default(), readers: Vec::new() }
    }
}

impl Worker {
    /// Starts with the slow ones among the connections that are open.
    pub(crate) fn slow_down(&mut self) {
        let slots = self.slots(|conn| conn.is_slow && conn.phase == Phase::Open);
        if let Some(slow) = &mut self.slow {
            slow.readers = slots.into_iter().map(|slot| (slot, 0)).collect();
        }
    }

    /// Does something for a slow connection, with what is counted meanwhile counted apart.
    pub(crate) fn apart<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let swap = |worker: &mut Self| {
            if let Some(slow) = &mut worker.slow {
                std::mem::swap(&mut worker.traffic.stats, &mut slow.stats);
            }
        };
        swap(self);
        let out = act(self);
        swap(self);
        out
    }

    /// What an event on a slow connection leads to: nothing, for its time comes by itself. Until this worker has begun it
    /// reads as any other, or heartbeats would go unanswered; another one may publish by then, so that is counted apart too.
    pub(crate) fn leave_slow(&mut self, slot: usize, now: u64) -> u64 {
        let is_open = |worker: &Self| worker.conns[slot].phase == Phase::Open;
        while !self.traffic.started
            && is_open(self)
            && self.apart(|worker| worker.read_at_most(slot, usize::MAX)) > 0
        {}
        now
    }

    /// Has every slow connection read what its rate allows.
    pub(crate) fn read_slowly(&mut self) {
        let Some(slow) = &mut self.slow else { return };
        let each = (slow.slow.bytes_per_second / READS_PER_SECOND).max(1) as i64;
        let mut readers = std::mem::take(&mut slow.readers);
        for (slot, credit) in &mut readers {
            // What was not there to be read is not read later.
            *credit = (*credit + each).min(each);
            if *credit > 0
                && self.conns.get(*slot).is_some_and(|conn| conn.is_slow && conn.phase == Phase::Open)
            {
                let (slot, bytes) = (*slot, *credit as usize);
                *credit -= self.apart(|worker| worker.read_at_most(slot, bytes)) as i64;
            }
        }
        if let Some(slow) = &mut self.slow {
            slow.readers = readers;
        }
    }
}

impl Worker {
    /// Settles what the slow readers are behind, and drops them: a close would come behind all that they did not read.
    pub(crate) fn drop_slow_readers(&mut self, published: u32) {
        for slot in self.slots(|conn| conn.is_slow && conn.phase == Phase::Open) {
            self.apart(|worker| {
                let conn = &mut worker.conns[slot];
                conn.publishes.give_up(published);
                worker.traffic.stats.tally.lost += conn.publishes.missing();
                conn.phase = Phase::Gone;
                worker.ended.push(slot);
            });
        }
    }
}

/// What is told of the slow readers.
#[derive(Debug, Serialize)]
pub(crate) struct SlowUse {
    pub(crate) connections: u64,
    pub(crate) bytes_per_second: u64,
    /// Messages that they read.
    pub(crate) delivered: u64,
    /// Messages that they had not read when the run ended, or that were dropped for them.
    pub(crate) behind: u64,
    /// Those that the server ended.
    pub(crate) closed: u64,
    pub(crate) delivery: Option<Times>,
}

impl SlowUse {
    pub(crate) fn of(settings: &Settings, stats: &mut Stats) -> Option<Self> {
        let slow = settings.slow?;
        let mut own = stats.slow.take()?;
        let all = 0..settings.common.connections as u32;
        Some(Self {
            connections: all.filter(|&number| share::has(slow.share, number)).count() as u64,
            bytes_per_second: slow.bytes_per_second,
            delivered: own.tally.delivered,
            behind: own.tally.lost,
            closed: own.tally.closed_by_server,
            delivery: Times::of(own.delivery.window()),
        })
    }
}

impl fmt::Display for SlowUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, bytes_per_second, delivered, behind, closed, .. } = self;
        writeln!(
            f,
            "slow          {connections} connections read {bytes_per_second} B/s: {delivered} messages were read, {behind} were \
             not, and the server ended {closed}"
        )?;
        match self.delivery {
            Some(times) => writeln!(f, "  slow delivery  {times}"),
            None => Ok(()),
        }
    }
}

/// Whether a connection takes no part in what is sent.
pub(crate) fn is_silent(conn: &Conn) -> bool {
    conn.is_publisher || conn.is_slow
}

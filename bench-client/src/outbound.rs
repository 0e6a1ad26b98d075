//! What is sent because its time has come: the open-loop echoes of a worker, and the publishes of the one publisher.

use std::io;
use std::sync::atomic::Ordering::Relaxed;

use slab::Slab;

use crate::conn::Conn;
use crate::pace::Arrivals;
use crate::payload::Kind;
use crate::schedule::Schedule;
use crate::settings::{Load, Publish, Settings};
use crate::shared::Shared;
use crate::traffic::Traffic;

/// Connections served in one go, so that reading goes on: about 0.5 ms at 8 µs a send.
const SENDS_AT_ONCE: usize = 64;

/// The slot of a connection that is away; no connection has one as large.
pub(crate) const NOBODY: usize = usize::MAX;

/// The scheduled side of a worker.
#[derive(Debug)]
pub(crate) struct Outbound {
    load: Load,
    publish: Option<Publish>,
    /// What the schedule's messages are for.
    kind: Kind,
    /// This worker's part of the open-loop rate.
    share: f64,
    tick: u64,
    /// Where messages come as a Poisson process does.
    seed: Option<u64>,
    /// How long after the others' this worker's ticks begin.
    phase: u64,
    echoes: Option<Schedule>,
    /// The slots of the connections that the schedule goes round, [`NOBODY`] where one is away.
    ring: Vec<usize>,
    /// The number of the first of them, where all have places by their numbers.
    first: u32,
    publishes: Option<(usize, u64)>,
    /// Cached: when the next message is due.
    next_due: u64,
}

impl Outbound {
    /// The schedule of a worker with `members` connections, number `index` of `workers`.
    ///
    /// The workers' ticks are spread evenly over a tick, so that what is sent is too.
    pub(crate) fn new(settings: &Settings, members: u32, index: usize, workers: usize) -> Self {
        let share = f64::from(members) / settings.common.connections as f64;
        Self {
            load: settings.load,
            publish: settings.publish,
            kind: if settings.rooms.is_some() { Kind::Publish } else { Kind::Echo },
            share,
            tick: settings.tick,
            // Two workers with the same times would send in step.
            seed: (settings.arrivals == Arrivals::Poisson).then_some(settings.seed ^ ((index as u64) << 32)),
            phase: settings.tick * index as u64 / workers.max(1) as u64,
            echoes: None,
            ring: Vec::new(),
            first: 0,
            publishes: None,
            next_due: u64::MAX,
        }
    }

    /// Starts the schedules at `from`, over these slots.
    pub(crate) fn start(&mut self, from: u64, members: Vec<usize>, publisher: Option<usize>) {
        if let Load::Open(rate) | Load::Once(rate) = self.load
            && !members.is_empty()
        {
            let per_second = rate as f64 * self.share;
            let schedule = Schedule::new(from + self.phase, per_second, members.len(), self.tick);
            let schedule = match self.seed {
                Some(seed) => schedule.poisson(seed),
                None => schedule,
            };
            let schedule = if let Load::Once(_) = self.load { schedule.once() } else { schedule };
            self.echoes = Some(schedule);
        }
        self.ring = members;
        self.publishes = publisher.map(|slot| (slot, from));
        self.next_due = from;
    }

    /// The same, for connections that come and go: they have places by their numbers, `first` and those after it.
    pub(crate) fn number_from(&mut self, first: u32) {
        self.first = first;
    }

    /// Gives the place of connection `number` to a slot, or to [`NOBODY`].
    pub(crate) fn seat(&mut self, number: u32, slot: usize) {
        if let Some(place) = self.ring.get_mut(number.wrapping_sub(self.first) as usize) {
            *place = slot;
        }
    }

    /// The slot that has a place.
    pub(crate) fn at(&self, place: usize) -> usize {
        self.ring.get(place).copied().unwrap_or(NOBODY)
    }

    /// How many places there are.
    pub(crate) fn places(&self) -> usize {
        self.ring.len()
    }

    /// When the next message is due; far away when there is none.
    pub(crate) fn next_due(&self) -> u64 {
        self.next_due
    }

    /// Whether sending follows answers instead of a schedule.
    pub(crate) fn is_closed_loop(&self) -> bool {
        matches!(self.load, Load::Closed(_))
    }

    /// Sends what is due, a bounded number of connections at once; returns the connections whose socket failed.
    #[must_use]
    pub(crate) fn send_due(
        &mut self,
        conns: &mut Slab<Conn>,
        traffic: &mut Traffic,
        shared: &Shared,
    ) -> Vec<(usize, io::Error)> {
        let mut failed = Vec::new();
        let now = shared.clock.now();
        if now < self.next_due {
            return failed;
        }
        // What was due before the end is still sent after it, or a stall at the end would go unseen.
        let end = traffic.window.1;
        if now >= shared.drain_to.load(Relaxed) {
            self.echoes = None;
            self.publishes = None;
        }
        self.publish(conns, traffic, shared, end, &mut failed);
        self.echo(conns, traffic, shared, end, &mut failed);
        let echo = self.echoes.as_ref().map_or(u64::MAX, Schedule::next_due);
        let publish = self.publishes.map_or(u64::MAX, |(_, due)| due);
        let next = echo.min(publish);
        self.next_due = if next >= end { u64::MAX } else { next };
        failed
    }

    fn publish(
        &mut self,
        conns: &mut Slab<Conn>,
        traffic: &mut Traffic,
        shared: &Shared,
        end: u64,
        failed: &mut Vec<(usize, io::Error)>,
    ) {
        let (Some(publish), Some((slot, due))) = (self.publish, &mut self.publishes) else { return };
        loop {
            let now = shared.clock.now();
            if *due > now || *due >= end {
                break;
            }
            let times = std::iter::repeat_n(*due, publish.burst as usize);
            *due += publish.every;
            match conns.get_mut(*slot) {
                Some(conn) => {
                    if let Err(error) = traffic.send_due(conn, Kind::Publish, times, now) {
                        failed.push((*slot, error));
                        break;
                    }
                    shared.published.store(traffic.stats.tally.published, Relaxed);
                }
                None => traffic.stats.tally.unsent += u64::from(publish.burst),
            }
        }
    }

    fn echo(
        &mut self,
        conns: &mut Slab<Conn>,
        traffic: &mut Traffic,
        shared: &Shared,
        end: u64,
        failed: &mut Vec<(usize, io::Error)>,
    ) {
        let (Some(schedule), ring) = (&mut self.echoes, &self.ring) else { return };
        for _ in 0..SENDS_AT_ONCE {
            let now = shared.clock.now();
            let Some(due) = schedule.take(now.min(end.saturating_sub(1))) else { break };
            let slot = ring[due.index];
            match conns.get_mut(slot) {
                Some(conn) => {
                    let times = schedule.times(due);
                    if let Err(error) = traffic.send_due(conn, self.kind, times, now) {
                        failed.push((slot, error));
                    }
                }
                None if slot == NOBODY => traffic.stats.tally.absent += due.count,
                None => traffic.stats.tally.unsent += due.count,
            }
        }
    }
}

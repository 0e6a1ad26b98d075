//! How a shard ends: at once (`Mail::Stop`), or by a drain that gives everybody their time (`Mail::Drain`).
//!
//! ```text
//! drain ──► not ready, serving ──► closing ───────────────────────► all told ──► ended
//!            drain_delay            listeners close once empty,      what is owed is answered,
//!                                   connections are told in pace     at the grace's end the rest is cut
//! ```
//!
//! Owns the schedule, and the count of those that were cut. The pace goes over the table's slots in their order, so a
//! connection whose turn has come is known by its slot (`Draining::told`) and no connection carries a flag for it.
//! Called by the turn, behind the mailbox: what came in by then is queued before anybody is told to go.

use crate::base::cause::{Cause, CloseReason};
use crate::base::config::Config;
use crate::base::id::Key;

use super::conn::{Arrived, Flags, Stage};
use super::core::Core;
use super::deadlines::reached;
use super::io::Io;
use super::listener::Listener;
use super::service::Service;
use super::shard::Shard;

/// How long listeners that take no more are still accepted from: a handshake that had begun takes a round trip to end.
const LISTEN_ON_MS: u32 = 200;

/// How much longer, where what waits in them cannot be accepted for want of fds.
const LISTEN_LONGER_MS: u32 = 1000;

/// How long, behind the schedule's end, a client that has connected and asked nothing may still ask.
const ASK_MS: u32 = 1000;

/// Connections told to go in one turn: some 0.3 µs each, and the frames that they get go out by `flushes_per_turn`.
const TOLD_PER_TURN: usize = 1024;

/// How often a shard looks at its schedule, and whether the others have ended.
const TICK_MS: u64 = 5;

/// Connections that a stop did not wait for any longer: those that were left at the end of its grace, by what they
/// were doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Cut {
    /// HTTP: a request was awaited or arriving.
    pub requests: usize,
    /// HTTP: an answer was owed.
    pub answers: usize,
    /// WebSockets, open or in their closing handshake.
    pub websockets: usize,
    /// Everything was said, and the peer had not taken it or not ended its side.
    pub leaving: usize,
}

impl Cut {
    /// How many that are in all.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.requests + self.answers + self.websockets + self.leaving
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            answers: self.answers + other.answers,
            websockets: self.websockets + other.websockets,
            leaving: self.leaving + other.leaving,
        }
    }
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { requests, answers, websockets, leaving } = self;
        write!(f, "{requests} requests, {answers} owed answers, {websockets} WebSockets, {leaving} leaving")
    }
}

/// How far a drain has come, for the code that answers requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Draining {
    /// No clients are to be sent here any more.
    pub(super) has_begun: bool,
    /// Nothing new is opened.
    pub(super) is_closing: bool,
    /// Connections in slots below this have had their turn: the next answer is their last.
    told: u32,
}

impl Draining {
    /// Whether an answer with this status is the connection's last. A client that is told to come back later is to do
    /// so elsewhere, and would ask on this connection again.
    pub(super) fn is_last(&self, key: Key, status: u16) -> bool {
        key.slot < self.told || self.is_closing && status == 503
    }
}

/// A drain's times, as moments of the shard's clock.
#[derive(Debug)]
pub(super) struct Schedule {
    closes_at: u32,
    /// From when on everybody is told, over how long, and how many that were.
    began: Option<Pace>,
    /// How many thousandths of what is no connection may stay, as the service was told last.
    kept: u32,
    swept: bool,
}

#[derive(Clone, Copy, Debug)]
struct Pace {
    at: u32,
    span_ms: u32,
    count: usize,
    done: usize,
}

impl Pace {
    /// Over `drain_time`, or at `drain_rate` if that is sooner; this shard has its share of the rate.
    fn new(config: &Config, shards: usize, count: usize, at: u32) -> Self {
        let mut span_ms = config.drain_time.as_millis() as u64;
        if config.drain_rate > 0 {
            // Up to the next millisecond: the rate is not exceeded, however few they are.
            let by_rate = (count as u64 * 1000 * shards as u64).div_ceil(config.drain_rate as u64);
            span_ms = span_ms.min(by_rate);
        }
        Self { at, span_ms: span_ms as u32, count, done: 0 }
    }

    fn left_ms(&self, now: u32) -> u32 {
        self.span_ms.saturating_sub(now.wrapping_sub(self.at))
    }

    /// How many may have been told by `now`; `None`: all.
    fn due(&self, now: u32) -> Option<usize> {
        let left = self.left_ms(now);
        let passed = u64::from(self.span_ms - left);
        (left > 0).then(|| (self.count as u64 * passed / u64::from(self.span_ms)) as usize)
    }
}

impl<S: Service, I: Io> Shard<S, I> {
    /// Ends the shard with `drain_delay`, in pace, within `stop_grace`.
    pub(super) fn drain(&mut self) {
        if self.stop_by.is_some() {
            return;
        }
        let (now, config) = (self.core.now, &self.core.config);
        // Moments are told apart over half the range of 32 bits of milliseconds: 24.8 days.
        let grace_ms = config.grace().as_millis().min(i32::MAX as u128) as u32;
        self.stop_by = Some(now.wrapping_add(grace_ms));
        let closes_at = now.wrapping_add(config.drain_delay.as_millis() as u32);
        self.schedule = Some(Schedule { closes_at, began: None, kept: u32::MAX, swept: false });
        self.core.draining.has_begun = true;
    }

    /// Closes every connection at once, and lets the loop end when they are gone or `grace_ms` is over.
    pub(super) fn stop(&mut self, grace_ms: u32) {
        let by = self.core.now.wrapping_add(grace_ms);
        let before = self.stop_by.replace(by);
        // Told again, it may only have to be quicker.
        if let Some(before) = before.filter(|&before| reached(by, before)) {
            self.stop_by = Some(before);
        }
        if before.is_some() && self.schedule.is_none() {
            return;
        }
        self.schedule = None;
        self.core.draining = Draining { has_begun: true, is_closing: true, told: u32::MAX };
        self.close_listeners();
        self.guard(None, |service, core| service.stopping(core, 0));
        let keys: Vec<_> = self.core.table.keys().collect();
        for key in keys {
            self.core.stop_conn(key);
        }
    }

    fn close_listeners(&mut self) {
        self.listeners.clear();
        self.io.close_listeners();
        self.close_turned_away(usize::MAX);
    }

    /// Does what a drain's schedule has for this moment.
    pub(super) fn drain_on(&mut self) {
        let now = self.core.now;
        let Some(schedule) = &mut self.schedule else { return };
        if !reached(now, schedule.closes_at) {
            return;
        }
        let pace = match schedule.began {
            Some(pace) => pace,
            None => self.begin_closing(),
        };
        if !self.listeners.is_empty() {
            self.close_listeners_once_empty(pace.at);
        }
        self.tell_due(pace);
        self.sweep();
    }

    /// Nothing new comes in from here on; what waits in the listeners' queues is still accepted.
    fn begin_closing(&mut self) -> Pace {
        let core = &mut self.core;
        let pace = Pace::new(&core.config, core.shards(), core.table.len(), core.now);
        core.draining.is_closing = true;
        self.io.deafen_listeners();
        self.start_listeners();
        pace
    }

    fn close_listeners_once_empty(&mut self, since: u32) {
        let now = self.core.now;
        let is_empty = !self.listeners.iter().any(Listener::is_ready);
        let waited = |ms| reached(now, since.wrapping_add(ms));
        if waited(LISTEN_ON_MS) && (is_empty || waited(LISTEN_ON_MS + LISTEN_LONGER_MS)) {
            self.close_listeners();
        }
    }

    /// Tells those to go whose turn has come.
    fn tell_due(&mut self, mut pace: Pace) {
        let due = pace.due(self.core.now);
        // Sessions that are no connections have the same pace, in steps of a thousandth.
        let left = u64::from(pace.left_ms(self.core.now)) * 1000;
        let keep = left.checked_div(u64::from(pace.span_ms)).unwrap_or(0) as u32;
        if self.schedule.as_mut().is_some_and(|schedule| std::mem::replace(&mut schedule.kept, keep) != keep)
        {
            self.guard(None, |service, core| service.stopping(core, keep));
        }
        let mut budget = TOLD_PER_TURN;
        while budget > 0 && due.is_none_or(|due| pace.done < due) {
            let slot = self.core.draining.told;
            if slot as usize >= self.core.table.slots() {
                break;
            }
            self.core.draining.told += 1;
            if let Some((key, _)) = self.core.table.at(slot) {
                self.core.tell_to_go(key);
                pace.done += 1;
                budget -= 1;
            }
        }
        if due.is_none() && self.core.draining.told as usize >= self.core.table.slots() {
            self.core.draining.told = u32::MAX;
        }
        if let Some(schedule) = &mut self.schedule {
            schedule.began = Some(pace);
        }
    }

    /// All were told. Whoever has connected and still asked nothing is let go as well.
    fn sweep(&mut self) {
        let now = self.core.now;
        let Some(schedule) = &mut self.schedule else { return };
        let Some(pace) = schedule.began else { return };
        let ends = pace.at.wrapping_add(pace.span_ms).wrapping_add(ASK_MS);
        if schedule.swept || self.core.draining.told < u32::MAX || !reached(now, ends) {
            return;
        }
        schedule.swept = true;
        let keys: Vec<_> = self.core.table.keys().collect();
        keys.into_iter().for_each(|key| self.core.let_go_if_idle(key, Flags::default()));
    }

    /// How long poll may wait for the sake of a stop or a drain.
    pub(super) fn until_drained(&self) -> Option<u64> {
        let (by, now) = (self.stop_by?, self.core.now);
        let until = |moment: u32| if reached(now, moment) { 0 } else { u64::from(moment.wrapping_sub(now)) };
        let next = match &self.schedule {
            Some(schedule) if !reached(now, schedule.closes_at) => until(schedule.closes_at),
            Some(_) => TICK_MS,
            None => 1000,
        };
        Some(next.min(until(by)))
    }

    pub(super) fn has_ended(&mut self) -> bool {
        let Some(by) = self.stop_by else { return false };
        if reached(self.core.now, by) {
            let keys: Vec<_> = self.core.table.keys().collect();
            for key in keys {
                self.core.count_cut(key, &mut self.cut);
                self.core.vanish(key, Cause::ServerStops);
            }
            self.reap();
            return true;
        }
        let is_empty = self.core.table.is_empty();
        match self.schedule {
            None => is_empty,
            // Another shard's connections may still have something to say to what lives here.
            Some(_) => {
                let is_told = self.listeners.is_empty() && self.core.draining.told == u32::MAX;
                is_empty && is_told && self.inbox.is_empty() && self.core.census.total() == 0
            }
        }
    }

    /// What a stop has cut on this shard.
    pub fn cut(&self) -> Cut {
        self.cut
    }
}

impl<S: Service> Core<S> {
    /// Whether the server drains or stops: no client should be sent here any more.
    pub fn is_draining(&self) -> bool {
        self.draining.has_begun
    }

    /// The server stops: a WebSocket is closed with 1001, a request that waits is refused, the rest is let go.
    fn stop_conn(&mut self, key: Key) {
        let Some(conn) = self.table.conn(key) else { return };
        match conn.stage {
            Stage::Waiting => self.fail(key, Cause::NotAnswered),
            Stage::Head => self.leave(key),
            _ => self.close_going(key),
        }
    }

    /// A connection's turn to go: a WebSocket is closed with 1001; what is owed an answer gets it first.
    fn tell_to_go(&mut self, key: Key) {
        self.close_going(key);
        self.let_go_if_idle(key, Flags::KEPT);
    }

    fn close_going(&mut self, key: Key) {
        self.close_for(key, CloseReason::of(Cause::ServerStops), Cause::ServerStops.sentence());
    }

    /// Lets an HTTP connection go that is between two requests, or, with no flags asked for, before its first.
    fn let_go_if_idle(&mut self, key: Key, flags: Flags) {
        let Some(conn) = self.table.conn_mut(key) else { return };
        let is_idle = conn.stage == Stage::Head && matches!(conn.arrived, Arrived::Nothing);
        if is_idle && (flags == Flags::default() || conn.flags.any(flags)) {
            conn.reason = CloseReason::of(Cause::HttpDone);
            self.leave(key);
        }
    }

    fn count_cut(&self, key: Key, cut: &mut Cut) {
        let Some(conn) = self.table.conn(key) else { return };
        let count = match conn.stage {
            Stage::Head => &mut cut.requests,
            Stage::Waiting => &mut cut.answers,
            Stage::Open | Stage::Closing => &mut cut.websockets,
            Stage::Leaving | Stage::Lingering => &mut cut.leaving,
            Stage::Dead => return,
        };
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn pace(count: usize, shards: usize, rate: usize, seconds: u64) -> Pace {
        let config =
            Config { drain_rate: rate, drain_time: Duration::from_secs(seconds), ..Config::default() };
        Pace::new(&config, shards, count, 1000)
    }

    #[test]
    fn the_sooner_of_time_and_rate_is_the_pace_and_zero_is_no_bound() {
        for (count, shards, rate, seconds, span_ms) in [
            (1000, 1, 500, 10, 2000),
            (1000, 2, 500, 10, 4000),
            (1000, 1, 50, 10, 10_000),
            (1000, 1, 0, 10, 10_000),
            (1000, 1, 500, 0, 0),
            (0, 4, 500, 10, 0),
            (13, 3, 5000, 10, 8),
        ] {
            assert_eq!(pace(count, shards, rate, seconds).span_ms, span_ms, "{count} {rate} {seconds}");
        }
    }

    #[test]
    fn nobody_is_told_before_the_time_and_everybody_by_its_end() {
        let pace = pace(1000, 1, 500, 10);
        for (at, due) in [
            (1000, Some(0)),
            (1001, Some(0)),
            (1002, Some(1)),
            (2000, Some(500)),
            (2999, Some(999)),
            (3000, None),
        ] {
            assert_eq!(pace.due(at), due, "at {at}");
        }
        let near_the_wrap = Pace { at: u32::MAX - 999, ..pace };
        assert_eq!(near_the_wrap.due(0), Some(500));
        assert_eq!(Pace { span_ms: 0, ..pace }.due(1000), None);
    }
}

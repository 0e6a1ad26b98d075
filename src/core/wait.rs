//! Steps 1 and 2: waiting for events, and the shard's time, which leaves out what it stood still for.
//!
//! A host that is suspended, a process that is stopped, a handler that blocks for a minute: meanwhile nobody was read, and
//! nobody pinged. Were that time counted, peers would be overdue whose bytes have waited all the while, or who were never
//! asked. So a standstill is left out of the time that deadlines and timers go by, and behind one what has arrived is read
//! before anything is judged.
//!
//! Called by the shard at the ends of its turn. Nothing else asks the kernel for the time.

use std::io;

use super::io::{EVENTS_PER_POLL, Io};
use super::listener::Listener;
use super::service::Service;
use super::shard::Shard;

/// What takes so much longer than it was to is a standstill. No turn comes near it, however much it has to do.
const STANDSTILL_US: u64 = 1_000_000;

/// What counts of a turn that is one: so that time goes on where all are.
const COUNTED_US: u64 = 100_000;

/// How many turns what is due may be put off to read first: they are a poll's events each, so together 260,000 connections.
const PUT_OFF_MAX: u32 = 256;

/// When the shard has waited and worked, by the kernel's clock, and what of it is left out.
#[derive(Debug)]
pub(super) struct Wait {
    left_out_us: u64,
    /// When the last turn ended.
    since_us: u64,
    /// When poll was to return at the latest. A simulated one fails where a real one would sleep and is called again, so
    /// it is the latest of several.
    wake_by_us: u64,
    /// A standstill, or what may have been one, is over, and not all that came meanwhile is read.
    is_behind: bool,
    /// It was one: those who have come meanwhile count as well, since who polls asks by new connections.
    was_standstill: bool,
    put_off: u32,
}

impl Wait {
    /// A shard that begins at this moment.
    pub(super) fn new(now_us: u64) -> Self {
        Self {
            left_out_us: 0,
            since_us: now_us,
            wake_by_us: 0,
            is_behind: false,
            was_standstill: false,
            put_off: 0,
        }
    }

    /// The shard's time at this moment of the kernel's.
    pub(super) fn time_us(&self, now_us: u64) -> u64 {
        now_us - self.left_out_us
    }

    /// The shard's time at this moment of the kernel's, in the midst of a turn. Should the turn turn out to be a standstill,
    /// not more of it will have counted.
    fn midst_us(&self, now_us: u64) -> u64 {
        self.time_us(now_us.min(self.since_us + COUNTED_US))
    }

    /// The shard waits, for so long at most.
    pub(super) fn sleeps(&mut self, timeout_ms: Option<u64>) {
        let by_us = timeout_ms.map_or(u64::MAX, |ms| self.since_us.saturating_add(ms.saturating_mul(1000)));
        self.wake_by_us = self.wake_by_us.max(by_us);
    }

    /// The shard goes on. Whether it was to earlier, by a standstill.
    pub(super) fn wakes(&mut self, now_us: u64) -> bool {
        let due_us = std::mem::take(&mut self.wake_by_us);
        let is_standstill = now_us.saturating_sub(due_us) >= STANDSTILL_US;
        if is_standstill {
            // When in that time it began nobody knows. So nothing of it counts, and whoever was asked right before has as
            // long to answer as if it was asked now.
            self.left_out_us += now_us - self.since_us;
        }
        self.since_us = now_us;
        is_standstill
    }

    /// The turn that began when the shard woke is over. Whether a standstill was in it.
    pub(super) fn ends(&mut self, now_us: u64) -> bool {
        let took_us = now_us.saturating_sub(self.since_us);
        self.since_us = now_us;
        let is_standstill = took_us >= STANDSTILL_US;
        if is_standstill {
            self.left_out_us += took_us - COUNTED_US;
        }
        is_standstill
    }
}

impl<S: Service, I: Io> Shard<S, I> {
    /// Steps 1 and 2. Returns the turn's first moment, by the kernel's clock.
    pub(super) fn poll(&mut self) -> io::Result<u64> {
        let mut timeout = self.timeout_ms();
        let sleeps = timeout != Some(0);
        if sleeps && !self.inbox.may_sleep() {
            timeout = Some(0);
        }
        self.events.clear();
        self.wait.sleeps(timeout);
        let is_interrupted = match self.io.poll(timeout, &mut self.events) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            // The bell stays as it is: a simulated poll fails where a real one would sleep, and `turn` is called again.
            Err(error) => return Err(error),
            Ok(()) => false,
        };
        if is_interrupted {
            // So ends the wait of a process that was stopped and goes on, whatever has arrived. Interrupted again, it is the
            // next turn that looks.
            let _looked = self.io.poll(Some(0), &mut self.events);
        }
        if sleeps {
            self.inbox.awake();
        }
        let now_us = self.io.now();
        let is_late = self.wait.wakes(now_us);
        self.note_standstill(is_late);
        self.wait.is_behind |= is_interrupted;
        self.core.set_clock(self.wait.time_us(now_us));
        Ok(now_us)
    }

    /// Brings the time up to date in the midst of a turn. Returns the clock's own.
    pub(super) fn look_at_clock(&mut self) -> u64 {
        let now_us = self.io.now();
        self.core.set_clock(self.wait.midst_us(now_us));
        now_us
    }

    /// The turn that began at `began_us` is over. Returns its length.
    pub(super) fn turn_ends(&mut self, began_us: u64) -> u64 {
        let now_us = self.io.now();
        let stood_still = self.wait.ends(now_us);
        self.note_standstill(stood_still);
        now_us.saturating_sub(began_us)
    }

    fn note_standstill(&mut self, stood_still: bool) {
        if stood_still {
            self.core.counters.standstills.add(1);
            (self.wait.is_behind, self.wait.was_standstill) = (true, true);
        }
    }

    /// Whether what is due may be judged: not while there is somebody of whom nothing was read that came during a standstill.
    pub(super) fn has_caught_up(&mut self) -> bool {
        if !self.wait.is_behind {
            return true;
        }
        // The waker is no event.
        let is_unread = self.events.len() + 1 >= EVENTS_PER_POLL
            || (self.wait.was_standstill && self.listeners.iter().any(Listener::is_ready));
        if is_unread && self.wait.put_off < PUT_OFF_MAX {
            self.wait.put_off += 1;
            return false;
        }
        (self.wait.is_behind, self.wait.was_standstill, self.wait.put_off) = (false, false, 0);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn what_is_waited_for_and_worked_counts() {
        let mut wait = Wait::new(5 * SECOND);
        for (timeout_ms, slept_us, worked_us) in [
            (Some(20_000), 20 * SECOND, 999_999),
            (None, 3600 * SECOND, 5),
            (Some(0), 999_999, 10),
            (Some(9000), 4, 4),
        ] {
            let before_us = wait.since_us;
            wait.sleeps(timeout_ms);
            assert!(!wait.wakes(before_us + slept_us) && !wait.ends(before_us + slept_us + worked_us));
            assert_eq!(wait.time_us(wait.since_us), before_us + slept_us + worked_us);
        }
    }

    #[test]
    fn a_standstill_is_left_out() {
        let mut wait = Wait::new(0);
        wait.sleeps(Some(2000));
        assert!(wait.wakes(62 * SECOND), "a minute too late");
        assert_eq!(wait.time_us(62 * SECOND), 0);
        assert_eq!((wait.midst_us(62 * SECOND + 9), wait.midst_us(72 * SECOND)), (9, COUNTED_US));
        assert!(wait.ends(72 * SECOND), "ten seconds in a handler");
        assert_eq!(wait.time_us(72 * SECOND), COUNTED_US);
        wait.sleeps(Some(0));
        assert!(!wait.wakes(72 * SECOND + 7));
        assert_eq!(wait.time_us(72 * SECOND + 7), COUNTED_US + 7);
    }

    #[test]
    fn a_poll_that_is_called_again_may_wait_for_what_it_was_first() {
        let mut wait = Wait::new(0);
        wait.sleeps(Some(30_000));
        wait.sleeps(Some(0));
        assert!(!wait.wakes(25 * SECOND), "mail has come");
        assert_eq!(wait.time_us(25 * SECOND), 25 * SECOND);
    }
}

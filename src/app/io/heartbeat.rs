//! When sessions are due: one first-in-first-out list per kind, as the core has them for connections.

use std::collections::VecDeque;
use std::time::Duration;

use super::config::IoConfig;
use super::evict::LINGER_PART;

/// The kinds of deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub(super) enum Due {
    /// A ping is to be sent.
    Ping,
    /// Its answer must be there.
    Pong,
    /// The upgrade must be done.
    Upgrade,
    /// A namespace must be connected to.
    Connect,
    /// Who has connected to none by now may have to make room.
    Linger,
    /// A new socket's connection handlers are to run.
    Greet,
}

const KINDS: [Due; 6] = [Due::Ping, Due::Pong, Due::Upgrade, Due::Connect, Due::Linger, Due::Greet];

/// How long after the answer to a connect its handlers run. What they emit would else come in with that answer, in one
/// piece, and a client that listens for one message after the other would miss it: the official suite does.
const GREET_US: u64 = 10_000;

/// A deadline: when, in the shard's milliseconds, for which session, and which of the sessions in that slot it was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    pub(super) due: u32,
    pub(super) slot: u32,
    pub(super) serial: u32,
}

/// The deadlines of a shard's sessions: 12 bytes each.
#[derive(Debug)]
pub(super) struct Heartbeats {
    lists: [VecDeque<Deadline>; KINDS.len()],
    duration_us: [u64; KINDS.len()],
    /// When the shard's Socket.IO is to be ticked, in microseconds.
    ticks_at: Option<u64>,
}

impl Heartbeats {
    pub(super) fn new(config: &IoConfig) -> Self {
        let micros = |duration: Duration| duration.as_micros() as u64;
        let duration_us = KINDS.map(|kind| match kind {
            Due::Ping => micros(config.ping_interval),
            Due::Pong => micros(config.ping_timeout),
            Due::Upgrade => micros(config.upgrade_timeout),
            Due::Connect => micros(config.connect_timeout),
            Due::Linger => micros(config.connect_timeout) / LINGER_PART,
            Due::Greet => GREET_US,
        });
        Self { lists: Default::default(), duration_us, ticks_at: None }
    }

    /// Files a deadline. Returns its moment, and whether the shard is to be ticked sooner than it was.
    pub(super) fn file(&mut self, kind: Due, slot: u32, serial: u32, now_us: u64) -> (u32, bool) {
        let at = now_us + self.duration_us[kind as usize];
        let due_ms = match kind {
            // A poll wakes up to a millisecond late. A ping is a deadline for nobody, so it is filed that much early, and the
            // client's time to answer, which is counted from it, ends when the client thinks it does.
            Due::Ping => (at / 1000).saturating_sub(1),
            Due::Pong => at / 1000,
            // Up to the next millisecond, so that none is early.
            _ => at.div_ceil(1000),
        };
        self.lists[kind as usize].push_back(Deadline { due: due_ms as u32, slot, serial });
        let is_sooner = self.ticks_at.is_none_or(|ticks_at| due_ms * 1000 < ticks_at);
        if is_sooner {
            self.ticks_at = Some(due_ms * 1000);
        }
        (due_ms as u32, is_sooner)
    }

    /// From when the answer to a ping is counted: from when that was due, so that the few milliseconds by which a poll wakes
    /// late do not add up. A shard that was held up for longer counts from now, or its clients would have too little time.
    pub(super) const fn pinged_at(ping: Deadline, now_us: u64) -> u64 {
        const LATE_MS_MAX: u32 = 2;
        let late_ms = ((now_us / 1000) as u32).wrapping_sub(ping.due);
        if late_ms <= LATE_MS_MAX { (now_us / 1000 - late_ms as u64) * 1000 } else { now_us }
    }

    /// Takes the next deadline that is due.
    pub(super) fn next_due(&mut self, now_us: u64) -> Option<(Due, Deadline)> {
        let now = (now_us / 1000) as u32;
        KINDS.into_iter().find_map(|kind| {
            let list = &mut self.lists[kind as usize];
            let first = *list.front()?;
            (now.wrapping_sub(first.due) as i32 >= 0).then(|| list.pop_front())?;
            Some((kind, first))
        })
    }

    /// When the shard's Socket.IO is to be ticked for a deadline.
    pub(super) const fn ticks_at(&self) -> Option<u64> {
        self.ticks_at
    }

    /// After a tick: finds when the next one is due.
    pub(super) fn rearm(&mut self, now_us: u64) {
        let now = (now_us / 1000) as u32;
        let first =
            self.lists.iter().filter_map(VecDeque::front).map(|first| first.due.wrapping_sub(now)).min();
        self.ticks_at = first.map(|milliseconds| (now_us / 1000 + u64::from(milliseconds)) * 1000);
    }
}

//! One shard: its connections, its service, and the turn of its loop.
//!
//! ```text
//!  1 poll       timeout 0 while work is left over; the mailbox's sleep handshake around it
//!  2 clock      now, without what the host stood still for; once per turn, and once behind each accept
//!  3 events     listener → accept; conn → one read into scratch → decode → service → one send
//!  4 more       connections whose read budget ended before their bytes did, or whose pause ended
//!  5 mailbox    publish, send, close, adopt, service
//!  6 deadlines  what is due, after the sockets were read; then timers
//!  7 flush      dirty outboxes in turn, budgeted: one write per connection
//!  8 reap       what is over: closed() exactly once, generation += 1
//!  9 wake       the shards we mailed, once each
//! ```
//!
//! The service runs in 3 to 8 and only changes queues. Everything that can be long has a budget per turn; what is left
//! over makes the next poll's timeout 0. `turn` makes one pass and never loops by itself.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use hdrhistogram::Histogram;

use crate::base::config::Config;
use crate::base::id::Key;
use crate::base::metrics::Counters;

use super::census::Census;
use super::conn::{Arrived, Flags, Stage};
use super::core::Core;
use super::drain::{Cut, Schedule};
use super::io::{EVENTS_PER_POLL, Event, Io};
use super::listener::Listener;
use super::mail::Mail;
use super::mailbox::{Inbox, Outlet, Outlets};
use super::parts::Parts;
use super::service::Service;
use super::wait::Wait;

/// Whether a shard goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Turn {
    /// Call `turn` again.
    Again,
    /// It was told to stop and everything is closed.
    Ended,
}

/// What a shard is built from; everything that can fail has been made before.
#[derive(Debug)]
pub struct Seed<M> {
    /// Its number, from 0.
    pub shard: usize,
    /// The settings, checked.
    pub config: Arc<Config>,
    /// Its counters.
    pub counters: Arc<Counters>,
    /// What all shards share.
    pub census: Arc<Census>,
    /// Its mailbox.
    pub inbox: Inbox<Mail<M>>,
    /// Everybody's mailboxes.
    pub outlets: Vec<Outlet<Mail<M>>>,
    /// Connections it may hold.
    pub capacity: usize,
    /// The listeners of all shards that its `Io` knows, and which of them are its own.
    pub listeners: Vec<bool>,
    /// The lengths of its turns in microseconds, from poll's return to the next poll.
    pub turn_us: Arc<Mutex<Histogram<u32>>>,
}

/// One shard.
pub struct Shard<S: Service, I: Io> {
    pub(super) core: Core<S>,
    pub(super) service: S,
    pub(super) io: I,
    pub(super) scratch: Box<[u8]>,
    /// The connections' streams, by slot.
    pub(super) streams: Vec<Option<I::Stream>>,
    pub(super) listeners: Vec<Listener>,
    /// Connections that were answered 503, until when they are left open.
    pub(super) turned_away: VecDeque<(I::Stream, u32)>,
    pub(super) inbox: Inbox<Mail<S::Mail>>,
    pub(super) events: Vec<Event>,
    pub(super) wait: Wait,
    /// When a stop must be over, once one was asked for.
    pub(super) stop_by: Option<u32>,
    /// What a drain does until then.
    pub(super) schedule: Option<Schedule>,
    pub(super) cut: Cut,
    turn_us: Arc<Mutex<Histogram<u32>>>,
    /// When what is kept and not needed was last given up, and how many bytes had been read and written then.
    pub(super) swept: u32,
    pub(super) swept_at_bytes: u64,
}

/// How long buffers and outboxes are kept that nobody needs.
pub(super) const SPARE_MS: u32 = 10_000;

impl<S: Service, I: Io> Shard<S, I> {
    /// A shard, ready for its first turn, on its own thread.
    pub fn new(seed: Seed<S::Mail>, service: S, mut io: I) -> Self {
        let scratch = vec![0; seed.config.read_bytes_per_turn].into_boxed_slice();
        let outlets = Outlets::new(seed.outlets, seed.config.mailbox_bytes_max);
        let listeners = seed.listeners.iter().map(|&is_own| Listener::new(is_own)).collect();
        let parts = Parts {
            shard: seed.shard as u16,
            config: seed.config,
            counters: seed.counters,
            census: seed.census,
            outlets,
            capacity: seed.capacity,
        };
        let mut core = Core::new(parts, &scratch);
        let now_us = io.now();
        core.set_clock(now_us);
        let swept = core.now;
        let mut shard = Self {
            streams: Vec::with_capacity(core.table.capacity()),
            core,
            service,
            io,
            scratch,
            listeners,
            turned_away: VecDeque::new(),
            inbox: seed.inbox,
            events: Vec::with_capacity(EVENTS_PER_POLL),
            wait: Wait::new(now_us),
            stop_by: None,
            schedule: None,
            cut: Cut::default(),
            turn_us: seed.turn_us,
            swept,
            swept_at_bytes: 0,
        };
        shard.start_listeners();
        shard
    }

    /// The service, for whoever owns the shard.
    pub fn service(&mut self) -> &mut S {
        &mut self.service
    }

    /// The core, for whoever owns the shard.
    pub fn core(&mut self) -> &mut Core<S> {
        &mut self.core
    }

    /// The seam below, for whoever owns the shard.
    pub fn io(&mut self) -> &mut I {
        &mut self.io
    }

    /// Runs `work` with the service as if it were a handler, before the first turn: its start.
    pub fn start(&mut self, work: impl FnOnce(&mut S, &mut Core<S>)) {
        self.guard(None, work);
    }

    /// One pass of the loop.
    ///
    /// # Errors
    /// If the kernel refuses to poll: the shard cannot go on.
    pub fn turn(&mut self) -> io::Result<Turn> {
        let began_us = self.poll()?;
        self.allow_step(began_us);
        self.core.deflating.deflate_left = self.core.config.deflate_bytes_per_turn;
        let events = std::mem::take(&mut self.events);
        for event in &events {
            self.event(*event);
        }
        self.events = events;
        self.accept_ready();
        self.more();
        self.mailbox();
        self.drain_on();
        if self.has_caught_up() {
            self.deadlines();
            self.timers();
        }
        self.call_opened();
        self.flush_dirty();
        self.core.relieve_if_full();
        self.core.relieve_incomplete_if_full();
        self.call_drained();
        self.reap();
        self.retry_listeners();
        self.close_read_answers();
        self.core.outlets.unspill();
        let io = &mut self.io;
        let counters = &self.core.counters;
        self.core.outlets.ring(|shard| {
            counters.wakes.add(1);
            io.wake(shard);
        });
        self.give_spare_up();
        self.core.counters.turns.add(1);
        let took_us = self.turn_ends(began_us);
        self.core.turn_took(took_us);
        if let Ok(mut lengths) = self.turn_us.lock() {
            lengths.saturating_record(took_us);
        }
        Ok(if self.has_ended() { Turn::Ended } else { Turn::Again })
    }

    /// How long poll may wait: not at all while work is left over, else until something is due.
    pub(super) fn timeout_ms(&mut self) -> Option<u64> {
        let drained = self.until_drained();
        let core = &mut self.core;
        let is_left = !core.more.is_empty()
            || !core.dirty.is_empty()
            || !core.dead.is_empty()
            || self.listeners.iter().any(Listener::is_ready)
            || !self.inbox.is_empty();
        if is_left {
            return Some(0);
        }
        // Another shard's mailbox was full. It empties it in its next turn; a millisecond is about that long. The end of
        // this shard's turn then tries again, and rings.
        let spill = (core.outlets.spilled() > 0).then_some(1);
        let due = core.deadlines.until_next(core.now);
        let now_us = core.now_us;
        let timer = core.timers.due().map(|due| due.saturating_sub(now_us).div_ceil(1000));
        let paused = self.listeners.iter().filter_map(|listener| listener.until_retry(core.now)).min();
        let turned_away =
            self.turned_away.front().map(|(_, until)| u64::from(until.wrapping_sub(core.now).min(1000)));
        let sweep = core
            .has_spare()
            .then(|| u64::from(self.swept.wrapping_add(SPARE_MS).wrapping_sub(core.now).min(SPARE_MS)));
        let sample = core.until_sample();
        [spill, due, timer, paused, turned_away, drained, sweep, sample].into_iter().flatten().min()
    }

    /// Step 3, for one event.
    fn event(&mut self, event: Event) {
        let key = Key::from_token(event.token);
        if key.generation == 0 {
            return self.listener_event(key.slot as usize);
        }
        let Some(conn) = self.core.table.conn_mut(key) else { return self.core.counters.stale_keys.add(1) };
        if event.writable {
            let stream = self.streams[key.slot as usize].as_ref();
            if stream.is_none_or(|stream| self.io.flush(stream)) && conn.flags.any(Flags::BLOCKED) {
                conn.flags.clear(Flags::BLOCKED);
                self.core.mark_dirty(key);
            }
        }
        if event.readable || event.read_closed {
            let Some(conn) = self.core.table.conn_mut(key) else { return };
            conn.flags.set(Flags::READABLE);
            if event.read_closed {
                conn.flags.set(Flags::READ_CLOSED);
            }
            // One that is on the list is read there, so that nobody is read twice in a turn.
            if !conn.flags.any(Flags::MORE) {
                self.read(key);
            }
        }
    }

    /// A step begins that reads, at this moment of the clock: its budgets are whole.
    fn allow_step(&mut self, now_us: u64) {
        let core = &mut self.core;
        core.allow_handshakes();
        core.deliveries_left = core.config.deliveries_per_turn;
        core.deflating.inflate_left = core.config.inflate_bytes_per_turn;
        let budget_us = core.config.input_time_per_turn.as_micros() as u64;
        core.is_input_long = false;
        core.input_ends_us = if budget_us == 0 { u64::MAX } else { now_us.saturating_add(budget_us) };
    }

    /// Step 4.
    fn more(&mut self) {
        // A budget of their own again, so that those who had to wait come first in the next turn.
        let now_us = self.look_at_clock();
        self.allow_step(now_us);
        for _ in 0..self.core.more.len() {
            if self.core.deliveries_left == 0 {
                break;
            }
            let Some(key) = self.core.more.pop_front() else { break };
            let Some(conn) = self.core.table.conn_mut(key) else { continue };
            if self.core.deflating.inflate_left == 0 && conn.agreed.is_on() {
                // Others have had so much inflated that this one waits for the next turn; those who have nothing to inflate
                // do not.
                self.core.more.push_back(key);
                continue;
            }
            conn.flags.clear(Flags::MORE);
            if conn.flags.any(Flags::PAUSED) {
                // It comes back when its outbox has come down.
                continue;
            }
            let has_rest = matches!(&conn.arrived, Arrived::Http(rest) if rest.awaited.is_none() && !rest.bytes.is_empty());
            match conn.stage {
                Stage::Head if has_rest => self.pending_requests(key),
                Stage::Open | Stage::Closing if has_rest => {
                    let incomplete = &mut self.core.incomplete;
                    let Arrived::Http(exchange) = conn.take_arrived(incomplete) else { continue };
                    conn.keep_arrived(exchange.carry.map_or(Arrived::Nothing, Arrived::Frames), incomplete);
                    self.frames_of(key, exchange.bytes);
                }
                _ => {}
            }
            // What was kept may still be incomplete: only reading on brings the rest, or the end. One that is on the list
            // again has more to be decoded first.
            let is_readable =
                |flags: Flags| flags.any(Flags::READABLE.with(Flags::READ_CLOSED)) && !flags.any(Flags::MORE);
            if self.core.table.conn(key).is_some_and(|conn| is_readable(conn.flags)) {
                self.read(key);
            }
        }
    }

    /// Step 5.
    fn mailbox(&mut self) {
        let budget = self.core.config.mails_per_turn;
        // A budget of their own again: a connection that publishes without end keeps no other shard's publish waiting.
        self.core.deliveries_left = self.core.config.deliveries_per_turn;
        for _ in 0..budget {
            let Some(mail) = self.inbox.take() else { break };
            self.mail(mail);
            if self.core.deliveries_left == 0 {
                break;
            }
        }
        // A budget of their own: whoever floods the mailbox cannot keep an answer, or the stop, from being heard.
        for _ in 0..budget {
            let Some(mail) = self.inbox.take_owed() else { break };
            self.mail(mail);
        }
        self.call_opened();
    }

    fn mail(&mut self, mail: Mail<S::Mail>) {
        match mail {
            Mail::Publish(publication) => self.core.deliver(&publication, None),
            Mail::Send { key, opcode, mark, payload } => self.core.send_payload(key, opcode, mark, &payload),
            Mail::Close { key, code, reason } => self.core.close(key, code, &reason),
            Mail::Service(mail) => self.guard(None, |service, core| service.mail(core, mail)),
            Mail::Adopt(adoption) => self.adopt(*adoption),
            Mail::Cover { listener, times } => self.cover(listener, times),
            Mail::Uncover { listener, times } => self.uncover(listener, times),
            Mail::Stop { grace_ms } => self.stop(grace_ms),
            Mail::Drain => self.drain(),
        }
    }

    /// Calls `opened` for what became a WebSocket.
    pub(super) fn call_opened(&mut self) {
        while let Some(key) = self.core.opened.pop() {
            self.guard(Some(key), |service, core| service.opened(core, key));
        }
    }

    fn call_drained(&mut self) {
        let mut drained = std::mem::take(&mut self.core.drained);
        for key in drained.drain(..) {
            if self.core.is_open(key) {
                self.guard(Some(key), |service, core| service.drained(core, key));
            }
        }
        if self.core.drained.is_empty() {
            self.core.drained = drained;
        }
    }

    /// Calls the service; if it panics, the connection it worked for ends.
    pub(super) fn guard(&mut self, key: Option<Key>, work: impl FnOnce(&mut S, &mut Core<S>)) {
        let Self { core, service, .. } = self;
        core.working_for = key;
        if catch_unwind(AssertUnwindSafe(|| work(service, core))).is_err() {
            core.blame(core.working_for);
        }
    }

    /// Drops what belongs to the service: its drop may panic like any other of its code.
    pub(super) fn discard<T>(&mut self, value: T) {
        self.guard(None, |_, _| drop(value));
    }
}

impl<S: Service, I: Io> std::fmt::Debug for Shard<S, I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").field("core", &self.core).finish_non_exhaustive()
    }
}

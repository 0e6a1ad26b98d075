//! A worker: one thread, one poll, its own connections and, where the host allows it, its own fd table.
//!
//! A turn: (1) poll, (2) events: one read per connection, its messages judged and answered, one send; what the
//! schedule says is due is sent in between, (3) reads that filled the buffer are continued, (4) connections are
//! opened, (5) due messages are sent, and connections ended
//! where that is the scenario, (6) ten times a second: timeouts, the drained check, the live figures,
//! (7) slots of ended connections are freed. It shares nothing with other workers and never waits for them.

use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mio::{Events, Poll, Token};
use slab::Slab;
use throng::sys::fd_table::unshare_fd_table;

use crate::conn::{Arrived, Conn, Phase};
use crate::connector::{Connector, Order, Step};
use crate::dialer::Dialer;
use crate::disruption::Disruptor;
use crate::inbound::{End, feed};
use crate::outbound::Outbound;
use crate::polling::{Lines, POSTS};
use crate::random::Random;
use crate::shared::{LIVE_EVERY, Shared};
use crate::slow::SlowReaders;
use crate::stats::Stats;
use crate::timer::Timer;
use crate::tls::{READ_BYTES, TlsCommon};
use crate::traffic::Traffic;

/// Bytes read from one connection at a time, least and most. A message that fits whole, with its header, is copied out
/// of the kernel and no further: 1 MiB takes 630 µs instead of 740.
const SCRATCH_BYTES: (usize, usize) = (256 << 10, 4 << 20);
const HEADER_BYTES_MAX: usize = 14;
const _: () = assert!(SCRATCH_BYTES.0 >= READ_BYTES, "what TLS reads at a time fits");
const EVENTS_PER_TURN: usize = 1024;
/// The timer's event; no slot is ever this large.
const TIMER: Token = Token(usize::MAX - 1);
/// How often a worker looks after what no event tells it.
const CHORES_EVERY: u64 = LIVE_EVERY;
/// Sleeping shorter than this costs more than it gains: what falls due meanwhile is sent together.
const SLEEP_MIN: u64 = 50_000;

pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: usize,
    poll: Poll,
    timer: Timer,
    armed_for: u64,
    pub(crate) conns: Slab<Conn>,
    pub(crate) scratch: Box<[u8]>,
    pub(crate) connector: Connector,
    pub(crate) outbound: Outbound,
    pub(crate) traffic: Traffic,
    /// Whose last read left something.
    more: Vec<usize>,
    /// Closed loop: who has sent nothing yet.
    pub(crate) beginners: Vec<usize>,
    pub(crate) ended: Vec<usize>,
    /// Where connections end on purpose and come back.
    pub(crate) disruptor: Option<Disruptor>,
    /// Where some read slowly.
    pub(crate) slow: Option<SlowReaders>,
    /// The number of its first connection.
    pub(crate) first: u32,
    pub(crate) members: u32,
    chores_at: u64,
    is_settled: bool,
    pub(crate) is_drained: bool,
    /// Whether it has told what was said in rooms.
    pub(crate) has_told: bool,
    pub(crate) close_by: Option<u64>,
}

impl Worker {
    /// Makes the worker on its own thread; with `own_table` it first leaves the process's fd table.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(crate) fn new(shared: Arc<Shared>, index: usize, order: Order, own_table: bool) -> io::Result<Self> {
        if own_table {
            unshare_fd_table()?;
        }
        let poll = Poll::new()?;
        let timer = Timer::new(&poll, TIMER)?;
        let now = shared.clock.now();
        let tls = shared.trust.clone().map(TlsCommon::new);
        let dialer = Dialer::new(poll.registry().try_clone()?, order.address, order.sources.clone(), tls);
        let dialer = Rc::new(dialer);
        let mut traffic = Traffic::new(&shared.settings, index);
        if shared.handshake.is_polling {
            traffic.lines = Some(Lines::new(Arc::clone(&shared), Rc::clone(&dialer)));
        }
        // Each worker draws for itself.
        let seed = shared.settings.seed ^ ((index as u64) << 32);
        let disruptor =
            shared.settings.disruption.map(|(what, backoff)| Disruptor::new(what, backoff, !seed));
        let comeback = shared.settings.disruption.map(|(_, backoff)| (backoff, Random::new(seed)));
        let (first, members) = (order.first, order.members);
        let scratch_bytes = (shared.settings.size + HEADER_BYTES_MAX).clamp(SCRATCH_BYTES.0, SCRATCH_BYTES.1);
        Ok(Self {
            index,
            timer,
            poll,
            armed_for: 0,
            conns: Slab::with_capacity(order.members as usize + 1),
            scratch: vec![0; scratch_bytes].into_boxed_slice(),
            outbound: Outbound::new(&shared.settings, order.members, index, shared.live.len()),
            connector: Connector::new(order, dialer, comeback, now),
            disruptor,
            slow: shared.settings.slow.map(SlowReaders::new),
            first,
            members,
            traffic,
            more: Vec::new(),
            beginners: Vec::new(),
            ended: Vec::new(),
            chores_at: now,
            is_settled: false,
            is_drained: false,
            has_told: false,
            close_by: None,
            shared,
        })
    }

    /// Runs until the run is over and every connection is closed.
    ///
    /// # Errors
    /// The poll's.
    pub(crate) fn run(mut self) -> io::Result<Stats> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        while !self.is_over() {
            self.turn(&mut events)?;
        }
        self.publish_live();
        self.traffic.stats.slow = self.slow.map(|slow| slow.stats);
        Ok(self.traffic.stats)
    }

    fn turn(&mut self, events: &mut Events) -> io::Result<()> {
        let timeout = self.timeout()?;
        match self.poll.poll(events, Some(timeout)) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        self.traffic.window = self.shared.window();
        for event in events.iter().filter(|event| event.token() != TIMER) {
            let slot = event.token().0 & !POSTS;
            let is_ending = event.is_read_closed() || event.is_error();
            let is_post = event.token().0 != slot;
            if event.is_writable() {
                self.flush(slot);
            }
            let now = if is_post || self.conns.get(slot).is_some_and(Conn::is_polling) {
                self.exchange(slot, is_post)
            } else if event.is_readable() || is_ending || self.is_opening(slot) {
                self.read(slot, is_ending)
            } else {
                self.shared.clock.now()
            };
            if now >= self.outbound.next_due() {
                self.send_due();
            }
        }
        for slot in std::mem::take(&mut self.more) {
            self.read(slot, false);
        }
        self.open();
        self.start_or_send();
        self.disrupt();
        let now = self.shared.clock.now();
        if now >= self.chores_at {
            let is_measured = (self.traffic.window.0..self.traffic.window.1).contains(&now);
            self.traffic.stats.lag.record(now - self.chores_at, is_measured);
            self.chores_at = (now / CHORES_EVERY + 1) * CHORES_EVERY;
            self.chores(now);
        }
        for slot in self.ended.drain(..) {
            self.conns.remove(slot);
        }
        Ok(())
    }

    /// How long the poll may sleep. What falls due within it is left to the timer, which knows microseconds.
    fn timeout(&mut self) -> io::Result<Duration> {
        if self.shared.settings.common.spin || !(self.more.is_empty() && self.beginners.is_empty()) {
            return Ok(Duration::ZERO);
        }
        let now = self.shared.clock.now();
        let due = self.outbound.next_due();
        if due <= now {
            return Ok(Duration::ZERO);
        }
        if due < now + CHORES_EVERY && self.armed_for != due {
            self.timer.arm((due - now).max(SLEEP_MIN))?;
            self.armed_for = due;
        }
        let until_chores = self.chores_at.saturating_sub(now);
        let milliseconds = if self.connector.is_done() { (until_chores / 1_000_000).clamp(1, 20) } else { 1 };
        Ok(Duration::from_millis(milliseconds))
    }

    fn is_opening(&self, slot: usize) -> bool {
        self.conns.get(slot).is_some_and(|conn| conn.phase == Phase::Opening)
    }

    fn flush(&mut self, slot: usize) {
        if let Some(conn) = self.conns.get_mut(slot)
            && matches!(conn.phase, Phase::Open | Phase::Closing | Phase::Leaving | Phase::Joining)
            && let Err(error) = conn.flush(&mut self.traffic.output)
        {
            self.end(slot, &End::of(&error));
        }
    }

    /// Reads once (to the end, when the peer is closing), answers, and returns the time.
    fn read(&mut self, slot: usize, is_ending: bool) -> u64 {
        let Self { conns, scratch, traffic, shared, connector, .. } = self;
        let mut now = shared.clock.now();
        let Some(conn) = conns.get_mut(slot) else { return now };
        match conn.phase {
            Phase::Opening => return self.progress(slot, now),
            Phase::Gone => return now,
            _ if conn.is_polling() => return self.exchange(slot, false),
            Phase::Open if conn.is_slow => return self.leave_slow(slot, now),
            Phase::Open | Phase::Closing | Phase::Leaving | Phase::Joining => {}
        }
        let was_joining = conn.phase == Phase::Joining;
        let end = loop {
            match conn.read(scratch, &mut traffic.store) {
                Ok(Arrived { bytes: 0, .. }) => break Some(End::Eof),
                Ok(Arrived { bytes, in_scratch, is_all }) => {
                    now = shared.clock.now();
                    traffic.stats.tally.bytes_in += bytes as u64;
                    let fed = feed(conn, &mut scratch[..in_scratch], traffic, now);
                    let answered = match &fed {
                        Ok(()) if conn.phase == Phase::Open => traffic.refill(conn, now),
                        _ => Ok(()),
                    };
                    let sent = answered.and_then(|()| traffic.flush(conn));
                    match (fed, sent) {
                        (Err(end), _) => break Some(end),
                        (Ok(()), Err(error)) => break Some(End::of(&error)),
                        (Ok(()), Ok(())) if is_ending => {}
                        // A short read emptied the socket: the next byte is a new edge.
                        (Ok(()), Ok(())) if is_all => break None,
                        (Ok(()), Ok(())) => {
                            self.more.push(slot);
                            break None;
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break None,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Some(End::of(&error)),
            }
        };
        if was_joining && conn.phase == Phase::Open {
            connector.opened(conn, slot, now, &mut traffic.stats);
            if shared.settings.publish.is_some() && !conn.is_publisher {
                listens(&conn.stream);
            }
        }
        if let Some(end) = end {
            self.end(slot, &end);
        }
        now
    }

    /// Reads once, so many bytes, on a connection that reads slowly; how many there were.
    pub(crate) fn read_at_most(&mut self, slot: usize, bytes: usize) -> usize {
        let Self { conns, scratch, traffic, shared, .. } = self;
        let conn = &mut conns[slot];
        let limit = bytes.min(scratch.len());
        let (taken, end) = match conn.read(&mut scratch[..limit], &mut traffic.store) {
            Ok(Arrived { bytes: 0, .. }) => (0, Some(End::Eof)),
            Ok(Arrived { bytes, in_scratch, .. }) => {
                let fed = feed(conn, &mut scratch[..in_scratch], traffic, shared.clock.now());
                let sent = traffic.flush(conn).map_err(|error| End::of(&error));
                (bytes, fed.and(sent).err())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => (0, None),
            Err(error) => (0, Some(End::of(&error))),
        };
        if let Some(end) = end {
            self.end(slot, &end);
        }
        taken
    }

    /// Carries the handshake of a connection on.
    fn progress(&mut self, slot: usize, now: u64) -> u64 {
        let conn = &mut self.conns[slot];
        let Self { connector, scratch, shared, traffic, .. } = self;
        match connector.progress(conn, &shared.handshake.of(conn.number), scratch, &mut traffic.stats) {
            Step::Waiting => {}
            Step::Opened(mut early) => {
                let now = self.shared.clock.now();
                self.traffic.begin(conn, slot, now);
                let fed = feed(conn, &mut early, &mut self.traffic, now);
                if conn.phase == Phase::Open {
                    self.connector.opened(conn, slot, now, &mut self.traffic.stats);
                }
                let sent = self.traffic.flush(conn);
                if let Err(end) = fed.and_then(|()| sent.map_err(|error| End::of(&error))) {
                    self.end(slot, &end);
                } else {
                    // Nothing tells whether the last read emptied the socket.
                    self.more.push(slot);
                }
            }
            Step::Failed { sentence, again } => self.give_up(slot, &sentence, again, now),
        }
        now
    }

    fn give_up(&mut self, slot: usize, sentence: &str, again: bool, now: u64) {
        let conn = &mut self.conns[slot];
        self.connector.lost(conn, sentence, again, now, &mut self.traffic.stats);
        conn.phase = Phase::Gone;
        self.ended.push(slot);
    }

    /// Starts connections and ends attempts that took too long.
    fn open(&mut self) {
        if self.is_settled && self.connector.is_done() {
            return;
        }
        if self.shared.abandon.load(Relaxed) {
            self.connector.abandon();
            for slot in self.slots(Conn::is_under_way) {
                self.give_up(slot, "the run was ended before a connection was open", false, 0);
            }
        }
        let now = self.shared.clock.now();
        self.step_scripts(now);
        let late = self.connector.step(&mut self.conns, now, &mut self.traffic.stats);
        for slot in late {
            self.give_up(slot, "a connection was not open within --connect-timeout", true, now);
        }
        if !self.is_settled && self.connector.is_done() {
            self.is_settled = true;
            self.publish_live();
            self.shared.settled.fetch_add(1, Relaxed);
        }
    }

    /// Ends a connection, whoever ended it.
    pub(crate) fn end(&mut self, slot: usize, end: &End) {
        let Some(conn) = self.conns.get_mut(slot) else { return };
        if conn.phase == Phase::Joining {
            // What refuses one attempt refuses the next; what merely broke may work then.
            let again = !matches!(end, End::Refused(_) | End::Violation(..));
            return self.give_up(slot, &end.to_string(), again, self.shared.clock.now());
        }
        if !matches!(conn.phase, Phase::Open | Phase::Closing | Phase::Leaving) {
            return;
        }
        if self.disruptor.is_some() {
            match conn.phase {
                Phase::Open => return self.bereave(slot, end),
                Phase::Leaving => return self.away(slot, self.shared.clock.now()),
                _ => {}
            }
        }
        if conn.phase == Phase::Open {
            let stats = &mut self.traffic.stats;
            stats.tally.closed_by_server += 1;
            if let Some(said) = self.shared.said.get(conn.number as usize) {
                said.store(conn.sent, Relaxed);
                conn.echoes.forget(conn.sent);
            }
            stats.error(end.to_string());
            conn.echoes.give_up(conn.sent);
            stats.tally.lost += conn.echoes.missing() + conn.publishes.missing();
        }
        conn.phase = Phase::Gone;
        conn.close();
        self.ended.push(slot);
    }

    fn is_over(&self) -> bool {
        self.close_by.is_some_and(|by| self.conns.is_empty() || self.shared.clock.now() >= by)
    }
}

/// A connection only listens from here on. What it has said to join makes the kernel take it for a dialogue and put its
/// acknowledgements off (tcp(7), `TCP_QUICKACK`), to where they are made and taken in at the expense of the server's next
/// send: 1 to 2 µs of 8. One that has joined by a handshake alone acknowledges at once, and so shall this one.
fn listens(stream: &mio::net::TcpStream) {
    // Where it cannot be set the figures are a little worse, and nothing else is.
    let _is_set = socket2::SockRef::from(stream).set_tcp_quickack(true);
}

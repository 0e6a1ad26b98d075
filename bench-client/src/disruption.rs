//! Connections that are ended on purpose, or that a server which is restarted ends, and that come back: the part of a worker
//! that `churn` and `reconnect` add.
//!
//! Called once a turn, and when a connection ends. A connection that is away has no place in the ring of the open loop: what
//! is due there meanwhile is counted as that, and as nothing else.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use throng::proto::ws::Opcode;

use crate::backoff::Backoff;
use crate::clock::SECOND;
use crate::conn::Phase;
use crate::inbound::End;
use crate::outbound::NOBODY;
use crate::random::Random;
use crate::schedule::Schedule;
use crate::share;
use crate::worker::Worker;

/// How long a server may take to answer a close, before the connection is taken for gone.
const CLOSE_TIMEOUT: u64 = 3 * SECOND;
/// Connections ended in one turn by churn: more are due only where the loop was held up.
const ENDINGS_PER_TURN: usize = 64;

/// What ends connections.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Disruption {
    /// This share of them every second, one after the other, each replaced at once.
    Churn(f64, Endings),
    /// This share of them at one moment, so many nanoseconds after measuring began.
    Cut { share: f64, after: u64, by: By },
}

/// How this client ends a connection.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Endings {
    /// By turns with a closing handshake and by a reset.
    #[default]
    Both,
    /// With a closing handshake.
    Close,
    /// By a reset, as where a network is gone.
    Reset,
}

/// Who cuts the connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum By {
    /// This client resets them.
    Client,
    /// The server that this client started is killed, and started again after so many nanoseconds.
    Kill(u64),
    /// The server ends them, or is ended, from outside: the moment is when the first one is lost.
    Server,
}

/// A worker's part in it.
#[derive(Debug)]
pub(crate) struct Disruptor {
    what: Disruption,
    backoff: Backoff,
    random: Random,
    churn: Option<Schedule>,
    is_cut: bool,
    /// Who was sent a close: until when it may be answered, slot, number.
    leaving: VecDeque<(u64, usize, u32)>,
}

impl Disruptor {
    pub(crate) fn new(what: Disruption, backoff: Backoff, seed: u64) -> Self {
        let random = Random::new(seed);
        Self { what, backoff, random, churn: None, is_cut: false, leaving: VecDeque::new() }
    }

    /// Starts at `from` with so many connections.
    pub(crate) fn start(&mut self, from: u64, members: usize) {
        if let Disruption::Churn(share, _) = self.what
            && members > 0
        {
            self.churn = Some(Schedule::new(from, share * members as f64, members, 1));
        }
    }
}

impl Worker {
    /// Ends what is due to be ended, and gives those that are back their places.
    pub(crate) fn disrupt(&mut self) {
        let Some(disruptor) = &mut self.disruptor else { return };
        for (number, slot) in self.connector.back.drain(..) {
            self.outbound.seat(number, slot);
        }
        let now = self.shared.clock.now();
        let mut gone = Vec::new();
        while let Some(&(deadline, slot, number)) = disruptor.leaving.front()
            && deadline <= now
        {
            disruptor.leaving.pop_front();
            if self.conns.get(slot).is_some_and(|conn| conn.phase == Phase::Leaving && conn.number == number)
            {
                gone.push(slot);
            }
        }
        let mut endings = Vec::new();
        if self.traffic.started && now < self.traffic.window.1 {
            match disruptor.what {
                Disruption::Churn(_, how) => {
                    let due =
                        disruptor.churn.iter_mut().flat_map(|churn| std::iter::from_fn(|| churn.take(now)));
                    for due in due.take(ENDINGS_PER_TURN) {
                        // A ring of any length is ended in both ways, one time so and the next time otherwise.
                        let round = due.first.checked_div(self.outbound.places() as u64).unwrap_or(0);
                        let is_even = (due.first + round) % 2 == 0;
                        let is_clean = how == Endings::Close || (how == Endings::Both && is_even);
                        endings.push((self.outbound.at(due.index), is_clean));
                    }
                }
                Disruption::Cut { share, by: By::Client, .. } if !disruptor.is_cut => {
                    if now >= self.shared.cut_at.load(Relaxed) {
                        disruptor.is_cut = true;
                        let all = self.conns.iter();
                        let cut = all
                            .filter(|(_, conn)| conn.phase == Phase::Open && share::has(share, conn.number));
                        endings.extend(cut.map(|(slot, _)| (slot, false)));
                    }
                }
                Disruption::Cut { .. } => {}
            }
        }
        for slot in gone {
            self.away(slot, now);
        }
        for (slot, is_clean) in endings {
            self.leave(slot, is_clean, now);
        }
    }

    /// Ends a connection from this side.
    fn leave(&mut self, slot: usize, is_clean: bool, now: u64) {
        if slot == NOBODY || self.conns.get(slot).is_none_or(|conn| conn.phase != Phase::Open) {
            return;
        }
        let conn = &mut self.conns[slot];
        self.traffic.stats.tally.cut += 1;
        if is_clean && !conn.is_polling() {
            conn.phase = Phase::Leaving;
            self.outbound.seat(conn.number, NOBODY);
            if let Some(disruptor) = &mut self.disruptor {
                disruptor.leaving.push_back((now + CLOSE_TIMEOUT, slot, conn.number));
            }
            self.traffic.output.append(Opcode::Close, &1000u16.to_be_bytes());
            if self.traffic.flush(conn).is_err() {
                self.away(slot, now);
            }
        } else {
            // Closed with nothing to linger for, a socket sends a reset.
            let _is_set = socket2::SockRef::from(&conn.stream).set_linger(Some(Duration::ZERO));
            self.away(slot, now);
        }
    }

    /// Takes note of a connection that the server, or the network, has ended.
    pub(crate) fn bereave(&mut self, slot: usize, end: &End) {
        let (now, stats) = (self.shared.clock.now(), &mut self.traffic.stats);
        let is_expected = match self.disruptor.as_ref().map(|disruptor| disruptor.what) {
            Some(Disruption::Cut { by: By::Kill(_), .. }) => now >= self.shared.cut_at.load(Relaxed),
            Some(Disruption::Cut { by: By::Server, .. }) => {
                self.shared.cut_at.fetch_min(now, Relaxed);
                true
            }
            _ => false,
        };
        if is_expected {
            stats.tally.cut += 1;
        } else {
            let conn = &mut self.conns[slot];
            stats.tally.closed_by_server += 1;
            stats.error(end.to_string());
            conn.echoes.give_up(conn.sent);
        }
        self.away(slot, now);
    }

    /// Frees a connection that is gone, and has it come back.
    pub(crate) fn away(&mut self, slot: usize, now: u64) {
        let Self { conns, traffic, connector, outbound, ended, shared, .. } = self;
        let Some(disruptor) = &mut self.disruptor else { return };
        let conn = &mut conns[slot];
        traffic.stats.tally.lost += conn.echoes.missing();
        // What was under way went with it, and that is nobody's fault.
        traffic.stats.tally.abandoned += u64::from(conn.echoes.outstanding(conn.sent));
        conn.phase = Phase::Gone;
        conn.close();
        ended.push(slot);
        outbound.seat(conn.number, NOBODY);
        let (began, wait) = match disruptor.what {
            Disruption::Churn(..) => (now, 0),
            Disruption::Cut { .. } => {
                (shared.cut_at.load(Relaxed).min(now), disruptor.backoff.wait(0, &mut disruptor.random))
            }
        };
        connector.again(conn.number, began, now + wait);
    }
}

//! Opening connections: how many at a time, how fast, from where, and what happens when one fails.
//!
//! Bounded everywhere: attempts under way, attempts per connection, attempts per turn, time per attempt. Called by
//! the worker, which owns the table and the poll.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use mio::Token;
use slab::Slab;

use crate::backoff::Backoff;
use crate::clock::SECOND;
use crate::conn::{Conn, Opening, Phase, Rest};
use crate::dialer::Dialer;
use crate::handshake::Handshake;
use crate::random::Random;
use crate::session::Session;
use crate::share;
use crate::stats::Stats;
use crate::wire::Wire;

/// Attempts at one connection.
const ATTEMPTS_MAX: u8 = 3;
/// Wait before the second attempt; twice as long before the third.
const RETRY_AFTER: u64 = SECOND / 5;
/// Connects started in one turn: about 1 ms at 15 µs each.
const CONNECTS_PER_TURN: usize = 64;

/// What a worker is to open.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// Numbers of the members, from `first` on.
    pub(crate) first: u32,
    /// How many members.
    pub(crate) members: u32,
    /// The publisher's number, for the worker that has it.
    pub(crate) publisher: Option<u32>,
    pub(crate) address: SocketAddr,
    /// Source addresses; empty: the kernel chooses.
    pub(crate) sources: Vec<IpAddr>,
    /// Attempts under way at most.
    pub(crate) inflight: usize,
    /// First attempts per second of this worker; 0 is no limit.
    pub(crate) per_second: f64,
    /// Whether how late first attempts begin is recorded: the connecting is what is measured.
    pub(crate) is_storm: bool,
    /// The share of them that read slowly.
    pub(crate) slow: Option<f64>,
    /// Nanoseconds per attempt.
    pub(crate) timeout: u64,
}

/// The opening side of a worker.
#[derive(Debug)]
pub(crate) struct Connector {
    order: Order,
    dialer: Rc<Dialer>,
    began: u64,
    started: u32,
    under_way: usize,
    serial: u32,
    retries: BinaryHeap<Reverse<Retry>>,
    deadlines: VecDeque<(u64, usize, u32)>,
    /// How connections come back that were open before, where they do.
    comeback: Option<(Backoff, Random)>,
    /// Those that are back since somebody looked: number and slot.
    pub(crate) back: Vec<(u32, usize)>,
}

/// An attempt that waits for its time; the earliest goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Retry {
    not_before: u64,
    number: u32,
    attempt: u8,
    began: u64,
    is_again: bool,
}

/// What an event on an opening connection led to.
#[derive(Debug)]
pub(crate) enum Step {
    /// It goes on.
    Waiting,
    /// WebSocket is open, or a session that polls; these bytes came after the response's head.
    Opened(Vec<u8>),
    /// The attempt failed; whether another one makes sense.
    Failed {
        /// What happened, a sentence.
        sentence: String,
        /// Whether it may work the next time.
        again: bool,
    },
}

impl Connector {
    pub(crate) fn new(
        order: Order,
        dialer: Rc<Dialer>,
        comeback: Option<(Backoff, Random)>,
        now: u64,
    ) -> Self {
        let (retries, deadlines, back) = (BinaryHeap::new(), VecDeque::new(), Vec::new());
        let (started, under_way, serial) = (0, 0, 0);
        Self { order, dialer, began: now, started, under_way, serial, retries, deadlines, comeback, back }
    }

    /// Has a connection that was open come back: it was lost at `began`, and is not tried before a time.
    pub(crate) fn again(&mut self, number: u32, began: u64, not_before: u64) {
        self.retries.push(Reverse(Retry { not_before, number, attempt: 0, began, is_again: true }));
    }

    /// Connections that are to come and have not.
    pub(crate) fn missing(&self) -> usize {
        self.retries.len() + self.under_way
    }

    fn wanted(&self) -> u32 {
        self.order.members + u32::from(self.order.publisher.is_some())
    }

    /// Whether the one that publishes is to be opened here.
    pub(crate) fn has_publisher(&self) -> bool {
        self.order.publisher.is_some()
    }

    /// Attempts that have begun and not ended.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way
    }

    /// Whether every connection is open or given up.
    pub(crate) fn is_done(&self) -> bool {
        self.started == self.wanted() && self.under_way == 0 && self.retries.is_empty()
    }

    /// Starts what may be started now and returns the slots whose attempt has run out of time.
    pub(crate) fn step(&mut self, conns: &mut Slab<Conn>, now: u64, stats: &mut Stats) -> Vec<usize> {
        for _ in 0..CONNECTS_PER_TURN {
            if self.under_way >= self.order.inflight {
                break;
            }
            let Some(retry) = self.next(now) else { break };
            if self.order.is_storm && retry.attempt == 0 {
                stats.slip.record(now - retry.began, true);
            }
            self.start(retry, conns, now, stats);
        }
        let mut late = Vec::new();
        while let Some(&(deadline, slot, serial)) = self.deadlines.front()
            && deadline <= now
        {
            self.deadlines.pop_front();
            let is_same = |conn: &Conn| {
                conn.is_under_way()
                    && conn
                        .rest
                        .as_ref()
                        .and_then(|rest| rest.opening.as_ref())
                        .is_some_and(|o| o.serial == serial)
            };
            if conns.get(slot).is_some_and(is_same) {
                late.push(slot);
            }
        }
        late
    }

    fn next(&mut self, now: u64) -> Option<Retry> {
        if self.retries.peek().is_some_and(|Reverse(retry)| retry.not_before <= now) {
            return self.retries.pop().map(|Reverse(retry)| retry);
        }
        // With a rate every first attempt has its time, whatever those before it do: what waits for them waited.
        let began = match self.order.per_second {
            0.0 => now,
            rate => self.began + (f64::from(self.started) * SECOND as f64 / rate) as u64,
        };
        if self.started == self.wanted() || began > now {
            return None;
        }
        let number = match self.order.publisher {
            Some(publisher) if self.started == self.order.members => publisher,
            _ => self.order.first + self.started,
        };
        self.started += 1;
        Some(Retry { not_before: now, number, attempt: 0, began, is_again: false })
    }

    fn start(&mut self, retry: Retry, conns: &mut Slab<Conn>, now: u64, stats: &mut Stats) {
        let attempt = retry.attempt.saturating_add(1);
        self.serial = self.serial.wrapping_add(1);
        let Retry { number, began, is_again, .. } = retry;
        let opening = Opening { serial: self.serial, attempt, began, is_again, ..Opening::default() };
        let slot = conns.vacant_key();
        let is_publisher = self.order.publisher == Some(number);
        let is_slow = !is_publisher && self.order.slow.is_some_and(|share| share::has(share, number));
        match self.dialer.dial(Token(slot), number as usize + attempt as usize, is_slow) {
            Ok((stream, tls)) => {
                let mut conn = Conn::new(stream, retry.number, is_publisher, opening);
                conn.is_slow = is_slow;
                conn.rest().tls = tls;
                conns.insert(conn);
                self.under_way += 1;
                self.deadlines.push_back((now + self.order.timeout, slot, self.serial));
            }
            Err(error) => {
                let again = matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse);
                let sentence = self.dialer.sentence(&error);
                let attempted = Retry { not_before: now, number, attempt, began, is_again };
                self.failed(attempted, &sentence, again, stats);
            }
        }
    }

    /// Carries an opening connection on after an event.
    pub(crate) fn progress(
        &self,
        conn: &mut Conn,
        handshake: &Handshake,
        scratch: &mut [u8],
        stats: &mut Stats,
    ) -> Step {
        let Some(Rest { opening: Some(opening), tls, .. }) = conn.rest.as_deref_mut() else {
            return Step::Waiting;
        };
        let mut wire = Wire::new(&mut conn.stream, tls);
        match wire.handshake() {
            Ok(shaken) => stats.shaken(shaken),
            Err(error) => return self.broken(&error),
        }
        loop {
            if opening.key.is_none() {
                let mut request = Vec::with_capacity(256);
                let sid = opening.session.as_ref().map(|session| &*session.sid);
                let key = match handshake.requests().filter(|_| sid.is_none()) {
                    Some(requests) => {
                        request = requests.open();
                        String::new()
                    }
                    None => handshake.append_request(&mut request, sid),
                };
                // While TCP is still connecting this says that it would block; a refusal comes out as its error.
                match wire.write(&request) {
                    Ok(taken) if taken == request.len() => opening.key = Some(key),
                    Ok(_) => {
                        let sentence = "a fresh connection took half a request".into();
                        return Step::Failed { sentence, again: true };
                    }
                    Err(error) => return self.broken(&error),
                }
            }
            match wire.read(scratch) {
                Ok(0) => {
                    let sentence = "the server ended a connection before it answered the handshake".into();
                    return Step::Failed { sentence, again: true };
                }
                Ok(read) => opening.response.extend_from_slice(&scratch[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return self.broken(&error),
            }
            let read = match opening.key.as_deref().unwrap_or_default() {
                "" => Session::opened(&opening.response).map(|session| {
                    if session.is_some() {
                        (opening.session, opening.key) = (session, None);
                        opening.response.clear();
                        return handshake.is_polling.then_some(0);
                    }
                    None
                }),
                key => handshake.response(&opening.response, key),
            };
            match read {
                Ok(None) => {}
                Ok(Some(head)) => return Step::Opened(opening.response.split_off(head)),
                Err(what) => return Step::Failed { sentence: format!("the server {what}"), again: false },
            }
        }
    }

    /// What an error of an opening connection's socket leads to. What TLS refuses once it refuses again.
    fn broken(&self, error: &io::Error) -> Step {
        match error.kind() {
            ErrorKind::WouldBlock => Step::Waiting,
            kind => {
                Step::Failed { sentence: self.dialer.sentence(error), again: kind != ErrorKind::InvalidData }
            }
        }
    }

    /// Takes note that the attempt of the connection in `slot` ended well.
    pub(crate) fn opened(&mut self, conn: &mut Conn, slot: usize, now: u64, stats: &mut Stats) {
        self.under_way -= 1;
        conn.phase = Phase::Open;
        let opening = conn.rest().opening.take();
        conn.tidy();
        match opening {
            Some(opening) if opening.is_again => {
                stats.back.record(now - opening.began, true);
                stats.tally.reopened += 1;
                self.back.push((conn.number, slot));
            }
            opening => {
                if let Some(opening) = opening {
                    stats.connect.record(now - opening.began, true);
                    stats.ramp.record(now - self.began, true);
                }
                stats.tally.opened += 1;
            }
        }
    }

    /// Takes note that the attempt of `conn` failed; there may be another one.
    pub(crate) fn lost(&mut self, conn: &Conn, sentence: &str, again: bool, now: u64, stats: &mut Stats) {
        self.under_way -= 1;
        if let Some(opening) = conn.rest.as_ref().and_then(|rest| rest.opening.as_ref()) {
            let Opening { attempt, began, is_again, .. } = **opening;
            self.failed(
                Retry { not_before: now, number: conn.number, attempt, began, is_again },
                sentence,
                again,
                stats,
            );
        }
    }

    /// An attempt failed at `not_before`; whether another one makes sense.
    fn failed(&mut self, attempted: Retry, sentence: &str, again: bool, stats: &mut Stats) {
        let Retry { not_before: now, attempt, is_again, .. } = attempted;
        let wait = match &mut self.comeback {
            // Who was connected before comes again whatever is said: a server that sheds load says no for a while.
            Some((backoff, random)) if is_again => {
                *stats.setbacks.entry(sentence.to_owned()).or_default() += 1;
                backoff.wait(attempt, random)
            }
            _ if again && attempt < ATTEMPTS_MAX => RETRY_AFTER * u64::from(attempt),
            _ => {
                stats.tally.failed += 1;
                return stats.error(sentence);
            }
        };
        stats.tally.retries += 1;
        self.retries.push(Reverse(Retry { not_before: now + wait, ..attempted }));
    }

    /// Takes note that an attempt is no longer of interest.
    pub(crate) fn forget(&mut self) {
        self.under_way -= 1;
    }

    /// Gives up what was not started and what waits for another attempt.
    pub(crate) fn abandon(&mut self) {
        self.started = self.wanted();
        self.retries.clear();
    }
}

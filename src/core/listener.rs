//! Accepting: within the turn's budget, up to the limits, and what happens at them.
//!
//! Above a cap (`gate.rs`) a connection is answered 503, or left in the kernel's queue. A shard whose own table is full stops its listener and asks the
//! emptiest shard to accept from it, because the kernel goes on hashing connections to its queue (SO_REUSEPORT), where
//! they would wait for ever. With the fd table full, some are shed by means of the reserve fd, then the listener rests
//! for a moment: nothing spins.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;

use crate::base::cause::{Cause, CloseReason};
use crate::base::config::WhenFull;
use crate::base::id::Key;
use crate::proto::http::Response;

use super::conn::{Arrived, Conn, Flags, Stage};
use super::deadlines::reached;
use super::io::Io;
use super::mail::Mail;
use super::service::Service;
use super::shard::Shard;

/// How long a listener rests when the fd table is full.
const REST_MS: u32 = 100;

/// How long one rests while its queue is left to wait for room. There may be some a moment later.
const WAIT_MS: u32 = 10;

/// How long a connection that was turned away is left open, so that its peer can read the answer.
const LINGER_MS: u32 = 500;

/// How many of those there are at most. They take an fd each, of those that are spare: without any, connections are shed.
const TURNED_AWAY_MAX: usize = 16;

/// Connections shed per turn when the fd table is full: at 16 µs each, a quarter of a millisecond.
const SHED_PER_TURN: usize = 16;

/// A listener as one shard sees it.
#[derive(Debug)]
pub struct Listener {
    is_own: bool,
    is_on: bool,
    /// Its queue may hold connections: the last accept was not told "would block".
    is_ready: bool,
    /// When it is to be tried again, while it rests.
    rests_until: Option<u32>,
    /// Which shard accepts from it while this one is full.
    covered_by: Option<usize>,
    /// How often its owner has asked for cover, as far as this shard has heard. What is asked first may come in last, over
    /// another shard: an `Uncover` of an earlier time must not silence a listener that is covered again.
    times: u64,
}

impl Listener {
    pub(super) fn new(is_own: bool) -> Self {
        Self { is_own, is_on: false, is_ready: false, rests_until: None, covered_by: None, times: 0 }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.is_on && self.is_ready && self.rests_until.is_none()
    }

    pub(super) fn until_retry(&self, now: u32) -> Option<u64> {
        self.rests_until.map(|until| if reached(now, until) { 0 } else { u64::from(until.wrapping_sub(now)) })
    }
}

impl<S: Service, I: Io> Shard<S, I> {
    pub(super) fn start_listeners(&mut self) {
        for number in 0..self.listeners.len() {
            if self.listeners[number].is_own {
                self.listen(number, true);
            }
        }
    }

    fn listen(&mut self, number: usize, on: bool) {
        let Some(listener) = self.listeners.get_mut(number) else { return };
        if listener.is_on == on {
            // A listener that was passed on may come back by several ways: by its owner's own room, and from whoever
            // covered it and is full now.
            listener.is_ready = on;
            listener.rests_until = None;
            return;
        }
        // The kernel refuses only what it does not know or has no memory for; the next try comes with the next rest.
        let is_done = self.io.listen(number, on).is_ok();
        let now = self.core.now;
        let Some(listener) = self.listeners.get_mut(number) else { return };
        listener.is_on = on && is_done;
        listener.is_ready = listener.is_on;
        listener.rests_until = (on && !is_done).then(|| now.wrapping_add(REST_MS));
    }

    pub(super) fn listener_event(&mut self, number: usize) {
        if let Some(listener) = self.listeners.get_mut(number) {
            listener.is_ready = true;
        }
    }

    /// Step 3, for the listeners.
    pub(super) fn accept_ready(&mut self) {
        for number in 0..self.listeners.len() {
            if self.listeners[number].is_ready() {
                self.accept_from(number);
            }
        }
    }

    fn accept_from(&mut self, number: usize) {
        for _ in 0..self.core.config.accepts_per_turn {
            if self.core.table.is_full() && self.pass_on(number) {
                return;
            }
            let refused = self.core.refuses();
            if refused.is_some() && self.core.config.when_full == WhenFull::Wait {
                return self.rest(number, WAIT_MS);
            }
            match self.io.accept(number) {
                Ok((stream, address)) => {
                    // It may have come in the midst of this turn, and its time begins when it came.
                    self.look_at_clock();
                    self.let_in(stream, address, refused);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.listeners[number].is_ready = false;
                    return;
                }
                Err(error) if is_exhausted(&error) => return self.shed(number),
                // The peer gave up before it was accepted, or a signal came: the next one may be fine.
                Err(error) if is_passing(&error) => {}
                Err(_) => return self.rest(number, REST_MS),
            }
        }
    }

    /// A connection was accepted: it is taken in, or told why not.
    fn let_in(&mut self, stream: I::Stream, address: SocketAddr, refused: Option<Cause>) {
        let core = &self.core;
        let refused = refused.or_else(|| (!core.address_enters(address.ip())).then_some(Cause::AddressFull));
        if let Some(cause) = refused {
            return self.turn_away(stream, cause);
        }
        if let Some(key) = self.take_in(stream, address) {
            self.core.expect_proxy_head(key, address);
            self.core.handshake_begins(key);
            self.core.watch_head(key);
        }
    }

    /// Puts a stream whose address is counted into the table. `None`: the kernel would not watch it, and it is closed.
    pub(super) fn take_in(&mut self, mut stream: I::Stream, address: SocketAddr) -> Option<Key> {
        let is_secure = self.io.is_secure(&stream);
        let core = &mut self.core;
        let key = core.table.insert(address, is_secure, core.now, |peer| Conn {
            peer,
            queued: 0,
            batch: Default::default(),
            flags: Flags::default(),
            stage: Stage::Head,
            agreed: Default::default(),
            reason: CloseReason::of(Cause::PeerVanished),
            arrived: Arrived::Nothing,
            outbox: None,
            data: S::Conn::default(),
        });
        if self.io.register(&mut stream, key.to_token()).is_err() {
            core.table.remove(key);
            core.address_leaves(address.ip());
            core.counters.connections_shed.add(1);
            self.io.close(stream);
            return None;
        }
        let slot = key.slot as usize;
        if slot == self.streams.len() {
            self.streams.push(None);
        }
        self.streams[slot] = Some(stream);
        core.counters.connections_opened.add(1);
        core.census.set(core.shard as usize, core.table.len());
        Some(key)
    }

    /// Answers 503 on a stream there is no room for, as well as one write can.
    pub(super) fn turn_away(&mut self, stream: I::Stream, cause: Cause) {
        let mut bytes = self.core.store.buffers.take(512);
        Response::refusal(cause).encode(&mut bytes, false, false);
        self.tell_and_close(stream, bytes, cause);
    }

    /// Sends a stream that is not taken in its answer, and closes it a moment later.
    pub(super) fn tell_and_close(&mut self, stream: I::Stream, bytes: Vec<u8>, cause: Cause) {
        // One write into an empty socket buffer: it takes all of it, or the peer is gone.
        let written = self.io.write(&stream, &[IoSlice::new(&bytes)]);
        self.io.finish(&stream);
        self.core.store.buffers.give(bytes);
        self.core.counters.end(cause);
        self.core.counters.connections_shed.add(1);
        if written.is_err() || (self.core.draining.is_closing && self.listeners.is_empty()) {
            return self.io.close(stream);
        }
        // Closed now, a request that is still on its way would reset the connection and take the answer with it.
        self.turned_away.push_back((stream, self.core.now.wrapping_add(LINGER_MS)));
        if self.turned_away.len() > TURNED_AWAY_MAX {
            self.close_turned_away(1);
        }
    }

    /// Closes those that were turned away and have had their time to read why.
    pub(super) fn close_read_answers(&mut self) {
        let now = self.core.now;
        let over = self.turned_away.iter().take_while(|(_, until)| reached(now, *until)).count();
        self.close_turned_away(over);
    }

    /// Closes the `n` that were turned away first.
    pub(super) fn close_turned_away(&mut self, n: usize) {
        for (stream, _) in self.turned_away.drain(..n.min(self.turned_away.len())) {
            // What it has sent meanwhile is read, or closing would reset the connection after all.
            let _unread = self.io.read(&stream, &mut [IoSliceMut::new(&mut self.scratch)]);
            self.io.close(stream);
        }
    }

    fn shed(&mut self, number: usize) {
        self.core.counters.fd_table_full.add(1);
        let mut answer = self.core.store.buffers.take(512);
        Response::refusal(Cause::Full).encode(&mut answer, false, false);
        for _ in 0..SHED_PER_TURN {
            if !self.io.shed(number, &answer) {
                break;
            }
            self.core.counters.end(Cause::Full);
            self.core.counters.connections_shed.add(1);
        }
        self.core.store.buffers.give(answer);
        self.rest(number, REST_MS);
    }

    /// Leaves a listener alone for a while: to try it again at once would be to spin.
    fn rest(&mut self, number: usize, milliseconds: u32) {
        self.listen(number, false);
        self.listeners[number].rests_until = Some(self.core.now.wrapping_add(milliseconds));
    }

    /// Tries the listeners again whose rest is over.
    pub(super) fn retry_listeners(&mut self) {
        for number in 0..self.listeners.len() {
            if self.listeners[number].until_retry(self.core.now) == Some(0) {
                self.listeners[number].rests_until = None;
                self.listen(number, true);
            }
        }
    }

    /// This shard is full: another one is asked to accept from the listener. False where none has room either.
    fn pass_on(&mut self, number: usize) -> bool {
        let emptiest = self.core.census.emptiest();
        let has_room = self.core.census.of(emptiest) < self.core.table.capacity();
        if emptiest == self.core.shard()
            || !has_room
            || self.core.census.is_full()
            || self.listeners.len() < 2
        {
            return false;
        }
        self.listen(number, false);
        let listener = &mut self.listeners[number];
        listener.times += u64::from(listener.is_own);
        let times = listener.times;
        // Whoever covered it from here in an earlier time may have missed the end of that.
        let before = listener.covered_by.replace(emptiest);
        self.core.post_mail(emptiest, Mail::Cover { listener: number, times });
        if let Some(before) = before.filter(|&before| before != emptiest) {
            self.core.post_mail(before, Mail::Uncover { listener: number, times: times - 1 });
        }
        true
    }

    pub(super) fn cover(&mut self, number: usize, times: u64) {
        let Some(listener) = self.listeners.get_mut(number) else { return };
        if times >= listener.times {
            listener.times = times;
            self.listen(number, true);
        }
    }

    pub(super) fn uncover(&mut self, number: usize, times: u64) {
        let Some(listener) = self.listeners.get_mut(number).filter(|listener| !listener.is_own) else {
            return;
        };
        if times < listener.times {
            return;
        }
        let next = listener.covered_by.take();
        self.listen(number, false);
        if let Some(next) = next {
            self.core.post_mail(next, Mail::Uncover { listener: number, times });
        }
    }

    /// A connection is gone: listeners that were passed on come back once there is room for 2 % more.
    pub(super) fn room_again(&mut self) {
        let room = self.core.table.capacity() - self.core.table.len();
        if room * 50 < self.core.table.capacity() {
            return;
        }
        for number in 0..self.listeners.len() {
            if !self.listeners[number].is_own {
                continue;
            }
            let times = self.listeners[number].times;
            if let Some(shard) = self.listeners[number].covered_by.take() {
                self.core.post_mail(shard, Mail::Uncover { listener: number, times });
                self.listen(number, true);
            }
        }
    }
}

/// An error of the one connection that was to be accepted (accept(2) lists those that TCP passes on), not of the listener.
fn is_passing(error: &io::Error) -> bool {
    use libc::{
        ECONNABORTED, EHOSTDOWN, EHOSTUNREACH, EINTR, ENETDOWN, ENETUNREACH, ENOPROTOOPT, EOPNOTSUPP, EPERM,
        EPROTO,
    };
    matches!(
        error.raw_os_error(),
        Some(
            ECONNABORTED
                | EHOSTDOWN
                | EHOSTUNREACH
                | EINTR
                | ENETDOWN
                | ENETUNREACH
                | ENOPROTOOPT
                | EOPNOTSUPP
                | EPERM
                | EPROTO
        )
    )
}

/// Whether there is no fd or no memory left.
fn is_exhausted(error: &io::Error) -> bool {
    use libc::{EMFILE, ENFILE, ENOBUFS, ENOMEM};
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE | ENOBUFS | ENOMEM))
}

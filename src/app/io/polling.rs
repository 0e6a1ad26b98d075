//! What waits for a client that polls: packets in order, within its session's limit, by the policies of what is too slow.
//!
//! Owns the queue and its count, and says what became of what was pushed. Who answers the poll, and when a session ends because
//! too much waits for it, is the state's business.

use crate::base::id::Key;
use crate::base::metrics::Counters;
use crate::base::pool::Pool;
use crate::base::slow::{Mark, SlowPolicy};
use crate::core::load::{fair_share, goal};
use crate::core::service::Delivery;
use crate::core::unit::{UNIT_BYTES, Unit};
use crate::core::units::Units;
use crate::proto::engineio::{PacketKind, PayloadWriter, SEPARATOR};
use crate::proto::http::Response;

use super::mail::Errant;
use super::port::Port;
use super::reason::Reason;
use super::session::{Link, Session};
use super::state::State;

/// What a session needs while it polls.
#[derive(Debug, Default)]
pub(super) struct Polling {
    /// Packets as a payload has them, a separator behind each.
    waiting: Units,
    /// Bytes of the payload that they are, and what they make the shard hold.
    bytes: usize,
    held: usize,
    /// Something came that had no room and may not be dropped.
    is_overfull: bool,
    pub(super) policy: SlowPolicy,
    /// The poll that waits for something.
    pub(super) poll: Option<Errant>,
    /// The WebSocket that is to take over, and whether its probe was answered.
    pub(super) probe: Option<(Key, bool)>,
    /// Until when that must have taken over, in the shard's milliseconds.
    pub(super) upgrade_due: u32,
}

/// What became of something that was pushed, and of others for its sake.
#[derive(Default, PartialEq, Eq, Debug)]
struct Pushed {
    is_dropped: bool,
    dropped_new: u64,
    dropped_oldest: u64,
    replaced: u64,
}

impl Pushed {
    fn count(&self, counters: &Counters) {
        counters.units_dropped_new.add(self.dropped_new);
        counters.units_dropped_oldest.add(self.dropped_oldest);
        counters.units_replaced.add(self.replaced);
    }
}

impl Polling {
    /// Nothing waits, by this policy.
    pub(super) fn new(policy: SlowPolicy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What waits makes the shard hold so many bytes.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Queues packets that belong together, of about so many bytes. While a poll waits there is no limit: all of it leaves in a moment.
    fn push(
        &mut self,
        mark: Mark,
        bytes_max: usize,
        pool: &mut Pool,
        bytes: usize,
        write: impl FnOnce(&mut PayloadWriter<'_>),
    ) -> Pushed {
        let mut pushed = Pushed::default();
        let mut bytes = pool.take(bytes + 2);
        write(&mut PayloadWriter::new(&mut bytes));
        bytes.push(SEPARATOR);
        let (length, mut unit) = (bytes.len(), Unit::own(bytes).marked(mark));
        if mark.is_latest() {
            let cost = unit.cost();
            match self.waiting.replace(unit, 0) {
                Ok(old) => {
                    (self.bytes, self.held) = (self.bytes + length, self.held + cost);
                    self.retire(old, pool);
                    pushed.replaced = 1;
                    self.is_overfull |= !self.make_room(0, bytes_max, pool, &mut pushed);
                    return pushed;
                }
                Err(first) => unit = first,
            }
        }
        if !self.make_room(length, bytes_max, pool, &mut pushed) {
            unit.retire(pool);
            pushed.is_dropped = true;
            if matches!(mark, Mark::NEW | Mark::OLDEST) {
                pushed.dropped_new = 1;
            } else {
                self.is_overfull = true;
            }
            return pushed;
        }
        self.bytes += length;
        match self.waiting.join(unit, pool) {
            Ok(grown) => self.held += grown,
            Err(unit) => {
                self.held += unit.cost();
                self.waiting.push(unit);
            }
        }
        pushed
    }

    /// Drops the oldest that may be for newer ones, until so many bytes have room; none where that would not do. Each unit counts
    /// its entry as well, and the last separator is not sent.
    fn make_room(&mut self, bytes: usize, bytes_max: usize, pool: &mut Pool, pushed: &mut Pushed) -> bool {
        if self.poll.is_some() {
            return true;
        }
        let occupied = |polling: &Self| polling.bytes + polling.waiting.len() * UNIT_BYTES;
        let has_room = |occupied: usize| occupied == 0 || occupied + bytes <= bytes_max + 1;
        if !has_room(occupied(self) - self.waiting.oldest_bytes(0)) {
            return false;
        }
        while !has_room(occupied(self)) {
            let Some(oldest) = self.waiting.take_oldest(0) else { return false };
            self.retire(oldest, pool);
            pushed.dropped_oldest += 1;
        }
        true
    }

    fn retire(&mut self, unit: Unit, pool: &mut Pool) {
        self.bytes -= unit.len();
        self.held -= unit.cost();
        unit.retire(pool);
    }

    /// Drops what may be dropped until no more than so much is held; false where that does not do.
    fn shorten(&mut self, held_max: usize, pool: &mut Pool, pushed: &mut Pushed) -> bool {
        while self.held > held_max {
            let (unit, counter) = match self.waiting.take_oldest(0) {
                Some(unit) => (unit, &mut pushed.dropped_oldest),
                None => match self.waiting.take_newest(0) {
                    Some(unit) => (unit, &mut pushed.dropped_new),
                    None => return false,
                },
            };
            *counter += 1;
            self.retire(unit, pool);
        }
        true
    }

    /// Takes everything that waits, as a payload.
    pub(super) fn take(&mut self, pool: &mut Pool) -> Vec<u8> {
        let (whole, mut payload) = (self.bytes, Vec::new());
        for (mut bytes, _) in self.take_units() {
            if bytes.len() == whole {
                payload = bytes;
            } else {
                payload.reserve_exact(whole - payload.len());
                payload.append(&mut bytes);
                pool.give(bytes);
            }
        }
        payload.pop();
        payload
    }

    /// Takes everything that waits in its units: the packets of each with a separator behind, and what may become of it.
    pub(super) fn take_units(&mut self) -> Vec<(Vec<u8>, Mark)> {
        (self.bytes, self.held) = (0, 0);
        let mut waiting = std::mem::take(&mut self.waiting);
        let own = |unit| match unit {
            Unit::Own { bytes, mark, .. } => Some((bytes, mark)),
            Unit::Shared(_) => None,
        };
        waiting.take_rest(0).filter_map(own).collect()
    }
}

impl State {
    /// Queues packets for a client that polls, of about so many bytes.
    pub(super) fn wait(
        &mut self,
        port: &mut dyn Port,
        slot: u32,
        mark: Mark,
        bytes: usize,
        write: impl FnOnce(&mut PayloadWriter<'_>),
    ) -> Delivery {
        let link = self.sessions.get_mut(slot as usize).map(|session| &mut session.link);
        let Some(Link::Polling(polling)) = link else { return Delivery::Dropped };
        let before = polling.held();
        let pushed = polling.push(mark, self.config.polling_bytes_max, port.buffers(), bytes, write);
        self.polls_held = self.polls_held - before + polling.held();
        self.unpolled.push(slot);
        pushed.count(port.counters());
        if pushed.is_dropped { Delivery::Dropped } else { Delivery::Queued }
    }

    /// What becomes of messages that a client is too slow for.
    pub(super) fn slow_policy(&self, port: &dyn Port, slot: u32) -> SlowPolicy {
        match self.sessions.get(slot as usize).map(|session| &session.link) {
            Some(Link::WebSocket(key)) => port.slow_policy(*key),
            Some(Link::Polling(polling)) => polling.policy,
            None => SlowPolicy::Close,
        }
    }

    /// Says what becomes of them.
    pub(super) fn set_slow_policy(&mut self, port: &mut dyn Port, slot: u32, policy: SlowPolicy) {
        match self.sessions.get_mut(slot as usize).map(|session| &mut session.link) {
            Some(Link::WebSocket(key)) => port.set_slow_policy(*key, policy),
            Some(Link::Polling(polling)) => polling.policy = policy,
            None => {}
        }
    }

    /// Answers the polls that something was queued for, each with all of it.
    pub(super) fn flush_polls(&mut self, port: &mut dyn Port) {
        while let Some(slot) = self.unpolled.pop() {
            let Some(session) = self.sessions.get_mut(slot as usize) else { continue };
            let Link::Polling(polling) = &mut session.link else { continue };
            if let Some(errant) = polling.poll.take_if(|_| !polling.waiting.is_empty()) {
                self.polls_held -= polling.held;
                let payload = polling.take(port.buffers());
                self.answer(port, errant, payload_response(payload));
            } else if polling.is_overfull {
                port.counters().io_polls_overflowed.add(1);
                self.close_session(port, slot, Reason::TransportError);
            }
        }
        let bytes_max = port.config().outboxes_bytes_max;
        if self.polls_held > bytes_max {
            self.relieve_polls(port, bytes_max);
        }
    }

    /// Brings what waits for clients that do not poll back within the bound over a shard's outboxes: those pay who hold more than
    /// their share, by what may be dropped of theirs, or by their session.
    #[cold]
    fn relieve_polls(&mut self, port: &mut dyn Port, bytes_max: usize) {
        port.counters().outboxes_relieved.add(1);
        let goal = goal(bytes_max);
        while self.polls_held > goal {
            let weight = |session: &Session| match &session.link {
                Link::Polling(polling) => polling.held,
                Link::WebSocket(_) => 0,
            };
            let mut weights: Vec<_> = self.sessions.iter().map(|(_, session)| weight(session)).collect();
            let Some(share) = fair_share(&mut weights, goal) else { return };
            let heavy = self.sessions.iter().map(|(slot, session)| (weight(session), slot as u32));
            let mut heavy: Vec<_> = heavy.filter(|(weight, _)| *weight > share).collect();
            // The heaviest first, and none once it is enough: where all hold the same, not all have to go.
            heavy.sort_unstable_by_key(|(weight, _)| std::cmp::Reverse(*weight));
            for (_, slot) in heavy {
                if self.polls_held <= goal {
                    break;
                }
                let Link::Polling(polling) = &mut self.sessions[slot as usize].link else { continue };
                let (before, mut pushed) = (polling.held, Pushed::default());
                let is_enough = polling.shorten(share, port.buffers(), &mut pushed);
                self.polls_held = self.polls_held - before + polling.held;
                pushed.count(port.counters());
                if !is_enough {
                    port.counters().io_polls_overflowed.add(1);
                    self.close_session(port, slot, Reason::TransportError);
                }
            }
        }
    }
}

/// The answer to a poll that is to end, where nothing waits.
pub(super) fn noop_response() -> Response {
    payload_response(vec![PacketKind::Noop.digit()])
}

/// A payload as the answer to a poll.
pub(super) fn payload_response(payload: Vec<u8>) -> Response {
    Response::new(200)
        .body(payload)
        .header("Content-Type", "text/plain; charset=UTF-8")
        .header("Cache-Control", "no-store")
}

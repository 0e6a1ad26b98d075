//! The sending half of a worker's turn: when it begins, over which connections, and what is due.
//!
//! Called by the worker, once a turn and between its events.

use std::sync::atomic::Ordering::Relaxed;

use crate::conn::Phase;
use crate::inbound::End;
use crate::outbound::NOBODY;
use crate::slow::is_silent;
use crate::worker::Worker;

/// Connections that begin to send in one turn, as many as a turn's events: with all at once the first answers of
/// 20,000 would wait for half a second.
const BEGINNERS_PER_TURN: usize = 1024;

impl Worker {
    /// Begins sending when its time has come, and sends what is due.
    pub(crate) fn start_or_send(&mut self) {
        let now = self.shared.clock.now();
        let from = self.shared.traffic_from.load(Relaxed);
        if !self.traffic.started && now >= from {
            self.traffic.started = true;
            let members = self.slots(|conn| conn.phase == Phase::Open && !is_silent(conn));
            let publisher = self.slots(|conn| conn.phase == Phase::Open && conn.is_publisher);
            if self.outbound.is_closed_loop() {
                self.beginners.clone_from(&members);
            }
            self.slow_down();
            let members = self.places(members);
            if let Some(disruptor) = &mut self.disruptor {
                disruptor.start(from, members.len());
            }
            self.outbound.start(from, members, publisher.first().copied());
        }
        for _ in 0..self.beginners.len().min(BEGINNERS_PER_TURN) {
            self.begin();
        }
        self.send_due();
    }

    /// The ring of these connections: where they come and go, by their numbers.
    fn places(&mut self, members: Vec<usize>) -> Vec<usize> {
        if self.disruptor.is_none() {
            return members;
        }
        self.outbound.number_from(self.first);
        let mut places = vec![NOBODY; self.members as usize];
        for slot in members {
            places[(self.conns[slot].number - self.first) as usize] = slot;
        }
        places
    }

    /// Closed loop: sends the first messages of one more connection.
    fn begin(&mut self) {
        let Some(slot) = self.beginners.pop() else { return };
        let Some(conn) = self.conns.get_mut(slot).filter(|conn| conn.phase == Phase::Open) else { return };
        let now = self.shared.clock.now();
        let sent = self.traffic.refill(conn, now).and_then(|()| self.traffic.flush(conn));
        if let Err(error) = sent {
            self.end(slot, &End::of(&error));
        }
    }

    pub(crate) fn send_due(&mut self) {
        let Self { outbound, conns, traffic, shared, .. } = self;
        let failed = outbound.send_due(conns, traffic, shared);
        for (slot, error) in failed {
            self.end(slot, &End::of(&error));
        }
    }
}

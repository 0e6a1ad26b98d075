//! What a worker does a few times a second: gives late answers up, tells how far it is, ends the run.
//!
//! The other half of the worker, called once per turn when it is time; it sends, but never reads.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use throng::proto::ws::Opcode;

use crate::clock::SECOND;
use crate::conn::{Conn, Phase};
use crate::inbound::End;
use crate::slow::is_silent;
use crate::worker::Worker;

/// How long the closing handshakes may take.
const CLOSE_TIMEOUT: u64 = 3 * SECOND;

impl Worker {
    /// Looks after everything that no event tells.
    pub(crate) fn chores(&mut self, now: u64) {
        self.time_out(now);
        self.read_slowly();
        self.publish_live();
        if !self.is_drained && now >= self.traffic.window.1 {
            let is_late = now >= self.shared.drain_to.load(Relaxed);
            if is_late || self.outbound.next_due() > now {
                self.tell_what_was_said();
                if self.connector.has_publisher() {
                    self.shared.is_all_published.store(true, Release);
                }
            }
            let is_known =
                self.shared.settings.publish.is_none() || self.shared.is_all_published.load(Acquire);
            let published = self.shared.published.load(Relaxed) as u32;
            let is_quiet = is_known
                && self.outbound.next_due() > now
                && self.conns.iter().all(|(_, conn)| {
                    conn.phase != Phase::Open || is_silent(conn) || {
                        let missing = conn.echoes.missing() + conn.publishes.missing();
                        missing == 0
                            && conn.echoes.outstanding(conn.sent) == 0
                            && conn.publishes.outstanding(published) == 0
                            && self.has_heard_all(conn)
                    }
                });
            if is_late || is_quiet {
                self.is_drained = true;
                self.shared.drained.fetch_add(1, Relaxed);
            }
        }
        if self.close_by.is_none() && self.shared.close.load(Relaxed) {
            self.close_by = Some(now + CLOSE_TIMEOUT);
            self.close_all();
        }
    }

    /// Closed loop: a connection that hears nothing gives its messages up and goes on.
    fn time_out(&mut self, now: u64) {
        if !self.traffic.started || !self.outbound.is_closed_loop() || now >= self.traffic.window.1 {
            return;
        }
        let (now_ms, limit) =
            ((now / 1_000_000) as u32, (self.shared.settings.reply_timeout / 1_000_000) as u32);
        let late = self.slots(|conn| {
            conn.phase == Phase::Open
                && conn.echoes.outstanding(conn.sent) > 0
                && now_ms.saturating_sub(conn.heard_ms) > limit
        });
        for slot in late {
            let conn = &mut self.conns[slot];
            conn.echoes.give_up(conn.sent);
            self.traffic.stats.tally.timeouts += 1;
            if let Err(error) = self.traffic.refill(conn, now).and_then(|()| self.traffic.flush(conn)) {
                self.end(slot, &End::of(&error));
            }
        }
    }

    /// Settles what each connection lost and begins the closing handshakes.
    fn close_all(&mut self) {
        if self.disruptor.is_some() {
            self.give_up_coming_back();
        }
        let published = self.shared.published.load(Relaxed) as u32;
        self.drop_slow_readers(published);
        for slot in self.slots(|conn| conn.phase == Phase::Open) {
            self.settle_room(slot);
            let conn = &mut self.conns[slot];
            conn.echoes.give_up(conn.sent);
            if !conn.is_publisher {
                conn.publishes.give_up(published);
                self.traffic.stats.tally.lost += conn.echoes.missing() + conn.publishes.missing();
            }
            conn.phase = Phase::Closing;
            self.traffic.output.append(Opcode::Close, &1000u16.to_be_bytes());
            if let Err(error) = self.traffic.flush(conn) {
                self.end(slot, &End::of(&error));
            }
        }
    }

    /// Ends the attempts at coming back: what they were for is over.
    fn give_up_coming_back(&mut self) {
        let leaving = self.conns.iter().filter(|(_, conn)| conn.phase == Phase::Leaving).count();
        self.traffic.stats.tally.away += (self.connector.missing() + leaving) as u64;
        self.connector.abandon();
        for slot in self.slots(Conn::is_under_way) {
            self.conns[slot].phase = Phase::Gone;
            self.ended.push(slot);
            self.connector.forget();
        }
        self.disruptor = None;
    }

    /// The slots of the connections that are so.
    pub(crate) fn slots(&self, wanted: impl Fn(&Conn) -> bool) -> Vec<usize> {
        self.conns.iter().filter(|(_, conn)| wanted(conn)).map(|(slot, _)| slot).collect()
    }

    /// Tells the main thread how far this worker is.
    pub(crate) fn publish_live(&mut self) {
        self.traffic.count_compressed();
        let mut live = self.shared.live[self.index].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        live.tally = self.traffic.stats.tally;
        live.opening = self.connector.under_way() as u64;
        live.moments.take(&mut self.traffic.stats);
    }
}

//! Step 6: connections whose deadline has come.
//!
//! An entry says only that something may be due. Whether it is, the connection's own state decides; where it was early,
//! it is filed again, so a peer is found silent after one to two of its intervals.

use crate::base::cause::Cause;
use crate::base::id::Key;
use crate::proto::ws::{Opcode, encode};

use super::conn::{Arrived, Flags, Stage};
use super::core::Core;
use super::deadlines::{CLASSES, Class, reached};
use super::exchange::Awaited;
use super::io::Io;
use super::outbox::Unit;
use super::service::Service;
use super::shard::Shard;

/// How many times `close_timeout` a peer is read that goes on sending behind its last answer.
const LINGERS_MAX: u32 = 6;

impl<S: Service, I: Io> Shard<S, I> {
    /// Acts on every deadline that has come.
    pub(super) fn deadlines(&mut self) {
        let now = self.core.now;
        for class in CLASSES {
            while let Some(key) = self.core.deadlines.next_due(class, now) {
                if self.core.table.contains(key) {
                    self.core.due(class, key);
                }
            }
        }
    }

    /// Rings the timers that are due, behind the deadlines.
    pub(super) fn timers(&mut self) {
        while let Some((id, mut timer)) = self.core.timers.next_due(self.core.now_us) {
            self.guard(None, |service, core| service.timer(core, &mut timer));
            self.guard(None, |_, core| core.timers.put_back(id, timer));
        }
    }
}

impl<S: Service> Core<S> {
    fn due(&mut self, class: Class, key: Key) {
        match class {
            Class::Head => self.due_head(key),
            Class::Silent => self.due_silent(key),
            Class::Admit => self.due_admit(key),
            Class::Ping => self.due_ping(key),
            Class::Pong => self.due_pong(key),
            Class::Close => self.due_close(key),
            Class::Stall => self.due_stall(key),
        }
    }

    /// A request must be complete: it began with its first byte, or, on a new connection, at accept.
    fn due_head(&mut self, key: Key) {
        let heard = self.table.heard(key);
        let Some(conn) = self.table.conn_mut(key) else { return };
        conn.flags.clear(Flags::HEAD_FILED);
        let since = match &conn.arrived {
            // Nothing that it has sent counts as heard until its first request is complete: that is when it was accepted.
            _ if conn.peer.is_new() => heard,
            Arrived::Http(exchange) => exchange.since,
            _ if conn.flags.any(Flags::KEPT) => return,
            _ => heard,
        };
        if conn.stage != Stage::Head {
            return;
        }
        // One that is kept waiting for its own answers to be taken is left to the stall deadline.
        if !conn.flags.any(Flags::PAUSED) {
            let body = match &conn.arrived {
                Arrived::Http(exchange) => exchange.body.as_ref().map(|body| (body.since, body.bytes.len())),
                _ => None,
            };
            if self.deadlines.has_passed(Class::Head, since, self.now) {
                if matches!(conn.arrived, Arrived::Proxy) {
                    // A proxy expects no answer before its own head, and what is spoken behind it may be TLS.
                    return self.vanish(key, Cause::HeadTimeout);
                }
                return self.fail(key, Cause::HeadTimeout);
            }
            if body.is_some_and(|(since, bytes)| self.is_too_slow(since, bytes)) {
                return self.fail(key, Cause::BodyTooSlow);
            }
        }
        self.watch_head(key);
    }

    /// Whether a body has had its grace and brings less than it must on the average. Only content counts.
    fn is_too_slow(&self, since: u32, bytes: usize) -> bool {
        let since_ms = self.now.wrapping_sub(since);
        let wanted = self.config.body_rate_min as u64 * u64::from(since_ms) / 1000;
        since_ms > self.deadlines.body_grace_ms() && (bytes as u64) < wanted
    }

    fn due_silent(&mut self, key: Key) {
        let heard = self.table.heard(key);
        let Some(conn) = self.table.conn_mut(key) else { return };
        conn.flags.clear(Flags::SILENT_FILED);
        let (is_watched, is_idle) = match conn.stage {
            Stage::Open => (self.deadlines.is_off(Class::Ping), true),
            Stage::Head => (conn.flags.any(Flags::KEPT), matches!(conn.arrived, Arrived::Nothing)),
            Stage::Waiting => (conn.flags.any(Flags::KEPT), false),
            _ => (false, false),
        };
        if !is_watched {
            return;
        }
        if self.is_message_late(key) {
            return self.fail(key, Cause::MessageTimeout);
        }
        // One that has yet to take what is queued is left to the stall deadline.
        let Some(conn) = self.table.conn(key) else { return };
        if is_idle && conn.queued == 0 && self.deadlines.has_passed(Class::Silent, heard, self.now) {
            return self.fail(key, Cause::SilentTimeout);
        }
        self.watch_silence(key);
    }

    /// Files a head deadline, unless one is: a connection that asks often has one entry all the same.
    pub(super) fn watch_head(&mut self, key: Key) {
        self.file_once(Class::Head, Flags::HEAD_FILED, key);
    }

    /// Files a silence deadline, unless one is.
    pub(super) fn watch_silence(&mut self, key: Key) {
        self.file_once(Class::Silent, Flags::SILENT_FILED, key);
    }

    /// Files an admission deadline, unless one is.
    pub(super) fn watch_answer(&mut self, key: Key) {
        self.file_once(Class::Admit, Flags::ADMIT_FILED, key);
    }

    fn file_once(&mut self, class: Class, filed: Flags, key: Key) {
        let Some(conn) = self.table.conn_mut(key) else { return };
        if !conn.flags.any(filed) && !self.deadlines.is_off(class) {
            conn.flags.set(filed);
            self.deadlines.file(class, key, self.now);
        }
    }

    /// An answer is owed. An entry of an earlier request on the same connection finds a younger one: it files again.
    fn due_admit(&mut self, key: Key) {
        let Some(conn) = self.table.conn_mut(key) else { return };
        conn.flags.clear(Flags::ADMIT_FILED);
        let Arrived::Http(exchange) = &conn.arrived else { return };
        let is_watched = |awaited: &&Awaited| conn.stage == Stage::Waiting && !awaited.is_held;
        let Some(awaited) = exchange.awaited.as_ref().filter(is_watched) else { return };
        if self.deadlines.has_passed(Class::Admit, awaited.since, self.now) {
            self.fail(key, Cause::NotAnswered);
        } else {
            self.watch_answer(key);
        }
    }

    /// A peer that was not heard for the interval is pinged; one that was is looked at an interval later.
    fn due_ping(&mut self, key: Key) {
        let heard = self.table.heard(key);
        let Some(conn) = self.table.conn_mut(key) else { return };
        if conn.stage != Stage::Open {
            return;
        }
        if self.is_message_late(key) {
            return self.fail(key, Cause::MessageTimeout);
        }
        let Some(conn) = self.table.conn_mut(key) else { return };
        if !self.deadlines.has_passed(Class::Ping, heard, self.now) {
            return self.deadlines.file(Class::Ping, key, self.now);
        }
        conn.flags.set(Flags::PINGED);
        self.counters.pings.add(1);
        let mut bytes = self.store.buffers.take(2);
        encode::append_control(&mut bytes, Opcode::Ping, b"");
        self.queue(key, Unit::own(bytes), false);
        self.deadlines.file(Class::Pong, key, self.now);
    }

    /// A pinged peer must have been heard since: any byte counts. One that still takes what is queued is alive, and
    /// left to the stall deadline.
    fn due_pong(&mut self, key: Key) {
        let now = self.now;
        let Some(conn) = self.table.conn_mut(key) else { return };
        if conn.stage != Stage::Open {
            return;
        }
        let is_unheard = conn.flags.any(Flags::PINGED);
        conn.flags.clear(Flags::PINGED);
        let moved_at = conn.outbox.as_ref().map(|outbox| outbox.moved_at);
        if is_unheard && moved_at.is_none_or(|moved_at| self.deadlines.has_passed(Class::Pong, moved_at, now))
        {
            return self.fail(key, Cause::PongTimeout);
        }
        self.deadlines.file(Class::Ping, key, now);
    }

    fn due_close(&mut self, key: Key) {
        let Some(conn) = self.table.conn(key) else { return };
        // The last response is no closing handshake: it has the time for every part of it that the peer takes.
        let is_answered = conn.stage == Stage::Leaving && !conn.flags.any(Flags::OPENED);
        if let Some(outbox) = conn.outbox.as_ref().filter(|_| is_answered)
            && !self.deadlines.has_passed(Class::Close, outbox.moved_at, self.now)
        {
            return self.deadlines.file(Class::Close, key, self.now);
        }
        let is_lingering = conn.stage == Stage::Lingering && !conn.flags.any(Flags::OPENED);
        if is_lingering && !conn.flags.any(Flags::PINGED) && !self.has_lingered(key) {
            // It is still sending what nobody reads. Cut now it would be reset, and might not see why it was refused.
            if let Some(conn) = self.table.conn_mut(key) {
                conn.flags.set(Flags::PINGED);
            }
            return self.deadlines.file(Class::Close, key, self.now);
        }
        // A connection ends once, and files this when its end begins: what began it stays its cause.
        self.counters.closes_cut.add(1);
        self.vanish(key, Cause::PeerVanished);
    }

    /// Whether a peer that was answered has sent on for as long as it may.
    fn has_lingered(&self, key: Key) -> bool {
        let close_ms = self.config.close_timeout.as_millis() as u32;
        reached(self.now, self.table.heard(key).wrapping_add(close_ms.saturating_mul(LINGERS_MAX)))
    }

    fn due_stall(&mut self, key: Key) {
        let now = self.now;
        let Some(conn) = self.table.conn_mut(key) else { return };
        conn.flags.clear(Flags::STALL_FILED);
        let Some(outbox) = conn.outbox.as_ref().filter(|_| conn.flags.any(Flags::BLOCKED)) else { return };
        if self.deadlines.has_passed(Class::Stall, outbox.moved_at, now) {
            return self.fail(key, Cause::Stalled);
        }
        conn.flags.set(Flags::STALL_FILED);
        self.deadlines.file(Class::Stall, key, now);
    }

    pub(super) fn set_clock(&mut self, now_us: u64) {
        self.now_us = self.now_us.max(now_us);
        self.now = (self.now_us / 1000) as u32;
    }
}

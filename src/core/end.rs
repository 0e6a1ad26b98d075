//! How connections end: by the closing handshake, by a refusal, by falling away.
//!
//! Every end begins in one of the four functions here, with its cause. They queue what the peer is told (`base::cause`
//! has the table), move the stage on, and file the deadline by which it must be over. The turn does the rest: flush,
//! FIN, reap.

use crate::base::cause::{Cause, CloseReason};
use crate::base::id::Key;
use crate::proto::http::Response;
use crate::proto::ws::close::{NO_STATUS, may_be_sent};
use crate::proto::ws::encode;

use super::conn::{Arrived, Flags, Stage};
use super::core::Core;
use super::deadlines::Class;
use super::outbox::Unit;
use super::service::{Service, Ticket};

impl<S: Service> Core<S> {
    /// Begins the closing handshake with a code and reason that the application chose. A connection that is not a
    /// WebSocket, or is closing, is left as it is. A code that no server may send becomes 1000.
    pub fn close(&mut self, key: Key, code: u16, reason: &str) {
        let code = if may_be_sent(code) { code } else { 1000 };
        self.close_for(key, CloseReason::with_code(Cause::Requested, code), reason);
    }

    /// Begins the closing handshake for a cause.
    pub(super) fn close_for(&mut self, key: Key, why: CloseReason, text: &str) {
        let Some(conn) = self.table.conn_mut(key) else { return };
        if conn.stage != Stage::Open {
            return;
        }
        conn.reason = why;
        self.end_data(key, Stage::Closing);
        self.queue_close(key, why.code, text);
        self.deadlines.file(Class::Close, key, self.now);
    }

    /// Ends a connection whose peer did something wrong or reached a limit: it is told so, and no more is read.
    pub(super) fn fail(&mut self, key: Key, cause: Cause) {
        self.fail_request(key, cause, false);
    }

    /// The same, at a request that may be a HEAD: to that one there is no body (RFC 9110 §9.3.2).
    pub(super) fn fail_request(&mut self, key: Key, cause: Cause, head_only: bool) {
        let Some(conn) = self.table.conn_mut(key) else { return };
        match conn.stage {
            Stage::Leaving | Stage::Lingering | Stage::Dead => return,
            Stage::Head | Stage::Waiting => {
                conn.reason = CloseReason::of(cause);
                return self.refuse(key, cause, head_only);
            }
            Stage::Open => conn.reason = CloseReason::of(cause),
            // The reason that began the closing stays.
            Stage::Closing => {}
        }
        let was_open = conn.stage == Stage::Open;
        self.end_data(key, Stage::Leaving);
        if matches!(cause, Cause::OutboxFull | Cause::OutboxesFull | Cause::Stalled) {
            // It does not read: what it has not begun to get would only stand before the close frame.
            self.drop_unbegun(key);
        }
        if let Some(code) = cause.close_code().filter(|_| was_open) {
            self.queue_close(key, code, cause.sentence());
        }
        self.deadlines.file(Class::Close, key, self.now);
        self.mark_dirty(key);
    }

    /// Answers a request with the status of `cause` and ends the connection behind it.
    fn refuse(&mut self, key: Key, cause: Cause, mut head_only: bool) {
        let Some(conn) = self.table.conn_mut(key) else { return };
        if let Arrived::Http(exchange) = conn.take_arrived(&mut self.incomplete)
            && let Some(awaited) = exchange.awaited
        {
            head_only = awaited.manner.head_only;
            self.gone.push(Ticket { key, number: awaited.number });
        }
        if cause.status().is_some() || cause == Cause::HandlerPanicked {
            let mut bytes = self.store.buffers.take(512);
            let mut refusal = Response::refusal(cause);
            if cause == Cause::MethodNotAllowed {
                // Routes answer for themselves. What is refused here is a handshake that is no GET.
                refusal = refusal.header("Allow", "GET");
            }
            refusal.encode(&mut bytes, head_only, false);
            self.queue(key, Unit::own(bytes), false);
        }
        self.leave(key);
    }

    /// The peer's close frame came: it is answered in kind, or it is the answer to ours.
    pub(super) fn peer_closed(&mut self, key: Key, code: Option<u16>) {
        let Some(conn) = self.table.conn_mut(key) else { return };
        match conn.stage {
            Stage::Open => {
                conn.reason = CloseReason::with_code(Cause::PeerClosed, code.unwrap_or(NO_STATUS));
                self.end_data(key, Stage::Leaving);
                let mut bytes = self.store.buffers.take(16);
                encode::append_close(&mut bytes, code, "");
                self.queue(key, Unit::own(bytes), false);
                self.deadlines.file(Class::Close, key, self.now);
            }
            Stage::Closing => self.leave(key),
            _ => {}
        }
    }

    /// Lets a connection go once everything queued is sent.
    pub(super) fn leave(&mut self, key: Key) {
        let Some(conn) = self.table.conn_mut(key) else { return };
        if matches!(conn.stage, Stage::Lingering | Stage::Dead | Stage::Leaving) {
            return;
        }
        if conn.stage != Stage::Closing {
            self.deadlines.file(Class::Close, key, self.now);
        }
        self.end_data(key, Stage::Leaving);
        self.mark_dirty(key);
    }

    /// Ends a connection at once: nobody is there to be told.
    pub(super) fn vanish(&mut self, key: Key, cause: Cause) {
        let Some(conn) = self.table.conn_mut(key) else { return };
        let was = conn.stage;
        if was == Stage::Dead {
            return;
        }
        if matches!(was, Stage::Head | Stage::Waiting | Stage::Open) {
            conn.reason = CloseReason::of(cause);
        }
        self.end_data(key, Stage::Dead);
        self.dead.push(key);
    }

    /// From here on the connection takes and gives no messages.
    fn end_data(&mut self, key: Key, stage: Stage) {
        if self.reading == Some(key) {
            self.is_halted = true;
        }
        self.handshake_ends(key);
        if let Some(conn) = self.table.conn_mut(key) {
            conn.stage = stage;
            conn.flags.clear(Flags::PRESSURED.with(Flags::PAUSED));
            if conn.flags.any(Flags::STREAMING) {
                // The message that was being streamed can never be finished: a close frame may follow its last part,
                // and no other message.
                conn.flags.clear(Flags::STREAMING);
                if let Some(outbox) = &mut conn.outbox {
                    conn.queued -= outbox.drop_held(&mut self.store.buffers, &mut self.outboxes.load) as u32;
                }
            }
            let has_rest = matches!(conn.arrived, Arrived::Http(_));
            if (conn.flags.any(Flags::READABLE) || has_rest) && !conn.flags.any(Flags::MORE) {
                // It may have been paused, and what is left must still be decoded and read to its end.
                conn.flags.set(Flags::MORE);
                self.more.push_back(key);
            }
        }
    }

    fn queue_close(&mut self, key: Key, code: u16, reason: &str) {
        let mut bytes = self.store.buffers.take(140);
        encode::append_close(&mut bytes, Some(code), reason);
        self.queue(key, Unit::own(bytes), false);
    }

    fn drop_unbegun(&mut self, key: Key) {
        self.unbatch(key);
        let Some(conn) = self.table.conn_mut(key) else { return };
        if let Some(outbox) = &mut conn.outbox {
            let dropped = outbox.drop_unbegun(&mut self.store.buffers, &mut self.outboxes.load);
            conn.queued -= dropped as u32;
        }
    }
}

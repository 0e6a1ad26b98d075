//! Answers to requests, at once or later: responses, and the 101 that makes a WebSocket.

use crate::base::cause::{Cause, CloseReason};
use crate::base::id::Key;
use crate::proto::http::Response;
use crate::proto::ws::handshake::Accept;

use super::conn::{Arrived, Flags, Stage};
use super::core::Core;
use super::deadlines::Class;
use super::exchange::Manner;
use super::outbox::{UNIT_BYTES_MAX, Unit};
use super::service::{Reply, Service, Ticket};

impl<S: Service> Core<S> {
    /// Whether an answer with this ticket is still awaited.
    pub fn is_awaited(&self, ticket: Ticket) -> bool {
        let Some(conn) = self.table.conn(ticket.key) else { return false };
        let Arrived::Http(exchange) = &conn.arrived else { return false };
        conn.stage == Stage::Waiting
            && exchange.awaited.as_ref().is_some_and(|awaited| awaited.number == ticket.number)
    }

    /// Answers a request that was deferred. False: it is not waiting any more, and the answer is dropped.
    ///
    /// Of the replies, `Respond`, `Refuse` and `Upgrade` are answers; any other counts as none and is answered 503.
    pub fn answer(&mut self, ticket: Ticket, reply: Reply) -> bool {
        if !self.is_awaited(ticket) {
            return false;
        }
        let Some(conn) = self.table.conn_mut(ticket.key) else { return false };
        let Arrived::Http(exchange) = &mut conn.arrived else { return false };
        let Some(awaited) = exchange.awaited.take() else { return false };
        conn.stage = Stage::Head;
        if exchange.bytes.is_empty() {
            conn.take_arrived(&mut self.incomplete);
        } else {
            // The time for the next head begins when it may be looked at.
            exchange.since = self.now;
            self.watch_head(ticket.key);
        }
        match (reply, awaited.accept) {
            (Reply::Respond(response), None) => self.respond(ticket.key, &response, awaited.manner),
            (Reply::Respond(response), Some(_)) => self.refuse_with(ticket.key, &response, awaited.manner),
            (Reply::Refuse(cause), _) => self.fail(ticket.key, cause),
            (Reply::Upgrade { .. }, Some(_)) if self.draining.is_closing => {
                self.turn_back(ticket.key, awaited.manner)
            }
            (Reply::Upgrade { subprotocol }, Some(accept)) => {
                self.upgrade(ticket.key, &accept, subprotocol.as_deref())
            }
            _ => self.fail(ticket.key, Cause::NotAnswered),
        }
        // Whatever came in behind the request is looked at in this turn's step for what is left over.
        self.push_more(ticket.key);
        true
    }

    /// Sends a response, and ends the connection behind it unless it may carry another request.
    pub(super) fn respond(&mut self, key: Key, response: &Response, manner: Manner) {
        let keep_alive = manner.keep_alive && !self.draining.is_last(key, response.status_code());
        let mut bytes = self.store.buffers.take(512);
        response.encode(&mut bytes, manner.head_only, keep_alive);
        if bytes.len() > UNIT_BYTES_MAX {
            return self.fail(key, Cause::OutboxFull);
        }
        self.queue(key, Unit::own(bytes), false);
        let Some(conn) = self.table.conn_mut(key) else { return };
        if keep_alive {
            conn.flags.set(Flags::KEPT);
            self.watch_silence(key);
            self.pause_above_high(key);
        } else {
            conn.reason = CloseReason::of(Cause::HttpDone);
            self.leave(key);
        }
    }

    /// Sends a response to a client that asked for WebSocket and gets none: it has no use for the connection.
    pub(super) fn refuse_with(&mut self, key: Key, response: &Response, manner: Manner) {
        self.respond(key, response, Manner { keep_alive: false, ..manner });
        if let Some(conn) = self.table.conn_mut(key) {
            conn.reason = CloseReason::of(Cause::Refused);
        }
    }

    /// Refuses a WebSocket because the server stops: its client is to ask elsewhere.
    pub(super) fn turn_back(&mut self, key: Key, manner: Manner) {
        self.refuse_with(key, &Response::refusal(Cause::ServerStops), manner);
        if let Some(conn) = self.table.conn_mut(key) {
            conn.reason = CloseReason::of(Cause::ServerStops);
        }
    }

    /// Makes a WebSocket of the connection; the turn calls `opened`.
    pub(super) fn upgrade(&mut self, key: Key, accept: &Accept, subprotocol: Option<&str>) {
        let mut bytes = self.store.buffers.take(256);
        let terms = self.terms(accept.offers());
        if accept.encode(subprotocol, terms, &mut bytes).is_err() {
            // The service chose a subprotocol that was not offered; a client would have to refuse it.
            self.store.buffers.give(bytes);
            return self.fail(key, Cause::NotAnswered);
        }
        self.queue(key, Unit::own(bytes), false);
        if let Some(terms) = terms
            && let Some(conn) = self.table.conn_mut(key)
        {
            conn.agreed = accept.offers().agree(terms);
            self.deflating.open(key, conn.agreed);
        }
        self.open(key);
    }

    /// The connection is a WebSocket from here on.
    pub(super) fn open(&mut self, key: Key) {
        let Some(conn) = self.table.conn_mut(key) else { return };
        conn.stage = Stage::Open;
        conn.flags.set(Flags::OPENED);
        if self.deadlines.is_off(Class::Ping) {
            self.watch_silence(key);
        } else {
            self.deadlines.file(Class::Ping, key, self.now);
        }
        self.counters.websockets_opened.add(1);
        self.opened.push(key);
    }

    pub(super) fn push_more(&mut self, key: Key) {
        let Some(conn) = self.table.conn_mut(key) else { return };
        if !conn.flags.any(Flags::MORE) {
            conn.flags.set(Flags::MORE);
            self.more.push_back(key);
        }
    }
}

//! How sessions and sockets end, and what is still said to a client whose poll comes behind its session's end.

use std::ops::RangeInclusive;

use crate::base::cause::Cause;
use crate::proto::engineio::{PacketKind, SEPARATOR, SessionId};
use crate::proto::http::Response;

use super::polling::{Polling, payload_response};
use super::port::Port;
use super::reason::Reason;
use super::session::{Link, NONE};
use super::state::{Entry, State};

/// How many sessions that are gone are remembered for a poll that was on its way, for how long, and with how much.
const LET_GO_MAX: usize = 64;
const LET_GO_US: u64 = 1_000_000;
const LET_GO_BYTES_MAX: usize = 16 << 10;

/// Where a session's wishes to be let into namespaces lie.
pub(super) const fn wishes(slot: u32, serial: u32) -> RangeInclusive<(u32, u32, u16)> {
    (slot, serial, 0)..=(slot, serial, u16::MAX)
}

/// A session that is gone, and what a poll for it is still answered.
#[derive(Debug)]
pub(super) struct LetGo {
    id: SessionId,
    at_us: u64,
    payload: Vec<u8>,
}

impl State {
    /// Ends a session: its sockets are told once the call that led here is over.
    pub(super) fn close_session(&mut self, port: &mut dyn Port, slot: u32, reason: Reason) {
        let Some(mut session) = self.sessions.try_remove(slot as usize) else { return };
        self.roster.census.set(self.shard, self.sessions.len());
        self.session_ends(slot);
        self.lingers_no_more(slot);
        self.unfinished.remove(slot);
        port.counters().io_sessions_closed.add(1);
        let mut socket = session.first_socket;
        while socket != NONE {
            let entry = &mut self.sockets[socket as usize];
            entry.session = NONE;
            if !std::mem::replace(&mut entry.is_over, true) {
                self.ended.push((socket, reason));
            }
            socket = entry.next;
        }
        self.forget_wishes(slot, session.serial);
        let id = session.id(self.shard, slot);
        let code = if reason == Reason::ServerShuttingDown { 1001 } else { 1000 };
        match &mut session.link {
            Link::WebSocket(key) => port.close(*key, code),
            Link::Polling(polling) => {
                self.polls_held -= polling.held();
                if let Some((key, _)) = polling.probe {
                    port.close(key, code);
                }
                self.end_polling(port, id, polling, reason);
            }
        }
    }

    /// Nobody waits to be let in any more: what it came with is not kept until somebody decides, which may be never.
    fn forget_wishes(&mut self, slot: u32, serial: u32) {
        while let Some((&wish, &number)) = self.asked.range(wishes(slot, serial)).next() {
            self.asked.remove(&wish);
            self.waiting.remove(&number);
            self.namespaces.leave(wish.2);
        }
    }

    /// What a client that polls is told of its session's end.
    fn end_polling(&mut self, port: &mut dyn Port, id: SessionId, polling: &mut Polling, reason: Reason) {
        let poll = polling.poll.take();
        // To a server that stops its clients are to come back. Some take a `close` as its wish that they do not, and so
        // they are told as those are that poll a moment later: 503.
        if reason == Reason::ServerShuttingDown {
            let Some(errant) = poll else { return };
            let response = if polling.is_empty() {
                Response::refusal(Cause::ServerStops)
            } else {
                payload_response(polling.take(port.buffers()))
            };
            return self.answer(port, errant, response);
        }
        // A client that closes is let go, any other is told that it is over.
        let is_closed_by_client = reason == Reason::TransportClose;
        let last = if is_closed_by_client { PacketKind::Noop } else { PacketKind::Close };
        let mut payload = polling.take(port.buffers());
        if !payload.is_empty() {
            payload.push(SEPARATOR);
        }
        payload.push(last.digit());
        if let Some(errant) = poll {
            self.answer(port, errant, payload_response(payload));
        } else if is_closed_by_client || (reason == Reason::ForcedClose && payload.len() <= LET_GO_BYTES_MAX)
        {
            // Which may have been told that it was disconnected, and is not to come back by itself.
            let payload = if is_closed_by_client { vec![PacketKind::Noop.digit()] } else { payload };
            self.let_go.truncate(LET_GO_MAX - 1);
            self.let_go.push_front(LetGo { id, at_us: port.now_us(), payload });
        }
    }

    /// What a poll for a session that is gone is answered, as if it had been in time. Once.
    pub(super) fn late_payload(&mut self, id: &SessionId, now_us: u64) -> Option<Vec<u8>> {
        let is_it = |gone: &LetGo| gone.id == *id && now_us - gone.at_us < LET_GO_US;
        let at = self.let_go.iter().position(is_it)?;
        self.let_go.remove(at).map(|gone| gone.payload)
    }

    /// A socket leaves its namespace, at its client's wish or the server's. Its session stays.
    pub(super) fn leave(&mut self, socket: u32, reason: Reason) {
        let Some(entry) = self.sockets.get_mut(socket as usize) else { return };
        if !std::mem::replace(&mut entry.is_over, true) {
            self.ended.push((socket, reason));
        }
    }

    /// Disconnects every socket of a session, each told so, and closes it.
    pub(super) fn disconnect_all(&mut self, port: &mut dyn Port, slot: u32) {
        let mut socket = self.sessions.get(slot as usize).map_or(NONE, |session| session.first_socket);
        while socket != NONE {
            let next = self.sockets[socket as usize].next;
            self.disconnect(port, socket, false);
            socket = next;
        }
        self.close_session(port, slot, Reason::ForcedClose);
    }

    /// Takes a socket out of its session, its namespace and its rooms.
    pub(super) fn forget_socket(&mut self, socket: u32) -> Option<Entry> {
        let entry = self.sockets.try_remove(socket as usize)?;
        self.handshakes.remove(&socket);
        self.rooms.remove(socket);
        self.namespaces.leave(entry.namespace);
        let Some(session) = self.sessions.get_mut(entry.session as usize) else { return Some(entry) };
        session.sockets -= 1;
        if session.first_socket == socket {
            session.first_socket = entry.next;
            return Some(entry);
        }
        let mut at = session.first_socket;
        while let Some(before) = self.sockets.get_mut(at as usize) {
            if before.next == socket {
                before.next = entry.next;
                break;
            }
            at = before.next;
        }
        Some(entry)
    }
}

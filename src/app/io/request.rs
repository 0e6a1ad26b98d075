//! Requests under Socket.IO's path: judged here, on whatever shard they came in; done at their session's home.

use std::time::SystemTime;

use crate::base::cause::Cause;
use crate::base::id::Key;
use crate::core::service::{Reply, Ticket};
use crate::proto::engineio::{Asks, Open, Payload, RequestError, SessionId, Transport};
use crate::proto::http::{Request, Response};
use crate::proto::socketio::Decoder;

use super::cors::preflight;
use super::dress::Manner;
use super::handshake::Handshake;
use super::heartbeat::Due;
use super::mail::{Errand, Errant, IoMail};
use super::polling::{Polling, noop_response, payload_response};
use super::port::Port;
use super::reason::Reason;
use super::session::{Link, NONE, Session};
use super::shard::IoShard;
use super::state::Held;
use super::tally;

/// What a connection becomes that asks for a WebSocket.
pub(crate) enum Asked {
    /// This is the answer.
    Reply(Reply),
    /// A WebSocket of this session; [`NONE`]: of one that is still to be made. With its handshake.
    WebSocket(u32, Option<Box<Handshake>>),
}

impl IoShard {
    /// Whether a path is Socket.IO's.
    pub(crate) fn serves(&self, path: &str) -> bool {
        path.starts_with(&self.state.config.path)
    }

    /// A request under its path.
    pub(crate) fn request(
        &mut self,
        port: &mut dyn Port,
        key: Key,
        address: std::net::SocketAddr,
        request: &Request<'_>,
        body: &[u8],
        asks_upgrade: bool,
    ) -> Asked {
        let (manner, is_refused) = Manner::of(&self.state.config.cors, request);
        if let Some(response) = self.client_file(request) {
            return Asked::Reply(Reply::Respond(self.state.config.cors.tell(&manner.origin, response)));
        }
        let reply = match request.method() {
            "OPTIONS" => Ok(Asked::Reply(Reply::Respond(preflight(request)))),
            _ if is_refused || !port.accepts_origin(request) => {
                port.counters().io_origins_refused.add(1);
                Err(RequestError::Forbidden)
            }
            _ => self.judged(port, key, address, request, body, asks_upgrade),
        };
        let reply = reply.unwrap_or_else(|error| Asked::Reply(Reply::Respond(self.refused(port, error))));
        let asked = match reply {
            Asked::Reply(Reply::Respond(response)) => {
                Asked::Reply(Reply::Respond(self.state.dress(port, &manner, response)))
            }
            Asked::Reply(Reply::Hold(ticket)) => {
                self.state.held.entry(ticket).and_modify(|held| held.manner = manner);
                reply
            }
            other => other,
        };
        self.settle(port);
        asked
    }

    fn judged(
        &mut self,
        port: &mut dyn Port,
        key: Key,
        address: std::net::SocketAddr,
        request: &Request<'_>,
        body: &[u8],
        asks_upgrade: bool,
    ) -> Result<Asked, RequestError> {
        let asks =
            Asks::parse(request.method(), request.query(), asks_upgrade, self.state.config.transports)?;
        if matches!(asks, Asks::Open { .. }) {
            if self.polling_at_first.is_some() {
                return Ok(Asked::Reply(Reply::Respond(Response::refusal(Cause::ServerStops))));
            }
            if !self.state.has_share(address.ip()) {
                port.counters().io_addresses_refused.add(1);
                return Err(RequestError::AddressFull);
            }
            if self.state.roster.census.is_full() && !self.state.make_room(port, address.ip()) {
                port.counters().io_sessions_refused.add(1);
                return Err(RequestError::Full);
            }
        }
        let handshake = || Box::new(Handshake::of(request, address, SystemTime::now()));
        match asks {
            Asks::Open { transport: Transport::WebSocket } => Ok(Asked::WebSocket(NONE, Some(handshake()))),
            Asks::Open { transport: Transport::Polling } => {
                let polling = Polling::new(port.config().slow_policy);
                let slot = self.open(port, Link::Polling(Box::new(polling)), handshake());
                let mut packet = Vec::with_capacity(160);
                self.open_packet(slot).append(&mut packet);
                let response = payload_response(packet);
                let response = match &self.state.config.cookie {
                    Some(cookie) => {
                        let sid = self.state.sessions[slot as usize].id(self.state.shard, slot);
                        response.header("Set-Cookie", &cookie.value(&sid))
                    }
                    None => response,
                };
                Ok(Asked::Reply(Reply::Respond(response)))
            }
            Asks::Upgrade { sid } => {
                let id = self.id_of(port, sid)?;
                if id.shard as usize != self.state.shard {
                    return Ok(Asked::Reply(Reply::Move { shard: id.shard as usize }));
                }
                let slot = self.state.slot_of(&id).ok_or(RequestError::UnknownSession)?;
                let may_upgrade = self.state.config.allow_upgrades
                    && matches!(&self.state.sessions[slot as usize].link, Link::Polling(polling) if polling.probe.is_none());
                if may_upgrade && let Link::Polling(polling) = &mut self.state.sessions[slot as usize].link {
                    polling.probe = Some((key, false));
                    let now_us = port.now_us();
                    let due = self.state.file_from(port, Due::Upgrade, slot, now_us);
                    if let Link::Polling(polling) = &mut self.state.sessions[slot as usize].link {
                        polling.upgrade_due = due;
                    }
                    return Ok(Asked::WebSocket(slot, None));
                }
                // As the official server does: the handshake is completed, and the WebSocket closed at once.
                Ok(Asked::WebSocket(NONE, None))
            }
            Asks::Poll { sid } => self.errand(port, key, sid, None),
            Asks::Post { sid } => {
                if body.len() > self.state.config.max_payload {
                    port.counters().io_bodies_too_large.add(1);
                    return Ok(Asked::Reply(Reply::Respond(Response::new(413))));
                }
                self.errand(port, key, sid, Some(body))
            }
        }
    }

    fn id_of(&self, port: &dyn Port, sid: &str) -> Result<SessionId, RequestError> {
        let id = SessionId::parse(sid).filter(|id| usize::from(id.shard) < port.shards());
        id.ok_or(RequestError::UnknownSession)
    }

    /// A poll or a POST: done here, or sent to its session's home.
    fn errand(
        &mut self,
        port: &mut dyn Port,
        key: Key,
        sid: &str,
        body: Option<&[u8]>,
    ) -> Result<Asked, RequestError> {
        let id = self.id_of(port, sid)?;
        let (ticket, shard) = (port.ticket(key), self.state.shard as u16);
        let from = Errant { shard, ticket };
        if id.shard == shard {
            if let Some(response) = self.done_at_home(port, &id, from, body)? {
                return Ok(Asked::Reply(Reply::Respond(response)));
            }
        } else {
            let body = body.map(<[u8]>::to_vec);
            port.mail(id.shard as usize, IoMail::Errand(Box::new(Errand { id, from, body })));
        }
        self.state.held.insert(ticket, Held { id, manner: Manner::default() });
        Ok(Asked::Reply(Reply::Hold(ticket)))
    }

    /// A request for a session that lives here came in on another shard.
    pub(super) fn run_errand(&mut self, port: &mut dyn Port, errand: Errand) {
        let Errand { id, from, body } = errand;
        let response = self.done_at_home(port, &id, from, body.as_deref());
        if let Some(response) = response.unwrap_or_else(|error| Some(self.refused(port, error))) {
            self.state.answer(port, from, response);
        }
    }

    /// A poll or a POST for a session that lives here; `None`: the poll waits.
    fn done_at_home(
        &mut self,
        port: &mut dyn Port,
        id: &SessionId,
        from: Errant,
        body: Option<&[u8]>,
    ) -> Result<Option<Response>, RequestError> {
        match (self.state.slot_of(id), body) {
            (Some(slot), Some(body)) => self.post(port, slot, body).map(Some),
            (Some(slot), None) => self.poll(port, slot, from),
            (None, None) => self.late_poll(port, id).map(Some),
            (None, Some(_)) => Err(RequestError::UnknownSession),
        }
    }

    /// A poll: answered at once where something waits, else held.
    fn poll(
        &mut self,
        port: &mut dyn Port,
        slot: u32,
        from: Errant,
    ) -> Result<Option<Response>, RequestError> {
        let Link::Polling(polling) = &mut self.state.sessions[slot as usize].link else {
            return Err(RequestError::BadRequest);
        };
        if polling.poll.is_some() {
            // Two polls at a time would share what is queued in no order that anybody knows.
            self.state.close_session(port, slot, Reason::TransportError);
            return Err(RequestError::BadRequest);
        }
        if !polling.is_empty() {
            self.state.polls_held -= polling.held();
            return Ok(Some(payload_response(polling.take(port.buffers()))));
        }
        if polling.probe.is_some_and(|(_, is_probed)| is_probed) {
            // The client is about to leave for its WebSocket, and waits for this poll to end.
            return Ok(Some(noop_response()));
        }
        polling.poll = Some(from);
        Ok(None)
    }

    /// A poll whose session is gone: its client may have closed it a moment ago, by a request that was faster.
    fn late_poll(&mut self, port: &dyn Port, id: &SessionId) -> Result<Response, RequestError> {
        let payload = self.state.late_payload(id, port.now_us()).ok_or(RequestError::UnknownSession)?;
        Ok(payload_response(payload))
    }

    /// The packets of a POST, in order; the answer says that all of them were taken.
    fn post(&mut self, port: &mut dyn Port, slot: u32, body: &[u8]) -> Result<Response, RequestError> {
        let session = &self.state.sessions[slot as usize];
        if !matches!(session.link, Link::Polling(_)) {
            return Err(RequestError::BadRequest);
        }
        let (serial, panics) = (session.serial, self.panics);
        let mut buffer = Vec::new();
        let packets_max = self.state.config.packets_per_payload_max;
        let Ok(text) = std::str::from_utf8(body) else {
            port.counters().io_payloads_malformed.add(1);
            self.state.close_session(port, slot, Reason::ParseError);
            return Err(RequestError::BadRequest);
        };
        let mut payload = Payload::new(text, packets_max, &mut buffer);
        while let Some(packet) = payload.next() {
            // What came before in the same body may have ended the session.
            if self.state.sessions.get(slot as usize).is_none_or(|session| session.serial != serial) {
                break;
            }
            match packet {
                Ok(packet) => {
                    self.received(port, slot, packet);
                    // A socket that has left is told so before its client, in the same body, may come back as another.
                    self.tell_ended(port);
                }
                Err(error) => {
                    tally::of_payload(port.counters(), error).add(1);
                    self.state.close_session(port, slot, Reason::ParseError);
                    return Err(RequestError::BadRequest);
                }
            }
        }
        if self.panics != panics {
            return Ok(Response::refusal(Cause::HandlerPanicked));
        }
        Ok(Response::new(200)
            .body(&b"ok"[..])
            .header("Content-Type", "text/html")
            .header("Cache-Control", "no-store"))
    }

    /// A request that is held here will not be answered any more.
    pub(crate) fn gone(&mut self, port: &mut dyn Port, ticket: Ticket) {
        let Some(held) = self.state.held.remove(&ticket) else { return };
        let from = Errant { shard: self.state.shard as u16, ticket };
        if held.id.shard == from.shard {
            self.poll_aborted(port, from, &held.id);
        } else if !self.is_stopping {
            // Else it is this server that has let it down: the session's home hears of the stop by itself.
            port.mail(held.id.shard as usize, IoMail::Gone(from, held.id));
        }
        self.settle(port);
    }

    /// Whoever polled is gone, and the session with it.
    pub(super) fn poll_aborted(&mut self, port: &mut dyn Port, from: Errant, id: &SessionId) {
        let Some(slot) = self.state.slot_of(id) else { return };
        if let Link::Polling(polling) = &mut self.state.sessions[slot as usize].link
            && polling.poll == Some(from)
        {
            polling.poll = None;
            self.state.close_session(port, slot, Reason::TransportError);
        }
    }

    /// A new session.
    pub(super) fn open(&mut self, port: &mut dyn Port, link: Link, handshake: Box<Handshake>) -> u32 {
        let state = &mut self.state;
        let address = handshake.address.ip();
        state.serial = state.serial.wrapping_add(1);
        let session = Session {
            random: port.random(),
            serial: state.serial,
            pong_due: 0,
            first_socket: NONE,
            sockets: 0,
            link,
            decoder: Decoder::new(),
            // Where no namespace is ever asked for it would be kept for nobody, and for as long as the session lasts.
            handshake: self.engine.is_none().then_some(handshake),
        };
        let slot = state.sessions.insert(session) as u32;
        state.roster.census.set(state.shard, state.sessions.len());
        state.session_opens(slot, address);
        port.counters().io_sessions_opened.add(1);
        state.file(port, Due::Ping, slot);
        state.file(port, Due::Connect, slot);
        if self.engine.is_none() {
            state.file(port, Due::Linger, slot);
        }
        slot
    }

    pub(super) fn open_packet(&self, slot: u32) -> Open {
        let config = &self.state.config;
        let session = &self.state.sessions[slot as usize];
        let is_polling = matches!(session.link, Link::Polling(_));
        Open {
            sid: session.id(self.state.shard, slot),
            upgrades_to_websocket: is_polling && config.allow_upgrades && config.transports.websocket,
            ping_interval_ms: config.ping_interval.as_millis() as u64,
            ping_timeout_ms: config.ping_timeout.as_millis() as u64,
            payload_bytes_max: config.max_payload,
        }
    }

    /// The answer to a wrong request. To a server that stops, a session that is gone is one that it has ended: its client is to
    /// come back, which python-socketio does not for 400.
    fn refused(&self, port: &dyn Port, error: RequestError) -> Response {
        port.counters().io_requests_refused.add(1);
        let response = Response::json(error.body()).status(error.status());
        match error {
            RequestError::UnknownSession if self.polling_at_first.is_some() => {
                Response::refusal(Cause::ServerStops)
            }
            _ => response,
        }
    }
}

//! A shard's Socket.IO: sessions and what comes in on them, handed to the handlers of their namespaces.
//!
//! Called by the service for everything that concerns Socket.IO: requests under its path, WebSockets that are sessions',
//! mail, ticks. Handlers run in here, and whatever they do is queued before their call returns; what follows from it
//! (sockets that are over, polls that can be answered) is done by `settle`, once they have returned.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::base::cause::CloseReason;
use crate::base::id::Key;
use crate::base::slow::Mark;
use crate::core::published::Published;
use crate::proto::engineio::{Data, Packet as EnginePacket, Payload};
use crate::proto::http::{Request, Response};
use crate::proto::ws::{Message, encode};

use super::alarms::{Alarm, GATHER, QUERY};
use super::bundle::Bundle;
use super::cluster::{Act, Done, Operation};
use super::emit::Broadcasting;
use super::engine::OnMessage;
use super::handshake::Handshake;
use super::heartbeat::{Due, Heartbeats};
use super::mail::IoMail;
use super::namespace::{Io, OnServer};
use super::namespaces::SPACES_MAX;
use super::polling::noop_response;
use super::port::Port;
use super::reason::Reason;
use super::session::{Link, NONE};
use super::space::Space;
use super::state::{Cx, State};
use super::tally;

/// Closes a WebSocket whose message is larger than `max_payload` (RFC 6455 §7.4.1).
const TOO_BIG: u16 = 1009;

/// The Socket.IO of a shard.
pub(crate) struct IoShard {
    pub(super) state: State,
    pub(super) spaces: Vec<Box<dyn Space>>,
    bundle: Arc<Bundle>,
    /// Takes every message, where Engine.IO is served by itself.
    pub(super) engine: Option<OnMessage>,
    /// Listeners of what other shards say.
    pub(super) on_server: HashMap<Box<str>, Vec<OnServer>>,
    pub(super) scratch: String,
    /// Handlers that have panicked so far.
    pub(super) panics: u32,
    /// The server stops, and waits for nobody's transport any more.
    pub(super) is_stopping: bool,
    /// How many sessions polled when the server began to stop: from then on there are no new ones.
    pub(super) polling_at_first: Option<usize>,
}

impl IoShard {
    pub(super) fn new(mut state: State, bundle: Arc<Bundle>, io: Io) -> Self {
        let Io { spaces, engine, on_server } = io;
        assert!(spaces.len() <= SPACES_MAX, "{} namespaces are more than {SPACES_MAX}", spaces.len());
        for (number, space) in spaces.iter().enumerate() {
            space.name().into_iter().for_each(|name| state.namespaces.add(name, number as u16));
            state.outgoing.listen(number, space.hears_outgoing());
        }
        Self {
            state,
            spaces,
            bundle,
            engine,
            on_server,
            scratch: String::new(),
            panics: 0,
            is_stopping: false,
            polling_at_first: None,
        }
    }

    /// A WebSocket that was asked for is open: of a session, or, with a handshake, of a new one, whose slot is returned.
    pub(crate) fn opened(
        &mut self,
        port: &mut dyn Port,
        key: Key,
        slot: u32,
        handshake: Option<Box<Handshake>>,
    ) -> u32 {
        let slot = match handshake {
            Some(handshake) => {
                let slot = self.open(port, Link::WebSocket(key), handshake);
                let mut packet = Vec::with_capacity(160);
                self.open_packet(slot).append(&mut packet);
                let packet = std::str::from_utf8(&packet).expect("an open packet is text");
                port.send(key, Message::Text(packet), Mark::KEEP);
                slot
            }
            None => {
                if !self.state.sessions.get(slot as usize).is_some_and(|session| session.owns(key)) {
                    port.close(key, 1000);
                }
                slot
            }
        };
        self.settle(port);
        slot
    }

    /// A message came in on a WebSocket of the session in this slot.
    pub(crate) fn message(&mut self, port: &mut dyn Port, key: Key, slot: u32, message: Message<'_>) {
        match self.state.sessions.get(slot as usize).map(|session| &session.link) {
            Some(Link::WebSocket(own)) if *own == key => {
                if message.len() > self.state.config.max_payload {
                    port.counters().io_messages_too_large.add(1);
                    port.close(key, TOO_BIG);
                    self.state.close_session(port, slot, Reason::TransportError);
                } else {
                    match message {
                        Message::Text(text) => match EnginePacket::parse_text(text) {
                            Ok(packet) => self.received(port, slot, packet),
                            Err(error) => {
                                tally::of_payload(port.counters(), error).add(1);
                                self.state.close_session(port, slot, Reason::ParseError);
                            }
                        },
                        Message::Binary(bytes) => self.received(port, slot, EnginePacket::binary(bytes)),
                    }
                }
            }
            Some(Link::Polling(polling)) if polling.probe.is_some_and(|(probe, _)| probe == key) => {
                self.probed(port, key, slot, message);
            }
            // Its session is gone, and its close frame on the way.
            _ => {}
        }
        self.settle(port);
    }

    /// A WebSocket that is to take a session over says something: the probe, then that the client has moved.
    fn probed(&mut self, port: &mut dyn Port, key: Key, slot: u32, message: Message<'_>) {
        let Link::Polling(polling) = &mut self.state.sessions[slot as usize].link else { return };
        match message {
            Message::Text("2probe") => {
                polling.probe = Some((key, true));
                let poll = if polling.is_empty() { polling.poll.take() } else { None };
                port.send(key, Message::Text("3probe"), Mark::KEEP);
                if let Some(errant) = poll {
                    self.state.answer(port, errant, noop_response());
                }
            }
            Message::Text("5") if polling.probe == Some((key, true)) => {
                if let Some(errant) = polling.poll.take() {
                    // Nothing but the end of this poll is left for its transport.
                    self.state.answer(port, errant, noop_response());
                }
                self.take_over(port, key, slot);
            }
            _ => {
                polling.probe = None;
                port.close(key, 1000);
            }
        }
    }

    /// The session is the WebSocket's from here on, and what waited for a poll goes there first.
    fn take_over(&mut self, port: &mut dyn Port, key: Key, slot: u32) {
        let session = &mut self.state.sessions[slot as usize];
        let Link::Polling(mut polling) = std::mem::replace(&mut session.link, Link::WebSocket(key)) else {
            return;
        };
        port.set_slow_policy(key, polling.policy);
        self.state.polls_held -= polling.held();
        let mut buffer = Vec::new();
        for (mut bytes, mark) in polling.take_units() {
            bytes.pop();
            let text = std::str::from_utf8(&bytes).expect("a payload is text");
            let (mut frames, mut longest) = (Vec::with_capacity(bytes.len() + 16), 0);
            let mut payload = Payload::new(text, u32::MAX, &mut buffer);
            while let Some(Ok(packet)) = payload.next() {
                match packet.data {
                    Data::Binary(bytes) => {
                        longest = longest.max(bytes.len());
                        encode::append(&mut frames, Message::Binary(bytes));
                    }
                    Data::Text(text) => {
                        let framed = format!("{}{text}", char::from(packet.kind.digit()));
                        longest = longest.max(framed.len());
                        encode::append(&mut frames, Message::Text(&framed));
                    }
                }
            }
            let frames = Published::of_frames(&frames, 0, longest, port.deflate_from());
            port.send_frames(key, &frames.marked(mark));
            port.buffers().give(bytes);
        }
    }

    /// A WebSocket is over.
    pub(crate) fn closed(&mut self, port: &mut dyn Port, key: Key, slot: u32, reason: CloseReason) {
        if let Some(session) = self.state.sessions.get_mut(slot as usize)
            && session.owns(key)
        {
            match &mut session.link {
                Link::WebSocket(_) => self.state.close_session(port, slot, Reason::of(reason)),
                Link::Polling(polling) => polling.probe = None,
            }
        }
        self.settle(port);
    }

    /// Does an operation on all shards.
    pub(crate) fn operate(
        &mut self,
        port: &mut dyn Port,
        operation: Operation,
        answered: Option<(Duration, Done)>,
    ) {
        self.state.operate(port, operation, answered);
    }

    /// Lends what a broadcast goes through, for the length of `work`.
    pub(crate) fn lend<T>(&mut self, port: &mut dyn Port, work: impl FnOnce(&dyn Broadcasting) -> T) -> T {
        let result = work(&RefCell::new(Cx { state: &mut self.state, port: &mut *port }));
        self.settle(port);
        result
    }

    /// Mail from another shard or thread.
    pub(crate) fn mail(&mut self, port: &mut dyn Port, mail: IoMail) {
        match mail {
            IoMail::Errand(errand) => self.run_errand(port, *errand),
            IoMail::Answer(answer) => self.state.answer_held(port, answer.0, answer.1),
            IoMail::Gone(from, id) => self.poll_aborted(port, from, &id),
            IoMail::Broadcast(broadcast) => self.state.apply(port, &broadcast),
            IoMail::Operation(operation) => {
                self.state.perform(port, &operation);
                if matches!(operation.act, Act::Say { .. }) {
                    self.state.said.push_back(operation);
                }
            }
            IoMail::Told(number, part) => self.state.told(number, *part),
            IoMail::Evict => self.state.evict_claimed(port),
            IoMail::Call(call) => call(self, port),
        }
        self.settle(port);
    }

    /// What is due is done.
    pub(crate) fn tick(&mut self, port: &mut dyn Port) {
        let now_us = port.now_us();
        self.state.tick = None;
        while let Some((due, deadline)) = self.state.heartbeats.next_due(now_us) {
            let slot = deadline.slot;
            let Some(session) = self.state.sessions.get_mut(slot as usize) else { continue };
            if session.serial != deadline.serial {
                continue;
            }
            match due {
                Due::Ping => {
                    let from_us = Heartbeats::pinged_at(deadline, now_us);
                    let at = self.state.file_from(port, Due::Pong, slot, from_us);
                    self.state.sessions[slot as usize].pong_due = at.max(1);
                    self.state.ping(port, slot);
                }
                Due::Pong if session.pong_due == deadline.due.max(1) => {
                    // The answer of one that is not read may have come: `stall_timeout` judges that one.
                    if matches!(session.link, Link::WebSocket(key) if port.is_paused(key)) {
                        let at = self.state.file_from(port, Due::Pong, slot, now_us);
                        self.state.sessions[slot as usize].pong_due = at.max(1);
                    } else {
                        self.state.close_session(port, slot, Reason::PingTimeout);
                    }
                }
                Due::Connect if session.sockets == 0 && self.engine.is_none() => {
                    port.counters().io_connects_late.add(1);
                    self.state.close_session(port, slot, Reason::ForcedClose);
                }
                Due::Linger => self.state.lingers(slot, now_us),
                Due::Upgrade => {
                    if let Link::Polling(polling) = &mut session.link
                        && polling.upgrade_due == deadline.due
                        && let Some((key, _)) = polling.probe.take()
                    {
                        port.close(key, 1000);
                    }
                }
                Due::Greet => {
                    // One that was greeted before its time has left this deadline behind: the next one has its own.
                    let socket = self.state.to_greet(slot, deadline.due);
                    socket.into_iter().for_each(|socket| self.greet(port, socket));
                }
                Due::Pong | Due::Connect => {}
            }
        }
        self.state.close_unfinished(port);
        // Those that are set by what rings now wait for the next turn, so that a timeout of 0 cannot hold the loop.
        for _ in 0..self.state.alarms.len() {
            let Some(Alarm { space, socket, ack_id, .. }) = self.state.alarms.next_due(now_us) else { break };
            match space {
                QUERY => self.state.conclude(ack_id, true),
                GATHER => self.state.gathered(port, ack_id, true),
                _ => {
                    // Acks do not outlive their socket, so one that is still awaited has its own.
                    let slot = self.state.sockets.get(socket as usize).map_or(NONE, |entry| entry.session);
                    let _panicked = self.guarded(port, slot, |Self { state, spaces, .. }, port| {
                        spaces[space as usize].overdue(Cx { state, port }, socket, ack_id);
                    });
                }
            }
        }
        self.state.heartbeats.rearm(now_us);
        self.state.set_tick(port);
        self.settle(port);
    }

    /// The server stops: sessions that poll have no connection whose end would tell their sockets, and their clients. So many
    /// thousandths of what there was at first may stay.
    pub(crate) fn stopping(&mut self, port: &mut dyn Port, keep_permille: u32) {
        self.is_stopping = keep_permille == 0;
        let polling =
            self.state.sessions.iter().filter(|(_, session)| matches!(session.link, Link::Polling(_)));
        let slots: Vec<_> = polling.map(|(slot, _)| slot as u32).collect();
        let at_first = *self.polling_at_first.get_or_insert(slots.len());
        let keep = at_first * keep_permille as usize / 1000;
        slots
            .into_iter()
            .skip(keep)
            .for_each(|slot| self.state.close_session(port, slot, Reason::ServerShuttingDown));
        self.settle(port);
    }

    /// The file that a request under the path asks for: the browser's client.
    pub(super) fn client_file(&self, request: &Request<'_>) -> Option<Response> {
        let name = request.path().strip_prefix(&self.state.config.path)?;
        matches!(request.method(), "GET" | "HEAD").then(|| self.bundle.answer(name, request))?
    }
}

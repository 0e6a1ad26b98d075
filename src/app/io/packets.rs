//! Packets as they come in: Engine.IO's own, and those of Socket.IO in them, handed to their namespaces.

use std::any::Any;
use std::cell::Cell;

use crate::base::slow::Mark;
use crate::proto::engineio::{Data, Packet as EnginePacket, PacketKind, SessionId};
use crate::proto::socketio::{Kind, Malformed, Packet};

use super::admit::{Admit, Connect, Deferral, Greeting, NOT_DECIDED, Refusal, Verdict, Waiting};
use super::cluster::FIRST_SHARED_ACK;
use super::ends::wishes;
use super::engine::EngineSocket;
use super::heartbeat::Due;
use super::parser::Parser;
use super::port::Port;
use super::reason::Reason;
use super::shard::IoShard;
use super::state::{ALL, Cx, Entry, State};
use super::tally;

impl IoShard {
    /// A packet of Engine.IO came in, by whichever transport.
    pub(super) fn received(&mut self, port: &mut dyn Port, slot: u32, packet: EnginePacket<'_>) {
        match (packet.kind, packet.data) {
            (PacketKind::Message, data) if self.engine.is_some() => {
                let _panicked = self.guarded(port, slot, |Self { state, engine, .. }, port| {
                    if let Some(call) = engine {
                        call(&mut EngineSocket { cx: Cx { state, port }, slot }, data);
                    }
                });
            }
            (PacketKind::Message, Data::Text(text)) => self.text(port, slot, text),
            (PacketKind::Message, Data::Binary(bytes)) => self.binary(port, slot, bytes),
            (PacketKind::Pong, _) => {
                let session = &mut self.state.sessions[slot as usize];
                if std::mem::take(&mut session.pong_due) != 0 {
                    self.state.file(port, Due::Ping, slot);
                }
            }
            (PacketKind::Close, _) => self.state.close_session(port, slot, Reason::TransportClose),
            // In protocol 4 it is the server that pings: the official one ends the session (`invalid heartbeat direction`).
            (PacketKind::Ping, _) => self.unexpected(port, slot, Reason::TransportError),
            (PacketKind::Noop | PacketKind::Upgrade, _) => {}
            (PacketKind::Open, _) => self.unexpected(port, slot, Reason::ParseError),
        }
    }

    /// A packet that its client may not send, or not now.
    fn unexpected(&mut self, port: &mut dyn Port, slot: u32, reason: Reason) {
        port.counters().io_packets_unexpected.add(1);
        self.state.close_session(port, slot, reason);
    }

    pub(super) fn text(&mut self, port: &mut dyn Port, slot: u32, text: &str) {
        let Self { state, .. } = self;
        let limits = state.config.packet_limits;
        if state.config.parser == Parser::Msgpack {
            return self.malformed(port, slot, Malformed::Msgpack);
        }
        match state.sessions[slot as usize].decoder.text(text, &limits) {
            Ok(Some(packet)) => self.packet(port, slot, &packet),
            Ok(None) => state.attachments_outstanding(port, slot),
            Err(error) => self.malformed(port, slot, error),
        }
    }

    pub(super) fn binary(&mut self, port: &mut dyn Port, slot: u32, bytes: &[u8]) {
        let limits = self.state.config.packet_limits;
        if self.state.config.parser == Parser::Msgpack {
            return match Packet::parse_msgpack(bytes, &limits) {
                Ok(packet) => self.packet(port, slot, &packet),
                Err(error) => self.malformed(port, slot, error),
            };
        }
        match self.state.sessions[slot as usize].decoder.binary(bytes, &limits) {
            Ok(Some(assembly)) => {
                self.state.unfinished.remove(slot);
                self.packet(port, slot, &assembly.packet());
            }
            Ok(None) => self.state.attachments_outstanding(port, slot),
            Err(error) => self.malformed(port, slot, error),
        }
    }

    fn malformed(&mut self, port: &mut dyn Port, slot: u32, error: Malformed) {
        tracing::trace!(error = error.sentence(), "a session is closed");
        tally::of_packet(port.counters(), error).add(1);
        self.state.close_session(port, slot, Reason::ParseError);
    }

    /// A packet of Socket.IO came in.
    #[inline]
    fn packet(&mut self, port: &mut dyn Port, slot: u32, packet: &Packet<'_>) {
        let session = &self.state.sessions[slot as usize];
        let namespace = self.state.namespaces.number(packet.namespace);
        let socket = namespace.and_then(|namespace| self.state.socket_in(session, namespace));
        if let Some(socket) = socket
            && !self.state.sockets[socket as usize].is_greeted
        {
            self.greet(port, socket);
            if self.state.sockets[socket as usize].is_over {
                // Its client could not know yet.
                return;
            }
        }
        let Self { state, .. } = self;
        match (packet.kind, namespace, socket) {
            (Kind::Event, Some(namespace), Some(socket)) => {
                let space = state.namespaces.space(namespace);
                let _panicked = self.guarded(port, slot, |Self { state, spaces, .. }, port| {
                    spaces[space as usize].event(Cx { state, port }, socket, packet);
                });
            }
            (Kind::Ack, Some(_), Some(socket)) if packet.ack_id >= Some(FIRST_SHARED_ACK) => {
                state.shared_ack(port, socket, packet);
            }
            (Kind::Ack, Some(namespace), Some(socket)) => {
                let space = state.namespaces.space(namespace);
                let _panicked = self.guarded(port, slot, |Self { state, spaces, .. }, port| {
                    spaces[space as usize].acked(Cx { state, port }, socket, packet);
                });
            }
            (Kind::Disconnect, Some(_), Some(socket)) => state.leave(socket, Reason::ClientDisconnect),
            (Kind::Connect, _, None) => self.connect(port, slot, namespace, packet),
            // As the official server does: of one that is not in the namespace nothing else is expected.
            _ => self.unexpected(port, slot, Reason::ForcedClose),
        }
    }

    /// A client asks for a namespace, which is there already or may come to be.
    fn connect(&mut self, port: &mut dyn Port, slot: u32, known: Option<u16>, packet: &Packet<'_>) {
        let State { sessions, config, .. } = &mut self.state;
        let kept = &mut sessions[slot as usize].handshake;
        let handshake = if config.keep_handshake { kept.clone() } else { kept.take() };
        let mut connect = Connect {
            namespace: packet.namespace,
            auth: packet.args,
            handshake: handshake.as_deref(),
            deferral: None,
        };
        let found = self.guarded(port, slot, |io, port| io.namespace_for(port, known, &connect));
        let Some(found) = found else { return };
        let Self { state, .. } = self;
        let config = &state.config;
        let session = &mut state.sessions[slot as usize];
        let Some(namespace) = found else {
            session.handshake = handshake;
            state.out.clear();
            state.attachments.clear();
            let parser = state.config.parser;
            parser.connect_error(&mut state.out, packet.namespace, "Invalid namespace", None);
            state.send_out(port, slot, Mark::KEEP);
            return;
        };
        let serial = session.serial;
        // Those that it waits to be let into count: a pattern may let it ask for as many as there are names.
        let waits_for = state.asked.range(wishes(slot, serial)).count();
        let is_waiting = waits_for > 0 && state.asked.contains_key(&(slot, serial, namespace));
        // Whatever becomes of this, it is given back: to a socket, or to nobody.
        state.namespaces.enter(namespace);
        if is_waiting {
            state.namespaces.leave(namespace);
            return self.unexpected(port, slot, Reason::ForcedClose);
        }
        if usize::from(session.sockets) + waits_for >= usize::from(config.namespaces_per_session_max) {
            port.counters().io_namespaces_too_many.add(1);
            state.namespaces.leave(namespace);
            return state.close_session(port, slot, Reason::ForcedClose);
        }
        state.deferrals += 1;
        let (number, shard) = (state.deferrals, state.shard);
        let deferral = Deferral { remote: state.remote.clone(), shard, number, is_taken: Cell::new(false) };
        connect.deferral = Some(&deferral);
        let space = state.namespaces.space(namespace) as usize;
        let admitted = self.guarded(port, slot, |Self { spaces, .. }, _| spaces[space].admit(&connect));
        let Self { state, .. } = self;
        let Some(verdict) = admitted else { return state.namespaces.leave(namespace) };
        let waiting = Waiting { slot, serial, namespace, auth: packet.args.into(), handshake };
        match verdict {
            Verdict::Deferred if deferral.is_taken.get() => {
                state.lingers_no_more(slot);
                state.asked.insert((slot, serial, namespace), number);
                state.waiting.insert(number, waiting);
            }
            verdict => self.judged_connect(port, waiting, verdict),
        }
    }

    /// The namespace that a client asks for: one that was named, or one that a pattern lets this client into.
    fn namespace_for(&mut self, port: &dyn Port, known: Option<u16>, connect: &Connect<'_>) -> Option<u16> {
        let Self { state, spaces, .. } = self;
        let namespaces = &mut state.namespaces;
        if let Some(number) = known {
            // Whoever is asked about each client need not care which was the first, on which shard.
            let is_there = !namespaces.is_dynamic(number)
                || spaces[namespaces.space(number) as usize].matches(connect.namespace, connect);
            return is_there.then_some(number);
        }
        let space = spaces.iter_mut().position(|space| space.matches(connect.namespace, connect))?;
        let most = usize::from(state.config.dynamic_namespaces_max);
        let number = namespaces.add_dynamic(connect.namespace, space as u16, most);
        if number.is_none() {
            port.counters().io_namespaces_refused.add(1);
        }
        number
    }

    /// Middleware on another thread has decided on a client that waits.
    pub(super) fn decided(&mut self, port: &mut dyn Port, number: u64, admit: Admit<Box<dyn Any>>) {
        // A session that ends takes those with it that wait.
        let Some(waiting) = self.state.waiting.remove(&number) else { return };
        self.state.asked.remove(&(waiting.slot, waiting.serial, waiting.namespace));
        let space = self.state.namespaces.space(waiting.namespace) as usize;
        let verdict = match admit {
            Admit::Accept(data) => match self.spaces[space].keep(data) {
                Some(data) => Verdict::Accept(data),
                None => Verdict::Deferred,
            },
            Admit::Refuse(refusal) => Verdict::Refuse(refusal),
            Admit::Deferred => Verdict::Deferred,
        };
        self.judged_connect(port, waiting, verdict);
    }

    /// Tells a client what was decided about it, and makes its socket.
    fn judged_connect(&mut self, port: &mut dyn Port, waiting: Waiting, verdict: Verdict) {
        let Self { state, .. } = self;
        let Waiting { slot, namespace, auth, handshake, .. } = waiting;
        state.out.clear();
        state.attachments.clear();
        let refusal = match verdict {
            Verdict::Accept(data) => {
                let entry = Entry {
                    random: port.random(),
                    is_over: false,
                    is_greeted: false,
                    namespace,
                    session: slot,
                    next: state.sessions[slot as usize].first_socket,
                    data,
                    mark: 0,
                    acks: 0,
                };
                state.lingers_no_more(slot);
                let socket = state.sockets.insert(entry) as u32;
                let session = &mut state.sessions[slot as usize];
                session.first_socket = socket;
                session.sockets += 1;
                if state.config.keep_handshake
                    && let Some(handshake) = &handshake
                {
                    state.handshakes.insert(socket, handshake.with_auth(auth.clone()));
                }
                state.rooms.join(namespace, socket, ALL, usize::MAX);
                let sid = state.socket_id(socket).encode();
                let sid = std::str::from_utf8(&sid).expect("an id is ASCII");
                state.config.parser.connect(&mut state.out, state.namespaces.name(namespace), sid);
                state.send_out(port, slot, Mark::KEEP);
                let now_us = port.now_us();
                let due = state.file_from(port, Due::Greet, slot, now_us);
                state.greetings.insert(socket, Greeting { due, auth, handshake });
                return;
            }
            Verdict::Refuse(refusal) => refusal,
            Verdict::Deferred => Refusal::new(NOT_DECIDED),
        };
        let data = refusal.data.as_deref();
        let name = state.namespaces.name(namespace);
        state.config.parser.connect_error(&mut state.out, name, &refusal.message, data);
        state.namespaces.leave(namespace);
        state.send_out(port, slot, Mark::KEEP);
        // It may ask again, or for another namespace. Another that was refused before may have given it back already.
        if let Some(session) = state.sessions.get_mut(slot as usize)
            && handshake.is_some()
        {
            session.handshake = handshake;
        }
    }

    /// The result of a socket's job is back.
    pub(super) fn finished(
        &mut self,
        port: &mut dyn Port,
        space: u16,
        id: SessionId,
        job: usize,
        result: Option<Box<dyn Any + Send>>,
    ) {
        let Self { state, spaces, .. } = self;
        match state.socket_of(&id) {
            Some(socket) => {
                let slot = state.sockets[socket as usize].session;
                let _panicked = self.guarded(port, slot, |Self { state, spaces, .. }, port| {
                    spaces[space as usize].finished(Cx { state, port }, socket, job, result);
                });
            }
            None => spaces[space as usize].forget_job(job),
        }
    }

    /// Runs the connection handlers of a socket, if they have not run yet.
    pub(super) fn greet(&mut self, port: &mut dyn Port, socket: u32) {
        let Self { state, .. } = self;
        if state.sockets.get(socket as usize).is_none_or(|entry| entry.is_greeted) {
            return;
        }
        let Some(Greeting { auth, handshake, .. }) = state.greetings.remove(&socket) else { return };
        let Some(entry) = state.sockets.get_mut(socket as usize) else { return };
        entry.is_greeted = true;
        let (namespace, session) = (entry.namespace, entry.session);
        let space = state.namespaces.space(namespace) as usize;
        let name = state.namespaces.name(namespace).clone();
        let connect = Connect {
            namespace: &name,
            auth: auth.as_args(),
            handshake: handshake.as_deref(),
            deferral: None,
        };
        let _panicked = self.guarded(port, session, |Self { state, spaces, .. }, port| {
            spaces[space].connected(Cx { state, port }, socket, &connect);
        });
    }
}

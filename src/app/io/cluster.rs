//! Operations on all sockets that a target names, wherever they live, and what is answered to them.
//!
//! A shard that asks does the operation itself, sends it to the others, and gathers their answers until the last is there
//! or the time is over; then it calls back, and says whether an answer is missing.

use std::sync::Arc;
use std::time::Duration;

use crate::base::slow::Mark;
use crate::proto::socketio::{Packet, RawArgs};

use super::alarms::{Alarm, GATHER, QUERY, due_after};
use super::broadcast::{Broadcast, Target};
use super::emit::Here;
use super::id::SocketId;
use super::mail::IoMail;
use super::port::Port;
use super::reason::Reason;
use super::session::NONE;
use super::state::{ALL, State};

/// Ack ids from here on are awaited of many sockets; those below, of one each. JavaScript counts to 2⁵³ − 1.
pub(super) const FIRST_SHARED_ACK: u64 = 1 << 51;

/// And from here on, of many for another thread than a shard's.
pub(crate) const FIRST_OUTSIDE_ACK: u64 = 1 << 52;

/// What answers may take on their way, on top of the time that was given.
const ON_THE_WAY: Duration = Duration::from_millis(200);

/// Something to be done to sockets.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(super) namespace: Box<str>,
    pub(super) target: Target,
    pub(super) act: Act,
    /// Who asks, and under which number, if an answer is wanted.
    pub(super) asks: Option<(usize, u64)>,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Act {
    Join(Box<str>),
    Leave(Box<str>),
    Disconnect {
        session: bool,
    },
    Fetch,
    /// Emit this, and gather the acks with this number until then.
    Ask {
        broadcast: Broadcast,
        ack_id: u64,
        within: Duration,
    },
    /// For the listeners of the other shards.
    Say {
        event: Box<str>,
        args: RawArgs,
    },
}

/// A shard's answer.
#[derive(Debug)]
pub(crate) enum Part {
    Sockets(Vec<RemoteSocket>),
    Acks { answers: Vec<RawArgs>, missing: usize },
}

/// A socket anywhere, as it was when it was asked about. Its id is the way to it: `to(id)`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RemoteSocket {
    /// Its id.
    pub id: SocketId,
    /// The rooms it was in, besides its own.
    pub rooms: Vec<String>,
}

/// The answer to [`fetch_sockets`](super::BroadcastOperator::fetch_sockets).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Fetched {
    /// The sockets, of all shards that have answered.
    pub sockets: Vec<RemoteSocket>,
    /// A shard has not answered in time.
    pub is_partial: bool,
}

/// The answer to [`emit_with_acks`](super::BroadcastOperator::emit_with_acks).
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Acked {
    /// The clients' answers, in no order that means anything.
    pub answers: Vec<RawArgs>,
    /// How many clients got the event and have not answered in time, or were gone before they did.
    pub missing: usize,
    /// A shard has not answered in time.
    pub is_partial: bool,
}

/// What runs once all answers are there, or no more are awaited.
pub(crate) type Done = Box<dyn FnOnce(&Here<'_>, Vec<Part>, bool) + Send>;

/// Answers that are awaited.
pub(super) struct Query {
    outstanding: usize,
    parts: Vec<Part>,
    done: Done,
}

/// Acks of one event that are awaited of this shard's sockets.
#[derive(Debug)]
pub(super) struct Gather {
    from: (usize, u64),
    asked: Vec<u32>,
    /// Those of them that have neither answered nor gone.
    silent: usize,
    answers: Vec<RawArgs>,
}

impl State {
    /// Does an operation on all shards, and calls `done` with their answers, if it is to be answered within a time.
    pub(super) fn operate(
        &mut self,
        port: &mut dyn Port,
        mut operation: Operation,
        answered: Option<(Duration, Done)>,
    ) {
        if answered.is_some() {
            self.queries_begun += 1;
            operation.asks = Some((self.shard, self.queries_begun));
        }
        let operation = Arc::new(operation);
        let others = self.adapter.operate(port, self.shard, &operation);
        if let (Some((within, done)), Some((_, number))) = (answered, operation.asks) {
            // Its own answer is one of them.
            self.queries.insert(number, Query { outstanding: 1 + others, parts: Vec::new(), done });
            self.alarm_of_many(port, within.saturating_add(ON_THE_WAY), QUERY, number);
        }
        self.perform(port, &operation);
    }

    /// Sets the alarm of answers of many: of a [`QUERY`] or a [`GATHER`].
    fn alarm_of_many(&mut self, port: &mut dyn Port, within: Duration, space: u16, number: u64) {
        let due_us = due_after(port, within);
        self.alarm(port, Alarm { due_us, ack_id: number, socket: NONE, space });
    }

    /// Does an operation on this shard's sockets, and answers it.
    pub(super) fn perform(&mut self, port: &mut dyn Port, operation: &Operation) {
        let sockets = self.select(&operation.namespace, &operation.target);
        let part = match &operation.act {
            Act::Join(room) => {
                sockets.iter().for_each(|&socket| _ = self.join(port, socket, room));
                None
            }
            Act::Leave(room) => {
                for &socket in &sockets {
                    let namespace = self.sockets[socket as usize].namespace;
                    self.rooms.leave(namespace, socket, room);
                }
                None
            }
            Act::Disconnect { session } => {
                sockets.iter().for_each(|&socket| self.disconnect(port, socket, *session));
                None
            }
            Act::Fetch => {
                Some(Part::Sockets(sockets.iter().map(|&socket| self.remote_socket(socket)).collect()))
            }
            Act::Ask { broadcast, ack_id, within } => {
                if let Some(from) = operation.asks {
                    self.apply(port, broadcast);
                    self.silent.extend(sockets.iter().map(|&socket| (socket, *ack_id)));
                    let silent = sockets.len();
                    let gather = Gather { from, asked: sockets, silent, answers: Vec::new() };
                    self.gathers.insert(*ack_id, gather);
                    self.alarm_of_many(port, *within, GATHER, *ack_id);
                    self.gathered(port, *ack_id, false);
                }
                None
            }
            Act::Say { .. } => None,
        };
        if let (Some(part), Some((shard, number))) = (part, operation.asks) {
            self.tell(port, shard, number, part);
        }
    }

    /// Sends an answer to the shard that asks.
    fn tell(&mut self, port: &mut dyn Port, shard: usize, number: u64, part: Part) {
        if shard == self.shard {
            self.told(number, part);
        } else {
            port.mail(shard, IoMail::Told(number, Box::new(part)));
        }
    }

    /// An answer has come.
    pub(super) fn told(&mut self, number: u64, part: Part) {
        // One whose time is over is forgotten already.
        let Some(query) = self.queries.get_mut(&number) else { return };
        query.parts.push(part);
        query.outstanding -= 1;
        self.conclude(number, false);
    }

    /// Calls back once all answers are there, or none is waited for any more.
    pub(super) fn conclude(&mut self, number: u64, is_overdue: bool) {
        if !self.queries.get(&number).is_some_and(|query| query.outstanding == 0 || is_overdue) {
            return;
        }
        if let Some(query) = self.queries.remove(&number) {
            self.answered.push((query.done, query.parts, query.outstanding > 0));
        }
    }

    /// A client has answered an event that went to many.
    pub(super) fn shared_ack(&mut self, port: &mut dyn Port, socket: u32, packet: &Packet<'_>) {
        let Some(ack_id) = packet.ack_id else { return };
        let Some(gather) = self.gathers.get_mut(&ack_id) else { return };
        if self.silent.remove(&(socket, ack_id)) {
            gather.silent -= 1;
            gather.answers.push(packet.args.into());
            self.gathered(port, ack_id, false);
        }
    }

    /// A socket is gone: nobody waits for its answers any more.
    pub(super) fn fall_silent(&mut self, port: &mut dyn Port, socket: u32) {
        let own = (socket, 0)..=(socket, u64::MAX);
        while let Some(&(socket, ack_id)) = self.silent.range(own.clone()).next() {
            self.silent.remove(&(socket, ack_id));
            self.gathers.get_mut(&ack_id).into_iter().for_each(|gather| gather.silent -= 1);
            self.gathered(port, ack_id, false);
        }
    }

    /// Answers once every client has, or none is waited for any more.
    pub(super) fn gathered(&mut self, port: &mut dyn Port, ack_id: u64, is_overdue: bool) {
        if !self.gathers.get(&ack_id).is_some_and(|gather| gather.silent == 0 || is_overdue) {
            return;
        }
        if let Some(Gather { from, asked, answers, .. }) = self.gathers.remove(&ack_id) {
            asked.iter().for_each(|&socket| _ = self.silent.remove(&(socket, ack_id)));
            let missing = asked.len() - answers.len();
            self.tell(port, from.0, from.1, Part::Acks { answers, missing });
        }
    }

    /// A number for acks that are awaited of many: the shard's own, so that no two shards use one.
    pub(super) fn shared_ack_id(&mut self, shards: usize) -> u64 {
        self.shared_acks += 1;
        FIRST_SHARED_ACK + self.shared_acks * shards as u64 + self.shard as u64
    }

    /// This shard's sockets that a target names, each once.
    pub(super) fn select(&mut self, namespace: &str, target: &Target) -> Vec<u32> {
        let mut selected = Vec::new();
        self.each(namespace, target, |state, socket| {
            if !state.sockets[socket as usize].is_over {
                selected.push(socket);
            }
        });
        selected
    }

    fn remote_socket(&self, socket: u32) -> RemoteSocket {
        let rooms = self.rooms.of(socket).filter(|&room| room != ALL).map(str::to_owned).collect();
        RemoteSocket { id: self.socket_id(socket).into(), rooms }
    }

    /// Takes a socket out of its namespace, or closes its whole session.
    pub(super) fn disconnect(&mut self, port: &mut dyn Port, socket: u32, closes_session: bool) {
        let Some(entry) = self.sockets.get(socket as usize) else { return };
        let (namespace, slot) = (entry.namespace, entry.session);
        if !entry.is_over {
            self.out.clear();
            self.config.parser.disconnect(&mut self.out, self.namespaces.name(namespace));
            self.attachments.clear();
            self.send_out(port, slot, Mark::KEEP);
            self.leave(socket, Reason::ServerDisconnect);
        }
        if closes_session {
            self.disconnect_all(port, slot);
        }
    }
}

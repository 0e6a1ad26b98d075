//! Handlers on one shard, for one namespace or for all that match, their sockets' data, the acks they await. Behind
//! [`Space`] the type of the data is forgotten.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use slab::Slab;

use crate::proto::socketio::{Args, Packet};

use super::acks::{AckError, Acks, OnAck};
use super::admit::{Admit, Connect, Verdict};
use super::audit::IoAudit;
use super::matching::Matches;
use super::reason::Reason;
use super::socket::{Lent, Socket};
use super::state::{ALL, Cx};

/// A namespace, whatever its sockets' data is.
pub(super) trait Space {
    /// Its name; `None` where it is whatever namespaces match.
    fn name(&self) -> Option<Rc<str>>;
    /// Whether a namespace that nobody has named is one of its.
    fn matches(&mut self, name: &str, connect: &Connect<'_>) -> bool;
    fn admit(&mut self, connect: &Connect<'_>) -> Verdict;
    /// Puts data away that was decided on elsewhere; `None`: it is not this namespace's type.
    fn keep(&mut self, data: Box<dyn Any>) -> Option<u32>;
    fn connected(&mut self, cx: Cx<'_>, socket: u32, connect: &Connect<'_>);
    fn finished(&mut self, cx: Cx<'_>, socket: u32, job: usize, result: Option<Box<dyn Any + Send>>);
    fn forget_job(&mut self, job: usize);
    fn event(&mut self, cx: Cx<'_>, socket: u32, packet: &Packet<'_>);
    fn acked(&mut self, cx: Cx<'_>, socket: u32, packet: &Packet<'_>);
    fn overdue(&mut self, cx: Cx<'_>, socket: u32, ack_id: u64);
    /// Whether an ack is still awaited, or has yet to be told that it is not.
    fn awaits(&self, socket: u32, ack_id: u64) -> bool;
    fn ended(&mut self, cx: Cx<'_>, socket: u32, reason: Reason);
    /// Drops what is kept of a socket that is over, its data above all.
    fn forget(&mut self, socket: u32, data: u32);
    /// Whether somebody listens to what its sockets are sent.
    fn hears_outgoing(&self) -> bool;
    /// A socket was sent an event.
    fn sent(&mut self, cx: Cx<'_>, socket: u32, event: &str, args: Args<'_>);
    fn count(&self, audit: &mut IoAudit);
}

pub(super) type OnEvent<D> = Box<dyn FnMut(&mut Socket<'_, D>, Args<'_>, &mut String)>;
pub(super) type OnAny<D> = Box<dyn FnMut(&mut Socket<'_, D>, &str, Args<'_>)>;
pub(super) type OnConnection<D> = Box<dyn FnMut(&mut Socket<'_, D>)>;
pub(super) type OnEnd<D> = Box<dyn FnMut(&mut Socket<'_, D>, Reason)>;
pub(super) type Middleware<D> = Box<dyn FnMut(&Connect<'_>) -> Admit<D>>;
pub(super) type OnPacket<D> = Box<dyn FnMut(&mut Socket<'_, D>, &str, Args<'_>) -> bool>;

/// A listener of an event, and, where it listens once, who has heard it already.
pub(super) struct Listener<D> {
    pub(super) call: OnEvent<D>,
    pub(super) heard: Option<HashSet<u32>>,
}

/// Which namespaces have these handlers.
pub(super) enum Names {
    One(Rc<str>),
    Matching(Matches),
}

/// Handlers, and what is kept for them of the sockets of the namespaces that they are for.
pub(super) struct Typed<D> {
    pub(super) names: Names,
    pub(super) admit: Middleware<D>,
    pub(super) on_connection: Vec<OnConnection<D>>,
    pub(super) on_packet: Vec<OnPacket<D>>,
    pub(super) on_any: Vec<OnAny<D>>,
    pub(super) on_any_outgoing: Vec<OnAny<D>>,
    pub(super) on: HashMap<Box<str>, Vec<Listener<D>>>,
    pub(super) on_disconnect: Vec<OnEnd<D>>,
    pub(super) data: Slab<D>,
    pub(super) acks: Acks<D>,
    /// Working space for texts with escapes in them.
    pub(super) scratch: String,
}

impl<D: 'static> Space for Typed<D> {
    fn name(&self) -> Option<Rc<str>> {
        match &self.names {
            Names::One(name) => Some(name.clone()),
            Names::Matching(_) => None,
        }
    }

    fn matches(&mut self, name: &str, connect: &Connect<'_>) -> bool {
        match &mut self.names {
            Names::One(_) => false,
            Names::Matching(matches) => matches(name, connect),
        }
    }

    fn admit(&mut self, connect: &Connect<'_>) -> Verdict {
        match (self.admit)(connect) {
            Admit::Accept(data) => Verdict::Accept(self.data.insert(data) as u32),
            Admit::Refuse(refusal) => Verdict::Refuse(refusal),
            Admit::Deferred => Verdict::Deferred,
        }
    }

    fn keep(&mut self, data: Box<dyn Any>) -> Option<u32> {
        data.downcast::<D>().ok().map(|data| self.data.insert(*data) as u32)
    }

    fn finished(&mut self, cx: Cx<'_>, socket: u32, job: usize, result: Option<Box<dyn Any + Send>>) {
        let (Some(done), Some(result)) = (self.acks.jobs.try_remove(job), result) else { return };
        let Self { data, acks, .. } = self;
        let mut socket = Socket::new(cx, Lent { socket, data, acks, ack_id: None, connect: None });
        done(&mut socket, result);
    }

    fn forget_job(&mut self, job: usize) {
        drop(self.acks.jobs.try_remove(job));
    }

    fn connected(&mut self, cx: Cx<'_>, socket: u32, connect: &Connect<'_>) {
        let Self { on_connection, data, acks, .. } = self;
        let mut socket = Socket::new(cx, Lent { socket, data, acks, ack_id: None, connect: Some(connect) });
        on_connection.iter_mut().for_each(|call| call(&mut socket));
    }

    fn event(&mut self, cx: Cx<'_>, socket: u32, packet: &Packet<'_>) {
        let Self { on_packet, on_any, on, data, acks, scratch, .. } = self;
        let ack_id = packet.ack_id;
        let slot = socket;
        let mut socket = Socket::new(cx, Lent { socket, data, acks, ack_id, connect: None });
        if !on_packet.iter_mut().all(|call| call(&mut socket, &packet.event, packet.args)) {
            return;
        }
        if socket.is_over() {
            return;
        }
        on_any.iter_mut().for_each(|call| call(&mut socket, &packet.event, packet.args));
        let Some(listeners) = on.get_mut(&*packet.event) else { return };
        for listener in listeners {
            if listener.heard.as_mut().is_none_or(|heard| heard.insert(slot)) {
                (listener.call)(&mut socket, packet.args, scratch);
            }
        }
    }

    fn acked(&mut self, cx: Cx<'_>, socket: u32, packet: &Packet<'_>) {
        let Some(call) = packet.ack_id.and_then(|ack_id| self.acks.take(socket, ack_id)) else { return };
        let Self { data, acks, scratch, .. } = self;
        cx.state.sockets[socket as usize].acks -= 1;
        let mut socket = Socket::new(cx, Lent { socket, data, acks, ack_id: None, connect: None });
        call(&mut socket, Ok(packet.args), scratch);
    }

    fn overdue(&mut self, cx: Cx<'_>, socket: u32, ack_id: u64) {
        let call = if let Some(call) = self.acks.take(socket, ack_id) {
            cx.state.sockets[socket as usize].acks -= 1;
            call
        } else if let Some(call) = self.acks.take_given_up(socket, ack_id) {
            call
        } else {
            return;
        };
        self.give_up(cx, socket, call, AckError::Timeout);
    }

    fn awaits(&self, socket: u32, ack_id: u64) -> bool {
        self.acks.awaits(socket, ack_id)
    }

    fn ended(&mut self, cx: Cx<'_>, socket: u32, reason: Reason) {
        let Cx { state, port } = cx;
        self.give_up_all(Cx { state, port }, socket);
        let namespace = state.sockets[socket as usize].namespace;
        // It hears nothing any more, but its handler may still ask which rooms it was in.
        state.rooms.leave(namespace, socket, ALL);
        let Self { on_disconnect, data, acks, .. } = self;
        let lent = Lent { socket, data, acks, ack_id: None, connect: None };
        let mut lost = Socket::new(Cx { state, port: &mut *port }, lent);
        on_disconnect.iter_mut().for_each(|call| call(&mut lost, reason));
        // What was asked for by those is not answered either; what is asked for by these is, by nobody.
        self.give_up_all(Cx { state, port }, socket);
    }

    fn forget(&mut self, socket: u32, data: u32) {
        for listener in self.on.values_mut().flatten() {
            listener.heard.as_mut().map(|heard| heard.remove(&socket));
        }
        drop(self.acks.take_all(socket));
        drop(self.data.try_remove(data as usize));
    }

    fn hears_outgoing(&self) -> bool {
        !self.on_any_outgoing.is_empty()
    }

    fn sent(&mut self, cx: Cx<'_>, socket: u32, event: &str, args: Args<'_>) {
        let Self { on_any_outgoing, data, acks, .. } = self;
        let mut socket = Socket::new(cx, Lent { socket, data, acks, ack_id: None, connect: None });
        on_any_outgoing.iter_mut().for_each(|call| call(&mut socket, event, args));
    }

    fn count(&self, audit: &mut IoAudit) {
        audit.data += self.data.len();
        audit.acks += self.acks.len();
        audit.jobs += self.acks.jobs.len();
        let once = self.on.values().flatten().filter_map(|listener| listener.heard.as_ref());
        audit.heard += once.map(HashSet::len).sum::<usize>();
    }
}

impl<D> Typed<D> {
    fn give_up_all(&mut self, cx: Cx<'_>, socket: u32) {
        let Cx { state, port } = cx;
        for call in self.acks.take_all(socket) {
            self.give_up(Cx { state, port }, socket, call, AckError::Disconnected);
        }
    }

    fn give_up(&mut self, cx: Cx<'_>, socket: u32, call: OnAck<D>, error: AckError) {
        let Self { data, acks, scratch, .. } = self;
        let mut socket = Socket::new(cx, Lent { socket, data, acks, ack_id: None, connect: None });
        call(&mut socket, Err(error), scratch);
    }
}

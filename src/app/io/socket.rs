//! A client in a namespace, as its handlers are lent it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use slab::Slab;

use crate::app::handle::Handle;
use crate::base::slow::Mark;
use crate::core::service::Delivery;
use crate::hub::Subscribed;
use crate::proto::engineio::Transport;
use crate::proto::socketio::{EmitArgs, EncodeError, Payload};

use super::acks::{Ack, AckError, Acks, Asker};
use super::admit::Connect;
use super::broadcast::about;
use super::emit::BroadcastOperator;
use super::handshake::Handshake;
use super::id::SocketId;
use super::mail::IoMail;
use super::parser::Parser;
use super::port::Port;
use super::session::Link;
use super::shard::IoShard;
use super::state::{ALL, Cx};

/// What a call lends, besides the shard.
pub(super) struct Lent<'a, D> {
    pub(super) socket: u32,
    /// The data of all sockets, of which this one gets its own.
    pub(super) data: &'a mut Slab<D>,
    pub(super) acks: &'a mut Acks<D>,
    pub(super) ack_id: Option<u64>,
    pub(super) connect: Option<&'a Connect<'a>>,
}

/// What is sent to a client.
pub(super) enum Sends<'e> {
    Event { is_volatile: bool, is_plain: bool, mark: Mark, event: &'e str },
    Ack,
}

/// A client in a namespace, lent for the length of a call. `D` is what the application keeps of it.
///
/// Whatever is emitted is queued, in order, and leaves with everything else of this turn.
pub struct Socket<'a, D = ()> {
    pub(super) cx: RefCell<Cx<'a>>,
    pub(super) socket: u32,
    name: Rc<str>,
    data: &'a mut D,
    pub(super) acks: RefCell<&'a mut Acks<D>>,
    ack_id: Cell<Option<u64>>,
    connect: Option<&'a Connect<'a>>,
}

impl<'a, D> Socket<'a, D> {
    pub(super) fn new<'c: 'a>(cx: Cx<'c>, lent: Lent<'a, D>) -> Self {
        let Lent { socket, data, acks, ack_id, connect } = lent;
        let name = cx.state.name_of(socket);
        let data = &mut data[cx.state.sockets[socket as usize].data as usize];
        let cx = RefCell::new(Cx { state: cx.state, port: cx.port });
        Self { cx, socket, name, data, acks: RefCell::new(acks), ack_id: Cell::new(ack_id), connect }
    }

    /// Its id: unique on the server, and what its client knows as `socket.id`.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.cx.borrow().state.socket_id(self.socket).into()
    }

    /// The namespace it is in.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.name
    }

    /// What the application keeps of it.
    #[must_use]
    pub const fn data(&self) -> &D {
        self.data
    }

    /// What the application keeps of it, to be changed.
    pub const fn data_mut(&mut self) -> &mut D {
        self.data
    }

    /// The request that opened its session, and what its client asked for the namespace with, for as long as it is there:
    /// headers, query, `auth`, address and time. `None` unless `keep_handshake` is set: it takes memory that most applications
    /// spare, by keeping what they need of [`connect`](Self::connect) as their data.
    #[must_use]
    pub fn handshake(&self) -> Option<Arc<Handshake>> {
        self.cx.borrow().state.handshakes.get(&self.socket).cloned()
    }

    /// What its client asked with, in `on_connection`; `None` in every later call, when it is not kept any more.
    #[must_use]
    pub const fn connect(&self) -> Option<&Connect<'a>> {
        self.connect
    }

    /// How its client is reached at the moment.
    #[must_use]
    pub fn transport(&self) -> Transport {
        let cx = self.cx.borrow();
        let session = cx.state.sockets[self.socket as usize].session;
        match cx.state.sessions.get(session as usize).map(|session| &session.link) {
            Some(Link::Polling(_)) => Transport::Polling,
            _ => Transport::WebSocket,
        }
    }

    /// Sends its client an event. A tuple is several arguments, `()` none, everything else that serde can serialize one;
    /// bytes are a [`Binary`](crate::io::Binary).
    ///
    /// What cannot be serialized, or has a reserved name, is not sent: `Dropped`, and logged.
    pub fn emit(&self, event: &str, args: impl EmitArgs) -> Delivery {
        self.operator().emit(event, args)
    }

    /// Sends an event and calls `done` with what its client answers, or with why it did not. Without a
    /// [`timeout`](Self::timeout) that is only because the socket is gone, or because too many others were asked for since.
    ///
    /// ```
    /// # fn ask(socket: &throng::io::Socket<'_>) {
    /// # use std::time::Duration;
    /// socket.timeout(Duration::from_secs(5)).emit_with_ack("which", "question", |socket, answer: Result<&str, _>| {
    ///     match answer {
    ///         Ok(text) => _ = socket.emit("thanks", text),
    ///         Err(error) => _ = socket.emit("never mind", error.to_string()),
    ///     }
    /// });
    /// # }
    /// ```
    pub fn emit_with_ack<T: Payload + ?Sized>(
        &self,
        event: &str,
        args: impl EmitArgs,
        done: impl FnOnce(&mut Socket<'_, D>, Result<&T, AckError>) + 'static,
    ) -> Delivery {
        self.operator().emit_with_ack(event, args, done)
    }

    /// Answers the event that is being handled, if its client asked for an answer, and the first time alone.
    pub fn ack(&self, args: impl EmitArgs) -> Delivery {
        let Some(ack_id) = self.ack_id.take() else { return Delivery::Dropped };
        self.send(Sends::Ack, |parser, out, attachments, name| {
            parser.ack(out, attachments, name, ack_id, &args)
        })
    }

    /// Takes the right to answer the event that is being handled along, to another thread or to a later call. One that no
    /// client awaits answers nobody.
    pub fn take_ack(&self) -> Ack {
        let cx = self.cx.borrow();
        let asker = self.ack_id.take().map(|ack_id| Asker {
            remote: cx.state.remote.clone(),
            parser: cx.state.config.parser,
            namespace: (&*self.name).into(),
            id: cx.state.socket_id(self.socket),
            ack_id,
        });
        Ack(asker)
    }

    /// Whether the event that is being handled asks for an answer that was not given yet.
    #[must_use]
    pub fn wants_ack(&self) -> bool {
        let ack_id = self.ack_id.take();
        self.ack_id.set(ack_id);
        ack_id.is_some()
    }

    pub(super) fn send(
        &self,
        sends: Sends<'_>,
        encode: impl FnOnce(Parser, &mut Vec<u8>, &mut Vec<Vec<u8>>, &str) -> Result<(), EncodeError>,
    ) -> Delivery {
        // What is emitted may have a Serialize of the application's own, so nothing is borrowed while it runs.
        let (parser, mut out, mut attachments) = {
            let state = &mut *self.cx.borrow_mut().state;
            (state.config.parser, std::mem::take(&mut state.out), std::mem::take(&mut state.attachments))
        };
        out.clear();
        attachments.clear();
        let encoded = encode(parser, &mut out, &mut attachments, &self.name);
        let Cx { state, port } = &mut *self.cx.borrow_mut();
        state.out = out;
        state.attachments = attachments;
        if let Err(error) = encoded {
            tracing::error!(%error, "an event was not sent");
            return Delivery::Dropped;
        }
        let entry = &state.sockets[self.socket as usize];
        let (session, is_over) = (entry.session, entry.is_over);
        if is_over {
            return Delivery::Dropped;
        }
        let Sends::Event { is_volatile, is_plain, mark, event } = sends else {
            return state.send_out(*port, session, Mark::KEEP);
        };
        state.sent_out(self.socket);
        if is_volatile && !state.is_ready(*port, session) {
            return Delivery::Dropped;
        }
        let policy = || state.slow_policy(*port, session);
        let topic = || Mark::latest("", &about(&self.name, event).concat());
        let mark = if mark == Mark::UNSET { mark.or(policy(), topic) } else { mark };
        state.send_out_as(*port, session, mark, is_plain)
    }

    /// Puts it into a room, until it leaves or is gone.
    pub fn join(&self, room: impl AsRef<str>) -> Subscribed {
        let Cx { state, port } = &mut *self.cx.borrow_mut();
        if state.sockets[self.socket as usize].is_over || room.as_ref() == ALL {
            return Subscribed::Closed;
        }
        state.join(*port, self.socket, room.as_ref())
    }

    /// Takes it out of a room; false where it was not in it.
    pub fn leave(&self, room: impl AsRef<str>) -> bool {
        let state = &mut *self.cx.borrow_mut().state;
        let namespace = state.sockets[self.socket as usize].namespace;
        room.as_ref() != ALL && state.rooms.leave(namespace, self.socket, room.as_ref())
    }

    /// The rooms it is in, besides its own.
    #[must_use]
    pub fn rooms(&self) -> Vec<String> {
        let state = &*self.cx.borrow().state;
        state.rooms.of(self.socket).filter(|&room| room != ALL).map(str::to_owned).collect()
    }

    /// Everybody in this namespace but this socket: `socket.broadcast().emit(…)`.
    pub fn broadcast(&self) -> BroadcastOperator<'_> {
        BroadcastOperator::new(&self.cx, &self.name, self.id().place())
    }

    /// The members of a room, but not this socket; may be followed by more rooms.
    pub fn to(&self, room: impl AsRef<str>) -> BroadcastOperator<'_> {
        self.broadcast().to(room)
    }

    /// Everybody in this namespace who is not in a room, and is not this socket.
    pub fn except(&self, room: impl AsRef<str>) -> BroadcastOperator<'_> {
        self.broadcast().except(room)
    }

    /// Everybody of this process in this namespace but this socket: with the adapter that is built in, as
    /// [`broadcast`](Self::broadcast).
    pub fn local(&self) -> BroadcastOperator<'_> {
        self.broadcast().local()
    }

    /// Everybody in this namespace, this socket included: what the tutorials call `io`.
    pub fn io(&self) -> BroadcastOperator<'_> {
        BroadcastOperator::new(&self.cx, &self.name, None)
    }

    /// Everybody in another namespace.
    pub fn of<'s>(&'s self, namespace: &'s str) -> BroadcastOperator<'s> {
        BroadcastOperator::new(&self.cx, namespace, None)
    }

    /// The server, as other threads reach it: for one that is to emit later. A clone, and cheap.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.cx.borrow().state.remote.handle()
    }

    /// Runs `job` on a helper thread, then `done` here with its result, unless the socket is gone by then. The way to
    /// anything that blocks: files, databases, an async runtime. A job that panics is forgotten.
    ///
    /// False: `jobs_per_namespace_max` of them are under way, and this one is not run.
    pub fn offload<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
        done: impl FnOnce(&mut Socket<'_, D>, T) + 'static,
    ) -> bool {
        let Some(id) = self.id().place() else { return false };
        let cx = self.cx.borrow();
        if self.acks.borrow().jobs.len() >= cx.state.config.jobs_per_namespace_max {
            cx.port.counters().io_jobs_refused.add(1);
            return false;
        }
        let job_id =
            self.acks.borrow_mut().jobs.insert(Box::new(move |socket, result: Box<dyn Any + Send>| {
                if let Ok(result) = result.downcast::<T>() {
                    done(socket, *result);
                }
            }));
        let space = cx.state.namespaces.space(cx.state.sockets[self.socket as usize].namespace);
        let shard = cx.state.shard;
        let back = cx.state.remote.clone();
        cx.state.remote.run(move || {
            let result = catch_unwind(AssertUnwindSafe(job)).ok();
            let result = result.map(|result| Box::new(result) as Box<dyn Any + Send>);
            let call =
                move |io: &mut IoShard, port: &mut dyn Port| io.finished(port, space, id, job_id, result);
            back.send(shard, IoMail::Call(Box::new(call)));
        });
        true
    }

    /// Takes it out of its namespace: its client hears `io server disconnect`, and does not come back by itself.
    pub fn disconnect(&self) {
        let Cx { state, port } = &mut *self.cx.borrow_mut();
        state.disconnect(*port, self.socket, false);
    }

    /// Takes it out of all its namespaces, each of its client's sockets as [`disconnect`](Self::disconnect) does, and closes
    /// its session.
    pub fn disconnect_session(&self) {
        let Cx { state, port } = &mut *self.cx.borrow_mut();
        state.disconnect(*port, self.socket, true);
    }

    /// Whether it was disconnected, or its client is gone.
    pub(super) fn is_over(&self) -> bool {
        self.cx.borrow().state.sockets[self.socket as usize].is_over
    }
}

impl<D> fmt::Debug for Socket<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("id", &self.id())
            .field("namespace", &self.name)
            .finish_non_exhaustive()
    }
}

//! The core's service that calls a [`Handler`].

use std::any::Any;
use std::cell::Cell;
use std::sync::Arc;

use slab::Slab;

#[cfg(feature = "socketio")]
use crate::app::handle::Handle;
use crate::app::http::{Web, health};
#[cfg(feature = "socketio")]
use crate::app::io::{Asked, IoAudit, IoMail, IoRemote, IoSetup, IoShard, Nowhere};
use crate::base::cause::{Cause, CloseReason};
use crate::base::id::Key;
use crate::core::core::Core;
use crate::core::service::{Reply, Service, Ticket};
use crate::proto::http::{Request, Response};
use crate::proto::ws::Message;

use super::admission::{Admission, Opening};
use super::conn::Conn;
use super::handler::{Handler, Post};
use super::kept::Kept;
use super::remote::Remote;
use super::shard::Shard;

/// What runs when a job's result is back: on the shard, with the result still boxed.
pub(super) type Done<H> = Box<dyn FnOnce(&mut H, &mut Shard<'_, H>, Box<dyn Any + Send>)>;

/// What runs when a timer rings.
pub(super) type Ring<H> = Box<dyn FnMut(&mut H, &mut Shard<'_, H>)>;

/// What a timer is for.
pub(crate) enum Alarm<H: Handler> {
    /// The handler's own.
    Ring(Ring<H>),
    /// Something of Socket.IO's is due.
    #[cfg(feature = "socketio")]
    Tick,
}

/// Decides on a client, on its shard.
pub(crate) type Decide<H> = Box<dyn FnOnce(&mut H) -> Admission<<H as Handler>::Data> + Send>;

/// What shards and other threads send a shard's handler.
pub(crate) enum RawMail<H: Handler> {
    /// A deferred admission is decided.
    Admit(Ticket, Decide<H>),
    /// A deferred admission will not be decided.
    Unanswered(Ticket),
    /// A value for a connection.
    Post(Key, Post),
    /// The job with this id is done.
    Done(usize, Box<dyn Any + Send>),
    /// A WebSocket is to be adopted.
    Adopt(Post),
    /// For the shard's Socket.IO.
    #[cfg(feature = "socketio")]
    Io(IoMail),
}

/// What a shard keeps beside the handler, so that both can be lent at once.
pub(crate) struct Desk<H: Handler> {
    pub(super) remote: Arc<Remote<H>>,
    /// What is to be done with the results of the jobs that are under way, by the jobs' ids.
    pub(super) jobs: Slab<Done<H>>,
}

/// A shard's handler, as the core calls it.
pub(crate) struct Raw<H: Handler> {
    handler: H,
    desk: Desk<H>,
    web: Option<Arc<Web>>,
    has_health: bool,
    #[cfg(feature = "socketio")]
    io: Option<Box<IoShard>>,
}

impl<H: Handler> Raw<H> {
    pub(crate) fn new(handler: H, remote: Arc<Remote<H>>) -> Self {
        Self {
            handler,
            desk: Desk { remote, jobs: Slab::new() },
            web: None,
            has_health: false,
            #[cfg(feature = "socketio")]
            io: None,
        }
    }

    /// The same, with routes and files, which come before the handler's own requests.
    pub(crate) fn with_web(mut self, web: Arc<Web>) -> Self {
        self.web = Some(web);
        self
    }

    /// The same, which says at `/healthz` that it lives and at `/readyz` whether clients may be sent here.
    pub(crate) fn with_health(mut self, has_health: bool) -> Self {
        self.has_health = has_health;
        self
    }

    #[cfg_attr(
        not(feature = "socketio"),
        expect(unused_variables, reason = "only Socket.IO is reached from a route")
    )]
    fn web_request(&mut self, core: &mut Core<Self>, request: &Request<'_>, body: &[u8]) -> Option<Response> {
        let web = self.web.as_ref()?;
        #[cfg(feature = "socketio")]
        return match &mut self.io {
            Some(io) => io.lend(core, |io| web.answer(request, body, io)),
            None => web.answer(request, body, &Nowhere),
        };
        #[cfg(not(feature = "socketio"))]
        web.answer(request, body)
    }

    /// The same, with the Socket.IO of this shard, if there is to be one.
    #[cfg(feature = "socketio")]
    pub(crate) fn with_io(mut self, shard: usize, setup: &IoSetup) -> Self {
        let (to_shard, to_helper) = (self.desk.remote.clone(), self.desk.remote.clone());
        let send = move |shard, mail| to_shard.answer(shard, RawMail::Io(mail));
        let handle = Handle::new(self.desk.remote.clone());
        let remote = IoRemote::new(send, move |job| to_helper.offload.run(job), handle);
        self.io = setup.build(shard, remote).map(Box::new);
        self
    }

    /// What its Socket.IO holds.
    #[cfg(feature = "socketio")]
    pub(crate) fn io_audit(&self) -> IoAudit {
        self.io.as_ref().map(|io| io.audit().1).unwrap_or_default()
    }

    /// Puts a request to Socket.IO, if it is one of its.
    #[cfg(feature = "socketio")]
    fn io_request(
        &mut self,
        core: &mut Core<Self>,
        key: Key,
        request: &Request<'_>,
        body: &[u8],
        asks_upgrade: bool,
    ) -> Option<Reply> {
        let io = self.io.as_mut().filter(|io| io.serves(request.path()))?;
        let Some(address) = request.peer_addr() else { return Some(Reply::Refuse(Cause::NotAnswered)) };
        match io.request(core, key, address, request, body, asks_upgrade) {
            Asked::Reply(reply) => Some(reply),
            Asked::WebSocket(slot, handshake) => {
                if let Some(kept) = core.data(key) {
                    *kept = Kept::Opening(slot, handshake);
                }
                Some(Reply::Upgrade { subprotocol: None })
            }
        }
    }

    pub(crate) fn start(&mut self, core: &mut Core<Self>) {
        self.handler.on_start(&mut Shard { core, desk: &mut self.desk });
    }

    /// Lends the handler a connection, if it is there.
    #[inline]
    fn with(&mut self, core: &mut Core<Self>, key: Key, work: impl FnOnce(&mut H, &mut Conn<'_, H>)) {
        work(&mut self.handler, &mut Conn { shard: Shard { core, desk: &mut self.desk }, key });
    }

    fn answer(core: &mut Core<Self>, ticket: Ticket, reply: Reply) {
        if !core.answer(ticket, reply) {
            core.counters().stale_keys.add(1);
        }
    }

    fn reply(core: &mut Core<Self>, key: Key, admission: Admission<H::Data>) -> Reply {
        match admission {
            Admission::Accept { data, subprotocol } => {
                if let Some(kept) = core.data(key) {
                    *kept = Kept::Data(data);
                }
                Reply::Upgrade { subprotocol }
            }
            Admission::Refuse(response) => Reply::Respond(response),
            // Deferring again what was deferred: there is no second ticket.
            Admission::Deferred => Reply::Refuse(Cause::NotAnswered),
        }
    }
}

impl<H: Handler> Service for Raw<H> {
    type Conn = Kept<H::Data>;
    type Mail = RawMail<H>;
    type Timer = Alarm<H>;

    fn request(
        &mut self,
        core: &mut Core<Self>,
        key: Key,
        request: &Request<'_>,
        body: &[u8],
        asks_upgrade: bool,
    ) -> Reply {
        #[cfg(feature = "socketio")]
        if let Some(reply) = self.io_request(core, key, request, body, asks_upgrade) {
            return reply;
        }
        if !asks_upgrade {
            if self.has_health
                && let Some(response) = health::answer(request, !core.is_draining())
            {
                return Reply::Respond(response);
            }
            if let Some(response) = self.web_request(core, request, body) {
                return Reply::Respond(response);
            }
            let mut shard = Shard { core, desk: &mut self.desk };
            return Reply::Respond(self.handler.on_request(&mut shard, request, body));
        }
        let Some(peer) = core.peer_addr(key) else {
            return Reply::Refuse(Cause::NotAnswered);
        };
        let opening = Opening {
            request,
            ticket: core.ticket(key),
            is_deferred: Cell::new(false),
            shard: core.shard(),
            peer,
            remote: &self.desk.remote,
        };
        match (self.handler.admit(&opening), opening.is_deferred.get()) {
            (Admission::Deferred, true) => Reply::Defer(opening.ticket),
            (admission, _) => Self::reply(core, key, admission),
        }
    }

    fn opened(&mut self, core: &mut Core<Self>, key: Key) {
        #[cfg(feature = "socketio")]
        if let Some(kept) = core.data(key)
            && let Kept::Opening(slot, handshake) = kept
        {
            let (slot, handshake) = (*slot, handshake.take());
            if let Some(io) = &mut self.io {
                let slot = io.opened(core, key, slot, handshake);
                core.data(key).into_iter().for_each(|kept| *kept = Kept::Session(slot));
            }
            return;
        }
        // One that was closed before it was announced has no data, and the handler never hears of it.
        if core.data(key).is_some_and(|kept| kept.has_data()) {
            self.with(core, key, |handler, conn| handler.on_open(conn));
        }
    }

    fn adopted(&mut self, core: &mut Core<Self>, key: Key, mail: RawMail<H>) {
        let RawMail::Adopt(post) = mail else { return };
        let data = self.handler.adopt(&mut Shard { core, desk: &mut self.desk }, post);
        match (data, core.data(key)) {
            (Some(data), Some(kept)) => *kept = Kept::Data(data),
            _ => core.close(key, 1008, "not adopted"),
        }
    }

    #[inline]
    fn message(&mut self, core: &mut Core<Self>, key: Key, message: Message<'_>) {
        #[cfg(feature = "socketio")]
        if let Some(io) = &mut self.io
            && let Some(&mut Kept::Session(slot)) = core.data(key)
        {
            return io.message(core, key, slot, message);
        }
        self.with(core, key, |handler, conn| handler.on_message(conn, message));
    }

    fn mail(&mut self, core: &mut Core<Self>, mail: RawMail<H>) {
        match mail {
            // Its client is gone, or was decided on already: a decision now could only be about somebody else.
            RawMail::Admit(ticket, _) if !core.is_awaited(ticket) => core.counters().stale_keys.add(1),
            RawMail::Admit(ticket, decide) => {
                core.works_for(ticket.key());
                let reply = Self::reply(core, ticket.key(), decide(&mut self.handler));
                Self::answer(core, ticket, reply);
            }
            RawMail::Unanswered(ticket) => Self::answer(core, ticket, Reply::Refuse(Cause::NotAnswered)),
            RawMail::Post(key, post) if core.is_open(key) => {
                core.works_for(key);
                self.with(core, key, |handler, conn| handler.on_post(conn, post));
            }
            RawMail::Done(job_id, result) => {
                if let Some(done) = self.desk.jobs.try_remove(job_id) {
                    done(&mut self.handler, &mut Shard { core, desk: &mut self.desk }, result);
                }
            }
            RawMail::Post(..) | RawMail::Adopt(_) => core.counters().stale_keys.add(1),
            #[cfg(feature = "socketio")]
            RawMail::Io(mail) => {
                if let Some(io) = &mut self.io {
                    io.mail(core, mail);
                }
            }
        }
    }

    fn timer(&mut self, core: &mut Core<Self>, alarm: &mut Alarm<H>) {
        match alarm {
            Alarm::Ring(ring) => ring(&mut self.handler, &mut Shard { core, desk: &mut self.desk }),
            #[cfg(feature = "socketio")]
            Alarm::Tick => {
                if let Some(io) = &mut self.io {
                    io.tick(core);
                }
            }
        }
    }

    fn drained(&mut self, core: &mut Core<Self>, key: Key) {
        #[cfg(feature = "socketio")]
        if let Some(Kept::Session(_)) = core.data(key) {
            return;
        }
        self.with(core, key, |handler, conn| handler.on_drain(conn));
    }

    fn closed(&mut self, core: &mut Core<Self>, key: Key, reason: CloseReason) {
        #[cfg(feature = "socketio")]
        if let Some(io) = &mut self.io
            && let Some(&mut Kept::Session(slot)) = core.data(key)
        {
            return io.closed(core, key, slot, reason);
        }
        let timers = core.data(key).map(Kept::take_timers).unwrap_or_default();
        timers.into_iter().for_each(|timer| _ = core.cancel_timer(timer));
        if core.data(key).is_some_and(|kept| kept.has_data()) {
            self.with(core, key, |handler, conn| handler.on_close(conn, reason));
        }
    }

    #[cfg(feature = "socketio")]
    fn stopping(&mut self, core: &mut Core<Self>, keep_permille: u32) {
        if let Some(io) = &mut self.io {
            io.stopping(core, keep_permille);
        }
    }

    #[cfg_attr(not(feature = "socketio"), expect(unused_variables, reason = "only Socket.IO holds answers"))]
    fn gone(&mut self, core: &mut Core<Self>, ticket: Ticket) {
        // Nothing is kept for a client at the door; its answer, when it comes, is counted as stale.
        #[cfg(feature = "socketio")]
        if let Some(io) = &mut self.io {
            io.gone(core, ticket);
        }
    }
}

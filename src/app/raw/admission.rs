//! Letting clients in: at once, not at all, or when somebody else has decided.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::core::service::Ticket;
use crate::proto::http::{Request, Response};

use super::handler::Handler;
use super::remote::Remote;
use super::service::RawMail;

/// What becomes of a client that asks for a WebSocket.
#[derive(Debug)]
#[must_use]
pub enum Admission<D> {
    /// It gets one.
    Accept {
        /// What the handler keeps of the connection.
        data: D,
        /// The subprotocol, one of those offered. Another one refuses the client (503): it would have to fail.
        subprotocol: Option<String>,
    },
    /// It gets this response instead.
    Refuse(Response),
    /// The answer comes through the [`Pending`] that [`Opening::defer`] gave, within `admit_timeout`.
    Deferred,
}

impl<D> Admission<D> {
    /// Accepts, without a subprotocol.
    pub const fn accept(data: D) -> Self {
        Self::Accept { data, subprotocol: None }
    }

    /// Accepts with a subprotocol, one of [`Request::subprotocols`].
    pub fn accept_with(data: D, subprotocol: impl Into<String>) -> Self {
        Self::Accept { data, subprotocol: Some(subprotocol.into()) }
    }

    /// Refuses with a status from 400 to 599 and no explanation; with any other it would be no refusal, and 500 is sent.
    pub const fn refuse(status: u16) -> Self {
        Self::Refuse(Response::new(if status >= 400 && status < 600 { status } else { 500 }))
    }
}

/// A client at the door: its request, to which it dereferences, and the way to answer later.
pub struct Opening<'a, H: Handler> {
    pub(super) request: &'a Request<'a>,
    pub(super) ticket: Ticket,
    pub(super) is_deferred: Cell<bool>,
    pub(super) shard: usize,
    pub(super) peer: std::net::SocketAddr,
    pub(super) remote: &'a Arc<Remote<H>>,
}

impl<H: Handler> Opening<'_, H> {
    /// The client's address.
    pub const fn peer_addr(&self) -> std::net::SocketAddr {
        self.peer
    }

    /// Puts the decision off: return [`Admission::Deferred`], and answer through what this gives, from any thread, within
    /// `admit_timeout`. The client waits; what it sends meanwhile is handed on behind `on_open`.
    ///
    /// ```
    /// # use throng::{Admission, Conn, Handler, Message, Opening};
    /// # struct Chat;
    /// # fn look_up(token: &str) -> Option<u64> { token.len().checked_sub(1).map(|n| n as u64) }
    /// # impl Handler for Chat {
    /// #     type Data = u64;
    /// fn admit(&mut self, opening: &Opening<'_, Self>) -> Admission<u64> {
    ///     let Some(token) = opening.query().map(str::to_owned) else { return Admission::refuse(401) };
    ///     let pending = opening.defer();
    ///     std::thread::spawn(move || match look_up(&token) {
    ///         Some(user) => pending.accept(user),
    ///         None => pending.refuse(403),
    ///     });
    ///     Admission::Deferred
    /// }
    /// #     fn on_message(&mut self, _: &mut Conn<'_, Self>, _: Message<'_>) {}
    /// # }
    /// ```
    pub fn defer(&self) -> Pending<H> {
        self.is_deferred.set(true);
        Pending { remote: self.remote.clone(), shard: self.shard, ticket: Some(self.ticket) }
    }

    /// Defers, and has a helper thread find out what the decision needs: `job` runs there, `decide` on the client's shard with
    /// its result. The way to a database or an async runtime. A job that panics refuses the client with 503.
    ///
    /// ```
    /// # use throng::{Admission, Conn, Handler, Message, Opening};
    /// # fn look_up(token: &str) -> Option<String> { Some(token.to_owned()) }
    /// # struct Members;
    /// # impl Handler for Members {
    /// type Data = String;
    ///
    /// fn admit(&mut self, opening: &Opening<'_, Self>) -> Admission<String> {
    ///     let Some(token) = opening.query().map(str::to_owned) else { return Admission::refuse(401) };
    ///     opening.offload(
    ///         move || look_up(&token),
    ///         |_members, user| user.map_or(Admission::refuse(403), Admission::accept),
    ///     )
    /// }
    /// #     fn on_message(&mut self, _: &mut Conn<'_, Self>, _: Message<'_>) {}
    /// # }
    /// ```
    pub fn offload<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
        decide: impl FnOnce(&mut H, T) -> Admission<H::Data> + Send + 'static,
    ) -> Admission<H::Data> {
        let pending = self.defer();
        self.remote.offload.run(Box::new(move || {
            let found = job();
            pending.answer(move |handler| decide(handler, found));
        }));
        Admission::Deferred
    }
}

impl<'a, H: Handler> Deref for Opening<'a, H> {
    type Target = Request<'a>;

    fn deref(&self) -> &Request<'a> {
        self.request
    }
}

impl<H: Handler> fmt::Debug for Opening<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("request", self.request).finish_non_exhaustive()
    }
}

/// An answer that is owed to a client at the door. Dropping it refuses the client with 503.
pub struct Pending<H: Handler> {
    remote: Arc<Remote<H>>,
    shard: usize,
    ticket: Option<Ticket>,
}

impl<H: Handler> Pending<H> {
    /// Accepts, without a subprotocol.
    pub fn accept(self, data: H::Data)
    where
        H::Data: Send,
    {
        self.answer(move |_| Admission::accept(data));
    }

    /// Refuses with a status from 400 to 599.
    pub fn refuse(self, status: u16) {
        self.answer(move |_| Admission::refuse(status));
    }

    /// Answers with what `decide` returns. It runs on the client's shard, so the data need not be `Send`.
    pub fn answer(mut self, decide: impl FnOnce(&mut H) -> Admission<H::Data> + Send + 'static) {
        if let Some(ticket) = self.ticket.take() {
            self.remote.answer(self.shard, RawMail::Admit(ticket, Box::new(decide)));
        }
    }
}

impl<H: Handler> Drop for Pending<H> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.remote.answer(self.shard, RawMail::Unanswered(ticket));
        }
    }
}

impl<H: Handler> fmt::Debug for Pending<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

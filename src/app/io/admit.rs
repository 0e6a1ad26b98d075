//! Who may connect to a namespace: middleware's word, with data or with an error.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::proto::socketio::{Args, Mismatch, Payload, RawArgs};

use super::handshake::Handshake;
use super::mail::IoMail;
use super::port::Port;
use super::remote::IoRemote;
use super::shard::IoShard;

/// A client asks for a namespace.
#[derive(Clone, Copy, Debug)]
pub struct Connect<'a> {
    pub(super) namespace: &'a str,
    pub(super) auth: Args<'a>,
    pub(super) handshake: Option<&'a Handshake>,
    pub(super) deferral: Option<&'a Deferral>,
}

/// How middleware may put off its word.
pub(super) struct Deferral {
    pub(super) remote: IoRemote,
    pub(super) shard: usize,
    pub(super) number: u64,
    pub(super) is_taken: Cell<bool>,
}

impl fmt::Debug for Deferral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deferral")
    }
}

impl<'a> Connect<'a> {
    /// What the client sent along as `auth`, decoded.
    ///
    /// # Errors
    /// It sent none, or something else than a `T`.
    pub fn auth<T: Payload + ?Sized>(&self, scratch: &'a mut String) -> Result<T::Parsed<'a>, Mismatch> {
        self.auth.parse::<T>(scratch)
    }

    /// The JSON of `auth`, as it was sent; `{}` where there was none, and always in MessagePack.
    #[must_use]
    pub fn auth_json(&self) -> &'a str {
        self.auth.as_json().filter(|json| !json.is_empty()).unwrap_or("{}")
    }

    /// Puts the decision off: a login may need a database. The token goes to another thread, which answers with it; it is to
    /// be followed by [`Admit::Deferred`]. A token that is dropped refuses.
    ///
    /// ```
    /// use throng::io::{Admit, Connect};
    ///
    /// fn admit(connect: &Connect<'_>) -> Admit<String> {
    ///     let (token, auth) = (connect.defer(), connect.auth_json().to_owned());
    ///     std::thread::spawn(move || token.answer(Admit::accept(auth)));
    ///     Admit::Deferred
    /// }
    /// ```
    pub fn defer<D: Send + 'static>(&self) -> PendingConnect<D> {
        let home = self.deferral.map(|deferral| {
            deferral.is_taken.set(true);
            (deferral.remote.clone(), deferral.shard, deferral.number)
        });
        PendingConnect { home, decides: PhantomData }
    }

    /// The namespace that it asks for.
    #[must_use]
    pub const fn namespace(&self) -> &'a str {
        self.namespace
    }

    /// The request that opened the session. `None` where the session is in another namespace already: it is kept for the
    /// first alone, unless `keep_handshake` says otherwise. A clone of it is one's own.
    #[must_use]
    pub const fn handshake(&self) -> Option<&'a Handshake> {
        self.handshake
    }
}

/// Middleware's answer to a [`Connect`].
#[derive(Debug)]
#[must_use]
pub enum Admit<D> {
    /// It is let in, with this data.
    Accept(D),
    /// It is not: its client gets a `connect_error`.
    Refuse(Refusal),
    /// That is decided later, with the token of [`Connect::defer`]. Without one it is a refusal.
    Deferred,
}

/// A client that waits for a decision, which any thread may make.
#[must_use = "dropped, it refuses the client"]
pub struct PendingConnect<D: Send + 'static> {
    home: Option<(IoRemote, usize, u64)>,
    decides: PhantomData<fn(D)>,
}

impl<D: Send + 'static> PendingConnect<D> {
    /// Decides. A client that is gone meanwhile is let in nowhere, and its data is dropped on its shard.
    pub fn answer(mut self, admit: Admit<D>) {
        self.tell(admit);
    }

    fn tell(&mut self, admit: Admit<D>) {
        let Some((remote, shard, number)) = self.home.take() else { return };
        let call = move |io: &mut IoShard, port: &mut dyn Port| {
            let admit = match admit {
                Admit::Accept(data) => Admit::Accept(Box::new(data) as Box<dyn Any>),
                Admit::Refuse(refusal) => Admit::Refuse(refusal),
                Admit::Deferred => Admit::refuse(NOT_DECIDED),
            };
            io.decided(port, number, admit);
        };
        remote.send(shard, IoMail::Call(Box::new(call)));
    }
}

impl<D: Send + 'static> Drop for PendingConnect<D> {
    fn drop(&mut self) {
        self.tell(Admit::refuse(NOT_DECIDED));
    }
}

impl<D: Send + 'static> fmt::Debug for PendingConnect<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingConnect")
    }
}

/// What a client hears about which nobody has decided.
pub(super) const NOT_DECIDED: &str = "not decided";

impl<D> Admit<D> {
    /// Lets the client in, with the socket's data.
    pub const fn accept(data: D) -> Self {
        Self::Accept(data)
    }

    /// Refuses it: `connect_error` with this message.
    pub fn refuse(message: impl Into<String>) -> Self {
        Self::Refuse(Refusal { message: message.into(), data: None })
    }

    /// Refuses it with data for the client: the error's `data`. What cannot be serialized is left out.
    pub fn refuse_with(message: impl Into<String>, data: &impl Serialize) -> Self {
        let data = serde_json::value::to_raw_value(data).ok();
        Self::Refuse(Refusal { message: message.into(), data })
    }
}

/// What a client that is refused is told.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub(super) message: String,
    pub(super) data: Option<Box<RawValue>>,
}

impl Refusal {
    pub(super) fn new(message: &str) -> Self {
        Self { message: message.to_owned(), data: None }
    }
}

/// The same, once a namespace has put the data away.
pub(super) enum Verdict {
    Accept(u32),
    Refuse(Refusal),
    Deferred,
}

/// What a connection handler is lent of its client's wish to connect.
#[derive(Debug)]
pub(super) struct Greeting {
    /// When it is to be lent, in the shard's milliseconds.
    pub(super) due: u32,
    pub(super) auth: RawArgs,
    pub(super) handshake: Option<Box<Handshake>>,
}

/// A client that waits until middleware has decided.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) slot: u32,
    pub(super) serial: u32,
    pub(super) namespace: u16,
    pub(super) auth: RawArgs,
    pub(super) handshake: Option<Box<Handshake>>,
}

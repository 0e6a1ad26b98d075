//! Who may connect to a namespace: middleware's word, with data or with an error.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::proto::socketio::{Args, Mismatch, Payload};

use super::handshake::Handshake;

/// A client asks for a namespace.
#[derive(Clone, Copy, Debug)]
pub struct Connect<'a> {
    pub(super) auth: Args<'a>,
    pub(super) handshake: Option<&'a Handshake>,
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

    /// The request that opened the session. `None` where the session is in another namespace already: it is kept for the
    /// first alone.
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
}

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

/// The same, once a namespace has put the data away.
pub(super) enum Verdict {
    Accept(u32),
    Refuse(Refusal),
}

//! How an event goes to one socket: the operators `volatile` and `timeout`, and the emits that end them.

use std::fmt;
use std::time::Duration;

use crate::core::service::Delivery;
use crate::proto::socketio::{EmitArgs, Payload};

use super::acks::{AckError, OnAck};
use super::alarms::{Alarm, due_after};
use super::socket::{Sends, Socket};
use super::state::Cx;

/// An event on its way to a socket. Begun by [`Socket::volatile`] and [`Socket::timeout`].
#[must_use = "nothing is sent before emit"]
pub struct SocketOperator<'s, 'a, D> {
    pub(super) socket: &'s Socket<'a, D>,
    pub(super) is_volatile: bool,
    pub(super) is_plain: bool,
    pub(super) timeout: Option<Duration>,
}

impl<'a, D> SocketOperator<'_, 'a, D> {
    /// Only if its client takes it at once: it is dropped while something else is queued.
    pub const fn volatile(mut self) -> Self {
        self.is_volatile = true;
        self
    }

    /// Whether it is compressed for a client that takes it so, where it is long enough. It is, unless this says no.
    pub const fn compress(mut self, compress: bool) -> Self {
        self.is_plain = !compress;
        self
    }

    /// How long an answer is awaited.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends the event, as [`Socket::emit`] does.
    pub fn emit(self, event: &str, args: impl EmitArgs) -> Delivery {
        let Self { is_volatile, is_plain, .. } = self;
        self.socket.send(Sends::Event { is_volatile, is_plain }, |parser, out, attachments, name| {
            parser.event(out, attachments, name, None, event, &args)
        })
    }

    /// Sends the event and calls `done` with its client's answer, as [`Socket::emit_with_ack`] does, or with why there is none.
    pub fn emit_with_ack<T: Payload + ?Sized>(
        self,
        event: &str,
        args: impl EmitArgs,
        done: impl FnOnce(&mut Socket<'_, D>, Result<&T, AckError>) + 'static,
    ) -> Delivery {
        let call: OnAck<D> = Box::new(move |socket, answer, scratch| match answer {
            Ok(args) => match args.parse::<T>(scratch) {
                Ok(parsed) => done(socket, Ok(std::borrow::Borrow::borrow(&parsed))),
                Err(_) => done(socket, Err(AckError::Mismatch)),
            },
            Err(error) => done(socket, Err(error)),
        });
        let Self { socket, is_volatile, is_plain, timeout } = self;
        let ack_id = socket.acks.borrow_mut().await_one(socket.socket, call);
        let delivery = socket
            .send(Sends::Event { is_volatile, is_plain }, |parser, out, attachments, name| {
                parser.event(out, attachments, name, Some(ack_id), event, &args)
            });
        socket.await_ack(ack_id, if delivery == Delivery::Dropped { Some(Duration::ZERO) } else { timeout });
        delivery
    }
}

impl<D> Socket<'_, D> {
    /// Counts an ack that is awaited, and sees that it is not for longer than `timeout`. One that was not sent will not be
    /// answered: it has no time at all, and is given up when this call is over.
    fn await_ack(&self, ack_id: u64, timeout: Option<Duration>) {
        let Cx { state, port } = &mut *self.cx.borrow_mut();
        let socket = self.socket;
        let entry = &mut state.sockets[socket as usize];
        let is_too_many = entry.acks as usize >= state.config.acks_per_socket_max;
        if !is_too_many {
            entry.acks += 1;
        }
        let space = state.namespaces.space(entry.namespace);
        let oldest = is_too_many.then(|| self.acks.borrow_mut().give_up_oldest(socket)).flatten();
        if let Some(time) = timeout {
            let due_us = if time.is_zero() { 0 } else { due_after(*port, time) };
            state.alarm(*port, Alarm { due_us, ack_id, socket, space });
        }
        if let Some(oldest) = oldest {
            port.counters().io_acks_given_up.add(1);
            state.alarm(*port, Alarm { due_us: 0, ack_id: oldest, socket, space });
        }
    }
}

impl<D> fmt::Debug for SocketOperator<'_, '_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketOperator")
            .field("is_volatile", &self.is_volatile)
            .field("is_plain", &self.is_plain)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

//! How an event goes to one socket: the operators `volatile`, `latest_only` and `timeout`, and the emits that end them.

use std::fmt;
use std::time::Duration;

use crate::base::slow::{Mark, SlowPolicy};
use crate::core::service::Delivery;
use crate::proto::socketio::{EmitArgs, Payload};

use super::acks::{AckError, OnAck};
use super::alarms::{Alarm, due_after};
use super::socket::{Sends, Socket};
use super::state::Cx;

/// An event on its way to a socket. Begun by [`Socket::volatile`], [`Socket::drop_new`] and their like,
/// and [`Socket::timeout`].
#[must_use = "nothing is sent before emit"]
pub struct SocketOperator<'s, 'a, D> {
    pub(super) socket: &'s Socket<'a, D>,
    pub(super) is_volatile: bool,
    pub(super) is_plain: bool,
    pub(super) mark: Mark,
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

    /// Dropped if its client has no room for it; the client stays.
    pub const fn drop_new(mut self) -> Self {
        self.mark = Mark::NEW;
        self
    }

    /// If its client has no room for it older events of this kind are dropped; and it is dropped for newer ones.
    pub const fn drop_oldest(mut self) -> Self {
        self.mark = Mark::OLDEST;
        self
    }

    /// Takes the place of the event that was sent to this client before with this key, in this namespace, if that has not begun
    /// to leave: see [`BroadcastOperator::latest_only`](super::BroadcastOperator::latest_only).
    pub fn latest_only(mut self, key: impl AsRef<str>) -> Self {
        self.mark = Mark::latest(self.socket.namespace(), key.as_ref());
        self
    }

    /// Never dropped, whatever its client's policy is: if there is no room for it the client is closed.
    pub const fn or_close(mut self) -> Self {
        self.mark = Mark::KEEP;
        self
    }

    /// How long an answer is awaited.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends the event, as [`Socket::emit`] does.
    pub fn emit(self, event: &str, args: impl EmitArgs) -> Delivery {
        let Self { socket, is_volatile, is_plain, mark, .. } = self;
        socket.send(Sends::Event { is_volatile, is_plain, mark, event }, |parser, out, attachments, name| {
            parser.event(out, attachments, name, None, event, &args)
        })
    }

    /// Sends the event and calls `done` with its client's answer, as [`Socket::emit_with_ack`] does, or with why there is none.
    ///
    /// It is not dropped but by an operator of its own: its client's policy does not apply. One that is dropped after it was queued
    /// is not answered, so it should have a [`timeout`](Self::timeout).
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
        let Self { socket, is_volatile, is_plain, mark, timeout } = self;
        let mark = if mark == Mark::UNSET { Mark::KEEP } else { mark };
        let ack_id = socket.acks.borrow_mut().await_one(socket.socket, call);
        let sends = Sends::Event { is_volatile, is_plain, mark, event };
        let delivery = socket.send(sends, |parser, out, attachments, name| {
            parser.event(out, attachments, name, Some(ack_id), event, &args)
        });
        socket.await_ack(ack_id, if delivery == Delivery::Dropped { Some(Duration::ZERO) } else { timeout });
        delivery
    }
}

impl<'a, D> Socket<'a, D> {
    pub(super) const fn operator(&self) -> SocketOperator<'_, 'a, D> {
        SocketOperator { socket: self, is_volatile: false, is_plain: false, mark: Mark::UNSET, timeout: None }
    }

    /// An event for its client only if that takes it at once: it is dropped while something else is queued.
    pub const fn volatile(&self) -> SocketOperator<'_, 'a, D> {
        self.operator().volatile()
    }

    /// An event that is dropped if its client has no room for it; the client stays.
    pub const fn drop_new(&self) -> SocketOperator<'_, 'a, D> {
        self.operator().drop_new()
    }

    /// An event for which older ones of its kind are dropped if its client has no room for it, and which is dropped for newer ones.
    pub const fn drop_oldest(&self) -> SocketOperator<'_, 'a, D> {
        self.operator().drop_oldest()
    }

    /// An event that takes the place of the one that was sent before with this key, in this namespace, if that has not begun to
    /// leave: a slow client gets fewer of them, and the last one always.
    ///
    /// ```
    /// # fn moved(socket: &throng::io::Socket<'_>, player: &str, x: i32, y: i32) {
    /// socket.latest_only(player).emit("moved", (player, x, y));
    /// # }
    /// ```
    pub fn latest_only(&self, key: impl AsRef<str>) -> SocketOperator<'_, 'a, D> {
        self.operator().latest_only(key)
    }

    /// An event that is never dropped, whatever its client's policy is: if there is no room for it the client is closed.
    pub const fn or_close(&self) -> SocketOperator<'_, 'a, D> {
        self.operator().or_close()
    }

    /// What becomes of events that its client is too slow for.
    #[must_use]
    pub fn slow_policy(&self) -> SlowPolicy {
        let cx = self.cx.borrow();
        cx.state.slow_policy(cx.port, cx.state.sockets[self.socket as usize].session)
    }

    /// Says what becomes of events that its client is too slow for, in all its namespaces and by either transport; the server's
    /// `slow_policy` unless said. Operators of an event beat it. Acks, what asks for one, and the protocol's own packets are never
    /// dropped.
    pub fn set_slow_policy(&self, policy: SlowPolicy) {
        let Cx { state, port } = &mut *self.cx.borrow_mut();
        state.set_slow_policy(*port, state.sockets[self.socket as usize].session, policy);
    }

    /// An event that is compressed or is not: `socket.compress(false).emit(…)`.
    pub const fn compress(&self, compress: bool) -> SocketOperator<'_, 'a, D> {
        self.operator().compress(compress)
    }

    /// An event whose answer is awaited for so long: `socket.timeout(…).emit_with_ack(…)`.
    pub const fn timeout(&self, timeout: Duration) -> SocketOperator<'_, 'a, D> {
        self.operator().timeout(timeout)
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

//! Acks: those that are awaited of clients, and the token by which a client's own is answered later.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;

use slab::Slab;

use crate::base::slow::Mark;
use crate::proto::engineio::SessionId;
use crate::proto::socketio::{Args, EmitArgs};

use super::mail::IoMail;
use super::parser::Parser;
use super::port::Port;
use super::remote::IoRemote;
use super::shard::IoShard;
use super::socket::Socket;
use super::state::State;

/// Why an ack did not come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum AckError {
    /// Not within its time, or too many others were asked for after it (`acks_per_socket_max`), or it could not be sent.
    Timeout,
    /// The socket is gone.
    Disconnected,
    /// It came, but its arguments are something else than was asked for.
    Mismatch,
}

impl fmt::Display for AckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "operation has timed out",
            Self::Disconnected => "socket has been disconnected",
            Self::Mismatch => "the arguments are something else",
        })
    }
}

impl std::error::Error for AckError {}

/// A client's question, to be answered later, once, from any thread: of [`Socket::take_ack`]. Dropped, it leaves the client
/// without an answer.
///
/// ```
/// # fn describe(io: &mut throng::io::Io) {
/// io.of("/").on("add slowly", |socket, &(a, b): &(i64, i64)| {
///     let ack = socket.take_ack();
///     std::thread::spawn(move || ack.answer(a.wrapping_add(b)));
/// });
/// # }
/// ```
#[must_use = "dropped, it leaves the client without an answer"]
pub struct Ack(pub(super) Option<Asker>);

/// Who has asked, and where it lives.
pub(super) struct Asker {
    pub(super) remote: IoRemote,
    pub(super) parser: Parser,
    pub(super) namespace: Box<str>,
    pub(super) id: SessionId,
    pub(super) ack_id: u64,
}

impl Ack {
    /// Whether an answer is awaited: false where the client did not ask for one, or it was given before.
    #[must_use]
    pub const fn is_awaited(&self) -> bool {
        self.0.is_some()
    }

    /// Answers, as [`Socket::ack`] does; it is encoded on this thread. A client that is gone by then hears nothing. False: none
    /// is awaited, or it cannot be serialized, which is logged.
    pub fn answer(self, args: impl EmitArgs) -> bool {
        let Some(Asker { remote, parser, namespace, id, ack_id }) = self.0 else { return false };
        let (mut packet, mut attachments) = (Vec::with_capacity(128), Vec::new());
        if let Err(error) = parser.ack(&mut packet, &mut attachments, &namespace, ack_id, &args) {
            tracing::error!(%error, "an ack was not sent");
            return false;
        }
        let call = move |io: &mut IoShard, port: &mut dyn Port| {
            io.state.send_packet(port, &id, packet, attachments);
        };
        remote.send(usize::from(id.shard), IoMail::Call(Box::new(call)));
        true
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack").field("is_awaited", &self.is_awaited()).finish()
    }
}

impl State {
    /// Sends a packet that was encoded elsewhere to a socket, if it is still there.
    fn send_packet(
        &mut self,
        port: &mut dyn Port,
        id: &SessionId,
        packet: Vec<u8>,
        attachments: Vec<Vec<u8>>,
    ) {
        let Some(socket) = self.socket_of(id) else { return };
        (self.out, self.attachments) = (packet, attachments);
        self.send_out(port, self.sockets[socket as usize].session, Mark::KEEP);
    }
}

/// What runs when an ack comes, or does not.
pub(super) type OnAck<D> = Box<dyn FnOnce(&mut Socket<'_, D>, Result<Args<'_>, AckError>, &mut String)>;

/// What runs when a job's result is back.
pub(super) type OnDone<D> = Box<dyn FnOnce(&mut Socket<'_, D>, Box<dyn Any + Send>)>;

/// The acks a namespace awaits, by socket and number, so that a socket's own lie together, the oldest first.
pub(super) struct Acks<D> {
    next: u64,
    pending: BTreeMap<(u32, u64), OnAck<D>>,
    /// Those that were too many: nobody may answer them any more, but they have yet to be told.
    given_up: BTreeMap<(u32, u64), OnAck<D>>,
    /// What is to be done with the results of the jobs that are under way.
    pub(super) jobs: Slab<OnDone<D>>,
}

impl<D> Default for Acks<D> {
    fn default() -> Self {
        Self { next: 0, pending: BTreeMap::new(), given_up: BTreeMap::new(), jobs: Slab::new() }
    }
}

impl<D> Acks<D> {
    pub(super) fn await_one(&mut self, socket: u32, call: OnAck<D>) -> u64 {
        let ack_id = self.next;
        self.next += 1;
        self.pending.insert((socket, ack_id), call);
        ack_id
    }

    /// The ack with this number, if it is awaited of this socket.
    pub(super) fn take(&mut self, socket: u32, ack_id: u64) -> Option<OnAck<D>> {
        self.pending.remove(&(socket, ack_id))
    }

    /// Whether somebody is still to hear of the ack with this number.
    pub(super) fn awaits(&self, socket: u32, ack_id: u64) -> bool {
        self.pending.contains_key(&(socket, ack_id)) || self.given_up.contains_key(&(socket, ack_id))
    }

    /// The ack with this number, if it was given up.
    pub(super) fn take_given_up(&mut self, socket: u32, ack_id: u64) -> Option<OnAck<D>> {
        self.given_up.remove(&(socket, ack_id))
    }

    /// Awaits the oldest of a socket no longer. Returns its number.
    pub(super) fn give_up_oldest(&mut self, socket: u32) -> Option<u64> {
        let (&place, _) = self.pending.range(of(socket)).next()?;
        let call = self.pending.remove(&place)?;
        self.given_up.insert(place, call);
        Some(place.1)
    }

    /// Those that are awaited of a socket, in the order they were asked for, behind those that were given up.
    pub(super) fn take_all(&mut self, socket: u32) -> Vec<OnAck<D>> {
        let Self { pending, given_up, .. } = self;
        let mut all = Vec::new();
        for acks in [given_up, pending] {
            let places: Vec<_> = acks.range(of(socket)).map(|(place, _)| *place).collect();
            all.extend(places.iter().filter_map(|place| acks.remove(place)));
        }
        all
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len() + self.given_up.len()
    }
}

/// The places of a socket's acks.
const fn of(socket: u32) -> std::ops::RangeInclusive<(u32, u64)> {
    (socket, 0)..=(socket, u64::MAX)
}

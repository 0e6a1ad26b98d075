//! Acks: those that are awaited of clients, and the token by which a client's own is answered later.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;

use slab::Slab;

use crate::proto::socketio::Args;

use super::socket::Socket;

/// Why an ack did not come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum AckError {
    /// Not within its time.
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

/// What runs when an ack comes, or does not.
pub(super) type OnAck<D> = Box<dyn FnOnce(&mut Socket<'_, D>, Result<Args<'_>, AckError>, &mut String)>;

/// What runs when a job's result is back.
pub(super) type OnDone<D> = Box<dyn FnOnce(&mut Socket<'_, D>, Box<dyn Any + Send>)>;

pub(super) struct Pending<D> {
    pub(super) socket: u32,
    pub(super) call: OnAck<D>,
}

/// The acks a namespace awaits, by their numbers.
pub(super) struct Acks<D> {
    next: u64,
    pending: HashMap<u64, Pending<D>>,
    /// What is to be done with the results of the jobs that are under way.
    pub(super) jobs: Slab<OnDone<D>>,
}

impl<D> Default for Acks<D> {
    fn default() -> Self {
        Self { next: 0, pending: HashMap::new(), jobs: Slab::new() }
    }
}

impl<D> Acks<D> {
    pub(super) fn await_one(&mut self, socket: u32, call: OnAck<D>) -> u64 {
        let ack_id = self.next;
        self.next += 1;
        self.pending.insert(ack_id, Pending { socket, call });
        ack_id
    }

    /// The ack with this number, if it is awaited (of this socket).
    pub(super) fn take(&mut self, ack_id: u64, socket: Option<u32>) -> Option<Pending<D>> {
        let pending = self.pending.get(&ack_id)?;
        if socket.is_some_and(|socket| socket != pending.socket) {
            return None;
        }
        self.pending.remove(&ack_id)
    }

    /// Those that are awaited of a socket, in the order they were asked for.
    pub(super) fn take_all(&mut self, socket: u32) -> Vec<Pending<D>> {
        let of_it = |(_, pending): &(&u64, &Pending<D>)| pending.socket == socket;
        let mut ids: Vec<u64> = self.pending.iter().filter(of_it).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids.into_iter().filter_map(|id| self.pending.remove(&id)).collect()
    }
}

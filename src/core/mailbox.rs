//! How shards and other threads reach a shard: a bounded mailbox each, and a spill in front of a full one.
//!
//! Every message takes room before it is put in, a slot and its bytes, so "is there room in every mailbox?" can be asked
//! and held for a moment: a publish from another thread is in all mailboxes or in none. A shard never waits for room: what
//! does not fit goes into its own spill for that destination, and everything after it goes behind it, so the order per
//! sender and receiver is kept. Two shards with full mailboxes cannot block each other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::bell::Bell;

/// What a mailbox has room for: a count of messages, and bytes of those that have many.
#[derive(Debug)]
struct Room {
    slots: AtomicUsize,
    bytes: AtomicIsize,
    bytes_max: isize,
}

/// Slots that cannot run out, and leave room for those that are given back; and so many bytes as well.
const ENDLESS: usize = isize::MAX as usize / 2;

impl Room {
    /// Whatever its size, a message fits where no other bytes are: else one above the limit would wait for ever.
    fn take(&self, bytes: usize) -> bool {
        let bytes = bytes as isize;
        if bytes > 0 {
            let held = self.bytes.fetch_add(bytes, Ordering::Relaxed);
            if held > 0 && held.saturating_add(bytes) > self.bytes_max {
                self.bytes.fetch_sub(bytes, Ordering::Relaxed);
                return false;
            }
        }
        let mut slots = self.slots.load(Ordering::Relaxed);
        while slots > 0 {
            match self.slots.compare_exchange_weak(slots, slots - 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => slots = now,
            }
        }
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        false
    }

    fn give(&self, bytes: usize) {
        if bytes > 0 {
            self.bytes.fetch_sub(bytes as isize, Ordering::Relaxed);
        }
        self.slots.fetch_add(1, Ordering::Release);
    }
}

/// The end that sends to one shard. Cheap to clone; any thread may hold it.
#[derive(Debug)]
pub struct Outlet<M> {
    sender: Sender<(M, usize)>,
    owed: Sender<M>,
    room: Arc<Room>,
    bell: Arc<Bell>,
}

impl<M> Clone for Outlet<M> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            owed: self.owed.clone(),
            room: self.room.clone(),
            bell: self.bell.clone(),
        }
    }
}

/// The end that a shard empties.
#[derive(Debug)]
pub struct Inbox<M> {
    receiver: Receiver<(M, usize)>,
    owed: Receiver<M>,
    room: Arc<Room>,
    bell: Arc<Bell>,
}

/// A mailbox with `slots` slots and room for `bytes_max` bytes: both of its ends.
pub fn mailbox<M>(slots: usize, bytes_max: usize) -> (Outlet<M>, Inbox<M>) {
    let (sender, receiver) = bounded(slots);
    let (owe, owed) = unbounded();
    let room = Room {
        slots: AtomicUsize::new(slots),
        bytes: AtomicIsize::new(0),
        bytes_max: bytes_max.min(ENDLESS) as isize,
    };
    let (room, bell) = (Arc::new(room), Arc::new(Bell::default()));
    let outlet = Outlet { sender, owed: owe, room: room.clone(), bell: bell.clone() };
    (outlet, Inbox { receiver, owed, room, bell })
}

impl<M> Outlet<M> {
    /// Takes room for a message; false where there is none. Follow with [`put`](Self::put) or [`free`](Self::free), of as
    /// many bytes. Only what may be refused for its size has bytes: the mail that must go through is small, and is 0.
    #[must_use]
    pub fn reserve(&self, bytes: usize) -> bool {
        self.room.take(bytes)
    }

    /// Gives room back unused.
    pub fn free(&self, bytes: usize) {
        self.room.give(bytes);
    }

    /// Fills reserved room. False: the shard is gone, and the message with it; the room is free again.
    pub fn put(&self, message: M, bytes: usize) -> bool {
        // The channel has as many places as there are slots, so it is never full here.
        let is_put = self.sender.try_send((message, bytes)).is_ok();
        if !is_put {
            self.free(bytes);
        }
        is_put
    }

    /// Puts in a message that somebody waits for, and that takes no slot: there are never more than there are answers owed.
    /// It keeps no order with the others.
    pub fn put_owed(&self, message: M) -> bool {
        self.owed.try_send(message).is_ok()
    }

    /// After one or more messages: whether the shard must be woken.
    #[must_use]
    pub fn must_wake(&self) -> bool {
        self.bell.must_wake()
    }
}

impl<M> Drop for Inbox<M> {
    fn drop(&mut self) {
        // What was in it is dropped with it, room and all: whoever waits for some would wait for ever.
        self.room.slots.store(ENDLESS, Ordering::Release);
        self.room.bytes.store(-(ENDLESS as isize), Ordering::Release);
        // The channel itself would keep it until the last outlet is gone, and with it sockets and whatever answers.
        self.receiver.try_iter().for_each(drop);
    }
}

impl<M> Inbox<M> {
    /// Takes the next message and frees its room.
    pub fn take(&self) -> Option<M> {
        let (message, bytes) = self.receiver.try_recv().ok()?;
        self.room.give(bytes);
        Some(message)
    }

    /// Takes the next message that took no slot.
    pub fn take_owed(&self) -> Option<M> {
        self.owed.try_recv().ok()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.receiver.is_empty() && self.owed.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.receiver.len() + self.owed.len()
    }

    /// Before sleeping: whether the shard may.
    #[must_use]
    pub fn may_sleep(&self) -> bool {
        self.bell.may_sleep(|| !self.is_empty())
    }

    /// After sleeping.
    pub fn awake(&self) {
        self.bell.awake();
    }
}

/// What became of a message between shards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Posted {
    /// It is in the mailbox.
    Sent,
    /// It waits in the spill.
    Spilled,
    /// The spill is full, and the message was one that may be dropped.
    Dropped,
}

/// Room for messages that an empty spill keeps: a flood's is given back.
const SPILL_KEPT: usize = 256;

#[derive(Debug)]
struct Route<M> {
    outlet: Outlet<M>,
    spill: VecDeque<(M, usize)>,
    spilled_bytes: usize,
    is_mailed: bool,
}

/// A shard's outgoing side: a route to every shard, itself included.
#[derive(Debug)]
pub struct Outlets<M> {
    routes: Vec<Route<M>>,
    spilled_bytes_max: usize,
}

impl<M> Outlets<M> {
    /// Routes to these shards. Each may hold `spilled_bytes_max` bytes of droppable messages in its spill.
    pub fn new(outlets: Vec<Outlet<M>>, spilled_bytes_max: usize) -> Self {
        let route = |outlet| Route { outlet, spill: VecDeque::new(), spilled_bytes: 0, is_mailed: false };
        Self { routes: outlets.into_iter().map(route).collect(), spilled_bytes_max }
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.routes.len()
    }

    /// Sends a message that must not be lost: an answer, a close, an adoption. Each is bounded by what it answers.
    pub fn send(&mut self, shard: usize, message: M) -> Posted {
        self.post(shard, message, 0)
    }

    /// Sends a message that counts `bytes` in the spill, and may be dropped there.
    pub fn send_droppable(&mut self, shard: usize, message: M, bytes: usize) -> Posted {
        let route = &self.routes[shard];
        if !route.spill.is_empty() && route.spilled_bytes + bytes > self.spilled_bytes_max {
            return Posted::Dropped;
        }
        self.post(shard, message, bytes)
    }

    fn post(&mut self, shard: usize, message: M, bytes: usize) -> Posted {
        let route = &mut self.routes[shard];
        route.is_mailed = true;
        if route.spill.is_empty() && route.outlet.reserve(bytes) {
            // A shard that is gone takes no mail: it ended with all others, at the server's stop.
            route.outlet.put(message, bytes);
            return Posted::Sent;
        }
        route.spilled_bytes += bytes;
        route.spill.push_back((message, bytes));
        Posted::Spilled
    }

    /// Moves what fits from the spills to the mailboxes; true while something is left.
    pub fn unspill(&mut self) -> bool {
        let mut is_left = false;
        for route in &mut self.routes {
            while let Some((_, bytes)) = route.spill.front()
                && route.outlet.reserve(*bytes)
            {
                let Some((message, bytes)) = route.spill.pop_front() else { break };
                route.spilled_bytes -= bytes;
                route.is_mailed = true;
                route.outlet.put(message, bytes);
            }
            if route.spill.is_empty() && route.spill.capacity() > SPILL_KEPT {
                route.spill = VecDeque::new();
            }
            is_left |= !route.spill.is_empty();
        }
        is_left
    }

    /// How many messages wait in spills.
    pub fn spilled(&self) -> usize {
        self.routes.iter().map(|route| route.spill.len()).sum()
    }

    /// Bytes that count in the fullest spill.
    pub fn fullest_spill_bytes(&self) -> usize {
        self.routes.iter().map(|route| route.spilled_bytes).max().unwrap_or(0)
    }

    /// Calls `wake` for every shard that was sent something since the last time and sleeps.
    pub fn ring(&mut self, mut wake: impl FnMut(usize)) {
        for (shard, route) in self.routes.iter_mut().enumerate() {
            if std::mem::take(&mut route.is_mailed) && route.outlet.must_wake() {
                wake(shard);
            }
        }
    }
}

#[cfg(test)]
mod tests;

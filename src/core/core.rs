//! What a shard lends its service: the queues, and everything a service may do to them.
//!
//! Owns the table, the cork, outboxes, batches, the hub, deadlines, timers and the way to other shards. Never touches a socket: what
//! has to happen there is noted (dirty, dead, opened) and done by the shard's turn.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::base::config::Config;
use crate::base::id::{ConnId, Key};
use crate::base::metrics::Counters;
use crate::base::pool::Pool;
use crate::base::slow::Mark;
use crate::hub::Hub;
use crate::proto::ws::{Message, Opcode, Store, encode};
use crate::sys::random::Random;

use super::batch::{BatchId, Batches};
use super::census::Census;
use super::conn::Stage;
use super::cork::Cork;
use super::deadlines::Deadlines;
use super::deflating::Deflating;
use super::drain::Draining;
use super::gate::Gate;
use super::incomplete::Incomplete;
use super::mail::{MAIL_BYTES, Mail};
use super::mailbox::{Outlets, Posted};
use super::outbox::Unit;
use super::outboxes::Outboxes;
use super::parts::Parts;
use super::published::Published;
use super::service::{Delivery, Service, Ticket};
use super::table::Table;
use super::timers::{TimerId, Timers};

/// What a service is lent in every call.
pub struct Core<S: Service> {
    pub(super) shard: u16,
    pub(super) config: Arc<Config>,
    pub(super) counters: Arc<Counters>,
    pub(super) census: Arc<Census>,
    pub(super) gate: Gate,
    /// This turn's time, in microseconds and in wrapping milliseconds.
    pub(super) now_us: u64,
    pub(super) now: u32,
    pub(super) table: Table<S::Conn>,
    pub(super) store: Store,
    pub(super) cork: Cork,
    /// The connection being read has ended: decode no further.
    pub(super) is_halted: bool,
    pub(super) reading: Option<Key>,
    /// When this step's reads have taken their time, and whether they have: then each connection is read a little at a time.
    pub(super) input_ends_us: u64,
    pub(super) is_input_long: bool,
    /// What is left of this step's budget of deliveries.
    pub(super) deliveries_left: usize,
    /// Messages until it is looked at whether the connection being read has had its share; a publish that ends the budget
    /// makes it the next.
    pub(super) until_look: i32,
    /// When its share of time is over, once it was looked at.
    pub(super) share_ends_us: Option<u64>,
    /// Whom the service works for in a call that is about no connection by itself.
    pub(super) working_for: Option<Key>,
    pub(super) deflating: Deflating,
    pub(super) incomplete: Incomplete,
    pub(super) outboxes: Outboxes,
    pub(super) batches: Batches,
    pub(super) hub: Hub,
    pub(super) deadlines: Deadlines,
    pub(super) timers: Timers<S::Timer>,
    pub(super) outlets: Outlets<Mail<S::Mail>>,
    /// Connections with something to flush, to read again, that are over, that are open, that are drained.
    pub(super) dirty: VecDeque<Key>,
    pub(super) more: VecDeque<Key>,
    pub(super) dead: Vec<Key>,
    pub(super) opened: Vec<Key>,
    pub(super) drained: Vec<Key>,
    /// Deferred requests that were refused because their time was over.
    pub(super) gone: Vec<Ticket>,
    pub(super) tickets: u32,
    pub(super) assembly: Vec<u8>,
    pub(super) draining: Draining,
    random: Random,
}

impl<S: Service> Core<S> {
    pub(super) fn new(parts: Parts<S::Mail>, scratch: &[u8]) -> Self {
        let Parts { shard, config, counters, census, outlets, capacity } = parts;
        // One read may bring a quarter more in answers before the outbox is needed. What a peer does not take of it becomes
        // its outbox, so it has that one's limit.
        let copied = (scratch.len() + scratch.len() / 4).min(config.outbox_bytes_max);
        let cork = Cork::new(copied, config.outbox_bytes_max, scratch);
        Self {
            shard,
            table: Table::new(capacity, config.slow_policy),
            deadlines: Deadlines::new(&config),
            config,
            counters,
            census,
            gate: Gate::default(),
            now_us: 0,
            now: 0,
            store: Store::default(),
            cork,
            is_halted: false,
            reading: None,
            input_ends_us: 0,
            is_input_long: false,
            deliveries_left: 0,
            until_look: 0,
            share_ends_us: None,
            working_for: None,
            deflating: Deflating::default(),
            incomplete: Incomplete::default(),
            outboxes: Outboxes::default(),
            batches: Batches::new(),
            hub: Hub::new(),
            timers: Timers::default(),
            outlets,
            dirty: VecDeque::new(),
            more: VecDeque::new(),
            dead: Vec::new(),
            opened: Vec::new(),
            drained: Vec::new(),
            gone: Vec::new(),
            tickets: 0,
            assembly: Vec::new(),
            draining: Draining::default(),
            random: Random::default(),
        }
    }

    /// This shard's number, from 0.
    pub fn shard(&self) -> usize {
        self.shard as usize
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.outlets.shards()
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The shard's buffers, which go round.
    pub fn buffers(&mut self) -> &mut Pool {
        &mut self.store.buffers
    }

    /// This shard's counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many connections this shard has.
    pub fn connections(&self) -> usize {
        self.table.len()
    }

    /// The time of this turn, in microseconds since the shard began.
    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    /// The server-wide name of a connection of this shard.
    pub fn id(&self, key: Key) -> ConnId {
        ConnId::new(self.shard, key)
    }

    /// Whether the connection is a WebSocket that can be sent to.
    #[inline]
    pub fn is_open(&self, key: Key) -> bool {
        self.table.conn(key).is_some_and(|conn| conn.stage == Stage::Open)
    }

    /// What the service keeps of a connection.
    #[inline]
    pub fn data(&mut self, key: Key) -> Option<&mut S::Conn> {
        self.table.conn_mut(key).map(|conn| &mut conn.data)
    }

    /// The address of a connection's peer.
    pub fn peer_addr(&self, key: Key) -> Option<SocketAddr> {
        self.table.address(key)
    }

    /// Whether a connection speaks TLS.
    pub fn is_secure(&self, key: Key) -> bool {
        self.table.is_secure(key)
    }

    /// Random bytes that nobody guesses.
    pub fn random<const N: usize>(&mut self) -> [u8; N] {
        self.random.bytes()
    }

    /// Sends a message to a connection.
    #[inline]
    pub fn send(&mut self, key: Key, message: Message<'_>) -> Delivery {
        if let Some(delivery) = self.send_corked(key, message) {
            return delivery;
        }
        self.send_uncorked(key, message, Mark::UNSET)
    }

    /// Puts a message into the cork, if that is its connection's and takes it.
    #[inline(always)]
    fn send_corked(&mut self, key: Key, message: Message<'_>) -> Option<Delivery> {
        if !self.cork.is_open_for(key) || self.is_halted || !self.cork.push(message, &self.store.carried) {
            return None;
        }
        Some(self.corked(key))
    }

    /// Sends a message with a wish of its own what becomes of it if the peer is too slow.
    pub fn send_marked(&mut self, key: Key, message: Message<'_>, mark: Mark) -> Delivery {
        // In the cork it would stand beyond its successor's reach.
        if !mark.is_latest()
            && let Some(delivery) = self.send_corked(key, message)
        {
            return delivery;
        }
        self.send_uncorked(key, message, mark)
    }

    /// Sends a message that the cork has not taken as it is.
    #[inline(never)]
    fn send_uncorked(&mut self, key: Key, message: Message<'_>, mark: Mark) -> Delivery {
        if let Some(delivery) = self.send_deflated(key, message, mark) {
            return delivery;
        }
        self.send_plain(key, message, mark)
    }

    /// Sends a connection frames that are encoded already, as one unit.
    pub fn send_frames(&mut self, key: Key, frames: &Published) -> Delivery {
        if !self.is_open(key) {
            self.counters.sends_dropped.add(1);
            return Delivery::Dropped;
        }
        let frames = self.form_for(key.slot, frames);
        if !frames.mark().is_latest() && self.cork.is_open_for(key) && self.cork.push_shared(frames) {
            return self.corked(key);
        }
        self.queue_message(key, Unit::Shared(frames.clone()))
    }

    /// A message as a unit, in a buffer of the pool.
    pub(super) fn encoded(&mut self, message: Message<'_>) -> Unit {
        let mut bytes = self.store.buffers.take(message.len() + 14);
        encode::append(&mut bytes, message);
        Unit::own(bytes)
    }

    /// Sends a message to a connection of another shard. `Queued` says that it is on its way there.
    pub fn send_to(&mut self, id: ConnId, message: Message<'_>, mark: Mark) -> Delivery {
        if id.shard() >= self.outlets.shards() {
            self.counters.sends_dropped.add(1);
            return Delivery::Dropped;
        }
        let payload = message.as_bytes().to_vec();
        let mail = Mail::Send { key: id.key, opcode: message.opcode(), mark, payload };
        match self.outlets.send_droppable(id.shard(), mail, message.len() + MAIL_BYTES) {
            Posted::Sent => Delivery::Queued,
            Posted::Spilled => {
                self.counters.mails_spilled.add(1);
                Delivery::Queued
            }
            Posted::Dropped => {
                self.counters.sends_dropped.add(1);
                Delivery::Dropped
            }
        }
    }

    /// Sends a payload that came by mail.
    pub(super) fn send_payload(&mut self, key: Key, opcode: Opcode, mark: Mark, payload: &[u8]) {
        let message = match opcode {
            Opcode::Text => Message::Text(std::str::from_utf8(payload).unwrap_or_default()),
            _ => Message::Binary(payload),
        };
        self.send_marked(key, message, mark);
    }

    /// Sends the service of another shard, or of this one, a message. It arrives in order, and is never dropped.
    ///
    /// # Panics
    /// If there is no such shard.
    pub fn mail(&mut self, shard: usize, mail: S::Mail) {
        self.post_mail(shard, Mail::Service(mail));
    }

    /// Sends the service of another shard a message that may be dropped: false where the spill to that shard is full.
    /// `bytes` is what the message occupies beside its own entry.
    pub fn mail_droppable(&mut self, shard: usize, mail: S::Mail, bytes: usize) -> bool {
        match self.outlets.send_droppable(shard, Mail::Service(mail), bytes + MAIL_BYTES) {
            Posted::Sent => true,
            Posted::Spilled => {
                self.counters.mails_spilled.add(1);
                true
            }
            Posted::Dropped => {
                self.counters.publishes_dropped.add(1);
                false
            }
        }
    }

    pub(super) fn post_mail(&mut self, shard: usize, mail: Mail<S::Mail>) {
        if self.outlets.send(shard, mail) == Posted::Spilled {
            self.counters.mails_spilled.add(1);
        }
    }

    /// Sets a timer that rings `after_us` microseconds from now, or up to a millisecond and a turn later; and then every
    /// `period_us`, if that is not 0.
    pub fn set_timer(&mut self, after_us: u64, period_us: u64, timer: S::Timer) -> TimerId {
        // In the next turn at the earliest, so that a timer of 0 cannot hold the loop.
        self.timers.set(self.now_us.saturating_add(after_us.max(1)), period_us, timer)
    }

    /// Whether a timer will still ring.
    pub fn is_timer_set(&self, id: TimerId) -> bool {
        self.timers.is_set(id)
    }

    /// Cancels a timer; false where it has rung for the last time, or was cancelled.
    pub fn cancel_timer(&mut self, id: TimerId) -> bool {
        self.timers.cancel(id)
    }

    /// Says that what runs now, a mail or a timer, works for this connection: if it panics, that is the one that ends.
    pub fn works_for(&mut self, key: Key) {
        self.working_for = Some(key);
    }

    /// A ticket for the request that is being asked about, to answer it later.
    pub fn ticket(&mut self, key: Key) -> Ticket {
        self.tickets = self.tickets.wrapping_add(1);
        Ticket { key, number: self.tickets }
    }
}

impl<S: Service> std::fmt::Debug for Core<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("shard", &self.shard)
            .field("connections", &self.table.len())
            .finish_non_exhaustive()
    }
}

/// A batch is 4 bytes in the entry, not a queue.
const _: () = assert!(size_of::<BatchId>() == 4);

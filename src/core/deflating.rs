//! Compression on a shard: what was agreed on with whom, whose streams are used, and how much of it a turn does.
//!
//! Without context takeover nothing is kept of a connection: one compressor per window in use and one inflater serve all, and go
//! when the shard is idle. With it a connection has streams of its own, in a map that is empty where nobody has, and counted against
//! `deflate_bytes_max` when the connection is opened. Owns that map and the budgets; never looks at a payload.
//!
//! What may be dropped after it was compressed must refer to nothing and be referred to by nothing: it is compressed by the
//! shard's stream, and the connection's own is reset behind it, as behind every publication.

use std::collections::HashMap;

use crate::base::config::Config;
use crate::base::id::Key;
use crate::base::metrics::Counters;
use crate::base::slow::Mark;
use crate::proto::ws::deflate::{Agreed, Deflater, Inflater, Offers, Terms};
use crate::proto::ws::{Message, Store, encode};

use super::conn::Stage;
use super::core::Core;
use super::outbox::Unit;
use super::publication::Publication;
use super::published::{Published, WINDOWS, window_index};
use super::service::{Delivery, Service};

/// What a message costs to inflate besides its bytes, counted in them: 1 µs to begin with.
const INFLATE_COST_BYTES: usize = 1 << 10;

/// Working space above this is given back: one large message should not cost its size for ever.
const OUT_KEPT_BYTES: usize = 256 << 10;

/// The streams of a shard.
#[derive(Debug, Default)]
pub(super) struct Deflating {
    /// By window: for messages that refer to none before them.
    deflaters: [Option<Box<Deflater>>; WINDOWS],
    /// By slot.
    contexts: HashMap<u32, Context>,
    context_bytes: usize,
    /// What is left of the turn's budgets, in bytes of messages.
    pub(super) deflate_left: usize,
    pub(super) inflate_left: usize,
    out: Vec<u8>,
}

/// The streams of one connection, made when they are first used.
#[derive(Debug)]
struct Context {
    bytes: usize,
    deflater: Option<Box<Deflater>>,
    inflater: Option<Box<Inflater>>,
}

impl Context {
    /// A message is sent that our own stream knows nothing of: its receiver's window moves on without it.
    fn forget(&mut self) {
        if let Some(deflater) = &mut self.deflater {
            deflater.reset();
        }
    }
}

/// What the contexts come to that were agreed on.
fn context_bytes(agreed: Agreed) -> usize {
    let ours = if agreed.server_takeover() { Deflater::bytes(agreed.server_bits()) } else { 0 };
    let theirs = if agreed.client_takeover() { Inflater::bytes(agreed.client_bits()) } else { 0 };
    ours + theirs
}

impl Deflating {
    /// Compresses a message for a connection into `self.out`: false where it is better sent as it is. One that may yet be
    /// dropped refers to nothing, and nothing refers to it.
    fn deflate(&mut self, config: &Config, slot: u32, agreed: Agreed, payload: &[u8], is_kept: bool) -> bool {
        self.out.clear();
        let (bits, level) = (agreed.server_bits(), config.deflate_level);
        let own = if agreed.server_takeover() { self.contexts.get_mut(&slot) } else { None };
        if let Some(context) = own {
            if is_kept {
                let stream = context.deflater.get_or_insert_with(|| Box::new(Deflater::new(level, bits)));
                return stream.deflate(payload, true, &mut self.out);
            }
            context.forget();
        }
        let stream =
            self.deflaters[window_index(bits)].get_or_insert_with(|| Box::new(Deflater::new(level, bits)));
        stream.deflate(payload, false, &mut self.out)
    }

    /// What of a publication a connection is sent.
    pub(super) fn form<'p>(
        &mut self,
        published: &'p Published,
        agreed: Agreed,
        slot: u32,
        level: u32,
        counters: &Counters,
    ) -> &'p Publication {
        let (plain, bits) = (&published.plain, agreed.server_bits());
        let Some(forms) = &published.forms else { return plain };
        let form = match forms.found(bits) {
            Some(form) => form,
            None if self.deflate_left == 0 => {
                counters.deflates_skipped.add(1);
                return plain;
            }
            None => {
                self.deflate_left = self.deflate_left.saturating_sub(plain.bytes());
                counters.messages_deflated.add(1);
                let stream = &mut self.deflaters[window_index(bits)];
                let stream = stream.get_or_insert_with(|| Box::new(Deflater::new(level, bits)));
                forms.make(plain, stream, bits)
            }
        };
        let Some(form) = form else { return plain };
        counters.deflate_bytes_saved.add(plain.frame().len().saturating_sub(form.frame().len()) as u64);
        if agreed.server_takeover()
            && let Some(context) = self.contexts.get_mut(&slot)
        {
            context.forget();
        }
        form
    }

    /// Takes note of what a connection was opened with.
    pub(super) fn open(&mut self, key: Key, agreed: Agreed) {
        if agreed.keeps_context() {
            let bytes = context_bytes(agreed);
            self.context_bytes += bytes;
            self.contexts.insert(key.slot, Context { bytes, deflater: None, inflater: None });
        }
    }

    /// Frees what a connection had.
    pub(super) fn close(&mut self, slot: u32) {
        if let Some(context) = self.contexts.remove(&slot) {
            self.context_bytes -= context.bytes;
        }
    }

    /// Puts a connection's own inflater in place of the shard's for the length of a read, or takes it back behind it.
    pub(super) fn swap_inflater(&mut self, slot: u32, store: &mut Store) {
        if let Some(context) = self.contexts.get_mut(&slot) {
            std::mem::swap(&mut context.inflater, &mut store.inflater);
        }
    }

    /// Whether something is kept that is nobody's own.
    pub(super) fn is_warm(&self) -> bool {
        self.out.capacity() > 0 || self.deflaters.iter().any(Option::is_some)
    }

    /// Frees what is nobody's own.
    pub(super) fn shrink(&mut self) {
        self.deflaters = Default::default();
        self.out = Vec::new();
    }

    /// How many connections have contexts, and what those may come to.
    pub(super) fn contexts(&self) -> (usize, usize) {
        (self.contexts.len(), self.context_bytes)
    }
}

impl<S: Service> Core<S> {
    /// Whether anything is kept until somebody needs it.
    pub(super) fn has_spare(&self) -> bool {
        self.store.buffers.kept_bytes() > 0
            || self.outboxes.are_kept()
            || self.store.inflater.is_some()
            || self.deflating.is_warm()
    }

    /// Frees what nobody needed since this was called before; streams, which all share, where the shard was idle.
    pub(super) fn give_spare_up(&mut self, is_idle: bool) {
        self.store.buffers.sweep();
        self.outboxes.sweep();
        // The next publish makes it anew, as large as it needs it.
        self.assembly = Vec::new();
        if is_idle {
            self.store.inflater = None;
            self.deflating.shrink();
        }
    }

    /// From how many bytes on messages are compressed; more than any has where compression is off.
    pub fn deflate_from(&self) -> usize {
        self.config.deflate_from()
    }

    /// On what terms a client's offers are looked at; `None` where they are not.
    pub(super) fn terms(&self, offers: &Offers) -> Option<Terms> {
        let config = &self.config;
        if !config.deflate || offers.is_empty() {
            return None;
        }
        let terms = Terms {
            window_bits: config.deflate_window_bits as u8,
            server_takeover: config.deflate_server_takeover,
            client_takeover: config.deflate_client_takeover,
        };
        let agreed = offers.agree(terms);
        if !agreed.is_on() {
            self.counters.deflates_declined.add(1);
        }
        if self.deflating.context_bytes + context_bytes(agreed) <= config.deflate_bytes_max {
            return Some(terms);
        }
        self.counters.takeovers_refused.add(1);
        Some(Terms { server_takeover: false, client_takeover: false, ..terms })
    }

    /// Sends a message compressed; `None` where it is to be sent as it is.
    pub(super) fn send_deflated(&mut self, key: Key, message: Message<'_>, mark: Mark) -> Option<Delivery> {
        let conn = self.table.conn(key)?;
        let agreed = conn.agreed;
        if !agreed.is_on() || message.len() < self.config.deflate_bytes_min || conn.stage != Stage::Open {
            return None;
        }
        let is_kept = mark.or(conn.peer.policy, || Mark::NEW) == Mark::KEEP;
        let (deflating, counters) = (&mut self.deflating, &self.counters);
        if deflating.deflate_left == 0 {
            counters.deflates_skipped.add(1);
            return None;
        }
        deflating.deflate_left = deflating.deflate_left.saturating_sub(message.len());
        counters.messages_deflated.add(1);
        if !deflating.deflate(&self.config, key.slot, agreed, message.as_bytes(), is_kept) {
            return None;
        }
        let payload = &deflating.out;
        counters.deflate_bytes_saved.add(message.len().saturating_sub(payload.len()) as u64);
        let header = encode::compressed_header(message.opcode(), payload.len());
        let goes_along = !mark.is_latest() && self.cork.is_open_for(key);
        let delivery = if goes_along && self.cork.push_parts(header.as_bytes(), payload) {
            self.corked(key)
        } else {
            let mut frame = self.store.buffers.take(header.as_bytes().len() + payload.len());
            frame.extend_from_slice(header.as_bytes());
            frame.extend_from_slice(payload);
            self.queue_message(key, Unit::own(frame).marked(mark))
        };
        if self.deflating.out.capacity() > OUT_KEPT_BYTES {
            self.deflating.out = Vec::new();
        }
        Some(delivery)
    }

    /// What became of a message that is corked.
    #[inline]
    pub(super) fn corked(&mut self, key: Key) -> Delivery {
        if self.cork.bytes() <= self.config.outbox_bytes_high {
            return Delivery::Queued;
        }
        self.pressured(key)
    }

    /// Sends a message as it is, whatever was agreed on; for a connection that is not open it is counted as dropped.
    pub fn send_plain(&mut self, key: Key, message: Message<'_>, mark: Mark) -> Delivery {
        if !self.is_open(key) {
            self.counters.sends_dropped.add(1);
            return Delivery::Dropped;
        }
        let goes_along = !mark.is_latest() && self.cork.is_open_for(key);
        if goes_along && self.cork.push_plain(message, &self.store.carried) {
            return self.corked(key);
        }
        let unit = self.encoded(message).marked(mark);
        self.queue_message(key, unit)
    }

    /// What of a publication a connection is sent: its frames as they are, or compressed.
    #[inline]
    pub(super) fn form_for<'p>(&mut self, slot: u32, published: &'p Published) -> &'p Publication {
        if published.forms.is_none() {
            return &published.plain;
        }
        let agreed =
            self.table.at(slot).filter(|(_, conn)| conn.stage == Stage::Open).map(|(_, conn)| conn.agreed);
        match agreed {
            Some(agreed) if agreed.is_on() => {
                self.deflating.form(published, agreed, slot, self.config.deflate_level, &self.counters)
            }
            _ => &published.plain,
        }
    }

    /// Counts what decoding has inflated. A turn inflates no more than its budget and one message: whoever has used it up is
    /// decoded no further.
    pub(super) fn charge_inflated(&mut self) {
        let inflated = std::mem::take(&mut self.store.inflated);
        if inflated.messages == 0 {
            return;
        }
        self.counters.messages_inflated.add(inflated.messages as u64);
        self.counters.inflate_bytes.add(inflated.bytes_out as u64);
        let cost = inflated.messages * INFLATE_COST_BYTES + inflated.bytes_in + inflated.bytes_out;
        self.deflating.inflate_left = self.deflating.inflate_left.saturating_sub(cost);
        if self.deflating.inflate_left == 0 {
            self.until_look = 0;
        }
    }

    /// Whether the connection being read is to wait for the next turn's budget of inflating. Those that have nothing to inflate
    /// do not.
    pub(super) fn has_inflated_enough(&self) -> bool {
        let reading = self.reading.and_then(|key| self.table.conn(key));
        self.deflating.inflate_left == 0 && reading.is_some_and(|conn| conn.agreed.is_on())
    }
}

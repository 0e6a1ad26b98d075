//! A connection is readable: one read into the scratch, decode, hand to the service, send what it said.
//!
//! One read per connection and turn. Whoever is drained is not asked twice only to be told "would block"; a full buffer, or a FIN behind the bytes, puts the connection on the list of those to be
//! read again. A large frame's bytes go straight into its carry, in the same call.

use std::io::{self, IoSlice, IoSliceMut};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::base::cause::{Cause, CloseReason};
use crate::base::id::Key;
use crate::proto::ws::{Carry, Decoder, Item, Limits, Message, Opcode, Role, encode};

use super::conn::{Arrived, Flags, Stage};
use super::core::Core;
use super::cork::Sources;
use super::exchange::Exchange;
use super::io::{Got, Io, READ_BYTES_MIN, cause_of};
use super::outbox::{PIECES_MAX, Unit};
use super::service::Service;
use super::shard::Shard;

impl<S: Service, I: Io> Shard<S, I> {
    /// Reads from a connection once, and does what follows from it.
    pub(super) fn read(&mut self, key: Key) {
        let Some(conn) = self.core.table.conn_mut(key) else { return };
        match conn.stage {
            Stage::Dead => return,
            Stage::Waiting if !conn.flags.any(Flags::READ_CLOSED) => return,
            Stage::Waiting => return self.core.vanish(key, Cause::PeerVanished),
            _ if conn.flags.any(Flags::PAUSED) => return,
            // Others have published so much that whatever this one publishes has to wait for the next turn.
            Stage::Head | Stage::Open if self.core.deliveries_left == 0 => return self.core.push_more(key),
            // So many newcomers have asked for something that the others come next: a turn stays short.
            Stage::Head if self.core.gate.handshakes_left == 0 && conn.peer.is_new() => {
                return self.core.push_more(key);
            }
            // The same of what is inflated.
            Stage::Open if self.core.deflating.inflate_left == 0 && conn.agreed.is_on() => {
                return self.core.push_more(key);
            }
            // A read earlier in this turn has filled the outbox, which was not flushed since.
            Stage::Head | Stage::Open if conn.queued as usize > self.core.config.outbox_bytes_high => {
                return self.core.pause_above_high(key);
            }
            _ => {}
        }
        if matches!(conn.arrived, Arrived::Proxy) && !self.proxy_head(key) {
            return;
        }
        let Some(stream) = self.streams[key.slot as usize].as_ref() else { return };
        let Some(conn) = self.core.table.conn_mut(key) else { return };
        let mut arrived = conn.take_arrived(&mut self.core.incomplete);
        let stage = conn.stage;
        let mut direct = match &mut arrived {
            Arrived::Frames(carry) => carry.want(&mut self.core.store),
            _ => &mut [],
        };
        let mut scratch = &mut self.scratch[..];
        if self.core.is_input_long {
            // By what is spoken here, which is not what a proxy says that its client speaks.
            let share = if self.io.is_secure(stream) { READ_BYTES_MIN } else { SHARE_BYTES };
            direct = direct.split_at_mut(share.min(direct.len())).0;
            scratch = scratch.split_at_mut(share.min(scratch.len())).0;
        }
        let wanted = direct.len();
        let result = if wanted == 0 {
            self.io.read(stream, &mut [IoSliceMut::new(scratch)])
        } else {
            self.io.read(stream, &mut [IoSliceMut::new(direct), IoSliceMut::new(scratch)])
        };
        let n = result.as_ref().map_or(0, |got| got.bytes);
        if let Arrived::Frames(carry) = &mut arrived {
            carry.filled(n.min(wanted));
        }
        let Some(conn) = self.core.table.conn_mut(key) else { return };
        conn.keep_arrived(arrived, &mut self.core.incomplete);
        let is_new = conn.peer.is_new();
        if n > 0 {
            conn.flags.clear(Flags::PINGED);
        }
        match result {
            Ok(Got { bytes: 0, .. }) => return self.read_end(key),
            Ok(Got { is_drained: true, .. }) if !conn.flags.any(Flags::READ_CLOSED) => {
                conn.flags.clear(Flags::READABLE);
            }
            Ok(_) => self.core.push_more(key),
            Err(error) => {
                return match error.kind() {
                    io::ErrorKind::WouldBlock if !conn.flags.any(Flags::READ_CLOSED) => {
                        conn.flags.clear(Flags::READABLE);
                    }
                    // Over TLS nothing that is plaintext came, and the end is still to be read: no event will tell so again.
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => self.core.push_more(key),
                    _ => match cause_of(&error) {
                        Cause::PeerReset => self.core.vanish(key, Cause::PeerReset),
                        fault => self.core.fail(key, fault),
                    },
                };
            }
        }
        // A connection that owes its first request, or lingers, keeps the moment at which it began to, by which its deadlines
        // tell how long it has been at it.
        if !(is_new || stage == Stage::Lingering) {
            self.core.table.hear(key, self.core.now);
        }
        self.core.counters.bytes_in.add(n as u64);
        if n > SHARE_BYTES && !self.core.is_input_long {
            self.core.is_input_long = self.look_at_clock() >= self.core.input_ends_us;
        }
        let rest = n.saturating_sub(wanted);
        match stage {
            Stage::Open | Stage::Closing => self.frames(key, 0..rest),
            Stage::Head => self.requests(key, rest),
            // What comes after the end is read so that the kernel need not reset the connection, and means nothing.
            Stage::Waiting | Stage::Leaving | Stage::Lingering | Stage::Dead => {}
        }
        self.core.relieve_incomplete_if_full();
    }

    /// The peer's FIN has been read.
    fn read_end(&mut self, key: Key) {
        let Some(conn) = self.core.table.conn_mut(key) else { return };
        conn.flags.clear(Flags::READABLE);
        match conn.stage {
            // A client that ends its side behind its last request still gets the answers.
            Stage::Head if conn.queued > 0 => {
                conn.reason = CloseReason::of(Cause::HttpDone);
                self.core.leave(key);
            }
            Stage::Head if matches!(conn.arrived, Arrived::Nothing) => self.core.vanish(key, Cause::HttpDone),
            // It may still be reading what is queued; the close deadline bounds it.
            Stage::Leaving if conn.queued > 0 => {}
            _ => self.core.vanish(key, Cause::PeerVanished),
        }
    }

    /// Decodes frames in a part of the scratch, with the cork open where nothing is queued before it.
    pub(super) fn frames(&mut self, key: Key, part: std::ops::Range<usize>) {
        let Self { core, service, scratch, io, .. } = self;
        core.cork_for(key, scratch);
        let retired = decode(core, service, key, &mut scratch[part], || io.now());
        self.uncork(key, retired);
    }

    /// Sends what the connection being read has to say.
    pub(super) fn uncork(&mut self, key: Key, mut retired: Option<Vec<u8>>) {
        let core = &mut self.core;
        core.reading = None;
        let bytes = core.cork.bytes();
        if bytes > 0
            && let Some(stream) = self.streams[key.slot as usize].as_ref()
        {
            let sources = Sources { scratch: &self.scratch, carried: retired.as_deref().unwrap_or(&[]) };
            let result = match core.cork.single() {
                Some(whole) => self.io.write(stream, &[IoSlice::new(whole)]),
                None => {
                    let mut slices = [IoSlice::new(&[]); PIECES_MAX];
                    let filled = core.cork.slices(sources, &mut slices);
                    self.io.write(stream, &slices[..filled])
                }
            };
            match result {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => core.vanish(key, Cause::PeerReset),
                result => {
                    let sent = result.unwrap_or(0);
                    core.counters.bytes_out.add(sent as u64);
                    if sent < bytes {
                        let mut units =
                            core.cork.leftover(sent, &self.scratch, &mut retired, &mut core.store.buffers);
                        core.queue_begun(key, &mut units, bytes - sent);
                        core.cork.keep(units);
                    }
                    core.settle(key);
                }
            }
        }
        // Whatever became of it: the cork's next owner is somebody else.
        core.cork.clear();
        if let Some(buffer) = retired {
            core.store.buffers.give(buffer);
        }
    }
}

/// What is read at a time once a step's reads have taken their time. Shorter reads than this are not what makes a step long, and
/// do not look at the clock.
const SHARE_BYTES: usize = 16 << 10;

/// How often it is looked at whether a connection has had its share of time: a look at the clock is 25 ns, which is not to
/// be felt beside 64 messages of 30, and reads of fewer never pay it. Fragments and control frames count like messages.
const LOOK_EVERY: i32 = 64;

/// Decodes `input` and hands its messages to the service. Returns the buffer that a carried frame was completed in:
/// the cork may point into it.
pub(super) fn decode<S: Service>(
    core: &mut Core<S>,
    service: &mut S,
    key: Key,
    input: &mut [u8],
    mut clock: impl FnMut() -> u64,
) -> Option<Vec<u8>> {
    let conn = core.table.conn_mut(key)?;
    let carry = match conn.take_arrived(&mut core.incomplete) {
        Arrived::Frames(carry) => Some(carry),
        Arrived::Nothing | Arrived::Proxy | Arrived::Http(_) => None,
    };
    let agreed = conn.agreed;
    core.is_halted = conn.stage != Stage::Open;
    core.reading = Some(key);
    (core.until_look, core.share_ends_us) = (LOOK_EVERY, None);
    let mut is_cut = false;
    let limits =
        Limits { message_bytes_max: core.config.message_bytes_max, fragments_max: core.config.fragments_max };
    if agreed.client_takeover() {
        core.deflating.swap_inflater(key.slot, &mut core.store);
    }
    let mut decoder = Decoder::new(Role::Server, limits, carry, input).agreed(agreed);
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        loop {
            if let Some(message) = decoder.next_common() {
                match message {
                    Ok(message) => core.hand_on(service, key, message),
                    Err(cause) => core.fail(key, cause),
                }
            } else {
                let next = decoder.next_within(LOOK_EVERY as usize, &mut core.store);
                let is_nothing = matches!(next, Ok(None));
                match next {
                    Ok(Some(Item::Message(message))) => {
                        core.hand_on(service, key, message);
                        core.charge_inflated();
                    }
                    Ok(Some(Item::Ping(payload))) => core.pong(key, payload),
                    Ok(Some(Item::Pong(_))) => core.until_look -= 1,
                    Ok(Some(Item::Close { code, .. })) => core.peer_closed(key, code),
                    Err(cause) => {
                        core.fail(key, cause);
                        core.charge_inflated();
                        break;
                    }
                    Ok(None) => {}
                }
                if is_nothing {
                    if decoder.rest().is_empty() {
                        break;
                    }
                    // So many fragments, and the message goes on.
                    core.until_look = 0;
                }
            }
            // After its own close the peer's is still looked for; after any other end, nothing is.
            if core.is_halted && core.table.conn(key).is_none_or(|conn| conn.stage != Stage::Closing) {
                break;
            }
            // Nobody waits behind one connection's messages for longer than its share, however small they are.
            if core.until_look <= 0 && core.has_had_its_share(&mut clock) {
                is_cut = true;
                break;
            }
        }
    }));
    if decoded.is_err() {
        // What was said before is sent before the close frame: the decoder outlives the panic, and with it what the
        // cork points into.
        core.blame(Some(key));
    }
    if is_cut {
        core.keep_frames(key, decoder.rest());
    }
    let finished = decoder.finish(&mut core.store);
    if agreed.client_takeover() {
        core.deflating.swap_inflater(key.slot, &mut core.store);
    }
    if let Some(carry) = finished.carry {
        core.keep_carry(key, carry);
    }
    finished.retired
}

impl<S: Service> Core<S> {
    /// Opens the cork for a connection if nothing is queued that it would overtake.
    pub(super) fn cork_for(&mut self, key: Key, scratch: &[u8]) {
        self.store.carried = 0..0;
        let may_speak = |flags: Flags| !flags.any(Flags::STREAMING.with(Flags::LATEST_ONLY));
        if let Some(conn) = self.table.conn(key)
            && conn.stage == Stage::Open
            && conn.queued == 0
            && may_speak(conn.flags)
        {
            let deflate_from = if conn.agreed.is_on() { self.config.deflate_bytes_min } else { usize::MAX };
            self.cork.open(key, deflate_from, scratch);
        }
    }

    /// Whether the connection being read has to let others go first: its publishes or what it had inflated have used
    /// their budget up, or its messages their time.
    #[cold]
    fn has_had_its_share(&mut self, clock: &mut impl FnMut() -> u64) -> bool {
        if self.deliveries_left == 0 || self.has_inflated_enough() {
            return true;
        }
        self.until_look = LOOK_EVERY;
        let share_us = self.config.read_time_per_turn.as_micros() as u64;
        if share_us == 0 {
            return false;
        }
        let now_us = clock();
        let ends_us = *self.share_ends_us.get_or_insert_with(|| now_us.saturating_add(share_us));
        let is_over = now_us >= ends_us;
        if is_over {
            self.until_look = 0;
            self.counters.reads_cut.add(1);
        }
        is_over
    }

    /// Keeps what is to be decoded in the next turn. Until then nothing more is read: it comes back by the list of those
    /// to be read again, or when it is no longer paused.
    fn keep_frames(&mut self, key: Key, rest: &[u8]) {
        let Some(conn) = self.table.conn_mut(key) else { return };
        if rest.is_empty() || !matches!(conn.stage, Stage::Open | Stage::Closing) {
            return;
        }
        let mut bytes = self.store.buffers.take(rest.len());
        bytes.extend_from_slice(rest);
        let exchange = Exchange { bytes, since: self.now, ..Exchange::default() };
        conn.keep_arrived(Arrived::Http(Box::new(exchange)), &mut self.incomplete);
        self.push_more(key);
    }

    /// Keeps what has come of a message, beside frames behind it that wait for the next turn.
    fn keep_carry(&mut self, key: Key, mut carry: Box<Carry>) {
        let conn = self.table.conn_mut(key);
        let Some(conn) = conn.filter(|conn| matches!(conn.stage, Stage::Open | Stage::Closing)) else {
            return self.store.give(carry);
        };
        carry.since.get_or_insert(self.now);
        let arrived = match conn.take_arrived(&mut self.incomplete) {
            Arrived::Http(mut rest) => {
                rest.carry = Some(carry);
                Arrived::Http(rest)
            }
            _ => Arrived::Frames(carry),
        };
        conn.keep_arrived(arrived, &mut self.incomplete);
    }

    #[inline(always)]
    fn hand_on(&mut self, service: &mut S, key: Key, message: Message<'_>) {
        if !self.is_halted {
            self.counters.messages_in.add(1);
            self.until_look -= 1;
            service.message(self, key, message);
        }
    }

    fn pong(&mut self, key: Key, payload: &[u8]) {
        self.until_look -= 1;
        if self.is_halted {
            return;
        }
        if self.cork.is_open_for(key) && self.cork.push_control(Opcode::Pong, payload) {
            return;
        }
        if self.table.conn(key).is_some_and(|conn| conn.queued as usize > self.config.outbox_bytes_max) {
            return self.fail(key, Cause::OutboxFull);
        }
        let mut bytes = self.store.buffers.take(payload.len() + 2);
        encode::append_control(&mut bytes, Opcode::Pong, payload);
        self.queue(key, Unit::own(bytes), false);
    }

    /// A handler panicked while it worked for this connection, or for none.
    pub fn blame(&mut self, key: Option<Key>) {
        self.counters.panics.add(1);
        if let Some(key) = key {
            self.fail(key, Cause::HandlerPanicked);
        }
    }
}

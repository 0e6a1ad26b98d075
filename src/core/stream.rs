//! Sending one large message in parts, as they become available: frames of one message, in order.
//!
//! While it lasts, other messages to the same peer are held and counted (RFC 6455 §5.4 lets nothing but control frames
//! stand between the fragments of a message), and follow when it is finished.

use crate::base::cause::Cause;
use crate::base::id::Key;
use crate::base::pool::extend;
use crate::proto::ws::{Opcode, encode};

use super::conn::Flags;
use super::core::Core;
use super::outbox::Unit;
use super::service::{Delivery, Service};

impl<S: Service> Core<S> {
    /// Sends a part of a message: the first says by its opcode what the message is, `is_last` finishes it. An open text
    /// message takes only whole characters per part.
    pub fn send_part(&mut self, key: Key, opcode: Opcode, part: &[u8], is_last: bool) -> Delivery {
        if !self.is_open(key) {
            self.counters.sends_dropped.add(1);
            return Delivery::Dropped;
        }
        if !self.has_room_for(key, part.len()) && !self.make_room(key, part.len()) {
            self.fail(key, Cause::OutboxFull);
            self.counters.sends_dropped.add(1);
            return Delivery::Dropped;
        }
        let Some(conn) = self.table.conn_mut(key) else { return Delivery::Dropped };
        let is_first = !conn.flags.any(Flags::STREAMING);
        conn.flags.set(Flags::STREAMING);
        let mut bytes = self.store.buffers.take(part.len() + 14);
        let opcode = if is_first { opcode } else { Opcode::Continue };
        bytes.extend_from_slice(encode::header(opcode, is_last, part.len()).as_bytes());
        extend(&mut bytes, part);
        self.queue(key, Unit::own(bytes), false);
        let Some(conn) = self.table.conn_mut(key) else { return Delivery::Dropped };
        if is_last {
            conn.flags.clear(Flags::STREAMING);
            if let Some(outbox) = &mut conn.outbox {
                outbox.unhold();
            }
        }
        if conn.queued as usize <= self.config.outbox_bytes_high {
            return Delivery::Queued;
        }
        conn.flags.set(Flags::PRESSURED);
        Delivery::Pressured
    }

    /// Whether a message is being sent in parts.
    pub fn is_streaming(&self, key: Key) -> bool {
        self.table.conn(key).is_some_and(|conn| conn.flags.any(Flags::STREAMING))
    }
}

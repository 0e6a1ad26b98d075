//! A connection, as a handler is lent it.

use std::fmt;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::base::id::{ConnId, Key};
use crate::base::slow::{Mark, SlowPolicy};
use crate::core::service::Delivery;
use crate::hub::Subscribed;
use crate::proto::ws::{Message, Opcode};

use super::handler::Handler;
use super::kept::Kept;
use super::service::Alarm;
use super::shard::{Shard, Timer, micros};

/// A WebSocket connection, lent for the length of a call. It dereferences to its [`Shard`]. To reach it later, keep its
/// [`id`](Self::id).
pub struct Conn<'a, H: Handler> {
    pub(super) shard: Shard<'a, H>,
    pub(super) key: Key,
}

impl<'a, H: Handler> Deref for Conn<'a, H> {
    type Target = Shard<'a, H>;

    fn deref(&self) -> &Shard<'a, H> {
        &self.shard
    }
}

impl<H: Handler> DerefMut for Conn<'_, H> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.shard
    }
}

impl<H: Handler> Conn<'_, H> {
    /// The connection's name in the whole server.
    pub fn id(&self) -> ConnId {
        self.shard.core.id(self.key)
    }

    /// The peer's address, as it was when the connection was accepted.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.shard.core.peer_addr(self.key)
    }

    /// Whether it speaks TLS: `wss://`.
    pub fn is_secure(&self) -> bool {
        self.shard.core.is_secure(self.key)
    }

    /// What the handler keeps of this connection.
    ///
    /// # Panics
    /// Never: the data is there from admission until after `on_close`.
    pub fn data(&mut self) -> &mut H::Data {
        let data = self.shard.core.data(self.key).and_then(Kept::data);
        data.expect("a connection that a handler is lent has its data")
    }

    /// Sends a message to the peer. It leaves with everything else that is sent to it in this turn.
    #[inline]
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Delivery {
        self.shard.core.send(self.key, message.into())
    }

    /// The same, and never compressed: for what is compressed already, such as pictures, and for what a secret must not share a
    /// message with.
    pub fn send_uncompressed<'m>(&mut self, message: impl Into<Message<'m>>) -> Delivery {
        self.shard.core.send_plain(self.key, message.into(), Mark::UNSET)
    }

    /// Sends a part of one large message, of which more parts follow. The first part decides whether the message is text
    /// or binary. Other messages to this peer wait until [`send_last_part`](Self::send_last_part), and count as queued.
    ///
    /// A text is to be cut between characters, which `&str` sees to by itself. What is too large for the outbox goes part by
    /// part: the first in any call, each next one in `on_drain`, while it is [`Delivery::Pressured`].
    pub fn send_part<'m>(&mut self, part: impl Into<Message<'m>>) -> Delivery {
        self.part(part.into(), false)
    }

    /// Sends the last part of a message that [`send_part`](Self::send_part) began; it may be empty.
    pub fn send_last_part<'m>(&mut self, part: impl Into<Message<'m>>) -> Delivery {
        self.part(part.into(), true)
    }

    fn part(&mut self, part: Message<'_>, is_last: bool) -> Delivery {
        let opcode = match part {
            Message::Text(_) => Opcode::Text,
            Message::Binary(_) => Opcode::Binary,
        };
        self.shard.core.send_part(self.key, opcode, part.as_bytes(), is_last)
    }

    /// Bytes queued for the peer that the kernel has not taken yet.
    pub fn queued_bytes(&self) -> usize {
        self.shard.core.queued_bytes(self.key)
    }

    /// What becomes of messages that the peer reads too slowly for.
    #[must_use]
    pub fn slow_policy(&self) -> SlowPolicy {
        self.shard.core.slow_policy(self.key)
    }

    /// Says what becomes of messages that the peer reads too slowly for. `slow_policy` of the settings unless said; a
    /// message that says so itself beats it ([`drop_new`](Self::drop_new), [`drop_oldest`](Self::drop_oldest),
    /// [`latest_only`](Self::latest_only), [`or_close`](Self::or_close)).
    ///
    /// ```
    /// # use throng::{Admission, Conn, Handler, Message, Opening, SlowPolicy};
    /// # struct Ticker;
    /// # impl Handler for Ticker {
    /// #     type Data = ();
    /// #     fn admit(&mut self, _: &Opening<'_, Self>) -> Admission<()> { Admission::accept(()) }
    /// fn on_open(&mut self, conn: &mut Conn<'_, Self>) {
    ///     // Better a gap than the end: who is behind gets the newest of what it is sent.
    ///     conn.set_slow_policy(SlowPolicy::DropOldest);
    ///     conn.subscribe("news");
    /// }
    /// #     fn on_message(&mut self, _: &mut Conn<'_, Self>, _: Message<'_>) {}
    /// # }
    /// ```
    pub fn set_slow_policy(&mut self, policy: SlowPolicy) {
        self.shard.core.set_slow_policy(self.key, policy);
    }

    /// Subscribes the connection to a topic, from now until it unsubscribes or ends.
    pub fn subscribe(&mut self, topic: &str) -> Subscribed {
        self.shard.core.subscribe(self.key, topic)
    }

    /// Ends a subscription; false where there was none.
    pub fn unsubscribe(&mut self, topic: &str) -> bool {
        self.shard.core.unsubscribe(self.key, topic)
    }

    /// Sends a message to a topic's subscribers on all shards, but not to this connection. [`Shard::publish`] sends it to
    /// this one too.
    ///
    /// False: another shard was too far behind to take it (`mailbox_bytes_max`); its subscribers do not get it.
    pub fn broadcast<'m>(&mut self, topic: &str, message: impl Into<Message<'m>>) -> bool {
        let key = self.key;
        self.shard.core.publish(topic, message.into(), Some(key))
    }

    /// Closes the connection: a close frame with this code and reason (at most 123 bytes of it), then no messages either
    /// way. A code that no server may send (RFC 6455 §7.4) goes out as 1000.
    pub fn close(&mut self, code: u16, reason: &str) {
        self.shard.core.close(self.key, code, reason);
    }

    /// Calls `ring` once, when `delay` has passed, unless the connection has ended by then.
    pub fn after_on(
        &mut self,
        delay: Duration,
        ring: impl FnOnce(&mut H, &mut Conn<'_, H>) + 'static,
    ) -> Timer {
        let mut ring = Some(ring);
        self.timer(micros(delay), 0, move |handler, conn| {
            if let Some(ring) = ring.take() {
                ring(handler, conn);
            }
        })
    }

    /// Calls `ring` every `period` until the connection ends or the timer is [cancelled](Shard::cancel).
    pub fn every_on(
        &mut self,
        period: Duration,
        ring: impl FnMut(&mut H, &mut Conn<'_, H>) + 'static,
    ) -> Timer {
        let period = micros(period).max(1);
        self.timer(period, period, ring)
    }

    fn timer(
        &mut self,
        after: u64,
        period: u64,
        mut ring: impl FnMut(&mut H, &mut Conn<'_, H>) + 'static,
    ) -> Timer {
        let key = self.key;
        // In `on_close` the timers that end with the connection have ended: one more would ring for nobody, and once is enough.
        let period = if self.shard.core.is_open(key) { period } else { 0 };
        let id = self.shard.core.set_timer(
            after,
            period,
            Alarm::Ring(Box::new(move |handler, shard| {
                if let Some(mut conn) = shard.conn_of(key) {
                    conn.shard.core.works_for(key);
                    ring(handler, &mut conn);
                }
            })),
        );
        // The entry steps aside, because the core is asked about its timers.
        let mut kept = self.shard.core.data(key).map(std::mem::take).unwrap_or_default();
        kept.add_timer(id, |timer| self.shard.core.is_timer_set(timer));
        if let Some(entry) = self.shard.core.data(key) {
            *entry = kept;
        }
        Timer(id)
    }

    /// Runs `job` on a helper thread, then `done` here with its result, unless the connection has ended by then. What becomes
    /// of a job that panics, and what false says, is told at [`Shard::offload`].
    ///
    /// ```
    /// # use throng::{Admission, Conn, Handler, Message, Opening};
    /// # struct Files;
    /// # impl Handler for Files {
    /// #     type Data = ();
    /// #     fn admit(&mut self, _: &Opening<'_, Self>) -> Admission<()> { Admission::accept(()) }
    /// fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
    ///     let Message::Text("motd") = message else { return };
    ///     conn.offload_on(
    ///         || std::fs::read_to_string("/etc/motd"),
    ///         |_handler, conn, text| match text {
    ///             Ok(text) => _ = conn.send(&text),
    ///             Err(error) => conn.close(1011, &error.to_string()),
    ///         },
    ///     );
    /// }
    /// # }
    /// ```
    pub fn offload_on<T: Send + 'static>(
        &mut self,
        job: impl FnOnce() -> T + Send + 'static,
        done: impl FnOnce(&mut H, &mut Conn<'_, H>, T) + 'static,
    ) -> bool {
        let key = self.key;
        self.shard.offload(job, move |handler, shard, result| {
            if let Some(mut conn) = shard.conn_of(key) {
                conn.shard.core.works_for(key);
                done(handler, &mut conn, result);
            }
        })
    }
}

impl<H: Handler> fmt::Debug for Conn<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn").field("id", &self.id()).finish_non_exhaustive()
    }
}

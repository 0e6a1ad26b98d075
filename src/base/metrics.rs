//! Counters: one set per shard, written by its thread alone, read by anyone.
//!
//! A counter has a single writer, so it is a relaxed load and a relaxed store, never a locked instruction.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::cause::{Cause, TABLE};

macro_rules! counters {
    ($($(#[$doc:meta])* $counter:ident,)+) => {
        /// What a shard counts besides ends and refusals.
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[$doc])* pub $counter: Counter,)+ ends: Ends }

        impl Counters {
            /// Every counter with its name: those above, then one per cause.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
                let named = [$((stringify!($counter), self.$counter.value()),)+];
                named.into_iter().chain(TABLE.iter().map(|row| (row.name, self.ended(row.cause))))
            }
        }
    };
}

counters! {
    /// Connections accepted or adopted.
    connections_opened,
    /// Connections that are gone.
    connections_closed,
    /// Connections closed at accept or adoption because the server or the fd table was full.
    connections_shed,
    /// Closing handshakes and last responses that were cut at `close_timeout`. Why they began stays the connection's cause.
    closes_cut,
    /// Connections whose PROXY protocol head was taken.
    proxy_heads,
    /// Requests whose client a trusted proxy has named.
    forwarded_requests,
    /// WebSocket handshakes completed.
    websockets_opened,
    /// WebSocket messages handed to a handler.
    messages_in,
    /// Bytes read from sockets.
    bytes_in,
    /// Bytes written to sockets.
    bytes_out,
    /// Publishes applied to this shard's subscribers.
    publishes,
    /// Messages queued for a subscriber by a publish.
    deliveries,
    /// Publishes, and broadcasts of Socket.IO, to another shard dropped at `mailbox_bytes_max`.
    publishes_dropped,
    /// Messages that went through the spill because a mailbox was full.
    mails_spilled,
    /// Sends that were refused: the connection was gone, closing or its outbox full, or its shard too far behind.
    sends_dropped,
    /// Messages that did not fit and were dropped, their connection staying: `DropNew`, and whatever of `DropOldest` nothing else
    /// could make room for.
    units_dropped_new,
    /// Queued messages dropped for newer ones: `DropOldest`.
    units_dropped_oldest,
    /// Queued messages that a newer one with their key took the place of: `LatestOnly`.
    units_replaced,
    /// Times the outboxes of slow readers came to `outboxes_bytes_max`, so that those with most were shortened or closed.
    outboxes_relieved,
    /// Times what had not come whole came to `incomplete_bytes_max`, so that the oldest of those with most were ended.
    incomplete_relieved,
    /// Events, answers and posts for a connection that is gone. Deadlines are not counted: every connection leaves some.
    stale_keys,
    /// Pings sent.
    pings,
    /// Jobs that `offload` refused at `offload_jobs_max`.
    jobs_refused,
    /// Times reading paused at `outbox_bytes_high`.
    reads_paused,
    /// Connections whose messages had to wait for the others at `read_time_per_turn`.
    reads_cut,
    /// Times a shard stood still for a second or longer: its host, or a handler.
    standstills,
    /// Handler calls that panicked.
    panics,
    /// Compressed messages that were inflated, those that turned out to be none included.
    messages_inflated,
    /// Bytes that they were inflated to.
    inflate_bytes,
    /// Messages that were compressed; a publication once for each window.
    messages_deflated,
    /// Bytes not sent because messages were compressed, over all receivers.
    deflate_bytes_saved,
    /// Messages sent as they are because of `deflate_bytes_per_turn`.
    deflates_skipped,
    /// Handshakes that offered compression only in ways that are not to be had.
    deflates_declined,
    /// Handshakes that were denied context takeover at `deflate_bytes_max`.
    takeovers_refused,
    /// Turns of the loop.
    turns,
    /// Wake-ups sent to another shard.
    wakes,
    /// Times the shard's fd table was full at accept.
    fd_table_full,
    /// TLS handshakes completed.
    tls_handshakes,
    /// Those of them that took up an earlier session.
    tls_resumed,
    /// Socket.IO: sessions opened.
    io_sessions_opened,
    /// Socket.IO: sessions that are over.
    io_sessions_closed,
    /// Socket.IO: sessions refused at `sessions_max`.
    io_sessions_refused,
    /// Socket.IO: sessions in no namespace that were closed at `sessions_max`, so that another could open.
    io_sessions_evicted,
    /// Socket.IO: sessions refused at `sessions_per_ip_max`.
    io_addresses_refused,
    /// Socket.IO: sessions closed at `connect_timeout`, in no namespace.
    io_connects_late,
    /// Socket.IO: requests of origins that may not, by `origins` or where that is enforced.
    io_origins_refused,
    /// Socket.IO: requests that were refused: an unknown session, a wrong transport or method.
    io_requests_refused,
    /// Socket.IO: bodies of requests above `max_payload`.
    io_bodies_too_large,
    /// Socket.IO: messages on WebSockets above `max_payload`.
    io_messages_too_large,
    /// Socket.IO: bodies and messages that are no packets of Engine.IO.
    io_payloads_malformed,
    /// Socket.IO: bodies of more packets than `packets_per_payload_max`.
    io_payloads_too_long,
    /// Socket.IO: packets that are none, for a reason that has no counter of its own.
    io_packets_malformed,
    /// Socket.IO: packets that are well formed and that a client may not send, or not then.
    io_packets_unexpected,
    /// Socket.IO: packets of more attachments than `attachments_max`.
    io_attachments_too_many,
    /// Socket.IO: packets whose attachments are above `attachments_bytes_max`.
    io_attachments_too_large,
    /// Socket.IO: sessions closed at `attachments_timeout`.
    io_attachments_late,
    /// Socket.IO: sessions closed because the unfinished packets of their shard came to `unfinished_bytes_max`.
    io_unfinished_overflowed,
    /// Socket.IO: packets with a placeholder that names none of their attachments.
    io_placeholders_wrong,
    /// Socket.IO: packets whose namespace is longer than `namespace_bytes_max`.
    io_namespaces_too_long,
    /// Socket.IO: packets whose event's name is longer than `event_bytes_max`.
    io_events_too_long,
    /// Socket.IO: packets whose ack id is above 2⁵³ − 1.
    io_ack_ids_too_large,
    /// Socket.IO: packets of more arguments than `args_max`.
    io_args_too_many,
    /// Socket.IO: packets nested deeper than `depth_max`.
    io_nested_too_deep,
    /// Socket.IO: sessions closed at `namespaces_per_session_max`.
    io_namespaces_too_many,
    /// Socket.IO: clients that asked for a namespace that would have been one above `dynamic_namespaces_max`.
    io_namespaces_refused,
    /// Socket.IO: rooms that a socket did not get into at `rooms_per_socket_max` or `room_bytes_max`.
    io_rooms_refused,
    /// Socket.IO: acks given up at `acks_per_socket_max`.
    io_acks_given_up,
    /// Socket.IO: jobs that `offload` refused at `jobs_per_namespace_max`.
    io_jobs_refused,
    /// Socket.IO: sessions closed at `polling_bytes_max`, or because all that waited for polls came to `outboxes_bytes_max`.
    io_polls_overflowed,
    /// Socket.IO: answers to polls that were compressed.
    io_polls_compressed,
    /// Socket.IO: answers to polls that were not compressed at `bytes_per_turn`.
    io_compressions_skipped,
    /// Socket.IO: broadcasts encoded, each once, whoever gets it on however many shards.
    io_broadcasts_encoded,
}

/// One number with a single writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning shard calls this.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// The value at some recent moment.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

#[derive(Debug)]
struct Ends([Counter; Cause::COUNT]);

impl Default for Ends {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl Counters {
    /// Counts an end or a refusal.
    pub fn end(&self, cause: Cause) {
        self.ends.0[cause.index()].add(1);
    }

    /// How many connections ended or requests were refused for this cause.
    pub fn ended(&self, cause: Cause) -> u64 {
        self.ends.0[cause.index()].value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_counter_has_its_own_name_and_counts() {
        let counters = Counters::default();
        counters.messages_in.add(3);
        counters.end(Cause::BadUtf8);
        let named: Vec<_> = counters.each().collect();
        let names: HashSet<_> = named.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), named.len());
        assert!(named.contains(&("messages_in", 3)) && named.contains(&("bad_utf8", 1)));
    }
}

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
    /// Publishes to another shard dropped at `mailbox_bytes_max`.
    publishes_dropped,
    /// Messages that went through the spill because a mailbox was full.
    mails_spilled,
    /// Sends that were refused: the connection was gone, closing or its outbox full, or its shard too far behind.
    sends_dropped,
    /// Events, answers and posts for a connection that is gone. Deadlines are not counted: every connection leaves some.
    stale_keys,
    /// Pings sent.
    pings,
    /// Jobs that `offload` refused at `offload_jobs_max`.
    jobs_refused,
    /// Clients that asked for a namespace that would have been one above `dynamic_namespaces_max`.
    io_namespaces_refused,
    /// Times reading paused at `outbox_bytes_high`.
    reads_paused,
    /// Handler calls that panicked.
    panics,
    /// Turns of the loop.
    turns,
    /// Wake-ups sent to another shard.
    wakes,
    /// Times the shard's fd table was full at accept.
    fd_table_full,
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

//! Handlers that panic: each costs the session it worked for, and nothing else of its shard's Socket.IO.
//!
//! Every call that leads to an application's handler goes through here. Sessions that poll are no connection's that the core
//! could end, and whatever the call was part of (a tick, a POST from another shard, the end of other sockets) goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::port::Port;
use super::reason::Reason;
use super::shard::IoShard;

impl IoShard {
    /// Runs handlers that work for the session in this slot, if there still is one. `None`: they panicked.
    pub(super) fn guarded<T>(
        &mut self,
        port: &mut dyn Port,
        slot: u32,
        work: impl FnOnce(&mut Self, &mut dyn Port) -> T,
    ) -> Option<T> {
        let worked = catch_unwind(AssertUnwindSafe(|| work(self, &mut *port))).ok();
        if worked.is_none() {
            self.panics = self.panics.wrapping_add(1);
            port.panicked(self.state.key_of(slot));
            self.state.close_session(port, slot, Reason::TransportError);
        }
        worked
    }
}

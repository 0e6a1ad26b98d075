//! What follows from what was done on a shard, once nothing is lent any more: sockets that are over, events that were sent, words of
//! other shards, gathered answers, polls that can be answered.
//!
//! Called at the end of whatever lets a handler run. Each of these may run handlers, which may lead to more of it.

use std::cell::RefCell;

use super::cluster::{Act, Operation};
use super::emit::Here;
use super::port::Port;
use super::session::NONE;
use super::shard::IoShard;
use super::state::{Cx, Entry};

impl IoShard {
    /// Does what follows from what was done: tells handlers of sockets that are over, and answers polls.
    pub(super) fn settle(&mut self, port: &mut dyn Port) {
        self.thin_alarms();
        loop {
            self.tell_ended(port);
            while let Some(operation) = self.state.said.pop_front() {
                let _panicked = self.guarded(port, NONE, |io, port| io.hear(port, &operation));
            }
            while let Some((done, parts, is_partial)) = self.state.answered.pop() {
                let _panicked = self.guarded(port, NONE, |Self { state, .. }, port| {
                    done(&Here { out: &RefCell::new(Cx { state, port }) }, parts, is_partial);
                });
            }
            self.state.flush_polls(port);
            // A session whose client does not come for what is queued is over as well.
            if self.state.ended.is_empty() && self.state.outgoing.is_empty() {
                break;
            }
        }
    }

    /// Tells the handlers of sockets that are over, once they know of what those were sent, and forgets those.
    pub(super) fn tell_ended(&mut self, port: &mut dyn Port) {
        self.tell_outgoing(port);
        while let Some((socket, reason)) = self.state.ended.pop() {
            self.greet(port, socket);
            let Some(&Entry { namespace, session, data, .. }) = self.state.sockets.get(socket as usize)
            else {
                continue;
            };
            let space = self.state.namespaces.space(namespace);
            let _panicked = self.guarded(port, session, |Self { state, spaces, .. }, port| {
                spaces[space as usize].ended(Cx { state, port }, socket, reason);
            });
            let _panicked = self.guarded(port, session, |Self { spaces, .. }, _| {
                spaces[space as usize].forget(socket, data);
            });
            // Whoever gets its slot was sent nothing of this.
            self.tell_outgoing(port);
            self.state.fall_silent(port, socket);
            self.state.forget_socket(socket);
        }
    }

    /// Calls the listeners of what another shard has said.
    fn hear(&mut self, port: &mut dyn Port, operation: &Operation) {
        let Self { state, on_server, scratch, .. } = self;
        let Act::Say { event, args } = &operation.act else { return };
        let here = RefCell::new(Cx { state, port });
        for call in on_server.get_mut(event).into_iter().flatten() {
            call(&Here { out: &here }, args.as_args(), scratch);
        }
    }
}

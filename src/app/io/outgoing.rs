//! Events that were sent, on their way to those who listen to all of them (`on_any_outgoing`).
//!
//! Where nobody does, an event costs a look at an empty list: nothing is read, kept or called. Else it is read once from what it was
//! encoded to, kept with the sockets that it is for, and told to the listeners of each once nothing is lent. What those emit is
//! told to nobody, or two of them could keep a server busy for ever.

use std::collections::VecDeque;

use crate::proto::socketio::RawArgs;

use super::broadcast::Broadcast;
use super::port::Port;
use super::shard::IoShard;
use super::state::{Cx, State};

/// An event that was sent.
#[derive(Debug)]
struct Sent {
    sockets: Vec<u32>,
    event: Box<str>,
    args: RawArgs,
}

/// What a shard's listeners of outgoing events have yet to hear.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// Which spaces have such listeners. Empty where none has.
    listening: Vec<bool>,
    sent: VecDeque<Sent>,
    /// A listener is being told.
    is_telling: bool,
}

impl Outgoing {
    pub(super) fn listen(&mut self, space: usize, listens: bool) {
        if listens {
            self.listening.resize(space + 1, false);
            self.listening[space] = true;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// Whether it is a listener who emits at the moment.
    pub(super) const fn is_telling(&self) -> bool {
        self.is_telling
    }
}

impl State {
    /// Whether somebody listens to what is sent to a namespace's sockets, and is not the one who sends it.
    #[inline]
    fn is_heard(&self, namespace: u16) -> bool {
        let Outgoing { listening, is_telling, .. } = &self.outgoing;
        if listening.is_empty() || *is_telling {
            return false;
        }
        let space = usize::from(self.namespaces.space(namespace));
        listening.get(space).is_some_and(|&listens| listens)
    }

    /// The working space holds an event for a socket.
    pub(super) fn sent_out(&mut self, socket: u32) {
        if !self.is_heard(self.sockets[socket as usize].namespace) {
            return;
        }
        let attachments = self.attachments.iter().map(Vec::as_slice);
        if let Some((event, args)) = self.config.parser.event_of(&self.out, attachments) {
            self.outgoing.sent.push_back(Sent { sockets: vec![socket], event, args });
        }
    }

    /// A broadcast is being applied.
    pub(super) fn sent_to_many(&mut self, broadcast: &Broadcast) {
        if broadcast.is_unheard || self.outgoing.listening.is_empty() {
            return;
        }
        let namespace = self.namespaces.number(&broadcast.namespace);
        if namespace.is_none_or(|namespace| !self.is_heard(namespace)) {
            return;
        }
        let mut pieces = broadcast.pieces();
        let packet = pieces.next().unwrap_or_default();
        let Some((event, args)) = self.config.parser.event_of(packet, pieces) else { return };
        let sockets = self.select(&broadcast.namespace, &broadcast.target);
        self.outgoing.sent.push_back(Sent { sockets, event, args });
    }
}

impl IoShard {
    /// Tells listeners what was sent to their sockets.
    pub(super) fn tell_outgoing(&mut self, port: &mut dyn Port) {
        while let Some(Sent { sockets, event, args }) = self.state.outgoing.sent.pop_front() {
            for socket in sockets {
                // A listener that is told before may have panicked. Of what comes before `on_connection` nobody hears.
                let entry = self.state.sockets.get(socket as usize).filter(|entry| entry.is_greeted);
                let Some(entry) = entry else { continue };
                let (session, space) = (entry.session, self.state.namespaces.space(entry.namespace));
                self.state.outgoing.is_telling = true;
                let _panicked = self.guarded(port, session, |Self { state, spaces, .. }, port| {
                    spaces[space as usize].sent(Cx { state, port }, socket, &event, args.as_args());
                });
                self.state.outgoing.is_telling = false;
            }
        }
    }
}

//! What a shard's Socket.IO holds at this moment, counted: for whoever checks that nothing is left over. Only looks.

use super::shard::IoShard;

/// What a shard's Socket.IO holds. Deadlines and alarms are not in here: those of what is gone stay until they are due.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct IoAudit {
    /// Sessions.
    pub sessions: usize,
    /// Sessions whose address is counted.
    pub addresses: usize,
    /// Sessions that may have to make room for others.
    pub unconnected: usize,
    /// Sockets.
    pub sockets: usize,
    /// Sockets' data.
    pub data: usize,
    /// Requests that wait for their answer.
    pub held: usize,
    /// Sockets whose connection handlers have yet to run.
    pub greetings: usize,
    /// Clients that wait until middleware has decided.
    pub waiting: usize,
    /// Answers of many sockets, or shards, that are awaited, and sockets that have yet to give them.
    pub gathers: usize,
    /// Jobs of sockets that are under way.
    pub jobs: usize,
    /// Rooms with a member, that of all included.
    pub rooms: usize,
    /// Bytes that wait for clients that poll, as they are counted.
    pub polls_held: usize,
    /// Bytes that are kept for packets whose attachments are not whole, as they are counted.
    pub unfinished: usize,
    /// Handshakes that sessions keep for the namespaces that they ask for.
    pub session_handshakes: usize,
    /// Handshakes that are kept for sockets.
    pub handshakes: usize,
    /// Namespaces that patterns have let in.
    pub namespaces: usize,
    /// Acks that are awaited.
    pub acks: usize,
    /// Sockets that were remembered by a listener that listens once.
    pub heard: usize,
}

impl IoAudit {
    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl IoShard {
    /// Counts what it holds, and says which shard it is.
    pub(crate) fn audit(&self) -> (usize, IoAudit) {
        let state = &self.state;
        let mut audit = IoAudit {
            sessions: state.sessions.len(),
            addresses: state.addresses.len(),
            unconnected: state.unconnected.len(),
            sockets: state.sockets.len(),
            held: state.held.len(),
            greetings: state.greetings.len(),
            waiting: state.waiting.len() + state.asked.len(),
            gathers: state.gathers.len() + state.silent.len() + state.queries.len(),
            polls_held: state.polls_held,
            unfinished: state.unfinished.bytes(),
            session_handshakes: state
                .sessions
                .iter()
                .filter(|(_, session)| session.handshake.is_some())
                .count(),
            handshakes: state.handshakes.len(),
            namespaces: state.namespaces.dynamic(),
            rooms: state.rooms.len(),
            ..IoAudit::default()
        };
        self.spaces.iter().for_each(|space| space.count(&mut audit));
        (state.shard, audit)
    }
}

//! Engine.IO by itself, for whoever wants its transports and not Socket.IO's events.

use std::fmt;

use crate::base::slow::Mark;
use crate::core::service::Delivery;
use crate::proto::engineio::{Data, SessionId};
use crate::proto::ws::Message;

use super::session::Link;
use super::state::Cx;

/// What runs when a message comes in.
pub(super) type OnMessage = Box<dyn FnMut(&mut EngineSocket<'_>, Data<'_>)>;

/// A client's session, lent for the length of a call.
pub struct EngineSocket<'a> {
    pub(super) cx: Cx<'a>,
    pub(super) slot: u32,
}

impl EngineSocket<'_> {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.cx.state.sessions[self.slot as usize].id(self.cx.state.shard, self.slot)
    }

    /// Sends its client a message.
    pub fn send(&mut self, data: Data<'_>) -> Delivery {
        let Cx { state, port } = &mut self.cx;
        match (data, &state.sessions[self.slot as usize].link) {
            (Data::Text(text), _) => state.message(*port, self.slot, text),
            (Data::Binary(bytes), Link::WebSocket(key)) => {
                port.send(*key, Message::Binary(bytes), Mark::UNSET)
            }
            (Data::Binary(bytes), Link::Polling(polling)) => {
                let mark = Mark::UNSET.or(polling.policy, Mark::direct);
                state.wait(*port, self.slot, mark, bytes.len() * 4 / 3, |payload| payload.binary(bytes))
            }
        }
    }
}

impl fmt::Debug for EngineSocket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineSocket").field("id", &self.id()).finish_non_exhaustive()
    }
}

//! The Socket.IO half of a worker's traffic: packets that came are answered, or handed to be judged by their stamp.
//!
//! Called by `inbound` for every message, where the run speaks Socket.IO. Knows nothing of sockets.

use throng::proto::ws::{Message, Opcode};

use crate::conn::{Conn, Phase};
use crate::inbound::End;
use crate::socketio::{Heard, Joining, PONG, PROBE, UPGRADE};
use crate::traffic::Traffic;

impl Traffic {
    /// What a connection's phase is once WebSocket is open; the first packet of an upgrade is left in the output.
    pub(crate) fn begin(&mut self) -> Phase {
        let Some(socket_io) = &self.socket_io else { return Phase::Open };
        if socket_io.is_upgraded {
            self.output.append(Opcode::Text, PROBE.as_bytes());
        }
        Phase::Joining
    }

    /// Takes one whole message that arrived on `conn` at `now`: first the way into the namespace, then events.
    ///
    /// # Errors
    /// Why the connection is over.
    pub(crate) fn packet(&mut self, conn: &mut Conn, message: Message<'_>, now: u64) -> Result<(), End> {
        let Self { socket_io: Some(socket_io), output, .. } = self else { return Ok(()) };
        if conn.phase == Phase::Joining {
            let is_open = conn.rest().opening.as_mut().map(|opening| &mut opening.is_session_open);
            match socket_io.join(message, is_open.unwrap_or(&mut true)).map_err(End::Refused)? {
                Joining::Wait => {}
                Joining::Send(text) => output.append(Opcode::Text, text.as_bytes()),
                Joining::Upgrade(text) => {
                    output.append(Opcode::Text, UPGRADE.as_bytes());
                    output.append(Opcode::Text, text.as_bytes());
                }
                Joining::Joined => conn.phase = Phase::Open,
            }
            return Ok(());
        }
        match socket_io.hear(message).map_err(End::Refused)? {
            Heard::Reply(text, ack_id) => match socket_io.stamp(&text, ack_id) {
                Some(stamp) => self.stamped(conn, &stamp, now),
                None if !self.started => self.stats.tally.foreign += 1,
                None => self.stats.tally.corrupt += 1,
            },
            Heard::Foreign => self.stats.tally.foreign += 1,
            Heard::Ping => output.append(Opcode::Text, PONG.as_bytes()),
            Heard::Open | Heard::Joined | Heard::Probed | Heard::Nothing => {}
        }
        Ok(())
    }
}

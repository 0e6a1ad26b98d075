//! The Socket.IO half of a worker's traffic: packets that came are answered, or handed to be judged by their stamp.
//!
//! Called by `inbound` for every message of a WebSocket and by `polling` for every packet of a payload, where the run
//! speaks Socket.IO. Knows nothing of sockets.

use throng::proto::engineio::{Malformed, Packet};
use throng::proto::ws::Opcode;

use crate::conn::{Conn, Phase};
use crate::inbound::End;
use crate::payload::Stamp;
use crate::socketio::{Heard, Joining, PONG, PROBE, SocketIo, UPGRADE};
use crate::spoken::Transport;
use crate::traffic::Traffic;

impl Traffic {
    /// Carries a connection, in `slot`, on once WebSocket or a session that polls is open: into its namespace, into its script
    /// or to where it may send. Its first packet is left in the output.
    pub(crate) fn begin(&mut self, conn: &mut Conn, slot: usize, now: u64) {
        self.prepare_script(conn, slot);
        if let Some(dialects) = &self.dialects {
            // Every row was tried before the first connection was opened.
            conn.rest().speech = dialects.of(conn.number).ok().flatten().map(Box::new);
        }
        let Some(socket_io) = &self.socket_io else { return self.begin_script(conn, now) };
        conn.phase = Phase::Joining;
        match socket_io.transport {
            Transport::Websocket => {}
            Transport::Upgrade => self.output.append(Opcode::Text, PROBE.as_bytes()),
            Transport::Polling => self.begin_polling(conn, slot),
        }
    }

    /// Takes a packet that arrived on `conn` at `now`: first the way into the namespace, then events.
    ///
    /// # Errors
    /// Why the connection is over.
    pub(crate) fn packet(
        &mut self,
        conn: &mut Conn,
        packet: Result<Packet<'_>, Malformed>,
        now: u64,
    ) -> Result<(), End> {
        let Some(dialects) = &self.dialects else { return self.packet_as(None, conn, packet, now) };
        let is_lasting = dialects.is_lasting;
        // Out of the connection while it is asked, for the connection is written to.
        let own = conn.rest.as_deref_mut().and_then(|rest| rest.speech.take());
        let taken = self.packet_as(own.as_deref(), conn, packet, now);
        if own.is_some() && (is_lasting || conn.phase == Phase::Joining) {
            conn.rest().speech = own;
        }
        taken
    }

    /// The same, by what all connections speak, or by this one's own.
    fn packet_as(
        &mut self,
        own: Option<&SocketIo>,
        conn: &mut Conn,
        packet: Result<Packet<'_>, Malformed>,
        now: u64,
    ) -> Result<(), End> {
        let Self { socket_io: Some(socket_io), output, .. } = self else { return Ok(()) };
        let socket_io = own.unwrap_or(socket_io);
        if conn.phase == Phase::Joining && conn.is_in_script() {
            match socket_io.overhear(packet).map_err(End::Refused)? {
                Heard::Ping => output.append(Opcode::Text, PONG.as_bytes()),
                Heard::Reply(text, _) => self.scripted(conn, text.as_bytes(), now),
                _ => {}
            }
            return Ok(());
        }
        if conn.phase == Phase::Joining {
            let is_open = conn.rest().opening.as_mut().map(|opening| &mut opening.is_session_open);
            match socket_io.join(packet, is_open.unwrap_or(&mut true)).map_err(End::Refused)? {
                Joining::Wait => {}
                Joining::Send(text) => output.append(Opcode::Text, text.as_bytes()),
                Joining::Upgrade(text) => {
                    output.append(Opcode::Text, UPGRADE.as_bytes());
                    output.append(Opcode::Text, text.as_bytes());
                }
                Joining::Joined => self.begin_script(conn, now),
            }
            return Ok(());
        }
        match socket_io.hear(packet).map_err(End::Refused)? {
            Heard::Reply(text, ack_id) if self.worded.is_some() => {
                self.answer(conn, text.as_bytes(), ack_id, now);
            }
            Heard::Reply(text, ack_id) => {
                let stamp = socket_io.stamp(&text, ack_id);
                self.reply(conn, stamp, now);
            }
            Heard::Announced(announced) => conn.rest().announced = Some(announced),
            Heard::Attachment(bytes) => {
                let rest = conn.rest();
                let Some(mut announced) = rest.announced.take() else { return Ok(()) };
                announced.left -= 1;
                if announced.left > 0 {
                    rest.announced = Some(announced);
                } else if announced.is_awaited {
                    let stamp = socket_io.stamp_of(bytes, announced.ack_id);
                    self.reply(conn, stamp, now);
                } else {
                    self.stats.tally.foreign += 1;
                }
            }
            Heard::Foreign => self.stats.tally.foreign += 1,
            Heard::Ping => output.append(Opcode::Text, PONG.as_bytes()),
            Heard::Open | Heard::Joined | Heard::Probed | Heard::Nothing => {}
        }
        Ok(())
    }

    fn reply(&mut self, conn: &mut Conn, stamp: Option<Stamp>, now: u64) {
        match stamp {
            Some(stamp) => self.stamped(conn, &stamp, now),
            None if !self.started => self.stats.tally.foreign += 1,
            None => self.stats.tally.corrupt += 1,
        }
    }
}

//! Events beside those of the run's messages: what a script emits, and what it hears. `scripted` and `packets` call it.

use std::borrow::Cow;

use throng::proto::engineio::{Data, Malformed, Packet as EnginePacket, PacketKind};
use throng::proto::socketio::{Kind as PacketIs, Limits, Packet};
use throng::proto::ws::Opcode;

use super::{Heard, SocketIo};
use crate::output::Output;

impl SocketIo {
    /// Appends an event that is none of the run's messages: its head up to its arguments, and those with a comma in front.
    pub(crate) fn append_event(&self, output: &mut Output, head: &[u8], args: &[u8]) {
        let of_namespace = self.before_id.splitn(2, |&byte| byte == b'/').nth(1);
        let (slash, name): (&[u8], _) = of_namespace.map_or((b"", &b""[..]), |name| (b"/", name));
        output.append_parts(Opcode::Text, &[b"42", slash, name, head, args, b"]"]);
    }

    /// What a packet means to who listens to all events in the namespace: their JSON.
    ///
    /// # Errors
    /// What ends the connection, in words that continue "the server …".
    pub(crate) fn overhear<'a>(
        &self,
        packet: Result<EnginePacket<'a>, Malformed>,
    ) -> Result<Heard<'a>, String> {
        if let Ok(EnginePacket { kind: PacketKind::Message, data: Data::Text(text), .. }) = &packet
            && let Ok(event) = Packet::parse(text, &Limits::default())
            && (event.kind, event.namespace) == (PacketIs::Event, &*self.namespace)
        {
            return Ok(Heard::Reply(Cow::Borrowed(event.data), None));
        }
        self.hear(packet)
    }
}

//! Socket.IO over WebSocket from the client's side: how a namespace is joined, what an event is as bytes, what a packet
//! that came means.
//!
//! Sans-I/O, and without a clock: `probe` and `packets` call it, `settings` makes it. It judges no stamp and counts
//! nothing. Packets are read by throng's own decoder, which checks them whole.

use std::borrow::Cow;

use serde_json::Value;
use throng::proto::engineio::{Data, Packet as EnginePacket, PacketKind};
use throng::proto::socketio::{Kind as PacketIs, Limits, Packet, RESERVED_EVENTS, encode};
use throng::proto::ws::{Message, Opcode};

use crate::argument::last_text;
use crate::output::Output;
use crate::payload::{Kind, STAMP_TEXT_BYTES, Stamp, filler};

/// The answer to a ping (Engine.IO 4: the server asks, the client answers).
pub(crate) const PONG: &str = "3";

/// What asks whether a session may move to WebSocket, and what moves it.
pub(crate) const PROBE: &str = "2probe";
pub(crate) const UPGRADE: &str = "5";

/// What every connection of the run speaks.
#[derive(Clone, Debug)]
pub(crate) struct SocketIo {
    namespace: String,
    event: String,
    reply_event: String,
    /// Echoes are acks.
    is_acked: bool,
    /// Sessions begin with polling and are upgraded.
    pub(crate) is_upgraded: bool,
    /// The packet that asks for the namespace.
    connect: String,
    /// An event up to the id of its ack.
    before_id: Vec<u8>,
    /// From there to the stamp.
    before_stamp: Vec<u8>,
    /// What follows the stamp in the argument, then the end of the packet.
    behind_stamp: Vec<u8>,
}

/// What a connection on its way into the namespace does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Joining<'a> {
    /// Wait.
    Wait,
    /// Send this as a text message.
    Send(&'a str),
    /// Send [`UPGRADE`], then this.
    Upgrade(&'a str),
    /// Nothing: it has joined.
    Joined,
}

/// What a message means.
#[derive(PartialEq, Debug)]
pub(crate) enum Heard<'a> {
    /// The session is open.
    Open,
    /// The namespace was joined.
    Joined,
    /// A heartbeat: answer it.
    Ping,
    /// The session may move here.
    Probed,
    /// The event that was waited for, or an ack with its id: the last of its arguments that is a text.
    Reply(Cow<'a, str>, Option<u64>),
    /// An event that nobody waits for.
    Foreign,
    /// Nothing that matters here.
    Nothing,
}

impl SocketIo {
    /// What to speak with messages of `size` bytes.
    ///
    /// # Errors
    /// Which flag is wrong, and why.
    pub(crate) fn new(
        namespace: &str,
        auth: Option<&str>,
        (event, reply_event): (&str, &str),
        is_acked: bool,
        size: usize,
    ) -> Result<Self, String> {
        if !namespace.starts_with('/') || namespace.contains([',', '?']) {
            return Err(format!("--namespace {namespace}: a namespace begins with / and has no comma"));
        }
        if size < STAMP_TEXT_BYTES {
            return Err(format!("--size {size}: in Socket.IO the stamp takes {STAMP_TEXT_BYTES} bytes"));
        }
        let auth: Option<Value> = match auth.map(serde_json::from_str).transpose() {
            Ok(auth @ (None | Some(Value::Object(_)))) => auth,
            Ok(Some(_)) => return Err("--auth is not a JSON object".into()),
            Err(error) => return Err(format!("--auth is not JSON: {error}")),
        };
        if let Some(reserved) = [event, reply_event].into_iter().find(|event| RESERVED_EVENTS.contains(event))
        {
            return Err(format!("an event cannot be called `{reserved}`: the name is reserved"));
        }
        let mut connect = vec![PacketKind::Message.digit()];
        encode::connect_request(&mut connect, namespace, auth.as_ref()).map_err(|error| error.to_string())?;
        let of_namespace = if namespace == "/" { String::new() } else { format!("{namespace},") };
        let filler = filler(size, STAMP_TEXT_BYTES);
        Ok(Self {
            namespace: namespace.to_owned(),
            event: event.to_owned(),
            reply_event: reply_event.to_owned(),
            is_acked,
            is_upgraded: false,
            connect: String::from_utf8(connect).map_err(|error| error.to_string())?,
            before_id: format!("42{of_namespace}").into_bytes(),
            before_stamp: format!("[{},\"", Value::from(event)).into_bytes(),
            behind_stamp: [&filler[..], b"\"]"].concat(),
        })
    }

    /// What is spoken, in words, for the report.
    pub(crate) fn describe(&self, has_events: bool) -> String {
        let Self { namespace, event, reply_event, is_acked, .. } = self;
        let way = if self.is_upgraded { "WebSocket, upgraded from polling" } else { "WebSocket" };
        let spoken = format!("Socket.IO over {way}, namespace {namespace}");
        match has_events {
            false => spoken,
            true if *is_acked => format!("{spoken}: `{event}` answered by its ack"),
            true => format!("{spoken}: `{event}` answered by `{reply_event}`"),
        }
    }

    /// Appends the event that carries `stamp`; with an ack its number is the ack's id.
    pub(crate) fn append(&self, output: &mut Output, stamp: &Stamp) {
        let (text, mut digits) = (stamp.encode_text(), [0; 10]);
        let is_acked = self.is_acked && stamp.kind == Kind::Echo;
        let id = if is_acked { decimal(stamp.sequence, &mut digits) } else { &[] };
        output.append_parts(
            Opcode::Text,
            &[&self.before_id, id, &self.before_stamp, &text, &self.behind_stamp],
        );
    }

    /// The stamp of a reply, if it is one as it was sent.
    pub(crate) fn stamp(&self, text: &str, ack_id: Option<u64>) -> Option<Stamp> {
        let stamp = Stamp::decode_text(text.as_bytes())?;
        let is_acked = self.is_acked && stamp.kind == Kind::Echo;
        let filler = &self.behind_stamp[..self.behind_stamp.len() - b"\"]".len()];
        let is_right = ack_id == is_acked.then_some(u64::from(stamp.sequence));
        (is_right && &text.as_bytes()[STAMP_TEXT_BYTES..] == filler).then_some(stamp)
    }

    /// Takes a message that came before the namespace was joined; `is_open` is whether the session is.
    ///
    /// # Errors
    /// Why it never will be, in words that continue "the server …".
    pub(crate) fn join(&self, message: Message<'_>, is_open: &mut bool) -> Result<Joining<'_>, String> {
        match self.hear(message) {
            Ok(Heard::Open) if !*is_open && !self.is_upgraded => {
                *is_open = true;
                Ok(Joining::Send(&self.connect))
            }
            Ok(Heard::Probed) if !*is_open && self.is_upgraded => {
                *is_open = true;
                Ok(Joining::Upgrade(&self.connect))
            }
            _ if !*is_open && self.is_upgraded => Err("does not answer the probe of an upgrade".into()),
            _ if !*is_open => Err("does not speak Engine.IO 4: its first message is no open packet".into()),
            Ok(Heard::Ping) => Ok(Joining::Send(PONG)),
            Ok(Heard::Joined) => Ok(Joining::Joined),
            Ok(_) => Ok(Joining::Wait),
            Err(what) => Err(what),
        }
    }

    /// What a message means.
    ///
    /// # Errors
    /// What ends the connection, in words that continue "the server …".
    pub(crate) fn hear<'a>(&self, message: Message<'a>) -> Result<Heard<'a>, String> {
        // Attachments of an event that was told to be foreign.
        let Message::Text(text) = message else { return Ok(Heard::Nothing) };
        let packet =
            EnginePacket::parse_text(text).map_err(|why| format!("broke Engine.IO: it sent {why}"))?;
        match (packet.kind, packet.data) {
            (PacketKind::Message, Data::Text(text)) => {
                let packet = Packet::parse(text, &Limits::default());
                self.packet(packet.map_err(|why| format!("broke Socket.IO: it sent {why}"))?)
            }
            (PacketKind::Open, _) => Ok(Heard::Open),
            (PacketKind::Ping, _) => Ok(Heard::Ping),
            (PacketKind::Pong, Data::Text("probe")) => Ok(Heard::Probed),
            (PacketKind::Close, _) => Err("closed the Engine.IO session".into()),
            _ => Ok(Heard::Nothing),
        }
    }

    fn packet<'a>(&self, packet: Packet<'a>) -> Result<Heard<'a>, String> {
        if packet.namespace != self.namespace {
            return Ok(Heard::Foreign);
        }
        Ok(match packet.kind {
            // The session id came with protocol 5.
            PacketIs::Connect if packet.data.is_empty() => {
                return Err("speaks an older Socket.IO: protocol 5 joins with a session id".into());
            }
            PacketIs::Connect => Heard::Joined,
            PacketIs::ConnectError => return Err(self.refusal(packet.data)),
            PacketIs::Disconnect => return Err(format!("disconnected the socket from {}", self.namespace)),
            PacketIs::Event if packet.event == self.reply_event => Heard::Reply(last_text(packet.data), None),
            PacketIs::Ack => Heard::Reply(last_text(packet.data), packet.ack_id),
            PacketIs::Event | PacketIs::BinaryEvent | PacketIs::BinaryAck => Heard::Foreign,
        })
    }

    /// What a connect error says.
    fn refusal(&self, data: &str) -> String {
        let said = serde_json::from_str::<Value>(data).unwrap_or_default();
        let said = said.get("message").unwrap_or(&said);
        let said = said.as_str().map_or_else(|| said.to_string(), str::to_owned);
        format!("refused the namespace {} (connect_error): {said}", self.namespace)
    }
}

/// A number's digits, at the end of `digits`.
fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut from = digits.len();
    loop {
        from -= 1;
        digits[from] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[from..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket_io(namespace: &str, auth: Option<&str>, is_acked: bool) -> SocketIo {
        SocketIo::new(namespace, auth, ("say \"it\"", "said"), is_acked, 24).unwrap()
    }

    fn stamp(kind: Kind, sequence: u32) -> Stamp {
        Stamp { kind, connection: 7, sequence, intended: 1234, slip: 0 }
    }

    /// The text of the one event in an output.
    fn appended(socket_io: &SocketIo, stamp: &Stamp) -> String {
        use throng::proto::ws::{Decoder, Limits, Role, Store};
        let mut output = Output::new(3);
        socket_io.append(&mut output, stamp);
        let mut bytes = output.as_bytes().to_vec();
        let limits = Limits { message_bytes_max: 1 << 20, fragments_max: 1 };
        let mut decoder = Decoder::new(Role::Server, limits, None, &mut bytes);
        match decoder.next(&mut Store::new()) {
            Ok(Some(throng::proto::ws::Item::Message(Message::Text(text)))) => text.to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_event_is_what_a_server_reads_and_its_answer_has_the_stamp() {
        for (namespace, is_acked, kind, sequence, id) in [
            ("/", false, Kind::Echo, 0, None),
            ("/", true, Kind::Echo, 0, Some(0)),
            ("/x", true, Kind::Echo, 268_435_455, Some(268_435_455)),
            ("/x", true, Kind::Publish, 12, None),
        ] {
            let (socket_io, stamp) = (socket_io(namespace, None, is_acked), stamp(kind, sequence));
            let text = appended(&socket_io, &stamp);
            let packet = Packet::parse(&text[1..], &Limits::default()).unwrap();
            assert_eq!(
                (packet.namespace, packet.ack_id, &*packet.event),
                (namespace, id, "say \"it\""),
                "{text}"
            );
            let argument = last_text(packet.data);
            assert_eq!((argument.len(), packet.args.len()), (24, 1), "{text}");
            assert_eq!(socket_io.stamp(&argument, id), Some(stamp));
            assert_eq!(socket_io.stamp(&argument, Some(id.map_or(0, |id| id + 1))), None, "another's ack");
            assert_eq!(socket_io.stamp(&argument[..23], id), None, "cut");
        }
    }

    #[test]
    fn a_namespace_is_joined_step_by_step_and_a_refusal_is_told() {
        let socket_io = socket_io("/x", Some(r#"{"token":"a"}"#), false);
        let join = |text: &'static str, is_open: &mut bool| socket_io.join(Message::Text(text), is_open);
        for first in ["hello", "", "40{}", "2", "{}"] {
            assert!(join(first, &mut false).is_err_and(|said| said.contains("Engine.IO 4")), "{first}");
        }
        let is_open = &mut false;
        assert_eq!(join(r#"0{"sid":"s"}"#, is_open), Ok(Joining::Send(r#"40/x,{"token":"a"}"#)));
        assert!(*is_open);
        for (text, next) in [
            ("2", Joining::Send("3")),
            ("6", Joining::Wait),
            (r#"40{"sid":"of another namespace"}"#, Joining::Wait),
            (r#"42/x,["early"]"#, Joining::Wait),
            (r#"40/x,{"sid":"s"}"#, Joining::Joined),
        ] {
            assert_eq!(join(text, is_open), Ok(next), "{text}");
        }
        for (text, word) in [
            (r#"44/x,{"message":"not for you","data":1}"#, "(connect_error): not for you"),
            (r#"44/x,"an old server's text""#, "an old server's text"),
            ("40/x", "older Socket.IO"),
            ("41/x,", "disconnected"),
            ("1", "closed the Engine.IO session"),
            ("4nonsense", "broke Socket.IO"),
            ("nonsense", "broke Engine.IO"),
        ] {
            assert!(join(text, is_open).is_err_and(|said| said.contains(word)), "{text}");
        }
    }

    #[test]
    fn replies_are_told_from_what_nobody_asked_for() {
        let socket_io = socket_io("/", None, true);
        for (text, heard) in [
            (r#"42["said","x"]"#, Heard::Reply("x".into(), None)),
            (r#"4317["x"]"#, Heard::Reply("x".into(), Some(17))),
            (r#"42["joined","x"]"#, Heard::Foreign),
            (r#"42/y,["said","x"]"#, Heard::Foreign),
            (r#"451-["said",{"_placeholder":true,"num":0}]"#, Heard::Foreign),
            ("2", Heard::Ping),
        ] {
            assert_eq!(socket_io.hear(Message::Text(text)), Ok(heard), "{text}");
        }
        assert_eq!(socket_io.hear(Message::Binary(b"attached")), Ok(Heard::Nothing));
    }

    #[test]
    fn flags_that_cannot_be_are_refused() {
        let new = |namespace, auth, event, size| SocketIo::new(namespace, auth, (event, "b"), false, size);
        for (made, word) in [
            (new("x", None, "a", 20), "begins with /"),
            (new("/x,y", None, "a", 20), "comma"),
            (new("/", Some("[1]"), "a", 20), "object"),
            (new("/", Some("{"), "a", 20), "not JSON"),
            (new("/", None, "connect", 20), "reserved"),
            (new("/", None, "a", 19), "20 bytes"),
        ] {
            assert!(made.is_err_and(|said| said.contains(word)), "{word}");
        }
    }
}

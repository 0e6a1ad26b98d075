//! Socket.IO from the client's side: how a namespace is joined, what an event is as bytes, what a packet that came means.
//!
//! Sans-I/O, and without a clock: `probe` and `packets` call it, `settings` makes it. It judges no stamp and counts
//! nothing. Packets are read by throng's own decoder, which checks them whole.

use std::borrow::Cow;

use serde_json::Value;
use throng::proto::engineio::{Data, Malformed, Packet as EnginePacket, PacketKind};
use throng::proto::socketio::{Kind as PacketIs, Limits, Packet, RESERVED_EVENTS, encode};
use throng::proto::ws::{Message, Opcode};

use crate::argument::last_text;
use crate::decimal::{Digits, decimal};
use crate::output::Output;
use crate::payload::{Kind, STAMP_BYTES, STAMP_TEXT_BYTES, Stamp, filler};
use crate::spoken::Transport;

/// The answer to a ping (Engine.IO 4: the server asks, the client answers).
pub(crate) const PONG: &str = "3";

/// What asks whether a session may move to WebSocket, and what moves it.
pub(crate) const PROBE: &str = "2probe";
pub(crate) const UPGRADE: &str = "5";

/// The argument of an event whose bytes follow as an attachment.
const PLACEHOLDER: &str = r#"{"_placeholder":true,"num":0}"#;

/// What every connection of the run is to speak.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) namespace: &'a str,
    /// JSON.
    pub(crate) auth: Option<&'a str>,
    /// The event to be sent back and its name then.
    pub(crate) echo: (&'a str, &'a str),
    /// The event to be relayed and its name then.
    pub(crate) publish: (&'a str, &'a str),
    /// Echoes are acks.
    pub(crate) is_acked: bool,
    /// The argument is bytes.
    pub(crate) is_binary: bool,
    pub(crate) transport: Transport,
    /// Bytes of the argument; `None` where the arguments are her own.
    pub(crate) size: Option<usize>,
}

/// What every connection of the run speaks.
#[derive(Clone, Debug)]
pub(crate) struct SocketIo {
    namespace: String,
    echo: Event,
    publish: Event,
    /// Echoes are acks.
    is_acked: bool,
    /// The argument is bytes.
    is_binary: bool,
    /// How sessions come to where they stay.
    pub(crate) transport: Transport,
    /// The packet that asks for the namespace.
    connect: String,
    /// An event up to the id of its ack.
    before_id: Vec<u8>,
    /// What follows the stamp in the argument.
    filler: Vec<u8>,
    /// What of a reply's JSON is looked at.
    text_of: fn(&str) -> Cow<'_, str>,
}

/// An event and its name where it comes back.
#[derive(Clone, Debug)]
struct Event {
    name: String,
    reply: String,
    /// What it is from the id of its ack to the stamp, or to its end where the stamp is in an attachment.
    head: Vec<u8>,
}

impl Event {
    fn new((name, reply): (&str, &str), is_binary: bool, is_worded: bool) -> Result<Self, String> {
        if let Some(reserved) = [name, reply].into_iter().find(|event| RESERVED_EVENTS.contains(event)) {
            return Err(format!("an event cannot be called `{reserved}`: the name is reserved"));
        }
        let quoted = Value::from(name);
        let head = match (is_worded, is_binary) {
            (true, _) => format!("[{quoted}"),
            (false, true) => format!("[{quoted},{PLACEHOLDER}]"),
            (false, false) => format!("[{quoted},\""),
        };
        Ok(Self { name: name.to_owned(), reply: reply.to_owned(), head: head.into_bytes() })
    }
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
    /// An event or an ack whose attachments follow.
    Announced(Announced),
    /// An attachment.
    Attachment(&'a [u8]),
    /// An event that nobody waits for.
    Foreign,
    /// Nothing that matters here.
    Nothing,
}

/// A packet whose attachments are still to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Announced {
    /// Attachments that did not come yet. The last one has the stamp.
    pub(crate) left: u32,
    pub(crate) ack_id: Option<u64>,
    /// Whether it is an answer that is waited for.
    pub(crate) is_awaited: bool,
}

impl SocketIo {
    /// What to speak.
    ///
    /// # Errors
    /// Which flag is wrong, and why.
    pub(crate) fn new(wanted: Wanted<'_>) -> Result<Self, String> {
        let Wanted { namespace, auth, echo, publish, is_acked, is_binary, transport, size } = wanted;
        if !namespace.starts_with('/') || namespace.contains([',', '?']) {
            return Err(format!("--namespace {namespace}: a namespace begins with / and has no comma"));
        }
        let stamp_bytes = if is_binary { STAMP_BYTES } else { STAMP_TEXT_BYTES };
        if let Some(size) = size.filter(|&size| size < stamp_bytes) {
            return Err(format!(
                "--size {size}: the stamp in an event of Socket.IO takes {stamp_bytes} bytes"
            ));
        }
        let auth: Option<Value> = match auth.map(serde_json::from_str).transpose() {
            Ok(auth @ (None | Some(Value::Object(_)))) => auth,
            Ok(Some(_)) => return Err("--auth is not a JSON object".into()),
            Err(error) => return Err(format!("--auth is not JSON: {error}")),
        };
        let mut connect = vec![PacketKind::Message.digit()];
        encode::connect_request(&mut connect, namespace, auth.as_ref()).map_err(|error| error.to_string())?;
        let of_namespace = if namespace == "/" { String::new() } else { format!("{namespace},") };
        let kind = if is_binary { "451-" } else { "42" };
        Ok(Self {
            namespace: namespace.to_owned(),
            echo: Event::new(echo, is_binary, size.is_none())?,
            publish: Event::new(publish, is_binary, size.is_none())?,
            is_acked,
            is_binary,
            transport,
            connect: String::from_utf8(connect).map_err(|error| error.to_string())?,
            before_id: format!("{kind}{of_namespace}").into_bytes(),
            filler: filler(size.unwrap_or(stamp_bytes), stamp_bytes),
            text_of: if size.is_some() { last_text } else { |array| Cow::Borrowed(array) },
        })
    }

    /// What is spoken, in words, for the report: with events that are sent back, and with events that are relayed.
    pub(crate) fn describe(&self, has_echoes: bool, has_publishes: bool) -> String {
        let way = match self.transport {
            Transport::Websocket => "WebSocket",
            Transport::Upgrade => "WebSocket, upgraded from polling",
            Transport::Polling => "polling (two TCP connections each: one polls, one posts)",
        };
        let mut spoken = format!("Socket.IO over {way}, namespace {}", self.namespace);
        let Self { echo, publish, .. } = self;
        let echoed = match self.is_acked {
            true => format!("`{}` answered by its ack", echo.name),
            false => format!("`{}` answered by `{}`", echo.name, echo.reply),
        };
        let relayed = format!("`{}` relayed as `{}`", publish.name, publish.reply);
        let mut separator = ": ";
        for (what, is_sent) in [(&echoed, has_echoes), (&relayed, has_publishes)] {
            if is_sent {
                spoken = spoken + separator + what;
                separator = ", ";
            }
        }
        if self.is_binary && (has_echoes || has_publishes) {
            spoken += ", binary";
        }
        spoken
    }

    /// What a server has to do for publishes.
    pub(crate) fn relaying(&self) -> String {
        let Event { name, reply, .. } = &self.publish;
        format!("the server has to emit `{reply}` to everybody in {} when it hears `{name}`", self.namespace)
    }

    /// What a server has to do for rooms.
    pub(crate) fn saying(&self) -> String {
        let (Event { name, reply, .. }, namespace) = (&self.publish, &self.namespace);
        format!(
            "the server has to emit `{reply}` to the others of the sender's room in {namespace} when it hears `{name}`"
        )
    }

    /// What a server has to do for echoes.
    pub(crate) fn echoing(&self) -> String {
        let (Event { name, reply, .. }, namespace) = (&self.echo, &self.namespace);
        if self.is_acked {
            format!("the server has to ack `{name}` in {namespace} with its argument")
        } else {
            format!(
                "the server has to emit `{reply}` to whoever sent `{name}` in {namespace}; if it acks, --ack"
            )
        }
    }

    /// The packet that asks for the namespace.
    pub(crate) fn connect(&self) -> &str {
        &self.connect
    }

    /// Appends the event that carries `stamp`; with an ack its number is the ack's id.
    pub(crate) fn append(&self, output: &mut Output, stamp: &Stamp) {
        let mut digits = Digits::default();
        let (event, id) = self.event(stamp, &mut digits);
        if self.is_binary {
            output.append_parts(Opcode::Text, &[&self.before_id, id, &event.head]);
            output.append_stamped(Opcode::Binary, stamp.encode(), &self.filler);
        } else {
            let text = stamp.encode_text();
            let parts = [&self.before_id, id, &event.head, &text, &self.filler, b"\"]"];
            output.append_parts(Opcode::Text, &parts);
        }
    }

    /// Appends the event of the message with this stamp, with these arguments; with an ack its number is the ack's id.
    pub(crate) fn append_args(&self, output: &mut Output, stamp: &Stamp, args: &[u8]) {
        let mut digits = Digits::default();
        let (event, id) = self.event(stamp, &mut digits);
        let comma: &[u8] = if args.is_empty() { b"" } else { b"," };
        output.append_parts(Opcode::Text, &[&self.before_id, id, &event.head, comma, args, b"]"]);
    }

    /// The event of a message, and the id of its ack, if it wants one.
    fn event<'d>(&self, stamp: &Stamp, digits: &'d mut Digits) -> (&Event, &'d [u8]) {
        let is_acked = self.is_acked && stamp.kind == Kind::Echo;
        let id = if is_acked { decimal(u64::from(stamp.sequence), digits) } else { &[] };
        match stamp.kind {
            Kind::Echo => (&self.echo, id),
            Kind::Publish => (&self.publish, id),
        }
    }

    /// The stamp of a reply, if it is one as it was sent.
    pub(crate) fn stamp(&self, text: &str, ack_id: Option<u64>) -> Option<Stamp> {
        let stamp = Stamp::decode_text(text.as_bytes()).filter(|_| !self.is_binary)?;
        (self.is_right(&stamp, ack_id) && text.as_bytes()[STAMP_TEXT_BYTES..] == self.filler).then_some(stamp)
    }

    /// The stamp of an attachment of a reply, likewise.
    pub(crate) fn stamp_of(&self, attachment: &[u8], ack_id: Option<u64>) -> Option<Stamp> {
        let stamp = Stamp::decode(attachment).filter(|_| self.is_binary)?;
        (self.is_right(&stamp, ack_id) && attachment[STAMP_BYTES..] == self.filler).then_some(stamp)
    }

    fn is_right(&self, stamp: &Stamp, ack_id: Option<u64>) -> bool {
        let is_acked = self.is_acked && stamp.kind == Kind::Echo;
        ack_id == is_acked.then_some(u64::from(stamp.sequence))
    }

    /// Takes a packet that came before the namespace was joined; `is_open` is whether the session is.
    ///
    /// # Errors
    /// Why it never will be, in words that continue "the server …".
    pub(crate) fn join(
        &self,
        packet: Result<EnginePacket<'_>, Malformed>,
        is_open: &mut bool,
    ) -> Result<Joining<'_>, String> {
        let is_upgraded = self.transport == Transport::Upgrade;
        match self.hear(packet) {
            Ok(Heard::Open) if !*is_open && !is_upgraded => {
                *is_open = true;
                Ok(Joining::Send(&self.connect))
            }
            Ok(Heard::Probed) if !*is_open && is_upgraded => {
                *is_open = true;
                Ok(Joining::Upgrade(&self.connect))
            }
            _ if !*is_open && is_upgraded => Err("does not answer the probe of an upgrade".into()),
            _ if !*is_open => Err("does not speak Engine.IO 4: its first message is no open packet".into()),
            Ok(Heard::Ping) => Ok(Joining::Send(PONG)),
            Ok(Heard::Joined) => Ok(Joining::Joined),
            Ok(_) => Ok(Joining::Wait),
            Err(what) => Err(what),
        }
    }

    /// What a packet means.
    ///
    /// # Errors
    /// What ends the connection, in words that continue "the server …".
    pub(crate) fn hear<'a>(&self, packet: Result<EnginePacket<'a>, Malformed>) -> Result<Heard<'a>, String> {
        let packet = packet.map_err(|why| format!("broke Engine.IO: it sent {why}"))?;
        match (packet.kind, packet.data) {
            (PacketKind::Message, Data::Text(text)) => {
                let packet = Packet::parse(text, &Limits::default());
                self.packet(packet.map_err(|why| format!("broke Socket.IO: it sent {why}"))?)
            }
            (PacketKind::Message, Data::Binary(bytes)) => Ok(Heard::Attachment(bytes)),
            (PacketKind::Open, _) => Ok(Heard::Open),
            (PacketKind::Ping, _) => Ok(Heard::Ping),
            (PacketKind::Pong, Data::Text("probe")) => Ok(Heard::Probed),
            (PacketKind::Close, _) => Err("closed the Engine.IO session".into()),
            _ => Ok(Heard::Nothing),
        }
    }

    fn packet<'a>(&self, packet: Packet<'a>) -> Result<Heard<'a>, String> {
        let is_ours = packet.namespace == self.namespace;
        let is_reply =
            is_ours && [&self.echo.reply, &self.publish.reply].iter().any(|&name| packet.event == *name);
        Ok(match packet.kind {
            PacketIs::BinaryEvent | PacketIs::BinaryAck => {
                let is_awaited = is_reply || (is_ours && packet.kind == PacketIs::BinaryAck);
                let Packet { attachments: left, ack_id, .. } = packet;
                if left == 0 {
                    Heard::Foreign
                } else {
                    Heard::Announced(Announced { left, ack_id, is_awaited })
                }
            }
            _ if !is_ours => Heard::Foreign,
            // The session id came with protocol 5.
            PacketIs::Connect if packet.data.is_empty() => {
                return Err("speaks an older Socket.IO: protocol 5 joins with a session id".into());
            }
            PacketIs::Connect => Heard::Joined,
            PacketIs::ConnectError => return Err(self.refusal(packet.data)),
            PacketIs::Disconnect => return Err(format!("disconnected the socket from {}", self.namespace)),
            PacketIs::Event if is_reply => Heard::Reply((self.text_of)(packet.data), None),
            PacketIs::Ack => Heard::Reply((self.text_of)(packet.data), packet.ack_id),
            PacketIs::Event => Heard::Foreign,
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

/// The packet that a whole message of a WebSocket is.
///
/// # Errors
/// It is none.
pub(crate) fn packet_of(message: Message<'_>) -> Result<EnginePacket<'_>, Malformed> {
    match message {
        Message::Text(text) => EnginePacket::parse_text(text),
        Message::Binary(bytes) => Ok(EnginePacket::binary(bytes)),
    }
}

mod overheard;
#[cfg(test)]
mod tests;

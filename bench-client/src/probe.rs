//! One connection before the thousands: is there a WebSocket server at all, and does it speak what is wanted? Blocking;
//! called once by the main thread.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use throng::proto::engineio::Payload;
use throng::proto::ws::deflate::Agreed;
use throng::proto::ws::{Carry, Decoder, Item, Opcode, Role, Store, close, encode};

use crate::answer;
use crate::deflating::AGREED;
use crate::handshake::Handshake;
use crate::inbound::{End, LIMITS};
use crate::output::Output;
use crate::session::{Requests, Session};
use crate::socketio::{Joining, PROBE, SocketIo, UPGRADE, packet_of};
use crate::spoken::Transport;
use crate::target::Target;
use crate::tls::{READ_BYTES, Tls, TlsCommon};
use crate::trust::{Failure, Trust};
use crate::wire::Wire;

/// Connects, completes the handshake, joins the namespace where there is one, and closes.
///
/// # Errors
/// What is wrong with the server, in one line.
pub(crate) fn probe(
    target: &Target,
    handshake: &Handshake,
    socket_io: Option<&SocketIo>,
    trust: Option<&Trust>,
    timeout: Duration,
) -> Result<(), String> {
    let mut line = Line::connect(target, trust, timeout)?;
    let mut response = Vec::new();
    let mut session = None;
    if let Some(requests) = handshake.requests() {
        line.write(&requests.open())?;
        let opened = loop {
            line.read(&mut response)?;
            match Session::opened(&response).map_err(|what| line.server(&what))? {
                None => {}
                Some(opened) => break opened,
            }
        };
        if let Some(socket_io) = socket_io.filter(|_| handshake.is_polling) {
            return line.join_by_polling(requests, &opened, socket_io);
        }
        session = Some(opened);
        response.clear();
    }
    let mut request = Vec::new();
    let key = handshake.append_request(&mut request, session.as_ref().map(|session| &*session.sid));
    line.write(&request)?;
    let head = loop {
        line.read(&mut response)?;
        match handshake.response(&response, &key) {
            Ok(None) => {}
            Ok(Some(head)) => break head,
            Err(what) => return Err(line.server(&format!("{what}{}", answer::said(&response)))),
        }
    };
    if let Some(socket_io) = socket_io {
        line.join(socket_io, handshake.deflates, response.split_off(head))?;
    }
    let mut close = Vec::new();
    encode::append_masked(&mut close, Opcode::Close, true, &1000u16.to_be_bytes(), [0x55; 4]);
    // The handshake was the question. A server that is gone by now shows in the run itself.
    drop(line.wire().write_all(&close));
    line.wire().close();
    Ok(())
}

/// A connection that waits for its answers, and how far it is with them.
struct Line {
    stream: TcpStream,
    common: Option<Rc<TlsCommon>>,
    tls: Option<Box<Tls>>,
    /// Where it is read.
    chunk: Box<[u8]>,
    address: SocketAddr,
    url: String,
    timeout: Duration,
    until: Instant,
    stage: Stage,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Tls,
    Handshake,
    Session,
    Namespace,
}

impl Line {
    fn connect(target: &Target, trust: Option<&Trust>, timeout: Duration) -> Result<Self, String> {
        let (address, until) = (target.address, Instant::now() + timeout);
        let stream = TcpStream::connect_timeout(&address, timeout).map_err(|error| match error.kind() {
            ErrorKind::ConnectionRefused => format!("{address} refuses connections: nothing listens there"),
            ErrorKind::TimedOut => format!("{address} does not answer within {timeout:?}"),
            _ => format!("cannot connect to {address}: {error}"),
        })?;
        let common = trust.cloned().map(TlsCommon::new);
        let chunk = vec![0; READ_BYTES].into_boxed_slice();
        let (url, stage) = (target.url(), Stage::Handshake);
        let mut line = Self { stream, common, tls: None, chunk, address, url, timeout, until, stage };
        line.secure()?;
        Ok(line)
    }

    /// What is written to and read from.
    fn wire(&mut self) -> Wire<'_, TcpStream> {
        Wire::new(&mut self.stream, &mut self.tls)
    }

    /// The time that is left, as the longest that a read may take.
    fn set_timeout(&self) -> io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))
    }

    /// The TLS handshake, where there is one.
    fn secure(&mut self) -> Result<(), String> {
        let stage = std::mem::replace(&mut self.stage, Stage::Tls);
        let tls = self.common.as_ref().map(Tls::new).transpose();
        let shaken = tls.and_then(|tls| {
            self.tls = tls;
            self.set_timeout()?;
            self.wire().handshake()
        });
        shaken.map_err(|error| self.failed(&error))?;
        self.stage = stage;
        Ok(())
    }

    /// What the server did, as a whole sentence.
    fn server(&self, what: &str) -> String {
        format!("{}: the server {what}", self.url)
    }

    fn failed(&self, error: &io::Error) -> String {
        let Self { address, url, timeout, .. } = self;
        if let Some(sentence) = Failure::within(error) {
            return format!("{url}: {sentence}");
        }
        match (error.kind(), self.stage) {
            (ErrorKind::WouldBlock | ErrorKind::TimedOut, Stage::Tls) => {
                format!("{address} accepts the connection but ends no TLS handshake within {timeout:?}")
            }
            (_, Stage::Tls) => format!("{address}: the TLS handshake failed: {error}"),
            (ErrorKind::WouldBlock | ErrorKind::TimedOut, Stage::Handshake) => {
                format!(
                    "{address} accepts the connection but does not answer the handshake within {timeout:?}"
                )
            }
            (ErrorKind::WouldBlock | ErrorKind::TimedOut, Stage::Session) => {
                format!(
                    "{url}: the server speaks WebSocket, but opens no Engine.IO session within {timeout:?}"
                )
            }
            (ErrorKind::WouldBlock | ErrorKind::TimedOut, Stage::Namespace) => {
                format!("{url}: the server does not answer to the namespace within {timeout:?}")
            }
            (
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof,
                Stage::Handshake,
            ) => {
                format!("{address} ended the connection before it answered the handshake")
            }
            (ErrorKind::UnexpectedEof, _) => {
                format!("{url}: the server ended the connection before the namespace was joined")
            }
            (_, Stage::Handshake) => format!("{address}: the handshake failed: {error}"),
            _ => format!("{url}: the connection failed before the namespace was joined: {error}"),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.wire().write_all(bytes).map_err(|error| self.failed(&error))
    }

    /// Reads at least a byte onto the end of `into`.
    fn read(&mut self, into: &mut Vec<u8>) -> Result<(), String> {
        let read = self.set_timeout().and_then(|()| {
            let mut wire = Wire::new(&mut self.stream, &mut self.tls);
            loop {
                match wire.read(&mut self.chunk) {
                    Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    other => return other,
                }
            }
        });
        let bytes = read.map_err(|error| self.failed(&error))?;
        into.extend_from_slice(&self.chunk[..bytes]);
        Ok(())
    }

    /// Joins the namespace over WebSocket; `bytes` came behind its handshake.
    fn join(&mut self, socket_io: &SocketIo, deflates: bool, mut bytes: Vec<u8>) -> Result<(), String> {
        let agreed = if deflates { AGREED } else { Agreed::NOTHING };
        let mut joiner = Joiner { agreed, ..Joiner::default() };
        if socket_io.transport == Transport::Upgrade {
            joiner.output.append(Opcode::Text, PROBE.as_bytes());
        }
        self.stage = Stage::Session;
        while !joiner.feed(socket_io, &mut bytes).map_err(|end| format!("{}: {end}", self.url))? {
            if joiner.is_open {
                self.stage = Stage::Namespace;
            }
            self.write(joiner.output.as_bytes())?;
            joiner.output.clear();
            bytes.clear();
            self.read(&mut bytes)?;
        }
        Ok(())
    }

    /// Joins the namespace in a session that polls, and ends it.
    fn join_by_polling(
        &mut self,
        requests: &Requests,
        session: &Session,
        socket_io: &SocketIo,
    ) -> Result<(), String> {
        self.stage = Stage::Namespace;
        self.ask(&requests.post(session, socket_io.connect().as_bytes()))?;
        let (mut is_joined, mut decoded) = (false, Vec::new());
        while !is_joined {
            let body = self.ask(&requests.poll(session))?;
            let mut packets = Payload::new(&body, u32::MAX, &mut decoded);
            while let Some(packet) = packets.next() {
                match socket_io.join(packet, &mut true).map_err(|what| self.server(&what))? {
                    Joining::Wait => {}
                    Joining::Send(text) | Joining::Upgrade(text) => {
                        _ = self.ask(&requests.post(session, text.as_bytes()))?;
                    }
                    Joining::Joined => is_joined = true,
                }
            }
        }
        // The packet that closes a session. What comes of it is no question of the run's.
        drop(self.wire().write_all(&requests.post(session, b"1")));
        self.wire().close();
        Ok(())
    }

    /// The body of the answer to a request of a session, on a connection of its own: the one before it may be over.
    fn ask(&mut self, request: &[u8]) -> Result<String, String> {
        let stream = TcpStream::connect_timeout(&self.address, self.timeout);
        self.stream = stream.map_err(|error| self.failed(&error))?;
        self.secure()?;
        self.write(request)?;
        let mut response = Vec::new();
        loop {
            self.read(&mut response)?;
            let Some(answer) = answer::read(&response).map_err(|what| self.server(&what))? else { continue };
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            return match answer.status {
                200 => Ok(body),
                status => Err(self.server(&format!("refused a request of its session: {status} {body}"))),
            };
        }
    }
}

/// A connection on its way into the namespace.
struct Joiner {
    is_open: bool,
    agreed: Agreed,
    carry: Option<Box<Carry>>,
    store: Store,
    output: Output,
}

impl Default for Joiner {
    fn default() -> Self {
        let agreed = Agreed::NOTHING;
        Self { is_open: false, agreed, carry: None, store: Store::new(), output: Output::new(0) }
    }
}

impl Joiner {
    /// Takes what was read; whether the namespace is joined.
    fn feed(&mut self, socket_io: &SocketIo, bytes: &mut [u8]) -> Result<bool, End> {
        let mut decoder = Decoder::new(Role::Client, LIMITS, self.carry.take(), bytes).agreed(self.agreed);
        loop {
            match decoder.next(&mut self.store).map_err(|cause| End::Violation(cause, Role::Client))? {
                None => break,
                Some(Item::Message(message)) => {
                    match socket_io.join(packet_of(message), &mut self.is_open).map_err(End::Refused)? {
                        Joining::Wait => {}
                        Joining::Send(text) => self.output.append(Opcode::Text, text.as_bytes()),
                        Joining::Upgrade(text) => {
                            self.output.append(Opcode::Text, UPGRADE.as_bytes());
                            self.output.append(Opcode::Text, text.as_bytes());
                        }
                        Joining::Joined => return Ok(true),
                    }
                }
                Some(Item::Ping(payload)) => self.output.append(Opcode::Pong, payload),
                Some(Item::Pong(_)) => {}
                Some(Item::Close { code, .. }) => return Err(End::Closed(code.unwrap_or(close::NO_STATUS))),
            }
        }
        self.carry = decoder.finish(&mut self.store).carry;
        Ok(false)
    }
}

//! One connection before the thousands: is there a WebSocket server at all, and does it speak what is wanted? Blocking;
//! called once by the main thread.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use throng::proto::ws::{Carry, Decoder, Item, Opcode, Role, Store, close, encode};

use crate::handshake::Handshake;
use crate::inbound::{End, LIMITS};
use crate::output::Output;
use crate::socketio::{Joining, PROBE, SocketIo, UPGRADE};
use crate::target::Target;

/// Connects, completes the handshake, joins the namespace where there is one, and closes.
///
/// # Errors
/// What is wrong with the server, in one line.
pub(crate) fn probe(
    target: &Target,
    handshake: &Handshake,
    socket_io: Option<&SocketIo>,
    timeout: Duration,
) -> Result<(), String> {
    let address = target.address;
    let until = Instant::now() + timeout;
    let mut stream = TcpStream::connect_timeout(&address, timeout).map_err(|error| match error.kind() {
        ErrorKind::ConnectionRefused => format!("{address} refuses connections: nothing listens there"),
        ErrorKind::TimedOut => format!("{address} does not answer within {timeout:?}"),
        _ => format!("cannot connect to {address}: {error}"),
    })?;
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            format!("{address} accepts the connection but does not answer the handshake within {timeout:?}")
        }
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            format!("{address} ended the connection before it answered the handshake")
        }
        _ => format!("{address}: the handshake failed: {error}"),
    };
    let (mut response, mut chunk) = (Vec::new(), [0; 4096]);
    let mut read = |stream: &mut TcpStream, into: &mut Vec<u8>| -> std::io::Result<bool> {
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left))?;
        loop {
            match stream.read(&mut chunk) {
                Ok(bytes) => {
                    into.extend_from_slice(&chunk[..bytes]);
                    return Ok(bytes > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    };
    let url = format!("ws://{}{}", target.host, target.path);
    let mut sid = None;
    if let Some(poll) = handshake.poll() {
        stream.write_all(poll).map_err(failed)?;
        while sid.is_none() {
            if !read(&mut stream, &mut response).map_err(failed)? {
                return Err(format!("{address} ended the connection before it answered the handshake"));
            }
            sid = Handshake::session(&response).map_err(|what| format!("{url}: the server {what}"))?;
        }
        response.clear();
    }
    let mut request = Vec::new();
    let key = handshake.append_request(&mut request, sid.as_deref());
    stream.write_all(&request).map_err(failed)?;
    let head = loop {
        if !read(&mut stream, &mut response).map_err(failed)? {
            return Err(format!("{address} ended the connection before it answered the handshake"));
        }
        match handshake.response(&response, &key) {
            Ok(None) => {}
            Ok(Some(head)) => break head,
            Err(what) => return Err(format!("{url}: the server {what}")),
        }
    };
    if let Some(socket_io) = socket_io {
        let mut early = response.split_off(head);
        let mut joiner = Joiner::default();
        if socket_io.is_upgraded {
            joiner.output.append(Opcode::Text, PROBE.as_bytes());
        }
        while !joiner.feed(socket_io, &mut early).map_err(|end| format!("{url}: {end}"))? {
            stream.write_all(joiner.output.as_bytes()).map_err(failed)?;
            joiner.output.clear();
            early.clear();
            let silent = |error: std::io::Error| match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut if joiner.is_open => {
                    format!("{url}: the server does not answer to the namespace within {timeout:?}")
                }
                ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                    format!(
                        "{url}: the server speaks WebSocket, but opens no Engine.IO session within {timeout:?}"
                    )
                }
                _ => format!("{url}: the connection failed before the namespace was joined: {error}"),
            };
            if !read(&mut stream, &mut early).map_err(silent)? {
                return Err(format!(
                    "{url}: the server ended the connection before the namespace was joined"
                ));
            }
        }
    }
    let mut close = Vec::new();
    encode::append_masked(&mut close, Opcode::Close, true, &1000u16.to_be_bytes(), [0x55; 4]);
    // The handshake was the question. A server that is gone by now shows in the run itself.
    drop(stream.write_all(&close));
    Ok(())
}

/// A connection on its way into the namespace.
struct Joiner {
    is_open: bool,
    carry: Option<Box<Carry>>,
    store: Store,
    output: Output,
}

impl Default for Joiner {
    fn default() -> Self {
        Self { is_open: false, carry: None, store: Store::new(), output: Output::new(0) }
    }
}

impl Joiner {
    /// Takes what was read; whether the namespace is joined.
    fn feed(&mut self, socket_io: &SocketIo, bytes: &mut [u8]) -> Result<bool, End> {
        let mut decoder = Decoder::new(Role::Client, LIMITS, self.carry.take(), bytes);
        loop {
            match decoder.next(&mut self.store).map_err(|cause| End::Violation(cause, Role::Client))? {
                None => break,
                Some(Item::Message(message)) => {
                    match socket_io.join(message, &mut self.is_open).map_err(End::Refused)? {
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

//! The floor to measure against: answers the WebSocket handshake and from then on sends every byte back as it came.
//!
//! It parses no frame, so what comes back is masked and only `bench-client echo --raw-echo` accepts it. One thread; for
//! more connections than one process may open, start it several times on the same port (SO_REUSEPORT).
//!
//! ```text
//! cargo run --release -p bench-client --example raw_echo -- --bind 127.0.0.1:9000
//! ```

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use socket2::{Domain, Socket, Type};
use tungstenite::handshake::derive_accept_key;

const LISTENER: Token = Token(usize::MAX - 1);
const KEY: &str = "sec-websocket-key:";

struct Conn {
    stream: TcpStream,
    is_open: bool,
    /// The request so far, and then what the kernel has not taken yet.
    bytes: Vec<u8>,
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let bind = arguments.iter().position(|word| word == "--bind").and_then(|at| arguments.get(at + 1));
    let address: SocketAddr =
        bind.map_or("127.0.0.1:9000", String::as_str).parse().map_err(io::Error::other)?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(65_535)?;
    let mut listener = TcpListener::from_std(socket.into());
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let (mut conns, mut scratch) = (Slab::new(), vec![0; 256 << 10]);
    let mut events = Events::with_capacity(1024);
    println!("raw echo on {}", listener.local_addr()?);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &mut conns, &poll)?;
                continue;
            }
            let slot = event.token().0;
            if conns.get_mut(slot).is_some_and(|conn| serve(conn, &mut scratch).is_err()) {
                conns.remove(slot);
            }
        }
    }
}

fn accept(listener: &TcpListener, conns: &mut Slab<Conn>, poll: &Poll) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((mut stream, _)) => {
                stream.set_nodelay(true)?;
                let slot = conns.vacant_key();
                poll.registry().register(
                    &mut stream,
                    Token(slot),
                    Interest::READABLE | Interest::WRITABLE,
                )?;
                conns.insert(Conn { stream, is_open: false, bytes: Vec::new() });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => eprintln!("accept: {error}"),
        }
    }
}

/// Sends back what can be read. An error ends the connection.
fn serve(conn: &mut Conn, scratch: &mut [u8]) -> io::Result<()> {
    if conn.is_open && !flush(conn)? {
        return Ok(());
    }
    loop {
        let read = match conn.stream.read(scratch) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        if conn.is_open {
            let taken = match conn.stream.write(&scratch[..read]) {
                Ok(taken) => taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error),
            };
            conn.bytes.extend_from_slice(&scratch[taken..read]);
            if taken < read {
                return Ok(());
            }
        } else {
            conn.bytes.extend_from_slice(&scratch[..read]);
            if conn.bytes.ends_with(b"\r\n\r\n") {
                answer(conn)?;
            }
        }
        if read < scratch.len() {
            return Ok(());
        }
    }
}

/// Writes what is left over; whether all of it is gone.
fn flush(conn: &mut Conn) -> io::Result<bool> {
    while !conn.bytes.is_empty() {
        match conn.stream.write(&conn.bytes) {
            Ok(taken) => drop(conn.bytes.drain(..taken)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn answer(conn: &mut Conn) -> io::Result<()> {
    let request = String::from_utf8_lossy(&std::mem::take(&mut conn.bytes)).into_owned();
    let key = request
        .lines()
        .find_map(|line| line.get(..KEY.len())?.eq_ignore_ascii_case(KEY).then(|| line[KEY.len()..].trim()));
    let accept = derive_accept_key(key.ok_or(ErrorKind::InvalidData)?.as_bytes());
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
    conn.is_open = true;
    conn.stream.write_all(format!("{head}{accept}\r\n\r\n").as_bytes())
}

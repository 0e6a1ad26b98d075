//! The limit throng is measured against: a plain epoll program that knows nothing of WebSocket frames.
//!
//! `echo` answers the handshake properly and from then on returns every byte as it came: one `recv` and one `send` per
//! event, no parsing. No WebSocket server on epoll can be cheaper. Frames come back masked as they went, which a strict
//! client refuses (RFC 6455 §5.1): give `bench-client` its flag `--raw-echo`.
//!
//! `broadcast` unmasks what one connection sends, frames it once, and makes one `send` to each other connection of the
//! same thread. Frames that arrive in one read become one `send` per member, the best that `send` can do.
//!
//! It is a yardstick and no server: no limits, no timeouts, no pings. Listener, fd tables and buffer are throng's, so that
//! only the work differs. `cargo run --release --example raw_epoll -- echo --bind 127.0.0.1:3001`

use std::io;
use std::mem::take;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use clap::{Parser, ValueEnum};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};
use slab::Slab;
use throng::sys::listener::{ListenOptions, listen_each};
use throng::sys::reserve::Reserve;
use throng::sys::{fd_table, limits};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::{FrameHeader, coding::OpCode};

/// A plain epoll server, the limit that throng is measured against.
#[derive(Parser, Clone, Copy)]
struct Options {
    mode: Mode,
    /// Address and port; port 0 takes a free one, which is printed.
    #[arg(long, default_value = "127.0.0.1:3001")]
    bind: SocketAddr,
    /// Threads, each with its own epoll and listener.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Bytes of a thread's one read buffer.
    #[arg(long, default_value_t = 256 << 10)]
    buffer: usize,
    /// TCP_NOTSENT_LOWAT of every connection; 0 leaves the kernel's default.
    #[arg(long, default_value_t = 16 << 10)]
    notsent_lowat: u32,
    /// Leave the threads in one fd table.
    #[arg(long)]
    shared_table: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Mode {
    Echo,
    Broadcast,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    limits::raise_fd_limit()?;
    let listen = ListenOptions { backlog: 65_535, notsent_lowat: options.notsent_lowat, reuse_port: false };
    let listeners = listen_each(options.bind, options.threads.max(1), listen)?;
    println!("listening on {}", listeners[0].local_addr()?);
    let threads: Vec<_> =
        listeners.into_iter().map(|listener| std::thread::spawn(move || run(listener, options))).collect();
    threads.into_iter().try_for_each(|thread| thread.join().expect("a thread ends with a result"))
}

/// A thread's life: it ends only with an error.
fn run(listener: TcpListener, options: Options) -> io::Result<()> {
    if !options.shared_table {
        fd_table::unshare_fd_table()?;
    }
    Worker::new(listener, options.mode)?.serve(options.buffer.max(4096))
}

/// A connection's events, registered once: edge-triggered, so nothing is ever changed.
const INTEREST: EventFlags =
    EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);

/// The event data of the listener; connections have their slab index.
const LISTENER: u64 = u64::MAX;

/// Connections accepted before the others get their turn.
const ACCEPTS_PER_TURN: usize = 64;

struct Conn {
    fd: OwnedFd,
    upgraded: bool,
    /// What the kernel did not take yet. Nothing is read from the connection meanwhile.
    rest: Vec<u8>,
    /// An incomplete request head, or in broadcast an incomplete frame.
    carry: Vec<u8>,
}

struct Worker {
    epoll: OwnedFd,
    listener: TcpListener,
    reserve: Reserve,
    conns: Slab<Conn>,
    mode: Mode,
}

impl Worker {
    fn new(listener: TcpListener, mode: Mode) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        // Level-triggered: what is left of a long accept queue is reported again.
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        Ok(Self { epoll, listener, reserve: Reserve::open()?, conns: Slab::new(), mode })
    }

    fn serve(mut self, buffer_bytes: usize) -> io::Result<()> {
        let mut buffer = vec![0; buffer_bytes];
        let mut events = Vec::with_capacity(1024);
        loop {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    // A connection has one event per wait and ends in it, so no event is meant for a predecessor.
                    slot => {
                        if self.work(slot as usize, event.flags, &mut buffer).is_err() {
                            // Dropping the fd closes it, which takes it out of the epoll.
                            drop(self.conns.remove(slot as usize));
                        }
                    }
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        for _ in 0..ACCEPTS_PER_TURN {
            let fd = match accept_with(&self.listener, flags) {
                Ok(fd) => fd,
                Err(Errno::MFILE | Errno::NFILE) => {
                    self.reserve.spend(|| accept_with(&self.listener, flags).is_ok());
                    continue;
                }
                // EAGAIN ends the queue; other errors are the peer's, who is gone.
                Err(_) => return Ok(()),
            };
            let slot = self.conns.vacant_entry();
            epoll::add(&self.epoll, &fd, EventData::new_u64(slot.key() as u64), INTEREST)?;
            slot.insert(Conn { fd, upgraded: false, rest: Vec::new(), carry: Vec::new() });
        }
        Ok(())
    }

    /// Sends what is left over, then reads and answers. An error is the end of the connection.
    fn work(&mut self, slot: usize, flags: EventFlags, buffer: &mut [u8]) -> Result<(), Errno> {
        let conn = &mut self.conns[slot];
        if !conn.rest.is_empty() {
            let rest = take(&mut conn.rest);
            conn.send(&rest)?;
        }
        // A read that does not fill the buffer has emptied the socket, and the next bytes make a new edge. After the end
        // of the peer's stream no edge comes any more, so that is read up to.
        let ends = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        while self.conns[slot].rest.is_empty() {
            let conn = &mut self.conns[slot];
            let read = match recv(&conn.fd, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => return Err(Errno::PIPE),
                Ok((read, _)) => read,
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(errno),
            };
            match conn.upgraded {
                true => self.answer(slot, &mut buffer[..read])?,
                false => self.upgrade(slot, &buffer[..read])?,
            }
            if read < buffer.len() && !ends {
                break;
            }
        }
        Ok(())
    }

    fn upgrade(&mut self, slot: usize, bytes: &[u8]) -> Result<(), Errno> {
        let conn = &mut self.conns[slot];
        conn.carry.extend_from_slice(bytes);
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut fields);
        let httparse::Status::Complete(end) = head.parse(&conn.carry).map_err(|_| Errno::PROTO)? else {
            return Ok(());
        };
        let key = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case("sec-websocket-key"));
        let accept = derive_accept_key(key.ok_or(Errno::PROTO)?.value);
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        let mut behind = take(&mut conn.carry).split_off(end);
        conn.upgraded = true;
        conn.send(answer.as_bytes())?;
        self.answer(slot, &mut behind)
    }

    fn answer(&mut self, slot: usize, bytes: &mut [u8]) -> Result<(), Errno> {
        match self.mode {
            Mode::Echo => self.conns[slot].send(bytes),
            Mode::Broadcast => self.broadcast(slot, bytes),
        }
    }

    /// Frames every whole message frame in `bytes` anew, unmasked, and sends them all at once to all other connections.
    fn broadcast(&mut self, from: usize, bytes: &mut [u8]) -> Result<(), Errno> {
        let sender = &mut self.conns[from];
        let mut joined = take(&mut sender.carry);
        let mut left = bytes;
        if !joined.is_empty() {
            joined.extend_from_slice(left);
            left = &mut joined;
        }
        let mut framed = Vec::new();
        while let Some((mut header, payload_start, payload_end)) = parse(left)? {
            let (frame, behind) = left.split_at_mut(payload_end);
            left = behind;
            let payload = &mut frame[payload_start..];
            match header.opcode {
                OpCode::Data(_) => {
                    let mask = header.mask.take().ok_or(Errno::PROTO)?;
                    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
                    header.format(payload.len() as u64, &mut framed).expect("a Vec takes everything");
                    framed.extend_from_slice(payload);
                }
                // 0x88 0x00, a close frame without a code.
                OpCode::Control(_) if frame[0] == 0x88 => sender.send(&[0x88, 0])?,
                OpCode::Control(_) => {}
            }
        }
        sender.carry = left.to_vec();
        if !framed.is_empty() {
            for (slot, member) in &mut self.conns {
                if slot != from && member.upgraded {
                    // A member that is gone has its own event.
                    member.send(&framed).unwrap_or_default();
                }
            }
        }
        Ok(())
    }
}

/// The first frame of `bytes` and where its payload starts and ends, or `None` while it is not whole.
fn parse(bytes: &[u8]) -> Result<Option<(FrameHeader, usize, usize)>, Errno> {
    let mut cursor = io::Cursor::new(bytes);
    let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(|_| Errno::PROTO)? else {
        return Ok(None);
    };
    let start = cursor.position() as usize;
    let end =
        usize::try_from(length).ok().and_then(|length| start.checked_add(length)).ok_or(Errno::PROTO)?;
    Ok((end <= bytes.len()).then_some((header, start, end)))
}

impl Conn {
    /// One `send`; what the kernel does not take waits for the next writable edge.
    fn send(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let mut sent = 0;
        if self.rest.is_empty() && !bytes.is_empty() {
            sent = match send(&self.fd, bytes, SendFlags::NOSIGNAL) {
                Err(Errno::AGAIN) => 0,
                sent => sent?,
            };
        }
        self.rest.extend_from_slice(&bytes[sent..]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use tungstenite::{Message, WebSocket};

    /// A server in this process, and an address to reach it.
    fn server(mode: Mode) -> SocketAddr {
        let command = ["raw_epoll", if mode == Mode::Echo { "echo" } else { "broadcast" }, "--shared-table"];
        let options = Options::parse_from(command);
        let listen = ListenOptions { backlog: 16, notsent_lowat: options.notsent_lowat, reuse_port: false };
        let listener = listen_each(([127, 0, 0, 1], 0).into(), 1, listen).unwrap().remove(0);
        let addr = listener.local_addr().unwrap();
        std::thread::spawn(move || run(listener, options));
        addr
    }

    fn client(addr: SocketAddr) -> WebSocket<TcpStream> {
        let stream = TcpStream::connect(addr).unwrap();
        tungstenite::client(format!("ws://{addr}/"), stream).unwrap().0
    }

    #[test]
    fn every_byte_comes_back_as_it_went() {
        let mut stream = client(server(Mode::Echo)).get_ref().try_clone().unwrap();
        // 16 MiB is more than the socket buffers of both ends take, so sends are short and reading pauses.
        for size in [1, 125, 256 << 10, 16 << 20] {
            let sent: Vec<u8> = (0..size).map(|n| (n * 31 + n / 251) as u8).collect();
            let mut writer = stream.try_clone().unwrap();
            let mut heard = vec![0; size];
            std::thread::scope(|scope| {
                scope.spawn(|| writer.write_all(&sent).unwrap());
                stream.read_exact(&mut heard).unwrap();
            });
            assert!(heard == sent, "{size} bytes");
        }
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the end is answered with the end");
    }

    #[test]
    fn a_head_in_pieces_is_answered_and_what_follows_it_is_echoed() {
        let mut stream = TcpStream::connect(server(Mode::Echo)).unwrap();
        stream.set_nodelay(true).unwrap();
        let head = "GET / HTTP/1.1\r\nHost: h\r\nsec-websocket-KEY: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nbehind";
        for piece in head.as_bytes().chunks(7) {
            stream.write_all(piece).unwrap();
        }
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("\r\n\r\nbehind"), "{answer}");
        // The example of RFC 6455 §1.3.
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
    }

    #[test]
    fn what_one_sends_all_others_get_in_order() {
        let addr = server(Mode::Broadcast);
        let mut members: Vec<_> = (0..4).map(|_| client(addr)).collect();
        let big = "x".repeat(300 << 10);
        for round in 0..4 {
            for text in [format!("a{round}"), big.clone(), format!("b{round}")] {
                members[round].write(Message::text(text)).unwrap();
            }
            members[round].flush().unwrap();
            for (n, member) in members.iter_mut().enumerate().filter(|(n, _)| *n != round) {
                for text in [&format!("a{round}"), &big, &format!("b{round}")] {
                    assert!(member.read().unwrap().into_text().unwrap() == *text, "{round} to {n}");
                }
            }
        }
        members[0].close(None).unwrap();
        assert!(matches!(members[0].read(), Ok(Message::Close(None))));
    }
}

//! The limit that bench-client is measured against: a plain epoll program that keeps as many messages under way and judges none.
//!
//! It does the opening handshake on each connection, sends `--pipeline` copies of one premade masked frame, and for every whole
//! answer's worth of bytes that comes back sends one more: one `recv` and one `send` per event, no parsing, no clock, nothing
//! recorded. What it says at the end is one line of JSON: messages that came back in the measured window, and this process's CPU
//! time per message. `scripts/bench-client-limit.sh` runs it beside bench-client.
//!
//! ```text
//! cargo run --release -p bench-client --example raw_epoll_client -- 127.0.0.1:9000 --connections 500 --pipeline 64
//! ```

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use clap::Parser;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// A plain epoll client, the limit that bench-client is measured against.
#[derive(Parser)]
struct Options {
    /// The server: it has to send every message back as it came.
    address: SocketAddr,
    #[arg(short, long, default_value_t = 500)]
    connections: usize,
    /// Messages that each connection keeps under way.
    #[arg(long, default_value_t = 1)]
    pipeline: usize,
    /// Bytes of a message.
    #[arg(long, default_value_t = 20)]
    size: usize,
    /// Seconds before measuring, and measured.
    #[arg(long, default_value_t = 0.7)]
    warmup: f64,
    #[arg(long, default_value_t = 2.0)]
    duration: f64,
}

/// Registered once and edge-triggered, as bench-client's are.
const INTEREST: EventFlags =
    EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);
/// bench-client's buffer, and its events per turn.
const BUFFER_BYTES: usize = 256 << 10;
const EVENTS_PER_TURN: usize = 1024;
/// How often it is asked whether the time is up: turns of the loop.
const TURNS_PER_GLANCE: u32 = 16;

struct Conn {
    fd: OwnedFd,
    /// Bytes of an answer that is not whole yet.
    begun: usize,
    /// Bytes to send, and how far into a frame the first of them is.
    unsent: usize,
    phase: usize,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    let frame = masked_frame(options.size);
    // A server's frame is the client's without its mask (RFC 6455 §5.1, §5.3).
    let answer_bytes = frame.len() - 4;
    // One frame more than are ever sent at once, for what begins within one.
    let frames = frame.repeat(options.pipeline + 1);
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut conns = Vec::with_capacity(options.connections);
    for number in 0..options.connections {
        let fd = open(options.address)?;
        epoll::add(&epoll, &fd, EventData::new_u64(number as u64), INTEREST)?;
        conns.push(Conn { fd, begun: 0, unsent: 0, phase: 0 });
    }
    for conn in &mut conns {
        conn.owe(options.pipeline * frame.len(), &frames, frame.len())?;
    }

    let (mut buffer, mut events) = (vec![0; BUFFER_BYTES], Vec::with_capacity(EVENTS_PER_TURN));
    let from = Instant::now() + Duration::from_secs_f64(options.warmup);
    let mut window = None;
    let (mut messages, mut turns) = (0_u64, 0_u32);
    loop {
        epoll::wait(&epoll, spare_capacity(&mut events), Some(&GLANCE))?;
        for event in events.drain(..) {
            let conn = &mut conns[event.data.u64() as usize];
            let read = match recv(&conn.fd, &mut buffer[..], RecvFlags::empty()) {
                Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok((read, _)) => read,
                Err(Errno::AGAIN) => 0,
                Err(errno) => return Err(errno.into()),
            };
            let whole = (conn.begun + read) / answer_bytes;
            conn.begun = (conn.begun + read) % answer_bytes;
            messages += whole as u64;
            conn.owe(whole * frame.len(), &frames, frame.len())?;
        }
        turns = turns.wrapping_add(1);
        if turns % TURNS_PER_GLANCE != 0 {
            continue;
        }
        match window {
            None if Instant::now() >= from => window = Some((Instant::now(), cpu_time(), messages)),
            Some((began, cpu, before)) if began.elapsed().as_secs_f64() >= options.duration => {
                let (used, messages) = (cpu_time() - cpu, messages - before);
                let each = used.as_secs_f64() * 1e6 / messages.max(1) as f64;
                println!("{{\"messages\": {messages}, \"cpu_microseconds_per_message\": {each}}}");
                return Ok(());
            }
            _ => {}
        }
    }
}

/// How long a turn waits at most, so that the end is not missed when nothing comes.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A binary message of `size` bytes as a client sends it.
fn masked_frame(size: usize) -> Vec<u8> {
    let mask = [0x37, 0xFA, 0x21, 0x3D];
    let mut frame = vec![0x82];
    match size {
        0..126 => frame.push(0x80 | size as u8),
        126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(size as u16).to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(size as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend((b'a'..=b'z').cycle().take(size).zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A connection after its handshake. The answer is read byte by byte: nothing behind it may be taken.
fn open(address: SocketAddr) -> io::Result<OwnedFd> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    if !head.starts_with(b"HTTP/1.1 101 ") {
        return Err(io::Error::other("the server does not switch to WebSocket"));
    }
    stream.set_nonblocking(true)?;
    Ok(stream.into())
}

impl Conn {
    /// Adds bytes to what is to be sent, and sends what the kernel takes, in one `send`.
    fn owe(&mut self, bytes: usize, frames: &[u8], frame_bytes: usize) -> io::Result<()> {
        self.unsent += bytes;
        if self.unsent == 0 {
            return Ok(());
        }
        let sent = match send(&self.fd, &frames[self.phase..self.phase + self.unsent], SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN) => 0,
            sent => sent?,
        };
        self.unsent -= sent;
        self.phase = (self.phase + sent) % frame_bytes;
        Ok(())
    }
}

//! A peer's end of a connection: nonblocking, with what it still has to say and what it has not looked at yet.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use throng::sys::source::bind_source;

use super::wire::{self, Heard, TEXT};

/// Longer than anything here takes; who waits that long has found a bug.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How a peer dials.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Dial {
    /// The address to come from: one has 28,000 ports towards a server, so large crowds take several.
    pub(crate) source: Option<Ipv4Addr>,
    /// Bytes of the receive buffer, where a reader is to be slow soon.
    pub(crate) receive_bytes: Option<usize>,
}

/// A peer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    inbox: Vec<u8>,
    read: usize,
    outbox: Vec<u8>,
    written: usize,
    is_upgraded: bool,
    /// The server has ended the connection.
    pub(crate) is_over: bool,
}

/// What was heard from the server.
#[derive(Debug)]
pub(crate) enum Said<'a> {
    /// The status of a handshake's answer; 101 is followed by frames.
    Status(u16),
    /// A frame.
    Frame(u8, &'a [u8]),
}

impl Peer {
    /// Begins to connect, and queues `hello`.
    pub(crate) fn dial(address: SocketAddr, dial: Dial, hello: &[u8]) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
        if let Some(bytes) = dial.receive_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(source) = dial.source {
            bind_source(socket.as_fd(), source.into())?;
        }
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => {
                return Err(error);
            }
            _ => {}
        }
        let stream = TcpStream::from_std(socket.into());
        Ok(Self {
            stream,
            inbox: Vec::new(),
            read: 0,
            outbox: hello.to_vec(),
            written: 0,
            is_upgraded: false,
            is_over: false,
        })
    }

    /// Queues bytes and sends what the kernel takes.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.outbox.extend_from_slice(bytes);
        self.flush()
    }

    /// Queues one frame, and sends what the kernel takes.
    pub(crate) fn frame(&mut self, first: u8, payload: &[u8]) -> io::Result<()> {
        wire::frame(&mut self.outbox, first, payload);
        self.flush()
    }

    /// Bytes that the kernel has not taken.
    pub(crate) fn unsent(&self) -> usize {
        self.outbox.len() - self.written
    }

    /// Bytes that were read and not looked at.
    pub(crate) fn heard(&self) -> usize {
        self.inbox.len() - self.read
    }

    /// Sends what is queued.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.written < self.outbox.len() {
            match self.stream.write(&self.outbox[self.written..]) {
                Ok(sent) => self.written += sent,
                // It is connecting still, or full.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.outbox.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads all that there is, but for `most` bytes; true where there may be more.
    pub(crate) fn fill(&mut self, scratch: &mut [u8], most: usize) -> io::Result<bool> {
        self.inbox.drain(..std::mem::take(&mut self.read));
        let mut total = 0;
        while total < most {
            match self.stream.read(scratch) {
                Ok(0) => {
                    self.is_over = true;
                    return Ok(false);
                }
                Ok(n) => {
                    self.inbox.extend_from_slice(&scratch[..n]);
                    total += n;
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    return Ok(false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// The next thing that the server has said whole.
    pub(crate) fn next(&mut self) -> Result<Option<Said<'_>>, String> {
        let rest = &self.inbox[self.read..];
        if !self.is_upgraded {
            let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
            let status = std::str::from_utf8(&rest[..end])
                .ok()
                .and_then(|head| head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok())
                .ok_or_else(|| format!("no answer: {:?}", String::from_utf8_lossy(&rest[..end])))?;
            self.is_upgraded = status == 101;
            self.read += end + 4;
            return Ok(Some(Said::Status(status)));
        }
        match wire::parse(rest)? {
            Some((Heard { first, payload }, used)) => {
                let from = self.read;
                self.read += used;
                Ok(Some(Said::Frame(first, &self.inbox[from + payload.start..from + payload.end])))
            }
            None => Ok(None),
        }
    }

    /// Ends with a reset, now.
    pub(crate) fn reset(self) {
        // SO_LINGER of zero seconds: the kernel throws away what is unsent and sends RST.
        drop(socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)));
    }

    /// Ends its own side: FIN.
    pub(crate) fn finish(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }
}

/// Waits until one of these has something to read, or to send where something is unsent; at most until `until`.
pub(crate) fn wait<'p>(peers: impl Iterator<Item = &'p Peer>, until: Instant) {
    let wanted = |peer: &'p Peer| match peer.unsent() {
        0 => PollFd::from_borrowed_fd(peer.stream.as_fd(), PollFlags::IN),
        _ => PollFd::from_borrowed_fd(peer.stream.as_fd(), PollFlags::IN | PollFlags::OUT),
    };
    let mut fds: Vec<_> = peers.map(wanted).collect();
    let left = until.saturating_duration_since(Instant::now());
    let timeout = Timespec::try_from(left).expect("no siege lasts that long");
    // Interrupted or not: whoever waits looks for itself.
    let _woken = poll(&mut fds, Some(&timeout));
}

/// Connects, upgrades and waits until the server has said something: the peer, and the shard that it is on.
pub(crate) fn greeted(address: SocketAddr, path: &str, dial: Dial) -> io::Result<(Peer, String)> {
    let mut peer = Peer::dial(address, dial, &wire::handshake(path))?;
    let deadline = Instant::now() + PATIENCE;
    let is_io = path.starts_with("/socket.io");
    let mut scratch = vec![0; 64 << 10];
    while Instant::now() < deadline && !peer.is_over {
        wait(std::iter::once(&peer), deadline);
        peer.flush()?;
        peer.fill(&mut scratch, usize::MAX)?;
        let mut answer: Option<&[u8]> = None;
        while let Some(said) = peer.next().map_err(io::Error::other)? {
            match said {
                Said::Status(101) => {}
                Said::Status(status) => return Err(io::Error::other(format!("answered {status}"))),
                Said::Frame(TEXT, [b'0', b'{', ..]) if is_io => answer = Some(b"40"),
                Said::Frame(TEXT, [b'4', b'0', b'{', ..]) if is_io => answer = Some(b"420[\"shard\"]"),
                Said::Frame(TEXT, payload) => {
                    let text = String::from_utf8_lossy(payload).into_owned();
                    let shard = text.trim_matches(|c: char| !c.is_ascii_digit());
                    return Ok((peer, shard.strip_prefix("430[\"").unwrap_or(shard).to_owned()));
                }
                Said::Frame(first, _) => {
                    return Err(io::Error::other(format!("a frame that begins with {first:#x}")));
                }
            }
        }
        if let Some(answer) = answer {
            peer.frame(TEXT, answer)?;
        }
    }
    Err(io::Error::new(ErrorKind::TimedOut, "nobody greets"))
}

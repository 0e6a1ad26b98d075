//! The real `Io`: mio's epoll, sockets, and a reserve fd.
//!
//! Built in two phases. [`EpollParts`] holds everything that can fail or that another table must know (poll, waker,
//! listeners, hand-off), and is made on the main thread. [`Epoll`] is made from it on the shard's thread, after that has
//! its own fd table if it is to have one.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use crate::sys::handoff::Handoff;
use crate::sys::reserve::Reserve;

use super::io::{Event, Io, Parcel};

/// Bytes read of the request of a connection that is shed: most requests are smaller.
const SHED_READ_BYTES: usize = 4 << 10;

/// Events taken from the kernel at once; more makes no difference, fewer makes timers fresher and calls more.
const EVENTS_PER_POLL: usize = 1024;

/// The waker's token: no connection's, since its generation is 0, and no listener's.
const WAKER: Token = Token(u32::MAX as usize);

/// How streams get from one shard to another.
#[derive(Debug)]
pub enum Transport {
    /// All shards have one fd table: a stream is handed over as it is.
    Shared,
    /// Each shard has its own: streams go through sockets.
    Own {
        /// This shard's number: it tells its hand-offs from those of others.
        shard: u16,
        /// The end that this shard receives from.
        incoming: Handoff,
        /// The ends that send to each shard.
        outgoing: Arc<[Handoff]>,
    },
}

/// What a shard's `Io` is made of.
#[derive(Debug)]
pub struct EpollParts {
    poll: Poll,
    waker: Arc<Waker>,
    /// The listeners this shard may accept from.
    pub listeners: Vec<std::net::TcpListener>,
    /// Every shard's waker.
    pub wakers: Vec<Arc<Waker>>,
    /// How streams come and go.
    pub transport: Transport,
}

impl EpollParts {
    /// A poll and its waker; the rest is to be filled in.
    ///
    /// # Errors
    /// The fd table is full.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Self { poll, waker, listeners: Vec::new(), wakers: Vec::new(), transport: Transport::Shared })
    }

    /// What wakes this shard.
    pub fn waker(&self) -> Arc<Waker> {
        self.waker.clone()
    }

    /// The numbers of the fds that go with it to its thread. Where that has a table of its own, the main thread's table
    /// keeps a copy of each that nobody owns any more.
    pub fn left_behind(&self) -> Vec<RawFd> {
        let mut fds = vec![self.poll.as_raw_fd()];
        if let Transport::Own { incoming, .. } = &self.transport {
            fds.push(incoming.as_raw_fd());
        }
        fds
    }
}

/// A shard's `Io`.
#[derive(Debug)]
pub struct Epoll {
    poll: Poll,
    events: Events,
    listeners: Vec<TcpListener>,
    wakers: Vec<Arc<Waker>>,
    reserve: Reserve,
    transport: Transport,
    arrived: Vec<(u64, std::net::TcpStream)>,
    handed: u64,
    began: Instant,
}

/// A stream that goes through a socket: its number there.
struct Handed(u64);

impl Epoll {
    /// The `Io` of the calling thread.
    ///
    /// # Errors
    /// The fd table is full.
    pub fn new(parts: EpollParts) -> io::Result<Self> {
        Ok(Self {
            poll: parts.poll,
            events: Events::with_capacity(EVENTS_PER_POLL),
            listeners: parts.listeners.into_iter().map(TcpListener::from_std).collect(),
            wakers: parts.wakers,
            reserve: Reserve::open()?,
            transport: parts.transport,
            arrived: Vec::new(),
            handed: 0,
            began: Instant::now(),
        })
    }
}

/// Names a hand-off: its sender's own count and, in the low 16 bits, the sender.
const fn handoff_number(count: u64, sender: u16) -> u64 {
    count << 16 | sender as u64
}

/// Packs a stream that belongs to none of the shards. `outgoing` is where it goes under own fd tables; `count` is different
/// for each.
///
/// # Errors
/// The hand-off's socket is full, or the shard is gone.
pub fn pack_foreign(
    stream: std::net::TcpStream,
    outgoing: Option<&Handoff>,
    count: u64,
) -> io::Result<Parcel> {
    let Some(handoff) = outgoing else { return Ok(Box::new(stream)) };
    // Shards are 1,024 at most, so none has this number.
    let number = handoff_number(count, u16::MAX);
    handoff.send(stream.as_fd(), &number.to_le_bytes())?;
    Ok(Box::new(Handed(number)))
}

impl Io for Epoll {
    type Stream = TcpStream;

    fn now(&mut self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    fn poll(&mut self, timeout_ms: Option<u64>, events: &mut Vec<Event>) -> io::Result<()> {
        self.poll.poll(&mut self.events, timeout_ms.map(Duration::from_millis))?;
        events.extend(self.events.iter().filter(|event| event.token() != WAKER).map(|event| Event {
            token: event.token().0 as u64,
            readable: event.is_readable(),
            writable: event.is_writable(),
            read_closed: event.is_read_closed() || event.is_error(),
        }));
        Ok(())
    }

    fn accept(&mut self, listener: usize) -> io::Result<(TcpStream, SocketAddr)> {
        self.listeners[listener].accept()
    }

    fn shed(&mut self, listener: usize, answer: &[u8]) -> bool {
        let Self { reserve, listeners, .. } = self;
        let shed = reserve.spend(|| {
            let Ok((mut stream, _)) = listeners[listener].accept() else { return false };
            // There is no fd to wait for its request with: what has come of it is read, or closing would reset the connection
            // and take the answer along. Whoever is gone, or has not asked yet, is not told.
            let _asked = stream.read(&mut [0; SHED_READ_BYTES]);
            let _told = stream.write(answer);
            let _ended = stream.shutdown(Shutdown::Write);
            true
        });
        shed.unwrap_or(false)
    }

    fn listen(&mut self, listener: usize, on: bool) -> io::Result<()> {
        let source = &mut self.listeners[listener];
        if on {
            self.poll.registry().register(source, Token(listener), Interest::READABLE)
        } else {
            self.poll.registry().deregister(source)
        }
    }

    fn register(&mut self, stream: &mut TcpStream, token: u64) -> io::Result<()> {
        self.poll.registry().register(stream, Token(token as usize), Interest::READABLE | Interest::WRITABLE)
    }

    #[inline]
    fn read(&mut self, stream: &TcpStream, into: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut stream = stream;
        match into {
            [one] => stream.read(one),
            several => stream.read_vectored(several),
        }
    }

    #[inline]
    fn write(&mut self, stream: &TcpStream, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut stream = stream;
        loop {
            let written = match from {
                [one] => stream.write(one),
                several => stream.write_vectored(several),
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn finish(&mut self, stream: &TcpStream) {
        // An error means that the connection is broken already; the read that follows finds that out.
        let _broken = stream.shutdown(std::net::Shutdown::Write);
    }

    fn close(&mut self, stream: TcpStream) {
        drop(stream);
    }

    fn wake(&mut self, shard: usize) {
        // The eventfd's counter cannot overflow between two polls, and the shard outlives its waker's users.
        let _woken = self.wakers[shard].wake();
    }

    fn pack(&mut self, mut stream: TcpStream, shard: usize) -> io::Result<Parcel> {
        self.poll.registry().deregister(&mut stream)?;
        match &self.transport {
            Transport::Shared => Ok(Box::new(std::net::TcpStream::from(stream))),
            Transport::Own { shard: sender, outgoing, .. } => {
                self.handed += 1;
                let number = handoff_number(self.handed, *sender);
                outgoing[shard].send(stream.as_fd(), &number.to_le_bytes())?;
                Ok(Box::new(Handed(number)))
            }
        }
    }

    fn unpack(&mut self, parcel: Parcel) -> io::Result<TcpStream> {
        let parcel = match parcel.downcast::<std::net::TcpStream>() {
            Ok(stream) => {
                stream.set_nonblocking(true)?;
                return Ok(TcpStream::from_std(*stream));
            }
            Err(other) => other,
        };
        let Ok(handed) = parcel.downcast::<Handed>() else { return Err(io::ErrorKind::InvalidInput.into()) };
        let Transport::Own { incoming, .. } = &self.transport else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        loop {
            if let Some(at) = self.arrived.iter().position(|(number, _)| *number == handed.0) {
                let stream = self.arrived.swap_remove(at).1;
                stream.set_nonblocking(true)?;
                return Ok(TcpStream::from_std(stream));
            }
            let mut number = [0; 8];
            let received = incoming.receive(&mut number)?;
            let number = u64::from_le_bytes(number);
            match received.fd {
                Some(fd) => self.arrived.push((number, fd.into())),
                None if number == handed.0 => return Err(io::Error::from_raw_os_error(libc::EMFILE)),
                // Another one's fd is lost; whoever asks for it finds nothing and is told so.
                None => {}
            }
        }
    }

    fn close_listeners(&mut self) {
        self.listeners.clear();
    }
}

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
use crate::sys::listener::deafen;
use crate::sys::reserve::Reserve;

use super::io::{EVENTS_PER_POLL, Event, Got, Io, Parcel};
use super::parcels::{Sent, Way, handoff_number};
#[cfg(feature = "tls")]
use super::tls::{Sessions, Tls};

/// Bytes read of the request of a connection that is shed: most requests are smaller.
const SHED_READ_BYTES: usize = 4 << 10;

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
    /// Which listeners speak TLS, by their number modulo the length; empty: none does.
    #[cfg(feature = "tls")]
    pub tls: Vec<Option<Tls>>,
    /// The shard's TLS sessions.
    #[cfg(feature = "tls")]
    pub sessions: Sessions,
}

impl EpollParts {
    /// A poll and its waker; the rest is to be filled in.
    ///
    /// # Errors
    /// The fd table is full.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Self {
            poll,
            waker,
            listeners: Vec::new(),
            wakers: Vec::new(),
            transport: Transport::Shared,
            #[cfg(feature = "tls")]
            tls: Vec::new(),
            #[cfg(feature = "tls")]
            sessions: Sessions::default(),
        })
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
    #[cfg(feature = "tls")]
    tls: Vec<Option<Tls>>,
    #[cfg(feature = "tls")]
    sessions: Sessions,
}

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
            #[cfg(feature = "tls")]
            tls: parts.tls,
            #[cfg(feature = "tls")]
            sessions: parts.sessions,
        })
    }

    /// What a listener is to speak TLS with.
    #[cfg(feature = "tls")]
    fn tls_of(&self, listener: usize) -> Option<&Tls> {
        self.tls.get(listener.checked_rem(self.tls.len())?)?.as_ref()
    }

    /// The stream of a parcel.
    fn receive(&mut self, way: Way) -> io::Result<std::net::TcpStream> {
        let wanted = match way {
            Way::Stream(stream) => return Ok(stream),
            Way::Handed(number) => number,
        };
        let Transport::Own { incoming, .. } = &self.transport else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        loop {
            if let Some(at) = self.arrived.iter().position(|(number, _)| *number == wanted) {
                return Ok(self.arrived.swap_remove(at).1);
            }
            let mut number = [0; 8];
            let received = incoming.receive(&mut number)?;
            let number = u64::from_le_bytes(number);
            match received.fd {
                Some(fd) => self.arrived.push((number, fd.into())),
                None if number == wanted => return Err(io::Error::from_raw_os_error(libc::EMFILE)),
                // Another one's fd is lost; whoever asks for it finds nothing and is told so.
                None => {}
            }
        }
    }
}

impl Io for Epoll {
    type Stream = TcpStream;

    fn now(&mut self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    fn poll(&mut self, timeout_ms: Option<u64>, events: &mut Vec<Event>) -> io::Result<()> {
        #[cfg(feature = "tls")]
        self.sessions.next_turn();
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
        let accepted = self.listeners[listener].accept()?;
        #[cfg(feature = "tls")]
        if let Some(tls) = self.tls_of(listener).cloned() {
            self.sessions.await_hello(accepted.0.as_raw_fd(), tls);
        }
        Ok(accepted)
    }

    fn shed(&mut self, listener: usize, answer: &[u8]) -> bool {
        #[cfg(feature = "tls")]
        let answer = if self.tls_of(listener).is_some() { &super::tls::REFUSAL } else { answer };
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

    fn peek(&mut self, stream: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
        stream.peek(into)
    }

    fn skip(&mut self, stream: &TcpStream, bytes: &mut [u8]) -> io::Result<()> {
        // They lie in the kernel's buffer, so this is one call and never short.
        let mut stream = stream;
        stream.read_exact(bytes)
    }

    #[inline]
    fn read(&mut self, stream: &TcpStream, into: &mut [IoSliceMut<'_>]) -> io::Result<Got> {
        #[cfg(feature = "tls")]
        if self.sessions.has(stream.as_raw_fd()) {
            return self.sessions.read(stream.as_raw_fd(), stream, into);
        }
        let mut stream = stream;
        let (read, offered) = match into {
            [one] => (stream.read(one), one.len()),
            several => (stream.read_vectored(several), several.iter().map(|one| one.len()).sum()),
        };
        // Less than was asked for means that the socket is empty.
        read.map(|bytes| Got { bytes, is_drained: bytes < offered })
    }

    #[inline]
    fn write(&mut self, stream: &TcpStream, from: &[IoSlice<'_>]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if self.sessions.has(stream.as_raw_fd()) {
            return self.sessions.write(stream.as_raw_fd(), stream, from);
        }
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

    #[cfg(feature = "tls")]
    fn flush(&mut self, stream: &TcpStream) -> bool {
        self.sessions.flush(stream.as_raw_fd(), stream, |stream| _ = stream.shutdown(Shutdown::Write))
    }

    #[cfg(feature = "tls")]
    fn is_secure(&self, stream: &TcpStream) -> bool {
        self.sessions.has(stream.as_raw_fd())
    }

    fn finish(&mut self, stream: &TcpStream) {
        #[cfg(feature = "tls")]
        if !self.sessions.finish(stream.as_raw_fd(), stream) {
            return;
        }
        // An error means that the connection is broken already; the read that follows finds that out.
        let _broken = stream.shutdown(std::net::Shutdown::Write);
    }

    fn close(&mut self, stream: TcpStream) {
        #[cfg(feature = "tls")]
        drop(self.sessions.take(stream.as_raw_fd()));
        drop(stream);
    }

    fn wake(&mut self, shard: usize) {
        // The eventfd's counter cannot overflow between two polls, and the shard outlives its waker's users.
        let _woken = self.wakers[shard].wake();
    }

    fn pack(&mut self, mut stream: TcpStream, shard: usize) -> io::Result<Parcel> {
        // Whatever becomes of the stream, its fd here is somebody else's next.
        #[cfg(feature = "tls")]
        let session = self.sessions.take(stream.as_raw_fd());
        self.poll.registry().deregister(&mut stream)?;
        let stream = match &self.transport {
            Transport::Shared => Way::Stream(std::net::TcpStream::from(stream)),
            Transport::Own { shard: sender, outgoing, .. } => {
                self.handed += 1;
                let number = handoff_number(self.handed, *sender);
                outgoing[shard].send(stream.as_fd(), &number.to_le_bytes())?;
                Way::Handed(number)
            }
        };
        Ok(Box::new(Sent {
            stream,
            #[cfg(feature = "tls")]
            session,
        }))
    }

    fn unpack(&mut self, parcel: Parcel) -> io::Result<TcpStream> {
        let Ok(sent) = parcel.downcast::<Sent>() else { return Err(io::ErrorKind::InvalidInput.into()) };
        let sent = *sent;
        let stream = self.receive(sent.stream)?;
        stream.set_nonblocking(true)?;
        #[cfg(feature = "tls")]
        if let Some(session) = sent.session {
            self.sessions.put(stream.as_raw_fd(), session);
        }
        Ok(TcpStream::from_std(stream))
    }

    fn deafen_listeners(&mut self) {
        for listener in &self.listeners {
            // Where the kernel takes no filter, whoever comes in the moment of the end is reset, as without one.
            let _filtered = deafen(listener);
        }
    }

    fn close_listeners(&mut self) {
        self.listeners.clear();
    }
}

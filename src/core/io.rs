//! The seam below the core: everything a shard asks of the kernel, and nothing else.
//!
//! `epoll.rs` answers with sockets, the tests with a simulated network. The shard calls each of these from its own
//! thread, in its turn; no call blocks but `poll`.

use std::any::Any;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;

use crate::base::cause::Cause;

/// A stream on its way from one shard to another: what is inside only the `Io` that packed it and its like know.
pub type Parcel = Box<dyn Any + Send>;

/// Events that one poll brings at most: more makes no difference, fewer makes timers fresher and calls more.
pub const EVENTS_PER_POLL: usize = 1024;

/// The least last buffer of a read from a stream that is encrypted, where it is decrypted as well: the gap before what is read, what
/// was kept of a record, and 32 KiB at least.
pub const READ_BYTES_MIN: usize = 64 << 10;

/// What the kernel said about one token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// A connection's key, or a listener's number with generation 0.
    pub token: u64,
    /// There may be bytes to read.
    pub readable: bool,
    /// There may be room to write.
    pub writable: bool,
    /// The peer sent FIN, or the connection is broken: read on to the end, no further edge will come.
    pub read_closed: bool,
}

/// What a read has brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Got {
    /// Bytes; 0 is the end of what the peer sends.
    pub bytes: usize,
    /// There was no more: to ask again before the next event would be in vain.
    pub is_drained: bool,
}

/// Why a connection is over that could not be read from or written to.
pub(super) fn cause_of(error: &io::Error) -> Cause {
    match error.kind() {
        io::ErrorKind::InvalidData => Cause::TlsFailed,
        io::ErrorKind::InvalidInput => Cause::PlainHttp,
        _ => Cause::PeerReset,
    }
}

/// What a shard asks of the kernel.
pub trait Io {
    /// One TCP connection.
    type Stream;

    /// Microseconds since some fixed moment; never goes back.
    fn now(&mut self) -> u64;

    /// Waits for events, at most `timeout_ms` milliseconds (`None`: until there is one), and appends them. Being woken
    /// is no event.
    fn poll(&mut self, timeout_ms: Option<u64>, events: &mut Vec<Event>) -> io::Result<()>;

    /// Takes a connection from a listener's queue. `WouldBlock`: there is none.
    fn accept(&mut self, listener: usize) -> io::Result<(Self::Stream, SocketAddr)>;

    /// With the fd table full: takes one connection from the queue, gives it `answer` and closes it, by means of the reserve
    /// fd. False: there was none, or no reserve.
    fn shed(&mut self, listener: usize, answer: &[u8]) -> bool;

    /// Starts or stops events of a listener. The first event after a start comes even if nothing new arrived.
    fn listen(&mut self, listener: usize, on: bool) -> io::Result<()>;

    /// Starts events of a stream, for reading and writing, edge-triggered, once for its life.
    fn register(&mut self, stream: &mut Self::Stream, token: u64) -> io::Result<()>;

    /// Looks at the first bytes of what was never read from, and leaves them there. 0 is the end.
    fn peek(&mut self, stream: &Self::Stream, into: &mut [u8]) -> io::Result<usize>;

    /// Takes as many bytes as were looked at and found to precede whatever is spoken: TLS sees none of them.
    fn skip(&mut self, stream: &Self::Stream, bytes: &mut [u8]) -> io::Result<()>;

    /// Reads into the buffers, in order. `WouldBlock`: there is nothing, and an event will say when there is.
    /// `Interrupted`: there may be something, ask again in the next turn. `InvalidData`: the peer broke TLS, and was told.
    /// `InvalidInput`: it speaks HTTP where TLS is spoken, and what is written from here on goes out as it is.
    fn read(&mut self, stream: &Self::Stream, into: &mut [IoSliceMut<'_>]) -> io::Result<Got>;

    /// Writes from the buffers, in order. Never `Interrupted`: after less than was offered the caller waits for room, and
    /// an interrupted call promises none, so it is repeated here.
    fn write(&mut self, stream: &Self::Stream, from: &[IoSlice<'_>]) -> io::Result<usize>;

    /// The stream is writable: sends what is kept here of earlier writes, which counted as sent. False while some is left.
    fn flush(&mut self, _stream: &Self::Stream) -> bool {
        true
    }

    /// Whether what goes over the stream is encrypted.
    fn is_secure(&self, _stream: &Self::Stream) -> bool {
        false
    }

    /// Sends FIN, behind what [`flush`](Self::flush) has yet to send. The stream can still be read.
    fn finish(&mut self, stream: &Self::Stream);

    /// Closes a stream.
    fn close(&mut self, stream: Self::Stream);

    /// Wakes another shard's `poll`.
    fn wake(&mut self, shard: usize);

    /// Makes a registered stream ready to go to `shard`.
    fn pack(&mut self, stream: Self::Stream, shard: usize) -> io::Result<Parcel>;

    /// Takes a stream out of what another shard, or the handle, packed. Not registered yet.
    fn unpack(&mut self, parcel: Parcel) -> io::Result<Self::Stream>;

    /// Has every listener let in nobody new. What is in its queue, or has begun its handshake, can still be accepted.
    fn deafen_listeners(&mut self);

    /// Closes every listener, for good.
    fn close_listeners(&mut self);
}

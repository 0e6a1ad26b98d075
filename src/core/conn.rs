//! What the core keeps of a connection: one cache line, everything that is not always there boxed.
//!
//! Owns the entry's layout, its stage and flags. The stream itself lives beside the table (`table.rs`), so that
//! nothing above the core knows what a socket is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::base::cause::CloseReason;
use crate::base::slow::SlowPolicy;
use crate::proto::ws::Carry;
use crate::proto::ws::deflate::Agreed;

use super::batch::BatchId;
use super::exchange::Exchange;
use super::outbox::Outbox;

/// Where a connection stands in its life. It only ever moves down this list, but for `Waiting` → `Head`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Stage {
    /// HTTP: a request is awaited or arriving.
    Head,
    /// HTTP: the service has deferred its answer; nothing is parsed until it comes.
    Waiting,
    /// WebSocket, both ways.
    Open,
    /// Our close frame is queued or sent; the peer's is awaited, its data is ignored.
    Closing,
    /// Nothing more will be queued: flush, send FIN, then discard what arrives until the peer's FIN.
    Leaving,
    /// FIN is sent; the peer's is awaited.
    Lingering,
    /// On the list of the reaped.
    Dead,
}

macro_rules! flags {
    ($($(#[$doc:meta])* $flag:ident = $bit:literal,)+) => {
        /// What else is true of a connection, one bit each.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct Flags(u16);

        impl Flags {
            $($(#[$doc])* pub const $flag: Self = Self(1 << $bit);)+
        }
    };
}

flags! {
    /// The socket may hold bytes that were not read: it was paused, or its budget ended.
    READABLE = 0,
    /// The peer's FIN, or an error, is behind the unread bytes.
    READ_CLOSED = 1,
    /// The kernel took less than it was given; nothing is tried until it says writable.
    BLOCKED = 2,
    /// On the list of connections to flush.
    DIRTY = 3,
    /// On the list of connections to read again.
    MORE = 4,
    /// Not read because `outbox_bytes_high` is passed.
    PAUSED = 5,
    /// The service was told `Pressured` and is owed a `drained`.
    PRESSURED = 6,
    /// `opened` was called, so `closed` will be.
    OPENED = 7,
    /// At least one HTTP response was sent and the connection kept.
    KEPT = 8,
    /// A streamed message is under way; other messages are held.
    STREAMING = 9,
    /// A ping was sent, or our FIN, and nothing was heard since.
    PINGED = 10,
    /// A stall deadline is filed.
    STALL_FILED = 11,
    /// A head deadline is filed.
    HEAD_FILED = 12,
    /// A silence deadline is filed.
    SILENT_FILED = 13,
    /// An admission deadline is filed.
    ADMIT_FILED = 14,
    /// Its policy is to get only the latest of each topic, so nothing of it is corked or batched.
    LATEST_ONLY = 15,
}

impl Flags {
    /// Whether any bit of `other` is set.
    #[inline]
    pub const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Sets the bits of `other`.
    #[inline]
    pub fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Clears the bits of `other`.
    #[inline]
    pub fn clear(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    /// The bits of both.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The peer's address in 8 bytes: IPv4 in place, IPv6 as an index into the table's addresses. It is kept because
/// `getpeername` fails once the peer has reset the connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    word: u32,
    port: u16,
    /// [`V6`](Self::V6), [`SECURE`](Self::SECURE), [`NEW`](Self::NEW).
    marks: u8,
    /// What becomes of messages that it is too slow for. No address, but here is a byte that would else be padding.
    pub(super) policy: SlowPolicy,
}

impl Peer {
    /// The address is IPv6.
    const V6: u8 = 1;
    /// Its client came by TLS: here, or to a trusted proxy that says so.
    const SECURE: u8 = 2;
    /// The connection's first request is not complete.
    const NEW: u8 = 4;

    pub(super) fn new(
        address: SocketAddr,
        is_secure: bool,
        v6: &mut slab::Slab<std::net::SocketAddrV6>,
    ) -> Self {
        let (secure, policy) = (if is_secure { Self::SECURE } else { 0 }, SlowPolicy::Close);
        match address {
            SocketAddr::V4(v4) => Self { word: v4.ip().to_bits(), port: v4.port(), marks: secure, policy },
            SocketAddr::V6(long) => {
                Self { word: v6.insert(long) as u32, port: long.port(), marks: secure | Self::V6, policy }
            }
        }
    }

    /// Whether its client came by TLS: here, or to a trusted proxy that says so.
    pub(super) const fn is_secure(self) -> bool {
        self.marks & Self::SECURE != 0
    }

    pub(super) fn address(self, v6: &slab::Slab<std::net::SocketAddrV6>) -> SocketAddr {
        if self.marks & Self::V6 != 0 {
            return SocketAddr::V6(v6[self.word as usize]);
        }
        SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(self.word)), self.port)
    }

    pub(super) const fn is_new(self) -> bool {
        self.marks & Self::NEW != 0
    }

    pub(super) const fn set_new(&mut self, is_new: bool) {
        self.marks = if is_new { self.marks | Self::NEW } else { self.marks & !Self::NEW };
    }

    pub(super) fn release(self, v6: &mut slab::Slab<std::net::SocketAddrV6>) {
        if self.marks & Self::V6 != 0 {
            v6.remove(self.word as usize);
        }
    }
}

/// What has arrived and could not be handed on yet.
#[derive(Debug, Default)]
pub enum Arrived {
    /// Nothing: the connection stands at a boundary. The only state of an idle one.
    #[default]
    Nothing,
    /// Nothing, and a PROXY protocol head has to come first. It is left in the socket until it is complete.
    Proxy,
    /// Part of a request, or a request that waits for its answer; or whole frames that wait for their turn.
    Http(Box<Exchange>),
    /// Part of a frame or of a fragmented message.
    Frames(Box<Carry>),
}

/// A connection.
#[derive(Debug)]
pub struct Conn<D> {
    pub(super) peer: Peer,
    /// Bytes queued, in the outbox and in the batch.
    pub(super) queued: u32,
    /// What this turn's publishes queued, while the outbox is empty.
    pub(super) batch: BatchId,
    pub(super) flags: Flags,
    pub(super) stage: Stage,
    /// What was agreed on of compression.
    pub(super) agreed: Agreed,
    /// Why it ends; set when its end begins.
    pub(super) reason: CloseReason,
    pub(super) arrived: Arrived,
    pub(super) outbox: Option<Box<Outbox>>,
    pub(super) data: D,
}

impl<D> Conn<D> {
    /// Says what becomes of messages that the peer is too slow for.
    pub(super) fn set_policy(&mut self, policy: SlowPolicy) {
        self.peer.policy = policy;
        self.flags.clear(Flags::LATEST_ONLY);
        if policy == SlowPolicy::LatestOnly {
            self.flags.set(Flags::LATEST_ONLY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_the_packing() {
        let mut v6 = slab::Slab::new();
        for text in ["127.0.0.1:80", "255.1.2.3:65535", "[::1]:3000", "[fe80::1%7]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            let peer = Peer::new(address, true, &mut v6);
            assert!(peer.address(&v6) == address && peer.is_secure());
            peer.release(&mut v6);
        }
        assert!(v6.is_empty());
    }

    #[test]
    fn flags_are_bits() {
        let mut flags = Flags::default();
        flags.set(Flags::DIRTY.with(Flags::MORE));
        assert!(flags.any(Flags::MORE) && !flags.any(Flags::PAUSED));
        flags.clear(Flags::MORE);
        assert!(flags == Flags::DIRTY);
    }
}

//! How a stream gets from one shard to another: as it is where they share an fd table, through a socket where each has its own.
//!
//! Owns what is inside a [`Parcel`]. The real `Io` packs and unpacks them, and whoever adopts a stream of another server packs one.

use std::io;
use std::os::fd::AsFd;

use crate::sys::handoff::Handoff;

use super::io::Parcel;
#[cfg(feature = "tls")]
use super::tls::Moved;

/// A stream on its way, and its TLS session.
pub(super) struct Sent {
    pub(super) stream: Way,
    #[cfg(feature = "tls")]
    pub(super) session: Option<Moved>,
}

/// How a stream goes.
pub(super) enum Way {
    /// As it is.
    Stream(std::net::TcpStream),
    /// Through a socket: its number there.
    Handed(u64),
}

impl Way {
    /// With no session.
    pub(super) fn alone(self) -> Sent {
        Sent {
            stream: self,
            #[cfg(feature = "tls")]
            session: None,
        }
    }
}

/// Names a hand-off: its sender's own count and, in the low 16 bits, the sender.
pub(super) const fn handoff_number(count: u64, sender: u16) -> u64 {
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
    let Some(handoff) = outgoing else { return Ok(Box::new(Way::Stream(stream).alone())) };
    // Shards are 1,024 at most, so none has this number.
    let number = handoff_number(count, u16::MAX);
    handoff.send(stream.as_fd(), &number.to_le_bytes())?;
    Ok(Box::new(Way::Handed(number).alone()))
}

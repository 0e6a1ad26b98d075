//! Compressed messages: permessage-deflate (RFC 7692).
//!
//! Owns the negotiation ([`Offers`], [`Terms`], [`Agreed`]) and the two streams: [`Inflater`] makes a message of what a peer
//! has sent and counts while it does, [`Deflater`] makes what a peer is sent. Never decides which message is worth it, and
//! keeps nothing of a connection: whose context a stream holds is the core's affair. The decoder calls the one, the core the
//! other, the handshake the negotiation.

mod agreed;
#[cfg_attr(not(feature = "deflate"), path = "absent.rs")]
mod codec;
mod offer;
#[cfg(all(test, feature = "deflate"))]
mod tests;

pub use agreed::Agreed;
pub use codec::{Deflater, Inflater};
pub use offer::{Offers, Terms};

/// What a sender has left out at the end of a message, and a receiver puts back (RFC 7692 §7.2.1, §7.2.2): the end of an
/// empty block that is stored, which a sync flush writes.
#[cfg_attr(not(feature = "deflate"), expect(dead_code, reason = "nothing is compressed without the feature"))]
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The windows that can be agreed on, as the binary logarithm of their bytes (RFC 7692 §7.1.2). Of 8 a peer may promise that
/// it uses no more; our own compressor has none that small, as zlib has none.
pub const WINDOW_BITS: std::ops::RangeInclusive<u8> = 9..=15;

//! Socket.IO protocol 5: packets as text with binary attachments, or as MessagePack; the arguments of events and acks.
//!
//! Owns the bytes: [`Packet::parse`] checks a packet whole, in one pass and without allocating, so that whatever is handed
//! on is well-formed whether or not anybody looks at it; [`Args`] turns into a handler's argument through [`Payload`];
//! [`encode`] writes packets. It knows nothing of namespaces that exist, of sockets or of acks that are awaited: a
//! packet that is right in itself but not now is the session's to judge. `app::io` calls it for every message, the
//! load generator in the client's role.

mod args;
mod binary;
mod bytes;
mod decode;
mod element;
pub mod encode;
mod json;
pub mod msgpack;
mod number;
mod packet;
mod spread;
mod value;

#[cfg(test)]
mod tests;

pub use args::{Args, Mismatch, Payload, RawArgs};
pub use binary::{Assembly, Decoder};
pub use bytes::{Binary, BinaryBuf};
pub use encode::{EmitArgs, EncodeError};
pub use packet::{Kind, Limits, Malformed, Packet, RESERVED_EVENTS};

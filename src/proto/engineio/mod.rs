//! Engine.IO protocol 4: packets, payloads, requests, the open packet, session ids.
//!
//! Owns what the bytes of the protocol mean, and nothing of a session: who may send which packet when, heartbeats and
//! the upgrade are the session's. It never sees a socket, a clock or a source of randomness. The sessions of `app::io`
//! call it for every request and message, the load generator in the client's role.

mod id;
mod open;
mod packet;
mod payload;
mod request;

pub use id::SessionId;
pub use open::Open;
pub use packet::{Data, Malformed, Packet, PacketKind};
pub use payload::{Payload, PayloadWriter, SEPARATOR};
pub use request::{Asks, RequestError, Transport, Transports};

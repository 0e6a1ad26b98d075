//! Socket.IO: namespaces, events, rooms, acks, with the official server's names.
//!
//! An application describes its namespaces once per shard ([`Io`]); its handlers are lent a [`Socket`]. Sessions live on
//! the shard that they began on, whatever shard a request for them comes in on. This room knows no handler type and no
//! socket of the kernel's: it speaks to its shard through `Port`.

mod acks;
mod admit;
mod alarms;
mod audit;
mod broadcast;
mod config;
mod emit;
mod engine;
mod guard;
mod handshake;
mod heartbeat;
mod mail;
mod namespace;
mod packets;
mod port;
mod reason;
mod request;
mod session;
mod setup;
mod shard;
mod socket;
mod space;
mod state;

pub use acks::AckError;
pub use admit::{Admit, Connect, Refusal};
#[doc(hidden)]
pub use audit::IoAudit;
pub(crate) use broadcast::Broadcast;
pub use config::{Cors, CorsOrigins, IoConfig};
pub use emit::BroadcastOperator;
pub(crate) use emit::{Broadcasting, Nowhere};
pub use engine::EngineSocket;
pub use handshake::Handshake;
pub(crate) use mail::IoMail;
pub use namespace::{Io, Namespace};
pub(crate) use port::Port;
pub use reason::Reason;
pub(crate) use request::Asked;
pub(crate) use setup::IoSetup;
pub(crate) use shard::IoShard;
pub use socket::{Socket, SocketId};

pub use crate::proto::engineio::{Data, SessionId, Transport, Transports};
pub use crate::proto::socketio::{Args, Binary, BinaryBuf, EmitArgs, Limits, Mismatch, Payload, RawArgs};

//! Socket.IO: namespaces, events, rooms, acks, with the official server's names.
//!
//! An application describes its namespaces once per shard ([`Io`]); its handlers are lent a [`Socket`]. Sessions live on
//! the shard that they began on, whatever shard a request for them comes in on. This room knows no handler type and no
//! socket of the kernel's: it speaks to its shard through `Port`.

mod acks;
mod adapter;
mod admit;
mod alarms;
mod audit;
mod broadcast;
mod bundle;
mod cluster;
mod config;
mod cookie;
mod cors;
mod dress;
mod emit;
mod ends;
mod engine;
mod guard;
mod handshake;
mod heartbeat;
mod id;
mod mail;
mod matching;
mod namespace;
mod namespaces;
mod operator;
mod outgoing;
mod packets;
mod parser;
mod port;
mod reason;
mod remote;
mod request;
mod rooms;
mod session;
mod settle;
mod setup;
mod shard;
mod socket;
mod space;
mod state;
mod tally;

pub use acks::{Ack, AckError};
pub use admit::{Admit, Connect, PendingConnect, Refusal};
#[doc(hidden)]
pub use audit::IoAudit;
pub(crate) use broadcast::Broadcast;
pub use cluster::{Acked, Fetched, RemoteSocket};
pub(crate) use cluster::{Done, FIRST_OUTSIDE_ACK, Operation};
pub use config::IoConfig;
pub use cookie::{Cookie, SameSite};
pub use cors::{Cors, CorsOrigins, OriginTest};
pub use dress::HttpCompression;
pub use emit::{BroadcastOperator, Here};
pub(crate) use emit::{Broadcasting, Nowhere};
pub use engine::EngineSocket;
pub use handshake::Handshake;
pub use id::SocketId;
pub(crate) use mail::{IoCall, IoMail};
pub use matching::wildcard;
pub use namespace::{Io, Namespace};
pub use operator::SocketOperator;
pub use parser::Parser;
pub(crate) use port::Port;
pub use reason::Reason;
pub(crate) use remote::IoRemote;
pub(crate) use request::Asked;
pub(crate) use setup::IoSetup;
pub(crate) use shard::IoShard;
pub use socket::Socket;

pub use crate::proto::engineio::{Data, SessionId, Transport, Transports};
pub use crate::proto::socketio::{Args, Binary, BinaryBuf, EmitArgs, Limits, Mismatch, Payload, RawArgs};

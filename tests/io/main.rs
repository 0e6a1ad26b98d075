//! Socket.IO on real sockets: raw HTTP and WebSocket against a server of one shard and of three.

mod acks;
mod attachments;
mod behind;
mod compress;
mod cookie;
mod cors;
#[cfg(feature = "deflate")]
mod deflate;
mod dynamic;
mod encoded;
mod engine;
mod events;
mod evict;
mod gathers;
mod heartbeat;
mod hostile;
mod http;
mod later;
mod leftovers;
mod limits;
mod malformed;
mod malformed_msgpack;
mod msgpack;
mod namespaces;
mod outgoing;
mod panics;
mod peer;
mod reasons;
mod requests;
mod rooms;
mod slow;
mod stop;
mod upgrade;

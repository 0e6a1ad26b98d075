//! Socket.IO on real sockets: raw HTTP and WebSocket against a server of one shard and of three.

mod acks;
mod compress;
mod cookie;
mod cors;
mod encoded;
mod engine;
mod events;
mod heartbeat;
mod http;
mod leftovers;
mod limits;
mod malformed;
mod malformed_msgpack;
mod namespaces;
mod panics;
mod peer;
mod reasons;
mod requests;
mod rooms;
mod stop;
mod upgrade;

//! Socket.IO on real sockets: raw HTTP and WebSocket against a server of one shard and of three.

mod acks;
mod behind;
mod cors;
mod dynamic;
mod engine;
mod events;
mod gathers;
mod heartbeat;
mod http;
mod later;
mod leftovers;
mod malformed;
mod msgpack;
mod namespaces;
mod outgoing;
mod panics;
mod peer;
mod reasons;
mod requests;
mod rooms;
mod stop;
mod upgrade;

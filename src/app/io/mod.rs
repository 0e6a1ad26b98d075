//! Socket.IO: namespaces, events, rooms, acks, with the official server's names.
//!
//! # For those who know the official server
//!
//! | there | here |
//! |---|---|
//! | `io.on("connection", (socket) => …)` | `io.of("/").on_connection(…)`; listeners are said once per namespace, not per socket |
//! | `io.use((socket, next) => …)` | [`Io::of_with`]: `admit` accepts with the socket's data, refuses, or defers to another thread |
//! | `socket.use(…)` | [`Namespace::on_packet`] |
//! | `io.of(/^\/room-/)` | [`Io::of_matching`], with [`wildcard`] or a closure |
//! | `socket.on("x", (a, b) => …)` | `.on("x", \|socket, (a, b): &(i64, String)\| …)`; [`Payload`] says what a handler can take |
//! | a listener's last argument, the callback | [`Socket::ack`], or [`Socket::take_ack`] for later |
//! | `await socket.timeout(t).emitWithAck(…)` | [`Socket::emit_with_ack`] behind `socket.timeout(…)`, with a closure |
//! | `socket.data` | [`Socket::data`]: a type of your own, given by `admit` |
//! | `socket.handshake` | [`Socket::connect`] in `on_connection`; [`Socket::handshake`] with `keep_handshake` |
//! | `io.emit`, `io.to`, `io.in` | `socket.io()` in a handler, `handle.io()` elsewhere, then `to` |
//! | `volatile` | [`Socket::volatile`], [`BroadcastOperator::volatile`]; and for what may wait for a slow client, but not without end, `drop_new`, `drop_oldest` and [`latest_only`](BroadcastOperator::latest_only) |
//! | `socket.to([a, b])` | `socket.to(a).to(b)` |
//! | `socket.rooms` | [`Socket::rooms`], without the socket's own |
//! | `"disconnecting"`, `"disconnect"` | [`Namespace::on_disconnect`], where the rooms can still be asked for |
//! | `socket.disconnect(true)` | [`Socket::disconnect_session`] |
//! | `await io.fetchSockets()` | [`BroadcastOperator::fetch_sockets`], with a closure; ids and rooms, no data |
//! | `io.serverSideEmit`, `io.on` | [`BroadcastOperator::server_side_emit`], [`Io::on_server`]: among shards |
//! | `io.close()` | [`Handle::stop`](crate::Handle::stop) |
//!
//! A handler is no async function: what it waits for comes back to a closure. Where arguments are not of the type that a handler
//! takes it is not called, an ack that the client asked for is not given, and `tracing` has a line at the level `debug`: with
//! no subscriber installed nobody sees it.
//!
//! # From async code
//!
//! A [`Handle`](crate::Handle) emits from any thread or task; a channel brings answers back. To ask one socket is to ask the
//! room that is its id. The socket's id, the handle and what [`Socket::take_ack`] gives may all move into a task.
//!
//! ```
//! use std::time::Duration;
//! use throng::Handle;
//! use throng::io::SocketId;
//!
//! async fn ask(handle: &Handle, whom: SocketId) -> Option<String> {
//!     let (tell, told) = tokio::sync::oneshot::channel();
//!     handle.io().to(whom).timeout(Duration::from_secs(5)).emit_with_acks("question", "tea?", |_here, acked| {
//!         let answer = acked.answers.first().and_then(|args| args.parse::<String>(&mut String::new()).ok());
//!         _ = tell.send(answer);
//!     });
//!     told.await.ok().flatten()
//! }
//! ```
//!
//! # Inside
//!
//! An application describes its namespaces once per shard ([`Io`]); its handlers are lent a [`Socket`]. Sessions live on
//! the shard that they began on, whatever shard a request for them comes in on. This room knows no handler type and no
//! socket of the kernel's: it speaks to its shard through `Port`.

mod acks;
mod adapter;
mod admit;
mod alarms;
mod attachments;
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
mod evict;
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
mod polling;
mod port;
mod reason;
mod remote;
mod request;
mod rooms;
mod roster;
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

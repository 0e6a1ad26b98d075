//! throng: a realtime server for very large connection counts on Linux.
//!
//! A server is a set of *shards*: threads with an event loop, a listener and connections of their own, as many as there are
//! cores. Nothing is shared between them but messages, so application code runs without locks and without an async runtime.
//! An idle connection holds no buffer, and every buffer that a peer can grow has a limit with a name ([`Config`]). There are
//! two ways to write an application, and one server may have both.
//!
//! # WebSocket and topics
//!
//! One [`Handler`] lives on each shard. It is lent a [`Conn`] and a [`Message`] borrowed from the read buffer; topics reach the
//! subscribers of all shards.
//!
//! ```no_run
//! use throng::{Admission, Conn, Handler, Message, Opening, Server};
//!
//! struct Chat;
//!
//! impl Handler for Chat {
//!     type Data = ();
//!
//!     fn admit(&mut self, _opening: &Opening<'_, Self>) -> Admission<()> {
//!         Admission::accept(())
//!     }
//!     fn on_open(&mut self, conn: &mut Conn<'_, Self>) {
//!         conn.subscribe("lobby");
//!     }
//!     fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
//!         conn.publish("lobby", message);
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder().bind("localhost:3000")?.serve(|_shard| Chat)?;
//! server.handle().publish("lobby", "open")?;      // from any thread
//! # Ok(server.join()?)
//! # }
//! ```
//!
//! # Socket.IO
//!
//! Events with typed arguments, acks, rooms and namespaces, for the official clients of protocol 5, over polling, WebSocket
//! and the upgrade between them. What is described is made once on each shard.
//!
//! ```no_run
//! # fn main() -> Result<(), throng::SetupError> {
//! throng::Server::builder()
//!     .bind("localhost:3000")?
//!     .socket_io(|io| {
//!         io.of("/")
//!             .on("join", |socket, room: &str| _ = socket.join(room))
//!             .on("say", |socket, (room, text): &(String, String)| {
//!                 socket.to(room).emit("said", (socket.id(), text));
//!             })
//!             .on("add", |socket, &(a, b): &(i64, i64)| _ = socket.ack(a + b));
//!     })
//!     .run()
//! # }
//! ```
//!
//! # Beside the shards
//!
//! What blocks, or wants an async runtime, is offloaded: the job runs on a helper thread and its result comes back to the
//! connection's shard ([`Conn::offload_on`], [`Opening::offload`], `Socket::offload`). Other threads hold a [`Handle`], which
//! publishes, emits, sends, closes, stops, and adopts WebSockets that another server has opened. Files and routes
//! ([`Builder::files`], [`Builder::get`], [`Builder::post`]) are for the pages that belong to an application.
//!
//! # Features
//!
//! | feature | by default | what |
//! |---|---|---|
//! | `socketio` | yes | Socket.IO: the module `io`, `Builder::socket_io` |
//! | `tls` | yes | `wss://` and `https://`: [`Tls`], [`Builder::bind_tls`] |
//! | `cli` | yes | what only the `throng` program needs; a library that is embedded does without |
//!
//! # Where to go on
//!
//! [`Builder`] is where a server begins, [`Config`] has every setting, [`CloseReason`] and [`Cause`] say how a connection may
//! end. The directory `examples` has complete programs, `docs/ARCHITECTURE.md` how it works inside, `docs/TUNING.md` what a host
//! needs and what the counters mean.

#[cfg(not(target_os = "linux"))]
compile_error!("throng runs on Linux only: it is built on epoll, SO_REUSEPORT and per-thread fd tables.");

pub mod app;
pub mod base;
#[doc(hidden)]
pub mod core;
#[doc(hidden)]
pub mod hub;
pub mod proto;
mod server;
pub mod sys;

pub use app::http::{Allow, Files, Found, Params, Routes, Visit};
#[cfg(feature = "socketio")]
pub use app::io;
pub use app::raw::{Admission, Conn, Handler, Opening, Pending, Post, Sending, Shard, Timer};
pub use base::cause::{Cause, CloseReason};
pub use base::config::{Config, FdTables, Forwarded, Origins, ProxyProtocol, WhenFull};
pub use base::error::{Full, SetupError};
pub use base::id::ConnId;
pub use base::prefix::{NoPrefix, Prefix};
pub use base::slow::SlowPolicy;
pub use core::drain::Cut;
pub use core::service::Delivery;
#[cfg(feature = "tls")]
pub use core::tls::Tls;
pub use hub::Subscribed;
pub use proto::http::{Request, Response};
pub use proto::ws::Message;
#[cfg(feature = "socketio")]
#[doc(hidden)]
pub use server::Seat;
pub use server::{Builder, Handle, HandleSending, Metrics, Plan, Server};

/// Compiles what the readme shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

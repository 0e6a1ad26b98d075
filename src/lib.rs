//! throng: a realtime server for very large connection counts on Linux.

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
pub use app::raw::{Admission, Conn, Handler, Opening, Pending, Post, Shard, Timer};
pub use base::cause::{Cause, CloseReason};
pub use base::config::{Config, FdTables, Origins};
pub use base::error::{Full, SetupError};
pub use base::id::ConnId;
pub use core::service::Delivery;
pub use hub::Subscribed;
pub use proto::http::{Request, Response};
pub use proto::ws::Message;
pub use server::{Builder, Handle, Metrics, Plan, Server};

/// Compiles what the readme shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

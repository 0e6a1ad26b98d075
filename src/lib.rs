//! throng: a realtime server for very large connection counts on Linux.

#[cfg(not(target_os = "linux"))]
compile_error!("throng runs on Linux only: it is built on epoll, SO_REUSEPORT and per-thread fd tables.");

pub mod base;
pub mod proto;
pub mod sys;

pub use base::cause::{Cause, CloseReason};
pub use base::config::{Config, FdTables, Origins};
pub use base::error::{Full, SetupError};
pub use base::id::ConnId;

//! WebSocket with topics: one [`Handler`] per shard, born on its shard, `&mut`, never shared.
//!
//! The handler's methods run on its shard's thread, one at a time. Whatever they send is queued and written by the loop.
//! Blocking work has one way out and back: `offload`.

mod admission;
mod conn;
mod handler;
mod kept;
mod offload;
#[cfg(feature = "socketio")]
mod port;
mod remote;
mod sending;
mod service;
mod shard;

pub use admission::{Admission, Opening, Pending};
pub use conn::Conn;
pub use handler::{Handler, Post};
pub(crate) use offload::Offload;
pub(crate) use remote::{Pack, Remote, Wake};
pub use sending::Sending;
pub(crate) use service::{Raw, RawMail};
pub use shard::{Shard, Timer};

//! A server as a whole: built, started on its threads, reached through its handle, stopped.
//!
//! ```text
//!   Builder ──serve──► listeners, polls, wakers, mailboxes       all that can fail, on the main thread
//!                │
//!                ├─► thread throng-0: (own fd table) ─► Shard ─► turn, turn, turn …
//!                ├─► thread throng-1: …
//!                └─► Server { Handle }  ─► join
//! ```

mod addresses;
mod builder;
mod plan;
mod running;
#[cfg(feature = "socketio")]
mod seats;
mod shared;
mod threads;

pub use crate::app::handle::{Handle, HandleSending, Metrics};
pub use builder::Builder;
pub use plan::Plan;
pub use running::Server;
#[cfg(feature = "socketio")]
pub use seats::Seat;

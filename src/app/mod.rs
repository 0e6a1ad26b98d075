//! The programming models: what a program that embeds throng writes against. Knows the core, no socket and no mio.

pub(crate) mod handle;
pub mod http;
#[cfg(feature = "socketio")]
pub mod io;
pub mod raw;

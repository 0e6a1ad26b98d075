//! The protocols, sans-I/O: bytes in, borrowed items and bytes out. No socket, no clock, no thread, no log.

#[cfg(feature = "socketio")]
pub mod engineio;
pub mod http;
pub mod proxy;
#[cfg(feature = "socketio")]
pub mod socketio;
pub mod ws;

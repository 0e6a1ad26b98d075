//! The protocols, sans-I/O: bytes in, borrowed items and bytes out. No socket, no clock, no thread, no log.

pub mod http;
pub mod ws;

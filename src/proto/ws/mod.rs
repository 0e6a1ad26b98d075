//! WebSocket (RFC 6455): handshake, frames, messages, close codes.

pub mod handshake;

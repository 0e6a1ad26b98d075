//! The WebSocket decoder from outside: every violation, every split, and tungstenite as the oracle.

mod carry;
#[cfg(feature = "deflate")]
mod deflate;
mod differential;
mod harness;
mod split;
mod violations;

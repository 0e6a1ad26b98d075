//! The WebSocket decoder from outside: every violation, every split, and tungstenite as the oracle.

mod carry;
mod differential;
mod harness;
mod split;
mod violations;

//! What every other room may know: ids, configuration, errors, the table of causes, counters, buffers.
//!
//! Nothing here does I/O, spawns a thread or reads a clock. Everything above may import it; it imports nothing.

pub mod cause;
mod check;
mod choices;
pub mod config;
pub mod error;
pub mod id;
pub mod metrics;
pub mod pool;
pub mod prefix;
pub mod slow;

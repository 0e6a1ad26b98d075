//! What the kernel offers beyond `std`: fd tables and limits, listeners, fd passing, pinning, and what a process costs.
//!
//! Nothing here owns a loop, a thread or a protocol. `core` and `server` call it to set a server up, `bench-client` to
//! open its own sockets and to read what a server consumes; everything above may import it, it imports only `base`.

pub mod cpu;
pub mod fd_table;
pub mod handoff;
pub mod host;
pub mod limits;
pub mod listener;
pub mod memory;
pub mod pin;
pub mod random;
pub mod reserve;
pub mod source;
pub mod trim;

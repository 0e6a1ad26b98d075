//! Everything a [`Handler`](throng::Handler) and a [`Handle`](throng::Handle) can do and can be told, on real sockets, with
//! one shard and with three. Each test has a server of its own and joins it: what it counted is then final.

mod admission;
mod closing;
mod connection;
#[cfg(feature = "deflate")]
mod deflate;
mod drain;
mod handle;
mod http;
mod incomplete;
mod limits;
mod panics;
mod pressure;
mod probe;
mod proxied;
mod slow;
mod streaming;
mod timers;
mod topics;

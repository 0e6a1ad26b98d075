//! `wss://` and `https://` on real sockets, with clients of rustls.

mod certs;
mod client;
mod echo;
mod moves;
mod reload;
mod server;
mod shakes;
mod stalls;
mod suites;

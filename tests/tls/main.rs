//! `wss://` and `https://` on real sockets, with clients of rustls.

mod certs;
mod client;
mod echo;
mod server;

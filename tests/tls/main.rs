//! `wss://` and `https://` on real sockets, with clients of rustls.

mod certs;
mod client;
mod echo;
mod fins;
mod floods;
mod moves;
mod proxied;
mod reload;
mod server;
mod shakes;
mod stalls;
mod suites;

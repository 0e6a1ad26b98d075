//! Hostile peers and hostile handlers, on real sockets: what they may cost, and that others notice nothing.

mod answers;
mod caps;
mod floods;
mod handlers;
mod peer;
mod requests;

//! TLS below the seam: what a shard's `Io` needs to speak it (RFC 8446, RFC 5246), on rustls' unbuffered API.
//!
//! ```text
//!   Io::read   ciphertext → scratch, behind a gap ─► Session::receive ─► plaintext at the scratch's front
//!   Io::write  plaintext ─► Session::encrypt, record by record ─► send; of what is not taken one record is kept
//! ```
//!
//! `session` is bytes in, bytes out. `sessions` has those of a shard, by fd, and does the reading and sending. `certs` is
//! [`Tls`], which programs make and reload, `suites` what it encrypts with. Nothing above the seam knows any of it but whether a connection has it. Only
//! `epoll` calls it.

mod certs;
mod session;
mod sessions;
mod suites;
#[cfg(test)]
mod tests;

pub use certs::Tls;
pub use session::Session;
pub(super) use sessions::REFUSAL;
pub use sessions::{Moved, Sessions};

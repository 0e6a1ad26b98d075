//! HTTP/1.1 (RFC 9110, RFC 9112) as a server reads and writes it: heads, bodies, responses, and the grammar of the fields
//! by which a client asks for a part of a content or says which version it has.
//!
//! Owns every decision about what a request's bytes mean: where its head ends, how long its body is, whether its
//! connection may carry another. There is one reading of each, the strict one, and what has two readings is refused:
//! a proxy in front that read it otherwise would see different requests than throng does (request smuggling).
//!
//! Never sees a socket or a clock, never keeps a buffer, and never writes `Date`. The core feeds it bytes and sends
//! what it encodes; the head is parsed by `httparse`.

mod body;
#[cfg(feature = "socketio")]
mod coding;
mod date;
mod escape;
pub(crate) mod forwarded;
mod framing;
mod grammar;
mod precondition;
mod range;
mod request;
mod response;
mod scan;
mod target;

#[cfg(test)]
mod tests;

pub use body::{
    Body, CHUNK_EXTENSIONS_BYTES_MAX, CHUNK_LINE_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX, TRAILER_BYTES_MAX,
};
#[cfg(feature = "socketio")]
pub use coding::{Gzip, takes_gzip};
pub use date::{format_date, parse_date};
pub use escape::decode_segment;
pub use framing::Framing;
pub use precondition::{Validators, Verdict};
pub use range::Range;
pub use request::{HEAD_FIELDS_MAX, HeaderSlots, Request};
pub use response::{CONTINUE, RETRY_AFTER_SECONDS, Response};
pub use scan::{HeadScan, LEADING_CRLFS_MAX};

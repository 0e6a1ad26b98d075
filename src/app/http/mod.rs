//! The least web server that a realtime program needs beside its sockets: files of a directory, and a table of routes.
//!
//! Functions from a request to a response, which know no connection and no shard: [`Files`] reads the directory that it
//! is made for, [`Routes`] only compares. The program's handler calls them, or the builder does in its place.

mod allow;
mod files;
pub(crate) mod health;
mod media;
mod open;
mod pattern;
mod routes;
mod web;

#[cfg(test)]
mod tests;

pub use allow::Allow;
pub use files::{FILE_BYTES_MAX, Files};
pub use routes::{Found, Params, Routes};
pub use web::Visit;
pub(crate) use web::Web;

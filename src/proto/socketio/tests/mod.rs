//! The codec against the protocol's texts, against `serde_json`, and against whatever can go wrong.

mod args;
mod encode;
mod msgpack;
mod packets;
mod random;

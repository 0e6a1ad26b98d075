//! What only tests of this room need: tables, splits, damage.

mod bodies;
mod fields;
mod heads;
mod responses;
mod splits;

use super::{HeadScan, HeaderSlots, Request};
use crate::base::cause::Cause;

/// Finds the head at the start of `bytes` and parses it, as the core does; `None` while it is incomplete.
fn judge<T>(bytes: &[u8], look: impl FnOnce(&Request<'_>) -> T) -> Option<Result<T, Cause>> {
    let length = HeadScan::new().find(bytes)?;
    let mut slots = HeaderSlots::new();
    Some(Request::parse(&bytes[..length], &mut slots).map(|request| look(&request)))
}

//! leftovers

//! The two streams where the library is built without compression. Nothing is ever agreed on, so nobody makes one.

use crate::base::cause::Cause;
use crate::base::pool::Pool;

/// Never made.
#[derive(Debug)]
pub struct Inflater(());

/// Never made.
#[derive(Debug)]
pub struct Deflater(());

impl Inflater {
    /// What one occupies.
    pub const fn bytes(_window_bits: u8) -> usize {
        0
    }

    /// Its stand-in.
    #[must_use]
    pub fn new(_window_bits: u8) -> Self {
        Self(())
    }

    /// Inflates nothing.
    ///
    /// # Errors
    /// `BadDeflate`.
    pub fn inflate(
        &mut self,
        _payload: &[u8],
        _bytes_max: usize,
        _keeps_context: bool,
        _buffers: &mut Pool,
    ) -> Result<(Vec<u8>, usize), Cause> {
        Err(Cause::BadDeflate)
    }
}

impl Deflater {
    /// What one occupies.
    pub const fn bytes(_window_bits: u8) -> usize {
        0
    }

    /// Its stand-in.
    #[must_use]
    pub fn new(_level: u32, _window_bits: u8) -> Self {
        Self(())
    }

    /// Forgets nothing.
    pub fn reset(&mut self) {}

    /// Deflates nothing.
    pub fn deflate(&mut self, _payload: &[u8], _keeps_context: bool, _out: &mut Vec<u8>) -> bool {
        false
    }
}

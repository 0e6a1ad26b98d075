//! A shard's outboxes: those that are free go round here, and what those that are not make the shard hold is counted here.
//!
//! What was not needed for a while is given up, so that a flood leaves nothing behind.

use crate::base::pool::Pool;

use super::load::Load;
use super::outbox::Outbox;

/// Outboxes kept for the next connection that needs one.
const OUTBOXES_KEPT: usize = 256;

/// A shard's outboxes: those that are free, and what those that are not make it hold.
#[derive(Debug, Default)]
pub struct Outboxes {
    #[expect(clippy::vec_box, reason = "the box is what is kept: a connection holds it as it is")]
    free: Vec<Box<Outbox>>,
    /// So many of them were there all the time since the last sweep.
    spare: usize,
    /// What slow readers make the shard hold.
    pub(super) load: Load,
}

impl Outboxes {
    /// An empty outbox.
    pub fn take(&mut self) -> Box<Outbox> {
        let outbox = self.free.pop().unwrap_or_default();
        self.spare = self.spare.min(self.free.len());
        outbox
    }

    /// Takes one back, whatever is in it.
    pub fn give(&mut self, mut outbox: Box<Outbox>, pool: &mut Pool) {
        outbox.clear(pool, &mut self.load);
        if self.free.len() < OUTBOXES_KEPT {
            self.free.push(outbox);
        }
    }

    /// Whether any are kept.
    pub(super) fn are_kept(&self) -> bool {
        !self.free.is_empty()
    }

    /// Frees those that nobody needed since this was called before, and what lists have grown to.
    pub(super) fn sweep(&mut self) {
        if self.spare > 0 {
            self.free.drain(..self.spare);
            self.free.shrink_to_fit();
        }
        self.spare = self.free.len();
        self.load.shrink();
    }
}

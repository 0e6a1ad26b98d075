//! Timeouts of acks: of any duration, so a heap. One that was answered stays until it is due, and then finds nobody.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What is awaited, of which namespace, until when.
#[derive(Debug, Default)]
pub(super) struct Alarms(BinaryHeap<Reverse<(u64, u16, u64)>>);

impl Alarms {
    pub(super) fn set(&mut self, due_us: u64, space: u16, ack_id: u64) {
        self.0.push(Reverse((due_us, space, ack_id)));
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.0.peek().map(|Reverse((due_us, ..))| *due_us)
    }

    pub(super) fn next_due(&mut self, now_us: u64) -> Option<(u16, u64)> {
        self.first().filter(|&due_us| due_us <= now_us)?;
        self.0.pop().map(|Reverse((_, space, ack_id))| (space, ack_id))
    }
}

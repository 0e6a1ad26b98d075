//! Timeouts of acks: of any duration, so a heap. One that was answered stays until it is due, and then finds nobody.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// An ack is overdue at this moment, in the shard's microseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Alarm {
    pub(super) due_us: u64,
    pub(super) ack_id: u64,
    pub(super) socket: u32,
    pub(super) space: u16,
}

/// The alarms of a shard.
#[derive(Debug, Default)]
pub(super) struct Alarms(BinaryHeap<Reverse<Alarm>>);

impl Alarms {
    pub(super) fn set(&mut self, alarm: Alarm) {
        self.0.push(Reverse(alarm));
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.0.peek().map(|Reverse(alarm)| alarm.due_us)
    }

    pub(super) fn next_due(&mut self, now_us: u64) -> Option<Alarm> {
        self.first().filter(|&due_us| due_us <= now_us)?;
        self.0.pop().map(|Reverse(alarm)| alarm)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

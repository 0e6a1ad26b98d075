//! Timeouts of acks and of answers of many: of any duration, so a heap. One that was answered stays until it is due, and then
//! finds nobody; where such outnumber the others they are thrown out before.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::port::Port;
use super::shard::IoShard;
use super::state::State;

/// What alarms of answers of many have in place of a namespace's handlers: of those a shard asks for, and those it gathers.
pub(super) const QUERY: u16 = u16::MAX;
pub(super) const GATHER: u16 = u16::MAX - 1;

/// Below this many nobody looks which of them are still awaited.
const FEW: usize = 1024;

/// An answer is overdue at this moment, in the shard's microseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Alarm {
    pub(super) due_us: u64,
    pub(super) ack_id: u64,
    pub(super) socket: u32,
    pub(super) space: u16,
}

/// The alarms of a shard.
#[derive(Debug)]
pub(super) struct Alarms {
    heap: BinaryHeap<Reverse<Alarm>>,
    /// With this many it is time to look again.
    crowd: usize,
}

impl Default for Alarms {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), crowd: FEW }
    }
}

impl Alarms {
    pub(super) fn set(&mut self, alarm: Alarm) {
        self.heap.push(Reverse(alarm));
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(alarm)| alarm.due_us)
    }

    pub(super) fn next_due(&mut self, now_us: u64) -> Option<Alarm> {
        self.first().filter(|&due_us| due_us <= now_us)?;
        self.heap.pop().map(|Reverse(alarm)| alarm)
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Keeps those that are awaited, and looks again when there are twice as many.
    fn thin(&mut self, is_awaited: impl Fn(&Alarm) -> bool) {
        self.heap.retain(|Reverse(alarm)| is_awaited(alarm));
        self.crowd = (2 * self.heap.len()).max(FEW);
        self.heap.shrink_to(self.crowd);
    }
}

impl State {
    /// Sets an alarm, and the tick with it.
    pub(super) fn alarm(&mut self, port: &mut dyn Port, alarm: Alarm) {
        let is_first = self.alarms.first().is_none_or(|first| alarm.due_us < first);
        self.alarms.set(alarm);
        if is_first {
            self.set_tick(port);
        }
    }
}

/// The moment that is so long from now, in the shard's microseconds.
pub(super) fn due_after(port: &dyn Port, time: Duration) -> u64 {
    port.now_us().saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

impl IoShard {
    /// Throws alarms out that nobody waits for any more: a client that answers fast would else have them grow with how long
    /// its acks may take, which `acks_per_socket_max` does not limit.
    pub(super) fn thin_alarms(&mut self) {
        let Self { state, spaces, .. } = self;
        if state.alarms.len() < state.alarms.crowd {
            return;
        }
        let (queries, gathers) = (&state.queries, &state.gathers);
        state.alarms.thin(|alarm| match alarm.space {
            QUERY => queries.contains_key(&alarm.ack_id),
            GATHER => gathers.contains_key(&alarm.ack_id),
            space => spaces[space as usize].awaits(alarm.socket, alarm.ack_id),
        });
    }
}

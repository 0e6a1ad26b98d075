//! Packets whose attachments are still to come: until when they may, and what a shard keeps for all of them.
//!
//! Owns a deadline and a count for each session that is in the middle of such a packet, and nothing for any other; the packet itself
//! is its decoder's. One that becomes whole is taken out at once, so there are no deadlines that nobody waits for, however
//! many packets a client sends. Called as packets come in, and by the tick.

use std::collections::{BTreeSet, HashMap};

use crate::core::load::goal;

use super::alarms::due_after;
use super::port::Port;
use super::reason::Reason;
use super::state::State;

/// Sessions whose packet is not whole.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    /// When their time is up, in the shard's microseconds, and their slots.
    due: BTreeSet<(u64, u32)>,
    /// By slot: when, and the bytes that are kept.
    sessions: HashMap<u32, (u64, usize)>,
    bytes: usize,
}

impl Unfinished {
    /// Bytes that are kept for all of them.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the time of the first is up.
    pub(super) fn first(&self) -> Option<u64> {
        self.due.first().map(|&(due_us, _)| due_us)
    }

    /// A session keeps so many bytes now. Its time is up then, unless it has begun before.
    fn hold(&mut self, slot: u32, due_us: u64, bytes: usize) {
        let (due_us, held) = self.sessions.entry(slot).or_insert((due_us, 0));
        self.bytes = self.bytes - *held + bytes;
        *held = bytes;
        self.due.insert((*due_us, slot));
    }

    /// A session's packet is whole, or the session is gone.
    pub(super) fn remove(&mut self, slot: u32) {
        if let Some((due_us, held)) = self.sessions.remove(&slot) {
            self.due.remove(&(due_us, slot));
            self.bytes -= held;
        }
    }

    /// Whose time is up.
    fn next_due(&self, now_us: u64) -> Option<u32> {
        self.due.first().filter(|(due_us, _)| *due_us <= now_us).map(|&(_, slot)| slot)
    }

    /// Those who hold most, together so much that no more than `goal` is left; the heaviest first.
    fn heaviest(&self, goal: usize) -> Vec<u32> {
        let mut sessions: Vec<_> = self.sessions.iter().map(|(&slot, &(_, bytes))| (bytes, slot)).collect();
        sessions.sort_unstable();
        let mut left = self.bytes;
        let heaviest = sessions.into_iter().rev().take_while(|(bytes, _)| {
            let is_too_much = left > goal;
            left -= bytes;
            is_too_much
        });
        heaviest.map(|(_, slot)| slot).collect()
    }
}

impl State {
    /// A packet has come in, or an attachment of one, and more are to follow.
    pub(super) fn attachments_outstanding(&mut self, port: &mut dyn Port, slot: u32) {
        let Some(session) = self.sessions.get(slot as usize) else { return };
        let due_us = due_after(port, self.config.attachments_timeout);
        self.unfinished.hold(slot, due_us, session.decoder.held_bytes());
        if self.unfinished.first() == Some(due_us) {
            self.set_tick(port);
        }
        if self.unfinished.bytes() > self.config.unfinished_bytes_max {
            for slot in self.unfinished.heaviest(goal(self.config.unfinished_bytes_max)) {
                port.counters().io_unfinished_overflowed.add(1);
                self.close_session(port, slot, Reason::ParseError);
            }
        }
    }

    /// Closes the sessions whose time is up.
    pub(super) fn close_unfinished(&mut self, port: &mut dyn Port) {
        while let Some(slot) = self.unfinished.next_due(port.now_us()) {
            port.counters().io_attachments_late.add(1);
            self.close_session(port, slot, Reason::ParseError);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_s_time_is_counted_from_its_beginning() {
        let mut all = Unfinished::default();
        all.hold(7, 100, 10);
        all.hold(3, 90, 20);
        all.hold(7, 500, 1000);
        assert_eq!((all.first(), all.bytes(), all.next_due(89)), (Some(90), 1020, None));
        assert_eq!(all.next_due(90), Some(3));
        all.remove(3);
        assert_eq!((all.next_due(99), all.next_due(100)), (None, Some(7)));
        // Whole, and the next one begins.
        all.remove(7);
        all.hold(7, 300, 5);
        assert_eq!((all.first(), all.bytes()), (Some(300), 5));
        [7, 7, 8].into_iter().for_each(|slot| all.remove(slot));
        assert_eq!((all.first(), all.bytes(), all.sessions.len()), (None, 0, 0));
    }

    #[test]
    fn the_heaviest_go_and_no_more_than_it_takes() {
        let mut all = Unfinished::default();
        [(0, 10), (1, 40), (2, 30), (3, 20)].into_iter().for_each(|(slot, bytes)| all.hold(slot, 1, bytes));
        for (goal, expected) in
            [(100, &[][..]), (99, &[1]), (60, &[1]), (59, &[1, 2]), (30, &[1, 2]), (0, &[1, 2, 3, 0])]
        {
            assert_eq!(all.heaviest(goal), expected, "{goal}");
        }
    }
}

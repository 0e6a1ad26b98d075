//! When each message that is under way on one connection was due and sent: for replies that carry a number and no more.
//!
//! A ring by sequence number, 16 bytes a message, made when the first one is sent and never smaller again. It is twice as
//! large whenever the place of a new message is still taken by one that is not answered, up to [`UNDER_WAY_MAX`].

use crate::payload::{Kind, Stamp, lengthen, shorten};

/// Messages of one connection whose times are known, at most: 1 MiB.
pub(crate) const UNDER_WAY_MAX: usize = 65_536;
/// The first ring.
const UNDER_WAY_MIN: usize = 4;

/// The ring.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    ring: Vec<Sent>,
}

/// One message.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    intended: u64,
    sequence: u32,
    slip: u16,
    /// Whether it is not answered yet.
    is_waiting: bool,
}

impl InFlight {
    /// Takes note of a message. False if one had to be forgotten for it that is not answered.
    #[must_use]
    pub(crate) fn sent(&mut self, stamp: &Stamp) -> bool {
        if self.ring.is_empty() {
            self.ring = vec![Sent::default(); UNDER_WAY_MIN];
        }
        while self.ring[self.place(stamp.sequence)].is_waiting && self.ring.len() < UNDER_WAY_MAX {
            self.grow();
        }
        let place = self.place(stamp.sequence);
        let forgotten = self.ring[place].is_waiting;
        let slip = shorten(stamp.slip);
        self.ring[place] =
            Sent { intended: stamp.intended, sequence: stamp.sequence, slip, is_waiting: true };
        !forgotten
    }

    /// The stamp of the message with this number, once: a reply that comes again has none.
    pub(crate) fn answered(&mut self, connection: u32, sequence: u32) -> Option<Stamp> {
        let place = self.place(sequence);
        let sent = self.ring.get_mut(place).filter(|sent| sent.is_waiting && sent.sequence == sequence)?;
        sent.is_waiting = false;
        let slip = lengthen(sent.slip);
        Some(Stamp { kind: Kind::Echo, connection, sequence, intended: sent.intended, slip })
    }

    /// The length is a power of two, or nothing.
    fn place(&self, sequence: u32) -> usize {
        sequence as usize & self.ring.len().saturating_sub(1)
    }

    fn grow(&mut self) {
        let larger = vec![Sent::default(); 2 * self.ring.len()];
        for sent in std::mem::replace(&mut self.ring, larger) {
            let place = self.place(sent.sequence);
            if sent.is_waiting {
                self.ring[place] = sent;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(sequence: u32) -> Stamp {
        Stamp { kind: Kind::Echo, connection: 7, sequence, intended: 1000 + u64::from(sequence), slip: 5 }
    }

    #[test]
    fn every_message_has_its_time_until_it_is_answered() {
        for pipeline in [1, 3, 64] {
            let mut ring = InFlight::default();
            for sequence in 0..1000u32 {
                assert!(ring.sent(&stamp(sequence)));
                if let Some(first) = (sequence + 1).checked_sub(pipeline) {
                    assert_eq!(ring.answered(7, first), Some(stamp(first)));
                    assert_eq!(ring.answered(7, first), None, "again");
                }
            }
            assert!(ring.ring.len() <= (pipeline as usize).next_power_of_two().max(UNDER_WAY_MIN));
            assert_eq!(ring.answered(7, 5000), None, "never sent");
        }
    }

    #[test]
    fn one_that_is_late_is_kept_while_there_is_room_and_its_loss_is_told() {
        let mut ring = InFlight::default();
        assert_eq!(ring.answered(7, 0), None, "nothing was sent");
        for sequence in 0..UNDER_WAY_MAX as u32 {
            assert!(ring.sent(&stamp(sequence)));
            assert!(sequence == 0 || ring.answered(7, sequence).is_some());
        }
        assert!(!ring.sent(&stamp(UNDER_WAY_MAX as u32)), "the first one has waited for a whole ring");
        assert_eq!(ring.answered(7, 0), None);
        assert_eq!(ring.answered(7, UNDER_WAY_MAX as u32).map(|stamp| stamp.sequence), Some(65_536));
    }
}

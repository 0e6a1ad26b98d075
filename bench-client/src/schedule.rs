//! The open-loop schedule: when each message was to be sent, whatever the server does.
//!
//! Message `k` is due at `start + k · interval` on connection `k mod ring`. Nothing here waits for an answer, so a
//! stall of the server (or of this process) shows up in every message that was due meanwhile. Pure arithmetic.

/// A schedule over a ring of connections.
#[derive(Debug)]
pub(crate) struct Schedule {
    start: u64,
    interval: f64,
    ring: u64,
    next: u64,
    sweep: Option<Sweep>,
}

/// More than a whole round is due: each connection gets all of its messages at once, in ring order.
#[derive(Debug)]
struct Sweep {
    from: u64,
    to: u64,
    done: u64,
}

/// Messages that are due on one connection: `first`, `first + ring`, … (`count` of them).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Due {
    /// The connection's place in the ring.
    pub(crate) index: usize,
    /// Number of the first message.
    pub(crate) first: u64,
    /// How many.
    pub(crate) count: u64,
}

impl Schedule {
    /// A schedule of `per_second` messages over `ring` connections (at least one) from `start` on.
    pub(crate) fn new(start: u64, per_second: f64, ring: usize) -> Self {
        Self { start, interval: 1e9 / per_second, ring: ring.max(1) as u64, next: 0, sweep: None }
    }

    /// When message `k` is due. An f64 counts whole nanoseconds for 104 days.
    pub(crate) fn time_of(&self, k: u64) -> u64 {
        self.start + (k as f64 * self.interval) as u64
    }

    /// The messages of `due`, each with the time it is due.
    pub(crate) fn times(&self, due: Due) -> impl Iterator<Item = u64> {
        (0..due.count).map(move |i| self.time_of(due.first + i * self.ring))
    }

    /// When the next message is due; in the past if one is due already.
    pub(crate) fn next_due(&self) -> u64 {
        self.sweep.as_ref().map_or_else(|| self.time_of(self.next), |sweep| self.time_of(sweep.from))
    }

    /// Takes the next connection with messages due at or before `now`.
    pub(crate) fn take(&mut self, now: u64) -> Option<Due> {
        if self.sweep.is_none() {
            if self.time_of(self.next) > now {
                return None;
            }
            if self.time_of(self.next + self.ring) > now {
                let first = self.next;
                self.next += 1;
                return Some(Due { index: (first % self.ring) as usize, first, count: 1 });
            }
            let mut to = self.next + self.ring;
            to = to.max(((now - self.start) as f64 / self.interval) as u64);
            while self.time_of(to) <= now {
                to += 1;
            }
            self.sweep = Some(Sweep { from: self.next, to, done: 0 });
        }
        let sweep = self.sweep.as_mut()?;
        let first = sweep.from + sweep.done;
        let count = (sweep.to - first).div_ceil(self.ring);
        sweep.done += 1;
        if sweep.done == self.ring {
            self.next = sweep.to;
            self.sweep = None;
        }
        Some(Due { index: (first % self.ring) as usize, first, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays the schedule at the given times and returns, per message, its number and connection.
    fn play(schedule: &mut Schedule, times: &[u64]) -> Vec<(u64, usize)> {
        let mut sent = Vec::new();
        for &now in times {
            while let Some(due) = schedule.take(now) {
                for (i, time) in schedule.times(due).enumerate() {
                    assert!(time <= now, "sent before it was due");
                    sent.push((due.first + i as u64 * schedule.ring, due.index));
                }
            }
            assert!(schedule.next_due() > now, "something due was left");
        }
        sent
    }

    #[test]
    fn every_message_is_sent_once_on_its_own_connection_however_late() {
        for ring in [1, 3, 7] {
            for times in [vec![0, 10, 20, 30, 40, 50], vec![0, 55], vec![100], vec![5, 17, 90, 91, 100]] {
                let mut schedule = Schedule::new(0, 1e8, ring);
                let mut sent = play(&mut schedule, &times);
                assert!(sent.iter().all(|&(k, index)| k % ring as u64 == index as u64));
                let order: Vec<_> = (0..ring)
                    .map(|i| sent.iter().filter(|s| s.1 == i).map(|s| s.0).collect::<Vec<_>>())
                    .collect();
                assert!(
                    order.iter().all(|of_one| of_one.is_sorted()),
                    "a connection's messages keep their order"
                );
                sent.sort_unstable();
                let last = times[times.len() - 1] / 10;
                assert_eq!(
                    sent.iter().map(|s| s.0).collect::<Vec<_>>(),
                    (0..=last).collect::<Vec<_>>(),
                    "{ring} {times:?}"
                );
            }
        }
    }

    #[test]
    fn a_rate_that_divides_no_second_does_not_drift() {
        let schedule = Schedule::new(7, 3.0, 1);
        assert_eq!(schedule.time_of(3_000_000), 7 + 1_000_000 * 1_000_000_000);
    }
}

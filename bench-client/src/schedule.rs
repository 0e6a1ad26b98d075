//! The open-loop schedule: when each message was to be sent, whatever the server does.
//!
//! Message `k` is due at the beginning of the tick that `start + k · interval` falls in, on connection `k mod ring`.
//! Nothing here waits for an answer, so a stall of the server (or of this process) shows up in every message that was
//! due meanwhile. Pure arithmetic where messages come evenly, and one random number and one sum where they come as a
//! Poisson process does: then every message falls on a connection drawn at random, so that each of them sees one too.

use crate::random::Random;

/// A schedule over a ring of connections.
#[derive(Debug)]
pub(crate) struct Schedule {
    start: u64,
    interval: f64,
    tick: u64,
    ring: u64,
    /// Messages in all.
    messages: u64,
    next: u64,
    sweep: Option<Sweep>,
    poisson: Option<Poisson>,
}

/// More than a whole round is due: each connection gets all of its messages at once, in ring order.
#[derive(Debug)]
struct Sweep {
    from: u64,
    to: u64,
    done: u64,
}

/// Where messages come at random: when the next one does, and what decides on those after it.
#[derive(Debug)]
struct Poisson {
    random: Random,
    /// Nanoseconds from the start.
    at: f64,
}

impl Poisson {
    /// Moves on by one exponentially distributed interval.
    fn step(&mut self, mean: f64) {
        self.at -= mean * (1.0 - self.random.fraction()).ln();
    }
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
    /// When the first is due.
    pub(crate) at: u64,
}

impl Schedule {
    /// A schedule of `per_second` messages over `ring` connections (at least one) from `start` on. Messages of the same
    /// `tick` nanoseconds (at least one) are due together.
    pub(crate) fn new(start: u64, per_second: f64, ring: usize, tick: u64) -> Self {
        let (interval, ring) = (1e9 / per_second, ring.max(1) as u64);
        Self {
            start,
            interval,
            tick: tick.max(1),
            ring,
            messages: u64::MAX,
            next: 0,
            sweep: None,
            poisson: None,
        }
    }

    /// Makes the messages come as a Poisson process of the same rate does, the one that this seed has.
    pub(crate) fn poisson(self, seed: u64) -> Self {
        let mut poisson = Poisson { random: Random::new(seed), at: 0.0 };
        poisson.step(self.interval);
        Self { poisson: Some(poisson), ..self }
    }

    /// Ends it after one message per connection.
    pub(crate) fn once(self) -> Self {
        Self { messages: self.ring, ..self }
    }

    /// When message `k` is due. An f64 counts whole nanoseconds for 104 days.
    pub(crate) fn time_of(&self, k: u64) -> u64 {
        self.in_tick(k as f64 * self.interval)
    }

    /// The beginning of the tick that so many nanoseconds from the start fall in.
    fn in_tick(&self, nanoseconds: f64) -> u64 {
        self.start + (nanoseconds + 0.5) as u64 / self.tick * self.tick
    }

    /// The messages of `due`, each with the time it is due.
    pub(crate) fn times(&self, due: Due) -> impl Iterator<Item = u64> {
        let later = (1..due.count).map(move |i| self.time_of(due.first + i * self.ring));
        std::iter::once(due.at).chain(later)
    }

    /// When the next message is due; in the past if one is due already, `u64::MAX` if there is none.
    pub(crate) fn next_due(&self) -> u64 {
        match &self.sweep {
            Some(sweep) => self.time_of(sweep.from),
            None if self.next >= self.messages => u64::MAX,
            None => self.poisson.as_ref().map_or_else(|| self.time_of(self.next), |it| self.in_tick(it.at)),
        }
    }

    /// Takes the next connection with messages due at or before `now`.
    pub(crate) fn take(&mut self, now: u64) -> Option<Due> {
        if self.sweep.is_none() {
            let at = self.next_due();
            if at > now {
                return None;
            }
            if let Some(poisson) = &mut self.poisson {
                let (index, first) = (poisson.random.below(self.ring) as usize, self.next);
                poisson.step(self.interval);
                self.next += 1;
                return Some(Due { index, first, count: 1, at });
            }
            let round = self.next + self.ring;
            if round >= self.messages || self.time_of(round) > now {
                let first = self.next;
                self.next += 1;
                return Some(Due { index: (first % self.ring) as usize, first, count: 1, at });
            }
            // What is due evenly at the tick's beginning is due; then the rest of the tick.
            let tick = (now - self.start) / self.tick * self.tick;
            let mut to = round.max((tick as f64 / self.interval) as u64);
            while self.time_of(to) <= now {
                to += 1;
            }
            self.sweep = Some(Sweep { from: self.next, to: to.min(self.messages), done: 0 });
        }
        let sweep = self.sweep.as_mut()?;
        let first = sweep.from + sweep.done;
        let count = (sweep.to - first).div_ceil(self.ring);
        sweep.done += 1;
        if sweep.done == self.ring {
            self.next = sweep.to;
            self.sweep = None;
        }
        Some(Due { index: (first % self.ring) as usize, first, count, at: self.time_of(first) })
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
                let mut schedule = Schedule::new(0, 1e8, ring, 1);
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
    fn messages_of_a_tick_are_due_at_its_beginning_and_the_rate_stays() {
        // One message every 10 ns in ticks of 35 ns: 0..=3 in the first, 4..=6 in the second, 7..=10 in the third.
        for ring in [1, 4, 100] {
            for times in [vec![0, 34, 35, 69, 70, 104], vec![104], vec![20, 104]] {
                let mut schedule = Schedule::new(0, 1e8, ring, 35);
                let mut sent = play(&mut schedule, &times);
                sent.sort_unstable();
                let numbers: Vec<_> = sent.iter().map(|s| s.0).collect();
                assert_eq!(numbers, (0..=10).collect::<Vec<_>>(), "{ring} {times:?}");
            }
        }
        let mut schedule = Schedule::new(0, 1e8, 100, 35);
        assert_eq!([34, 35, 69].map(|now| play(&mut schedule, &[now]).len()), [4, 3, 0]);
        assert_eq!(schedule.next_due(), 70);
        // 1.5 messages a tick: 3000 in a second, none too early and none missing at its borders.
        let schedule = Schedule::new(0, 1500.0, 9, 1_000_000);
        assert_eq!(
            [150, 1649, 1650].map(|k| schedule.time_of(k)),
            [100_000_000, 1_099_000_000, 1_100_000_000]
        );
    }

    #[test]
    fn once_is_one_message_per_connection() {
        for times in [vec![0, 20, 39], vec![1_000_000], vec![0, 1_000_000]] {
            let mut schedule = Schedule::new(0, 1e8, 5, 1).once();
            let sent = play(&mut schedule, &times);
            let expected = if times[times.len() - 1] < 40 { 4 } else { 5 };
            assert_eq!(sent.iter().map(|s| s.1).collect::<Vec<_>>(), (0..expected).collect::<Vec<_>>());
            assert_eq!(schedule.next_due() == u64::MAX, expected == 5);
        }
    }

    #[test]
    fn a_rate_that_divides_no_second_does_not_drift() {
        let schedule = Schedule::new(7, 3.0, 1, 1);
        assert_eq!(schedule.time_of(3_000_000), 7 + 1_000_000 * 1_000_000_000);
    }

    #[test]
    fn a_poisson_process_keeps_its_rate_varies_as_one_and_is_the_same_for_the_same_seed() {
        // A mean of 10 messages in 1000 ns.
        let counts = |seed, late: bool| {
            let mut schedule = Schedule::new(0, 1e7, 16, 1).poisson(seed);
            let mut connections = [0; 16];
            let counts: Vec<_> = (1..=10_000_u64)
                .filter(|time| !late || time % 10 == 0)
                .map(|time| {
                    let mut count = 0;
                    while let Some(due) = schedule.take(time * 1000 - 1) {
                        assert!(due.count == 1 && schedule.times(due).eq([due.at]) && due.at < time * 1000);
                        assert!(late || due.at >= (time - 1) * 1000, "what was due was left");
                        connections[due.index] += 1;
                        count += 1;
                    }
                    count
                })
                .collect();
            (counts, connections)
        };
        let (each, connections) = counts(1, false);
        let mean = each.iter().sum::<i32>() as f64 / 10_000.0;
        let variance = each.iter().map(|&n| (f64::from(n) - mean).powi(2)).sum::<f64>() / 10_000.0;
        // The variance of a Poisson process's counts is their mean; evenly spaced, it is almost nothing.
        assert!((mean - 10.0).abs() < 0.2 && (variance - 10.0).abs() < 0.7, "{mean} {variance}");
        assert!(connections.iter().all(|&n| (5900..6600).contains(&n)), "{connections:?}");
        let (late, also) = counts(1, true);
        assert_eq!(
            (late.iter().sum::<i32>(), also),
            (each.iter().sum(), connections),
            "lateness loses nothing"
        );
        assert_ne!(counts(2, false).0, each);
    }
}

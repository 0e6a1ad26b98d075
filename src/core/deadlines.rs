//! When connections are due: one first-in-first-out list per kind of deadline.
//!
//! All deadlines of a kind have the same duration, so the order of filing is the order of falling due and a list is
//! all it takes: 12 bytes an entry, no heap, no wheel. An entry is never moved or removed. When it falls due the core
//! looks whether it still means something, and files it again where it was only early. A million heartbeats every
//! 30 s are 33,000 entries a second, about 1 ms.
//!
//! Time is 32-bit milliseconds that wrap around after 49 days; comparisons are by signed difference.

use std::collections::VecDeque;

use crate::base::config::Config;
use crate::base::id::Key;

/// The kinds of deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Class {
    /// A request must be complete, head and body.
    Head,
    /// Something must have been heard.
    Silent,
    /// A deferred answer must have been given.
    Admit,
    /// A peer not heard is pinged.
    Ping,
    /// A pinged peer must have been heard.
    Pong,
    /// The closing handshake must be over.
    Close,
    /// A blocked peer must have taken something.
    Stall,
}

/// Every class, in the order in which those due at one moment are looked at.
pub const CLASSES: [Class; 7] =
    [Class::Head, Class::Silent, Class::Admit, Class::Ping, Class::Pong, Class::Close, Class::Stall];

#[derive(Clone, Copy, Debug)]
struct Entry {
    due: u32,
    slot: u32,
    generation: u32,
}

const _: () = assert!(size_of::<Entry>() == 12);

/// The deadlines of a shard's connections.
#[derive(Debug)]
pub struct Deadlines {
    filed: [VecDeque<Entry>; CLASSES.len()],
    duration_ms: [u32; CLASSES.len()],
    /// From filing until an entry is looked at. The class's duration, but for a head's.
    period_ms: [u32; CLASSES.len()],
    body_grace_ms: u32,
    message_ms: u32,
}

/// Up to whole milliseconds: what is shorter than one is not off.
fn millis(duration: std::time::Duration) -> u32 {
    duration.as_micros().div_ceil(1000) as u32
}

/// Whether the wrapping moment `a` is at or after `b`.
pub const fn reached(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) as i32 >= 0
}

impl Deadlines {
    /// No deadlines, with the durations of `config`.
    pub fn new(config: &Config) -> Self {
        let duration_ms = CLASSES.map(|class| {
            let duration = match class {
                Class::Head => config.head_timeout,
                Class::Silent => config.silent_timeout,
                Class::Admit => config.admit_timeout,
                Class::Ping => config.ping_interval,
                Class::Pong => config.pong_timeout,
                Class::Close => config.close_timeout,
                Class::Stall => config.stall_timeout,
            };
            millis(duration)
        });
        let (body_grace_ms, message_ms) = (millis(config.body_rate_grace), millis(config.message_timeout));
        let mut period_ms = duration_ms;
        if config.body_rate_min > 0 {
            // A request is looked at for its body's pace as well: in equal parts of its time, none longer than the grace.
            let head_ms = &mut period_ms[Class::Head as usize];
            *head_ms = head_ms.div_ceil(head_ms.div_ceil(body_grace_ms));
        }
        Self { filed: Default::default(), duration_ms, period_ms, body_grace_ms, message_ms }
    }

    /// How long a body may be on its way before it must have a pace, in milliseconds.
    pub const fn body_grace_ms(&self) -> u32 {
        self.body_grace_ms
    }

    /// Whether a message that began at `since` has had its time. Nothing is filed for messages, of which there may be 100,000 a
    /// second in two parts: who looks after its peer looks at this too.
    pub const fn is_message_late(&self, since: u32, now: u32) -> bool {
        self.message_ms > 0 && reached(now, since.wrapping_add(self.message_ms).wrapping_add(1))
    }

    /// Whether this kind of deadline is switched off.
    pub fn is_off(&self, class: Class) -> bool {
        self.duration_ms[class as usize] == 0
    }

    /// Files a deadline for `key`, one duration of its class from `now`, or the part of it after which it is looked at.
    pub fn file(&mut self, class: Class, key: Key, now: u32) {
        // A millisecond more, because `now` may be late by almost one: a deadline is never early.
        let due = now.wrapping_add(self.period_ms[class as usize]).wrapping_add(1);
        self.filed[class as usize].push_back(Entry { due, slot: key.slot, generation: key.generation });
    }

    /// Takes the next entry of `class` that is due.
    pub fn next_due(&mut self, class: Class, now: u32) -> Option<Key> {
        let list = &mut self.filed[class as usize];
        let first = list.front()?;
        if !reached(now, first.due) {
            return None;
        }
        let key = Key { slot: first.slot, generation: first.generation };
        list.pop_front();
        if list.is_empty() && list.capacity() > LIST_KEPT {
            *list = VecDeque::new();
        }
        Some(key)
    }

    /// Whether a span of the class's duration has surely passed at `now` since `since`: both are whole milliseconds, so
    /// the difference may be larger than the span by almost one.
    pub fn has_passed(&self, class: Class, since: u32, now: u32) -> bool {
        reached(now, since.wrapping_add(self.duration_ms[class as usize]).wrapping_add(1))
    }

    /// Milliseconds until the first entry of any class falls due, 0 if one is; `None` without entries.
    pub fn until_next(&self, now: u32) -> Option<u64> {
        self.filed
            .iter()
            .filter_map(|list| list.front())
            .map(|first| {
                let left = first.due.wrapping_sub(now) as i32;
                left.max(0) as u64
            })
            .min()
    }

    /// How many entries are filed, stale ones included.
    pub fn len(&self) -> usize {
        self.filed.iter().map(VecDeque::len).sum()
    }

    /// Whether none is filed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Entries an empty list keeps room for.
const LIST_KEPT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn deadlines(head_ms: u64) -> Deadlines {
        Deadlines::new(&Config { head_timeout: Duration::from_millis(head_ms), ..Config::default() })
    }

    #[test]
    fn a_deadline_is_never_early_and_at_most_a_millisecond_late() {
        let mut deadlines = deadlines(100);
        let key = Key { slot: 1, generation: 1 };
        deadlines.file(Class::Head, key, 50);
        assert_eq!(deadlines.until_next(50), Some(101));
        assert_eq!(deadlines.next_due(Class::Head, 150), None);
        assert_eq!(deadlines.next_due(Class::Head, 151), Some(key));
        assert!(deadlines.is_empty() && deadlines.until_next(151).is_none());
    }

    #[test]
    fn time_may_wrap_around() {
        let mut deadlines = deadlines(100);
        let now = u32::MAX - 20;
        let key = Key { slot: 1, generation: 1 };
        deadlines.file(Class::Head, key, now);
        assert_eq!(deadlines.until_next(now), Some(101));
        assert_eq!(deadlines.next_due(Class::Head, u32::MAX), None);
        assert_eq!(deadlines.next_due(Class::Head, now.wrapping_add(101)), Some(key));
        assert!(deadlines.has_passed(Class::Head, now, now.wrapping_add(101)));
        assert!(!deadlines.has_passed(Class::Head, now, now.wrapping_add(100)));
    }

    #[test]
    fn only_zero_is_off() {
        let silent = |silent_timeout| {
            Deadlines::new(&Config { silent_timeout, ..Config::default() }).is_off(Class::Silent)
        };
        assert!(silent(Duration::ZERO) && !silent(Duration::from_micros(1)));
    }

    #[test]
    fn a_head_is_looked_at_in_equal_parts_of_its_time() {
        let key = Key { slot: 1, generation: 1 };
        for (head_ms, grace_ms, rate, period_ms) in [
            (10_000, 5000, 1, 5000),
            (7000, 5000, 1, 3500),
            (5000, 5000, 1, 5000),
            (80, 5000, 1, 80),
            (9000, 1, 0, 9000),
        ] {
            let config = Config {
                head_timeout: Duration::from_millis(head_ms),
                body_rate_grace: Duration::from_millis(grace_ms),
                body_rate_min: rate,
                ..Config::default()
            };
            let mut deadlines = Deadlines::new(&config);
            deadlines.file(Class::Head, key, 0);
            assert_eq!(deadlines.until_next(0), Some(period_ms + 1), "{head_ms} {grace_ms}");
            assert!(!deadlines.has_passed(Class::Head, 0, head_ms as u32));
        }
    }

    #[test]
    fn classes_do_not_disturb_each_other() {
        let mut deadlines = deadlines(10_000);
        let key = Key { slot: 1, generation: 1 };
        deadlines.file(Class::Admit, key, 0);
        deadlines.file(Class::Close, key, 0);
        assert_eq!(deadlines.until_next(0), Some(5001));
        assert_eq!(deadlines.next_due(Class::Close, 5001), Some(key));
        assert_eq!(deadlines.next_due(Class::Admit, 5001), None);
        assert_eq!(deadlines.until_next(20_000), Some(0));
    }
}

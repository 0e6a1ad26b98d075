//! What becomes of messages to a peer that reads too slowly: the policy of a connection, and the mark of a message.
//!
//! Owns the words and how a message's own wish is combined with its connection's. What is done about it is the core's business.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

/// What becomes of messages to a connection that reads too slowly. Only what has not begun to be sent can be dropped;
/// control frames, acks, the protocols' own packets and messages sent in parts never are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
#[repr(u8)]
pub enum SlowPolicy {
    /// Nothing is dropped: what does not fit closes the connection (1008).
    #[default]
    Close,
    /// A message that does not fit is dropped, and the connection stays.
    DropNew,
    /// The oldest messages make room for the newest.
    DropOldest,
    /// Of each topic, or Socket.IO event, the latest message takes the place of one that still waits, full or not. What is sent
    /// to the connection directly counts as one more topic. Where the latest ones do not fit it is closed, so a
    /// connection that lives gets the last of each.
    LatestOnly,
}

/// A message's own wish, which beats its connection's policy. A word of 8 bytes, so that it goes along with a message anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Mark(u64);

/// Two servers, and two runs of one, hash differently, so nobody can look for names that fall together.
static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl Mark {
    /// As the connection has it.
    pub const UNSET: Self = Self(0);
    /// Never dropped.
    pub const KEEP: Self = Self(1);
    /// Dropped if it does not fit.
    pub const NEW: Self = Self(2);
    /// Dropped for newer ones.
    pub const OLDEST: Self = Self(3);

    /// Replaced by the next with this key, which is a name within a scope. 64 bits of a hash stand for it: among 1,000,000 keys
    /// that wait for one connection the chance that any two are taken for one is 3 in 10⁸.
    #[must_use]
    pub fn latest(scope: &str, name: &str) -> Self {
        Self(KEYS.hash_one((scope, name)).max(4))
    }

    /// What is said to a connection directly, to one that gets only the latest of each topic.
    #[must_use]
    pub fn direct() -> Self {
        Self::latest("", "")
    }

    /// What it comes to for a connection with this policy; `topic` is what the message is about.
    #[must_use]
    pub fn or(self, policy: SlowPolicy, topic: impl FnOnce() -> Self) -> Self {
        match (self, policy) {
            (Self::UNSET, SlowPolicy::Close) => Self::KEEP,
            (Self::UNSET, SlowPolicy::DropNew) => Self::NEW,
            (Self::UNSET, SlowPolicy::DropOldest) => Self::OLDEST,
            (Self::UNSET, SlowPolicy::LatestOnly) => topic(),
            (own, _) => own,
        }
    }

    /// Whether it has a key.
    #[inline]
    #[must_use]
    pub const fn is_latest(self) -> bool {
        self.0 > 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_s_own_wish_beats_its_connection_s_policy() {
        let topic = || Mark::latest("", "topic");
        let policies =
            [SlowPolicy::Close, SlowPolicy::DropNew, SlowPolicy::DropOldest, SlowPolicy::LatestOnly];
        for (policy, expected) in policies.into_iter().zip([Mark::KEEP, Mark::NEW, Mark::OLDEST, topic()]) {
            assert_eq!(Mark::UNSET.or(policy, topic), expected);
            for own in [Mark::KEEP, Mark::NEW, Mark::OLDEST, Mark::latest("", "key")] {
                assert_eq!(own.or(policy, topic), own);
            }
        }
    }

    #[test]
    fn keys_are_told_apart_by_scope_and_name() {
        let keys =
            [("", "a"), ("a", ""), ("", "b"), ("a", "a")].map(|(scope, name)| Mark::latest(scope, name));
        for (at, key) in keys.iter().enumerate() {
            assert!(key.is_latest() && keys.iter().position(|other| other == key) == Some(at));
        }
        assert_eq!(Mark::latest("x", "y"), Mark::latest("x", "y"));
    }
}

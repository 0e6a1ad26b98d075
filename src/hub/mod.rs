//! Who is subscribed to what, on one shard: topic name ↔ members, as pure data.
//!
//! Owns the names, the member lists and each member's list of topics. Never delivers, never allocates per delivery,
//! knows nothing of connections beyond the `u32` that names a member. The core subscribes, removes and walks.
//!
//! A member is in a topic's list at a position that the member's own list remembers, so leaving costs one swap
//! (≈ 10 ns) whatever the size of the topic, and a publish walks a dense array of 8-byte entries.

use std::collections::HashMap;
use std::sync::Arc;

/// What became of a request to subscribe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subscribed {
    /// The member is in the topic now.
    New,
    /// It was already.
    Already,
    /// `topics_per_connection_max`, for Socket.IO's rooms `rooms_per_socket_max`, is reached; nothing changed.
    TooMany,
    /// The name is longer than `topic_bytes_max`, a room's than `room_bytes_max`; nothing changed.
    TooLong,
    /// The connection is closing or gone; nothing changed.
    Closed,
}

/// A member's entry in a topic: who, and where in the member's own list this topic stands.
#[derive(Clone, Copy, Debug)]
struct Member {
    id: u32,
    place: u32,
}

/// A topic in a member's own list: which, and where in the topic's list the member stands.
#[derive(Clone, Copy, Debug)]
struct Membership {
    topic: u32,
    place: u32,
}

#[derive(Debug)]
struct Topic {
    name: Arc<str>,
    members: Vec<Member>,
}

/// The topics of one shard.
#[derive(Debug, Default)]
pub struct Hub {
    names: HashMap<Arc<str>, u32>,
    topics: slab::Slab<Topic>,
    /// By member id. Empty until somebody subscribes, so a shard of plain echoes pays nothing.
    memberships: Vec<Vec<Membership>>,
}

impl Hub {
    /// An empty hub.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `id` into the topic `name`, unless it is in `most` topics already.
    pub fn subscribe(&mut self, id: u32, name: &str, most: usize) -> Subscribed {
        if self.memberships.len() <= id as usize {
            self.memberships.resize_with(id as usize + 1, Vec::new);
        }
        let topic = self.names.get(name).copied();
        let own = &mut self.memberships[id as usize];
        if topic.is_some_and(|topic| own.iter().any(|membership| membership.topic == topic)) {
            return Subscribed::Already;
        }
        if own.len() >= most {
            return Subscribed::TooMany;
        }
        let topic = topic.unwrap_or_else(|| {
            let name: Arc<str> = name.into();
            let topic = self.topics.insert(Topic { name: name.clone(), members: Vec::new() }) as u32;
            self.names.insert(name, topic);
            topic
        });
        let members = &mut self.topics[topic as usize].members;
        if own.capacity() == 0 {
            own.reserve_exact(1);
        }
        own.push(Membership { topic, place: members.len() as u32 });
        members.push(Member { id, place: own.len() as u32 - 1 });
        Subscribed::New
    }

    /// Takes `id` out of the topic `name`; false where it was not in it.
    pub fn unsubscribe(&mut self, id: u32, name: &str) -> bool {
        let Some(&topic) = self.names.get(name) else { return false };
        let Some(own) = self.memberships.get(id as usize) else { return false };
        let Some(at) = own.iter().position(|membership| membership.topic == topic) else { return false };
        self.leave(id, at);
        true
    }

    /// Takes `id` out of every topic it is in.
    pub fn remove(&mut self, id: u32) {
        while let Some(last) = self.memberships.get(id as usize).and_then(|own| own.len().checked_sub(1)) {
            self.leave(id, last);
        }
        if let Some(own) = self.memberships.get_mut(id as usize) {
            *own = Vec::new();
        }
    }

    /// The members of the topic `name`, in no order that means anything.
    pub fn members<'a>(&'a self, name: &str) -> impl Iterator<Item = u32> + use<'a> {
        let topic = self.names.get(name).map(|&topic| &self.topics[topic as usize]);
        topic.into_iter().flat_map(|topic| topic.members.iter().map(|member| member.id))
    }

    /// The topics that `id` is in, in no order that means anything.
    pub fn topics(&self, id: u32) -> impl Iterator<Item = &str> + '_ {
        let own = self.memberships.get(id as usize).into_iter().flatten();
        own.map(|membership| &*self.topics[membership.topic as usize].name)
    }

    /// How many members the topic `name` has on this shard.
    pub fn count(&self, name: &str) -> usize {
        self.names.get(name).map_or(0, |&topic| self.topics[topic as usize].members.len())
    }

    /// How many topics have a member here.
    pub fn len(&self) -> usize {
        self.topics.len()
    }

    /// Whether nobody is subscribed to anything.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Takes `id` out of the topic at place `at` of its own list, and mends the two entries that moved.
    fn leave(&mut self, id: u32, at: usize) {
        let gone = self.memberships[id as usize].swap_remove(at);
        if let Some(&moved) = self.memberships[id as usize].get(at) {
            self.topics[moved.topic as usize].members[moved.place as usize].place = at as u32;
        }
        let topic = &mut self.topics[gone.topic as usize];
        topic.members.swap_remove(gone.place as usize);
        if let Some(&moved) = topic.members.get(gone.place as usize) {
            self.memberships[moved.id as usize][moved.place as usize].place = gone.place;
        } else if topic.members.is_empty() {
            let topic = self.topics.remove(gone.topic as usize);
            self.names.remove(&topic.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// The hub beside a map of sets, through 20,000 seeded operations.
    #[test]
    fn it_does_what_a_map_of_sets_does() {
        let (mut hub, mut model) = (Hub::new(), BTreeMap::<String, BTreeSet<u32>>::new());
        let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
        for _ in 0..20_000 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let (id, name) = ((seed >> 8) as u32 % 17, format!("t{}", (seed >> 16) % 11));
            match seed % 8 {
                0..=3 => {
                    let is_new = model.entry(name.clone()).or_default().insert(id);
                    let expected = if is_new { Subscribed::New } else { Subscribed::Already };
                    assert_eq!(hub.subscribe(id, &name, usize::MAX), expected);
                }
                4..=6 => {
                    let was_in = model.get_mut(&name).is_some_and(|members| members.remove(&id));
                    assert_eq!(hub.unsubscribe(id, &name), was_in);
                }
                _ => {
                    hub.remove(id);
                    model.values_mut().for_each(|members| _ = members.remove(&id));
                }
            }
            model.retain(|_, members| !members.is_empty());
            assert_eq!(hub.len(), model.len());
            for (name, members) in &model {
                assert_eq!(&hub.members(name).collect::<BTreeSet<_>>(), members);
                assert_eq!(hub.count(name), members.len());
            }
        }
    }

    #[test]
    fn a_member_has_a_limit_of_topics() {
        let mut hub = Hub::new();
        assert_eq!(hub.subscribe(3, "a", 2), Subscribed::New);
        assert_eq!(hub.subscribe(3, "b", 2), Subscribed::New);
        assert_eq!(hub.subscribe(3, "b", 2), Subscribed::Already);
        assert_eq!(hub.subscribe(3, "c", 2), Subscribed::TooMany);
        assert_eq!(["a", "b", "c"].map(|topic| hub.count(topic)), [1, 1, 0]);
        hub.remove(3);
        assert!(hub.is_empty());
    }
}

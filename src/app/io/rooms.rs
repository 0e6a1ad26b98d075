//! The rooms of one shard's namespaces: one hub for all of them, whose topics are a namespace's number and a room's name.
//!
//! One hub and not one for each, because a hub has a place for every socket up to the highest that has ever joined: 24 bytes for
//! each of 100,000 sockets, which a client could else ask for as often as a pattern lets in another namespace.

use std::cell::RefCell;

use crate::hub::{Hub, Subscribed};

/// The rooms of a shard.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    hub: Hub,
    /// Working space for a topic's name.
    topic: RefCell<String>,
}

/// Bytes of a number in a topic's name: a character above 2^16 - 1.
const NUMBER_BYTES: usize = 4;

impl Rooms {
    fn topic<T>(&self, namespace: u16, room: &str, look: impl FnOnce(&str) -> T) -> T {
        let mut topic = self.topic.borrow_mut();
        write(&mut topic, namespace, room);
        look(&topic)
    }

    /// Puts a socket into a room, unless it is in `most` already.
    pub(super) fn join(&mut self, namespace: u16, socket: u32, room: &str, most: usize) -> Subscribed {
        let topic = self.topic.get_mut();
        write(topic, namespace, room);
        self.hub.subscribe(socket, topic, most)
    }

    /// Takes a socket out of a room; false where it was not in it.
    pub(super) fn leave(&mut self, namespace: u16, socket: u32, room: &str) -> bool {
        let topic = self.topic.get_mut();
        write(topic, namespace, room);
        self.hub.unsubscribe(socket, topic)
    }

    /// Takes a socket out of every room.
    pub(super) fn remove(&mut self, socket: u32) {
        self.hub.remove(socket);
    }

    /// The rooms that a socket is in, in no order that means anything.
    pub(super) fn of(&self, socket: u32) -> impl Iterator<Item = &str> {
        self.hub.topics(socket).map(|topic| &topic[NUMBER_BYTES..])
    }

    /// The members of a room, in no order that means anything.
    pub(super) fn members<'a>(&'a self, namespace: u16, room: &str) -> impl Iterator<Item = u32> + use<'a> {
        self.topic(namespace, room, |topic| self.hub.members(topic))
    }

    /// How many rooms have a member, those of all included.
    pub(super) fn len(&self) -> usize {
        self.hub.len()
    }
}

fn write(topic: &mut String, namespace: u16, room: &str) {
    topic.clear();
    topic.push(
        char::from_u32(0x1_0000 + u32::from(namespace)).expect("the supplementary planes have no gaps"),
    );
    topic.push_str(room);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_have_rooms_of_their_own() {
        let mut rooms = Rooms::default();
        for (namespace, socket, room) in
            [(0, 1, "a"), (0, 2, "a"), (1, 3, "a"), (u16::MAX, 4, "a"), (0, 1, "")]
        {
            assert_eq!(rooms.join(namespace, socket, room, 9), Subscribed::New);
        }
        assert_eq!(rooms.join(0, 1, "b", 2), Subscribed::TooMany);
        for (namespace, room, expected) in
            [(0, "a", &[1, 2][..]), (1, "a", &[3]), (u16::MAX, "a", &[4]), (0, "", &[1]), (2, "a", &[])]
        {
            assert_eq!(rooms.members(namespace, room).collect::<Vec<_>>(), expected, "{namespace} {room}");
        }
        assert_eq!(rooms.of(1).collect::<Vec<_>>(), ["a", ""]);
        assert!(!rooms.leave(1, 1, "a") && rooms.leave(0, 1, "a"));
        [1, 2, 3, 4].into_iter().for_each(|socket| rooms.remove(socket));
        assert_eq!(rooms.len(), 0);
    }
}

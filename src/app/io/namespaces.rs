//! The namespaces of one shard, by name and by number: those that were given by name, and those that a pattern let in.
//!
//! Owns their names and how many are in them. A namespace that a pattern let in is there from its first client's wish to
//! connect until the last of its sockets is gone. Never calls a handler; state and packets call it.

use std::collections::HashMap;
use std::rc::Rc;

use slab::Slab;

/// A namespace on this shard.
#[derive(Debug)]
struct Place {
    name: Rc<str>,
    /// Whose handlers it has: where they lie among the spaces.
    space: u16,
    /// Whether it goes with the last who is in it.
    is_dynamic: bool,
    /// Sockets in it, and clients that wait to be let in.
    users: u32,
}

/// The namespaces of a shard.
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    numbers: HashMap<Rc<str>, u16>,
    places: Slab<Place>,
    dynamic: usize,
    /// Whether the first is the main namespace, which nearly every client is in.
    begins_with_main: bool,
}

/// More handlers than these are described by nobody; what is above is left for namespaces that patterns let in.
pub(super) const SPACES_MAX: usize = 4096;

/// How many namespaces patterns may let in at most: a number has 16 bits.
pub(super) const DYNAMIC_MAX: usize = (1 << 16) - SPACES_MAX;

impl Namespaces {
    /// Adds one that is always there.
    pub(super) fn add(&mut self, name: Rc<str>, space: u16) {
        self.begins_with_main |= self.places.is_empty() && &*name == "/";
        self.insert(name, space, false);
    }

    /// Adds one that goes with the last who is in it. `None`: there are `most` of them.
    pub(super) fn add_dynamic(&mut self, name: &str, space: u16, most: usize) -> Option<u16> {
        if self.dynamic >= most {
            return None;
        }
        self.dynamic += 1;
        Some(self.insert(name.into(), space, true))
    }

    fn insert(&mut self, name: Rc<str>, space: u16, is_dynamic: bool) -> u16 {
        let place = Place { name: name.clone(), space, is_dynamic, users: 0 };
        // Both kinds have their most, and together they fit.
        let number = self.places.insert(place) as u16;
        self.numbers.insert(name, number);
        number
    }

    /// The number of the one with this name, if it is there.
    #[inline]
    pub(super) fn number(&self, name: &str) -> Option<u16> {
        if self.begins_with_main && name == "/" {
            return Some(0);
        }
        self.numbers.get(name).copied()
    }

    pub(super) fn name(&self, number: u16) -> &Rc<str> {
        &self.places[number as usize].name
    }

    /// Whose handlers it has.
    #[inline]
    pub(super) fn space(&self, number: u16) -> u16 {
        self.places[number as usize].space
    }

    pub(super) fn is_dynamic(&self, number: u16) -> bool {
        self.places[number as usize].is_dynamic
    }

    /// Somebody is in it, or waits to be: it stays.
    pub(super) fn enter(&mut self, number: u16) {
        self.places[number as usize].users += 1;
    }

    /// Somebody who was is not any more. The last of a dynamic one takes it along.
    pub(super) fn leave(&mut self, number: u16) {
        let place = &mut self.places[number as usize];
        place.users -= 1;
        if place.is_dynamic && place.users == 0 {
            let place = self.places.remove(number as usize);
            self.numbers.remove(&place.name);
            self.dynamic -= 1;
        }
    }

    /// How many patterns have let in.
    pub(super) const fn dynamic(&self) -> usize {
        self.dynamic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_a_pattern_let_in_goes_with_its_last() {
        let mut all = Namespaces::default();
        all.add("/".into(), 0);
        all.add("/a".into(), 1);
        let one = all.add_dynamic("/dyn-1", 2, 2).unwrap();
        all.enter(one);
        all.enter(one);
        let two = all.add_dynamic("/dyn-2", 2, 2).unwrap();
        all.enter(two);
        assert_eq!(all.add_dynamic("/dyn-3", 2, 2), None);
        assert_eq!((all.number("/"), all.number("/a"), all.number("/dyn-1")), (Some(0), Some(1), Some(one)));
        assert_eq!((all.space(one), &**all.name(two), all.dynamic()), (2, "/dyn-2", 2));
        all.leave(one);
        assert_eq!(all.number("/dyn-1"), Some(one));
        all.leave(one);
        assert_eq!((all.number("/dyn-1"), all.dynamic()), (None, 1));
        // Its place is the next one's, and one that is always there stays when it is empty.
        assert_eq!(all.add_dynamic("/dyn-3", 2, 2), Some(one));
        all.enter(1);
        all.leave(1);
        assert_eq!(all.number("/a"), Some(1));
    }

    #[test]
    fn the_main_namespace_is_found_wherever_it_stands() {
        let mut all = Namespaces::default();
        all.add("/a".into(), 0);
        assert_eq!(all.number("/"), None);
        all.add("/".into(), 1);
        assert_eq!((all.number("/"), all.number("/a")), (Some(1), Some(0)));
    }
}

//! The topics' names of one shard, each kept once however many connections are in it.
//!
//! A connection keeps 4 bytes, so that with its topic it still fits its cache line.

use std::collections::HashMap;
use std::rc::Rc;

use slab::Slab;

/// A name's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NameId(u32);

#[derive(Debug)]
struct Name {
    text: Rc<str>,
    uses: u32,
}

/// The names in use.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_text: HashMap<Rc<str>, NameId>,
    names: Slab<Name>,
}

impl Names {
    /// The number of a name, which is used once more from here on.
    pub(super) fn take(&mut self, text: &str) -> NameId {
        if let Some(&id) = self.by_text.get(text) {
            self.names[id.0 as usize].uses += 1;
            return id;
        }
        let text: Rc<str> = text.into();
        let id = NameId(self.names.insert(Name { text: text.clone(), uses: 1 }) as u32);
        self.by_text.insert(text, id);
        id
    }

    /// The name of a number that is in use.
    pub(super) fn text(&self, id: NameId) -> &str {
        &self.names[id.0 as usize].text
    }

    /// Ends one use of a name; at the last it is forgotten.
    pub(super) fn release(&mut self, id: NameId) {
        let name = &mut self.names[id.0 as usize];
        name.uses -= 1;
        if name.uses == 0 {
            let name = self.names.remove(id.0 as usize);
            self.by_text.remove(&name.text);
        }
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        // A shard ends after the last of its connections, each of which released its name.
        debug_assert!(self.names.is_empty() || std::thread::panicking(), "a name outlives its connections");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_lives_as_long_as_it_is_used() {
        let mut names = Names::default();
        let (a, b) = (names.take("a"), names.take("b"));
        assert_ne!(a, b);
        assert_eq!(names.take("a"), a);
        names.release(a);
        assert_eq!((names.text(a), names.text(b)), ("a", "b"));
        names.release(a);
        names.release(b);
        assert!(names.names.is_empty() && names.by_text.is_empty());
    }
}

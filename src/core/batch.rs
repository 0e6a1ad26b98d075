//! What a turn's publishes queue: chains of publications, shared by every subscriber that has the same ones queued.
//!
//! Nearly all subscribers of a topic have the same publications waiting. So a subscriber holds no queue of its own but
//! the number of a *batch*: a chain "those before, then this one". Publishing moves it from batch b to batch b + p,
//! and all subscribers that were at b come to the same b + p. A batch's bytes are joined once, at the first flush,
//! and every subscriber is sent the same bytes with one call: eight publishes in a turn cost what one costs. Nothing
//! is allocated per delivery, and a subscriber's share of the memory is the 4 bytes of the number.
//!
//! A batch lives while a connection or a longer batch refers to it. Only a connection that the kernel blocks gets an
//! outbox of its own.

use crate::base::pool::{Pool, copy};

use super::publication::Publication;

/// A batch's number; 0 is the empty one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BatchId(u32);

impl BatchId {
    /// No publications.
    pub const EMPTY: Self = Self(0);

    /// Whether there is nothing in it.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Joined bytes are made up to this length; a longer batch is sent piece by piece (64 KiB is what one call usually
/// moves, and copying more costs more than the extra pieces of a vectored write).
const JOINED_BYTES_MAX: usize = 64 << 10;

#[derive(Debug)]
struct Batch {
    before: BatchId,
    publication: Publication,
    /// All bytes of the chain.
    bytes: usize,
    /// Connections at this batch, and batches that continue it.
    users: u32,
    /// The batch that continued this one last: where the next subscriber will most likely go too.
    next: BatchId,
    /// Where the last user of this one went for whom a publication took another's place, and that one's address. This batch is one
    /// of its users, so it is there as long.
    conflated: BatchId,
    conflated_by: usize,
    joined: Vec<u8>,
}

/// The batches of a shard.
#[derive(Debug, Default)]
pub struct Batches {
    batches: slab::Slab<Batch>,
    /// The batch that continued the empty one last.
    first: BatchId,
    /// Batches that one more user has left, to be released with the next one.
    forgotten: Vec<BatchId>,
    /// How often bytes were joined: once per batch, not per delivery.
    joins: u64,
}

impl Batches {
    /// No batches.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many are alive.
    pub fn len(&self) -> usize {
        self.batches.len()
    }

    /// Whether none is alive.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Moves one user from `at` to the batch that continues it with `publication`.
    #[inline]
    pub fn advance(&mut self, at: BatchId, publication: &Publication) -> BatchId {
        let to = self.step(at, publication);
        self.of_mut(to).users += 1;
        if !at.is_empty() {
            // `to` refers to `at`, so this user is never its last.
            self.of_mut(at).users -= 1;
        }
        to
    }

    /// The batch that continues `at` with `publication`, which may have no user yet.
    #[inline]
    fn step(&mut self, at: BatchId, publication: &Publication) -> BatchId {
        let next = if at.is_empty() { self.first } else { self.of(at).next };
        if !next.is_empty() && self.of(next).publication.is(publication) {
            return next;
        }
        self.continue_with(at, publication)
    }

    /// Moves one user from `at` to the batch in which `publication` has taken the place of the one with its key; or to the one
    /// that continues `at` with it, where there is none. Says which, and how many bytes that batch has.
    pub fn conflate(
        &mut self,
        at: BatchId,
        publication: &Publication,
        pool: &mut Pool,
    ) -> (BatchId, bool, usize) {
        let (to, is_replaced) = match self.conflated(at, publication) {
            Some(to) => {
                self.of_mut(to).users += 1;
                self.release(at, pool);
                (to, true)
            }
            None => (self.advance(at, publication), false),
        };
        (to, is_replaced, self.of(to).bytes)
    }

    /// The batch that is `at` but for one publication, which `publication` replaces, if there is one with its key.
    fn conflated(&mut self, at: BatchId, publication: &Publication) -> Option<BatchId> {
        if at.is_empty() {
            return None;
        }
        let batch = self.of(at);
        if batch.conflated_by == publication.address() {
            return Some(batch.conflated);
        }
        if !batch.next.is_empty() && self.of(batch.next).publication.is(publication) {
            return None;
        }
        let from = self.backwards(at).position(|older| older.mark() == publication.mark())?;
        let mut later: Vec<_> = self.backwards(at).take(from).cloned().collect();
        let mut to = at;
        (0..=from).for_each(|_| to = self.of(to).before);
        to = self.step(to, publication);
        while let Some(next) = later.pop() {
            to = self.step(to, &next);
        }
        self.of_mut(to).users += 1;
        let batch = self.of_mut(at);
        batch.conflated_by = publication.address();
        let before = std::mem::replace(&mut batch.conflated, to);
        self.forgotten.push(before);
        Some(to)
    }

    fn continue_with(&mut self, at: BatchId, publication: &Publication) -> BatchId {
        let bytes = if at.is_empty() { 0 } else { self.of(at).bytes };
        let batch = Batch {
            before: at,
            publication: publication.clone(),
            bytes: bytes + publication.frame().len(),
            users: 0,
            next: BatchId::EMPTY,
            conflated: BatchId::EMPTY,
            conflated_by: 0,
            joined: Vec::new(),
        };
        let to = BatchId(self.batches.insert(batch) as u32 + 1);
        if at.is_empty() {
            self.first = to;
        } else {
            let before = self.of_mut(at);
            before.next = to;
            before.users += 1;
        }
        to
    }

    /// Takes one user away; the batch goes with its last, and so do those before it.
    pub fn release(&mut self, at: BatchId, pool: &mut Pool) {
        self.release_chain(at, pool);
        // Not by recursion: each of a thousand publications in a turn may have taken another's place.
        while let Some(at) = self.forgotten.pop() {
            self.release_chain(at, pool);
        }
    }

    #[inline]
    fn release_chain(&mut self, at: BatchId, pool: &mut Pool) {
        let mut at = at;
        while !at.is_empty() {
            let batch = self.of_mut(at);
            batch.users -= 1;
            if batch.users > 0 {
                return;
            }
            let batch = self.batches.remove(at.0 as usize - 1);
            pool.give(batch.joined);
            if !batch.conflated.is_empty() {
                self.forgotten.push(batch.conflated);
            }
            let next =
                if batch.before.is_empty() { &mut self.first } else { &mut self.of_mut(batch.before).next };
            if *next == at {
                *next = BatchId::EMPTY;
            }
            at = batch.before;
        }
    }

    /// The batch's bytes in one piece, or `None` where they are better sent in pieces.
    #[inline]
    pub fn joined(&mut self, at: BatchId, pool: &mut Pool) -> Option<&[u8]> {
        let batch = self.of(at);
        let is_single = batch.before.is_empty();
        if !is_single && batch.joined.is_empty() {
            if batch.bytes > JOINED_BYTES_MAX {
                return None;
            }
            self.join(at, pool);
        }
        let batch = self.of(at);
        Some(if is_single { batch.publication.frame() } else { &batch.joined })
    }

    fn join(&mut self, at: BatchId, pool: &mut Pool) {
        let bytes = self.of(at).bytes;
        let mut joined = pool.take(bytes);
        joined.resize(bytes, 0);
        let mut end = bytes;
        let mut step = at;
        while !step.is_empty() {
            let batch = self.of(step);
            let frame = batch.publication.frame();
            copy(&mut joined[end - frame.len()..end], frame);
            end -= frame.len();
            step = batch.before;
        }
        self.joins += 1;
        self.of_mut(at).joined = joined;
    }

    /// The batch's publications, the last one first.
    pub fn backwards(&self, at: BatchId) -> impl Iterator<Item = &Publication> + '_ {
        let mut step = at;
        std::iter::from_fn(move || {
            if step.is_empty() {
                return None;
            }
            let batch = self.of(step);
            step = batch.before;
            Some(&batch.publication)
        })
    }

    /// How often the bytes of a batch were joined.
    pub fn joins(&self) -> u64 {
        self.joins
    }

    #[inline]
    fn of(&self, at: BatchId) -> &Batch {
        &self.batches[at.0 as usize - 1]
    }

    #[inline]
    fn of_mut(&mut self, at: BatchId) -> &mut Batch {
        &mut self.batches[at.0 as usize - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::ws::Message;

    fn publication(text: &str) -> Publication {
        Publication::new("t", Message::Text(text), &mut Vec::new())
    }

    fn frames(publications: &[&Publication]) -> Vec<u8> {
        publications.iter().flat_map(|publication| publication.frame()).copied().collect()
    }

    #[test]
    fn users_with_the_same_publications_share_a_batch_and_its_bytes() {
        let (mut batches, mut pool) = (Batches::new(), Pool::new());
        let (a, b) = (publication("a"), publication("bb"));
        let mut users = [BatchId::EMPTY; 1000];
        for publication in [&a, &b] {
            users.iter_mut().for_each(|at| *at = batches.advance(*at, publication));
        }
        assert!(users.iter().all(|at| *at == users[0]));
        assert_eq!(batches.len(), 2);
        for at in users {
            assert_eq!(batches.joined(at, &mut pool).unwrap(), frames(&[&a, &b]));
            batches.release(at, &mut pool);
        }
        assert_eq!(batches.joins(), 1);
        assert!(batches.is_empty());
    }

    #[test]
    fn users_of_different_topics_part_and_the_order_is_kept() {
        let (mut batches, mut pool) = (Batches::new(), Pool::new());
        let (a, b, c) = (publication("a"), publication("b"), publication("c"));
        let at_a = batches.advance(BatchId::EMPTY, &a);
        let at_b = batches.advance(BatchId::EMPTY, &b);
        let at_ac = batches.advance(at_a, &c);
        let at_bc = batches.advance(at_b, &c);
        assert_eq!(batches.joined(at_ac, &mut pool).unwrap(), frames(&[&a, &c]));
        assert_eq!(batches.joined(at_bc, &mut pool).unwrap(), frames(&[&b, &c]));
        assert!(batches.backwards(at_bc).zip([&c, &b]).all(|(is, should)| is.is(should)));
        batches.release(at_ac, &mut pool);
        assert_eq!(batches.len(), 2);
        batches.release(at_bc, &mut pool);
        assert!(batches.is_empty());
        // Nothing remembers the ones that are gone.
        let again = batches.advance(BatchId::EMPTY, &b);
        assert_eq!(batches.joined(again, &mut pool).unwrap(), b.frame());
        batches.release(again, &mut pool);
    }

    #[test]
    fn a_publication_takes_the_place_of_the_one_with_its_key_for_everybody_at_once() {
        let (mut batches, mut pool) = (Batches::new(), Pool::new());
        let key = crate::base::slow::Mark::latest("", "key");
        let [a1, a2, a3] = ["a1", "a22", "a3"].map(|text| publication(text).marked(key));
        let (b, c) = (publication("b"), publication("c"));
        let mut users = [BatchId::EMPTY; 1000];
        let all = [&b, &a1, &c, &a2, &a3];
        for (publication, is_replacing) in all.into_iter().zip([false, false, false, true, true]) {
            for (n, at) in users.iter_mut().enumerate() {
                if std::ptr::eq(publication, &c) && n % 2 == 0 {
                    continue;
                }
                let (to, is_replaced, bytes) = if publication.mark() == key {
                    batches.conflate(*at, publication, &mut pool)
                } else {
                    let to = batches.advance(*at, publication);
                    (to, false, batches.of(to).bytes)
                };
                *at = to;
                assert_eq!(
                    (is_replaced, bytes),
                    (is_replacing, batches.backwards(to).map(|one| one.frame().len()).sum())
                );
            }
        }
        for (n, at) in users.into_iter().enumerate() {
            let expected = if n % 2 == 0 { frames(&[&b, &a3]) } else { frames(&[&b, &a3, &c]) };
            assert_eq!(batches.joined(at, &mut pool).unwrap(), expected);
            batches.release(at, &mut pool);
        }
        assert_eq!(batches.joins(), 2, "the two kinds of users stay together");
        assert!(batches.is_empty(), "{}", batches.len());
    }

    #[test]
    fn a_long_batch_is_not_joined() {
        let (mut batches, mut pool) = (Batches::new(), Pool::new());
        let large = publication(&"x".repeat(40 << 10));
        let one = batches.advance(BatchId::EMPTY, &large);
        assert_eq!(batches.joined(one, &mut pool).unwrap(), large.frame());
        let two = batches.advance(one, &publication(&"y".repeat(40 << 10)));
        assert!(batches.joined(two, &mut pool).is_none());
        batches.release(two, &mut pool);
        assert!(batches.is_empty());
    }
}

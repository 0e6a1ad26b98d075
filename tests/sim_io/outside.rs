//! What others do: middleware that decides at last, words to rooms from another thread, connections that take up room.

use throng::io::Admit;

use super::app::{Data, publish};
use super::net::End;
use super::rows::Row;
use super::wire::Wire;
use super::words::{HANDLE, LATER, NOW, ROOMS, SPACES, UNDECIDED, filler, room};
use super::world::World;

impl World {
    /// One thing that happens outside of the shards.
    pub(super) fn outside(&mut self) {
        match self.random.below(10) {
            0..=5 => self.decide(),
            6..=8 => self.publish_from_outside(),
            _ => self.throng(),
        }
        self.wake();
    }

    /// Middleware says its word about one of those that wait.
    pub(super) fn decide(&mut self) {
        let mut ledger = self.ledger.borrow_mut();
        if ledger.tokens.is_empty() {
            return;
        }
        let at = self.random.below(ledger.tokens.len());
        // The first few of some are never decided on.
        if ledger.tokens[at].uid.is_multiple_of(UNDECIDED) {
            return ledger.count(Row::DeferredForever);
        }
        let token = ledger.tokens.swap_remove(at);
        let uid = token.uid;
        if ledger.of(uid).over.is_some() {
            ledger.count(Row::DecidedBehindEnd);
        }
        let (row, is_admitted) = match self.random.below(10) {
            0..=5 => (Row::DeferredAccepted, true),
            6 | 7 => (Row::DeferredRefused, false),
            _ => (Row::DeferredDropped, false),
        };
        ledger.count(row);
        ledger.life(uid, LATER, token.life).is_admitted = Some(is_admitted);
        drop(ledger);
        match row {
            Row::DeferredAccepted => {
                token.pending.answer(Admit::accept(Data { uid, space: LATER, life: token.life }));
            }
            Row::DeferredRefused => token.pending.answer(Admit::refuse("not this time")),
            _ => drop(token.pending),
        }
    }

    /// Another thread speaks to a room.
    pub(super) fn publish_from_outside(&mut self) {
        let space = self.random.pick(&[NOW, NOW, LATER]);
        let number = self.random.below(ROOMS as usize) as u32;
        let (bytes, handle) = (self.random.within(0, 300), self.handle.clone());
        let place = (HANDLE, space, number);
        publish(&mut self.ledger.borrow_mut(), place, false, |count, _| {
            let words = (HANDLE, number, count, filler(count, bytes));
            handle.of(SPACES[space]).to(room(number)).emit("b", words)
        });
    }

    /// Connections that say nothing fill a shard, for as long as it lets them, or go.
    fn throng(&mut self) {
        let net = &mut *self.net.borrow_mut();
        if self.crowd.is_empty() {
            let listener = self.random.below(self.shards.len());
            let (random, uid) = (&mut self.random, u32::MAX);
            let all = (0..self.capacity + 2).map(|_| Wire::connect(net, random, uid, listener));
            self.crowd = all.collect();
        } else {
            self.crowd.drain(..).for_each(|wire| wire.end(net, End::Closed));
        }
    }
}

//! What has happened, as the service knows it: the truth that peers and the end of a run are checked against.

use std::collections::BTreeMap;

use throng::ConnId;
use throng::base::cause::{Cause, CloseReason};
use throng::core::service::Ticket;

/// A connection's life, by the uid its peer chose.
#[derive(Default)]
pub struct Life {
    pub id: Option<ConnId>,
    pub opened: u32,
    pub closed: u32,
    pub reason: Option<CloseReason>,
    /// Messages numbered for it that the core took.
    pub said: u32,
    /// Messages heard from it.
    pub heard: u32,
    /// A message in parts has been begun to it and is not finished.
    pub is_streamed_to: bool,
    /// It was told `Pressured` and not yet that it is drained.
    pub is_pressured: bool,
    /// Its topics, with the moment it joined.
    pub topics: BTreeMap<u32, u64>,
}

impl Life {
    pub fn is_open(&self) -> bool {
        self.opened > 0 && self.closed == 0
    }
}

/// One publish.
pub struct Published {
    pub at: u64,
    /// Nothing was dropped on the way to other shards.
    pub is_everywhere: bool,
    pub except: Option<u32>,
}

/// What became of an answer that was owed.
pub struct Owed {
    pub shard: usize,
    pub ticket: Ticket,
    pub uid: u32,
    pub is_answered: bool,
    pub is_gone: bool,
}

#[derive(Default)]
pub struct Ledger {
    pub lives: Vec<Life>,
    /// By publisher (0: the handle) and topic, by number from 1.
    pub published: BTreeMap<(u32, u32), Vec<Published>>,
    /// By sender and receiver, by number from 1: whether it was taken.
    pub letters: BTreeMap<(u32, u32), Vec<bool>>,
    pub owed: Vec<Owed>,
    pub clock: u64,
    pub violations: Vec<String>,
    pub planned_panics: u64,
    pub stale_letters: u64,
    pub messages: u64,
    pub is_stopping: bool,
    /// Nobody is late any more from before the peers did what they must.
    pub is_orderly: bool,
    /// From here on peers do what they must at once: (when, until when old sins may still be punished).
    pub good_since_us: Option<u64>,
}

impl Ledger {
    pub fn violation(&mut self, what: String) {
        self.violations.push(what);
    }

    pub fn life(&mut self, uid: u32) -> &mut Life {
        while self.lives.len() <= uid as usize {
            self.lives.push(Life::default());
        }
        &mut self.lives[uid as usize]
    }

    pub fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub fn opened(&mut self, uid: u32, id: ConnId) {
        let life = self.life(uid);
        life.opened += 1;
        life.id = Some(id);
        if life.opened != 1 {
            self.violation(format!("connection {uid} was opened twice"));
        }
    }

    pub fn closed(&mut self, uid: u32, reason: CloseReason) {
        let life = self.life(uid);
        life.closed += 1;
        life.reason = Some(reason);
        life.topics.clear();
        if (life.opened, life.closed) != (1, 1) {
            let (opened, closed) = (life.opened, life.closed);
            self.violation(format!("connection {uid}: opened {opened}, closed {closed} times"));
        }
        if self.good_since_us.is_some()
            && matches!(reason.cause, Cause::PongTimeout | Cause::Stalled | Cause::MessageTimeout)
        {
            self.violation(format!("connection {uid} did all it must and was closed: {reason}"));
        }
    }

    /// Whether `except` or a drop explains that `uid` did not get a publication.
    pub fn may_lack(&self, from: u32, topic: u32, number: u32, uid: u32) -> bool {
        let published = self.published.get(&(from, topic)).and_then(|all| all.get(number as usize - 1));
        published.is_none_or(|one| !one.is_everywhere || one.except == Some(uid))
    }

    pub fn owe(&mut self, shard: usize, ticket: Ticket, uid: u32) {
        self.owed.push(Owed { shard, ticket, uid, is_answered: false, is_gone: false });
    }

    pub fn settle_owed(&mut self, shard: usize, ticket: Ticket, is_answered: bool) {
        let Some(owed) = self.owed.iter_mut().find(|owed| (owed.shard, owed.ticket) == (shard, ticket))
        else {
            return self.violation(format!("shard {shard}: a ticket nobody was given: {ticket:?}"));
        };
        let was = (owed.is_answered, owed.is_gone);
        if is_answered {
            owed.is_answered = true
        } else {
            owed.is_gone = true
        }
        if was != (false, false) {
            let uid = owed.uid;
            self.violation(format!("connection {uid}: an answer was given or given up twice"));
        }
    }
}

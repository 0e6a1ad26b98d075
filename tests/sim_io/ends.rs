//! How a run ends, and what must be true at every step, when all is quiet, and when all is over.

use std::time::Duration;

use throng::io::IoAudit;

use super::client::{Client, Cx, Phase, Standing};
use super::ledger::{Ledger, Life, Published};
use super::net::End;
use super::rows::Row;
use super::upgrade::Stage;
use super::words::LATER;
use super::world::World;

/// Rounds without the clock moving after which something spins.
const ROUNDS_MAX: usize = 3000;

impl World {
    /// After every step: nothing has gone wrong, and nobody sleeps who must not.
    pub(super) fn check(&mut self) -> Result<(), String> {
        self.wake();
        let net = self.net.borrow();
        let first = net.violations.first().cloned();
        if let Some(first) = first.or_else(|| self.ledger.borrow().violations.first().cloned()) {
            return Err(first);
        }
        for (shard, running) in self.shards.iter().enumerate() {
            let poll = &net.polls[shard];
            let sleeps = poll.asleep_until.is_some() && !poll.is_woken;
            if sleeps && running.as_ref().is_some_and(|running| running.has_mail()) {
                return Err(format!("shard {shard} sleeps, has mail, and nobody wakes it"));
            }
        }
        Ok(())
    }

    /// Lets everything happen that can, for `limit_us` of the simulated time: clients do what they must, at once.
    fn settle(&mut self, limit_us: u64) -> Result<(), String> {
        let end_us = self.net.borrow().now_us + limit_us;
        let mut rounds = 0;
        loop {
            let mut has_done = false;
            for shard in 0..self.shards.len() {
                has_done |= self.turn(shard)?;
            }
            for at in 0..self.clients.len() {
                let mut cx = Cx {
                    net: &mut self.net.borrow_mut(),
                    ledger: &mut self.ledger.borrow_mut(),
                    times: self.times,
                };
                has_done |= self.clients[at].act_well(&mut cx);
            }
            let sockets = self.net.borrow().sockets.len();
            (0..sockets).for_each(|socket| self.net.borrow_mut().unstick(socket));
            self.check()?;
            rounds += 1;
            if rounds > ROUNDS_MAX {
                return Err("it is never quiet: something spins".into());
            }
            if has_done {
                continue;
            }
            if self.is_orderly {
                self.check_instant()?;
            }
            let net = &mut *self.net.borrow_mut();
            let running = self.shards.iter().zip(&net.polls).filter(|one| one.0.is_some());
            let next = running.filter_map(|(_, poll)| poll.asleep_until);
            let rests = self.clients.iter().filter(|client| client.phase != Phase::Over && !client.is_mute);
            let rests = rests.map(|client| client.rests_until_us).filter(|&until_us| until_us > net.now_us);
            let next = next.chain(rests).min();
            match next {
                Some(next) if next < end_us => {
                    rounds = if next > net.now_us { 0 } else { rounds };
                    net.now_us = net.now_us.max(next);
                }
                _ => {
                    net.now_us = net.now_us.max(end_us);
                    return Ok(());
                }
            }
        }
    }

    fn longest_us(&self) -> u64 {
        let (config, io) = (&self.config, &self.io);
        let all = config.head_timeout
            + config.close_timeout
            + config.pong_timeout
            + config.ping_interval * 2
            + io.ping_interval * 2
            + io.ping_timeout
            + io.upgrade_timeout
            + io.connect_timeout;
        // Who takes nothing of what is queued for it is not found silent: it is found to be stalled.
        let is_stalled = self.clients.iter().any(|client| client.is_mute && client.ws.is_some());
        let stall = if is_stalled { config.stall_timeout } else { Duration::ZERO };
        (all + stall).as_micros() as u64 + 300_000
    }

    /// Nothing can happen before the clock moves: what has been said has come.
    fn check_instant(&mut self) -> Result<(), String> {
        // What a shard keeps for another one whose mailbox was full is on its way.
        if self.shards.iter_mut().flatten().any(|running| running.audit().0.spilled > 0) {
            return Ok(());
        }
        let ledger = &mut *self.ledger.borrow_mut();
        let net = &*self.net.borrow();
        let now_us = net.now_us;
        let rests = |client: &&Client| client.rests_until_us > now_us;
        for client in self.clients.iter().filter(|client| client.is_alive() && !rests(client)) {
            let known = ledger.of(client.uid);
            let due = known.due.front().copied();
            let lacks = if client.is_paused && client.is_held(net) {
                Some("wants to move, and its poll is not ended".to_owned())
            } else if client.is_on_ws && client.is_held(net) {
                Some("has moved, and its last poll is not ended".to_owned())
            } else if self.times.good_since_us.is_none() {
                // Those who are gone and are not found so yet may take up the room that its requests need.
                None
            } else if client.is_posting_now() {
                Some("waits for the answer to its POST".to_owned())
            } else if due.is_some() && !client.may_lack {
                Some(format!("waits for {due:?}"))
            } else if known.heard < client.said
                && !client.is_silenced
                && !(known.heard + 1..=client.said).all(|number| known.doubtful.contains(&number))
                && known.over.is_none()
            {
                Some(format!("has said {} and was heard up to {}", client.said, known.heard))
            } else if client.ws.as_ref().is_some_and(|ws| ws.stage == Stage::Probing) {
                Some("waits for the answer to its probe".to_owned())
            } else if client.is_on_ws || client.is_polling_now() {
                lacks_word(ledger, client)
            } else {
                None
            };
            if let Some(lacks) = lacks {
                return Err(format!("client {}: {lacks}, and all is quiet", client.uid));
            }
        }
        Ok(())
    }

    /// Faults cease, clients behave, and everything that was owed comes.
    pub(super) fn settle_down(&mut self) -> Result<(), String> {
        self.is_orderly = true;
        self.net.borrow_mut().faults.cease();
        self.crowd.drain(..).for_each(|wire| wire.end(&mut self.net.borrow_mut(), End::Closed));
        // Whoever sinned by slowness before is punished within this time.
        let longest_us = self.longest_us();
        let (now_us, times) = (self.net.borrow().now_us, self.times);
        for client in &self.clients {
            // A ping that is due now is sent now, at the latest.
            let to_us = now_us + times.ping_interval_us + times.ping_timeout_us + 10_000;
            // Not so of one that takes nothing either: while much is queued for it, it is not read and not found silent.
            let is_silent = if client.is_mute { client.ws.is_none() } else { client.is_shy };
            self.ledger.borrow_mut().of(client.uid).timeout_to_us = is_silent.then_some(to_us);
        }
        self.settle(longest_us)?;
        let now_us = self.net.borrow().now_us;
        self.times.good_since_us = Some(now_us);
        for _ in 0..5 {
            self.publish_from_outside();
            self.settle(1000)?;
        }
        self.settle(longest_us)?;
        // Whoever was let in a moment ago has yet to be greeted.
        for _ in 0..5 {
            if self.shards.iter_mut().flatten().any(|running| running.audit().1.greetings > 0) {
                self.settle(20_000)?;
            }
        }
        self.check_quiet()
    }

    /// What is left is what the clients know of.
    fn check_quiet(&mut self) -> Result<(), String> {
        let now_us = self.net.borrow().now_us;
        let mut sum = IoAudit::default();
        for (shard, running) in self.shards.iter_mut().enumerate() {
            let Some(running) = running else { continue };
            let (audit, io) = running.audit();
            if audit.unfinished + audit.mails + audit.spilled + audit.batches > 0 {
                return Err(format!("shard {shard} is quiet and has not finished: {audit:?}"));
            }
            sum.sessions += io.sessions;
            sum.sockets += io.sockets;
            sum.data += io.data;
            sum.held += io.held;
            sum.greetings += io.greetings;
            sum.gathers += io.gathers;
            sum.waiting += io.waiting;
        }
        let is_mute =
            |uid: u32| self.clients.get((uid as usize).wrapping_sub(1)).is_some_and(|one| one.is_mute);
        let net = &mut *self.net.borrow_mut();
        let excused: Vec<_> = net.sockets.iter().map(|one| is_mute(one.uid)).collect();
        net.check_sockets(|socket| excused[socket]);
        if let Some(first) = net.violations.first() {
            return Err(first.clone());
        }
        let ledger = self.ledger.borrow();
        if let Some(overdue) = ledger.overdue(now_us) {
            return Err(overdue);
        }
        let alive = || self.clients.iter().filter(|client| client.phase == Phase::Open && !client.is_mute);
        let is_open = |life: &&Life| life.is_connected && life.ended.is_none();
        let lives = |client: &Client| ledger.clients[client.uid as usize].lives.iter().flatten();
        let sockets = alive().flat_map(lives).filter(is_open).count();
        let polls = alive().filter(|client| client.is_polling_now()).count();
        let mut known = sum;
        (known.sessions, known.sockets, known.data, known.held) = (alive().count(), sockets, sockets, polls);
        if sum != known || sum.greetings + sum.gathers > 0 {
            return Err(format!("the shards have {sum:?}, and the clients know of {known:?}"));
        }
        // A session that ends takes with it those that wait.
        let is_here = |uid: u32| alive().any(|client| client.uid == uid);
        let waiting = ledger.tokens.iter().filter(|token| is_here(token.uid)).count();
        // Each counts as one that waits, and as one that was asked for.
        if sum.waiting != 2 * waiting {
            return Err(format!("{} wait, and {waiting} tokens of those who are here are out", sum.waiting));
        }
        for client in alive() {
            if client.is_shy || client.is_closing {
                return Err(format!("client {} has not been given up", client.uid));
            }
            let known = client.spaces.iter().filter(|space| space.0 == Standing::In).count();
            let open = lives(client).filter(is_open).count();
            let is_sure = client.spaces.iter().all(|space| space.0 != Standing::Unknown);
            if known != open && is_sure && !client.may_lack {
                return Err(format!(
                    "client {} is in {known} namespaces, and has {open} sockets",
                    client.uid
                ));
            }
            let silent_us = now_us - client.last_ping_us;
            if silent_us > self.times.ping_interval_us + 10_000 {
                return Err(format!("client {} has not been pinged for {silent_us} us", client.uid));
            }
            if let Some(lacks) = lacks_word(&ledger, client) {
                return Err(format!("client {} {lacks}", client.uid));
            }
        }
        if ledger.gathers.iter().any(|&times| times != 1) {
            return Err("answers of many were not told exactly once".into());
        }
        Ok(())
    }

    /// Every client goes its way, and nothing is left.
    pub(super) fn all_leave(&mut self) -> Result<(), String> {
        // Nobody decides any more, and those who waited hear so before they go.
        let tokens = std::mem::take(&mut self.ledger.borrow_mut().tokens);
        for token in tokens {
            self.ledger.borrow_mut().life(token.uid, LATER, token.life).is_admitted = Some(false);
            drop(token);
        }
        self.settle(5000)?;
        self.is_orderly = false;
        for client in self.clients.iter_mut().filter(|client| client.phase == Phase::Open) {
            let mut cx = Cx {
                net: &mut self.net.borrow_mut(),
                ledger: &mut self.ledger.borrow_mut(),
                times: self.times,
            };
            for _ in 0..30 {
                client.end(&mut cx);
            }
            client.is_mute = true;
        }
        self.times.good_since_us = None;
        let silent = self.config.silent_timeout * 2 + self.config.stall_timeout * 2;
        let longest_us = self.longest_us() * 2 + silent.as_micros() as u64;
        self.settle(longest_us)
    }

    /// The server stops: every shard ends within its grace.
    pub(super) fn stop(&mut self) -> Result<(), String> {
        (self.times.good_since_us, self.is_orderly) = (None, false);
        for client in &self.clients {
            let ledger = &mut *self.ledger.borrow_mut();
            if client.is_polling_now() {
                ledger.count(Row::StopWithPoll);
            }
            if !client.is_on_ws && client.ws.as_ref().is_some_and(|ws| ws.stage > Stage::Asked) {
                ledger.count(Row::StopDuringProbe);
            }
        }
        self.ledger.borrow_mut().is_stopping = true;
        let began_us = self.net.borrow().now_us;
        let is_drained = self.random.chance(500);
        let grace_ms = if is_drained {
            self.config.grace().as_millis() as u64
        } else {
            self.random.within(5, 60) as u64
        };
        if is_drained {
            self.ledger.borrow_mut().count(Row::Drained);
            self.handle.drain();
        } else {
            self.handle.stop(Duration::from_millis(grace_ms));
        }
        self.settle(5_000_000)?;
        if let Some(late) = self.shards.iter().position(Option::is_some) {
            return Err(format!("shard {late} has not ended five seconds after it was stopped"));
        }
        let took_ms = self.ended_us.saturating_sub(began_us) / 1000;
        // A slow turn has up to 3 ms, and faults go on.
        if took_ms > grace_ms + 20 {
            return Err(format!(
                "the last shard ended {took_ms} ms after the stop, and its grace was {grace_ms} ms"
            ));
        }
        Ok(())
    }

    /// All clients are gone or the server has stopped: nothing is left.
    pub(super) fn check_empty(&mut self) -> Result<(), String> {
        for (shard, running) in self.shards.iter_mut().enumerate() {
            let Some(running) = running else { continue };
            let (audit, io) = running.audit();
            let left = audit.connections + audit.streams + audit.batches + audit.topics + audit.timers;
            if left + audit.unfinished + audit.mails + audit.spilled > 0 || !io.is_empty() {
                return Err(format!("shard {shard}: all are gone and this is left: {audit:?}, {io:?}"));
            }
        }
        if self.handle.count() != 0 {
            return Err(format!("the census counts {}", self.handle.count()));
        }
        let ledger = self.ledger.borrow();
        for (uid, known) in ledger.clients.iter().enumerate() {
            let unended = known.lives.iter().flatten().find(|life| life.is_connected && life.ended.is_none());
            if let Some(life) = unended {
                return Err(format!("client {uid}: its socket never ended: {life:?}"));
            }
        }
        if let Some(open) = ledger.overdue(u64::MAX) {
            return Err(open);
        }
        Ok(())
    }
}

/// What a client that is alive has not heard of its rooms.
fn lacks_word(ledger: &Ledger, client: &Client) -> Option<String> {
    let known = ledger.clients.get(client.uid as usize)?;
    for (&place, published) in &ledger.published {
        let (from, space, room) = place;
        let Some(&since) = known.rooms.get(&(space, room)) else { continue };
        let is_due =
            |one: &Published| one.at > since && one.is_everywhere && !(one.is_spared && from == client.uid);
        let last = published.iter().rposition(is_due).map_or(0, |last| last as u32 + 1);
        let heard = client.heard.get(&place).map_or(0, |one| one.0);
        if last > heard && !client.may_lack {
            return Some(format!("is in room {room} and lacks {from}'s {last}, has {heard}"));
        }
    }
    None
}

//! How a run ends, and what must be true at every step, when all is quiet, and when all is over.

use throng::base::cause::Cause;
use throng::core::mail::Mail;
use throng::{Config, WhenFull};

use super::faults::Fault;
use super::net::{End, Net};
use super::world::World;

/// Rounds without the clock moving after which something spins.
const ROUNDS_MAX: usize = 3000;

impl World {
    /// After every step: nothing has gone wrong, and nobody sleeps who must not.
    pub(super) fn check(&mut self) -> Result<(), String> {
        let first = self.net.borrow().violations.first().cloned();
        let first = first.or_else(|| self.ledger.borrow().violations.first().cloned());
        if let Some(first) = first {
            return Err(first);
        }
        for (shard, running) in self.shards.iter().enumerate() {
            let poll = &self.net.borrow().polls[shard];
            let Some(running) = running.as_ref().filter(|_| poll.asleep_until.is_some() && !poll.is_woken)
            else {
                continue;
            };
            if running.has_mail() {
                return Err(format!("shard {shard} sleeps, has mail, and nobody wakes it"));
            }
        }
        self.check_pace()
    }

    /// After a shard's turn: no queue is above its limit.
    pub(super) fn check_limits(&mut self, shard: usize) -> Result<(), String> {
        let Some(running) = &self.shards[shard] else { return Ok(()) };
        let audit = running.audit();
        let config = &self.config;
        // One message always fits; so does what one read brings in answers, as far as the cork copies them and as far as it
        // only points at what was read; control frames and a response come on top.
        let cork = config.read_bytes_per_turn * 9 / 4 + 10_000;
        let most = config.outbox_bytes_max.max(cork) + 4000;
        if audit.queued_bytes_max > most {
            return Err(format!(
                "shard {shard}: {} bytes are queued, {most} is the limit",
                audit.queued_bytes_max
            ));
        }
        let (counted, found) = audit.incomplete;
        if counted != found || counted > config.incomplete_bytes_max {
            let most = config.incomplete_bytes_max;
            return Err(format!(
                "shard {shard}: {counted} incomplete bytes are counted, {found} there, {most} allowed"
            ));
        }
        if audit.fullest_spill_bytes > config.mailbox_bytes_max.max(10_000) {
            return Err(format!("shard {shard}: {} bytes are spilled", audit.fullest_spill_bytes));
        }
        let handshakes = self.census.handshakes();
        if config.handshakes_max > 0 && handshakes > config.handshakes_max {
            return Err(format!(
                "{handshakes} have not asked yet, and {} is the limit",
                config.handshakes_max
            ));
        }
        if audit.connections > self.capacity || audit.streams > audit.connections {
            return Err(format!("shard {shard}: {audit:?}"));
        }
        Ok(())
    }

    /// Lets everything happen that can, for `limit_us` of the simulated time: peers do what they must, at once.
    pub(super) fn settle(&mut self, limit_us: u64) -> Result<(), String> {
        let end_us = self.net.borrow().now_us + limit_us;
        let mut rounds = 0;
        loop {
            let mut has_done = false;
            for shard in 0..self.shards.len() {
                has_done |= self.turn(shard)?;
            }
            for peer in &mut self.peers {
                let (net, ledger) = (&mut *self.net.borrow_mut(), &mut *self.ledger.borrow_mut());
                net.unstick(peer.socket);
                has_done |= peer.act_well(net, ledger);
            }
            self.check()?;
            self.stand_still();
            rounds += 1;
            if rounds > ROUNDS_MAX {
                let net = self.net.borrow();
                let shards = self.shards.iter().zip(&net.polls);
                let awake =
                    shards.filter_map(|(running, poll)| Some((poll.asleep_until, running.as_ref()?.audit())));
                return Err(format!("it is never quiet: something spins: {:?}", awake.collect::<Vec<_>>()));
            }
            if has_done {
                continue;
            }
            let net = &mut *self.net.borrow_mut();
            let is_idle =
                self.shards.iter().flatten().map(|running| running.audit()).all(|audit| audit.spilled == 0);
            if is_idle {
                // An answer on its way would be a reason not to read on; none is.
                let mut may_be_paused = vec![false; net.sockets.len()];
                let lives = &self.ledger.borrow().lives;
                for peer in &self.peers {
                    // What is held back behind a streamed message counts as queued until that is finished; a peer that has
                    // reset may have thrown away the part that says so.
                    may_be_paused[peer.socket] =
                        peer.is_mute || lives.get(peer.uid as usize).is_some_and(|life| life.is_streamed_to);
                }
                net.check_sockets(|socket| may_be_paused[socket]);
            }
            let running = self.shards.iter().zip(&net.polls).filter(|one| one.0.is_some());
            let next = running.filter_map(|(_, poll)| poll.asleep_until).min();
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

    /// Once everybody does all it must, the host stands still from time to time: the ledger knows whom that may not end.
    fn stand_still(&mut self) {
        if self.ledger.borrow().good_since_us.is_some() && self.random.chance(20) {
            let net = &mut *self.net.borrow_mut();
            net.faults.count(Fault::Standstill, 1);
            net.now_us += self.random.within(2, 60) as u64 * 1_000_000;
        }
    }

    fn longest_us(&self) -> u64 {
        let config = &self.config;
        let all = config.head_timeout
            + config.admit_timeout
            + config.close_timeout
            + config.stall_timeout
            + config.pong_timeout
            + config.ping_interval * 2
            + config.silent_timeout * 2;
        all.as_micros() as u64 + 200_000
    }

    /// Faults cease, peers behave, and everything that was owed comes.
    pub(super) fn settle_down(&mut self) -> Result<(), String> {
        self.net.borrow_mut().faults.cease();
        // Whoever sinned by slowness before is punished within this time.
        let longest_us = self.longest_us();
        self.settle(longest_us)?;
        let now_us = self.net.borrow().now_us;
        self.ledger.borrow_mut().good_since_us = Some(now_us);
        self.ledger.borrow_mut().is_orderly = true;
        for _ in 0..5 {
            self.publish_from_outside();
            self.settle(1000)?;
        }
        self.settle(150_000)?;
        self.check_quiet()
    }

    fn check_quiet(&mut self) -> Result<(), String> {
        for (shard, running) in self.shards.iter().enumerate() {
            let Some(running) = running else { continue };
            let audit = running.audit();
            if audit.unfinished + audit.mails + audit.spilled + audit.batches > 0 {
                return Err(format!("shard {shard} is quiet and has not finished: {audit:?}"));
            }
        }
        let (net, ledger) = (&mut *self.net.borrow_mut(), &mut *self.ledger.borrow_mut());
        let is_full = self.census.is_full()
            || self.shards.iter().flatten().any(|running| running.audit().connections >= self.capacity);
        let may_wait = is_full && self.config.when_full == WhenFull::Wait;
        net.check_quiet(may_wait);
        for peer in self.peers.iter_mut().filter(|peer| !peer.is_mute && !net.is_waiting(peer.socket)) {
            peer.check_quiet(net, ledger);
        }
        if let Some(owed) = ledger.owed.iter().find(|owed| !owed.is_answered && !owed.is_gone) {
            return Err(format!("connection {}: an answer is neither given nor given up", owed.uid));
        }
        net.violations.first().or_else(|| ledger.violations.first()).cloned().map_or(Ok(()), Err)
    }

    /// Every peer goes its way, and nothing is left.
    pub(super) fn all_leave(&mut self) -> Result<(), String> {
        self.ledger.borrow_mut().good_since_us = None;
        for peer in &mut self.peers {
            let net = &mut *self.net.borrow_mut();
            for _ in 0..100 {
                let is_over = net.sockets[peer.socket].client != End::Open || peer.is_mute;
                if is_over || peer.phase >= super::peer::Phase::Closing {
                    break;
                }
                peer.end(net);
            }
            // Each of the ways is taken by chance; whoever took none of them ends here.
            if net.sockets[peer.socket].client == End::Open
                && !peer.is_mute
                && peer.phase < super::peer::Phase::Closing
            {
                net.client_end(peer.socket, End::Finished);
            }
        }
        let longest_us = self.longest_us() * 2;
        self.settle(longest_us)
    }

    /// The server stops: every shard ends within its grace.
    pub(super) fn stop(&mut self) -> Result<(), String> {
        self.ledger.borrow_mut().is_stopping = true;
        self.ledger.borrow_mut().good_since_us = None;
        self.net.borrow_mut().faults.count(Fault::Stop, 1);
        // Some have something under way when it comes.
        for peer in &mut self.peers {
            let net = &mut *self.net.borrow_mut();
            peer.is_mute |= self.random.chance(200);
            peer.next_command(net);
            let bytes = std::mem::take(&mut peer.out);
            let n = net.client_send(peer.socket, &bytes);
            peer.out = bytes[n..].to_vec();
        }
        for shard in 0..self.shards.len() {
            self.turn(shard)?;
        }
        let grace_ms = self.random.within(5, 60) as u32;
        let began_us = self.net.borrow().now_us;
        for shard in 0..self.shards.len() {
            while !self.put(&mut self.net.borrow_mut(), shard, Mail::Stop { grace_ms }) {
                self.turn(shard)?;
            }
        }
        self.settle(2_000_000)?;
        if let Some(late) = self.shards.iter().position(Option::is_some) {
            return Err(format!("shard {late} has not ended two seconds after it was stopped"));
        }
        let took_ms = self.ended_us.saturating_sub(began_us) / 1000;
        if took_ms > u64::from(grace_ms) + 5 {
            return Err(format!(
                "the last shard ended {took_ms} ms after the stop, and its grace was {grace_ms} ms"
            ));
        }
        Ok(())
    }

    /// All peers are gone or the server has stopped: nothing is left.
    pub(super) fn check_empty(&mut self) -> Result<(), String> {
        for (shard, running) in self.shards.iter().enumerate() {
            if let Some(running) = running {
                let audit = running.audit();
                let left = audit.handshakes
                    + audit.connections
                    + audit.streams
                    + audit.batches
                    + audit.topics
                    + audit.timers;
                if left + audit.unfinished + audit.mails + audit.spilled > 0 {
                    return Err(format!("shard {shard}: all are gone and this is left: {audit:?}"));
                }
                let slots = (0..).take_while(|_| self.outlets[shard].reserve(0)).count();
                if slots != self.config.mailbox_slots {
                    return Err(format!(
                        "shard {shard}: its mailbox has {slots} slots left of {}",
                        self.config.mailbox_slots
                    ));
                }
            }
            let counted = |name| self.counters[shard].each().find(|one| one.0 == name).map_or(0, |one| one.1);
            if counted("connections_opened") != counted("connections_closed") {
                return Err(format!("shard {shard}: not as many connections closed as opened"));
            }
        }
        let (net, ledger) = (self.net.borrow(), self.ledger.borrow());
        let has_stopped = ledger.is_stopping;
        for (uid, life) in ledger.lives.iter().enumerate() {
            if life.opened != life.closed {
                return Err(format!(
                    "connection {uid}: opened {} times, closed {} times",
                    life.opened, life.closed
                ));
            }
        }
        if let Some(owed) = ledger.owed.iter().find(|owed| !owed.is_answered && !owed.is_gone) {
            return Err(format!("connection {}: an answer is neither given nor given up", owed.uid));
        }
        // With the server, mail under way ends, and streams in it are closed by being dropped.
        if let Some(left) = net.sockets.iter().find(|one| one.server < End::Closed && !has_stopped) {
            return Err(format!("connection {}: the server still holds it", left.uid));
        }
        if net.sockets.iter().any(|one| one.watch.is_some())
            || (!has_stopped && net.fds.iter().sum::<usize>() > 0)
        {
            return Err(format!("fds are left open: {:?}", net.fds));
        }
        let (blocks, handshakes) = (self.census.crowd.blocks(), self.census.handshakes());
        if blocks + handshakes != 0 {
            return Err(format!("all are gone: {blocks} addresses and {handshakes} handshakes are counted"));
        }
        if self.census.total() != 0 {
            return Err(format!("the census counts {}", self.census.total()));
        }
        Ok(())
    }
}

impl Net {
    /// Whether it is in a listener's queue.
    pub fn is_waiting(&self, socket: usize) -> bool {
        self.backlogs.iter().any(|backlog| backlog.queue.contains(&socket))
    }

    /// A connection was closed for silence: it must have been silent for as long as the limit says.
    pub fn check_end(&mut self, uid: u32, cause: Cause, config: &Config) {
        let Some(one) = self.sockets.iter().find(|one| one.uid == uid) else { return };
        let limit = match cause {
            Cause::PongTimeout => config.pong_timeout,
            Cause::SilentTimeout => config.silent_timeout,
            _ => return,
        };
        // The decision may be older than the last read, so any silence that was long enough explains it.
        let passed_us = one.silence_us.max(self.now_us - one.read_at_us);
        if u128::from(passed_us) < limit.as_micros() {
            self.violation(format!("connection {uid}: {} after {passed_us} us of {limit:?}", cause.name()));
        }
    }

    /// What must be true of every socket once nothing can happen any more.
    pub fn check_quiet(&mut self, may_wait: bool) {
        for backlog in 0..self.backlogs.len() {
            let waiting = self.backlogs[backlog].queue.len();
            self.faults.count(Fault::Waits, if may_wait { waiting as u64 } else { 0 });
            if waiting > 0 && !may_wait {
                self.violation(format!("listener {backlog} has {waiting} in its queue and nobody accepts"));
            }
        }
        self.check_sockets(|_| false);
    }
}

//! The server drains: nobody is told to go before the pace allows it, whoever is told gets first what was said to it, and
//! every shard ends within the grace.

use throng::Config;
use throng::base::cause::Cause;
use throng::core::mail::Mail;

use super::faults::Fault;
use super::ledger::Life;
use super::peer::{Kind, Peer, Phase};
use super::world::World;

/// What a drain under way is held against.
#[derive(Clone, Copy)]
pub struct Drain {
    began_us: u64,
    /// Connections that a shard may have closed per second.
    per_second: u64,
    delay_us: u64,
}

impl World {
    pub(super) fn drain(&mut self) -> Result<(), String> {
        self.ledger.borrow_mut().is_stopping = true;
        self.ledger.borrow_mut().good_since_us = None;
        self.net.borrow_mut().faults.count(Fault::Drain, 1);
        for peer in &mut self.peers {
            let net = &mut *self.net.borrow_mut();
            peer.is_mute |= self.random.chance(100);
            peer.next_command(net);
        }
        let mut open: Vec<u32> = Vec::new();
        for peer in self.peers.iter().filter(|peer| peer.phase == Phase::Open && !peer.is_mute) {
            open.push(peer.uid);
        }
        let config: &Config = &self.config;
        let grace = config.grace();
        // The shorter of the two is the pace: at least the one of them that is faster is kept.
        // Whoever is told to go right before the end of a grace that is too short is cut before it has answered.
        self.ledger.borrow_mut().is_orderly &= config.stop_grace.is_zero();
        let by_time = (self.capacity as u128 * 1_000_000).checked_div(config.drain_time.as_micros());
        let by_rate = config.drain_rate as u128 / self.shards.len() as u128 + 1;
        let per_second = match (by_time, config.drain_rate) {
            (None, _) => u64::MAX,
            (Some(by_time), 0) => by_time as u64,
            (Some(by_time), _) => by_time.max(by_rate) as u64,
        };
        let began_us = self.net.borrow().now_us;
        let delay_us = config.drain_delay.as_micros() as u64;
        for shard in 0..self.shards.len() {
            while !self.put(&mut self.net.borrow_mut(), shard, Mail::Drain) {
                self.turn(shard)?;
            }
        }
        self.drain = Some(Drain { began_us, per_second, delay_us });
        self.settle(5_000_000)?;
        if let Some(late) = self.shards.iter().position(Option::is_some) {
            let audit = self.shards[late].as_ref().map(|shard| shard.audit());
            return Err(format!("shard {late} has not ended in its drain: {audit:?}"));
        }
        let took_us = self.ended_us.saturating_sub(began_us);
        if u128::from(took_us) > grace.as_micros() + 5000 {
            return Err(format!("the last shard ended {took_us} us after a drain that has {grace:?}"));
        }
        if !self.config.stop_grace.is_zero() {
            return Ok(());
        }
        for peer in self.peers.iter().filter(|peer| open.contains(&peer.uid) && !peer.has_sinned) {
            let ledger = self.ledger.borrow();
            let life = &ledger.lives[peer.uid as usize];
            if life.reason.is_some_and(|reason| reason.cause == Cause::ServerStops) {
                peer.check_drained(life.said)?;
            }
        }
        Ok(())
    }

    /// In a drain no shard has closed more WebSockets than the pace allows by now. Those that ask for one meanwhile are refused
    /// at once, and are none of them.
    pub(super) fn check_pace(&self) -> Result<(), String> {
        let Some(drain) = self.drain else { return Ok(()) };
        let passed_us = (self.net.borrow().now_us - drain.began_us).saturating_sub(drain.delay_us);
        let most = u128::from(drain.per_second) * u128::from(passed_us + 1000) / 1_000_000 + 1;
        let ledger = self.ledger.borrow();
        for shard in 0..self.shards.len() {
            let is_told = |life: &&Life| {
                life.closed > 0
                    && life.id.is_some_and(|id| id.shard() == shard)
                    && life.reason.is_some_and(|reason| reason.cause == Cause::ServerStops)
            };
            let closed = ledger.lives.iter().filter(is_told).count() as u64;
            if self.config.stop_grace.is_zero() && u128::from(closed) > most {
                return Err(format!(
                    "shard {shard} has closed {closed} after {passed_us} us, {most} is the pace"
                ));
            }
        }
        Ok(())
    }
}

impl Peer {
    /// It was open when the drain began, did all it must, and was told to go.
    fn check_drained(&self, said: u32) -> Result<(), String> {
        let heard = &self.heard;
        if self.kind == Kind::Http || heard.is_assembling || heard.sent_code.is_some() {
            return Ok(());
        }
        if heard.got_code != Some(Some(1001)) || heard.numbered != said {
            return Err(format!(
                "connection {}: was said {said} messages and heard {} before it was closed with {:?}",
                self.uid, heard.numbered, heard.got_code
            ));
        }
        Ok(())
    }
}

//! A shard's end of Socket.IO's `Port`: the core, whose type names the handler.

use crate::app::io::{IoMail, Port};
use crate::base::config::Config;
use crate::base::id::Key;
use crate::base::metrics::Counters;
use crate::base::pool::Pool;
use crate::base::slow::{Mark, SlowPolicy};
use crate::core::core::Core;
use crate::core::published::Published;
use crate::core::service::{Delivery, Reply, Ticket};
use crate::core::timers::TimerId;
use crate::proto::http::{Request, Response};
use crate::proto::ws::Message;

use super::handler::Handler;
use super::service::{Alarm, Raw, RawMail};

impl<H: Handler> Port for Core<Raw<H>> {
    fn shards(&self) -> usize {
        Self::shards(self)
    }

    fn counters(&self) -> &Counters {
        Self::counters(self)
    }

    fn now_us(&self) -> u64 {
        Self::now_us(self)
    }

    fn accepts_origin(&self, request: &Request<'_>) -> bool {
        Self::accepts_origin(self, request)
    }

    fn random(&mut self) -> [u8; 15] {
        Self::random(self)
    }

    fn config(&self) -> &Config {
        Self::config(self)
    }

    fn buffers(&mut self) -> &mut Pool {
        Self::buffers(self)
    }

    #[inline]
    fn send(&mut self, key: Key, message: Message<'_>, mark: Mark) -> Delivery {
        self.send_marked(key, message, mark)
    }

    fn send_frames(&mut self, key: Key, frames: &Published) -> Delivery {
        Self::send_frames(self, key, frames)
    }

    fn send_plain(&mut self, key: Key, message: Message<'_>, mark: Mark) -> Delivery {
        Self::send_plain(self, key, message, mark)
    }

    fn deflate_from(&self) -> usize {
        Self::deflate_from(self)
    }

    fn send_heartbeat(&mut self, key: Key, message: Message<'_>) {
        Self::send_heartbeat(self, key, message);
    }

    #[inline]
    fn hand(&mut self, key: Key, frames: &Published) {
        Self::hand(self, key, frames);
    }

    fn slow_policy(&self, key: Key) -> SlowPolicy {
        Self::slow_policy(self, key)
    }

    fn set_slow_policy(&mut self, key: Key, policy: SlowPolicy) {
        Self::set_slow_policy(self, key, policy);
    }

    fn queued_bytes(&self, key: Key) -> usize {
        Self::queued_bytes(self, key)
    }

    fn is_paused(&self, key: Key) -> bool {
        Self::is_paused(self, key)
    }

    fn close(&mut self, key: Key, code: u16) {
        Self::close(self, key, code, "");
    }

    fn answer(&mut self, ticket: Ticket, response: Response) {
        if !Self::answer(self, ticket, Reply::Respond(response)) {
            self.counters().stale_keys.add(1);
        }
    }

    fn ticket(&mut self, key: Key) -> Ticket {
        Self::ticket(self, key)
    }

    fn mail(&mut self, shard: usize, mail: IoMail) {
        Self::mail(self, shard, RawMail::Io(mail));
    }

    fn mail_droppable(&mut self, shard: usize, mail: IoMail, bytes: usize) -> bool {
        Self::mail_droppable(self, shard, RawMail::Io(mail), bytes)
    }

    fn set_tick(&mut self, due_us: u64) -> TimerId {
        let after_us = due_us.saturating_sub(Self::now_us(self));
        self.set_timer(after_us, 0, Alarm::Tick)
    }

    fn cancel_tick(&mut self, tick: TimerId) {
        // One that rings now is none any more.
        let _was_set = self.cancel_timer(tick);
    }

    fn panicked(&mut self, key: Option<Key>) {
        self.blame(key);
    }
}

//! Topics, as a service uses them: subscribing, and publishing to the subscribers of all shards.

use crate::base::id::Key;
use crate::base::slow::Mark;
use crate::hub::{Hub, Subscribed};
use crate::proto::ws::Message;

use super::conn::{Flags, Stage};
use super::core::Core;
use super::mail::{MAIL_BYTES, Mail};
use super::mailbox::Posted;
use super::outbox::{Unit, has_room};
use super::publication::Publication;
use super::published::Published;
use super::service::Service;

/// What a publish costs besides its deliveries, counted in them: an allocation, and a mail for each other shard.
const PUBLISH_DELIVERIES: usize = 8;

impl<S: Service> Core<S> {
    /// Puts a connection into a topic.
    pub fn subscribe(&mut self, key: Key, topic: &str) -> Subscribed {
        if !self.is_open(key) {
            return Subscribed::Closed;
        }
        if topic.len() > self.config.topic_bytes_max {
            return Subscribed::TooLong;
        }
        self.hub.subscribe(key.slot, topic, self.config.topics_per_connection_max)
    }

    /// Takes a connection out of a topic; false where it was not in it.
    pub fn unsubscribe(&mut self, key: Key, topic: &str) -> bool {
        self.table.contains(key) && self.hub.unsubscribe(key.slot, topic)
    }

    /// The topics of this shard.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Sends a message to a topic's subscribers on all shards, but not to `except`. It is encoded once.
    ///
    /// Subscribers here have it queued when this returns. False: the spill to at least one other shard was full, and
    /// its subscribers do not get it.
    pub fn publish(&mut self, topic: &str, message: Message<'_>, except: Option<Key>) -> bool {
        self.publish_marked(topic, message, Mark::UNSET, except)
    }

    /// The same, and nobody gets it compressed.
    pub fn publish_plain(&mut self, topic: &str, message: Message<'_>, except: Option<Key>) -> bool {
        let publication = Published::new(topic, message, usize::MAX, &mut self.assembly);
        self.publish_everywhere(publication, except)
    }

    /// The same with a wish of its own what becomes of it for subscribers that are too slow.
    pub fn publish_marked(
        &mut self,
        topic: &str,
        message: Message<'_>,
        mark: Mark,
        except: Option<Key>,
    ) -> bool {
        let deflate_from = self.deflate_from();
        let publication = Published::new(topic, message, deflate_from, &mut self.assembly).marked(mark);
        self.publish_everywhere(publication, except)
    }

    fn publish_everywhere(&mut self, publication: Published, except: Option<Key>) -> bool {
        self.deliver(&publication, except);
        let mut is_everywhere = true;
        for shard in (0..self.outlets.shards()).filter(|&shard| shard != self.shard as usize) {
            let bytes = publication.bytes() + MAIL_BYTES;
            match self.outlets.send_droppable(shard, Mail::Publish(publication.clone()), bytes) {
                Posted::Sent => {}
                Posted::Spilled => self.counters.mails_spilled.add(1),
                Posted::Dropped => {
                    self.counters.publishes_dropped.add(1);
                    is_everywhere = false;
                }
            }
        }
        is_everywhere
    }

    /// Queues a publication for this shard's subscribers: about 20 ns each, no allocation.
    pub(super) fn deliver(&mut self, publication: &Published, except: Option<Key>) {
        // The hub steps aside while it is walked; a connection leaves it when it is reaped, never in between.
        let hub = std::mem::take(&mut self.hub);
        let except = except.map(|key| key.slot);
        let mut deliveries = 0;
        let members = hub.members(publication.topic()).filter(|&slot| Some(slot) != except);
        // Three loops, so that those publications that replace nothing, and are to be compressed for nobody, do not ask so for
        // each subscriber.
        if publication.mark().is_latest() {
            for slot in members {
                deliveries += 1;
                let form = self.form_for(slot, publication);
                self.deliver_latest_to(slot, form);
            }
        } else if publication.forms.is_some() {
            for slot in members {
                deliveries += 1;
                self.deliver_form_to(slot, publication);
            }
        } else {
            for slot in members {
                deliveries += 1;
                self.deliver_to(slot, &publication.plain);
            }
        }
        self.hub = hub;
        self.counters.publishes.add(1);
        self.counters.deliveries.add(deliveries);
        self.deliveries_left = self.deliveries_left.saturating_sub(deliveries as usize + PUBLISH_DELIVERIES);
        if self.deliveries_left == 0 {
            self.until_look = 0;
        }
    }

    /// Queues a publication for one connection of this shard, if it is open. Unlike [`send`](Self::send) it may be given to
    /// many at the cost of one: they share its bytes.
    #[inline]
    pub fn hand(&mut self, key: Key, publication: &Published) {
        if self.table.contains(key) {
            self.counters.deliveries.add(1);
            self.deliveries_left = self.deliveries_left.saturating_sub(1);
            if self.deliveries_left == 0 {
                self.until_look = 0;
            }
            let form = self.form_for(key.slot, publication);
            if form.mark().is_latest() {
                return self.deliver_latest_to(key.slot, form);
            }
            self.deliver_to(key.slot, form);
        }
    }

    /// Apart, so that the loop over those who take it plain has the next function in it and no call.
    #[inline(never)]
    fn deliver_form_to(&mut self, slot: u32, published: &Published) {
        let form = self.form_for(slot, published);
        self.deliver_to(slot, form);
    }

    #[inline(always)]
    fn deliver_to(&mut self, slot: u32, publication: &Publication) {
        let frame_bytes = publication.frame().len();
        let Some((key, conn)) = self.table.at(slot) else { return };
        let is_apart = conn.flags.any(Flags::STREAMING.with(Flags::LATEST_ONLY));
        let takes_batch =
            conn.outbox.is_none() && conn.stage == Stage::Open && !is_apart && !self.cork.is_open_for(key);
        if takes_batch && has_room(&self.config, conn.queued as usize, frame_bytes) {
            conn.queued += frame_bytes as u32;
            conn.batch = self.batches.advance(conn.batch, publication);
            if !conn.flags.any(Flags::DIRTY) {
                conn.flags.set(Flags::DIRTY);
                self.dirty.push_back(key);
            }
        } else if !(self.cork.is_open_for(key) && self.cork.push_shared(publication))
            && conn.stage == Stage::Open
        {
            self.queue_message(key, Unit::Shared(publication.clone()));
        }
    }

    /// The same with a publication that takes the place of the one with its key, in a batch as in an outbox.
    fn deliver_latest_to(&mut self, slot: u32, publication: &Publication) {
        let frame_bytes = publication.frame().len();
        let Some((key, conn)) = self.table.at(slot) else { return };
        let is_apart = conn.flags.any(Flags::STREAMING.with(Flags::LATEST_ONLY));
        let takes_batch = conn.outbox.is_none() && !is_apart && !self.cork.is_open_for(key);
        if conn.stage != Stage::Open {
            return;
        }
        if takes_batch && has_room(&self.config, conn.queued as usize, frame_bytes) {
            let (batch, is_replaced, bytes) =
                self.batches.conflate(conn.batch, publication, &mut self.store.buffers);
            (conn.batch, conn.queued) = (batch, bytes as u32);
            self.counters.units_replaced.add(u64::from(is_replaced));
            self.mark_dirty(key);
        } else {
            self.queue_message(key, Unit::Shared(publication.clone()));
        }
    }
}

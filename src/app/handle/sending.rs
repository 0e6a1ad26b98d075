//! How a message is sent from any thread that says itself what becomes of it where its reader is too slow:
//! `handle.drop_oldest().send(…)`. Made by [`Handle`].

use crate::base::error::Full;
use crate::base::id::ConnId;
use crate::base::slow::Mark;
use crate::core::published::Published;
use crate::proto::ws::Message;

use super::Handle;

/// A message on its way from a [`Handle`], with a policy of its own, which beats that of the connections it goes to.
#[must_use = "nothing is sent before send or publish"]
#[derive(Debug)]
pub struct HandleSending<'s> {
    pub(super) handle: &'s Handle,
    pub(super) mark: Mark,
}

impl HandleSending<'_> {
    /// Sends it to a topic's subscribers, as [`Handle::publish`] does.
    ///
    /// # Errors
    /// [`Full`]: a mailbox has no room, and nobody gets it.
    pub fn publish<'m>(self, topic: &str, message: impl Into<Message<'m>>) -> Result<(), Full> {
        let shards = &self.handle.0;
        let publication = Published::new(topic, message.into(), shards.deflate_from(), &mut Vec::new());
        shards.publish(publication.marked(self.mark))
    }

    /// Sends it to a connection, as [`Handle::send`] does.
    ///
    /// # Errors
    /// [`Full`]: its shard's mailbox has no room.
    pub fn send<'m>(self, id: ConnId, message: impl Into<Message<'m>>) -> Result<(), Full> {
        self.handle.0.send(id, message.into(), self.mark)
    }
}

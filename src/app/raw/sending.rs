//! How a message is sent that says itself what becomes of it where its reader is too slow: `conn.drop_oldest().send(…)`.

use std::fmt;

use crate::base::id::ConnId;
use crate::base::slow::Mark;
use crate::core::service::Delivery;
use crate::proto::ws::Message;

use super::conn::Conn;
use super::handler::Handler;
use super::shard::Shard;

/// A message on its way from a [`Conn`] or a [`Shard`], with a policy of its own, which beats that of the connections it goes to.
#[must_use = "nothing is sent before send, publish or broadcast"]
pub struct Sending<'s, F> {
    from: &'s mut F,
    mark: Mark,
}

macro_rules! policies {
    ($($from:ident),+) => {$(
        impl<'a, H: Handler> $from<'a, H> {
            /// A message that is dropped where it does not fit.
            pub const fn drop_new(&mut self) -> Sending<'_, Self> {
                Sending { from: self, mark: Mark::NEW }
            }

            /// A message for which older ones of its kind are dropped where it does not fit, and which is dropped for newer ones.
            pub const fn drop_oldest(&mut self) -> Sending<'_, Self> {
                Sending { from: self, mark: Mark::OLDEST }
            }

            /// A message that takes the place of the one sent before with this key, where that has not begun to leave; whether or
            /// not a limit is reached. So a slow reader gets fewer of them, the last one always, and a fast one all that do not
            /// come within one turn.
            ///
            /// It stands where the older one stood: before what was sent between them. The same key means the same on every
            /// topic.
            ///
            /// ```
            /// # use throng::{Handler, Shard};
            /// # fn tick<H: Handler>(shard: &mut Shard<'_, H>) {
            /// shard.latest_only("EURUSD").publish("prices", "EURUSD 1.0842");
            /// # }
            /// ```
            pub fn latest_only(&mut self, key: impl AsRef<str>) -> Sending<'_, Self> {
                Sending { from: self, mark: Mark::latest("", key.as_ref()) }
            }

            /// A message that is not dropped, whatever a connection's policy is: where it does not fit the connection is closed.
            pub const fn or_close(&mut self) -> Sending<'_, Self> {
                Sending { from: self, mark: Mark::KEEP }
            }
        }
    )+};
}

policies!(Conn, Shard);

impl<H: Handler> Sending<'_, Conn<'_, H>> {
    /// Sends it to the peer, as [`Conn::send`] does.
    pub fn send<'m>(self, message: impl Into<Message<'m>>) -> Delivery {
        let Conn { shard, key } = self.from;
        shard.core.send_marked(*key, message.into(), self.mark)
    }

    /// Sends it to a topic's subscribers, as [`Shard::publish`] does.
    pub fn publish<'m>(self, topic: &str, message: impl Into<Message<'m>>) -> bool {
        self.from.shard.core.publish_marked(topic, message.into(), self.mark, None)
    }

    /// Sends it to a topic's subscribers, but not to this connection, as [`Conn::broadcast`] does.
    pub fn broadcast<'m>(self, topic: &str, message: impl Into<Message<'m>>) -> bool {
        let Conn { shard, key } = self.from;
        shard.core.publish_marked(topic, message.into(), self.mark, Some(*key))
    }
}

impl<H: Handler> Sending<'_, Shard<'_, H>> {
    /// Sends it to any connection of the server, as [`Shard::send`] does.
    pub fn send<'m>(self, id: ConnId, message: impl Into<Message<'m>>) -> Delivery {
        self.from.send_with(id, message.into(), self.mark)
    }

    /// Sends it to a topic's subscribers, as [`Shard::publish`] does.
    pub fn publish<'m>(self, topic: &str, message: impl Into<Message<'m>>) -> bool {
        self.from.core.publish_marked(topic, message.into(), self.mark, None)
    }
}

impl<F> fmt::Debug for Sending<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").field("mark", &self.mark).finish_non_exhaustive()
    }
}

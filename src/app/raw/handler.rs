//! The trait that a program implements.

use std::any::Any;
use std::fmt;

use crate::base::cause::{Cause, CloseReason};
use crate::proto::http::{Request, Response};
use crate::proto::ws::Message;

use super::admission::{Admission, Opening};
use super::conn::Conn;
use super::shard::Shard;

/// What a server does with its connections. One handler lives on each shard; it needs neither `Send` nor locks, and
/// what it keeps is its shard's alone.
///
/// A method that panics costs the connection it was called for (close code 1011), not the shard. With `panic = "abort"`
/// that is not possible, and the process ends.
///
/// ```no_run
/// use throng::{Admission, Conn, Handler, Message, Opening, Server};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     type Data = ();
///     fn admit(&mut self, _opening: &Opening<'_, Self>) -> Admission<()> {
///         Admission::accept(())
///     }
///     fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
///         conn.send(message);
///     }
/// }
///
/// # fn main() -> Result<(), throng::SetupError> {
/// Server::builder().bind("localhost:3000")?.serve(|_shard| Echo)?.join()
/// # }
/// ```
#[expect(unused_variables, reason = "the default methods name what they ignore")]
pub trait Handler: Sized + 'static {
    /// What the handler keeps of each connection. It costs nothing beyond the connection's cache line while an `Option` of it
    /// has up to 8 bytes: a `u32`, a `Box`, a small enum.
    type Data: 'static;

    /// A client asks for a WebSocket; the handshake is in order and the origin accepted. Accept with the connection's
    /// data, refuse with a response, or [defer](Opening::defer) and answer from any thread.
    ///
    /// ```
    /// # use throng::{Admission, Conn, Handler, Message, Opening};
    /// # struct Chat { members: usize }
    /// # impl Handler for Chat {
    /// type Data = String;
    ///
    /// fn admit(&mut self, opening: &Opening<'_, Self>) -> Admission<String> {
    ///     let Some(name) = opening.path().strip_prefix("/chat/") else { return Admission::refuse(404) };
    ///     if self.members == 1000 {
    ///         return Admission::refuse(503);
    ///     }
    ///     match opening.subprotocols().find(|offered| *offered == "chat.v2") {
    ///         Some(protocol) => Admission::accept_with(name.to_owned(), protocol),
    ///         None => Admission::accept(name.to_owned()),
    ///     }
    /// }
    /// #     fn on_message(&mut self, _: &mut Conn<'_, Self>, _: Message<'_>) {}
    /// # }
    /// ```
    fn admit(&mut self, opening: &Opening<'_, Self>) -> Admission<Self::Data>;

    /// The shard begins: set timers, prepare what the handler needs of it.
    fn on_start(&mut self, shard: &mut Shard<'_, Self>) {}

    /// A request that does not ask for a WebSocket. Unless implemented: 404.
    fn on_request(&mut self, shard: &mut Shard<'_, Self>, request: &Request<'_>, body: &[u8]) -> Response {
        Response::refusal(Cause::NotFound)
    }

    /// The WebSocket is open.
    fn on_open(&mut self, conn: &mut Conn<'_, Self>) {}

    /// A message came in. It lies in the shard's read buffer: copy what is to be kept.
    fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>);

    /// A connection to which a send was [`Pressured`](crate::Delivery::Pressured) has taken enough: at most
    /// `outbox_bytes_low` bytes are queued. Once per such episode.
    fn on_drain(&mut self, conn: &mut Conn<'_, Self>) {}

    /// The connection is over, exactly once after `on_open`: the closing handshake is done or was given up, and TCP has
    /// ended. Nothing can be sent to it any more; its data, its id and its address are still there.
    fn on_close(&mut self, conn: &mut Conn<'_, Self>, reason: CloseReason) {}

    /// A value was posted to a connection through the [`Handle`](crate::Handle):
    ///
    /// ```
    /// # use throng::{Admission, Conn, Handler, Message, Opening, Post};
    /// struct Kick(&'static str);
    ///
    /// # struct Chat;
    /// # impl Handler for Chat {
    /// #     type Data = ();
    /// #     fn admit(&mut self, _: &Opening<'_, Self>) -> Admission<()> { Admission::accept(()) }
    /// #     fn on_message(&mut self, _: &mut Conn<'_, Self>, _: Message<'_>) {}
    /// fn on_post(&mut self, conn: &mut Conn<'_, Self>, post: Post) {
    ///     match post.take() {
    ///         Ok(Kick(reason)) => conn.close(4000, reason),
    ///         Err(_other) => {}
    ///     }
    /// }
    /// # }
    /// ```
    fn on_post(&mut self, conn: &mut Conn<'_, Self>, post: Post) {}

    /// A WebSocket that another server has opened is to be adopted, with the value that was given along. `None`, which it
    /// is unless implemented, closes it (1008).
    fn adopt(&mut self, shard: &mut Shard<'_, Self>, post: Post) -> Option<Self::Data> {
        None
    }
}

/// A value from another thread.
pub struct Post(Box<dyn Any + Send>);

impl Post {
    pub(crate) fn new(value: impl Any + Send) -> Self {
        Self(Box::new(value))
    }

    /// The value, if it is a `T`.
    ///
    /// # Errors
    /// The post itself, unopened, if it is not.
    pub fn take<T: Any>(self) -> Result<T, Self> {
        self.0.downcast().map(|value| *value).map_err(Self)
    }

    /// Whether the value is a `T`.
    pub fn is<T: Any>(&self) -> bool {
        self.0.is::<T>()
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Post")
    }
}

//! The end of a server that other threads hold, and handlers that want one.
//!
//! Owns no state: what it asks is asked of the shards' outlets, whatever handler they have. Made by the server for the program, and
//! by `Shard` and `Socket` for handlers.

use std::any::Any;
use std::fmt;
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hdrhistogram::Histogram;

#[cfg(feature = "socketio")]
use crate::app::io::{
    Broadcast, BroadcastOperator, Broadcasting, Done, FIRST_OUTSIDE_ACK, IoAudit, IoCall, IoMail, Operation,
    Parser,
};
use crate::app::raw::{Handler, Post, RawMail, Remote};
use crate::base::error::Full;
#[cfg(feature = "tls")]
use crate::base::error::SetupError;
use crate::base::id::ConnId;
use crate::base::metrics::Counters;
use crate::base::slow::Mark;
use crate::core::mail::{Adopted, Adoption, MAIL_BYTES, Mail};
use crate::core::published::Published;
#[cfg(feature = "tls")]
use crate::core::tls::Tls;
use crate::proto::ws::Message;

mod sending;

pub use sending::HandleSending;

/// Reaches a running server from any thread. Cheap to clone. It outlives the server: what it sends then goes nowhere.
#[derive(Clone)]
pub struct Handle(Arc<dyn Shards>);

/// What the handle asks, without naming the handler's type.
trait Shards: Send + Sync {
    fn publish(&self, publication: Published) -> Result<(), Full>;
    fn deflate_from(&self) -> usize;
    fn send(&self, id: ConnId, message: Message<'_>, mark: Mark) -> Result<(), Full>;
    fn close(&self, id: ConnId, code: u16, reason: &str) -> Result<(), Full>;
    fn post(&self, id: ConnId, post: Post) -> Result<(), Full>;
    fn adopt(&self, stream: TcpStream, bytes: Vec<u8>, post: Post) -> std::io::Result<()>;
    fn stop(&self, grace: Duration);
    #[cfg(feature = "tls")]
    fn reload_tls(&self) -> Result<(), SetupError>;
    fn drain(&self);
    fn count(&self) -> usize;
    fn metrics(&self) -> Metrics;
    #[cfg(feature = "socketio")]
    fn counted(&self);
    #[cfg(feature = "socketio")]
    fn io(&self, bytes: usize, mail: &mut dyn FnMut() -> IoMail) -> Result<(), Full>;
    /// Has a shard do something; which one does not matter.
    #[cfg(feature = "socketio")]
    fn on_a_shard(&self, call: IoCall);
    #[cfg(feature = "socketio")]
    fn parser(&self) -> Parser;
}

/// What a server has counted, over all of its shards.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Metrics {
    /// Every counter by name; those named like a [`Cause`](crate::Cause) count ends and refusals.
    pub counters: Vec<(&'static str, u64)>,
    /// Lengths of turns in microseconds: how long a shard was busy between two looks at its sockets.
    pub turn_us: Histogram<u32>,
}

impl Metrics {
    /// One counter's value; `None` where there is no such counter.
    pub fn counter(&self, name: &str) -> Option<u64> {
        self.counters.iter().find(|(counter, _)| *counter == name).map(|(_, value)| *value)
    }
}

impl Handle {
    pub(crate) fn new<H: Handler>(remote: Arc<Remote<H>>) -> Self {
        Self(remote)
    }

    /// Sends a message to a topic's subscribers on all shards. Messages that one thread publishes arrive in order.
    ///
    /// ```
    /// # use throng::{Full, Handle};
    /// /// Publishes, and waits while the shards are behind.
    /// fn publish(server: &Handle, topic: &str, text: &str) {
    ///     while let Err(Full) = server.publish(topic, text) {
    ///         std::thread::sleep(std::time::Duration::from_millis(1));
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Full`]: a mailbox has no room, and nobody gets it.
    pub fn publish<'m>(&self, topic: &str, message: impl Into<Message<'m>>) -> Result<(), Full> {
        let deflate_from = self.0.deflate_from();
        self.0.publish(Published::new(topic, message.into(), deflate_from, &mut Vec::new()))
    }

    /// The same, and nobody gets it compressed: for what is compressed already, such as pictures.
    ///
    /// # Errors
    /// [`Full`]: a mailbox has no room, and nobody gets it.
    pub fn publish_uncompressed<'m>(&self, topic: &str, message: impl Into<Message<'m>>) -> Result<(), Full> {
        self.0.publish(Published::new(topic, message.into(), usize::MAX, &mut Vec::new()))
    }

    /// Sends a message to a connection. One that is gone gets nothing, which is counted.
    ///
    /// # Errors
    /// [`Full`]: its shard's mailbox has no room.
    pub fn send<'m>(&self, id: ConnId, message: impl Into<Message<'m>>) -> Result<(), Full> {
        self.0.send(id, message.into(), Mark::UNSET)
    }

    /// A message that is dropped where it does not fit.
    pub fn drop_new(&self) -> HandleSending<'_> {
        HandleSending { handle: self, mark: Mark::NEW }
    }

    /// A message for which older ones of its kind are dropped where it does not fit.
    pub fn drop_oldest(&self) -> HandleSending<'_> {
        HandleSending { handle: self, mark: Mark::OLDEST }
    }

    /// A message that takes the place of the one sent before with this key, where that has not begun to leave: see
    /// [`Shard::latest_only`](crate::Shard::latest_only).
    ///
    /// ```
    /// # fn tick(server: &throng::Handle) -> Result<(), throng::Full> {
    /// server.latest_only("EURUSD").publish("prices", "EURUSD 1.0842")
    /// # }
    /// ```
    pub fn latest_only(&self, key: impl AsRef<str>) -> HandleSending<'_> {
        HandleSending { handle: self, mark: Mark::latest("", key.as_ref()) }
    }

    /// A message that is not dropped, whatever a connection's policy is.
    pub fn or_close(&self) -> HandleSending<'_> {
        HandleSending { handle: self, mark: Mark::KEEP }
    }

    /// Closes a connection with a code and a reason (at most 123 bytes of it).
    ///
    /// # Errors
    /// [`Full`]: its shard's mailbox has no room.
    pub fn close(&self, id: ConnId, code: u16, reason: &str) -> Result<(), Full> {
        self.0.close(id, code, reason)
    }

    /// Calls the handler's [`on_post`](Handler::on_post) with a connection and this value.
    ///
    /// # Errors
    /// [`Full`]: its shard's mailbox has no room, and the value is dropped.
    pub fn post(&self, id: ConnId, value: impl Any + Send) -> Result<(), Full> {
        self.0.post(id, Post::new(value))
    }

    /// Hands over a TCP connection on which another server has completed the WebSocket handshake; `bytes` is what that has
    /// read behind it. The handler's [`adopt`](Handler::adopt) is given `value` and makes the connection's data. What to
    /// answer such a handshake with says [`handshake::answer`](crate::proto::ws::handshake::answer); `examples/axum.rs` shows
    /// all of it.
    ///
    /// # Errors
    /// The stream has no peer any more, or the shard takes nothing: its mailbox or its fd table is full. The stream is
    /// then closed.
    pub fn adopt(&self, stream: TcpStream, bytes: Vec<u8>, value: impl Any + Send) -> std::io::Result<()> {
        self.0.adopt(stream, bytes, Post::new(value))
    }

    /// Ends the server gently, as the settings have it: for `drain_delay` it serves on while [`Builder::health`]'s `/readyz` says
    /// 503; then it stops to listen, once what waits to be accepted is, and closes its connections over `drain_time` or at
    /// `drain_rate`: WebSockets with 1001, behind all that is queued for them; Socket.IO's sessions by the end of their
    /// transport, so that their clients come back by themselves; HTTP connections behind the answer that they are owed. What
    /// is left at the end of `stop_grace` is cut. Returns at once; [`Server::wait`](crate::Server::wait) waits, and says what was
    /// cut. A [`stop`](Self::stop) makes it quicker.
    ///
    /// [`Builder::health`]: crate::Builder::health
    pub fn drain(&self) {
        self.0.drain();
    }

    /// Stops the server at once: no more connections are accepted, WebSockets are closed with 1001, and after `grace` whatever is
    /// left is cut. Returns at once; [`Server::join`](crate::Server::join) waits.
    pub fn stop(&self, grace: Duration) {
        self.0.stop(grace);
    }

    /// Reads the certificates and keys of all its TLS listeners again, as [`Tls::reload`](crate::Tls::reload) does: handshakes
    /// from here on use them, connections that stand are not touched.
    ///
    /// # Errors
    /// Those of one listener cannot be used: it goes on with what it had. The others have theirs.
    #[cfg(feature = "tls")]
    pub fn reload_tls(&self) -> Result<(), SetupError> {
        self.0.reload_tls()
    }

    /// Everybody in the main namespace of Socket.IO, from any thread: `handle.io().to("room").emit(…)`. Where that says false
    /// nobody gets it: a mailbox has no room, or it cannot be serialized.
    #[cfg(feature = "socketio")]
    pub fn io(&self) -> BroadcastOperator<'_> {
        self.of("/")
    }

    /// Everybody in a namespace of Socket.IO, from any thread.
    #[cfg(feature = "socketio")]
    pub fn of<'s>(&'s self, namespace: &'s str) -> BroadcastOperator<'s> {
        BroadcastOperator::new(self, namespace, None)
    }

    /// What the Socket.IO of each shard holds, in their order; nothing of a server that has stopped.
    #[cfg(feature = "socketio")]
    #[doc(hidden)]
    #[must_use]
    pub fn io_audit(&self) -> Vec<IoAudit> {
        let (tell, told) = std::sync::mpsc::channel();
        let asked = self.0.io(0, &mut || {
            let tell = tell.clone();
            // Whoever asked may have gone.
            IoMail::Call(Box::new(move |io, _| _ = tell.send(io.audit())))
        });
        drop(tell);
        let mut audits: Vec<_> = asked.map(|()| told.iter().collect()).unwrap_or_default();
        audits.sort_unstable_by_key(|(shard, _)| *shard);
        audits.into_iter().map(|(_, audit)| audit).collect()
    }

    /// How many connections there are, of any kind.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.count()
    }

    /// What has been counted so far.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.0.metrics()
    }
}

#[cfg(feature = "socketio")]
impl Broadcasting for Handle {
    fn broadcast(&self, broadcast: Broadcast) -> bool {
        let (bytes, broadcast) = (broadcast.bytes() + MAIL_BYTES, Arc::new(broadcast));
        self.0.io(bytes, &mut || IoMail::Broadcast(broadcast.clone())).is_ok()
    }

    fn counted(&self) {
        self.0.counted();
    }

    fn operate(&self, operation: Operation, answered: Option<(Duration, Done)>) {
        self.0.on_a_shard(Box::new(|io, port| io.operate(port, operation, answered)));
    }

    fn shared_ack_id(&self) -> u64 {
        static ASKED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        FIRST_OUTSIDE_ACK + ASKED.fetch_add(1, Ordering::Relaxed)
    }

    fn parser(&self) -> Parser {
        self.0.parser()
    }

    fn deflate_from(&self) -> usize {
        self.0.deflate_from()
    }
}

impl<H: Handler> Shards for Remote<H> {
    #[cfg(feature = "socketio")]
    fn parser(&self) -> Parser {
        self.parser
    }

    #[cfg(feature = "socketio")]
    fn io(&self, bytes: usize, mail: &mut dyn FnMut() -> IoMail) -> Result<(), Full> {
        self.mail_all(bytes, || Mail::Service(RawMail::Io(mail())))
    }

    #[cfg(feature = "socketio")]
    fn on_a_shard(&self, call: IoCall) {
        self.answer(0, RawMail::Io(IoMail::Call(call)));
    }

    fn deflate_from(&self) -> usize {
        self.deflate_from
    }

    fn publish(&self, publication: Published) -> Result<(), Full> {
        self.mail_all(publication.bytes() + MAIL_BYTES, || Mail::Publish(publication.clone()))
    }

    fn send(&self, id: ConnId, message: Message<'_>, mark: Mark) -> Result<(), Full> {
        let payload = message.as_bytes().to_vec();
        let mail = Mail::Send { key: id.key, opcode: message.opcode(), mark, payload };
        self.mail(id.shard(), message.len() + MAIL_BYTES, mail)
    }

    fn close(&self, id: ConnId, code: u16, reason: &str) -> Result<(), Full> {
        self.mail(id.shard(), 0, Mail::Close { key: id.key, code, reason: reason.to_owned() })
    }

    fn post(&self, id: ConnId, post: Post) -> Result<(), Full> {
        self.mail(id.shard(), 0, Mail::Service(RawMail::Post(id.key, post)))
    }

    fn adopt(&self, stream: TcpStream, bytes: Vec<u8>, post: Post) -> std::io::Result<()> {
        let peer = stream.peer_addr()?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let count = self.handed.fetch_add(1, Ordering::Relaxed);
        let shard = self.census.emptiest_from(count as usize);
        // Packed only once there is a slot: what went into the hand-off and is never asked for would stay open there.
        self.try_mail(shard, || {
            let parcel = (self.pack)(stream, shard, count)?;
            let adopted = Adopted::WebSocket(RawMail::Adopt(post));
            Ok(Mail::Adopt(Box::new(Adoption { parcel, peer, bytes, adopted })))
        })
    }

    #[cfg(feature = "socketio")]
    fn counted(&self) {
        self.encoded.fetch_add(1, Ordering::Relaxed);
    }

    fn stop(&self, grace: Duration) {
        // Moments are told apart over half the range of 32 bits of milliseconds: 24.8 days.
        let grace_ms = grace.as_millis().min(i32::MAX as u128) as u32;
        self.stop(grace_ms);
    }

    #[cfg(feature = "tls")]
    fn reload_tls(&self) -> Result<(), SetupError> {
        let reloaded: Vec<_> = self.tls.iter().map(Tls::reload).collect();
        reloaded.into_iter().collect()
    }

    fn drain(&self) {
        self.drain();
    }

    fn count(&self) -> usize {
        self.census.total()
    }

    fn metrics(&self) -> Metrics {
        let mut counters: Vec<_> = Counters::default().each().collect();
        for shard in &self.counters {
            counters.iter_mut().zip(shard.each()).for_each(|((_, sum), (_, value))| *sum += value);
        }
        #[cfg(feature = "socketio")]
        for (_, sum) in counters.iter_mut().filter(|(name, _)| *name == "io_broadcasts_encoded") {
            *sum += self.encoded.load(Ordering::Relaxed);
        }
        #[cfg(feature = "tls")]
        counters.push(("tls_reloads", self.tls.iter().map(Tls::reloads).sum()));
        counters.push(("jobs_panicked", self.jobs_panicked.load(Ordering::Relaxed)));
        let mut turn_us = snapshot(&self.turn_us[0]);
        for shard in &self.turn_us[1..] {
            turn_us += snapshot(shard);
        }
        Metrics { counters, turn_us }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("count", &self.count()).finish_non_exhaustive()
    }
}

/// Reads a histogram that another thread writes.
fn snapshot(lengths: &Mutex<Histogram<u32>>) -> Histogram<u32> {
    lengths.lock().map_or_else(|poisoned| poisoned.into_inner().clone(), |lengths| lengths.clone())
}

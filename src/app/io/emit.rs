//! Whom an event is for: the operators `to`, `except`, `volatile`, `latest_only`, and the emit that ends them.

use std::time::Duration;

use crate::base::slow::Mark;
use crate::proto::engineio::SessionId;
use crate::proto::socketio::EmitArgs;
use crate::proto::ws::Message;

use super::broadcast::{Broadcast, Target, about, frames};
use super::cluster::{Acked, Act, Done, Fetched, Operation, Part};
use super::parser::Parser;
use super::state::ALL;

/// What takes a broadcast to the sockets: a shard, or the handle.
pub(crate) trait Broadcasting {
    fn broadcast(&self, broadcast: Broadcast) -> bool;
    /// A broadcast was encoded: once, whoever gets it.
    fn counted(&self);
    /// Does an operation everywhere; its answers, if it has any, are called back with.
    fn operate(&self, operation: Operation, answered: Option<(Duration, Done)>);
    /// A number for the acks of an event that many are asked to answer.
    fn shared_ack_id(&self) -> u64;
    /// The form of packets.
    fn parser(&self) -> Parser;
    /// From how many bytes on messages may be compressed.
    fn deflate_from(&self) -> usize;
    /// Whether it is a listener of outgoing events who emits.
    fn is_unheard(&self) -> bool {
        false
    }
}

/// How long answers of many are awaited where nothing else is said: as the official server awaits other servers'.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// A shard, as those are lent it who have no socket.
pub struct Here<'a> {
    pub(super) out: &'a dyn Broadcasting,
}

impl Here<'_> {
    /// Everybody in the main namespace.
    pub fn io(&self) -> BroadcastOperator<'_> {
        self.of("/")
    }

    /// Everybody in a namespace.
    pub fn of<'s>(&'s self, namespace: &'s str) -> BroadcastOperator<'s> {
        BroadcastOperator::new(self.out, namespace, None)
    }
}

impl std::fmt::Debug for Here<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Here")
    }
}

/// Where no Socket.IO is served: nobody gets anything.
pub(crate) struct Nowhere;

impl Broadcasting for Nowhere {
    fn broadcast(&self, _broadcast: Broadcast) -> bool {
        true
    }

    fn counted(&self) {}

    fn operate(&self, _operation: Operation, answered: Option<(Duration, Done)>) {
        answered.into_iter().for_each(|(_, done)| done(&Here { out: self }, Vec::new(), false));
    }

    fn shared_ack_id(&self) -> u64 {
        0
    }

    fn parser(&self) -> Parser {
        Parser::default()
    }

    fn deflate_from(&self) -> usize {
        usize::MAX
    }
}

/// Sockets of a namespace that an event is for. Begun by [`Socket::broadcast`](super::Socket::broadcast),
/// [`to`](super::Socket::to), [`io`](super::Socket::io), or a handle.
#[must_use = "nothing is sent before emit"]
pub struct BroadcastOperator<'s> {
    out: &'s dyn Broadcasting,
    namespace: &'s str,
    target: Target,
    mark: Mark,
    timeout: Duration,
}

impl<'s> BroadcastOperator<'s> {
    pub(crate) fn new(
        out: &'s dyn Broadcasting,
        namespace: &'s str,
        except_socket: Option<SessionId>,
    ) -> Self {
        let target = Target { except_socket, ..Target::default() };
        Self { out, namespace, target, mark: Mark::UNSET, timeout: ANSWERED_WITHIN }
    }

    /// Only members of this room; called again, of this one or those before.
    pub fn to(mut self, room: impl AsRef<str>) -> Self {
        self.target.rooms.push(own(room.as_ref()).into());
        self
    }

    /// Nobody who is in this room.
    pub fn except(mut self, room: impl AsRef<str>) -> Self {
        self.target.except.push(own(room.as_ref()).into());
        self
    }

    /// Only clients that take it at once: it is dropped where something else is queued.
    pub fn volatile(mut self) -> Self {
        self.target.is_volatile = true;
        self
    }

    /// Whether it is compressed for clients that take it so, where it is long enough. It is, unless this says no.
    pub fn compress(mut self, compress: bool) -> Self {
        self.target.is_plain = !compress;
        self
    }

    /// Dropped for clients that have no room for it, who stay.
    pub const fn drop_new(mut self) -> Self {
        self.mark = Mark::NEW;
        self
    }

    /// For clients that have no room for it older ones of its kind are dropped; and it is dropped for newer ones.
    pub const fn drop_oldest(mut self) -> Self {
        self.mark = Mark::OLDEST;
        self
    }

    /// Takes the place of the event of this namespace that was sent before with this key, for every client for which that has
    /// not begun to leave; whether or not a limit is reached. So a slow client gets fewer of them, and the last one always.
    ///
    /// It stands where the older one stood: before what was sent between them. The same key means the same for every event and room.
    ///
    /// ```
    /// # fn tick(server: &throng::Handle) {
    /// server.io().to("prices").latest_only("EURUSD").emit("price", ("EURUSD", 1.0842));
    /// # }
    /// ```
    pub fn latest_only(mut self, key: impl AsRef<str>) -> Self {
        self.mark = Mark::latest(self.namespace, key.as_ref());
        self
    }

    /// Never dropped, whatever a client's policy is: one that has no room for it is closed.
    pub const fn or_close(mut self) -> Self {
        self.mark = Mark::KEEP;
        self
    }

    /// Only sockets of this process: with the adapter that is built in, all of them.
    pub fn local(mut self) -> Self {
        self.target.is_local = true;
        self
    }

    /// How long answers are awaited that are asked for. 5 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends the event. It is encoded once, whatever the number of sockets and shards. False: it could not be serialized,
    /// or another shard was too far behind to take it, and its sockets do not get it; from a
    /// [`Handle`](crate::Handle) nobody does then.
    pub fn emit(self, event: &str, args: impl EmitArgs) -> bool {
        let out = self.out;
        self.encoded(None, event, args).is_some_and(|broadcast| out.broadcast(broadcast))
    }

    /// The event, encoded once for all; `None`, and logged, where it cannot be.
    fn encoded(self, ack_id: Option<u64>, event: &str, args: impl EmitArgs) -> Option<Broadcast> {
        let (mut packet, mut attachments) = (Vec::with_capacity(128), Vec::new());
        let parser = self.out.parser();
        if let Err(error) = parser.event(&mut packet, &mut attachments, self.namespace, ack_id, event, &args)
        {
            tracing::error!(%error, "an event was not sent");
            return None;
        }
        let packet = match parser {
            Parser::Json => Message::Text(std::str::from_utf8(&packet).expect("the encoder writes text")),
            Parser::Msgpack => Message::Binary(&packet),
        };
        // What is asked for is owed, unless it is said otherwise: a client that gets another event cannot answer.
        let mark = if ack_id.is_some() && self.mark == Mark::UNSET { Mark::KEEP } else { self.mark };
        let deflate_from = if self.target.is_plain { usize::MAX } else { self.out.deflate_from() };
        let (frames, pieces) = frames(&about(self.namespace, event), packet, &attachments, deflate_from);
        let frames = frames.marked(mark);
        self.out.counted();
        let is_unheard = self.out.is_unheard();
        Some(Broadcast { namespace: self.namespace.into(), target: self.target, frames, pieces, is_unheard })
    }
}

impl BroadcastOperator<'_> {
    /// Puts the sockets into a room.
    pub fn sockets_join(self, room: impl AsRef<str>) {
        self.operate(Act::Join(own(room.as_ref()).into()), None);
    }

    /// Takes the sockets out of a room.
    pub fn sockets_leave(self, room: impl AsRef<str>) {
        self.operate(Act::Leave(own(room.as_ref()).into()), None);
    }

    /// Takes the sockets out of their namespace; with `session`, closes all that their clients have.
    pub fn disconnect_sockets(self, session: bool) {
        self.operate(Act::Disconnect { session }, None);
    }

    /// Asks which sockets there are, and calls `done` with the answer of all shards, or of those that have answered within the
    /// [`timeout`](Self::timeout). It runs on a shard, which it is lent.
    ///
    /// ```
    /// # fn count(handle: &throng::Handle) {
    /// handle.io().to("game").fetch_sockets(|here, fetched| {
    ///     here.io().emit("playing", fetched.sockets.len());
    /// });
    /// # }
    /// ```
    pub fn fetch_sockets(self, done: impl FnOnce(&Here<'_>, Fetched) + Send + 'static) {
        let timeout = self.timeout;
        let done: Done = Box::new(move |here, parts, is_partial| {
            let sockets = parts.into_iter().flat_map(|part| match part {
                Part::Sockets(sockets) => sockets,
                Part::Acks { .. } => Vec::new(),
            });
            done(here, Fetched { sockets: sockets.collect(), is_partial });
        });
        self.operate(Act::Fetch, Some((timeout, done)));
    }

    /// Sends the event and calls `done` with what the clients answer within the [`timeout`](Self::timeout), as soon as none is
    /// awaited any more: one that is gone is not. It is encoded once. `done` runs on a shard, which it is lent.
    pub fn emit_with_acks(
        self,
        event: &str,
        args: impl EmitArgs,
        done: impl FnOnce(&Here<'_>, Acked) + Send + 'static,
    ) {
        let within = self.timeout;
        let done: Done = Box::new(move |here, parts, is_partial| {
            let mut acked = Acked { answers: Vec::new(), missing: 0, is_partial };
            for part in parts {
                if let Part::Acks { answers, missing } = part {
                    acked.answers.extend(answers);
                    acked.missing += missing;
                }
            }
            done(here, acked);
        });
        let (out, ack_id) = (self.out, self.out.shared_ack_id());
        match self.encoded(Some(ack_id), event, args) {
            Some(broadcast) => {
                let (namespace, target) = (broadcast.namespace.clone(), broadcast.target.clone());
                let act = Act::Ask { broadcast, ack_id, within };
                out.operate(Operation { namespace, target, act, asks: None }, Some((within, done)));
            }
            None => done(&Here { out }, Vec::new(), false),
        }
    }

    /// Says something to the [listeners](super::Io::on_server) of all other shards. Rooms are not looked at.
    pub fn server_side_emit(self, event: &str, args: impl EmitArgs) {
        match self.out.parser().raw_args(&args) {
            Ok(args) => self.operate(Act::Say { event: event.into(), args }, None),
            Err(error) => tracing::error!(error, "what cannot be encoded was not said"),
        }
    }

    fn operate(self, act: Act, answered: Option<(Duration, Done)>) {
        let operation = Operation { namespace: self.namespace.into(), target: self.target, act, asks: None };
        self.out.operate(operation, answered);
    }
}

/// A room that an application may name. The one that everybody is in is none: a name that came from a client would else speak to
/// all.
fn own(room: &str) -> &str {
    if room == ALL { "\0\0" } else { room }
}

impl std::fmt::Debug for BroadcastOperator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BroadcastOperator")
            .field("namespace", &self.namespace)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

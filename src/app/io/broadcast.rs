//! An event on its way to many sockets: encoded once, whatever their number and however many shards they live on.

use std::cell::RefCell;
use std::time::Duration;

use crate::core::published::Published;
use crate::proto::engineio::{PacketKind, SessionId};
use crate::proto::ws::{Message, encode};

use super::cluster::{Done, Operation};
use super::emit::Broadcasting;
use super::parser::Parser;
use super::port::Port;
use super::session::Link;
use super::state::{ALL, Cx, State};

/// An event and whom it is for.
#[derive(Debug)]
pub(crate) struct Broadcast {
    pub(super) namespace: Box<str>,
    pub(super) target: Target,
    /// The WebSocket frames: of the packet, then of its attachments.
    pub(super) frames: Published,
    /// Where the pieces lie in the frames, without their headers: what polling clients are sent.
    pub(super) pieces: Vec<(u32, u32)>,
    /// Listeners of outgoing events are not told.
    pub(super) is_unheard: bool,
}

/// Whom an event is for.
#[derive(Clone, Default, Debug)]
pub(crate) struct Target {
    /// Members of any of these; of the whole namespace if there are none.
    pub(super) rooms: Vec<Box<str>>,
    /// But of none of these.
    pub(super) except: Vec<Box<str>>,
    /// Nor this socket.
    pub(super) except_socket: Option<SessionId>,
    pub(super) is_volatile: bool,
    /// Nobody gets it compressed.
    pub(super) is_plain: bool,
    /// On this shard's host alone, which with the adapter in this process is everywhere.
    pub(super) is_local: bool,
}

/// The frames of a packet with its attachments behind what they are about, those of `deflate_from` bytes to be compressed for
/// whom they may be, and where the pieces lie in them.
pub(super) fn frames(
    about: &[&str],
    packet: Message<'_>,
    attachments: &[Vec<u8>],
    deflate_from: usize,
) -> (Published, Vec<(u32, u32)>) {
    let payloads = packet.len() + attachments.iter().map(Vec::len).sum::<usize>();
    let frame_at = about.iter().map(|part| part.len()).sum();
    let mut bytes = Vec::with_capacity(frame_at + payloads + (1 + attachments.len()) * 14);
    about.iter().for_each(|part| bytes.extend_from_slice(part.as_bytes()));
    let mut pieces = Vec::with_capacity(1 + attachments.len());
    let mut append = |message: Message<'_>| {
        encode::append(&mut bytes, message);
        let end = bytes.len() - frame_at;
        pieces.push(((end - message.len()) as u32, end as u32));
    };
    append(packet);
    attachments.iter().for_each(|attachment| append(Message::Binary(attachment)));
    let longest = pieces.iter().map(|(from, to)| to - from).max().unwrap_or(0);
    (Published::of_frames(&bytes, frame_at, longest as usize, deflate_from), pieces)
}

/// What an event is about, to a client that gets only the latest of each.
pub(super) const fn about<'e>(namespace: &'e str, event: &'e str) -> [&'e str; 3] {
    [namespace, ",", event]
}

impl Broadcast {
    /// The packet and its attachments, without the headers of their frames.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let frames = self.frames.frame();
        self.pieces.iter().map(move |&(from, to)| &frames[from as usize..to as usize])
    }

    /// What it occupies, for the limits of mailboxes.
    pub(crate) fn bytes(&self) -> usize {
        let rooms = self.target.rooms.iter().chain(&self.target.except);
        self.frames.bytes() + 64 + rooms.map(|room| room.len() + 16).sum::<usize>()
    }
}

impl State {
    /// Queues a broadcast for the sockets of this shard that it is for.
    pub(super) fn apply(&mut self, port: &mut dyn Port, broadcast: &Broadcast) {
        self.sent_to_many(broadcast);
        self.each(&broadcast.namespace, &broadcast.target, |state, socket| {
            state.deliver(port, socket, broadcast)
        });
    }

    /// Calls `work` with every socket of this shard that a target names, once each.
    #[inline]
    pub(super) fn each(&mut self, namespace: &str, target: &Target, mut work: impl FnMut(&mut Self, u32)) {
        let Some(namespace) = self.namespaces.number(namespace) else { return };
        // The rooms step aside while they are walked: nothing that `work` does changes them.
        let rooms = std::mem::take(&mut self.rooms);
        self.stamp = self.stamp.wrapping_add(1);
        for room in &target.except {
            rooms.members(namespace, room).for_each(|socket| _ = self.is_new(socket));
            self.own_room(room).into_iter().for_each(|socket| _ = self.is_new(socket));
        }
        let except_socket = target.except_socket.as_ref().and_then(|id| self.socket_of(id));
        except_socket.into_iter().for_each(|socket| _ = self.is_new(socket));
        let mut once = |state: &mut Self, socket| {
            if state.is_new(socket) {
                work(state, socket);
            }
        };
        if target.rooms.is_empty() {
            rooms.members(namespace, ALL).for_each(|socket| once(self, socket));
        }
        for room in &target.rooms {
            rooms.members(namespace, room).for_each(|socket| once(self, socket));
            if let Some(socket) =
                self.own_room(room).filter(|&socket| self.sockets[socket as usize].namespace == namespace)
            {
                once(self, socket);
            }
        }
        self.rooms = rooms;
    }

    /// Whether the walk that is under way has not been at this socket before.
    #[inline]
    fn is_new(&mut self, socket: u32) -> bool {
        std::mem::replace(&mut self.sockets[socket as usize].mark, self.stamp) != self.stamp
    }

    /// Every socket has a room of its own, which nobody keeps: its id is the way to it.
    fn own_room(&self, room: &str) -> Option<u32> {
        SessionId::parse(room).and_then(|id| self.socket_of(&id))
    }

    /// Queues a broadcast for a socket.
    #[inline]
    fn deliver(&mut self, port: &mut dyn Port, socket: u32, broadcast: &Broadcast) {
        let entry = &self.sockets[socket as usize];
        if entry.is_over {
            return;
        }
        let slot = entry.session;
        if broadcast.target.is_volatile && !self.is_ready(port, slot) {
            return;
        }
        let Some(session) = self.sessions.get(slot as usize) else { return };
        match &session.link {
            Link::WebSocket(key) => port.hand(*key, &broadcast.frames),
            Link::Polling(polling) => {
                let frames = &broadcast.frames;
                let mark = frames.mark().or(polling.policy, || frames.topic_mark());
                let is_text = self.config.parser == Parser::Json;
                self.wait(port, slot, mark, frames.bytes(), |payload| {
                    let mut pieces = broadcast.pieces();
                    if is_text && let Some(text) = pieces.next() {
                        let text = std::str::from_utf8(&text[1..]);
                        payload.text(PacketKind::Message, text.expect("the first piece was made from a str"));
                    }
                    pieces.for_each(|bytes| payload.binary(bytes));
                });
            }
        }
    }
}

impl Broadcasting for RefCell<Cx<'_>> {
    fn broadcast(&self, broadcast: Broadcast) -> bool {
        let Cx { state, port } = &mut *self.borrow_mut();
        state.apply(*port, &broadcast);
        state.adapter.broadcast(*port, state.shard, broadcast)
    }

    fn counted(&self) {
        self.borrow().port.counters().io_broadcasts_encoded.add(1);
    }

    fn operate(&self, operation: Operation, answered: Option<(Duration, Done)>) {
        let Cx { state, port } = &mut *self.borrow_mut();
        state.operate(*port, operation, answered);
    }

    fn shared_ack_id(&self) -> u64 {
        let Cx { state, port } = &mut *self.borrow_mut();
        state.shared_ack_id(port.shards())
    }

    fn parser(&self) -> Parser {
        self.borrow().state.config.parser
    }

    fn deflate_from(&self) -> usize {
        self.borrow().port.deflate_from()
    }

    fn is_unheard(&self) -> bool {
        self.borrow().state.outgoing.is_telling()
    }
}

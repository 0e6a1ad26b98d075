//! An event on its way to many sockets: encoded once, whatever their number and however many shards they live on.

use crate::core::publication::Publication;
use crate::proto::engineio::{PacketKind, SessionId};
use crate::proto::ws::{Message, encode};

use super::parser::Parser;
use super::port::Port;
use super::session::Link;
use super::state::{ALL, State};

/// An event and whom it is for.
#[derive(Debug)]
pub(crate) struct Broadcast {
    pub(super) namespace: Box<str>,
    pub(super) target: Target,
    /// The WebSocket frames: of the packet, then of its attachments.
    pub(super) frames: Publication,
    /// Where the pieces lie in the frames, without their headers: what polling clients are sent.
    pub(super) pieces: Vec<(u32, u32)>,
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
    /// On this shard's host alone, which with the adapter in this process is everywhere.
    pub(super) is_local: bool,
}

/// The frames of a packet with its attachments, and where the pieces lie in them.
pub(super) fn frames(packet: Message<'_>, attachments: &[Vec<u8>]) -> (Publication, Vec<(u32, u32)>) {
    let mut bytes =
        Vec::with_capacity(packet.len() + attachments.iter().map(|one| one.len() + 14).sum::<usize>() + 14);
    let mut pieces = Vec::with_capacity(1 + attachments.len());
    let mut append = |message: Message<'_>| {
        encode::append(&mut bytes, message);
        pieces.push(((bytes.len() - message.len()) as u32, bytes.len() as u32));
    };
    append(packet);
    attachments.iter().for_each(|attachment| append(Message::Binary(attachment)));
    (Publication::of_frames(&bytes), pieces)
}

impl Broadcast {
    /// What it occupies, for the limits of mailboxes.
    pub(crate) fn bytes(&self) -> usize {
        let rooms = self.target.rooms.iter().chain(&self.target.except);
        self.frames.bytes() + 64 + rooms.map(|room| room.len() + 16).sum::<usize>()
    }
}

impl State {
    /// Queues a broadcast for the sockets of this shard that it is for.
    pub(super) fn apply(&mut self, port: &mut dyn Port, broadcast: &Broadcast) {
        self.each(&broadcast.namespace, &broadcast.target, |state, socket| {
            state.deliver(port, socket, broadcast)
        });
    }

    /// Calls `work` with every socket of this shard that a target names, once each.
    #[inline]
    pub(super) fn each(&mut self, namespace: &str, target: &Target, mut work: impl FnMut(&mut Self, u32)) {
        let Some(&space) = self.numbers.get(namespace) else { return };
        // The rooms step aside while they are walked: nothing that `work` does changes them.
        let hub = std::mem::take(&mut self.hubs[space as usize]);
        self.stamp = self.stamp.wrapping_add(1);
        for room in &target.except {
            hub.members(room).for_each(|socket| _ = self.is_new(socket));
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
            hub.members(ALL).for_each(|socket| once(self, socket));
        }
        for room in &target.rooms {
            hub.members(room).for_each(|socket| once(self, socket));
            if let Some(socket) =
                self.own_room(room).filter(|&socket| self.sockets[socket as usize].space == space)
            {
                once(self, socket);
            }
        }
        self.hubs[space as usize] = hub;
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
        let Some(session) = self.sessions.get_mut(slot as usize) else { return };
        match &mut session.link {
            Link::WebSocket(key) => port.hand(*key, &broadcast.frames),
            Link::Polling(polling) => {
                let frames = broadcast.frames.frame();
                let piece = |&(from, to): &(u32, u32)| &frames[from as usize..to as usize];
                if self.config.parser == Parser::Msgpack {
                    broadcast.pieces.iter().for_each(|range| polling.binary(piece(range)));
                } else if let Some((text, attachments)) = broadcast.pieces.split_first() {
                    let text =
                        std::str::from_utf8(&piece(text)[1..]).expect("the first piece was made from a str");
                    polling.text(PacketKind::Message, text);
                    attachments.iter().for_each(|range| polling.binary(piece(range)));
                }
                self.unpolled.push(slot);
            }
        }
    }
}

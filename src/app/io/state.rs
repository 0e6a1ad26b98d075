//! What a shard's Socket.IO keeps: sessions, sockets, rooms, deadlines. Handlers are not in here, so that one can run
//! while all of this is lent to it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use slab::Slab;

use crate::base::id::Key;
use crate::base::slow::Mark;
use crate::core::service::{Delivery, Ticket};
use crate::core::timers::TimerId;
use crate::hub::Subscribed;
use crate::proto::engineio::{PacketKind, SessionId};
use crate::proto::http::Response;
use crate::proto::ws::Message;

use super::adapter::{Adapter, InProcess};
use super::admit::{Greeting, Waiting};
use super::alarms::Alarms;
use super::attachments::Unfinished;
use super::broadcast::frames;
use super::cluster::{Done, Gather, Operation, Part, Query};
use super::config::IoConfig;
use super::dress::{Manner, Press};
use super::ends::LetGo;
use super::evict::Unconnected;
use super::handshake::Handshake;
use super::heartbeat::{Due, Heartbeats};
use super::mail::{Errant, IoMail};
use super::namespaces::Namespaces;
use super::outgoing::Outgoing;
use super::parser::Parser;
use super::port::Port;
use super::reason::Reason;
use super::remote::IoRemote;
use super::rooms::Rooms;
use super::roster::Roster;
use super::session::{Link, NONE, Session};

/// The room that every socket of a namespace is in. An application's own rooms may not have this name.
pub(super) const ALL: &str = "\0";

/// A client in a namespace.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) random: [u8; 15],
    pub(super) is_over: bool,
    /// Its connection handlers have run.
    pub(super) is_greeted: bool,
    /// The number of its namespace.
    pub(super) namespace: u16,
    /// Its session, [`NONE`] once that is gone.
    pub(super) session: u32,
    /// The next socket of the same session.
    pub(super) next: u32,
    /// Where its data lies in its namespace.
    pub(super) data: u32,
    /// The broadcast that has looked at it last.
    pub(super) mark: u32,
    /// Acks that are awaited of it.
    pub(super) acks: u32,
}

/// A request that is held here.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: SessionId,
    pub(super) manner: Manner,
}

pub(crate) struct State {
    /// The way back here from other threads.
    pub(super) remote: IoRemote,
    /// Clients that wait for a word about them: by number, which namespace of which session.
    pub(super) waiting: HashMap<u64, Waiting>,
    /// Which of them asked for what, so that none asks twice and a session's own lie together: slot, serial and namespace,
    /// and the number.
    pub(super) asked: BTreeMap<(u32, u32, u16), u64>,
    pub(super) deferrals: u64,
    pub(super) config: Arc<IoConfig>,
    pub(super) shard: usize,
    pub(super) serial: u32,
    pub(super) sessions: Slab<Session>,
    /// How many of them there are on all shards.
    pub(super) roster: Arc<Roster>,
    /// Those that may have to make room.
    pub(super) unconnected: Unconnected,
    /// Whose each of them is, where an address has a limit.
    pub(super) addresses: HashMap<u32, IpAddr>,
    pub(super) heartbeats: Heartbeats,
    pub(super) alarms: Alarms,
    /// Packets whose attachments are not whole.
    pub(super) unfinished: Unfinished,
    /// The tick that is set, and when it is due.
    pub(super) tick: Option<(TimerId, u64)>,
    pub(super) sockets: Slab<Entry>,
    pub(super) namespaces: Namespaces,
    pub(super) rooms: Rooms,
    /// Requests that came in here and are held.
    pub(super) held: HashMap<Ticket, Held>,
    /// What sockets were asked for with, where that is kept.
    pub(super) handshakes: HashMap<u32, Arc<Handshake>>,
    pub(super) press: Press,
    /// Sockets whose connection handlers are still to run. By socket: one that says something before its time is not to be
    /// looked for among all that came in with it.
    pub(super) greetings: HashMap<u32, Greeting>,
    /// Sockets that are over and have yet to be told so.
    pub(super) ended: Vec<(u32, Reason)>,
    /// Sessions that have something for a poll that waits.
    pub(super) unpolled: Vec<u32>,
    /// What waits for clients that poll makes the shard hold so many bytes.
    pub(super) polls_held: usize,
    /// Sessions that ended while no poll waited, and when: one that was on its way then is let go as it would have been,
    /// wherever it came in.
    pub(super) let_go: VecDeque<LetGo>,
    /// Working space for packets.
    pub(super) out: Vec<u8>,
    pub(super) attachments: Vec<Vec<u8>>,
    pub(super) adapter: Box<dyn Adapter>,
    /// What is asked of the cluster, by number; what is answered, to be called back once nothing is lent.
    pub(super) queries: HashMap<u64, Query>,
    pub(super) queries_begun: u64,
    pub(super) answered: Vec<(Done, Vec<Part>, bool)>,
    pub(super) gathers: HashMap<u64, Gather>,
    /// Who has yet to answer in those: socket and number, so that a socket's own lie together.
    pub(super) silent: BTreeSet<(u32, u64)>,
    pub(super) shared_acks: u64,
    /// What the other shards have said, to be told to this one's listeners.
    pub(super) said: VecDeque<Arc<Operation>>,
    /// What those who listen to it have yet to hear of what was sent.
    pub(super) outgoing: Outgoing,
    pub(super) stamp: u32,
}

/// What a handler's socket is lent.
pub(crate) struct Cx<'a> {
    pub(super) state: &'a mut State,
    pub(super) port: &'a mut dyn Port,
}

impl State {
    pub(super) fn new(shard: usize, config: Arc<IoConfig>, roster: Arc<Roster>, remote: IoRemote) -> Self {
        Self {
            roster,
            unconnected: Unconnected::default(),
            addresses: HashMap::new(),
            remote,
            waiting: HashMap::new(),
            asked: BTreeMap::new(),
            deferrals: 0,
            shard,
            serial: 0,
            sessions: Slab::new(),
            heartbeats: Heartbeats::new(&config),
            alarms: Alarms::default(),
            unfinished: Unfinished::default(),
            tick: None,
            sockets: Slab::new(),
            namespaces: Namespaces::default(),
            rooms: Rooms::default(),
            held: HashMap::new(),
            handshakes: HashMap::new(),
            press: Press::default(),
            greetings: HashMap::new(),
            ended: Vec::new(),
            unpolled: Vec::new(),
            polls_held: 0,
            let_go: VecDeque::new(),
            out: Vec::new(),
            attachments: Vec::new(),
            adapter: Box::new(InProcess),
            queries: HashMap::new(),
            queries_begun: 0,
            answered: Vec::new(),
            gathers: HashMap::new(),
            silent: BTreeSet::new(),
            shared_acks: 0,
            said: VecDeque::new(),
            outgoing: Outgoing::default(),
            stamp: 0,
            config,
        }
    }

    /// The slot of the session with this id.
    pub(super) fn slot_of(&self, id: &SessionId) -> Option<u32> {
        let session = self.sessions.get(id.slot as usize)?;
        (id.shard as usize == self.shard && session.random == id.random).then_some(id.slot)
    }

    /// The slot of the socket with this id.
    pub(super) fn socket_of(&self, id: &SessionId) -> Option<u32> {
        let socket = self.sockets.get(id.slot as usize)?;
        (id.shard as usize == self.shard && socket.random == id.random && !socket.is_over).then_some(id.slot)
    }

    pub(super) fn socket_id(&self, socket: u32) -> SessionId {
        SessionId { random: self.sockets[socket as usize].random, shard: self.shard as u16, slot: socket }
    }

    /// The name of a socket's namespace.
    pub(super) fn name_of(&self, socket: u32) -> Rc<str> {
        self.namespaces.name(self.sockets[socket as usize].namespace).clone()
    }

    pub(super) fn file(&mut self, port: &mut dyn Port, due: Due, slot: u32) {
        let now_us = port.now_us();
        self.file_from(port, due, slot, now_us);
    }

    /// Files a deadline that is counted from another moment than now, and returns it.
    pub(super) fn file_from(&mut self, port: &mut dyn Port, due: Due, slot: u32, from_us: u64) -> u32 {
        let serial = self.sessions[slot as usize].serial;
        let (at, is_sooner) = self.heartbeats.file(due, slot, serial, from_us);
        if is_sooner {
            self.set_tick(port);
        }
        at
    }

    /// Has the next tick at what is due first.
    pub(super) fn set_tick(&mut self, port: &mut dyn Port) {
        let first = [self.heartbeats.ticks_at(), self.alarms.first(), self.unfinished.first()];
        let first = first.into_iter().flatten().min();
        // One that is due by now and set anew would ring a turn later.
        let now_us = port.now_us();
        if self.tick.zip(first).is_some_and(|((_, set_us), due_us)| set_us <= due_us.max(now_us)) {
            return;
        }
        if let Some((tick, _)) = self.tick.take() {
            port.cancel_tick(tick);
        }
        self.tick = first.map(|due_us| (port.set_tick(due_us), due_us));
    }
    /// Sends a message of plain Engine.IO.
    pub(super) fn message(&mut self, port: &mut dyn Port, slot: u32, text: &str) -> Delivery {
        let Some(session) = self.sessions.get(slot as usize) else { return Delivery::Dropped };
        match &session.link {
            Link::WebSocket(key) => {
                let mut packet = String::with_capacity(text.len() + 1);
                packet.push(char::from(PacketKind::Message.digit()));
                packet.push_str(text);
                port.send(*key, Message::Text(&packet), Mark::UNSET)
            }
            Link::Polling(polling) => {
                let mark = Mark::UNSET.or(polling.policy, Mark::direct);
                self.wait(port, slot, mark, text.len(), |payload| payload.text(PacketKind::Message, text))
            }
        }
    }

    /// Sends a ping: however much a client has yet to take, it is not its heartbeat that is too much.
    pub(super) fn ping(&mut self, port: &mut dyn Port, slot: u32) {
        const PING: u8 = PacketKind::Ping.digit();
        let Some(session) = self.sessions.get(slot as usize) else { return };
        match &session.link {
            Link::WebSocket(key) => {
                port.send_heartbeat(*key, Message::Text(char::from(PING).encode_utf8(&mut [0; 4])));
            }
            Link::Polling(_) => {
                self.wait(port, slot, Mark::KEEP, 1, |payload| payload.text(PacketKind::Ping, ""));
            }
        }
    }

    /// Sends what the working space holds: the text of a Socket.IO packet with Engine.IO's digit before it, and its
    /// attachments; or a packet in MessagePack. It is one unit: nothing comes between a packet and its attachments, and either all
    /// of them are dropped or none.
    pub(super) fn send_out(&mut self, port: &mut dyn Port, slot: u32, mark: Mark) -> Delivery {
        self.send_out_as(port, slot, mark, false)
    }

    /// The same, and with `is_plain` never compressed.
    pub(super) fn send_out_as(
        &mut self,
        port: &mut dyn Port,
        slot: u32,
        mark: Mark,
        is_plain: bool,
    ) -> Delivery {
        let is_text = self.config.parser == Parser::Json;
        let Some(session) = self.sessions.get(slot as usize) else { return Delivery::Dropped };
        let text = |out| std::str::from_utf8(out).expect("the encoder writes text");
        if let Link::WebSocket(key) = session.link {
            let packet = if is_text { Message::Text(text(&self.out)) } else { Message::Binary(&self.out) };
            if self.attachments.is_empty() {
                return if is_plain {
                    port.send_plain(key, packet, mark)
                } else {
                    port.send(key, packet, mark)
                };
            }
            let deflate_from = if is_plain { usize::MAX } else { port.deflate_from() };
            let (frames, _) = frames(&[], packet, &self.attachments, deflate_from);
            return port.send_frames(key, &frames.marked(mark));
        }
        let (out, attachments) = (std::mem::take(&mut self.out), std::mem::take(&mut self.attachments));
        let delivery = self.wait(port, slot, mark, out.len(), |payload| {
            if is_text {
                payload.text(PacketKind::Message, &text(&out)[1..]);
            } else {
                payload.binary(&out);
            }
            attachments.iter().for_each(|bytes| payload.binary(bytes));
        });
        (self.out, self.attachments) = (out, attachments);
        delivery
    }

    /// Answers a held request, wherever it is held.
    pub(super) fn answer(&mut self, port: &mut dyn Port, errant: Errant, response: Response) {
        if errant.shard as usize == self.shard {
            self.answer_held(port, errant.ticket, response);
        } else {
            port.mail(errant.shard as usize, IoMail::Answer(Box::new((errant.ticket, response))));
        }
    }

    /// Answers a request that is held here.
    pub(super) fn answer_held(&mut self, port: &mut dyn Port, ticket: Ticket, response: Response) {
        // One whose peer is gone is not held any more.
        if let Some(held) = self.held.remove(&ticket) {
            let response = self.dress(port, &held.manner, response);
            port.answer(ticket, response);
        }
    }

    /// Puts a socket into a room.
    pub(super) fn join(&mut self, port: &dyn Port, socket: u32, room: &str) -> Subscribed {
        // The room of all is one of them.
        let most = self.config.rooms_per_socket_max.saturating_add(1);
        let namespace = self.sockets[socket as usize].namespace;
        let joined = if room.len() > self.config.room_bytes_max {
            Subscribed::TooLong
        } else {
            self.rooms.join(namespace, socket, room, most)
        };
        if matches!(joined, Subscribed::TooMany | Subscribed::TooLong) {
            port.counters().io_rooms_refused.add(1);
        }
        joined
    }

    /// The session's socket in a namespace.
    pub(super) fn socket_in(&self, session: &Session, namespace: u16) -> Option<u32> {
        let mut at = session.first_socket;
        while at != NONE {
            let entry = &self.sockets[at as usize];
            if entry.namespace == namespace && !entry.is_over {
                return Some(at);
            }
            at = entry.next;
        }
        None
    }

    /// The session's socket whose connection handlers are to run by then; of several the one that has waited longest.
    pub(super) fn to_greet(&self, slot: u32, due: u32) -> Option<u32> {
        let mut at = self.sessions.get(slot as usize)?.first_socket;
        let mut longest = None;
        // The newest comes first.
        while at != NONE {
            let greeting = self.greetings.get(&at);
            if greeting.is_some_and(|greeting| due.wrapping_sub(greeting.due) as i32 >= 0) {
                longest = Some(at);
            }
            at = self.sockets[at as usize].next;
        }
        longest
    }

    /// Whether a connection's client takes what is sent at once, as `volatile` asks.
    pub(super) fn is_ready(&self, port: &dyn Port, slot: u32) -> bool {
        self.sessions.get(slot as usize).is_some_and(|session| match &session.link {
            Link::WebSocket(key) => port.queued_bytes(*key) == 0,
            Link::Polling(polling) => polling.poll.is_some() && polling.is_empty(),
        })
    }

    pub(super) fn key_of(&self, slot: u32) -> Option<Key> {
        match self.sessions.get(slot as usize)?.link {
            Link::WebSocket(key) => Some(key),
            Link::Polling(_) => None,
        }
    }
}

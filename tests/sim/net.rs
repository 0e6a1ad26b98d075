//! The simulated network: sockets with two limited buffers, listeners, and what epoll says about them.
//!
//! Edges are those of Linux: a file goes on its poll's ready list when bytes, a FIN or a reset arrive, when a connection
//! is queued, when there is room again after a write found too little, and when it is registered. Poll then reports
//! whatever is true of it at that moment, once. Nothing else makes an edge, so whoever forgets one waits for ever.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use throng::core::io::Event;

use super::faults::{Fault, Faults};
use super::random::Random;

pub type Shared<T> = Rc<RefCell<T>>;

/// How far one end of a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub enum End {
    Open,
    /// FIN was sent; it still reads.
    Finished,
    /// Closed both ways.
    Closed,
    /// Closed by a reset.
    Reset,
}

pub struct Socket {
    pub uid: u32,
    pub to_server: VecDeque<u8>,
    pub to_client: VecDeque<u8>,
    pub to_server_max: usize,
    pub to_client_max: usize,
    pub client: End,
    pub server: End,
    /// The fd table that holds it, while one does.
    pub table: Option<usize>,
    /// Its poll and token.
    pub watch: Option<(usize, u64)>,
    is_pending: bool,
    /// The kernel has no memory for it for the moment.
    pub is_stuck: bool,
    /// A write found too little room: room makes an edge.
    pub wants_room: bool,
    is_reset_told: bool,
    /// How often it has changed its shard.
    pub moves: u32,
    /// When the server last read a byte from it, and the longest time between two such reads.
    pub read_at_us: u64,
    pub silence_us: u64,
    pub began_us: u64,
}

impl Socket {
    pub fn is_broken(&self) -> bool {
        self.client == End::Reset
    }

    fn is_writable(&self) -> bool {
        let room = self.to_client_max.saturating_sub(self.to_client.len());
        self.is_broken() || (!self.is_stuck && room * 3 >= self.to_client_max)
    }

    /// Whether the reset is news: a read is told of it once, then of the end.
    pub fn tell_reset(&mut self) -> bool {
        !std::mem::replace(&mut self.is_reset_told, true)
    }
}

/// A listener's queue, and which polls watch it.
#[derive(Default)]
pub struct Backlog {
    pub queue: VecDeque<usize>,
    pub watched_by: Vec<bool>,
    pub is_closed: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Source {
    Socket(usize),
    Listener(usize, u64),
}

/// One shard's epoll.
#[derive(Default)]
pub struct Poll {
    ready: VecDeque<Source>,
    pub is_woken: bool,
    /// Set while the shard is inside poll: until when it sleeps at most.
    pub asleep_until: Option<u64>,
}

pub struct Net {
    pub random: Random,
    pub faults: Faults,
    pub now_us: u64,
    pub sockets: Vec<Socket>,
    pub backlogs: Vec<Backlog>,
    pub polls: Vec<Poll>,
    /// Open fds per table, and how many one holds.
    pub fds: Vec<usize>,
    pub fds_max: usize,
    pub head_timeout: Duration,
    pub violations: Vec<String>,
}

impl Net {
    pub fn violation(&mut self, what: String) {
        self.violations.push(what);
    }

    pub fn strikes(&mut self, fault: Fault) -> bool {
        self.faults.strikes(fault, &mut self.random)
    }

    /// A connection that waits in nobody's queue yet.
    pub fn socket(&mut self, uid: u32, to_server_max: usize, to_client_max: usize) -> usize {
        self.sockets.push(Socket {
            uid,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            to_server_max,
            to_client_max,
            client: End::Open,
            server: End::Open,
            table: None,
            watch: None,
            is_pending: false,
            is_stuck: false,
            wants_room: false,
            is_reset_told: false,
            moves: 0,
            read_at_us: self.now_us,
            silence_us: 0,
            began_us: self.now_us,
        });
        self.sockets.len() - 1
    }

    /// The connection comes to a listener; refused where that is closed.
    pub fn connect(&mut self, socket: usize, listener: usize) {
        if self.backlogs[listener].is_closed {
            self.sockets[socket].server = End::Reset;
            return;
        }
        self.backlogs[listener].queue.push_back(socket);
        for poll in 0..self.polls.len() {
            if self.backlogs[listener].watched_by[poll] {
                self.listener_edge(poll, listener, 0);
            }
        }
    }

    pub fn listener_edge(&mut self, poll: usize, listener: usize, number: u64) {
        let source = Source::Listener(listener, number);
        let ready = &mut self.polls[poll].ready;
        if !ready.iter().any(|one| matches!(one, Source::Listener(l, _) if *l == listener)) {
            ready.push_back(source);
        }
    }

    pub fn forget_listener(&mut self, poll: usize, listener: usize) {
        self.backlogs[listener].watched_by[poll] = false;
        self.polls[poll].ready.retain(|one| !matches!(one, Source::Listener(l, _) if *l == listener));
    }

    /// Puts a socket on its poll's ready list.
    pub fn edge(&mut self, socket: usize) {
        let Some((poll, _)) = self.sockets[socket].watch else { return };
        if !std::mem::replace(&mut self.sockets[socket].is_pending, true) {
            self.polls[poll].ready.push_back(Source::Socket(socket));
        }
    }

    pub fn unwatch(&mut self, socket: usize) {
        if let Some((poll, _)) = self.sockets[socket].watch.take() {
            self.sockets[socket].is_pending = false;
            self.polls[poll].ready.retain(|one| *one != Source::Socket(socket));
        }
    }

    /// Room again: an edge, if somebody wants one.
    pub fn room(&mut self, socket: usize) {
        let one = &mut self.sockets[socket];
        if one.wants_room && one.is_writable() {
            one.wants_room = false;
            self.edge(socket);
        }
    }

    pub fn unstick(&mut self, socket: usize) {
        self.sockets[socket].is_stuck = false;
        self.room(socket);
    }

    /// What a poll reports: the state of whatever is on the ready list.
    pub fn report(&mut self, poll: usize, numbers: &[usize], events: &mut Vec<Event>) {
        if self.strikes(Fault::SpuriousEvent) && !self.sockets.is_empty() {
            let socket = self.random.below(self.sockets.len());
            self.edge(socket);
        }
        let mut most = usize::MAX;
        if self.strikes(Fault::PartialPoll) {
            most = self.random.within(1, 2);
        }
        while events.len() < most {
            let Some(source) = self.polls[poll].ready.pop_front() else { break };
            match source {
                Source::Listener(listener, _) => {
                    let number = numbers.iter().position(|&one| one == listener);
                    if let Some(number) = number.filter(|_| !self.backlogs[listener].queue.is_empty()) {
                        let token = number as u64;
                        events.push(Event { token, readable: true, writable: false, read_closed: false });
                    }
                }
                Source::Socket(socket) => {
                    let one = &mut self.sockets[socket];
                    one.is_pending = false;
                    let read_closed = one.client != End::Open;
                    let event = Event {
                        token: one.watch.map_or(0, |watch| watch.1),
                        readable: read_closed || !one.to_server.is_empty(),
                        writable: one.is_writable(),
                        read_closed,
                    };
                    one.wants_room |= !event.writable;
                    if event.readable || event.writable {
                        events.push(event);
                    }
                }
            }
        }
    }

    /// Whether the shard's poll would return.
    pub fn may_run(&self, poll: usize) -> bool {
        let Poll { ready, is_woken, asleep_until } = &self.polls[poll];
        asleep_until.is_none_or(|until| *is_woken || !ready.is_empty() || self.now_us >= until)
    }

    /// The client sends; how many bytes its kernel took.
    pub fn client_send(&mut self, socket: usize, bytes: &[u8]) -> usize {
        let one = &mut self.sockets[socket];
        if one.client != End::Open {
            return 0;
        }
        if one.server >= End::Closed {
            // Answered with a reset, which throws away what was still on its way.
            one.server = End::Reset;
            return bytes.len();
        }
        let n = bytes.len().min(one.to_server_max - one.to_server.len().min(one.to_server_max));
        one.to_server.extend(&bytes[..n]);
        if n > 0 {
            self.edge(socket);
        }
        n
    }

    /// The client reads at most `most` bytes; `None` at the end.
    pub fn client_read(&mut self, socket: usize, most: usize, into: &mut Vec<u8>) -> Option<usize> {
        let one = &mut self.sockets[socket];
        let n = most.min(one.to_client.len());
        if n == 0 && one.server != End::Open && one.to_client.is_empty() {
            return None;
        }
        into.extend(one.to_client.drain(..n));
        self.room(socket);
        Some(n)
    }

    /// The client ends its side.
    pub fn client_end(&mut self, socket: usize, end: End) {
        let one = &mut self.sockets[socket];
        if end > one.client {
            // Closing with something unread is a reset.
            let unread = end == End::Closed && !one.to_client.is_empty();
            one.client = if unread { End::Reset } else { end };
            if one.client >= End::Closed {
                one.to_client.clear();
            }
            self.edge(socket);
        }
    }
}

impl Net {
    /// With every shard asleep nobody comes back to a socket that had its edge: what it holds must have been read, and
    /// its end seen. `excused` are those that may be paused.
    pub fn check_sockets(&mut self, excused: impl Fn(usize) -> bool) {
        let mut found = Vec::new();
        for (socket, one) in self.sockets.iter().enumerate() {
            if one.watch.is_none() || excused(socket) {
                continue;
            }
            if !one.to_server.is_empty() {
                found.push(format!("connection {}: {} bytes are not read", one.uid, one.to_server.len()));
            } else if one.client != End::Open {
                found.push(format!("connection {}: its end ({:?}) was missed", one.uid, one.client));
            }
        }
        self.violations.append(&mut found);
    }
}

//! Clients by the thousand: they come at once, say a word and wait to hear it again, answer pings, and notice their end.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use crate::peer::{Dial, Peer, Said};
use crate::wire::{CLOSE, PING, PONG, SOCKET_IO, TEXT, handshake};

/// A client.
pub(super) struct Visitor {
    pub(super) peer: Peer,
    /// When it began to come.
    pub(super) begun: Instant,
    /// It has heard its own word.
    pub(super) is_served: bool,
    /// Pings that it has answered.
    pub(super) pings: u64,
    /// What its request was answered.
    pub(super) status: Option<u16>,
    /// When the server ended it, or closed it, or it could not be understood.
    pub(super) ended: Option<Instant>,
    pub(super) why: String,
}

/// Clients of one thread.
pub(super) struct Visitors {
    address: SocketAddr,
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
    pub(super) all: Slab<Visitor>,
}

impl Visitors {
    pub(super) fn new(address: SocketAddr) -> Self {
        let poll = Poll::new().expect("an fd for a poll");
        let (events, scratch) = (Events::with_capacity(1024), vec![0; 64 << 10]);
        Self { address, poll, events, scratch, all: Slab::new() }
    }

    /// One more comes, and has this to say once it is connected.
    pub(super) fn come(&mut self, hello: &[u8]) {
        let begun = Instant::now();
        let mut peer = Peer::dial(self.address, Dial::default(), hello).expect("this host has fds and ports");
        let entry = self.all.vacant_entry();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry.register(&mut peer.stream, Token(entry.key()), interest).expect("it was not before");
        let why = String::new();
        entry.insert(Visitor { peer, begun, is_served: false, pings: 0, status: None, ended: None, why });
    }

    /// So many come who speak WebSocket, and so many who speak Socket.IO by it.
    pub(super) fn come_in(&mut self, raw: usize, io: usize) {
        let hellos = [handshake("/echo"), handshake(SOCKET_IO)];
        (0..raw).for_each(|_| self.come(&hellos[0]));
        (0..io).for_each(|_| self.come(&hellos[1]));
    }

    /// Waits for the server for so long at most, and answers what it says.
    pub(super) fn step(&mut self, most: Duration) {
        // Interrupted or not: there are events, or none.
        let _woken = self.poll.poll(&mut self.events, Some(most));
        for event in &self.events {
            let Some(visitor) = self.all.get_mut(event.token().0) else { continue };
            if visitor.ended.is_none()
                && let Err(why) = visitor.act(&mut self.scratch)
            {
                (visitor.ended, visitor.why) = (Some(Instant::now()), why);
            }
        }
    }

    /// Steps for so long.
    pub(super) fn step_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while let left = until.saturating_duration_since(Instant::now())
            && !left.is_zero()
        {
            self.step(left);
        }
    }

    /// Steps until something is so; false if it never is.
    pub(super) fn step_until(&mut self, is_so: impl Fn(&Self) -> bool) -> bool {
        let began = Instant::now();
        while began.elapsed() < super::PATIENCE {
            if is_so(self) {
                return true;
            }
            self.step(Duration::from_millis(10));
        }
        false
    }

    /// How many of those who came are so.
    pub(super) fn count(&self, is_so: impl Fn(&Visitor) -> bool) -> usize {
        self.all.iter().filter(|(_, visitor)| is_so(visitor)).count()
    }

    pub(super) fn pings(&self) -> u64 {
        self.all.iter().map(|(_, visitor)| visitor.pings).sum()
    }

    /// Why the first of those was ended who were.
    pub(super) fn first_end(&self) -> &str {
        let ended = self.all.iter().find(|(_, visitor)| visitor.ended.is_some());
        ended.map_or("nobody was ended", |(_, visitor)| &visitor.why)
    }

    /// They go, by reset: nothing of them is left to occupy a port.
    pub(super) fn go(&mut self) {
        self.all.drain().for_each(|visitor| visitor.peer.reset());
    }
}

impl Visitor {
    /// Says what is unsaid, hears what there is and answers it.
    fn act(&mut self, scratch: &mut [u8]) -> Result<(), String> {
        self.peer.flush().map_err(|error: io::Error| error.to_string())?;
        self.peer.fill(scratch, usize::MAX).map_err(|error| error.to_string())?;
        let mut answers: Vec<(u8, Vec<u8>)> = Vec::new();
        while let Some(said) = self.peer.next()? {
            match said {
                Said::Status(status) => self.status = Some(status),
                Said::Frame(PING, payload) => {
                    answers.push((PONG, payload.to_vec()));
                    self.pings += 1;
                }
                Said::Frame(TEXT, b"2") => {
                    answers.push((TEXT, b"3".to_vec()));
                    self.pings += 1;
                }
                Said::Frame(TEXT, [b's', b'h', b'a', b'r', b'd', ..]) => {
                    answers.push((TEXT, b"word".to_vec()))
                }
                Said::Frame(TEXT, [b'0', b'{', ..]) => answers.push((TEXT, b"40".to_vec())),
                Said::Frame(TEXT, [b'4', b'0', b'{', ..]) => {
                    answers.push((TEXT, b"420[\"echo\",\"word\"]".to_vec()));
                }
                Said::Frame(TEXT, b"word" | b"430[\"word\"]") => self.is_served = true,
                Said::Frame(CLOSE, payload) => {
                    let words = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
                    return Err(format!("closed after {} pings: {words}", self.pings));
                }
                Said::Frame(first, payload) => {
                    return Err(format!("{first:#x} {:?}", String::from_utf8_lossy(payload)));
                }
            }
        }
        for (first, payload) in answers {
            self.peer.frame(first, &payload).map_err(|error| error.to_string())?;
        }
        let pings = self.pings;
        if self.peer.is_over { Err(format!("cut after {pings} pings")) } else { Ok(()) }
    }
}

//! Attackers: one that pours what it has into one connection as fast as the kernel takes it, one that comes and goes as fast
//! as it can, and the crowd that listens to what the first one publishes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use slab::Slab;

use super::peer::{Dial, Peer, greeted};
use super::wire::{TEXT, framed, handshake};

/// By which door an attacker comes in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Door {
    /// It speaks HTTP.
    Http,
    /// It opens a WebSocket.
    WebSocket(&'static str),
    /// It opens a session of Socket.IO by polling and connects; `SID` in what it says is the session's id.
    Polling,
}

/// Says the same over and over on one connection.
pub(crate) struct Pump {
    pub(crate) door: Door,
    /// What it says over and over.
    pub(crate) block: Vec<u8>,
    /// Whether it reads what it is told.
    pub(crate) reads: bool,
    /// Bytes of one write.
    pub(crate) step: usize,
}

/// What an attacker has done.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Done {
    /// Bytes written, or connections made.
    pub(crate) units: u64,
    /// How often the server ended it.
    pub(crate) cut: u64,
}

impl Pump {
    /// Pours until `until`; whenever it is cut it comes again.
    pub(crate) fn run(&self, address: SocketAddr, until: Instant) -> Done {
        let mut done = Done::default();
        let mut scratch = vec![0; 256 << 10];
        while Instant::now() < until {
            match self.pour(address, until, &mut scratch, &mut done) {
                Ok(()) => {}
                Err(_) => done.cut += 1,
            }
        }
        done
    }

    fn pour(
        &self,
        address: SocketAddr,
        until: Instant,
        scratch: &mut [u8],
        done: &mut Done,
    ) -> io::Result<()> {
        let (mut peer, block) = match self.door {
            Door::Http => (Peer::dial(address, Dial::default(), b"")?, self.block.clone()),
            Door::WebSocket(path) => (greeted(address, path, Dial::default())?.0, self.block.clone()),
            Door::Polling => {
                let (peer, sid) = session(address)?;
                (peer, replaced(&self.block, &sid))
            }
        };
        let mut at = 0_usize;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // It goes without a word, as attackers do.
                peer.reset();
                return Ok(());
            }
            let wanted = if self.reads { PollFlags::IN | PollFlags::OUT } else { PollFlags::OUT };
            let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
            let _woken = poll(&mut [PollFd::new(&peer.stream, wanted)], Some(&timeout));
            for _ in 0..64 {
                let end = at.saturating_add(self.step).min(block.len());
                match peer.stream.write(&block[at..end]) {
                    Ok(sent) => {
                        done.units += sent as u64;
                        at = if at + sent == block.len() { 0 } else { at + sent };
                    }
                    Err(error) if is_nothing(&error) => break,
                    Err(error) => return Err(error),
                }
            }
            if self.reads {
                drain(&mut peer.stream, scratch)?;
            }
        }
    }
}

/// Reads what there is, and forgets it.
fn drain(stream: &mut impl Read, scratch: &mut [u8]) -> io::Result<()> {
    loop {
        match stream.read(scratch) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if is_nothing(&error) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Nothing to read, or no room to write, for now.
fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected | ErrorKind::Interrupted)
}

/// Opens a session by polling and connects to the main namespace.
fn session(address: SocketAddr) -> io::Result<(Peer, String)> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut answer = |request: &str| -> io::Result<String> {
        stream.write_all(request.as_bytes())?;
        let (mut said, mut byte) = (Vec::new(), [0]);
        // As long as it takes for a whole answer: its head says how long its body is.
        loop {
            stream.read_exact(&mut byte)?;
            said.push(byte[0]);
            let text = String::from_utf8_lossy(&said);
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && let Some((_, behind)) = head.to_ascii_lowercase().split_once("content-length: ")
                && behind.lines().next().and_then(|length| length.parse().ok()) == Some(body.len())
            {
                return Ok(body.to_owned());
            }
        }
    };
    let target = "/socket.io/?EIO=4&transport=polling";
    let open = answer(&format!("GET {target} HTTP/1.1\r\nHost: siege\r\n\r\n"))?;
    let sid = open.split('"').nth(3).ok_or(ErrorKind::InvalidData)?.to_owned();
    answer(&format!("POST {target}&sid={sid} HTTP/1.1\r\nHost: siege\r\nContent-Length: 2\r\n\r\n40"))?;
    drop(stream);
    Ok((Peer::dial(address, Dial::default(), b"")?, sid))
}

fn replaced(block: &[u8], sid: &str) -> Vec<u8> {
    String::from_utf8_lossy(block).replace("SID", sid).into_bytes()
}

/// What one that comes and goes waits for before it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Goes {
    /// Until it is connected and has said what it has to say.
    Connected,
    /// Until it has heard something.
    Answered,
    /// Until the server ends it, or a second has passed.
    Ended,
}

/// Comes and goes, some connections at a time.
pub(crate) struct Storm {
    pub(crate) hello: Vec<u8>,
    pub(crate) goes: Goes,
    pub(crate) at_once: usize,
}

impl Storm {
    /// Storms until `until`.
    pub(crate) fn run(&self, address: SocketAddr, until: Instant) -> Done {
        let mut done = Done::default();
        let mut poll = Poll::new().expect("an fd for a poll");
        let mut events = Events::with_capacity(256);
        let mut peers: Slab<(Peer, Instant)> = Slab::new();
        let mut scratch = vec![0; 64 << 10];
        while Instant::now() < until {
            while peers.len() < self.at_once {
                let Ok(mut peer) = Peer::dial(address, Dial::default(), &self.hello) else { break };
                let entry = peers.vacant_entry();
                let interest = Interest::READABLE | Interest::WRITABLE;
                if poll.registry().register(&mut peer.stream, Token(entry.key()), interest).is_err() {
                    break;
                }
                entry.insert((peer, Instant::now() + Duration::from_secs(1)));
                done.units += 1;
            }
            drop(poll.poll(&mut events, Some(Duration::from_millis(100))));
            let mut over = Vec::new();
            for event in &events {
                let Some((peer, _)) = peers.get_mut(event.token().0) else { continue };
                let failed = peer.flush().is_err();
                let heard = match peer.fill(&mut scratch, usize::MAX) {
                    Ok(_) => peer.heard() > 0,
                    Err(_) => true,
                };
                done.cut += u64::from(peer.is_over);
                let goes = match self.goes {
                    Goes::Connected => peer.unsent() == 0 && event.is_writable(),
                    Goes::Answered => heard,
                    Goes::Ended => false,
                };
                if failed || goes || peer.is_over {
                    over.push(event.token().0);
                }
            }
            let now = Instant::now();
            over.extend(peers.iter().filter(|(_, (_, by))| *by < now).map(|(at, _)| at));
            for at in over {
                if let Some((peer, _)) = peers.try_remove(at) {
                    // By reset: nothing of it is left to occupy a port.
                    peer.reset();
                }
            }
        }
        peers.drain().for_each(|(peer, _)| peer.reset());
        done
    }
}

/// Members of a topic or a room, who read what they are told.
pub(crate) struct Crowd {
    poll: Poll,
    members: Vec<Peer>,
}

impl Crowd {
    /// Lets so many in: of the topic `crowd`, or of the room of that name.
    pub(crate) fn gather(address: SocketAddr, count: usize, path: &str) -> Self {
        let poll = Poll::new().expect("an fd for a poll");
        let mut members = Vec::with_capacity(count);
        for at in 0..count {
            let (mut peer, _) = greeted(address, path, Dial::default()).expect("a member is let in");
            if path.starts_with("/socket.io") {
                peer.say(&framed(TEXT, b"42[\"join\",\"crowd\"]")).expect("a member is heard");
            }
            let registry = poll.registry();
            registry.register(&mut peer.stream, Token(at), Interest::READABLE).expect("it was not before");
            members.push(peer);
        }
        Self { poll, members }
    }

    /// Reads until it is told to stop. Returns how many bytes it heard.
    pub(crate) fn listen(mut self, stop: &AtomicBool) -> u64 {
        let mut events = Events::with_capacity(256);
        let (mut scratch, mut total) = (vec![0; 256 << 10], 0);
        while !stop.load(Ordering::Relaxed) {
            drop(self.poll.poll(&mut events, Some(Duration::from_millis(50))));
            for event in &events {
                let member = &mut self.members[event.token().0];
                while let Ok(n @ 1..) = member.stream.read(&mut scratch) {
                    total += n as u64;
                }
            }
        }
        self.members.into_iter().for_each(Peer::reset);
        total
    }
}

/// A handshake that is wrong in its last line.
pub(crate) fn half_a_head() -> Vec<u8> {
    let mut head = handshake("/echo");
    head.truncate(head.len() - 2);
    head
}

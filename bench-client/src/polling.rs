//! A session that stays with polling: two keep-alive connections, one on which a poll always waits, one for what is
//! posted.
//!
//! Two, because a server answers the requests of one connection in their order: behind a poll that waits a POST would
//! wait as long. Browsers and the official client do the same. Packets that fall due while a POST is under way go
//! together into the next one. Called by the worker for every event of such a session, and by the traffic to send.

use std::cell::OnceCell;
use std::io::{self, ErrorKind};
use std::mem::take;
use std::rc::Rc;
use std::sync::Arc;

use mio::Token;
use mio::net::TcpStream;
use throng::proto::engineio::{Payload, SEPARATOR};
use throng::proto::ws::Opcode;

use crate::clock::Clock;
use crate::conn::{Conn, Phase, Rest};
use crate::dialer::{Dialer, Dialled};
use crate::exchange::{Brought, Exchange};
use crate::inbound::End;
use crate::output::Output;
use crate::session::{Requests, Session, first_packets};
use crate::shared::Shared;
use crate::stats::Stats;
use crate::traffic::Traffic;
use crate::wire::Wire;
use crate::worker::Worker;

/// Set in the token of a session's second connection; no slot is ever this large.
pub(crate) const POSTS: usize = 1 << 62;

/// What sessions need to go on.
#[derive(Debug)]
pub(crate) struct Lines {
    shared: Arc<Shared>,
    dialer: Rc<Dialer>,
    /// Everybody's, where they do not differ.
    requests: OnceCell<Rc<Requests>>,
    /// Where binary packets are decoded.
    decoded: Vec<u8>,
}

/// One session. The connection of its polls is the [`Conn`]'s own.
#[derive(Debug)]
pub(crate) struct Polling {
    session: Session,
    requests: Rc<Requests>,
    slot: usize,
    polls: Exchange,
    posts: Exchange,
    posts_on: Option<Dialled>,
    /// Packets that wait for the POST before them.
    queued: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(shared: Arc<Shared>, dialer: Rc<Dialer>) -> Self {
        Self { shared, dialer, requests: OnceCell::new(), decoded: Vec::new() }
    }

    fn requests(&self, connection: u32) -> Rc<Requests> {
        let make = || {
            let handshake = self.shared.handshake.of(connection);
            Rc::new(handshake.requests().expect("only a run with requests has sessions that poll").clone())
        };
        if self.shared.handshake.is_same() { Rc::clone(self.requests.get_or_init(make)) } else { make() }
    }
}

impl Polling {
    /// Bytes that were not handed to the server's end of a connection, as far as is known.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.queued.len() + self.posts.request_bytes()
    }

    /// Asks for packets.
    fn poll(&mut self) -> u64 {
        self.polls.begin(self.requests.poll(&self.session));
        self.polls.request_bytes() as u64
    }

    /// Posts what is queued, unless something is being posted; how many bytes.
    fn post(&mut self, number: u32, lines: &Lines) -> io::Result<u64> {
        if self.queued.is_empty() || self.posts.is_under_way() {
            return Ok(0);
        }
        let first = first_packets(&self.queued, self.session.payload_bytes_max);
        self.posts.begin(self.requests.post(&self.session, &self.queued[..first]));
        self.queued.drain(..(first + 1).min(self.queued.len()));
        if self.queued.is_empty() {
            self.queued = Vec::new();
        }
        let bytes = self.posts.request_bytes() as u64;
        match &mut self.posts_on {
            // That it has ended is told by its next event, and then it is posted again.
            Some((stream, tls)) => match self.posts.write(&mut Wire::new(stream, tls)) {
                Err(error) if !is_end(&error) => return Err(error),
                _ => {}
            },
            None => self.dial(number, lines)?,
        }
        Ok(bytes)
    }

    fn dial(&mut self, number: u32, lines: &Lines) -> io::Result<()> {
        self.posts_on = Some(lines.dialer.dial(Token(self.slot | POSTS), number as usize, false)?);
        Ok(())
    }
}

impl Conn {
    /// Whether it is a session that polls.
    pub(crate) fn is_polling(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.polling.is_some())
    }

    /// Its session, if that polls.
    fn polling(&mut self) -> Option<&mut Polling> {
        self.rest.as_mut()?.polling.as_deref_mut()
    }
}

impl Worker {
    /// Carries a session that polls on, after an event on either of its connections, and returns the time.
    pub(crate) fn exchange(&mut self, slot: usize, is_post: bool) -> u64 {
        let Self { conns, scratch, traffic, shared, connector, .. } = self;
        let Some(conn) = conns.get_mut(slot).filter(|conn| conn.phase != Phase::Gone) else {
            return shared.clock.now();
        };
        let was_joining = conn.phase == Phase::Joining;
        let gone_on = match is_post {
            true => {
                traffic.posted(conn, scratch).and_then(|is_over| if is_over { Err(End::Eof) } else { Ok(()) })
            }
            false => traffic.polled(conn, scratch, &shared.clock),
        };
        let now = shared.clock.now();
        if was_joining && conn.phase == Phase::Open {
            connector.opened(conn, slot, now, &mut traffic.stats);
        }
        let sent = gone_on.and_then(|()| {
            let refilled = if conn.phase == Phase::Open { traffic.refill(conn, now) } else { Ok(()) };
            refilled.and_then(|()| traffic.flush(conn)).map_err(|error| End::of(&error))
        });
        if let Err(end) = sent {
            traffic.output.clear();
            self.end(slot, &end);
        }
        now
    }
}

impl Traffic {
    /// Goes on with the session that `conn`, in `slot`, has opened: its first poll is begun, the namespace is asked for in
    /// the output.
    pub(crate) fn begin_polling(&mut self, conn: &mut Conn, slot: usize) {
        let own =
            conn.rest.as_deref().and_then(|rest| rest.speech.as_deref()).map(|own| own.connect().to_owned());
        let (Some(lines), Some(socket_io)) = (&self.lines, &self.socket_io) else { return };
        let Some(opening) = conn.rest().opening.as_mut() else { return };
        let Some(session) = opening.session.take() else { return };
        opening.is_session_open = true;
        let (polls, posts) = (Exchange::default(), Exchange::default());
        let requests = lines.requests(conn.number);
        let mut polling =
            Polling { session, requests, slot, polls, posts, posts_on: None, queued: Vec::new() };
        self.stats.tally.bytes_out += polling.poll();
        conn.rest().polling = Some(Box::new(polling));
        let connect = own.as_deref().unwrap_or_else(|| socket_io.connect());
        self.output.append(Opcode::Text, connect.as_bytes());
    }

    /// Queues the output on a session that polls and posts it when it may; false where `conn` has none.
    ///
    /// # Errors
    /// The socket's.
    pub(crate) fn post(&mut self, conn: &mut Conn) -> io::Result<bool> {
        let Some(lines) = &self.lines else { return Ok(false) };
        let number = conn.number;
        let Some(polling) = conn.polling() else { return Ok(false) };
        queue(&mut polling.queued, &mut self.output);
        self.stats.tally.bytes_out += polling.post(number, lines)?;
        Ok(true)
    }

    /// Carries the polls of `conn` on after an event: takes the packets of every answer and polls again.
    ///
    /// # Errors
    /// Why the connection is over.
    pub(crate) fn polled(&mut self, conn: &mut Conn, scratch: &mut [u8], clock: &Clock) -> Result<(), End> {
        loop {
            let (stream, number) = (&mut conn.stream, conn.number);
            let Some(Rest { polling: Some(polling), tls, .. }) = conn.rest.as_deref_mut() else {
                return Ok(());
            };
            let brought = brought(&mut polling.polls, &mut Wire::new(stream, tls), scratch, &mut self.stats);
            let answer = match brought? {
                Brought::Nothing => return Ok(()),
                Brought::Part => continue,
                Brought::Answer(answer) => answer,
                Brought::End => {
                    let Some(lines) = self.lines.as_ref().filter(|_| polling.polls.restart()) else {
                        return Err(End::Refused("ended a connection before it answered a poll".into()));
                    };
                    let token = Token(polling.slot);
                    (*stream, *tls) =
                        lines.dialer.dial(token, number as usize, false).map_err(|error| End::of(&error))?;
                    continue;
                }
            };
            self.stats.tally.bytes_in += answer.bytes as u64;
            let body = String::from_utf8_lossy(&answer.body);
            if answer.status != 200 {
                let what = format!("answered a poll with {} {body}", answer.status);
                return Err(End::Refused(what.trim_end().into()));
            }
            self.payload(conn, &body, clock.now())?;
            let closes = answer.closes;
            let (Some(lines), Phase::Joining | Phase::Open) = (&self.lines, conn.phase) else {
                return Ok(());
            };
            let Some(Rest { polling: Some(polling), tls, .. }) = conn.rest.as_deref_mut() else {
                return Ok(());
            };
            if closes {
                polling.polls.restart();
                let dialled = lines.dialer.dial(Token(polling.slot), number as usize, false);
                (conn.stream, *tls) = dialled.map_err(|error| End::of(&error))?;
            }
            self.stats.tally.bytes_out += polling.poll();
        }
    }

    /// Takes the packets of one answer.
    fn payload(&mut self, conn: &mut Conn, body: &str, now: u64) -> Result<(), End> {
        let mut decoded = self.lines.as_mut().map(|lines| take(&mut lines.decoded)).unwrap_or_default();
        let mut payload = Payload::new(body, u32::MAX, &mut decoded);
        let taken = loop {
            match payload.next() {
                None => break Ok(()),
                Some(packet) => {
                    if let Err(end) = self.packet(conn, packet, now) {
                        break Err(end);
                    }
                }
            }
        };
        if let Some(lines) = &mut self.lines {
            lines.decoded = decoded;
        }
        taken
    }

    /// Carries the posts of `conn` on after an event; whether it is closing and has nothing more to post.
    ///
    /// # Errors
    /// Why the connection is over.
    pub(crate) fn posted(&mut self, conn: &mut Conn, scratch: &mut [u8]) -> Result<bool, End> {
        let (number, is_closing) = (conn.number, conn.phase == Phase::Closing);
        let Some(lines) = &self.lines else { return Ok(false) };
        let Some(polling) = conn.polling() else { return Ok(false) };
        let failed = |error: io::Error| End::of(&error);
        while let Some((stream, tls)) = &mut polling.posts_on {
            match brought(&mut polling.posts, &mut Wire::new(stream, tls), scratch, &mut self.stats)? {
                Brought::Nothing => return Ok(false),
                Brought::Part => {}
                Brought::Answer(answer) => {
                    self.stats.tally.bytes_in += answer.bytes as u64;
                    if answer.status != 200 {
                        let what = format!(
                            "answered a POST with {} {}",
                            answer.status,
                            String::from_utf8_lossy(&answer.body)
                        );
                        return Err(End::Refused(what.trim_end().into()));
                    }
                    if answer.closes {
                        polling.posts.restart();
                        polling.posts_on = None;
                    }
                    self.stats.tally.bytes_out += polling.post(number, lines).map_err(failed)?;
                    if is_closing && !polling.posts.is_under_way() {
                        return Ok(true);
                    }
                }
                Brought::End => {
                    // Servers end what was idle for some seconds. The next POST goes to a new connection, and one that was
                    // sent into the end of this one does so too.
                    polling.posts_on = None;
                    let may_go_on = polling.posts.restart();
                    if polling.posts.is_under_way() {
                        if !may_go_on {
                            return Err(End::Refused("ended a connection before it answered a POST".into()));
                        }
                        polling.dial(number, lines).map_err(failed)?;
                    }
                }
            }
        }
        Ok(false)
    }
}

/// Puts the packets of the output behind those that are queued.
fn queue(queued: &mut Vec<u8>, output: &mut Output) {
    if !queued.is_empty() && !output.as_bytes().is_empty() {
        queued.push(SEPARATOR);
    }
    queued.extend_from_slice(output.as_bytes());
    output.clear();
}

/// Whether an error is the end of a connection.
fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// Carries an exchange on after an event: what one read brought, with a reset as the end that it is.
fn brought<'s>(
    exchange: &mut Exchange,
    wire: &mut Wire<'_, TcpStream>,
    scratch: &'s mut [u8],
    stats: &mut Stats,
) -> Result<Brought<'s>, End> {
    let brought = wire.handshake().and_then(|shaken| {
        stats.shaken(shaken);
        exchange.write(wire).and_then(|()| exchange.read(wire, scratch))
    });
    match brought {
        Ok(brought) => brought.map_err(End::Refused),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Brought::Nothing),
        Err(error) if is_end(&error) => Ok(Brought::End),
        Err(error) => Err(End::of(&error)),
    }
}

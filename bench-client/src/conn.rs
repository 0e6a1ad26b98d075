//! One connection: 64 bytes while it is idle. What it needs only now and then is boxed and freed again.

use std::io::{self, ErrorKind, IoSliceMut, Read, Write};

use mio::net::TcpStream;
use throng::proto::ws::{Carry, Store};

use crate::inflight::InFlight;
use crate::output::{Output, Unsent};
use crate::polling::Polling;
use crate::scripted::Running;
use crate::sequence::Sequence;
use crate::session::Session;
use crate::socketio::{Announced, SocketIo};
use crate::tls::Tls;
use crate::wire::Wire;

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// TCP or the WebSocket handshake, or the opening of a session by polling, is under way.
    Opening,
    /// That is done, and the namespace of Socket.IO is not joined yet.
    Joining,
    /// Messages may flow.
    Open,
    /// A close frame was sent.
    Closing,
    /// A close frame was sent in the midst of the run: it is to be replaced.
    Leaving,
    /// Over; its slot is freed at the end of the turn.
    Gone,
}

/// A connection of the run.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) stream: TcpStream,
    /// Its number in the whole run, as its stamps carry it.
    pub(crate) number: u32,
    pub(crate) phase: Phase,
    pub(crate) is_publisher: bool,
    /// It reads slowly, and sends nothing.
    pub(crate) is_slow: bool,
    /// Messages it sent, modulo 2²⁸.
    pub(crate) sent: u32,
    /// When it last heard something, or sent while nothing was under way; milliseconds on the run's clock.
    pub(crate) heard_ms: u32,
    /// Which of its own messages came back.
    pub(crate) echoes: Sequence,
    /// Which of the publisher's messages reached it.
    pub(crate) publishes: Sequence,
    pub(crate) rest: Option<Box<Rest>>,
}

/// What a connection has only while it is not idle.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    pub(crate) opening: Option<Box<Opening>>,
    /// Of a connection over TLS, as long as it lasts.
    pub(crate) tls: Option<Box<Tls>>,
    /// Bytes the kernel did not take yet.
    unsent: Unsent,
    /// An incomplete frame, and the fragments of a message so far.
    pub(crate) carry: Option<Box<Carry>>,
    /// A session that polls, as long as it lasts.
    pub(crate) polling: Option<Box<Polling>>,
    /// The Socket.IO packet whose attachments are still to come.
    pub(crate) announced: Option<Announced>,
    /// When its messages were sent, where replies do not say it; as long as the connection lasts.
    pub(crate) in_flight: Option<Box<InFlight>>,
    /// What came of each member of its room, where there are rooms; as long as the connection lasts.
    pub(crate) senders: Option<Box<[Sequence]>>,
    /// What it speaks, where that is not what all speak: until it has joined, or as long as it lasts.
    pub(crate) speech: Option<Box<SocketIo>>,
    /// How far its script is, until that is over.
    pub(crate) running: Option<Box<Running>>,
}

/// What one read brought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    /// Bytes in all.
    pub(crate) bytes: usize,
    /// Of them in the scratch; the others before them went to the carry.
    pub(crate) in_scratch: usize,
    /// Whether the read emptied the socket: there was room for more.
    pub(crate) is_all: bool,
}

/// The state of an opening connection.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    /// Which attempt of the worker this is: deadlines name it.
    pub(crate) serial: u32,
    /// Attempts at this connection, this one included.
    pub(crate) attempt: u8,
    /// When the first attempt began.
    pub(crate) began: u64,
    /// Whether it was open before.
    pub(crate) is_again: bool,
    /// The key of the WebSocket handshake, once it was sent; empty once the request before it was.
    pub(crate) key: Option<String>,
    /// The session that was opened before the WebSocket handshake, or is to poll.
    pub(crate) session: Option<Session>,
    /// The response so far.
    pub(crate) response: Vec<u8>,
    /// Whether the Engine.IO session is open and the namespace asked for.
    pub(crate) is_session_open: bool,
}

impl Conn {
    /// A connection whose TCP handshake has been started.
    pub(crate) fn new(stream: TcpStream, number: u32, is_publisher: bool, opening: Opening) -> Self {
        let rest = Rest { opening: Some(Box::new(opening)), ..Rest::default() };
        Self {
            stream,
            number,
            phase: Phase::Opening,
            is_publisher,
            is_slow: false,
            sent: 0,
            heard_ms: 0,
            echoes: Sequence::default(),
            publishes: Sequence::default(),
            rest: Some(Box::new(rest)),
        }
    }

    /// Whether an attempt at opening it is under way.
    pub(crate) fn is_under_way(&self) -> bool {
        matches!(self.phase, Phase::Opening | Phase::Joining)
    }

    /// The boxed part, made if it is not there.
    pub(crate) fn rest(&mut self) -> &mut Rest {
        self.rest.get_or_insert_default()
    }

    /// Frees the boxed part if nothing is in it.
    pub(crate) fn tidy(&mut self) {
        let is_idle = |rest: &Rest| {
            let Rest { opening, tls, unsent, carry, polling, announced, in_flight, senders, speech, running } =
                rest;
            opening.is_none()
                && tls.is_none()
                && unsent.is_empty()
                && carry.is_none()
                && polling.is_none()
                && announced.is_none()
                && in_flight.is_none()
                && senders.is_none()
                && speech.is_none()
                && running.is_none()
        };
        if self.rest.as_deref().is_some_and(is_idle) {
            self.rest = None;
        }
    }

    /// Bytes the kernel has not taken yet.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.rest.as_ref().map_or(0, |rest| {
            rest.unsent.as_bytes().len() + rest.polling.as_ref().map_or(0, |polling| polling.unsent_bytes())
        })
    }

    /// Reads once: the rest of a large message straight to where it belongs, what comes behind it to the scratch.
    ///
    /// # Errors
    /// The socket's.
    pub(crate) fn read(&mut self, scratch: &mut [u8], store: &mut Store) -> io::Result<Arrived> {
        let rest = self.rest.as_deref_mut();
        if let Some(Rest { tls: Some(tls), .. }) = rest {
            let (bytes, is_all) = tls.read(&mut self.stream, scratch)?;
            return Ok(Arrived { bytes, in_scratch: bytes, is_all });
        }
        let Some(carry) = rest.and_then(|rest| rest.carry.as_mut()) else {
            let bytes = self.stream.read(scratch)?;
            return Ok(Arrived { bytes, in_scratch: bytes, is_all: bytes < scratch.len() });
        };
        let wanted = carry.want(store);
        let direct = wanted.len();
        let room = direct + scratch.len();
        let bytes = match direct {
            0 => self.stream.read(scratch)?,
            _ => self.stream.read_vectored(&mut [IoSliceMut::new(wanted), IoSliceMut::new(scratch)])?,
        };
        carry.filled(bytes.min(direct));
        Ok(Arrived { bytes, in_scratch: bytes.saturating_sub(direct), is_all: bytes < room })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.rest.as_deref_mut() {
            Some(Rest { tls: Some(tls), .. }) => tls.write(&mut self.stream, bytes),
            _ => self.stream.write(bytes),
        }
    }

    /// Sends the output after whatever is still unsent; what the kernel refuses is kept. The output is then empty.
    ///
    /// # Errors
    /// The socket's error, other than that it is full.
    pub(crate) fn send(&mut self, output: &mut Output) -> io::Result<()> {
        let bytes = output.as_bytes();
        let mut sent = 0;
        if self.unsent_bytes() == 0 {
            match self.write(bytes) {
                Ok(taken) => sent = taken,
                Err(error)
                    if error.kind() == ErrorKind::WouldBlock || error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    output.clear();
                    return Err(error);
                }
            }
        }
        if sent == bytes.len() {
            output.clear();
        } else {
            output.keep(sent, &mut self.rest().unsent);
        }
        Ok(())
    }

    /// Ends its TLS, where there is one, before its socket is closed.
    pub(crate) fn close(&mut self) {
        if let Some(rest) = self.rest.as_deref_mut() {
            Wire::new(&mut self.stream, &mut rest.tls).close();
        }
    }

    /// Sends what is unsent, after the socket became writable. An emptied buffer goes back to the output.
    ///
    /// # Errors
    /// The socket's error, other than that it is full.
    pub(crate) fn flush(&mut self, output: &mut Output) -> io::Result<()> {
        let Some(rest) = &mut self.rest else { return Ok(()) };
        let mut wire = Wire::new(&mut self.stream, &mut rest.tls);
        let mut flushed = wire.flush();
        while flushed.is_ok() && !rest.unsent.is_empty() {
            match wire.write(rest.unsent.as_bytes()) {
                Ok(taken) => rest.unsent.sent(taken),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => flushed = Err(error),
            }
        }
        match flushed {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            other => other?,
        }
        output.give_back(std::mem::take(&mut rest.unsent));
        self.tidy();
        Ok(())
    }
}

// In debug builds mio's sockets remember their poll, which takes another 8 bytes.
#[cfg(not(debug_assertions))]
const _: () = assert!(size_of::<Conn>() <= 64, "a connection is one cache line");

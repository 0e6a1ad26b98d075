//! One connection: 64 bytes while it is idle. What it needs only now and then is boxed and freed again.

use std::io::{self, ErrorKind, Write};

use mio::net::TcpStream;

use crate::sequence::Sequence;

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// TCP or the WebSocket handshake is under way.
    Opening,
    /// Messages may flow.
    Open,
    /// A close frame was sent.
    Closing,
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
    pub(crate) opening: Option<Opening>,
    /// Bytes the kernel did not take yet, from `unsent_from` on.
    unsent: Vec<u8>,
    unsent_from: usize,
    /// An incomplete frame.
    pub(crate) carry: Vec<u8>,
    /// The fragments of a message so far, and its opcode.
    pub(crate) fragments: Option<(u8, Vec<u8>)>,
}

/// The state of an opening connection.
#[derive(Debug)]
pub(crate) struct Opening {
    /// Which attempt of the worker this is: deadlines name it.
    pub(crate) serial: u32,
    /// Attempts at this connection, this one included.
    pub(crate) attempt: u8,
    /// When the first attempt began.
    pub(crate) began: u64,
    /// The handshake's key, once it was sent.
    pub(crate) key: Option<String>,
    /// The response so far.
    pub(crate) response: Vec<u8>,
}

impl Conn {
    /// A connection whose TCP handshake has been started.
    pub(crate) fn new(stream: TcpStream, number: u32, is_publisher: bool, opening: Opening) -> Self {
        let rest = Rest { opening: Some(opening), ..Rest::default() };
        Self {
            stream,
            number,
            phase: Phase::Opening,
            is_publisher,
            sent: 0,
            heard_ms: 0,
            echoes: Sequence::default(),
            publishes: Sequence::default(),
            rest: Some(Box::new(rest)),
        }
    }

    /// The boxed part, made if it is not there.
    pub(crate) fn rest(&mut self) -> &mut Rest {
        self.rest.get_or_insert_default()
    }

    /// Frees the boxed part if nothing is in it.
    pub(crate) fn tidy(&mut self) {
        if self.rest.as_ref().is_some_and(|rest| {
            rest.opening.is_none()
                && rest.unsent.is_empty()
                && rest.carry.is_empty()
                && rest.fragments.is_none()
        }) {
            self.rest = None;
        }
    }

    /// Bytes the kernel has not taken yet.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.rest.as_ref().map_or(0, |rest| rest.unsent.len() - rest.unsent_from)
    }

    /// Sends `bytes` after whatever is still unsent; what the kernel refuses is kept.
    ///
    /// # Errors
    /// The socket's error, other than that it is full.
    pub(crate) fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if self.unsent_bytes() == 0 {
            match self.stream.write(bytes) {
                Ok(taken) => bytes = &bytes[taken..],
                Err(error)
                    if error.kind() == ErrorKind::WouldBlock || error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if !bytes.is_empty() {
            let rest = self.rest();
            // Dropping the taken half whenever it is the larger one copies each byte about once.
            if rest.unsent_from > rest.unsent.len() / 2 {
                rest.unsent.drain(..rest.unsent_from);
                rest.unsent_from = 0;
            }
            rest.unsent.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Sends what is unsent, after the socket became writable.
    ///
    /// # Errors
    /// The socket's error, other than that it is full.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let Some(rest) = &mut self.rest else { return Ok(()) };
        while rest.unsent_from < rest.unsent.len() {
            match self.stream.write(&rest.unsent[rest.unsent_from..]) {
                Ok(taken) => rest.unsent_from += taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        rest.unsent = Vec::new();
        rest.unsent_from = 0;
        self.tidy();
        Ok(())
    }
}

// In debug builds mio's sockets remember their poll, which takes another 8 bytes.
#[cfg(not(debug_assertions))]
const _: () = assert!(size_of::<Conn>() <= 64, "a connection is one cache line");

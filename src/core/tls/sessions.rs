//! The TLS sessions of a shard, by fd, and what reads and sends for them.
//!
//! Empty on a shard without a TLS listener, so that a plain connection costs one comparison per read and per write. A client
//! that has yet to say a whole hello costs what it has said; its session is made then. Owns the shard's buffers for
//! ciphertext on its way out, and the turn's budget of handshakes. Never owns a stream: it is lent one with each call.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::RawFd;
use std::sync::Arc;

use crate::base::metrics::Counters;

use super::super::io::{Got, READ_BYTES_MIN};
use super::certs::Tls;
use super::session::{Out, RECORD_PLAIN_MAX, Session, Stage};

/// Ciphertext taken in one read: decrypting is ten times as dear as reading, and others wait meanwhile.
const WIRE_BYTES_PER_READ: usize = 64 << 10;

/// Said to a client whose handshake is not taken up, or not awaited any longer: a fatal alert, `internal_error`
/// (RFC 8446 §6), in the clear. It is the one for what is no fault of the peer's: `access_denied` is about certificates,
/// `user_canceled` only a warning, and none says that it may come back.
pub(in crate::core) const REFUSAL: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

/// What is said to an fd.
#[derive(Debug, Default)]
enum Slot {
    #[default]
    Plain,
    Hello(Box<Hello>),
    Live(Box<Session>),
}

/// A client that has yet to say a whole hello.
#[derive(Debug)]
struct Hello {
    tls: Tls,
    bytes: Vec<u8>,
    /// It was refused, and is not listened to.
    is_refused: bool,
}

/// What goes along with a stream that moves to another shard.
#[derive(Debug)]
pub struct Moved(Slot);

/// The sessions of a shard.
#[derive(Debug, Default)]
pub struct Sessions {
    slots: Vec<Slot>,
    out: Out,
    /// Where the small pieces of a write become one record.
    gathered: Vec<u8>,
    handshakes_left: usize,
    handshakes_per_turn: usize,
    kept_max: usize,
    counters: Arc<Counters>,
}

impl Sessions {
    /// Of a shard that takes so many handshakes a turn, and keeps so many bytes of one that is under way.
    pub fn new(handshakes_per_turn: usize, kept_max: usize, counters: Arc<Counters>) -> Self {
        Self {
            slots: Vec::new(),
            out: Out::default(),
            gathered: Vec::new(),
            handshakes_left: handshakes_per_turn,
            handshakes_per_turn,
            kept_max,
            counters,
        }
    }

    /// A turn begins.
    pub(in crate::core) fn next_turn(&mut self) {
        self.handshakes_left = self.handshakes_per_turn;
    }

    /// Whether an fd speaks TLS.
    #[inline]
    pub(in crate::core) fn has(&self, fd: RawFd) -> bool {
        self.slots.get(fd as usize).is_some_and(|slot| !matches!(slot, Slot::Plain))
    }

    /// An fd was accepted that is to speak TLS.
    pub(in crate::core) fn await_hello(&mut self, fd: RawFd, tls: Tls) {
        let hello = Hello { tls, bytes: Vec::new(), is_refused: false };
        self.set(fd, Slot::Hello(Box::new(hello)));
    }

    /// Takes what an fd has, before it is closed or goes to another shard.
    pub(in crate::core) fn take(&mut self, fd: RawFd) -> Option<Moved> {
        match std::mem::take(self.slots.get_mut(fd as usize)?) {
            Slot::Plain => None,
            slot => Some(Moved(slot)),
        }
    }

    /// Puts what [`take`](Self::take) gave under an fd of this shard.
    pub(in crate::core) fn put(&mut self, fd: RawFd, moved: Moved) {
        self.set(fd, moved.0);
    }

    fn set(&mut self, fd: RawFd, slot: Slot) {
        let index = fd as usize;
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, Slot::default);
        }
        self.slots[index] = slot;
    }

    /// Reads once, and decrypts. The last buffer is a large one: the ciphertext is read into it. As [`Io::read`](super::super::io::Io::read).
    pub(in crate::core) fn read<S: Read + Write>(
        &mut self,
        fd: RawFd,
        mut stream: S,
        into: &mut [IoSliceMut<'_>],
    ) -> io::Result<Got> {
        let Some((wire, direct)) = into.split_last_mut() else { return Err(ErrorKind::InvalidInput.into()) };
        if wire.len() < READ_BYTES_MIN {
            return Err(ErrorKind::InvalidInput.into());
        }
        let Some(slot) = self.slots.get_mut(fd as usize) else { return Err(ErrorKind::InvalidInput.into()) };
        let (kept, is_awaited) = match slot {
            Slot::Plain => return Err(ErrorKind::InvalidInput.into()),
            Slot::Hello(hello) if hello.is_refused => return discard(stream, wire),
            Slot::Hello(hello) => (hello.bytes.len(), true),
            Slot::Live(session) => match session.stage {
                Stage::Ended => return Ok(Got { bytes: 0, is_drained: true }),
                Stage::Failed if session.is_told => return discard(stream, wire),
                Stage::Failed => return Err(session.failed()),
                stage => (session.kept_bytes(), stage == Stage::Handshake),
            },
        };
        if is_awaited && self.handshakes_left == 0 {
            return Err(ErrorKind::Interrupted.into());
        }
        let room = RECORD_PLAIN_MAX + kept..wire.len().min(RECORD_PLAIN_MAX + kept + WIRE_BYTES_PER_READ);
        let offered = room.len();
        let from = room.start;
        let read = stream.read(&mut wire[room])?;
        if read == 0 {
            return Ok(Got { bytes: 0, is_drained: true });
        }
        let is_drained = read < offered;
        let nothing = if is_drained { ErrorKind::WouldBlock } else { ErrorKind::Interrupted };
        let filled = from + read;
        if let Slot::Hello(hello) = slot {
            wire[RECORD_PLAIN_MAX..from].copy_from_slice(&hello.bytes);
            let said = &wire[RECORD_PLAIN_MAX..filled];
            // A record's type is 20 to 23, or 0x80 and above in SSL 2: a letter is the begin of an HTTP method.
            if said[0].is_ascii_uppercase() {
                *slot = Slot::Plain;
                return Err(ErrorKind::InvalidInput.into());
            }
            if said.len() <= self.kept_max && !is_whole(said) {
                hello.bytes.extend_from_slice(&wire[from..filled]);
                return Err(nothing.into());
            }
            let session = Session::new(hello.tls.config()).map_err(|_| ErrorKind::InvalidData)?;
            *slot = Slot::Live(Box::new(session));
        }
        let Slot::Live(session) = slot else { return Err(ErrorKind::InvalidInput.into()) };
        if !is_awaited || session.kept_bytes() > 0 {
            session.restore(&mut wire[RECORD_PLAIN_MAX..]);
        }
        self.out.clear();
        let was = session.stage;
        let direct = direct.first_mut().map_or(&mut [][..], |direct| &mut direct[..]);
        let bytes =
            session.receive(&mut wire[..filled], RECORD_PLAIN_MAX, direct, &mut self.out, self.kept_max);
        if was == Stage::Handshake {
            match session.stage {
                // The dear part: keys were agreed upon, and signed. What comes behind it may have failed already.
                Stage::Handshake | Stage::Failed if self.out.filled().len() > REFUSAL.len() => {
                    self.handshakes_left -= 1;
                }
                Stage::Handshake | Stage::Failed => {}
                Stage::Open | Stage::Ended => {
                    self.counters.tls_handshakes.add(1);
                    self.counters.tls_resumed.add(u64::from(session.is_resumed()));
                }
            }
        }
        session.send(&mut stream, self.out.filled())?;
        match session.stage {
            _ if bytes > 0 => {
                let is_over = matches!(session.stage, Stage::Ended | Stage::Failed);
                Ok(Got { bytes, is_drained: is_drained && !is_over })
            }
            Stage::Ended => Ok(Got { bytes: 0, is_drained: true }),
            Stage::Failed => Err(session.failed()),
            Stage::Handshake | Stage::Open => Err(nothing.into()),
        }
    }

    /// Encrypts and sends. As [`Io::write`](super::super::io::Io::write); what the kernel does not take of the last record is
    /// kept, and counts as sent. To a client that can be told nothing everything counts as sent.
    pub(in crate::core) fn write<S: Write>(
        &mut self,
        fd: RawFd,
        mut stream: S,
        from: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let Some(Slot::Live(session)) = self.slots.get_mut(fd as usize) else { return Ok(total(from)) };
        if matches!(session.stage, Stage::Handshake | Stage::Failed) {
            return Ok(total(from));
        }
        if !session.flush(&mut stream)? {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut pieces = Pieces { slices: from, at: 0 };
        let mut sent = 0;
        while let Some(plain) = pieces.next_record(&mut self.gathered) {
            self.out.clear();
            if !session.encrypt(plain, &mut self.out) {
                return Err(ErrorKind::BrokenPipe.into());
            }
            sent += plain.len();
            if !session.send(&mut stream, self.out.filled())? {
                break;
            }
        }
        Ok(sent)
    }

    /// Sends what is kept of earlier writes. False while some is left.
    pub(in crate::core) fn flush<S: Write>(
        &mut self,
        fd: RawFd,
        mut stream: S,
        fin: impl FnOnce(&mut S),
    ) -> bool {
        let Some(Slot::Live(session)) = self.slots.get_mut(fd as usize) else { return true };
        if session.tail.is_empty() {
            return true;
        }
        // An error is found by the read that the same event asks for.
        if !session.flush(&mut stream).unwrap_or(true) {
            return false;
        }
        if std::mem::take(&mut session.is_finishing) {
            fin(&mut stream);
        }
        true
    }

    /// Says that nothing more will be sent. False: FIN is to wait, and [`flush`](Self::flush) sends it.
    pub(in crate::core) fn finish<S: Write>(&mut self, fd: RawFd, mut stream: S) -> bool {
        let session = match self.slots.get_mut(fd as usize) {
            None | Some(Slot::Plain) => return true,
            Some(Slot::Hello(hello)) => {
                hello.is_refused = true;
                // One write into an empty buffer; who does not take it is gone.
                let _told = stream.write(&REFUSAL);
                return true;
            }
            Some(Slot::Live(session)) => session,
        };
        self.out.clear();
        let is_said = match session.stage {
            Stage::Handshake => {
                session.stage = Stage::Failed;
                session.is_told = true;
                session.send(&mut stream, &REFUSAL)
            }
            Stage::Failed => session.flush(&mut stream),
            Stage::Open | Stage::Ended => {
                session.close_notify(&mut self.out);
                session.send(&mut stream, self.out.filled())
            }
        };
        session.is_finishing = !is_said.unwrap_or(true);
        !session.is_finishing
    }
}

impl Session {
    /// Sends ciphertext behind the tail. False: some of it became the tail.
    fn send<S: Write>(&mut self, stream: &mut S, mut bytes: &[u8]) -> io::Result<bool> {
        if self.tail.is_empty() {
            while !bytes.is_empty() {
                match stream.write(bytes) {
                    Ok(sent) => bytes = &bytes[sent..],
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        self.tail.extend_from_slice(bytes);
        Ok(self.tail.is_empty())
    }

    /// Sends the tail. False while some is left.
    fn flush<S: Write>(&mut self, stream: &mut S) -> io::Result<bool> {
        if self.tail.is_empty() {
            return Ok(true);
        }
        let tail = std::mem::take(&mut self.tail);
        self.send(stream, &tail)
    }

    /// The error by which the core learns of it, once.
    fn failed(&mut self) -> io::Error {
        self.is_told = true;
        ErrorKind::InvalidData.into()
    }
}

/// Reads what means nothing any more: unread, it would make closing a reset, which overtakes the alert.
fn discard<S: Read>(mut stream: S, wire: &mut [u8]) -> io::Result<Got> {
    let bytes = stream.read(wire)?;
    Ok(Got { bytes, is_drained: bytes < wire.len() })
}

/// Whether there is a whole record, or something that is none.
fn is_whole(bytes: &[u8]) -> bool {
    const HANDSHAKE: u8 = 22;
    match bytes {
        [HANDSHAKE, 3, _, high, low, rest @ ..] => {
            rest.len() >= usize::from(u16::from_be_bytes([*high, *low]))
        }
        [HANDSHAKE] | [HANDSHAKE, 3] | [HANDSHAKE, 3, _] | [HANDSHAKE, 3, _, _] => false,
        _ => true,
    }
}

fn total(slices: &[IoSlice<'_>]) -> usize {
    slices.iter().map(|slice| slice.len()).sum()
}

/// What is to be written, in pieces as large as a record takes.
struct Pieces<'a> {
    slices: &'a [IoSlice<'a>],
    /// Bytes of the first slice that are done with.
    at: usize,
}

impl<'a> Pieces<'a> {
    /// The next record's plaintext: where it lies, or gathered where it lies in pieces.
    fn next_record<'s>(&mut self, gathered: &'s mut Vec<u8>) -> Option<&'s [u8]>
    where
        'a: 's,
    {
        let (first, behind) = self.slices.split_first()?;
        let rest: &'a [u8] = &first[self.at..];
        if rest.len() >= RECORD_PLAIN_MAX || behind.is_empty() {
            let plain = &rest[..rest.len().min(RECORD_PLAIN_MAX)];
            self.advance(plain.len());
            return Some(plain).filter(|plain| !plain.is_empty());
        }
        gathered.clear();
        while let Some(slice) = self.slices.first().filter(|_| gathered.len() < RECORD_PLAIN_MAX) {
            let rest = &slice[self.at..];
            let taken = rest.len().min(RECORD_PLAIN_MAX - gathered.len());
            crate::base::pool::extend(gathered, &rest[..taken]);
            self.advance(taken);
        }
        Some(gathered.as_slice()).filter(|plain| !plain.is_empty())
    }

    fn advance(&mut self, bytes: usize) {
        self.at += bytes;
        if self.slices.first().is_some_and(|slice| slice.len() == self.at) {
            self.slices = &self.slices[1..];
            self.at = 0;
        }
    }
}

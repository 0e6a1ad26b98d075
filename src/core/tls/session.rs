//! One TLS session: ciphertext in, plaintext out, and the other way round. No socket, no clock.
//!
//! Keeps what a record or a handshake message lacks to be whole, and what the kernel did not take of a record; both are there
//! only while there is something to keep. Called by `sessions` with the shard's buffers.

use std::sync::Arc;

use rustls::server::{ServerConfig, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{Error, HandshakeKind};

/// Bytes of plaintext in a record (RFC 8446 §5.1).
pub(super) const RECORD_PLAIN_MAX: usize = 16 << 10;

/// Bytes of a record on the wire: header, and what TLS 1.2 lets protection add (RFC 5246 §6.2.3).
pub(super) const RECORD_WIRE_MAX: usize = 5 + RECORD_PLAIN_MAX + 2048;

/// What a client gets whose handshake is longer than is kept of one: a fatal alert, decode_error (RFC 8446 §6).
const TOO_LONG: [u8; 7] = [21, 3, 3, 0, 2, 2, 50];

/// Where a session stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Neither side may send data yet.
    Handshake,
    /// Data goes both ways.
    Open,
    /// The peer's close_notify came: it sends nothing more.
    Ended,
    /// The peer broke the protocol, and has its alert.
    Failed,
}

/// A server's side of a TLS connection.
pub struct Session {
    conn: UnbufferedServerConnection,
    /// What arrived of a record, or of messages of the handshake, that are not whole.
    kept: Vec<u8>,
    /// Ciphertext that the kernel did not take. It goes out before everything else.
    pub(super) tail: Vec<u8>,
    pub(super) stage: Stage,
    /// FIN is to follow the tail.
    pub(super) is_finishing: bool,
    /// The failure was reported.
    pub(super) is_told: bool,
}

/// Ciphertext on its way out: a buffer that is as long as it ever had to be, and how much of it is filled.
#[derive(Debug, Default)]
pub(super) struct Out {
    bytes: Vec<u8>,
    filled: usize,
}

impl Out {
    pub(super) fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    pub(super) fn clear(&mut self) {
        self.filled = 0;
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.bytes.truncate(self.filled);
        self.bytes.extend_from_slice(bytes);
        self.filled = self.bytes.len();
    }

    /// Appends what `write` puts into the room that it is given; asked for more room it says how much.
    fn append<E>(
        &mut self,
        mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
        room: impl Fn(&E) -> Option<usize>,
    ) -> Result<(), E> {
        loop {
            match write(&mut self.bytes[self.filled..]) {
                Ok(written) => {
                    self.filled += written;
                    return Ok(());
                }
                Err(error) => {
                    let Some(room) = room(&error) else { return Err(error) };
                    self.bytes.resize(self.filled + room, 0);
                }
            }
        }
    }
}

impl Session {
    /// A session that awaits its client's hello.
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        Ok(Self {
            conn: UnbufferedServerConnection::new(config)?,
            kept: Vec::new(),
            tail: Vec::new(),
            stage: Stage::Handshake,
            is_finishing: false,
            is_told: false,
        })
    }

    /// Bytes of records and messages that are not whole.
    pub(super) fn kept_bytes(&self) -> usize {
        self.kept.len()
    }

    /// Puts what was kept where what follows it is about to be read to.
    pub(super) fn restore(&mut self, into: &mut [u8]) {
        into[..self.kept.len()].copy_from_slice(&self.kept);
    }

    /// Whether the handshake, which is over, took up an earlier session.
    pub(super) fn is_resumed(&self) -> bool {
        self.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Takes the ciphertext in `wire[from..]`, which begins with what was kept. The plaintext goes into `direct`, then to the
    /// front of `wire`; `from` is at least [`RECORD_PLAIN_MAX`], so it never reaches what is not decrypted yet: a record's
    /// plaintext is shorter than the record. What there is to say goes to `out`. Returns the bytes of plaintext.
    pub(super) fn receive(
        &mut self,
        wire: &mut [u8],
        from: usize,
        direct: &mut [u8],
        out: &mut Out,
        kept_max: usize,
    ) -> usize {
        debug_assert!(from >= RECORD_PLAIN_MAX);
        let (mut at, mut bytes) = (from, 0);
        // After a mistake only the alert is left to be had: the same bytes again would be a second one.
        while self.stage != Stage::Failed || self.conn.wants_write() {
            let (front, rest) = wire.split_at_mut(at);
            let UnbufferedStatus { discard, state, .. } = self.conn.process_tls_records(rest);
            let mut is_done = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        bytes += place(record.payload, bytes, direct, front);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => _ = encode(&mut data, out),
                Ok(ConnectionState::TransmitTlsData(sent)) => sent.done(),
                Ok(ConnectionState::PeerClosed) => self.stage = Stage::Ended,
                Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => is_done = true,
                Ok(ConnectionState::WriteTraffic(_)) => is_done = true,
                // Early data was not offered, so a mistake is all that is left.
                Err(_) | Ok(_) => self.stage = Stage::Failed,
            }
            at += discard;
            if is_done {
                break;
            }
        }
        if self.stage == Stage::Handshake && !self.conn.is_handshaking() {
            self.stage = Stage::Open;
        }
        let was = self.stage;
        self.keep(&wire[at..], kept_max);
        if was == Stage::Handshake && self.stage == Stage::Failed {
            out.extend(&TOO_LONG);
        }
        bytes
    }

    fn keep(&mut self, rest: &[u8], kept_max: usize) {
        if rest.is_empty() || !matches!(self.stage, Stage::Handshake | Stage::Open) {
            self.kept = Vec::new();
            return;
        }
        // Behind the handshake nothing may be split over records but what is shorter than one.
        let most = if self.stage == Stage::Handshake { kept_max } else { RECORD_WIRE_MAX };
        if rest.len() > most {
            self.stage = Stage::Failed;
        }
        self.kept.clear();
        self.kept.extend_from_slice(rest);
    }

    /// Encrypts one record's worth of plaintext. False: the session takes no more.
    pub(super) fn encrypt(&mut self, plain: &[u8], out: &mut Out) -> bool {
        self.say(out, |traffic, out| {
            let written = out.append(|room| traffic.encrypt(plain, room), room);
            written.is_ok()
        })
    }

    /// Says that nothing more will be sent.
    pub(super) fn close_notify(&mut self, out: &mut Out) -> bool {
        self.say(out, |traffic, out| out.append(|room| traffic.queue_close_notify(room), room).is_ok())
    }

    fn say(&mut self, out: &mut Out, say: impl FnOnce(&mut Traffic<'_>, &mut Out) -> bool) -> bool {
        loop {
            // What is kept has been looked at; it is only in the way because the session knows its place in it.
            match self.conn.process_tls_records(&mut self.kept).state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => return say(&mut traffic, out),
                Ok(ConnectionState::EncodeTlsData(mut data)) => _ = encode(&mut data, out),
                Ok(ConnectionState::TransmitTlsData(sent)) => sent.done(),
                _ => return false,
            }
        }
    }
}

type Traffic<'c> = rustls::unbuffered::WriteTraffic<'c, rustls::server::ServerConnectionData>;
type Data<'c> = rustls::unbuffered::EncodeTlsData<'c, rustls::server::ServerConnectionData>;

fn room(error: &EncryptError) -> Option<usize> {
    match error {
        EncryptError::InsufficientSize(needs) => Some(needs.required_size),
        EncryptError::EncryptExhausted => None,
    }
}

fn encode(data: &mut Data<'_>, out: &mut Out) -> bool {
    let room = |error: &EncodeError| match error {
        EncodeError::InsufficientSize(needs) => Some(needs.required_size),
        EncodeError::AlreadyEncoded => None,
    };
    out.append(|room| data.encode(room), room).is_ok()
}

/// Puts plaintext behind the `at` bytes that are there already, in `direct` and then in `front`.
fn place(plain: &[u8], at: usize, direct: &mut [u8], front: &mut [u8]) -> usize {
    let (first, rest) = plain.split_at(plain.len().min(direct.len().saturating_sub(at)));
    if !first.is_empty() {
        direct[at..at + first.len()].copy_from_slice(first);
    }
    if !rest.is_empty() {
        let at = (at + first.len()) - direct.len();
        crate::base::pool::copy(&mut front[at..at + rest.len()], rest);
    }
    plain.len()
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("stage", &self.stage).finish_non_exhaustive()
    }
}

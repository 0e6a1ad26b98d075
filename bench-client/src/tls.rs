//! TLS on one connection: its handshake, and the bytes between its socket and those who read and write it.
//!
//! A record is decrypted in a buffer of the thread and its text is put where the reader wants it; what is kept for a
//! connection beside its keys is an incomplete record and what the kernel did not take, while there is any. Called by
//! `wire`. Knows nothing of what it carries, nor whom to trust, which is `trust`'s.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::mem::take;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustls::HandshakeKind;
use rustls::client::UnbufferedClientConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};

use crate::trust::{Failure, Trust};

/// Bytes read at a time, and the least that a reader has to offer: a handshake's longest message, 64 KiB, fits twice.
pub(crate) const READ_BYTES: usize = 128 << 10;
/// Text in one record at most (RFC 8446 §5.1).
const RECORD_BYTES: usize = 16 << 10;
/// What encrypting may add to it: header 5, explicit nonce 8, type 1, tag 16.
const RECORD_OVERHEAD: usize = 32;
/// Records sent by one call, and so what may be left of one.
const RECORDS_AT_ONCE: usize = 4;
/// More than an alert and an update of the keys take.
const ALERT_BYTES_MAX: usize = 128;
/// What most messages of a handshake fit into.
const HANDSHAKE_BYTES: usize = 512;

/// What the TLS of all connections of a thread have in common.
pub(crate) struct TlsCommon {
    trust: Trust,
    input: RefCell<Box<[u8]>>,
    output: RefCell<Box<[u8]>>,
}

/// The TLS of one connection.
pub(crate) struct Tls {
    records: UnbufferedClientConnection,
    common: Rc<TlsCommon>,
    /// The beginning of a record.
    kept: Vec<u8>,
    /// Text that came in one read with the end of the handshake.
    early: Vec<u8>,
    /// What the kernel did not take yet.
    tail: Vec<u8>,
    /// When the handshake's first bytes were sent.
    hello_at: Option<Instant>,
    is_shaken: bool,
    /// The peer has sent all that it will.
    is_over: bool,
}

/// What a handshake came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shaken {
    /// From its first bytes to its last.
    pub(crate) took: Duration,
    /// The protocol's version and the cipher suite, by their names.
    pub(crate) spoken: (&'static str, &'static str),
    pub(crate) is_resumed: bool,
}

impl TlsCommon {
    /// What connections that trust so have in common, for one thread.
    pub(crate) fn new(trust: Trust) -> Rc<Self> {
        let buffer = |bytes| RefCell::new(vec![0; bytes].into_boxed_slice());
        let output = RECORDS_AT_ONCE * (RECORD_BYTES + RECORD_OVERHEAD) + ALERT_BYTES_MAX;
        Rc::new(Self { trust, input: buffer(READ_BYTES), output: buffer(output) })
    }
}

impl Tls {
    /// The TLS of a connection that is about to be made; its first bytes wait to be sent.
    ///
    /// # Errors
    /// rustls's, which has none where there is randomness.
    pub(crate) fn new(common: &Rc<TlsCommon>) -> io::Result<Box<Self>> {
        let Trust { config, name } = common.trust.clone();
        let records = UnbufferedClientConnection::new(config, name).map_err(Failure::of)?;
        let mut tls = Box::new(Self {
            records,
            common: Rc::clone(common),
            kept: Vec::new(),
            early: Vec::new(),
            tail: Vec::new(),
            hello_at: None,
            is_shaken: false,
            is_over: false,
        });
        tls.open(&mut [], |_| {})?;
        Ok(tls)
    }

    /// Carries the handshake on. `None`: it was over before.
    ///
    /// # Errors
    /// The socket's, `WouldBlock` while the handshake, or TCP's before it, is under way, and a [`Failure`].
    pub(crate) fn handshake(&mut self, socket: &mut (impl Read + Write)) -> io::Result<Option<Shaken>> {
        if self.is_shaken {
            return Ok(None);
        }
        let common = Rc::clone(&self.common);
        let input = &mut *common.input.borrow_mut();
        loop {
            self.flush(socket)?;
            let hello_at = *self.hello_at.get_or_insert_with(Instant::now);
            if !self.records.is_handshaking() {
                self.is_shaken = true;
                return Ok(Some(self.shaken(hello_at.elapsed())));
            }
            let filled = match self.fill(socket, input) {
                Ok(0) => return Err(Failure::ended()),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Err(Failure::ended()),
                other => other?,
            };
            let mut early = take(&mut self.early);
            let opened = self.open(&mut input[..filled], |text| early.extend_from_slice(text));
            self.early = early;
            self.keep(opened, socket, &input[..filled])?;
        }
    }

    fn shaken(&self, took: Duration) -> Shaken {
        let version = self.records.protocol_version().and_then(|version| version.as_str());
        let suite = self.records.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        let version = match version {
            Some("TLSv1_3") => "TLS 1.3",
            Some("TLSv1_2") => "TLS 1.2",
            other => other.unwrap_or("TLS"),
        };
        let is_resumed = self.records.handshake_kind() == Some(HandshakeKind::Resumed);
        Shaken { took, spoken: (version, suite.unwrap_or("a cipher suite without a name")), is_resumed }
    }

    /// Reads into `into`, of [`READ_BYTES`] at least: how many bytes of text, 0 at the end, and whether the socket is
    /// known to be empty behind them. Reads again where what came was not a whole record.
    ///
    /// # Errors
    /// The socket's, and a [`Failure`].
    pub(crate) fn read(
        &mut self,
        socket: &mut (impl Read + Write),
        into: &mut [u8],
    ) -> io::Result<(usize, bool)> {
        debug_assert!(into.len() >= READ_BYTES);
        let early = take(&mut self.early);
        if !early.is_empty() {
            into[..early.len()].copy_from_slice(&early);
            return Ok((early.len(), false));
        }
        match self.flush(socket) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
        let common = Rc::clone(&self.common);
        let input = &mut *common.input.borrow_mut();
        while !self.is_over {
            let filled = self.fill(socket, input)?;
            if filled == 0 {
                self.is_over = true;
                break;
            }
            let mut bytes = 0;
            let opened = self.open(&mut input[..filled], |text| {
                into[bytes..][..text.len()].copy_from_slice(text);
                bytes += text.len();
            });
            self.keep(opened, socket, &input[..filled])?;
            if bytes > 0 {
                return Ok((bytes, filled < READ_BYTES && !self.is_over));
            }
        }
        Ok((0, true))
    }

    /// Reads once behind what is kept: how many bytes there are then, 0 at the end.
    fn fill(&self, socket: &mut impl Read, input: &mut [u8]) -> io::Result<usize> {
        let kept = self.kept.len();
        let read = socket.read(&mut input[kept..])?;
        input[..kept].copy_from_slice(&self.kept);
        Ok(if read == 0 { 0 } else { kept + read })
    }

    /// Takes the records in `input`, hands their text to `take_text`, and says how many bytes they were. What has to be
    /// said to them is put behind the tail.
    fn open(&mut self, input: &mut [u8], mut take_text: impl FnMut(&[u8])) -> io::Result<usize> {
        let mut used = 0;
        loop {
            let UnbufferedStatus { discard, state, .. } =
                self.records.process_tls_records(&mut input[used..]);
            let mut failed = None;
            let is_done = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(Failure::of)?;
                        take_text(record.payload);
                        used += record.discard;
                    }
                    false
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(&mut self.tail, |room| data.encode(room));
                    false
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    false
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.is_over = true;
                    false
                }
                // Nothing more can be done without more bytes.
                Ok(_) => true,
                Err(error) => {
                    failed = Some(error);
                    true
                }
            };
            used += discard;
            if let Some(error) = failed {
                // The alert that tells the peer.
                if let Ok(ConnectionState::EncodeTlsData(mut data)) =
                    self.records.process_tls_records(&mut input[used..]).state
                {
                    append(&mut self.tail, |room| data.encode(room));
                }
                return Err(Failure::of(error));
            }
            if is_done {
                return Ok(used);
            }
        }
    }

    /// Keeps what `open` left of `input`, and sends what it had to say.
    fn keep(&mut self, opened: io::Result<usize>, socket: &mut impl Write, input: &[u8]) -> io::Result<()> {
        let flushed = self.flush(socket);
        let rest = &input[opened?..];
        if rest.is_empty() {
            self.kept = Vec::new();
        } else {
            self.kept.clear();
            self.kept.extend_from_slice(rest);
        }
        match flushed {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// Encrypts and sends; how much of `bytes` was taken. What the kernel refuses of it is kept and counts as taken.
    ///
    /// # Errors
    /// The socket's, `WouldBlock` while the handshake is under way or something is kept, and a [`Failure`].
    pub(crate) fn write(&mut self, socket: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_shaken {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.flush(socket)?;
        let common = Rc::clone(&self.common);
        let output = &mut *common.output.borrow_mut();
        let mut taken = 0;
        while taken < bytes.len() {
            let mut sealed = 0;
            for text in bytes[taken..].chunks(RECORD_BYTES).take(RECORDS_AT_ONCE) {
                sealed += self.seal(text, &mut output[sealed..])?;
                taken += text.len();
            }
            let sent = send(socket, &output[..sealed])?;
            if sent < sealed {
                self.tail.extend_from_slice(&output[sent..sealed]);
                break;
            }
        }
        Ok(taken)
    }

    /// Encrypts one record, behind an update of the keys where one is due.
    fn seal(&mut self, text: &[u8], room: &mut [u8]) -> io::Result<usize> {
        match self.records.process_tls_records(&mut self.kept).state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => traffic.encrypt(text, room).map_err(stuck),
            Ok(_) => Err(stuck("nothing may be sent any more")),
            Err(error) => Err(Failure::of(error)),
        }
    }

    /// Sends what the kernel did not take before.
    ///
    /// # Errors
    /// The socket's, `WouldBlock` while something is left.
    pub(crate) fn flush(&mut self, socket: &mut impl Write) -> io::Result<()> {
        if self.tail.is_empty() {
            return Ok(());
        }
        let sent = send(socket, &self.tail)?;
        if sent < self.tail.len() {
            self.tail.drain(..sent);
            return Err(ErrorKind::WouldBlock.into());
        }
        self.tail = Vec::new();
        Ok(())
    }

    /// Tells the peer that nothing more will be sent (RFC 8446 §6.1), as far as the kernel takes it at once.
    pub(crate) fn close(&mut self, socket: &mut impl Write) {
        let mut alert = [0; ALERT_BYTES_MAX];
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) =
            self.records.process_tls_records(&mut self.kept).state
            && let Ok(bytes) = traffic.queue_close_notify(&mut alert)
        {
            self.tail.extend_from_slice(&alert[..bytes]);
        }
        // Who ends a connection does not wait for it.
        let _is_sent = self.flush(socket);
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("is_shaken", &self.is_shaken).finish_non_exhaustive()
    }
}

impl fmt::Debug for TlsCommon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsCommon").field("trust", &self.trust).finish_non_exhaustive()
    }
}

fn stuck(why: impl fmt::Display) -> io::Error {
    Failure::error(format!("TLS cannot go on: {why}"))
}

/// Sends until all is sent or the kernel takes no more: how much.
fn send(socket: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match socket.write(&bytes[sent..]) {
            Ok(taken) => sent += taken,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

/// Lets `encode` write behind `out`; it says how much it wrote, or how much room it wants.
fn append(out: &mut Vec<u8>, mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) {
    let (from, mut room) = (out.len(), HANDSHAKE_BYTES);
    loop {
        out.resize(from + room, 0);
        let written = match encode(&mut out[from..]) {
            Err(EncodeError::InsufficientSize(size)) if size.required_size > room => {
                room = size.required_size;
                continue;
            }
            written => written.unwrap_or(0),
        };
        return out.truncate(from + written);
    }
}

#[cfg(test)]
mod tests;

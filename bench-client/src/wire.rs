//! A socket with its TLS, where there is one: what reads and writes it need not know.
//!
//! Borrowed for the length of a call from wherever the two are kept. Made by `conn`, `connector`, `polling` and `probe`.

use std::io::{self, Read, Write};

use crate::tls::{Shaken, Tls};

/// Both.
#[derive(Debug)]
pub(crate) struct Wire<'a, S> {
    socket: &'a mut S,
    tls: Option<&'a mut Tls>,
}

impl<'a, S: Read + Write> Wire<'a, S> {
    pub(crate) fn new(socket: &'a mut S, tls: &'a mut Option<Box<Tls>>) -> Self {
        Self { socket, tls: tls.as_deref_mut() }
    }

    /// Carries the handshake on, which is over where there is none. What it came to is said once.
    ///
    /// # Errors
    /// The socket's, `WouldBlock` while it is under way, and a [`Failure`](crate::trust::Failure).
    pub(crate) fn handshake(&mut self) -> io::Result<Option<Shaken>> {
        self.tls.as_mut().map_or(Ok(None), |tls| tls.handshake(self.socket))
    }

    /// Tells the peer's TLS that nothing more will be sent.
    pub(crate) fn close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.close(self.socket);
        }
    }
}

impl<S: Read + Write> Read for Wire<'_, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.read(into),
            Some(tls) => tls.read(self.socket, into).map(|(bytes, _)| bytes),
        }
    }
}

impl<S: Read + Write> Write for Wire<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.write(bytes),
            Some(tls) => tls.write(self.socket, bytes),
        }
    }

    /// Sends what TLS has kept.
    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            None => Ok(()),
            Some(tls) => tls.flush(self.socket),
        }
    }
}

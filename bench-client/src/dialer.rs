//! Sockets on their way to the target: from which address, and registered with which poll.
//!
//! `connector` asks for a connection's first one, `polling` for the second of a session that polls.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::rc::Rc;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use throng::sys::source::bind_source;

use crate::slow::RECEIVE_BYTES;
use crate::tls::{Tls, TlsCommon};
use crate::trust::Failure;

/// Where sockets go, and whence.
#[derive(Debug)]
pub(crate) struct Dialer {
    registry: Registry,
    address: SocketAddr,
    /// Source addresses; empty: the kernel chooses.
    sources: Vec<IpAddr>,
    tls: Option<Rc<TlsCommon>>,
}

/// A socket on its way, and its TLS where it is to have one.
pub(crate) type Dialled = (TcpStream, Option<Box<Tls>>);

impl Dialer {
    pub(crate) fn new(
        registry: Registry,
        address: SocketAddr,
        sources: Vec<IpAddr>,
        tls: Option<Rc<TlsCommon>>,
    ) -> Self {
        Self { registry, address, sources, tls }
    }

    /// A socket whose TCP handshake has been started, registered under `token`; `spread` picks the source address. One that
    /// reads slowly has a small buffer.
    ///
    /// # Errors
    /// The kernel's. A target that refuses shows when the socket is used.
    pub(crate) fn dial(&self, token: Token, spread: usize, is_slow: bool) -> io::Result<Dialled> {
        let domain = Domain::for_address(self.address);
        let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        socket.set_tcp_nodelay(true)?;
        if is_slow {
            // Before the handshake, which tells the server how much is taken.
            socket.set_recv_buffer_size(RECEIVE_BYTES)?;
        }
        if !self.sources.is_empty() {
            bind_source(socket.as_fd(), self.sources[spread % self.sources.len()])?;
        }
        match socket.connect(&self.address.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
            Err(error) => return Err(error),
        }
        let mut stream = TcpStream::from_std(socket.into());
        self.registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let tls = self.tls.as_ref().map(Tls::new).transpose()?;
        Ok((stream, tls))
    }

    /// An error of such a socket, in words.
    pub(crate) fn sentence(&self, error: &io::Error) -> String {
        if let Some(sentence) = Failure::within(error) {
            return sentence.to_owned();
        }
        match error.kind() {
            ErrorKind::ConnectionRefused => {
                format!("{} refuses connections: nothing listens there", self.address)
            }
            ErrorKind::AddrNotAvailable => format!("no source port is left towards {}", self.address),
            _ => format!("cannot connect to {}: {error}", self.address),
        }
    }
}

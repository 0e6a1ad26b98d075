//! What a client's first request said, as middleware and connection handlers see it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use crate::proto::http::{HeaderSlots, Request};
use crate::proto::socketio::{Args, Mismatch, Payload, RawArgs};

/// The request that opened a session; kept for a socket, also what its client sent along.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// Shared by the sockets of a session, where it is kept.
    pub(super) head: Arc<[u8]>,
    pub(super) auth: RawArgs,
    pub(super) address: SocketAddr,
    pub(super) time: SystemTime,
    pub(super) is_secure: bool,
}

impl Handshake {
    pub(super) fn of(request: &Request<'_>, address: SocketAddr, time: SystemTime) -> Self {
        let mut head = Vec::with_capacity(512);
        head.extend_from_slice(request.method().as_bytes());
        head.push(b' ');
        head.extend_from_slice(request.target().as_bytes());
        // As it was: 1.1 wants a `Host`, which a request of 1.0 need not have.
        head.extend_from_slice(if request.version_minor() == 0 {
            b" HTTP/1.0\r\n"
        } else {
            b" HTTP/1.1\r\n"
        });
        for (name, value) in request.headers() {
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        Self { head: head.into(), auth: Args::NONE.into(), address, time, is_secure: request.is_secure() }
    }

    /// The client's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it asked over TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// When it asked.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        self.time
    }

    /// The same, of a client that has sent this along.
    pub(super) fn with_auth(&self, auth: RawArgs) -> Arc<Self> {
        Arc::new(Self { auth, ..self.clone() })
    }

    /// What a socket's client sent along as `auth`, decoded. To whoever decides about a client,
    /// [`Connect::auth`](super::Connect::auth) says it.
    ///
    /// # Errors
    /// It sent none, or something else than a `T`.
    pub fn auth<'s, T: Payload + ?Sized>(
        &'s self,
        scratch: &'s mut String,
    ) -> Result<T::Parsed<'s>, Mismatch> {
        self.auth.as_args().parse::<T>(scratch)
    }

    /// A header of the request.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.request(|request| request.header(name).map(str::to_owned))
    }

    /// A parameter of the request's query, decoded.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        self.request(|request| request.query_param(name).map(|value| value.into_owned()))
    }

    /// Looks at the request: its headers, its query.
    ///
    /// ```
    /// # fn token(handshake: &throng::io::Handshake) -> Option<String> {
    /// handshake.request(|request| request.query_param("token").map(|token| token.into_owned()))
    /// # }
    /// ```
    pub fn request<T>(&self, look: impl FnOnce(&Request<'_>) -> T) -> T {
        let mut slots = HeaderSlots::new();
        look(
            &Request::parse(&self.head, &mut slots).expect("it was parsed when it came").over(self.is_secure),
        )
    }
}

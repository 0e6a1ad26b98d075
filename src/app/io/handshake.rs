//! What a client's first request said, as middleware and connection handlers see it.

use std::net::SocketAddr;
use std::time::SystemTime;

use crate::proto::http::{HeaderSlots, Request};

/// The request that opened a session.
#[derive(Clone, Debug)]
pub struct Handshake {
    pub(super) head: Box<[u8]>,
    pub(super) address: SocketAddr,
    pub(super) time: SystemTime,
}

impl Handshake {
    pub(super) fn of(request: &Request<'_>, address: SocketAddr, time: SystemTime) -> Self {
        let mut head = Vec::with_capacity(512);
        head.extend_from_slice(request.method().as_bytes());
        head.push(b' ');
        head.extend_from_slice(request.target().as_bytes());
        head.extend_from_slice(b" HTTP/1.1\r\n");
        for (name, value) in request.headers() {
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        Self { head: head.into(), address, time }
    }

    /// The client's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// When it asked.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        self.time
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
        look(&Request::parse(&self.head, &mut slots).expect("it was parsed when it came"))
    }
}

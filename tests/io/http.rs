//! A keep-alive connection that requests are sent on one after the other, and the shard it came in on.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};

use socket2::{Domain, Socket, Type};
use throng::io::SessionId;

use super::peer::PATIENCE;

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// A header field; several of one name are joined by commas.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let values: Vec<_> =
            fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// The packets of a payload; panics where it is none.
    pub(crate) fn packets(&self) -> Vec<String> {
        assert_eq!(
            (self.status, self.header("Content-Type").as_deref()),
            (200, Some("text/plain; charset=UTF-8"))
        );
        self.body.split('\x1e').map(str::to_owned).collect()
    }
}

/// A connection.
pub(crate) struct Line {
    pub(crate) stream: TcpStream,
    arrived: Vec<u8>,
}

impl Line {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::open_from(1, address)
    }

    /// From 127.0.0.`host`.
    pub(crate) fn open_from(host: u8, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, host), 0).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, arrived: Vec::new() }
    }

    /// Sends a request with more fields and a body.
    pub(crate) fn send(&mut self, method: &str, target: &str, fields: &[(&str, &str)], body: &[u8]) {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n");
        fields.iter().for_each(|(name, value)| request += &format!("{name}: {value}\r\n"));
        if method == "POST" || !body.is_empty() {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        request += "\r\n";
        self.stream.write_all(&[request.as_bytes(), body].concat()).unwrap();
    }

    /// The next response.
    pub(crate) fn answer(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self.arrived.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.more();
        };
        let head = String::from_utf8(self.arrived.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: String::new() };
        let len = answer.header("Content-Length").map_or(0, |len| len.parse().unwrap());
        while self.arrived.len() < len {
            self.more();
        }
        let mut body: Vec<u8> = self.arrived.drain(..len).collect();
        match answer.header("Content-Encoding").as_deref() {
            Some("gzip") => {
                let mut decoded = Vec::new();
                flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut decoded).unwrap();
                body = decoded;
            }
            Some(other) => panic!("a coding that nobody asked for: {other}"),
            None => {}
        }
        answer.body = String::from_utf8(body).unwrap();
        answer
    }

    fn more(&mut self) {
        let mut bytes = [0; 65_536];
        let read = self.stream.read(&mut bytes).expect("the answer does not come");
        assert_ne!(
            read,
            0,
            "the connection ended; before that came {:?}",
            String::from_utf8_lossy(&self.arrived)
        );
        self.arrived.extend_from_slice(&bytes[..read]);
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn ask(&mut self, method: &str, target: &str, body: impl AsRef<[u8]>) -> Answer {
        self.send(method, target, &[], body.as_ref());
        self.answer()
    }

    /// Opens a session on this connection.
    pub(crate) fn handshake(&mut self) -> SessionId {
        let answer = self.ask("GET", "/socket.io/?EIO=4&transport=polling", "");
        sid_of(&answer.packets()[0])
    }

    /// The shard it came in on: that of a session that is opened on it, and closed again.
    pub(crate) fn shard(&mut self) -> u16 {
        let sid = self.handshake();
        assert_eq!(self.ask("POST", &target(&sid), "1").body, "ok");
        sid.shard
    }

    /// Reads to the end, which the server makes.
    pub(crate) fn rest(mut self) -> String {
        match self.stream.read_to_end(&mut self.arrived) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the server does not end TCP"),
            _ => String::from_utf8(self.arrived).unwrap(),
        }
    }
}

/// Where a session's polls and POSTs go.
pub(crate) fn target(sid: &SessionId) -> String {
    format!("/socket.io/?EIO=4&transport=polling&sid={sid}")
}

/// The id in an open packet.
pub(crate) fn sid_of(open: &str) -> SessionId {
    let text = open.strip_prefix("0{\"sid\":\"").expect("an open packet").split('"').next().unwrap();
    SessionId::parse(text).unwrap()
}

//! A server of Socket.IO that tells a test what its handlers hear, and clients of both transports.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use throng::io::{Io, IoAudit, IoConfig, Namespace, Reason, SessionId, Socket};
use throng::{Handle, Metrics, Server};
use tungstenite::{Message, WebSocket};

use super::http::{Answer, Line, sid_of, target};

/// Longer than anything here takes; who waits that long has found a bug.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Where handlers say what they hear.
#[derive(Clone)]
pub(crate) struct Tell(Sender<String>);

impl Tell {
    pub(crate) fn say(&self, said: impl Into<String>) {
        // A test that is over does not listen any more.
        drop(self.0.send(said.into()));
    }
}

pub(crate) struct Fixture {
    server: Server,
    said: Receiver<String>,
    pub(crate) handle: Handle,
    pub(crate) address: SocketAddr,
    pub(crate) shards: usize,
}

/// A server with these namespaces.
pub(crate) fn start(
    shards: usize,
    describe: impl Fn(&mut Io, &Tell) + Send + Sync + 'static,
    configure: impl FnOnce(&mut IoConfig),
) -> Fixture {
    start_with(shards, describe, configure, |builder| builder)
}

/// The same, with more said to its builder.
pub(crate) fn start_with(
    shards: usize,
    describe: impl Fn(&mut Io, &Tell) + Send + Sync + 'static,
    configure: impl FnOnce(&mut IoConfig),
    more: impl FnOnce(throng::Builder) -> throng::Builder,
) -> Fixture {
    let (tell, said) = mpsc::channel();
    let tell = Tell(tell);
    let builder = Server::builder().bind("127.0.0.1:0").unwrap().configure(|config| {
        config.shards = shards;
        config.max_connections = 500;
    });
    let builder = builder.configure_io(configure).socket_io(move |io| describe(io, &tell));
    let server = more(builder).start().unwrap();
    let (handle, address) = (server.handle(), server.local_addrs()[0]);
    Fixture { server, said, handle, address, shards }
}

/// A namespace that says who comes and who goes, echoes `echo`, and answers it.
pub(crate) fn talk(namespace: Namespace<'_, ()>, tell: &Tell) {
    let (came, went) = (tell.clone(), tell.clone());
    drop(
        namespace
            .on_connection(move |socket| came.say(format!("+{}", socket.namespace())))
            .on_disconnect(move |socket, reason| went.say(gone(socket, reason)))
            .on("echo", |socket: &mut Socket<'_>, args: &throng::io::RawArgs| {
                socket.emit("echo", args.as_args());
                socket.ack(args.as_args());
            }),
    );
}

/// What is said of a socket that is gone.
pub(crate) fn gone<D>(socket: &Socket<'_, D>, reason: Reason) -> String {
    format!("-{} {reason}", socket.namespace())
}

/// The main namespace alone, with [`talk`].
pub(crate) fn talking(io: &mut Io, tell: &Tell) {
    talk(io.of("/"), tell);
}

/// Runs a test with one shard and with three.
pub(crate) fn with_shards(test: impl Fn(usize)) {
    test(1);
    test(3);
}

impl Fixture {
    /// What a handler says next.
    pub(crate) fn said(&self) -> String {
        self.said.recv_timeout(PATIENCE).expect("nothing is said")
    }

    /// What handlers of several shards say next, sorted.
    pub(crate) fn said_sorted(&self, count: usize) -> Vec<String> {
        let mut said: Vec<_> = (0..count).map(|_| self.said()).collect();
        said.sort();
        said
    }

    /// Everything that was said and not listened to.
    pub(crate) fn unheard(&self) -> Vec<String> {
        self.said.try_iter().collect()
    }

    pub(crate) fn line(&self) -> Line {
        Line::open(self.address)
    }

    /// A connection that came in on another shard than this one, where there is another.
    pub(crate) fn line_off(&self, shard: u16) -> Line {
        self.line_where(|it| self.shards == 1 || it != shard)
    }

    /// A connection that came in on a shard; the kernel chooses, so it takes a few attempts.
    pub(crate) fn line_where(&self, wanted: impl Fn(u16) -> bool) -> Line {
        for _ in 0..200 {
            let mut line = self.line();
            if wanted(line.shard()) {
                return line;
            }
        }
        panic!("200 connections, and none on the shard that is wanted");
    }

    /// A polling client, whose requests come in on another shard than its session's, where there is one.
    pub(crate) fn poller(&self) -> Poller {
        let sid = self.line().handshake();
        self.poller_of(sid)
    }

    pub(crate) fn poller_of(&self, sid: SessionId) -> Poller {
        Poller { polls: self.line_off(sid.shard), posts: self.line_off(sid.shard), sid }
    }

    /// A polling client that is connected to the main namespace.
    pub(crate) fn polling(&self) -> Poller {
        let mut poller = self.poller();
        poller.post("40");
        assert!(poller.next().starts_with("40{\"sid\":\""));
        poller
    }

    /// A WebSocket, with its session open.
    pub(crate) fn websocket(&self) -> Ws {
        let mut ws = self.ask_websocket("").unwrap();
        ws.sid = Some(sid_of(&ws.text()));
        ws
    }

    /// A WebSocket that is connected to the main namespace.
    pub(crate) fn connected(&self) -> Ws {
        let mut ws = self.websocket();
        ws.enter("/");
        ws
    }

    /// The same, with its session on a shard.
    pub(crate) fn connected_on(&self, shard: usize) -> Ws {
        for _ in 0..200 {
            let mut ws = self.websocket();
            if usize::from(ws.sid.unwrap().shard) == shard {
                ws.enter("/");
                return ws;
            }
            ws.close();
        }
        panic!("200 WebSockets, and none on shard {shard}");
    }

    /// Asks for a WebSocket with more in the query.
    pub(crate) fn ask_websocket(&self, query: &str) -> Result<Ws, u16> {
        let stream = Line::open(self.address).stream;
        let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket{query}", self.address);
        match tungstenite::client(url, stream) {
            Ok((client, _)) => Ok(Ws { client, sid: None }),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                Err(response.status().as_u16())
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// Sees that nothing is left of Socket.IO on any shard, once the ends of the last connections have come in.
    pub(crate) fn is_empty(&self) {
        let began = Instant::now();
        loop {
            let audits = self.handle.io_audit();
            assert_eq!(audits.len(), self.shards);
            if audits.iter().all(IoAudit::is_empty) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "left over: {audits:?}");
        }
    }

    /// Stops the server, and gives what it has counted.
    pub(crate) fn stop(self) -> Metrics {
        self.handle.stop(Duration::from_millis(20));
        self.server.join().unwrap();
        let metrics = self.handle.metrics();
        assert_eq!(metrics.counter("connections_opened"), metrics.counter("connections_closed"));
        metrics
    }

    /// Sees that nothing is left and nothing unheard, and stops.
    pub(crate) fn end(self) -> Metrics {
        self.is_empty();
        assert_eq!(self.unheard(), [""; 0]);
        self.stop()
    }
}

/// A client that polls.
pub(crate) struct Poller {
    pub(crate) polls: Line,
    pub(crate) posts: Line,
    pub(crate) sid: SessionId,
}

impl Poller {
    /// Sends a poll, which may wait.
    pub(crate) fn send_poll(&mut self) {
        self.polls.send("GET", &target(&self.sid), &[], b"");
    }

    /// Polls.
    pub(crate) fn poll(&mut self) -> Answer {
        self.send_poll();
        self.polls.answer()
    }

    /// Sends a poll, and waits until it waits at its session's home: no other may wait at the time.
    pub(crate) fn wait_with_a_poll(&mut self, fixture: &Fixture) {
        self.send_poll();
        while fixture.handle.io_audit().iter().map(|audit| audit.held).sum::<usize>() == 0 {}
        // It is held where it came in. From there it was mailed home before the next audit is.
        assert_eq!(fixture.handle.io_audit().len(), fixture.shards);
    }

    /// Polls for what must be one packet.
    pub(crate) fn next(&mut self) -> String {
        let packets = self.poll().packets();
        assert_eq!(packets.len(), 1, "{packets:?}");
        packets.into_iter().next().unwrap()
    }

    /// Polls until so many packets are there.
    pub(crate) fn packets(&mut self, count: usize) -> Vec<String> {
        let mut packets = Vec::new();
        while packets.len() < count {
            packets.extend(self.poll().packets());
        }
        assert_eq!(packets.len(), count, "{packets:?}");
        packets
    }

    /// Posts packets, which are taken.
    pub(crate) fn post(&mut self, body: &str) {
        let answer = self.ask_post(body);
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"), "{body}");
    }

    pub(crate) fn ask_post(&mut self, body: impl AsRef<[u8]>) -> Answer {
        self.posts.ask("POST", &target(&self.sid), body)
    }

    /// Sees that the session is gone: neither a POST nor a poll knows it.
    pub(crate) fn is_gone(&mut self) {
        for answer in [self.ask_post("3"), self.poll()] {
            assert_eq!((answer.status, answer.body.as_str()), UNKNOWN);
        }
    }
}

/// The answer where no session has the id.
pub(crate) const UNKNOWN: (u16, &str) = (400, r#"{"code":1,"message":"Session ID unknown"}"#);

/// A client on a WebSocket.
pub(crate) struct Ws {
    pub(crate) client: WebSocket<TcpStream>,
    pub(crate) sid: Option<SessionId>,
}

impl Ws {
    pub(crate) fn send(&mut self, text: &str) {
        self.client.send(Message::text(text)).unwrap();
    }

    /// Several messages in one write.
    pub(crate) fn send_all(&mut self, texts: &[&str]) {
        texts.iter().for_each(|text| self.client.write(Message::text(*text)).unwrap());
        self.client.flush().unwrap();
    }

    pub(crate) fn text(&mut self) -> String {
        match self.client.read().expect("a message") {
            Message::Text(text) => text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn binary(&mut self) -> Vec<u8> {
        match self.client.read().expect("a message") {
            Message::Binary(bytes) => bytes.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// Connects to a namespace, and gives the socket's id.
    pub(crate) fn enter(&mut self, namespace: &str) -> String {
        let prefix = if namespace == "/" { String::new() } else { format!("{namespace},") };
        self.send(&format!("40{prefix}"));
        let answer = self.text();
        let sid = answer.strip_prefix(&format!("40{prefix}{{\"sid\":\"")).expect(&answer);
        sid.strip_suffix("\"}").unwrap().to_owned()
    }

    /// The code of the close frame that comes next, and the end of TCP behind it.
    pub(crate) fn close_code(mut self) -> u16 {
        let code = match self.client.read().expect("a close frame") {
            Message::Close(frame) => frame.map_or(1005, |frame| frame.code.into()),
            other => panic!("{other:?}"),
        };
        self.hang_up();
        code
    }

    /// Closes as a browser does.
    pub(crate) fn close(mut self) {
        self.client.close(None).unwrap();
        self.hang_up();
    }

    fn hang_up(&mut self) {
        loop {
            match self.client.read() {
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                    panic!("the server does not end TCP")
                }
                Err(_) => break,
            }
        }
    }
}

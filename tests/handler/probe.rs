//! A handler that tests reach into: it reports what it is told, and runs closures on its shard.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use throng::{
    Admission, CloseReason, Config, Conn, ConnId, Cut, Handle, Handler, Message, Metrics, Opening, Pending,
    Post, Request, Response, Server, Shard,
};
use tungstenite::WebSocket;
use tungstenite::client::IntoClientRequest;
use tungstenite::http;

/// Longer than anything here takes; who waits that long has found a bug.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Client = WebSocket<TcpStream>;

/// What a probe reports.
pub(crate) enum Event {
    Opened(ConnId),
    Closed(ConnId, CloseReason),
    Drained(ConnId),
    Deferred(Pending<Probe>),
    Said(String),
}

/// What a probe does when it is told something, besides reporting it.
#[derive(Clone, Copy)]
pub(crate) struct Hooks {
    pub(crate) start: fn(&mut Probe, &mut Shard<'_, Probe>),
    pub(crate) request: fn(&mut Shard<'_, Probe>, &Request<'_>, &[u8]) -> Response,
    pub(crate) open: fn(&mut Conn<'_, Probe>),
    pub(crate) message: fn(&mut Probe, &mut Conn<'_, Probe>, Message<'_>),
    pub(crate) drain: fn(&mut Conn<'_, Probe>),
    pub(crate) close: fn(&mut Conn<'_, Probe>),
    pub(crate) adopt: fn(Post) -> Option<String>,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            start: |_, _| {},
            request: |_, request, body| {
                let said =
                    format!("{} {} {}", request.method(), request.target(), String::from_utf8_lossy(body));
                Response::text(said)
            },
            open: |_| {},
            message: |_, conn, message| _ = conn.send(message),
            drain: |_| {},
            close: |_| {},
            adopt: |post| post.take().ok(),
        }
    }
}

pub(crate) struct Probe {
    hooks: Hooks,
    pub(crate) events: Sender<Event>,
}

/// What a test wants done on a connection's shard.
pub(crate) type Call = Box<dyn FnOnce(&mut Probe, &mut Conn<'_, Probe>) + Send>;

impl Probe {
    pub(crate) fn say(&self, said: impl Into<String>) {
        self.events.send(Event::Said(said.into())).unwrap();
    }
}

impl Handler for Probe {
    /// The path that was asked for, or what the adopter gave.
    type Data = String;

    fn admit(&mut self, opening: &Opening<'_, Self>) -> Admission<String> {
        assert!(opening.peer_addr().ip().is_loopback());
        let data = opening.path().to_owned();
        match opening.path() {
            "/refuse" => Admission::Refuse(Response::text("not you").status(401).header("X-Why", "because")),
            "/refuse/429" => Admission::refuse(429),
            "/protocol" => Admission::accept_with(data, opening.query().unwrap()),
            "/defer" => {
                self.events.send(Event::Deferred(opening.defer())).unwrap();
                Admission::Deferred
            }
            "/defer/job" => opening.offload(
                || std::thread::current().name().unwrap_or_default().to_owned(),
                |_, thread| Admission::accept(thread),
            ),
            "/defer/job/panic" => opening.offload(|| panic!("in a job"), |_, ()| Admission::accept(data)),
            "/defer/in-vain" => {
                self.events.send(Event::Deferred(opening.defer())).unwrap();
                Admission::accept(data)
            }
            "/defer/nothing" => Admission::Deferred,
            "/panic" => panic!("in admit"),
            _ => Admission::accept(data),
        }
    }

    fn on_start(&mut self, shard: &mut Shard<'_, Self>) {
        (self.hooks.start)(self, shard);
    }

    fn on_request(&mut self, shard: &mut Shard<'_, Self>, request: &Request<'_>, body: &[u8]) -> Response {
        (self.hooks.request)(shard, request, body)
    }

    fn on_open(&mut self, conn: &mut Conn<'_, Self>) {
        self.events.send(Event::Opened(conn.id())).unwrap();
        (self.hooks.open)(conn);
    }

    fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
        (self.hooks.message)(self, conn, message);
    }

    fn on_drain(&mut self, conn: &mut Conn<'_, Self>) {
        self.events.send(Event::Drained(conn.id())).unwrap();
        (self.hooks.drain)(conn);
    }

    fn on_close(&mut self, conn: &mut Conn<'_, Self>, reason: CloseReason) {
        // A test that is over does not listen any more.
        drop(self.events.send(Event::Closed(conn.id(), reason)));
        (self.hooks.close)(conn);
    }

    fn on_post(&mut self, conn: &mut Conn<'_, Self>, post: Post) {
        match post.take::<Call>() {
            Ok(call) => call(self, conn),
            Err(other) => self.say(format!("a post of another type, a str: {}", other.is::<&'static str>())),
        }
    }

    fn adopt(&mut self, _shard: &mut Shard<'_, Self>, post: Post) -> Option<String> {
        (self.hooks.adopt)(post)
    }
}

/// A server of probes.
pub(crate) struct Fixture {
    server: Server,
    events: Receiver<Event>,
    /// Events that came while another one was waited for.
    kept: RefCell<VecDeque<Event>>,
    pub(crate) handle: Handle,
    pub(crate) address: SocketAddr,
}

pub(crate) fn start(shards: usize, hooks: Hooks, configure: impl FnOnce(&mut Config)) -> Fixture {
    let (events, received) = mpsc::channel();
    let builder = Server::builder().bind("127.0.0.1:0").unwrap().configure(|config| {
        config.shards = shards;
        config.max_connections = 500;
        configure(config);
    });
    let server = builder.health().serve(move |_| Probe { hooks, events: events.clone() }).unwrap();
    let (handle, address) = (server.handle(), server.local_addrs()[0]);
    Fixture { server, events: received, kept: RefCell::default(), handle, address }
}

/// Runs a test with one shard and with three.
pub(crate) fn with_shards(test: impl Fn(usize)) {
    test(1);
    test(3);
}

impl Fixture {
    /// The next event that `wanted` takes; it gives back those it does not.
    pub(crate) fn wait<T>(&self, wanted: impl Fn(Event) -> Result<T, Event>) -> T {
        let kept = self.kept.take();
        let mut found = None;
        let mut rest = VecDeque::new();
        for event in kept {
            match if found.is_none() { wanted(event) } else { Err(event) } {
                Ok(it) => found = Some(it),
                Err(event) => rest.push_back(event),
            }
        }
        while found.is_none() {
            match wanted(self.events.recv_timeout(PATIENCE).expect("the event does not come")) {
                Ok(it) => found = Some(it),
                Err(event) => rest.push_back(event),
            }
        }
        self.kept.replace(rest);
        found.unwrap()
    }

    pub(crate) fn opened(&self) -> ConnId {
        self.wait(|event| if let Event::Opened(id) = event { Ok(id) } else { Err(event) })
    }

    pub(crate) fn closed(&self, wanted: ConnId) -> CloseReason {
        self.wait(|event| match event {
            Event::Closed(id, reason) if id == wanted => Ok(reason),
            event => Err(event),
        })
    }

    pub(crate) fn drained(&self, wanted: ConnId) {
        self.wait(|event| match event {
            Event::Drained(id) if id == wanted => Ok(()),
            event => Err(event),
        });
    }

    pub(crate) fn said(&self) -> String {
        self.wait(|event| if let Event::Said(said) = event { Ok(said) } else { Err(event) })
    }

    pub(crate) fn deferred(&self) -> Pending<Probe> {
        self.wait(|event| if let Event::Deferred(pending) = event { Ok(pending) } else { Err(event) })
    }

    pub(crate) fn stream(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Asks for a WebSocket at a path, with more fields.
    pub(crate) fn ask(
        &self,
        path: &str,
        fields: &[(&'static str, &str)],
    ) -> Result<Client, Box<http::Response<Option<Vec<u8>>>>> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        for (name, value) in fields {
            request.headers_mut().insert(*name, http::HeaderValue::from_str(value).unwrap());
        }
        match tungstenite::client(request, self.stream()) {
            Ok((client, _)) => Ok(client),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => Err(response),
            Err(other) => panic!("{other}"),
        }
    }

    /// A WebSocket, and what the server calls it.
    pub(crate) fn client(&self) -> (Client, ConnId) {
        let client = self.ask("/", &[]).unwrap();
        (client, self.opened())
    }

    /// A WebSocket on a certain shard: the kernel chooses, so it takes a few attempts.
    pub(crate) fn client_on(&self, shard: usize) -> (Client, ConnId) {
        for _ in 0..200 {
            let (client, id) = self.client();
            if id.shard() == shard {
                return (client, id);
            }
            drop(client);
            self.closed(id);
        }
        panic!("200 connections, and none on shard {shard}");
    }

    /// Runs `work` for a connection on its shard, and waits for what it returns.
    pub(crate) fn on<T: Send + 'static>(
        &self,
        id: ConnId,
        work: impl FnOnce(&mut Probe, &mut Conn<'_, Probe>) -> T + Send + 'static,
    ) -> T {
        self.try_on(id, work).expect("the connection is gone")
    }

    /// The same for a connection that may be gone, or closing: then `None`.
    pub(crate) fn try_on<T: Send + 'static>(
        &self,
        id: ConnId,
        work: impl FnOnce(&mut Probe, &mut Conn<'_, Probe>) -> T + Send + 'static,
    ) -> Option<T> {
        let (tell, told) = mpsc::channel();
        let call: Call = Box::new(move |probe, conn| tell.send(work(probe, conn)).unwrap());
        self.handle.post(id, call).unwrap();
        match told.recv_timeout(PATIENCE) {
            Ok(returned) => Some(returned),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the shard is stuck"),
        }
    }

    /// Runs `work` for a connection on its shard, which is not waited for: it may panic.
    pub(crate) fn cast(
        &self,
        id: ConnId,
        work: impl FnOnce(&mut Probe, &mut Conn<'_, Probe>) + Send + 'static,
    ) {
        let call: Call = Box::new(work);
        self.handle.post(id, call).unwrap();
    }

    /// What a request in plain HTTP is answered, to the end of the connection.
    pub(crate) fn http(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.stream();
        stream.write_all(request.as_ref()).unwrap();
        rest_of(&mut stream)
    }

    /// Waits for a server that was told to end: what it has counted, and what it has cut.
    pub(crate) fn end(self) -> (Metrics, Cut) {
        let cut = self.server.wait().unwrap();
        (self.handle.metrics(), cut)
    }

    /// Stops the server, waits for it, and gives what it has counted. Clients that are still there are not waited for.
    pub(crate) fn stop(self) -> Metrics {
        self.handle.stop(Duration::from_millis(20));
        self.server.join().unwrap();
        let metrics = self.handle.metrics();
        let counted = |name| metrics.counter(name).unwrap();
        assert_eq!(counted("connections_opened"), counted("connections_closed"));
        assert_eq!(self.handle.count(), 0);
        metrics
    }
}

/// Everything a stream still brings, to its end.
pub(crate) fn rest_of(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

/// The next message, as text.
pub(crate) fn text(client: &mut Client) -> String {
    client.read().unwrap().into_text().unwrap().to_string()
}

/// The code and reason of the close frame that comes next, after which the server ends TCP, and then the client.
pub(crate) fn close_of(client: &mut Client) -> (u16, String) {
    let message = client.read().unwrap();
    let tungstenite::Message::Close(Some(frame)) = message else { panic!("{message}") };
    hang_up(client);
    (frame.code.into(), frame.reason.to_string())
}

/// Reads to the end, which the server makes, and then ends TCP as well.
pub(crate) fn hang_up(client: &mut Client) {
    loop {
        match client.read() {
            Ok(_) => {}
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                panic!("the server does not end TCP")
            }
            Err(_) => break,
        }
    }
    // It may be broken already.
    drop(client.get_ref().shutdown(Shutdown::Both));
}

/// A frame as clients send them, its first byte given; masked with zeros.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | short as u8),
        long @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(long as u16).to_be_bytes());
        }
        longer => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(longer as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
    bytes
}

/// Sends bytes as they are, past the client's WebSocket.
pub(crate) fn send_raw(client: &mut Client, bytes: &[u8]) {
    client.get_mut().write_all(bytes).unwrap();
}

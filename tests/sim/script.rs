//! One script of operations on the real epoll and on the simulated network: the service sees the same events, the peers
//! get the same bytes. It is what makes the simulator's word count for sockets.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use throng::Config;
use throng::base::cause::CloseReason;
use throng::base::id::Key;
use throng::base::metrics::Counters;
use throng::core::census::Census;
use throng::core::core::Core;
use throng::core::epoll::{Epoll, EpollParts};
use throng::core::io::Io;
use throng::core::mailbox::mailbox;
use throng::core::service::{Reply, Service, Ticket};
use throng::core::shard::{Seed, Shard};
use throng::proto::http::{Request, Response};
use throng::proto::ws::Message;

use super::faults::Faults;
use super::io::{ASLEEP, SimIo};
use super::net::{Backlog, End, Net, Poll, Shared};
use super::random::Random;

/// What is done to connection `.0`, one after the other.
#[derive(Clone, Copy)]
enum Op {
    Connect(usize),
    Send(usize, &'static [u8]),
    Fin(usize),
    /// Bytes with the FIN right behind them.
    SendFin(usize, &'static [u8]),
    Reset(usize),
    /// Bytes with the reset right behind them.
    SendReset(usize, &'static [u8]),
}
use Op::{Connect, Fin, Reset, Send, SendFin, SendReset};

macro_rules! upgrade {
    ($name:literal) => {
        concat!(
            "GET /",
            $name,
            " HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    };
}

const SCRIPT: &[Op] = &[
    Connect(0),
    Send(0, b"GET /zero HTTP/1.1\r\nHo"),
    Send(0, b"st: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
    Send(0, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x82\0\0\0\0hi\x81"),
    Connect(1),
    Send(0, b"\x85\0\0\0\0hel"),
    Send(0, b"lo"),
    Send(1, upgrade!("one").as_bytes()),
    SendFin(1, b"\x82\x81\0\0\0\0x"),
    Send(0, b"\x01\x83\0\0\0\0abc\x89\x81\0\0\0\0p\x80\x83\0\0\0\0def"),
    Send(0, b"\x88\x82\0\0\0\0\x03\xe8"),
    Fin(0),
    Connect(2),
    Send(2, upgrade!("two").as_bytes()),
    Reset(2),
    Connect(3),
    Send(3, b"GET /three HTTP/1.1\r\nHost: a\r\n\r\nGET /again HTTP/1.1\r\nHost: a\r\n\r\n"),
    Fin(3),
    Connect(4),
    Send(4, b"no http\r\n\r\n"),
    Fin(4),
    Connect(5),
    Send(5, upgrade!("five").as_bytes()),
    Send(5, b"\x83\x80\0\0\0\0"),
    Fin(5),
    Connect(6),
    Send(6, upgrade!("six").as_bytes()),
    Send(6, b"\x81\x85\0\0\0\0close"),
    Send(6, b"\x88\x82\0\0\0\0\x0b\xb8"),
    Fin(6),
    Connect(7),
    Send(7, upgrade!("seven").as_bytes()),
    SendReset(7, b"\x81\x84\0\0\0\0last"),
    Connect(8),
    Send(8, upgrade!("eight").as_bytes()),
    Send(8, b"\x81\x83\0\0\0\0big"),
    Fin(8),
];

const EVENTS: &[&str] = &[
    "/zero",
    "/zero is open",
    "/zero says hi",
    "/zero says hello",
    "/one",
    "/one is open",
    "/one says x",
    "/one: the peer ended the TCP connection (1006)",
    "/zero says abcdef",
    "/zero: closed by the peer (1000)",
    "/two",
    "/two is open",
    "/two: the TCP connection was reset (1006)",
    "/three",
    "/again",
    "/five",
    "/five is open",
    "/five: the frame breaks the protocol (1002)",
    "/six",
    "/six is open",
    "/six says close",
    "/six: closed by the application (3000)",
    "/seven",
    "/seven is open",
    "/seven says last",
    "/seven: the TCP connection was reset (1006)",
    "/eight",
    "/eight is open",
    "/eight says big",
    "/eight: the peer ended the TCP connection (1006)",
];

type Log = Rc<RefCell<Vec<String>>>;

/// Writes down what a service is told, and answers a little.
struct Recorder(Log);

impl Recorder {
    fn note(&self, core: &mut Core<Self>, key: Key, what: impl std::fmt::Display) {
        let name = core.data(key).cloned().unwrap_or_default();
        self.0.borrow_mut().push(format!("{name}{what}"));
    }
}

impl Service for Recorder {
    type Conn = Box<String>;
    type Mail = ();
    type Timer = ();

    fn request(
        &mut self,
        core: &mut Core<Self>,
        key: Key,
        request: &Request<'_>,
        _: &[u8],
        upgrade: bool,
    ) -> Reply {
        if let Some(name) = core.data(key) {
            **name = request.path().into();
        }
        self.note(core, key, "");
        if upgrade { Reply::Upgrade { subprotocol: None } } else { Reply::Respond(Response::text("yes")) }
    }

    fn opened(&mut self, core: &mut Core<Self>, key: Key) {
        self.note(core, key, " is open");
    }

    fn adopted(&mut self, _: &mut Core<Self>, _: Key, (): ()) {}

    fn message(&mut self, core: &mut Core<Self>, key: Key, message: Message<'_>) {
        self.note(core, key, format_args!(" says {}", String::from_utf8_lossy(message.as_bytes())));
        match message.as_bytes() {
            b"close" => core.close(key, 3000, "as asked"),
            b"big" => _ = core.send(key, Message::Binary(&[7; 20_000])),
            _ => _ = core.send(key, message),
        }
    }

    fn mail(&mut self, _: &mut Core<Self>, (): ()) {}

    fn timer(&mut self, _: &mut Core<Self>, (): &mut ()) {}

    fn drained(&mut self, core: &mut Core<Self>, key: Key) {
        self.note(core, key, " is drained");
    }

    fn closed(&mut self, core: &mut Core<Self>, key: Key, reason: CloseReason) {
        self.note(core, key, format_args!(": {reason}"));
    }

    fn gone(&mut self, _: &mut Core<Self>, _: Ticket) {}
}

fn shard<I: Io>(log: &Log, io: I) -> Shard<Recorder, I> {
    let (outlet, inbox) = mailbox(16, 1 << 20);
    let seed = Seed {
        shard: 0,
        config: Arc::new(Config::default()),
        counters: Arc::new(Counters::default()),
        census: Arc::new(Census::new(1, 100)),
        inbox,
        outlets: vec![outlet],
        capacity: 100,
        listeners: vec![true],
        turn_us: Arc::new(Mutex::new(hdrhistogram::Histogram::new(1).unwrap())),
    };
    Shard::new(seed, Recorder(log.clone()), io)
}

/// The peers' side of one world.
trait Peers {
    fn connect(&mut self, name: usize);
    fn send(&mut self, name: usize, bytes: &[u8]);
    fn fin(&mut self, name: usize);
    fn reset(&mut self, name: usize);
    /// Lets the shard work until its service has been told `events` things, or nothing more happens.
    fn run(&mut self, events: usize);

    /// Plays the script, and says after each operation how many events there were in all.
    fn play(&mut self, log: &Log, expected: Option<&[usize]>) -> Vec<usize> {
        let mut counts = Vec::new();
        for (step, op) in SCRIPT.iter().enumerate() {
            match *op {
                Connect(name) => self.connect(name),
                Send(name, bytes) => self.send(name, bytes),
                Fin(name) => self.fin(name),
                SendFin(name, bytes) => {
                    self.send(name, bytes);
                    self.fin(name);
                }
                Reset(name) => self.reset(name),
                SendReset(name, bytes) => {
                    self.send(name, bytes);
                    self.reset(name);
                }
            }
            self.run(expected.map_or(usize::MAX, |expected| expected[step]));
            counts.push(log.borrow().len());
        }
        counts
    }
}

struct Simulated {
    net: Shared<Net>,
    shard: Shard<Recorder, SimIo>,
    received: Vec<Vec<u8>>,
}

impl Simulated {
    fn new(log: &Log) -> Self {
        let mut random = Random::new(1);
        let mut faults = Faults::draw(&mut random);
        faults.cease();
        let net = Rc::new(RefCell::new(Net {
            faults,
            random,
            now_us: 0,
            sockets: Vec::new(),
            backlogs: vec![Backlog { watched_by: vec![false], ..Backlog::default() }],
            polls: vec![Poll::default()],
            fds: vec![0],
            fds_max: 100,
            head_timeout: Duration::from_secs(10),
            violations: Vec::new(),
        }));
        let io = SimIo { net: net.clone(), shard: 0, table: 0, listeners: vec![0] };
        Self { net, shard: shard(log, io), received: Vec::new() }
    }
}

impl Peers for Simulated {
    fn connect(&mut self, name: usize) {
        let mut net = self.net.borrow_mut();
        let socket = net.socket(name as u32, 1 << 20, 1 << 20);
        assert_eq!(socket, name);
        net.connect(socket, 0);
        self.received.push(Vec::new());
    }

    fn send(&mut self, name: usize, bytes: &[u8]) {
        assert_eq!(self.net.borrow_mut().client_send(name, bytes), bytes.len());
    }

    fn fin(&mut self, name: usize) {
        self.net.borrow_mut().client_end(name, End::Finished);
    }

    fn reset(&mut self, name: usize) {
        self.net.borrow_mut().client_end(name, End::Reset);
    }

    fn run(&mut self, _: usize) {
        loop {
            match self.shard.turn() {
                Ok(_) => {}
                Err(error) if error.kind() == ASLEEP => break,
                Err(error) => panic!("{error}"),
            }
        }
        for (name, received) in self.received.iter_mut().enumerate() {
            self.net.borrow_mut().client_read(name, usize::MAX, received);
        }
    }
}

struct Real {
    address: std::net::SocketAddr,
    shard: Shard<Recorder, Epoll>,
    log: Log,
    streams: Vec<Option<TcpStream>>,
}

impl Real {
    fn new(log: &Log) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let mut parts = EpollParts::new().unwrap();
        parts.wakers = vec![parts.waker()];
        parts.listeners = vec![listener];
        Self { address, shard: shard(log, Epoll::new(parts).unwrap()), log: log.clone(), streams: Vec::new() }
    }

    fn stream(&mut self, name: usize) -> &mut TcpStream {
        self.streams[name].as_mut().unwrap()
    }
}

impl Peers for Real {
    fn connect(&mut self, name: usize) {
        assert_eq!(name, self.streams.len());
        self.streams.push(Some(TcpStream::connect(self.address).unwrap()));
    }

    fn send(&mut self, name: usize, bytes: &[u8]) {
        self.stream(name).write_all(bytes).unwrap();
    }

    fn fin(&mut self, name: usize) {
        // An error says that the server has already closed.
        let _closed = self.stream(name).shutdown(Shutdown::Write);
    }

    fn reset(&mut self, name: usize) {
        let stream = self.streams[name].take().unwrap();
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    fn run(&mut self, events: usize) {
        // The heartbeat's deadlines end a poll that nothing else ends.
        let give_up = Instant::now() + Duration::from_secs(60);
        while self.log.borrow().len() < events && Instant::now() < give_up {
            let _turn = self.shard.turn().unwrap();
        }
    }
}

#[test]
fn epoll_and_the_simulated_network_tell_the_same_events() {
    let (log, real_log) = (Log::default(), Log::default());
    let mut simulated = Simulated::new(&log);
    let counts = simulated.play(&log, None);
    assert_eq!(*log.borrow(), EVENTS);
    assert!(simulated.net.borrow().violations.is_empty());

    let mut real = Real::new(&real_log);
    real.play(&real_log, Some(&counts));
    assert_eq!(*real_log.borrow(), EVENTS);

    for (name, expected) in simulated.received.iter().enumerate() {
        let Some(stream) = &mut real.streams[name] else { continue };
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let (mut received, give_up) = (Vec::new(), Instant::now() + Duration::from_secs(20));
        // What the shard has left to send it sends in between; a FIN of ours that it has yet to see wakes it.
        while received.len() < expected.len() && Instant::now() < give_up {
            let mut bytes = [0; 4096];
            match stream.read(&mut bytes) {
                Ok(0) => break,
                Ok(n) => received.extend_from_slice(&bytes[..n]),
                Err(_) => _ = real.shard.turn().unwrap(),
            }
        }
        assert_eq!(&received, expected, "what connection {name} was sent");
    }
}

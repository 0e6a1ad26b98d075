//! Caps on who may come in: each is reached, each refusal is an answer, and what goes makes room again.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use throng::{Admission, Config, Conn, Handler, Message, Opening, Server, WhenFull};

use super::peer::{PATIENCE, serve, stop, stream, text, upgrade};

/// Echoes, and keeps its shard busy for as many milliseconds as a message says.
struct Sleepy;

impl Handler for Sleepy {
    type Data = ();

    fn admit(&mut self, _: &Opening<'_, Self>) -> Admission<()> {
        Admission::accept(())
    }

    fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
        if let Some(milliseconds) =
            std::str::from_utf8(message.as_bytes()).ok().and_then(|text| text.parse().ok())
        {
            std::thread::sleep(Duration::from_millis(milliseconds));
        }
        conn.send(message);
    }
}

fn serve_sleepy(configure: impl FnOnce(&mut Config)) -> (Server, SocketAddr) {
    serve(configure, |_| Sleepy)
}

/// A connection from 127.0.0.`host`.
fn from(host: u8, address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, host), 0).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The status and whether the client is told when to come back; `None` where it is let in.
fn refusal(stream: &mut TcpStream) -> Option<(String, bool)> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut bytes = vec![0; 4096];
    let n = stream.read(&mut bytes).unwrap();
    let answer = String::from_utf8_lossy(&bytes[..n]).into_owned();
    let status = answer[9..12].to_owned();
    (status != "404").then(|| (status, answer.contains("\r\nRetry-After: 5\r\n")))
}

fn refused() -> Option<(String, bool)> {
    Some(("503".to_owned(), true))
}

/// Waits until something is so.
fn until(is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it never comes");
        std::thread::yield_now();
    }
}

#[test]
fn an_address_has_its_share_of_the_connections() {
    for shards in [1, 3] {
        let (server, address) = serve_sleepy(|config| {
            config.shards = shards;
            config.connections_per_ip_max = 3;
        });
        let mut first: Vec<_> = (0..3).map(|_| from(1, address)).collect();
        first.iter_mut().for_each(|stream| assert_eq!(refusal(stream), None));
        assert_eq!(refusal(&mut from(1, address)), refused());
        assert_eq!(refusal(&mut from(2, address)), None, "another address has a share of its own");
        until(|| server.handle().count() == 3);
        first.pop();
        until(|| server.handle().count() == 2);
        assert_eq!(refusal(&mut from(1, address)), None, "who goes makes room");
        drop(first);
        assert_eq!(stop(server).counter("address_full"), Some(1));
    }
}

#[test]
fn those_who_ask_for_nothing_have_a_limit_of_their_own() {
    let (server, address) = serve_sleepy(|config| {
        config.shards = 2;
        config.handshakes_max = 4;
        config.head_timeout = Duration::from_millis(300);
    });
    let asked = stream(address);
    let mut open = upgrade(address, asked);
    let silent: Vec<_> = (0..4)
        .map(|_| {
            let mut one = stream(address);
            one.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
            one
        })
        .collect();
    until(|| server.handle().count() == 5);
    assert_eq!(refusal(&mut stream(address)), refused());
    // Whoever has asked is no concern of the limit's.
    open.send(tungstenite::Message::text("still here")).unwrap();
    assert_eq!(text(&mut open), "still here");
    // The silent end at their deadline, whether they are still there or not, and make room.
    until(|| server.handle().metrics().counter("head_timeout") == Some(4));
    assert_eq!(refusal(&mut stream(address)), None);
    drop((open, silent));
    assert_eq!(stop(server).counter("handshakes_full"), Some(1));
}

#[test]
fn a_shard_with_long_turns_takes_nobody_new() {
    let (server, address) = serve_sleepy(|config| config.turn_max = Duration::from_millis(50));
    let mut busy = upgrade(address, stream(address));
    busy.send(tungstenite::Message::text("20")).unwrap();
    assert_eq!(text(&mut busy), "20");
    assert_eq!(refusal(&mut stream(address)), None, "a turn of 20 ms is none that is too long");
    // The answer leaves within that turn, and whoever comes in the 0.1 s behind it is refused: this one, as a rule.
    let mut long_turn = || {
        busy.send(tungstenite::Message::text("200")).unwrap();
        assert_eq!(text(&mut busy), "200");
        refusal(&mut stream(address))
    };
    assert!((0..20).any(|_| long_turn() == refused()));
    until(|| refusal(&mut stream(address)).is_none());
    drop(busy);
    assert!(stop(server).counter("overloaded") >= Some(1));
}

#[test]
fn without_memory_to_spare_nobody_new_is_taken() {
    let (server, address) = serve_sleepy(|config| config.memory_bytes_max = 1);
    // It is looked at in each first turn, and from then on once a second.
    until(|| refusal(&mut stream(address)) == refused());
    assert!(stop(server).counter("memory_full") >= Some(1));
    let (server, address) = serve_sleepy(|config| config.memory_bytes_max = 1 << 40);
    assert_eq!(refusal(&mut stream(address)), None);
    stop(server);
}

#[test]
fn who_is_left_waiting_is_served_when_there_is_room() {
    let (server, address) = serve_sleepy(|config| {
        config.max_connections = 5;
        config.when_full = WhenFull::Wait;
        config.connections_per_ip_max = 6;
    });
    let mut inside: Vec<_> = (0..5).map(|_| upgrade(address, stream(address))).collect();
    let mut waiting: Vec<_> = (0..20).map(|_| stream(address)).collect();
    for one in &mut waiting {
        one.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    }
    let turns = || server.handle().metrics().counter("turns").unwrap();
    let (began, before) = (Instant::now(), turns());
    std::thread::sleep(Duration::from_millis(300));
    let spun = turns() - before;
    assert!(u128::from(spun) < 10 + began.elapsed().as_millis() / 4, "{spun} turns while they wait");
    assert_eq!(server.handle().metrics().counter("full"), Some(0));
    inside.pop();
    for mut one in waiting {
        let mut answer = String::new();
        one.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
    drop(inside);
    assert_eq!(stop(server).counter("connections_shed"), Some(0));
}

/// A flood of handshakes of Socket.IO from one address leaves room for those of others.
#[cfg(feature = "socketio")]
#[test]
fn an_address_has_its_share_of_the_sessions() {
    let open = |host: u8, address: SocketAddr| {
        let mut stream = from(host, address);
        let request =
            "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    // What it may have of connections it may have of sessions, unless it is said.
    for (connections_max, sessions_max) in [(0, 5), (5, 0), (20, 5)] {
        let builder = Server::builder().bind("127.0.0.1:0").unwrap().configure(|config| {
            config.shards = 2;
            config.connections_per_ip_max = connections_max;
        });
        let builder = builder.configure_io(|io| {
            io.sessions_max = 12;
            io.sessions_per_ip_max = sessions_max;
            io.connect_timeout = Duration::from_millis(500);
        });
        let server = builder.socket_io(|io| _ = io.of("/")).start().unwrap();
        let address = server.local_addrs()[0];
        let let_in = (0..50).filter(|_| open(1, address).starts_with("HTTP/1.1 200 ")).count();
        // Shards count without a lock: one each may be beyond.
        assert!((5..=6).contains(&let_in), "{let_in}");
        let refused = open(1, address);
        assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("Retry-After: 5"), "{refused}");
        assert!(open(2, address).starts_with("HTTP/1.1 200 "));
        // Sessions that are over are counted no longer.
        until(|| open(1, address).starts_with("HTTP/1.1 200 "));
        assert!(stop(server).counter("io_addresses_refused") >= Some(45));
    }
}

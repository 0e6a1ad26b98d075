//! Socket.IO's clients that send what is too much: each kind, on both transports, with what it makes its shard hold at most.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use throng::io::{AckError, Parser, RawArgs};
use throng::{Response, Server};
use tungstenite::{Message, WebSocket};

use super::{HELD_BYTES, PEAK_BYTES, one_at_a_time};

/// Beside what a client has sent itself: its session, its connection, answers, and whatever grows by steps.
const SLACK_BYTES: i64 = 128 << 10;
/// What is larger than a read is kept until it is whole, in a buffer that is up to twice its size; and a body is decoded into a
/// second one.
const COPIES: i64 = 4;
/// More than one read takes, and than the slack.
const LONG: usize = 400_000;
/// How often a client does the same until it leaves nothing: the shard's pool keeps buffers that were needed for the next
/// one, up to a limit of its own, and how the reads fall is the kernel's.
const ROUNDS: usize = 6;

/// One shard, which says what it holds now and what it held at most since it was last asked.
fn serve(parser: Parser) -> (Server, SocketAddr) {
    let builder = Server::builder().bind("127.0.0.1:0").unwrap().configure(|config| config.shards = 1);
    let builder = builder.configure_io(|io| {
        io.parser = parser;
        io.acks_per_socket_max = 100;
        io.rooms_per_socket_max = 100;
        io.polling_bytes_max = 1 << 20;
        io.packet_limits.attachments_bytes_max = 2 << 20;
    });
    let builder = builder.get("/held", |_| {
        let held = HELD_BYTES.get();
        let peak = PEAK_BYTES.replace(held);
        Response::new(200).body([held.to_be_bytes(), peak.to_be_bytes()].concat())
    });
    let builder = builder.unwrap().socket_io(|io| {
        ["/", "/a"].into_iter().for_each(|name| {
            io.of(name)
                .on("echo", |socket, args: &RawArgs| _ = socket.emit("echo", args.as_args()))
                .on("join", |socket, room: &str| _ = socket.join(room))
                .on("ask", |socket, (): &()| {
                    let hour = Duration::from_secs(3600);
                    socket.timeout(hour).emit_with_ack("question", (), |_, _: Result<&i64, AckError>| {});
                });
        });
    });
    let server = builder.start().unwrap();
    let address = server.local_addrs()[0];
    (server, address)
}

/// A keep-alive connection.
struct Line(TcpStream);

impl Line {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(stream)
    }

    fn ask(&mut self, head: &str, body: &[u8]) -> (String, Vec<u8>) {
        let head = format!("{head} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
        self.0.write_all(head.as_bytes()).unwrap();
        // One that is refused for its length alone is not read to its end.
        drop(self.0.write_all(body));
        let mut answer = Vec::new();
        let mut chunk = [0; 65_536];
        loop {
            if let Some(at) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8(answer[..at].to_vec()).unwrap();
                let len = head.split("Content-Length: ").nth(1).unwrap().split("\r\n").next().unwrap();
                if answer.len() - at - 4 == len.parse::<usize>().unwrap() {
                    return (head, answer.split_off(at + 4));
                }
            }
            match self.0.read(&mut chunk).unwrap() {
                0 => panic!("the connection ends"),
                read => answer.extend_from_slice(&chunk[..read]),
            }
        }
    }

    /// What the shard holds, and what it held at most since this was asked last.
    fn held(&mut self) -> (i64, i64) {
        let told = self.ask("GET /held", b"").1;
        let number = |range: std::ops::Range<usize>| i64::from_be_bytes(told[range].try_into().unwrap());
        (number(0..8), number(8..16))
    }
}

/// A client that polls, in a namespace.
struct Poller(Line, String);

impl Poller {
    fn open(address: SocketAddr) -> Self {
        let mut line = Line::open(address);
        let open = line.ask("GET /socket.io/?EIO=4&transport=polling", b"").1;
        let sid = String::from_utf8(open).unwrap().split('"').nth(3).unwrap().to_owned();
        let mut poller = Self(line, format!("/socket.io/?EIO=4&transport=polling&sid={sid}"));
        poller.post("40");
        assert!(poller.poll().starts_with("40{"));
        poller.post("42[\"echo\"]");
        assert_eq!(poller.poll(), "42[\"echo\"]");
        poller
    }

    fn post(&mut self, body: &str) -> String {
        self.0.ask(&format!("POST {}", self.1), body.as_bytes()).0
    }

    fn poll(&mut self) -> String {
        String::from_utf8(self.0.ask(&format!("GET {}", self.1), b"").1).unwrap()
    }
}

type Client = WebSocket<TcpStream>;

fn websocket(address: SocketAddr) -> Client {
    let stream = Line::open(address).0;
    let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
    let mut client = tungstenite::client(url, stream).unwrap().0;
    assert!(client.read().unwrap().is_text());
    client.send(Message::text("40")).unwrap();
    assert!(client.read().unwrap().is_text());
    client.send(Message::text("42[\"echo\"]")).unwrap();
    assert_eq!(client.read().unwrap(), Message::text("42[\"echo\"]"));
    client
}

/// Packets of which the last is too much, and the limit of what the others may leave behind.
fn packets() -> Vec<(&'static str, Vec<String>, i64)> {
    let long =
        |before: &str, c: &str, behind: &str| vec![format!("{before}{}{behind}", c.repeat(LONG / c.len()))];
    let one = |packet: &str| vec![packet.to_owned()];
    // 300,000 bytes each.
    let attachment = format!("b{}", "A".repeat(LONG));
    let placeholders: Vec<_> = (0..8).map(|n| format!("{{\"_placeholder\":true,\"num\":{n}}}")).collect();
    let attached = vec![format!("458-[\"echo\",{}]", placeholders.join(","))];
    vec![
        ("attachments that are announced", one("454294967295-[\"echo\"]"), 0),
        ("digits of such a number", long("45", "9", "-[\"echo\"]"), 0),
        ("attachments that come", [attached, vec![attachment; 8]].concat(), 2 << 20),
        ("a placeholder far away", one("451-[\"echo\",{\"_placeholder\":true,\"num\":4294967295}]"), 0),
        ("a namespace's name", long("42/", "a", ",[\"echo\"]"), 0),
        ("an ack id", long("42", "9", "[\"echo\"]"), 0),
        ("an event's name", long("42[\"", "a", "\"]"), 0),
        ("an event's name of escapes", long("42[\"", "\\u0061", "\"]"), 0),
        ("arguments", long("42[\"echo\"", ",1", "]"), 0),
        ("arrays in each other", long("42[\"echo\",", "[", ""), 0),
        ("objects in each other", long("42[\"echo\",", "{\"a\":", ""), 0),
        ("a number", long("42[\"echo\",", "9", "x]"), 0),
    ]
}

/// Sees what a client makes the shard hold while it is there, and that it leaves nothing.
fn holds(line: &mut Line, what: &str, most: i64, mut attack: impl FnMut() -> Box<dyn FnOnce()>) {
    let mut left = Vec::new();
    while left.len() < ROUNDS {
        let begin = attack();
        let before = line.held().0;
        begin();
        let (after, peak) = line.held();
        assert!(peak - before <= most, "{what}: {} of {most} bytes", peak - before);
        if after - before <= SLACK_BYTES {
            return;
        }
        left.push(after - before);
    }
    panic!("{what}: {left:?} bytes stay");
}

#[test]
fn what_is_too_much_is_refused_before_it_is_kept() {
    let _turn = one_at_a_time();
    let (server, address) = serve(Parser::Json);
    let mut line = Line::open(address);
    for (what, packets, limit) in packets() {
        let longest = packets.iter().map(String::len).max().unwrap() as i64;
        let most = limit + COPIES * longest + SLACK_BYTES;
        let packets = std::rc::Rc::new(packets);
        holds(&mut line, &format!("{what} on a WebSocket"), most, || {
            let (mut ws, packets) = (websocket(address), packets.clone());
            Box::new(move || {
                for packet in packets.iter() {
                    let message = match packet.strip_prefix('b') {
                        Some(base64) => Message::binary(vec![0; base64.len() * 3 / 4]),
                        None => Message::text(packet.as_str()),
                    };
                    drop(ws.send(message));
                }
                while ws.read().is_ok_and(|message| !message.is_close()) {}
            })
        });
        holds(&mut line, &format!("{what} by polling"), most, || {
            let (mut poller, packets) = (Poller::open(address), packets.clone());
            Box::new(move || {
                packets.iter().for_each(|packet| drop(poller.post(packet)));
                assert!(poller.poll().contains("\"code\":1"), "its session is over");
            })
        });
    }
    drop(server);
}

/// What a well formed packet may be sent any number of times for, and no more is kept than its limit says.
#[test]
fn what_is_said_often_is_kept_up_to_its_limit() {
    const TIMES: usize = 5_000;
    let _turn = one_at_a_time();
    let (server, address) = serve(Parser::Json);
    let mut line = Line::open(address);
    for (what, packet, answers, most) in [
        // 100 rooms and acks of at most 256 bytes each.
        ("rooms", "42[\"join\",\"room N\"]", 0, 100 * 256),
        ("acks", "42[\"ask\"]", 1, 100 * 256),
        ("namespaces that are not there", "40/nowhere-N,", 1, 0),
    ] {
        let mut ws = websocket(address);
        let before = line.held().0;
        for n in 0..TIMES {
            ws.write(Message::text(packet.replace('N', &n.to_string()))).unwrap();
            // Answers are taken, or they would be what grows.
            if n % 100 == 99 {
                ws.flush().unwrap();
                (0..100 * answers).for_each(|_| assert!(ws.read().unwrap().is_text()));
            }
        }
        ws.send(Message::text("42[\"echo\"]")).unwrap();
        assert_eq!(ws.read().unwrap(), Message::text("42[\"echo\"]"), "{what}");
        let held = line.held().0 - before;
        assert!(held <= most + SLACK_BYTES, "{what}: {held} bytes on a WebSocket");
        drop(ws);

        let mut poller = Poller::open(address);
        let before = line.held().0;
        for first in (0..TIMES).step_by(1000) {
            let packets: Vec<_> =
                (first..first + 1000).map(|n| packet.replace('N', &n.to_string())).collect();
            assert!(poller.post(&packets.join("\x1e")).contains(" 200 "), "{what}");
            if answers > 0 {
                assert_eq!(poller.poll().split('\x1e').count(), 1000, "{what}");
            }
        }
        let held = line.held().0 - before;
        assert!(held <= most + SLACK_BYTES, "{what}: {held} bytes by polling");
        drop(poller);
    }
    drop(server);
}

/// Acks that are answered leave nothing behind, however long their clients had for them.
#[test]
fn acks_that_are_answered_are_not_kept() {
    let _turn = one_at_a_time();
    let (server, address) = serve(Parser::Json);
    let (mut line, mut ws) = (Line::open(address), websocket(address));
    let mut answer = |times: usize| {
        for _ in 0..times / 100 {
            (0..100).for_each(|_| ws.write(Message::text("42[\"ask\"]")).unwrap());
            ws.flush().unwrap();
            for _ in 0..100 {
                let question = ws.read().unwrap().into_text().unwrap();
                let ack_id = &question[2..question.find('[').unwrap()];
                ws.write(Message::text(format!("43{ack_id}[1]"))).unwrap();
            }
            ws.flush().unwrap();
        }
        line.held().0
    };
    answer(2000);
    let before = answer(2000);
    let grown = answer(20_000) - before;
    assert!(grown < 100_000, "20,000 answers leave {grown} bytes");
    drop(server);
}

/// A body of no session, and one that is too large, cost what has arrived of them at most.
#[test]
fn bodies_cost_what_arrives_of_them() {
    let _turn = one_at_a_time();
    let (server, address) = serve(Parser::Json);
    let (mut line, poller) = (Line::open(address), Poller::open(address));
    for (body, status) in [
        // Of as many packets as fit, each of them empty but for its kind.
        ("3\x1e".repeat(LONG / 2), " 400 "),
        (format!("b{}", "A".repeat(LONG)), " 200 "),
        ("x".repeat(1_000_001), " 413 "),
    ] {
        let most = COPIES * body.len() as i64 + SLACK_BYTES;
        let body = std::rc::Rc::new(body);
        holds(&mut line, status, most, || {
            let (mut poller, body) = (Poller::open(address), body.clone());
            Box::new(move || assert!(poller.post(&body).contains(status), "{status}"))
        });
    }
    let mut hostile = Line::open(address);
    let before = line.held().0;
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", poller.1);
    hostile.0.write_all(head.as_bytes()).unwrap();
    hostile.0.write_all(&[b'4'; 100]).unwrap();
    let (_, peak) = line.held();
    assert!(peak - before <= SLACK_BYTES, "{} bytes for a body that was announced", peak - before);
    drop(server);
}

/// In MessagePack whatever is long says so beforehand, and is not believed.
#[test]
fn lengths_that_are_announced_cost_nothing() {
    let _turn = one_at_a_time();
    let (server, address) = serve(Parser::Msgpack);
    let mut line = Line::open(address);
    let event = |data: &[u8]| [b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa4echo", data].concat();
    for (what, packet) in [
        ("a map", vec![0xdf, 0xff, 0xff, 0xff, 0xff]),
        ("a key", vec![0x81, 0xdb, 0xff, 0xff, 0xff, 0xff]),
        ("an array", event(&[0xdd, 0xff, 0xff, 0xff, 0xff])),
        ("a text", event(&[0xdb, 0xff, 0xff, 0xff, 0xff])),
        ("bytes", event(&[0xc6, 0xff, 0xff, 0xff, 0xff])),
        ("an extension", event(&[0xc9, 0xff, 0xff, 0xff, 0xff])),
        ("arrays in each other", event(&vec![0x91; LONG])),
        ("maps in each other", event(&[0x81, 0xa0].repeat(LONG / 2))),
    ] {
        let most = if packet.len() < 100 { SLACK_BYTES } else { COPIES * packet.len() as i64 + SLACK_BYTES };
        holds(&mut line, what, most, || {
            let stream = Line::open(address).0;
            let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
            let mut ws = tungstenite::client(url, stream).unwrap().0;
            assert!(ws.read().unwrap().is_text());
            ws.send(Message::binary(&b"\x82\xa4type\x00\xa3nsp\xa1/"[..])).unwrap();
            assert!(ws.read().unwrap().is_binary());
            let packet = packet.clone();
            Box::new(move || {
                drop(ws.send(Message::binary(packet)));
                assert!(ws.read().unwrap().is_close());
            })
        });
    }
    drop(server);
}

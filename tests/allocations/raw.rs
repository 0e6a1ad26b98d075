//! WebSockets and requests: what an echo, a publish and a connection's life allocate.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use throng::{Admission, Config, Conn, Handler, Message, Opening, Request, Response, Server, Shard};
use tungstenite::WebSocket;

use super::{ALLOCATIONS, HELD_BYTES, one_at_a_time};

/// Echoes; publishes what begins with `!`; tells its thread's counts to whoever asks with `?`.
pub(super) struct Counted;

impl Handler for Counted {
    type Data = u64;

    fn admit(&mut self, _opening: &Opening<'_, Self>) -> Admission<u64> {
        Admission::accept(0)
    }

    fn on_request(&mut self, _: &mut Shard<'_, Self>, _: &Request<'_>, _: &[u8]) -> Response {
        let mut counts = [0; 16];
        counts[..8].copy_from_slice(&ALLOCATIONS.get().to_be_bytes());
        counts[8..].copy_from_slice(&HELD_BYTES.get().to_be_bytes());
        Response::new(200).body(counts.to_vec())
    }

    fn on_open(&mut self, conn: &mut Conn<'_, Self>) {
        conn.subscribe("all");
    }

    fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
        match message.as_bytes().first() {
            Some(b'?') => {
                let mut counts = [0; 18];
                counts[..8].copy_from_slice(&ALLOCATIONS.get().to_be_bytes());
                counts[8..16].copy_from_slice(&HELD_BYTES.get().to_be_bytes());
                counts[16..].copy_from_slice(&(conn.index() as u16).to_be_bytes());
                conn.send(&counts);
            }
            Some(b'!') => _ = conn.publish("all", message),
            Some(b'@') => _ = conn.after_on(Duration::ZERO, |_, _| {}),
            _ => _ = conn.send(message),
        }
    }
}

pub(super) type Client = WebSocket<TcpStream>;

fn serve(shards: usize, configure: impl FnOnce(&mut Config)) -> (Server, SocketAddr) {
    let builder = Server::builder().bind("127.0.0.1:0").unwrap().configure(|config| {
        config.shards = shards;
        config.max_connections = 2000;
        configure(config);
    });
    let server = builder.serve(|_| Counted).unwrap();
    let address = server.local_addrs()[0];
    (server, address)
}

pub(super) fn connect(address: SocketAddr) -> Client {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    tungstenite::client(format!("ws://{address}/"), stream).unwrap().0
}

/// Allocations so far on the thread of the client's shard, the bytes it holds, and which shard that is.
pub(super) fn counts(client: &mut Client) -> (u64, i64, usize) {
    client.send(tungstenite::Message::text("?")).unwrap();
    let told = client.read().unwrap().into_data();
    let number = |range: std::ops::Range<usize>| u64::from_be_bytes(told[range].try_into().unwrap());
    (number(0..8), number(8..16) as i64, u16::from_be_bytes(told[16..18].try_into().unwrap()).into())
}

/// A client's frames with `size` bytes of payload each, masked with zeros.
fn frames(size: usize, depth: usize) -> Vec<u8> {
    let mut frame = vec![0x82];
    match size {
        0..126 => frame.push(0x80 | size as u8),
        _ => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(size as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.resize(frame.len() + size, b'x');
    frame.repeat(depth)
}

/// Sends the frames in pieces, so that some arrive cut, and reads all echoes; `rounds` times.
fn echo(client: &mut Client, frames: &[u8], echoed: usize, piece: usize, rounds: usize) {
    let stream = client.get_mut();
    let mut heard = vec![0; echoed];
    for _ in 0..rounds {
        for piece in frames.chunks(piece) {
            stream.write_all(piece).unwrap();
        }
        stream.read_exact(&mut heard).unwrap();
    }
}

#[test]
fn an_echo_allocates_nothing() {
    let _turn = one_at_a_time();
    // The client writes all of a round before it reads. What waits above the mark is fitted to its size, which allocates, and
    // how much waits is for the kernel and the clients' core to say.
    let (server, address) = serve(1, |config| config.outbox_bytes_high = config.outbox_bytes_max);
    let mut client = connect(address);
    for size in [20, 1 << 10, 16 << 10] {
        for depth in [1, 64] {
            // Whole, and cut: 16 KiB in reads of at most 5,000 bytes are a carry each time.
            for piece in [usize::MAX, 5000, 701] {
                let frames = frames(size, depth);
                let echoed = frames.len() - 4 * depth;
                let mut window = || {
                    let before = counts(&mut client).0;
                    echo(&mut client, &frames, echoed, piece, 40);
                    counts(&mut client).0 - before
                };
                // How the reads fall is the kernel's: a buffer of a new size may be needed late, but then it is there.
                let windows: Vec<u64> = (0..30)
                    .scan(0, |quiet, _| {
                        let allocated = (*quiet < 3).then(&mut window)?;
                        *quiet = if allocated == 0 { *quiet + 1 } else { 0 };
                        Some(allocated)
                    })
                    .collect();
                let is_steady = windows.ends_with(&[0, 0, 0]);
                assert!(is_steady, "{windows:?}: {depth} of {size} B at a time, cut at {piece}");
            }
        }
    }
    drop(server);
}

#[test]
fn a_broadcast_allocates_per_publish_and_not_per_subscriber() {
    const PUBLISHES: u64 = 50;
    let _turn = one_at_a_time();
    for shards in [1, 2] {
        for subscribers in [10, 1000] {
            let (server, address) = serve(shards, |_| {});
            let mut clients: Vec<_> = (0..subscribers).map(|_| connect(address)).collect();
            // One client of each shard to ask.
            let mut asked = vec![usize::MAX; shards];
            for (n, client) in clients.iter_mut().enumerate() {
                asked[counts(client).2] = n;
            }
            assert!(!asked.contains(&usize::MAX), "{subscribers} connections reach every shard");
            let all =
                |clients: &mut Vec<Client>| asked.iter().map(|n| counts(&mut clients[*n]).0).sum::<u64>();
            let publish = |clients: &mut Vec<Client>, publishes: u64, at_once: u64| {
                for round in 0..publishes / at_once {
                    let publisher = &mut clients[round as usize % subscribers];
                    for _ in 0..at_once {
                        publisher.write(tungstenite::Message::text("!to all of you")).unwrap();
                    }
                    publisher.flush().unwrap();
                    for client in clients.iter_mut() {
                        (0..at_once).for_each(|_| assert_eq!(client.read().unwrap().len(), 14));
                    }
                }
            };
            for at_once in [1, 10] {
                publish(&mut clients, PUBLISHES, at_once);
                let before = all(&mut clients);
                publish(&mut clients, PUBLISHES, at_once);
                let allocated = all(&mut clients) - before;
                assert!(
                    allocated <= 2 * PUBLISHES,
                    "{allocated} for {PUBLISHES} publishes, {at_once} at once, to {subscribers} on {shards} shards"
                );
            }
            drop(server);
        }
    }
}

/// Nothing a connection does for long is kept for as long: neither its requests nor its timers leave anything behind.
#[test]
fn what_is_over_is_not_kept() {
    let _turn = one_at_a_time();
    let (server, address) = serve(1, |_| {});
    let mut client = connect(address);

    let mut ring = |times: usize| {
        let timers = [0x81, 0x81, 0, 0, 0, 0, b'@'].repeat(100);
        for _ in 0..times / 100 {
            client.get_mut().write_all(&timers).unwrap();
            counts(&mut client);
        }
        // Timers are rung a turn later than they are set.
        (counts(&mut client), counts(&mut client)).1.1
    };
    ring(2000);
    let before = ring(2000);
    let grown = ring(50_000) - before;
    assert!(grown < 10_000, "50,000 timers that have rung leave {grown} bytes");

    let mut stream = TcpStream::connect(address).unwrap();
    let mut ask = |times: usize| {
        let mut answers = Vec::new();
        for _ in 0..times / 100 {
            stream.write_all("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100).as_bytes()).unwrap();
            let mut chunk = [0; 16 << 10];
            answers.clear();
            while answers.windows(9).filter(|window| window == b"HTTP/1.1 ").count() < 100
                || answers.len() % 100 != 0
            {
                let n = stream.read(&mut chunk).unwrap();
                answers.extend_from_slice(&chunk[..n]);
            }
        }
        i64::from_be_bytes(answers[answers.len() - 8..].try_into().unwrap())
    };
    ask(2000);
    let before = ask(2000);
    let grown = ask(50_000) - before;
    assert!(grown < 10_000, "50,000 requests that were answered leave {grown} bytes");
    drop(server);
}

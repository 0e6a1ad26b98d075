//! A small WebSocket server on tungstenite, a thread per connection, with faults to order; and the client under test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use tungstenite::Message;
use tungstenite::protocol::WebSocket;

/// What a server does with one connection after the handshake.
pub(crate) type Serve = Arc<dyn Fn(&mut WebSocket<TcpStream>) + Send + Sync>;

/// A connection to write to, under its peer's address.
type Member = (SocketAddr, WebSocket<TcpStream>);

/// Starts a WebSocket server on a free port; its threads end with the test process.
pub(crate) fn server(serve: impl Fn(&mut WebSocket<TcpStream>) + Send + Sync + 'static) -> SocketAddr {
    let serve: Serve = Arc::new(serve);
    tcp_server(move |stream| {
        if let Ok(mut socket) = tungstenite::accept(stream) {
            serve(&mut socket);
        }
    })
}

/// Starts a TCP server on a free port.
pub(crate) fn tcp_server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            stream.set_nodelay(true).unwrap();
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Reads until the peer is gone, handing every data message to `each` with its number on this connection, from 1.
pub(crate) fn messages<S: Read + Write>(
    socket: &mut WebSocket<S>,
    mut each: impl FnMut(&mut WebSocket<S>, u64, Message),
) {
    let mut number = 0;
    while let Ok(message) = socket.read() {
        if message.is_text() || message.is_binary() {
            number += 1;
            each(socket, number, message);
        }
    }
}

/// Sends; a peer that is gone is noticed by the next read.
pub(crate) fn send(socket: &mut WebSocket<impl Read + Write>, message: Message) {
    drop(socket.send(message));
}

/// A server that echoes.
pub(crate) fn echo() -> SocketAddr {
    server(|socket| messages(socket, |socket, _, message| send(socket, message)))
}

/// A server that relays every message to all other connections.
pub(crate) fn relay(forget: impl Fn(u64) -> bool + Send + Sync + 'static) -> SocketAddr {
    let members: Arc<Mutex<Vec<Member>>> = Arc::default();
    server(move |socket| {
        let own = socket.get_ref().peer_addr().unwrap();
        let writer = socket.get_ref().try_clone().unwrap();
        let role = tungstenite::protocol::Role::Server;
        members.lock().unwrap().push((own, WebSocket::from_raw_socket(writer, role, None)));
        messages(socket, |_, number, message| {
            for (address, member) in members.lock().unwrap().iter_mut() {
                if *address != own && !forget(number) {
                    send(member, message.clone());
                }
            }
        });
        members.lock().unwrap().retain(|(address, _)| *address != own);
    })
}

/// A server that speaks Socket.IO in one namespace (`""` for the main one, or `"/x,"`): it lets everybody in and hands
/// every text that follows to `each` with its number on this connection, from 1.
pub(crate) fn socket_io(
    namespace: &'static str,
    each: impl Fn(&mut WebSocket<TcpStream>, u64, &str) + Send + Sync + 'static,
) -> SocketAddr {
    server(move |socket| {
        send(socket, Message::text(r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#));
        messages(socket, |socket, number, message| {
            let text = message.to_text().unwrap();
            if number > 1 {
                each(socket, number - 1, text);
            } else if text.starts_with(&format!("40{namespace}")) {
                send(socket, Message::text(format!("40{namespace}{{\"sid\":\"t\"}}")));
            }
        });
    })
}

/// A Socket.IO server that relays every event to all connections, as one with an argument in front.
pub(crate) fn relay_events(forget: impl Fn(u64) -> bool + Send + Sync + 'static) -> SocketAddr {
    let members: Arc<Mutex<Vec<Member>>> = Arc::default();
    server(move |socket| {
        let own = socket.get_ref().peer_addr().unwrap();
        send(socket, Message::text(r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#));
        messages(socket, |socket, number, message| {
            let mut all = members.lock().unwrap();
            if number == 1 {
                let writer = socket.get_ref().try_clone().unwrap();
                let role = tungstenite::protocol::Role::Server;
                send(socket, Message::text(r#"40{"sid":"t"}"#));
                all.push((own, WebSocket::from_raw_socket(writer, role, None)));
            } else if !forget(number - 1) {
                let text = message.to_text().unwrap().replacen(',', ",\"by one\",", 1);
                all.iter_mut().for_each(|(_, member)| send(member, Message::text(text.clone())));
            }
        });
        members.lock().unwrap().retain(|(address, _)| *address != own);
    })
}

/// throng with a Socket.IO of its own, on two shards, over TLS with this certificate and key in PEM if there is one; it ends
/// with the test process.
pub(crate) fn throng(tls: Option<(String, String)>) -> SocketAddr {
    use throng::io::RawArgs;
    let (address, builder) = ("127.0.0.1:0", throng::Server::builder());
    let builder = match tls {
        None => builder.bind(address),
        Some((cert, key)) => builder.bind_tls(address, &throng::Tls::from_pem(cert, key).unwrap()),
    };
    let server = builder
        .unwrap()
        .configure(|config| config.shards = 2)
        .socket_io(|io| {
            io.of("/")
                .on("echo", |socket, args: &RawArgs| _ = socket.ack(args.as_args()))
                .on("all", |socket, text: &str| {
                    socket.io().emit("all", (socket.id(), text));
                })
                .on("all-bytes", |socket, args: &RawArgs| _ = socket.io().emit("told", args.as_args()));
            io.of("/x").on("back", |socket, args: &RawArgs| _ = socket.emit("back", args.as_args()));
        })
        .start()
        .unwrap();
    let address = server.local_addrs()[0];
    thread::spawn(move || server.join());
    address
}

/// What the client said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) report: serde_json::Value,
}

impl Said {
    /// A count of the report.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.report["tally"][name]
            .as_u64()
            .unwrap_or_else(|| panic!("no {name} in {}{}", self.stdout, self.stderr))
    }

    /// A figure of the report, by path.
    pub(crate) fn figure(&self, pointer: &str) -> f64 {
        self.report
            .pointer(pointer)
            .and_then(serde_json::Value::as_f64)
            .unwrap_or_else(|| panic!("no {pointer} in {}", self.report))
    }
}

/// Runs the client with these flags and reads its report. What is tested is what it says of its server: that other tests
/// leave it too little CPU time is no matter.
pub(crate) fn bench(flags: &str) -> Said {
    bench_with(flags, &[])
}

/// The same with further arguments, which may have spaces in them.
pub(crate) fn bench_with(flags: &str, words: &[&str]) -> Said {
    bench_strictly(flags, &[&["--allow-saturated"], words].concat())
}

/// The same where it matters whether the client was the limit.
pub(crate) fn bench_strictly(flags: &str, words: &[&str]) -> Said {
    run(env!("CARGO_BIN_EXE_bench-client").as_ref(), flags, words)
}

/// Runs this client with these flags and arguments and reads its report.
pub(crate) fn run(client: &std::path::Path, flags: &str, words: &[&str]) -> Said {
    let directory = std::env::temp_dir();
    let unique = format!("bench-client-{}-{:?}.json", std::process::id(), thread::current().id());
    let json = directory.join(unique);
    let mut command = Command::new(client);
    command.args(flags.split_whitespace()).args(words).arg("--quiet").arg("--json").arg(&json);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let report =
        std::fs::read(&json).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    drop(std::fs::remove_file(json));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: status.code(), stdout: text(stdout), stderr: text(stderr), report }
}

/// A run in which nothing went wrong.
pub(crate) fn assert_clean(said: &Said) {
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    for name in
        ["lost", "duplicated", "reordered", "corrupt", "unsent", "timeouts", "failed", "closed_by_server"]
    {
        assert_eq!(said.count(name), 0, "{name}: {}", said.stdout);
    }
}

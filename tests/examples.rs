//! The examples as their readers run them: each a process on a free port, spoken to by tungstenite.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

/// An example that runs until it is dropped.
struct Example {
    process: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

/// The directory of the examples, built as they are now: a test run that names only this file does not build them.
fn directory() -> &'static Path {
    static BUILT: OnceLock<()> = OnceLock::new();
    // target/PROFILE/deps/examples-HASH
    let own = Box::leak(std::env::current_exe().unwrap().into_boxed_path());
    let profile = own.ancestors().nth(2).unwrap();
    BUILT.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args([
            "build",
            "--quiet",
            "--package",
            "throng",
            "--target-dir",
        ]);
        cargo.arg(profile.parent().unwrap());
        for name in ["echo", "ticker", "game", "axum", "offload"] {
            cargo.args(["--example", name]);
        }
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "{cargo:?}");
    });
    Box::leak(profile.join("examples").into_boxed_path())
}

fn run(name: &str) -> Example {
    let mut command = Command::new(directory().join(name));
    let mut process = command.args(["127.0.0.1:0"; 2]).stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(process.stdout.take().unwrap());
    let mut example = Example { process, output, address: String::new() };
    let line = example.line();
    example.address = line.rsplit_once("//").unwrap().1.to_owned();
    example
}

impl Example {
    /// The next line it prints.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn stream(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn client(&self, path: &str) -> WebSocket<TcpStream> {
        tungstenite::client(format!("ws://{}{path}", self.address), self.stream()).unwrap().0
    }

    /// A client in the main namespace of Socket.IO at `address`.
    fn socket_io(address: &str) -> WebSocket<TcpStream> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let mut client = tungstenite::client(url, stream).unwrap().0;
        assert!(text(&mut client).starts_with("0{"));
        client.send(Message::text("40")).unwrap();
        assert!(text(&mut client).starts_with("40{"));
        client
    }

    /// What a request in plain HTTP is answered, to the end of the connection.
    fn ask(&self, request: &str) -> String {
        let mut stream = self.stream();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn text(client: &mut WebSocket<TcpStream>) -> String {
    client.read().unwrap().into_text().unwrap().to_string()
}

#[test]
fn echo_greets_answers_and_logs_how_it_ended() {
    let mut echo = run("echo");
    let mut client = echo.client("/");
    assert_eq!(text(&mut client), "Welcome to the WebSocket server!");
    client.send(Message::text("hello, wörld")).unwrap();
    assert_eq!(text(&mut client), "Server received: hello, wörld");
    client.send(Message::binary(vec![0, 1, 255])).unwrap();
    assert_eq!(client.read().unwrap(), Message::binary(vec![0, 1, 255]));
    assert!(echo.line().ends_with(" connected"));

    client.close(Some(CloseFrame { code: CloseCode::Normal, reason: "bye".into() })).unwrap();
    while client.read().is_ok() {}
    assert!(echo.line().ends_with(" disconnected: closed by the peer (1000)"));

    drop(echo.client("/"));
    assert!(echo.line().ends_with(" connected"));
    assert!(echo.line().contains(" failed: the "), "it vanished without a close frame");
}

#[test]
fn ticker_publishes_what_is_watched() {
    let ticker = run("ticker");
    let (mut oak, mut both) = (ticker.client("/"), ticker.client("/"));
    oak.send(Message::text("watch OAK")).unwrap();
    both.send(Message::text("watch OAK")).unwrap();
    both.send(Message::text("watch ELM")).unwrap();
    let prices: Vec<_> = (0..3).map(|_| text(&mut oak)).collect();
    assert!(prices.iter().all(|price| price.starts_with("OAK ")), "{prices:?}");
    let mut seen = [false; 2];
    while seen != [true; 2] {
        let price = text(&mut both);
        seen[usize::from(price.starts_with("OAK "))] = true;
    }
    oak.send(Message::text("watch GOLD")).unwrap();
    while text(&mut oak) != "say `watch ASH`, `watch ELM` or `watch OAK`" {}
    oak.send(Message::text("unwatch OAK")).unwrap();
    oak.send(Message::text("?")).unwrap();
    while !text(&mut oak).starts_with("say ") {}
    oak.send(Message::text("?")).unwrap();
    assert!(text(&mut oak).starts_with("say "), "nothing was published to it in between");
    oak.send(Message::binary(vec![1])).unwrap();
    assert_eq!(
        oak.read().unwrap(),
        Message::Close(Some(CloseFrame { code: CloseCode::Unsupported, reason: "text only".into() }))
    );
}

#[test]
fn game_moves_its_players_every_tick() {
    let game = run("game");
    let (mut one, mut other) = (game.client("/"), game.client("/"));
    let name = text(&mut one).strip_prefix("you are ").unwrap().to_owned();
    // Where the player is, told by a tick: `tick N: ID@X,Y …`.
    let place = |told: &str| {
        let (tick, players) = told.strip_prefix("tick ").unwrap().split_once(':').unwrap();
        let at = players.split(' ').find_map(|player| player.strip_prefix(&format!("{name}@")));
        let at = at.map(|at| at.split_once(',').unwrap());
        (
            tick.parse::<u64>().unwrap(),
            at.map(|(x, y)| (x.parse::<i32>().unwrap(), y.parse::<i32>().unwrap())),
        )
    };
    let (first, at) = place(&text(&mut one));
    assert_eq!(at, Some((50, 50)));
    one.send(Message::text("left")).unwrap();
    let mut told = Vec::new();
    while told.last().is_none_or(|(_, at)| *at != Some((45, 50))) {
        told.push(place(&text(&mut one)));
    }
    for (before, after) in told.iter().zip(&told[1..]) {
        assert_eq!(after.0, before.0 + 1, "no tick is left out");
        let (x, moved) = (before.1.unwrap().0, after.1.unwrap().0);
        assert!(moved == x - 1 || (x, moved) == (50, 50), "{told:?}");
    }
    assert_eq!(told[0].0, first + 1);
    assert!(text(&mut other).starts_with("you are "));
    one.close(None).unwrap();
    while place(&text(&mut other)).1.is_some() {}
}

#[test]
fn axum_and_throng_share_a_port() {
    let mut axum = run("axum");
    let line = axum.line();
    let of_sockets = line.strip_prefix("Socket.IO on http://").unwrap();
    let mut sockets = [Example::socket_io(of_sockets), Example::socket_io(of_sockets)];
    let head = format!("HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", axum.address);
    assert!(axum.ask(&format!("GET / {head}\r\n")).contains("connect to /ws/NAME"));
    assert!(axum.ask(&format!("GET /ws/ada {head}\r\n")).starts_with("HTTP/1.1 426 "));
    let asks = head.replace("close", "Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13");
    assert!(axum.ask(&format!("GET /ws/ada {asks}Connection: close\r\n\r\n")).starts_with("HTTP/1.1 400 "));

    let mut clients = [axum.client("/ws/ada"), axum.client("/ws/bob")];
    // A connection is subscribed once its shard has adopted it: then its own message comes back.
    for (client, name) in clients.iter_mut().zip(["ada", "bob"]) {
        client.send(Message::text("hi")).unwrap();
        while text(client) != format!("{name}: hi") {}
    }
    assert_eq!(text(&mut clients[0]), "bob: hi");
    let length = "Content-Length: 5\r\n\r\nhello";
    assert!(axum.ask(&format!("POST /publish {head}{length}")).starts_with("HTTP/1.1 204 "));
    for client in &mut clients {
        // What the other one said on another shard may come only now.
        while text(client) != "hello" {}
    }
    for socket in &mut sockets {
        assert_eq!(text(socket), r#"42["published","hello"]"#);
    }

    let asked = thread::scope(|scope| {
        let asked = scope.spawn(|| axum.ask(&format!("POST /ask {head}{length}")));
        for (socket, answer) in sockets.iter_mut().zip(["one", "two"]) {
            let question = text(socket);
            let id = question.strip_prefix("42").unwrap().strip_suffix(r#"["question","hello"]"#).unwrap();
            socket.send(Message::text(format!("43{id}[\"{answer}\"]"))).unwrap();
        }
        asked.join().unwrap()
    });
    assert!(asked.contains("2 answered, 0 did not\n") && asked.contains("\none\n"), "{asked}");
    assert!(asked.contains("\ntwo\n"), "{asked}");

    // A frame right behind the handshake, which axum's server reads: "hi", masked with zeros.
    let mut stream = axum.stream();
    let mut bytes =
        format!("GET /ws/eve {asks}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").into_bytes();
    bytes.extend_from_slice(b"\x81\x82\0\0\0\0hi");
    stream.write_all(&bytes).unwrap();
    assert_eq!(text(&mut clients[0]), "eve: hi");
    assert_eq!(text(&mut clients[1]), "eve: hi");
}

#[test]
fn offload_answers_from_its_threads_and_from_its_runtime() {
    let offload = run("offload");
    let mut client = Example::socket_io(&offload.address);
    client.send(Message::text(r#"42["load"]"#)).unwrap();
    let load = text(&mut client);
    // As /proc/loadavg has it: three loads, running and all threads, the last process.
    assert!(load.starts_with(r#"42["load","#) && load.split(' ').count() == 5, "{load}");
    client.send(Message::text(r#"42["price","ELM"]"#)).unwrap();
    assert_eq!(text(&mut client), r#"42["price","ELM 101.25"]"#);
    assert!(
        offload
            .ask(&format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", offload.address))
            .contains("io()")
    );
}

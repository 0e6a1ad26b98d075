//! throng in this process, serving what its own binary serves for the load generator: an echo on `/`, topics under
//! `/topic/`, both on `/bench`, and Socket.IO's namespace `/bench`.

use std::net::SocketAddr;
use std::path::Path;

use throng::io::RawArgs;
use throng::{Admission, Conn, Handler, Message, Opening, Server};

use crate::support::{Said, run};

/// A shard's handler; what a connection keeps is the topic it is in, if any, and whether it may echo there too.
#[derive(Debug)]
struct Bench;

impl Handler for Bench {
    type Data = (Option<String>, bool);

    fn admit(&mut self, opening: &Opening<'_, Self>) -> Admission<Self::Data> {
        let topic = match opening.path() {
            "/bench" => Some(String::new()),
            path => path.strip_prefix("/topic/").map(str::to_owned),
        };
        Admission::accept((topic, opening.path() == "/bench"))
    }

    fn on_open(&mut self, conn: &mut Conn<'_, Self>) {
        if let Some(topic) = conn.data().0.clone() {
            let _subscribed = conn.subscribe(&topic);
        }
    }

    fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
        let (topic, is_mixed) = conn.data().clone();
        match topic {
            Some(topic) if !is_mixed || message.as_bytes().first() == Some(&b'P') => {
                _ = conn.broadcast(&topic, message);
            }
            _ => _ = conn.send(message),
        }
    }
}

/// Starts it on this address, on two shards.
pub(crate) fn throng_at(address: &str) -> Server {
    Server::builder()
        .bind(address)
        .unwrap()
        .configure(|config| (config.shards, config.deflate) = (2, true))
        .socket_io(|io| {
            io.of("/bench")
                .on("echo", |socket, args: &RawArgs| {
                    _ = if socket.wants_ack() {
                        socket.ack(args.as_args())
                    } else {
                        socket.emit("echo", args.as_args())
                    };
                })
                .on("join", |socket, room: &str| {
                    _ = socket.join(room);
                    socket.emit("joined", room);
                })
                .on("say", |socket, args: &RawArgs| {
                    for room in socket.rooms() {
                        socket.to(room).emit("say", args.as_args());
                    }
                });
        })
        .serve(|_shard| Bench)
        .unwrap()
}

/// Starts it on a free port; it ends with the test process.
pub(crate) fn throng() -> SocketAddr {
    let server = throng_at("127.0.0.1:0");
    let address = server.local_addrs()[0];
    std::thread::spawn(move || server.join());
    address
}

/// Where a child of a test process that is to be a throng of the client's own listens.
const CHILD_AT: &str = "BENCH_CLIENT_TEST_BIND";

/// Has the client as it is installed: with a `throng` beside it, which is this process's, started again.
pub(crate) fn installed<T>(run: impl FnOnce(&Path) -> T) -> T {
    let unique = format!("bench-client-house-{}-{:?}", std::process::id(), std::thread::current().id());
    let directory = std::env::temp_dir().join(unique);
    std::fs::create_dir_all(&directory).unwrap();
    let (client, program) = (directory.join("bench-client"), directory.join("throng"));
    std::fs::copy(env!("CARGO_BIN_EXE_bench-client"), &client).unwrap();
    let this = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\n{CHILD_AT}=\"$2\" exec '{}' house::a_child_is_a_server --exact --nocapture\n",
        this.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let out = run(&client);
    std::fs::remove_dir_all(directory).unwrap();
    out
}

/// Runs it so with these flags.
pub(crate) fn bench_installed(flags: &str) -> Said {
    installed(|client| run(client, flags, &["--allow-saturated"]))
}

/// In a test run there is nothing to see here; started by the script above it is the server.
#[test]
fn a_child_is_a_server() {
    let Ok(address) = std::env::var(CHILD_AT) else {
        assert!(throng_at("127.0.0.1:0").local_addrs()[0].port() > 0);
        return;
    };
    throng_at(&address).join().unwrap();
}

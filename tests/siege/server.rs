//! The server under siege, in a process of its own: what it is told comes by its standard input, and what it has counted
//! goes to its standard output.

use std::io::{BufRead, Write};
use std::time::Duration;

use hdrhistogram::Histogram;
use throng::io::{Io, RawArgs};
use throng::{Admission, Conn, FdTables, Handler, Message, Opening, Request, Response, Server, Shard};

use super::child::Serving;

/// What a connection is for, by the path it asked for.
enum Purpose {
    /// Everything comes back.
    Echo,
    /// Everything goes to the other members, on all shards.
    Topic(Box<str>),
    /// `+name` subscribes, `-name` unsubscribes, `!name` publishes to it.
    Subscriber,
}

struct Host;

impl Handler for Host {
    type Data = Purpose;

    fn admit(&mut self, opening: &Opening<'_, Self>) -> Admission<Purpose> {
        match opening.path() {
            "/echo" => Admission::accept(Purpose::Echo),
            "/subscriber" => Admission::accept(Purpose::Subscriber),
            path => match path.strip_prefix("/topic/") {
                Some(name) => Admission::accept(Purpose::Topic(name.into())),
                None => Admission::refuse(404),
            },
        }
    }

    fn on_request(&mut self, _: &mut Shard<'_, Self>, request: &Request<'_>, body: &[u8]) -> Response {
        Response::text(format!("{} bytes for {}", body.len(), request.path()))
    }

    /// Whoever is greeted is subscribed, and knows its shard.
    fn on_open(&mut self, conn: &mut Conn<'_, Self>) {
        let name = match conn.data() {
            Purpose::Topic(name) => Some(std::mem::take(name)),
            _ => None,
        };
        if let Some(name) = name {
            conn.subscribe(&name);
            *conn.data() = Purpose::Topic(name);
        }
        let greeting = format!("shard {}", conn.index());
        conn.send(&greeting);
    }

    fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
        match conn.data() {
            Purpose::Echo => _ = conn.send(message),
            Purpose::Topic(name) => {
                let name = std::mem::take(name);
                conn.broadcast(&name, message);
                *conn.data() = Purpose::Topic(name);
            }
            Purpose::Subscriber => {
                let Message::Text(text) = message else { return };
                match text.split_at_checked(1) {
                    Some(("+", name)) => _ = conn.subscribe(name),
                    Some(("-", name)) => _ = conn.unsubscribe(name),
                    Some(("!", name)) => _ = conn.broadcast(name, "published"),
                    _ => {}
                }
            }
        }
    }
}

/// Which shard this thread is.
fn shard() -> String {
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    name.trim_start_matches("throng-").to_owned()
}

fn describe(io: &mut Io) {
    for name in ["/", "/beside"] {
        let namespace = io.of(name).on("echo", |socket, args: &RawArgs| _ = socket.ack(args.as_args()));
        let namespace = namespace.on("shard", |socket, (): &()| _ = socket.ack(shard()));
        let namespace = namespace.on("quiet", |_, _: &RawArgs| {});
        let namespace = namespace.on("join", |socket, room: &str| {
            socket.join(room);
            socket.ack(shard());
        });
        let namespace = namespace.on("leave", |socket, room: &str| _ = socket.leave(room));
        let namespace = namespace.on("say", |socket, (room, text): &(String, String)| {
            socket.to(room).emit("said", text);
        });
        drop(namespace.on("all", |socket, text: &str| _ = socket.broadcast().emit("said", text)));
    }
}

/// Serves until standard input ends.
pub(crate) fn run(serving: Serving) {
    let Serving { connections, shards, head_timeout, ping } = serving;
    let builder = Server::builder().bind("127.0.0.1:0").expect("an address of this host");
    let builder = builder.configure(|config| {
        config.shards = shards;
        config.max_connections = connections;
        config.head_timeout = head_timeout;
        if let Some(ping) = ping {
            (config.ping_interval, config.pong_timeout) = (ping, ping);
        }
        // One table where it holds them, as a server would by itself.
        if connections > 10_000 {
            config.fd_tables = FdTables::Own;
        }
    });
    let builder = builder.configure_io(|io| {
        if let Some(ping) = ping {
            (io.ping_interval, io.ping_timeout) = (ping, ping);
        }
    });
    let server = builder.socket_io(describe).serve(|_| Host).expect("a server that can run here");
    let handle = server.handle();
    let mut out = std::io::stdout();
    writeln!(out, "{} {}", server.local_addrs()[0], server.plan().shards).expect("somebody listens");
    let mut before = Histogram::<u32>::new(3).expect("three digits");
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        if line == "stop" {
            break;
        }
        let metrics = handle.metrics();
        let mut turns = metrics.turn_us.clone();
        // Only those since it was asked last.
        turns.subtract(&before).expect("turns only become more");
        before = metrics.turn_us;
        let mut told = format!("turn_max_us={} turn_p99_us={}", turns.max(), turns.value_at_quantile(0.99));
        told.push_str(&format!(" count={}", handle.count()));
        metrics.counters.iter().for_each(|(name, value)| told.push_str(&format!(" {name}={value}")));
        if writeln!(out, "{told}").is_err() {
            break;
        }
    }
    handle.stop(Duration::from_secs(2));
    server.join().expect("the shards end");
}

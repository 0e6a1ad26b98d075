//! What the clients' suites need of a Socket.IO server, on throng.
//!
//!   io_server [--bind HOST:PORT] [--shards N] [--ping-interval MS] [--ping-timeout MS] [--connect-timeout MS]
//!             [--max-payload BYTES] [--client-dir DIRECTORY] [--msgpack]
//!             [--max-connections N] [--engine] [--deflate] [--tls-cert FILE --tls-key FILE]
//!
//! Speaks what tests/clients/own/client.js lists, and what the official protocol suite asks for ("message",
//! "message-with-ack", "auth"). With --engine it echoes Engine.IO messages under /engine.io/ instead. Says
//! `listening on http://…`, tells everybody as a "chat message" each line of its standard input and each body that is posted to
//! /say, and ends at the end of its standard input. With --max-connections every shard has an fd
//! table of its own where one table does not hold them all.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use throng::io::{Admit, Connect, Namespace, Parser, RawArgs};
use throng::{FdTables, Response, Server, Tls};

/// What a client connected with, in whatever form it came.
#[derive(Serialize)]
struct Who {
    auth: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    q: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<String>,
}

fn who(connect: &Connect<'_>) -> Who {
    let mut scratch = String::new();
    let auth = connect.auth::<Value>(&mut scratch).unwrap_or_else(|_none| json!({}));
    let of_request = connect.handshake().map(|handshake| {
        handshake.request(|request| {
            let q = request.query_param("q").map(|q| q.into_owned());
            (q, request.header("x-own").map(str::to_owned))
        })
    });
    let (q, header) = of_request.unwrap_or_default();
    Who { auth, q, header }
}

/// What is spoken in every namespace.
fn talk(namespace: Namespace<'_, Who>) -> Namespace<'_, Who> {
    namespace
        .on("echo", |socket, args: &RawArgs| _ = socket.ack(args.as_args()))
        .on("binary", |socket, args: &RawArgs| _ = socket.emit("binary", args.as_args()))
        .on("ask", |socket, args: &RawArgs| {
            let done = |socket: &mut throng::io::Socket<'_, Who>, answer: Result<&RawArgs, _>| {
                if let Ok(answer) = answer {
                    socket.emit("answered", answer.as_args());
                }
            };
            socket.timeout(Duration::from_secs(10)).emit_with_ack("question", args.as_args(), done);
        })
        .on("survey", |socket, args: &RawArgs| {
            socket.io().emit_with_acks("question", args.as_args(), |here, acked| {
                here.io().emit("surveyed", (acked.answers.len(), acked.missing));
            });
        })
        .on("kick", |socket, (): &()| socket.disconnect())
        .on("who", |socket, (): &()| _ = socket.ack(socket.data()))
}

/// What the official suite speaks.
fn suite(namespace: Namespace<'_, Who>) -> Namespace<'_, Who> {
    namespace
        .on_connection(|socket| {
            socket.emit("auth", &socket.data().auth);
        })
        .on("message", |socket, args: &RawArgs| _ = socket.emit("message-back", args.as_args()))
        .on("message-with-ack", |socket, args: &RawArgs| _ = socket.ack(args.as_args()))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let mut bind = "127.0.0.1:0".to_owned();
    let (mut is_engine, mut cert, mut key) = (false, None, None);
    let mut builder = Server::builder();
    while let Some(flag) = args.next() {
        if flag == "--engine" {
            is_engine = true;
            continue;
        }
        if flag == "--deflate" {
            // Everything that gets smaller.
            builder = builder.configure(|config| {
                config.deflate = true;
                config.deflate_bytes_min = 1;
            });
            continue;
        }
        if flag == "--msgpack" {
            builder = builder.configure_io(|io| io.parser = Parser::Msgpack);
            continue;
        }
        let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
        if flag == "--bind" {
            bind = value;
            continue;
        }
        if flag == "--tls-cert" {
            cert = Some(value);
            continue;
        }
        if flag == "--tls-key" {
            key = Some(value);
            continue;
        }
        if flag == "--client-dir" {
            builder = builder.configure_io(|io| io.client_dir = Some(value.into()));
            continue;
        }
        let number: usize = value.parse()?;
        let time = Duration::from_millis(number as u64);
        builder = match flag.as_str() {
            "--shards" => builder.configure(|config| config.shards = number),
            "--ping-interval" => builder.configure_io(|io| io.ping_interval = time),
            "--ping-timeout" => builder.configure_io(|io| io.ping_timeout = time),
            "--connect-timeout" => builder.configure_io(|io| io.connect_timeout = time),
            "--max-connections" => builder.configure(|config| {
                config.max_connections = number;
                config.fd_tables = FdTables::Own;
            }),
            "--max-payload" => builder.configure_io(|io| io.max_payload = number),
            _ => return Err(format!("{flag} is no flag").into()),
        };
    }
    let builder = match cert.zip(key) {
        Some((cert, key)) => builder.bind_tls(bind, &Tls::from_files(cert, key)?)?,
        None => builder.bind(bind)?,
    };
    let builder = builder.post("/say", |visit| {
        let said = visit.io().emit("chat message", String::from_utf8_lossy(visit.body()));
        Response::text("said").status(if said { 200 } else { 503 })
    })?;
    let builder = if is_engine {
        builder.configure_io(|io| io.path = "/engine.io/".to_owned()).socket_io(|io| {
            io.engine(|socket, data| _ = socket.send(data));
        })
    } else {
        builder.socket_io(|io| {
            let main = io.of_with("/", |connect| Admit::accept(who(connect)));
            suite(talk(main)).on("chat message", |socket, args: &RawArgs| {
                socket.io().emit("chat message", args.as_args());
            });
            let has_number = |name: &str, _: &Connect<'_>| {
                name.strip_prefix("/room-").is_some_and(|number| number.parse::<u32>().is_ok())
            };
            talk(io.of_matching_with(has_number, |connect| Admit::accept(who(connect))))
                .on("chat message", |socket, args: &RawArgs| {
                    _ = socket.io().emit("chat message", args.as_args())
                });
            let custom = io.of_with("/custom", |connect| Admit::accept(who(connect)));
            drop(suite(custom));
            // Keeps nothing of its own and greets nobody: what it costs is throng's alone.
            io.of("/bare").on("echo", |socket, args: &RawArgs| _ = socket.ack(args.as_args()));
            let admin = io.of_with("/admin", |connect| {
                let who = who(connect);
                if who.auth["token"] == "right" {
                    Admit::accept(who)
                } else {
                    Admit::refuse_with("not authorized", &json!({ "code": 401 }))
                }
            });
            talk(admin).on_disconnect(|socket, reason| {
                socket.broadcast().emit("left", (socket.id(), reason.text()));
            });
        })
    };
    let server = builder.start()?;
    match server.secure_addrs().first() {
        Some(address) => println!("listening on https://{address}"),
        None => println!("listening on http://{}", server.local_addrs()[0]),
    }
    // Whoever started this holds the other end.
    let handle = server.handle();
    for line in std::io::stdin().lines() {
        handle.io().emit("chat message", line?);
    }
    handle.stop(Duration::from_millis(100));
    server.join()?;
    Ok(())
}

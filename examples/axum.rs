//! An axum application beside throng: axum answers HTTP, throng holds the WebSockets that come in on axum's port, and the
//! Socket.IO clients on one of its own.
//!
//! Run it with `cargo run --example axum`, or with other addresses: `cargo run --example axum -- 0.0.0.0:8080 0.0.0.0:8081`.
//! Then listen in a browser's console, on http://localhost:3001/, and publish and ask from a shell:
//!
//! ```js
//! const socket = new WebSocket("ws://localhost:3000/ws/ada");
//! socket.onmessage = ({ data }) => console.log(data);
//! ```
//! ```sh
//! curl --data 'hello, all of you' localhost:3000/publish
//! curl --data 'tea or coffee?' localhost:3000/ask
//! ```
//!
//! axum's runtime keeps only its HTTP connections. Once a handshake is answered, the TCP stream leaves the runtime and
//! belongs to one of throng's shards. Routes speak to all clients through a [`Handle`]; what the clients answer comes back to
//! the route through a channel that it awaits.

use std::error::Error;
use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::upgrade::{OnUpgrade, on};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use throng::proto::ws::handshake;
use throng::{Admission, Conn, Handle, Handler, Message, Opening, Post, Server, Shard};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// A Socket.IO client: it shows what is published, and asks its user what is asked.
const PAGE: &str = r#"<!doctype html><title>axum and throng</title><pre id=out></pre>
<script src="/socket.io/socket.io.js"></script>
<script>
  const socket = io();
  socket.on("published", (text) => { out.textContent += text + "\n"; });
  socket.on("question", (text, answer) => answer(prompt(text)));
</script>"#;

/// What a connection is adopted with.
struct Name(String);

struct Chat;

impl Handler for Chat {
    type Data = String;

    fn admit(&mut self, _opening: &Opening<'_, Self>) -> Admission<String> {
        // Every plain WebSocket comes through axum.
        Admission::refuse(403)
    }

    fn adopt(&mut self, _shard: &mut Shard<'_, Self>, post: Post) -> Option<String> {
        post.take().ok().map(|Name(name)| name)
    }

    fn on_open(&mut self, conn: &mut Conn<'_, Self>) {
        conn.subscribe("all");
    }

    fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
        if let Message::Text(text) = message {
            let said = format!("{}: {text}", conn.data());
            conn.publish("all", &said);
        }
    }
}

/// Answers the handshake; once the answer is sent, the stream goes to throng.
async fn open(State(throng): State<Handle>, Path(name): Path<String>, mut request: Request) -> Response {
    let fields = match handshake::answer(request.headers()) {
        Ok(fields) => fields,
        Err(cause) => {
            let status = cause.status().and_then(|status| StatusCode::from_u16(status).ok());
            return (status.unwrap_or(StatusCode::BAD_REQUEST), cause.sentence()).into_response();
        }
    };
    let upgrade = on(&mut request);
    tokio::spawn(async move {
        if let Err(error) = hand_over(upgrade, &throng, Name(name)).await {
            eprintln!("a WebSocket was not handed over: {error}");
        }
    });
    (StatusCode::SWITCHING_PROTOCOLS, fields).into_response()
}

async fn hand_over(
    upgrade: OnUpgrade,
    throng: &Handle,
    name: Name,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let parts =
        downcast::<TokioIo<TcpStream>>(upgrade.await?).map_err(|_| io::Error::other("no TCP stream"))?;
    let stream = parts.io.into_inner().into_std()?;
    Ok(throng.adopt(stream, parts.read_buf.to_vec(), name)?)
}

/// Tells everybody, whatever they speak.
async fn publish(State(throng): State<Handle>, text: String) -> StatusCode {
    let is_emitted = throng.io().emit("published", &text);
    match throng.publish("all", &text) {
        Ok(()) if is_emitted => StatusCode::NO_CONTENT,
        _full => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Asks every Socket.IO client and answers with what they have answered within two seconds, a line each.
async fn ask(State(throng): State<Handle>, question: String) -> Response {
    let (answered, answer) = oneshot::channel();
    throng.io().timeout(Duration::from_secs(2)).emit_with_acks("question", question, |_, acked| {
        // Nobody waits any more where the HTTP client has gone.
        drop(answered.send(acked));
    });
    let Ok(acked) = answer.await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let mut lines = format!("{} answered, {} did not\n", acked.answers.len(), acked.missing);
    for answer in &acked.answers {
        lines += answer.as_args().parse::<str>(&mut String::new()).unwrap_or("(no text)");
        lines.push('\n');
    }
    lines.into_response()
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut next = |default: &str| args.next().unwrap_or_else(|| default.to_owned());
    let (address, of_sockets) = (next("localhost:3000"), next("localhost:3001"));
    let server = Server::builder()
        .bind(of_sockets)?
        .get("/", |_visit| throng::Response::html(PAGE))?
        .socket_io(|io| _ = io.of("/"))
        .serve(|_shard| Chat)?;
    let routes = Router::new()
        .route("/", get(|| async { "connect to /ws/NAME, post to /publish or /ask" }))
        .route("/ws/{name}", get(open))
        .route("/publish", post(publish))
        .route("/ask", post(ask))
        .with_state(server.handle());
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(address).await?;
        println!("listening on http://{}", listener.local_addr()?);
        println!("Socket.IO on http://{}", server.local_addrs()[0]);
        Ok(axum::serve(listener, routes).await?)
    })
}

//! One port for an axum application and for throng: axum answers HTTP, throng holds the WebSockets.
//!
//! Run it with `cargo run --example axum`, or with another address: `cargo run --example axum -- 0.0.0.0:8080`.
//! Then listen in a browser's console, and publish from a shell:
//!
//! ```js
//! const socket = new WebSocket("ws://localhost:3000/ws/ada");
//! socket.onmessage = ({ data }) => console.log(data);
//! ```
//! ```sh
//! curl --data 'hello, all of you' localhost:3000/publish
//! ```
//!
//! axum's runtime keeps only its HTTP connections. Once a handshake is answered, the TCP stream leaves the runtime and
//! belongs to one of throng's shards.

use std::error::Error;
use std::io;

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

/// What a connection is adopted with.
struct Name(String);

struct Chat;

impl Handler for Chat {
    type Data = String;

    fn admit(&mut self, _opening: &Opening<'_, Self>) -> Admission<String> {
        // It listens nowhere itself: every client comes through axum.
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

async fn publish(State(throng): State<Handle>, text: String) -> StatusCode {
    match throng.publish("all", &text) {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_full) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "localhost:3000".to_owned());
    let server = Server::builder().serve(|_shard| Chat)?;
    let routes = Router::new()
        .route("/", get(|| async { "connect to /ws/NAME, post to /publish" }))
        .route("/ws/{name}", get(open))
        .route("/publish", post(publish))
        .with_state(server.handle());
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(address).await?;
        println!("listening on http://{}", listener.local_addr()?);
        Ok(axum::serve(listener, routes).await?)
    })
}

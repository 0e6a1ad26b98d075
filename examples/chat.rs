//! The chat of the Socket.IO tutorials.
//!
//! Run it with `cargo run --example chat`, or with another address: `cargo run --example chat -- 0.0.0.0:8080`. Then open
//! http://localhost:3000 in two tabs.

use throng::{Response, Server, SetupError};

/// The page of the tutorials; throng serves the client it asks for.
const PAGE: &str = r#"<!doctype html><title>chat</title>
<ul id="messages"></ul><form id="form"><input id="input" autocomplete="off"><button>Send</button></form>
<script src="/socket.io/socket.io.js"></script>
<script>
  const socket = io();
  const show = (text) => messages.appendChild(document.createElement("li")).textContent = text;
  form.onsubmit = () => { socket.emit("chat message", input.value); input.value = ""; return false; };
  socket.on("chat message", (id, text) => show(`${id}: ${text}`));
  socket.on("joined", (id) => show(`${id} joined`));
  socket.on("left", (id) => show(`${id} left`));
</script>"#;

fn main() -> Result<(), SetupError> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "localhost:3000".to_owned());
    Server::builder()
        .bind(address)?
        .get("/", |_| Response::html(PAGE))?
        .socket_io(|io| {
            io.of("/")
                .on_connection(|socket| {
                    socket.broadcast().emit("joined", socket.id());
                })
                .on("chat message", |socket, text: &str| {
                    socket.io().emit("chat message", (socket.id(), text));
                })
                .on_disconnect(|socket, _reason| {
                    socket.broadcast().emit("left", socket.id());
                });
        })
        .run()
}

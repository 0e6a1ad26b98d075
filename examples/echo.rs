//! The WebSocket server that every tutorial begins with: it greets, answers, and logs how each connection ended.
//!
//! Run it with `cargo run --example echo`, or with another address: `cargo run --example echo -- 0.0.0.0:8080`.
//! Then try it in a browser's console:
//!
//! ```js
//! const socket = new WebSocket("ws://localhost:3000");
//! socket.onmessage = ({ data }) => console.log(data);
//! socket.onopen = () => socket.send("hello");
//! ```

use throng::{Admission, Cause, CloseReason, Conn, Handler, Message, Opening, Server, SetupError};

struct Echo;

impl Handler for Echo {
    type Data = ();

    fn admit(&mut self, _opening: &Opening<'_, Self>) -> Admission<()> {
        Admission::accept(())
    }

    fn on_open(&mut self, conn: &mut Conn<'_, Self>) {
        println!("{} connected", conn.id());
        conn.send("Welcome to the WebSocket server!");
    }

    fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
        match message {
            Message::Text(text) => conn.send(&format!("Server received: {text}")),
            Message::Binary(bytes) => conn.send(bytes),
        };
    }

    fn on_close(&mut self, conn: &mut Conn<'_, Self>, reason: CloseReason) {
        match reason.cause {
            Cause::PeerClosed => println!("{} disconnected: {reason}", conn.id()),
            _ => println!("{} failed: {reason}", conn.id()),
        }
    }
}

fn main() -> Result<(), SetupError> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "localhost:3000".to_owned());
    let server = Server::builder().bind(address)?.serve(|_shard| Echo)?;
    println!("listening on ws://{}", server.local_addrs()[0]);
    server.join()
}

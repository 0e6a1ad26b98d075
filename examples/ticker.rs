//! Prices that are published from a thread of their own, ten times a second, to whoever has asked for them. Whoever reads too
//! slowly for that misses some, and always gets the last one.
//!
//! Run it with `cargo run --example ticker`, or with another address: `cargo run --example ticker -- 0.0.0.0:8080`.
//! Then try it in a browser's console; what is sent is the symbol to watch, or no longer to watch:
//!
//! ```js
//! const socket = new WebSocket("ws://localhost:3000");
//! socket.onmessage = ({ data }) => console.log(data);
//! socket.onopen = () => socket.send("watch OAK");
//! ```

use std::thread;
use std::time::Duration;

use throng::{Admission, Conn, Full, Handle, Handler, Message, Opening, Server, SetupError};

const SYMBOLS: [&str; 3] = ["ASH", "ELM", "OAK"];

struct Ticker;

impl Handler for Ticker {
    type Data = ();

    fn admit(&mut self, _opening: &Opening<'_, Self>) -> Admission<()> {
        Admission::accept(())
    }

    fn on_message(&mut self, conn: &mut Conn<'_, Self>, message: Message<'_>) {
        let Message::Text(text) = message else { return conn.close(1003, "text only") };
        match text.split_once(' ') {
            Some(("watch", symbol)) if SYMBOLS.contains(&symbol) => {
                conn.subscribe(symbol);
            }
            Some(("unwatch", symbol)) => {
                conn.unsubscribe(symbol);
            }
            _ => {
                conn.send("say `watch ASH`, `watch ELM` or `watch OAK`");
            }
        }
    }
}

/// Lets every price walk at random, and tells all shards.
fn publish_prices(server: &Handle) {
    let mut prices = [10_000; SYMBOLS.len()];
    let mut seed = 1_u32;
    loop {
        thread::sleep(Duration::from_millis(100));
        for (symbol, cents) in SYMBOLS.iter().zip(&mut prices) {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *cents += (seed >> 24) as i32 - 127;
            let price = format!("{symbol} {}.{:02}", *cents / 100, *cents % 100);
            if let Err(Full) = server.latest_only(symbol).publish(symbol, &price) {
                eprintln!("the shards are behind, nobody is told of {price}");
            }
        }
    }
}

fn main() -> Result<(), SetupError> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "localhost:3000".to_owned());
    let server = Server::builder().bind(address)?.serve(|_shard| Ticker)?;
    println!("listening on ws://{}", server.local_addrs()[0]);
    let handle = server.handle();
    thread::spawn(move || publish_prices(&handle));
    server.join()
}

//! What blocks, beside the shards: on throng's helper threads, and on a tokio runtime. The result comes back on the
//! socket's own shard, with the socket.
//!
//! Run it with `cargo run --example offload`, or with another address: `cargo run --example offload -- 0.0.0.0:8080`, and
//! open it in a browser.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use throng::io::Socket;
use throng::{Response, Server};
use tokio::runtime::{Builder, Runtime};

const PAGE: &str = r#"<!doctype html><title>offload</title>
<button onclick="socket.emit('load')">load</button><button onclick="socket.emit('price', 'OAK')">price</button><pre id=out></pre>
<script src="/socket.io/socket.io.js"></script>
<script>
  const socket = io();
  socket.onAny((event, ...args) => { out.textContent += `${event} ${args}\n`; });
</script>"#;

/// Files block: a helper thread reads this one. There are `offload_threads` of them, two by default.
fn load(socket: &mut Socket<'_>) {
    let read = || fs::read_to_string("/proc/loadavg");
    socket.offload(read, |socket, text| match text {
        Ok(text) => _ = socket.emit("load", text.trim_end()),
        Err(error) => _ = socket.emit("failed", error.to_string()),
    });
}

/// Stands for a database's client, or any other library that wants a runtime.
async fn look_up(symbol: String) -> String {
    tokio::time::sleep(Duration::from_millis(50)).await;
    format!("{symbol} 101.25")
}

/// A future is awaited by a helper thread too. The handler itself never calls the runtime: a shard may have an fd table of
/// its own, in which the runtime's sockets and wakers mean nothing.
fn price(socket: &mut Socket<'_>, runtime: &Arc<Runtime>, symbol: &str) {
    let (runtime, symbol) = (Arc::clone(runtime), symbol.to_owned());
    let is_taken = socket.offload(
        move || runtime.block_on(look_up(symbol)),
        |socket, price| {
            socket.emit("price", price);
        },
    );
    // `jobs_per_namespace_max` are under way: to say so is better than to let it queue.
    if !is_taken {
        socket.emit("failed", "too busy");
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "localhost:3000".to_owned());
    let runtime = Arc::new(Builder::new_current_thread().enable_all().build()?);
    let server = Server::builder()
        .bind(address)?
        .get("/", |_| Response::html(PAGE))?
        .socket_io(move |io| {
            let runtime = Arc::clone(&runtime);
            io.of("/")
                .on("load", |socket, (): &()| load(socket))
                .on("price", move |socket, symbol: &str| price(socket, &runtime, symbol));
        })
        .start()?;
    println!("listening on http://{}", server.local_addrs()[0]);
    Ok(server.join()?)
}

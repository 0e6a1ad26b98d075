//! socketioxide as a peer: the event `echo` comes back, `publish` goes to everybody.

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use peers::serve;
use socketioxide::SocketIo;
use socketioxide::extract::{Data, SocketRef};

fn main() -> std::io::Result<()> {
    // Queues as long as the load's longest pipeline: the default of 128 packets would end connections.
    let (service, io) = SocketIo::builder().max_buffer_size(4096).build_svc();
    io.ns("/", async |socket: SocketRef, io: SocketIo| {
        socket.on("echo", async |socket: SocketRef, Data::<String>(text)| {
            // A peer that is gone has its own end.
            drop(socket.emit("echo", &text));
        });
        socket.on("publish", async move |Data::<String>(text)| {
            drop(io.emit("publish", &text).await);
        });
    });
    serve(|stream| {
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
        tokio::spawn(connection.with_upgrades());
    })
}

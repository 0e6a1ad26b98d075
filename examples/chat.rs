//! The chat of the Socket.IO tutorials: `cargo run --release --example chat`, then open two tabs with a Socket.IO client on
//! http://localhost:3000.

fn main() -> Result<(), throng::SetupError> {
    throng::Server::builder()
        .bind("localhost:3000")?
        .socket_io(|io| {
            io.of("/")
                .on_connection(|socket| {
                    socket.broadcast().emit("joined", socket.id());
                })
                .on("chat message", |socket, text: &str| {
                    socket.io().emit("chat message", text);
                })
                .on_disconnect(|socket, _reason| {
                    socket.broadcast().emit("left", socket.id());
                });
        })
        .run()
}

//! The chat of the Socket.IO tutorials, on the page at `/chat`.

use throng::io::Io;

/// What the main namespace does: everybody hears everybody, and who comes and goes.
pub(super) fn chat(io: &mut Io) {
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
}

//! What the binary serves of Socket.IO: the chat of the tutorials, on the page at `/chat`, and a namespace for the load generator.

use throng::io::{Io, RawArgs};

/// What the namespaces do.
pub(super) fn describe(io: &mut Io) {
    chat(io);
    bench(io);
}

/// In the main namespace everybody hears everybody, and who comes and goes.
fn chat(io: &mut Io) {
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

/// In `/bench` an `echo` comes back, as the ack that was asked for or as the same event, and a `publish` goes to everybody.
/// Apart from the chat, whose greetings would be most of what a run measures.
fn bench(io: &mut Io) {
    io.of("/bench")
        .on("echo", |socket, args: &RawArgs| {
            _ = if socket.wants_ack() {
                socket.ack(args.as_args())
            } else {
                socket.emit("echo", args.as_args())
            };
        })
        .on("publish", |socket, args: &RawArgs| _ = socket.io().emit("publish", args.as_args()));
}

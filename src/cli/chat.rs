//! What the binary serves of Socket.IO: the chat of the tutorials, on the page at `/chat`, and a namespace for the load generator.

use throng::Subscribed;
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

/// In `/bench` an `echo` comes back, as the ack that was asked for or as the same event, and a `publish` goes to everybody. Who
/// has asked to `join` a room is told when it has `joined`, and what it has to `say` goes to the others there.
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
        .on("publish", |socket, args: &RawArgs| _ = socket.io().emit("publish", args.as_args()))
        .on("join", |socket, room: &str| {
            if matches!(socket.join(room), Subscribed::New | Subscribed::Already) {
                socket.emit("joined", room);
            }
        })
        .on("say", |socket, args: &RawArgs| {
            for room in socket.rooms() {
                socket.to(room).emit("say", args.as_args());
            }
        });
}

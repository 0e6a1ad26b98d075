//! After many clients have come and gone in every way, nothing is left of them.

use throng::io::{AckError, Io};

use super::peer::{Tell, gone, start, with_shards};

fn busy(io: &mut Io, tell: &Tell) {
    for name in ["/", "/other"] {
        let went = tell.clone();
        drop(
            io.of(name)
                .on_connection(|socket| {
                    socket.join("all");
                    socket.join(socket.id());
                    let hour = std::time::Duration::from_secs(3600);
                    socket.timeout(hour).emit_with_ack("question", (), |_, _: Result<&i64, AckError>| {});
                })
                .once("once", |socket, (): &()| _ = socket.emit("heard", ()))
                .on_disconnect(move |socket, reason| went.say(gone(socket, reason))),
        );
    }
}

#[test]
fn nothing_is_left() {
    with_shards(|shards| {
        let fixture = start(shards, busy, |_| {});
        for round in 0..3 {
            let mut sockets: Vec<_> = (0..10).map(|_| fixture.connected()).collect();
            let mut pollers: Vec<_> = (0..10).map(|_| fixture.polling()).collect();
            for (n, ws) in sockets.iter_mut().enumerate() {
                assert!(ws.text().ends_with("[\"question\"]"));
                if n % 2 == 0 {
                    ws.send("42[\"once\"]");
                } else {
                    ws.enter("/other");
                }
            }
            for (n, poller) in pollers.iter_mut().enumerate() {
                assert!(poller.next().ends_with("[\"question\"]"));
                match n % 3 {
                    0 => poller.post("42[\"once\"]\x1e40/other"),
                    1 => poller.send_poll(),
                    _ => poller.post("40/nowhere\x1e451-[\"x\",{\"_placeholder\":true,\"num\":0}]"),
                }
            }
            // Some that never connect to anything.
            let idle = (fixture.websocket(), fixture.poller());
            let mut gone = 0;
            for (n, ws) in sockets.into_iter().enumerate() {
                gone += if n % 2 == 0 { 1 } else { 2 };
                match n % 3 {
                    0 => drop(ws),
                    1 => drop(ws.client),
                    _ => {
                        let mut ws = ws;
                        ws.send("1");
                    }
                }
            }
            for (n, mut poller) in pollers.into_iter().enumerate() {
                gone += if n % 3 == 0 { 2 } else { 1 };
                match n % 3 {
                    0 => poller.post("1"),
                    // The poll goes with its connection, and the session with the poll.
                    1 => drop(poller),
                    _ => assert_eq!(poller.ask_post("x").status, 400),
                }
            }
            let (ws, mut poller) = idle;
            drop(ws);
            poller.post("1");
            let said: Vec<_> = (0..gone).map(|_| fixture.said()).collect();
            assert!(said.iter().all(|said| said.starts_with("-/")), "{round}: {said:?}");
            fixture.is_empty();
        }
        fixture.end();
    });
}

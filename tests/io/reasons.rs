//! Every reason a socket is gone for, by its official name, told once; and its data, dropped once behind that.

use std::time::Duration;

use throng::io::{Admit, Io, Reason, Socket};

use super::peer::{Tell, gone, start, with_shards};

struct Data(Tell);

impl Drop for Data {
    fn drop(&mut self) {
        self.0.say("dropped");
    }
}

fn telling(io: &mut Io, tell: &Tell) {
    for name in ["/", "/other"] {
        let (data, went) = (tell.clone(), tell.clone());
        drop(
            io.of_with(name, move |_| Admit::accept(Data(data.clone())))
                .on_connection(|socket| {
                    socket.join("a");
                })
                .on("disconnect me", |socket, (): &()| socket.disconnect())
                .on("disconnect all", |socket, (): &()| socket.disconnect_session())
                .on("ready", |socket, (): &()| _ = socket.emit("ready", ()))
                .on_disconnect(move |socket: &mut Socket<'_, Data>, reason: Reason| {
                    // Its rooms can still be asked for, and nothing can be done in its name. One that is gone before its
                    // connection handlers have run has joined none.
                    assert!(socket.rooms() == ["a"] || socket.rooms().is_empty());
                    assert_eq!(socket.emit("nothing", ()), throng::Delivery::Dropped);
                    assert_eq!(socket.join("b"), throng::Subscribed::Closed);
                    socket.disconnect();
                    socket.disconnect_session();
                    went.say(gone(socket, reason));
                }),
        );
    }
}

#[test]
fn over_websocket() {
    with_shards(|shards| {
        let fixture = start(shards, telling, |io| {
            (io.ping_interval, io.ping_timeout) = (Duration::from_millis(300), Duration::from_millis(100));
            io.max_payload = 1000;
        });
        for reason in [
            "transport close",
            "client namespace disconnect",
            "server namespace disconnect",
            "parse error",
            "forced server close",
            "transport error",
            "ping timeout",
        ] {
            let mut ws = fixture.connected();
            match reason {
                "transport close" => ws.close(),
                "client namespace disconnect" => ws.send("41"),
                "server namespace disconnect" => {
                    ws.send("42[\"disconnect me\"]");
                    assert_eq!(ws.text(), "41");
                }
                "parse error" => ws.send("4x"),
                "forced server close" => ws.send("40"),
                "transport error" => drop(ws.client.send(tungstenite::Message::text("4".repeat(1001)))),
                // It is still there, and says nothing.
                _ => {
                    assert_eq!(ws.text(), "2");
                    assert_eq!(ws.close_code(), 1000);
                }
            }
            assert_eq!([fixture.said(), fixture.said()], [format!("-/ {reason}").as_str(), "dropped"]);
        }
        // Other ways to go.
        for how in 0..3 {
            let mut ws = fixture.connected();
            ws.send("42[\"ready\"]");
            match how {
                0 => ws.send("1"),
                1 => drop(ws),
                // What was not read makes it a reset.
                _ => {
                    ws.send("42[\"ready\"]");
                    let mut one = [0];
                    assert_eq!(ws.client.get_mut().peek(&mut one).unwrap(), 1);
                    drop(ws);
                }
            }
            assert_eq!([fixture.said(), fixture.said()], ["-/ transport close", "dropped"]);
        }
        fixture.end();
    });
}

#[test]
fn a_session_that_is_disconnected_hears_so_in_every_namespace() {
    with_shards(|shards| {
        let fixture = start(shards, telling, |_| {});
        let expected =
            ["-/ server namespace disconnect", "-/other server namespace disconnect", "dropped", "dropped"];
        let mut ws = fixture.connected();
        ws.enter("/other");
        ws.send("42[\"disconnect all\"]");
        let mut heard = [ws.text(), ws.text()];
        heard.sort();
        assert_eq!(heard, ["41", "41/other,"]);
        assert_eq!(ws.close_code(), 1000);
        assert_eq!(fixture.said_sorted(4), expected);

        // A poll that waits brings it, and one that comes too late.
        for is_late in [false, true] {
            let mut poller = fixture.polling();
            poller.post("40/other");
            assert!(poller.next().starts_with("40/other,"));
            if !is_late {
                poller.wait_with_a_poll(&fixture);
            }
            poller.post("42[\"disconnect all\"]");
            let answer = if is_late { poller.poll() } else { poller.polls.answer() };
            let mut packets = answer.packets();
            assert_eq!(packets.pop().unwrap(), "1");
            packets.sort();
            assert_eq!(packets, ["41", "41/other,"], "{is_late}");
            assert_eq!(fixture.said_sorted(4), expected);
            poller.is_gone();
        }
        fixture.end();
    });
}

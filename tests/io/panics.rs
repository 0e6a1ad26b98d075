//! A handler that panics costs the session it worked for: 1011 on a WebSocket, 500 to a POST. Nobody else notices.

use std::time::Duration;

use throng::io::{AckError, Admit, Connect, Io, Reason, Socket};

use super::peer::{Fixture, Tell, gone, start, talk, with_shards};

/// `/` has data that tells when it is dropped, and panics where it is asked to; `/late` does when a client comes, `/end` when one
/// goes, `/admit` when it asks.
fn panicking(io: &mut Io, tell: &Tell) {
    let (data, went, ended, left) = (tell.clone(), tell.clone(), tell.clone(), tell.clone());
    let ask = |socket: &mut Socket<'_, Dropped>, timeout: Duration| {
        socket
            .timeout(timeout)
            .emit_with_ack("question", (), |_, answer: Result<&i64, AckError>| panic!("{answer:?}"));
    };
    let admit = move |connect: &Connect<'_>| {
        assert!(connect.auth_json() != "{\"panic\":1}", "in admit");
        Admit::accept(Dropped(data.clone()))
    };
    drop(
        io.of_with("/", admit)
            .on_packet(|_, event, _| event != "packet" || panic!("in on_packet"))
            .on_any(|_, event, _| assert_ne!(event, "any"))
            .on("event", |_, (): &()| panic!("in on"))
            .on("broadcast", |socket, (): &()| {
                socket.io().emit("said", ());
                panic!("behind an emit");
            })
            .on("ask", move |socket, (): &()| ask(socket, Duration::from_secs(60)))
            .on("timeout", move |socket, (): &()| ask(socket, Duration::from_millis(1)))
            .on("serialize", |socket, (): &()| _ = socket.emit("it", Bad))
            .on_disconnect(move |socket, reason: Reason| went.say(gone(socket, reason))),
    );
    drop(
        io.of("/late")
            .on_connection(|_| panic!("in on_connection"))
            .on_disconnect(move |socket, reason| left.say(gone(socket, reason))),
    );
    drop(io.of("/end").on_disconnect(move |socket, reason| {
        ended.say(gone(socket, reason));
        panic!("in on_disconnect");
    }));
    talk(io.of("/beside"), tell);
}

struct Dropped(Tell);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.say("dropped");
    }
}

struct Bad;

impl serde::Serialize for Bad {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("in serialize")
    }
}

/// What a client sends, whether the panic is that of a tick, and who is told.
const CASES: [(&str, bool, &[&str]); 9] = [
    ("42[\"packet\"]", false, &["-/ transport error", "dropped"]),
    ("42[\"any\"]", false, &["-/ transport error", "dropped"]),
    ("42[\"event\"]", false, &["-/ transport error", "dropped"]),
    ("42[\"serialize\"]", false, &["-/ transport error", "dropped"]),
    ("42[\"timeout\"]", true, &["-/ transport error", "dropped"]),
    ("42[\"ask\"]\x1e430[1]", false, &["-/ transport error", "dropped"]),
    ("40/late", true, &["-/ transport error", "dropped", "-/late transport error"]),
    ("40/late\x1e42/late,[\"x\"]", false, &["-/ transport error", "dropped", "-/late transport error"]),
    ("40/end\x1e41/end", false, &["-/end client namespace disconnect", "-/ transport error", "dropped"]),
];

fn unharmed(fixture: &Fixture, beside: &mut [super::peer::Ws]) {
    for ws in beside.iter_mut() {
        ws.send("42/beside,[\"echo\"]");
        assert_eq!(ws.text(), "42/beside,[\"echo\"]");
    }
    assert_eq!(fixture.unheard(), [""; 0]);
}

/// One on each shard.
fn beside(fixture: &Fixture) -> Vec<super::peer::Ws> {
    let mut beside: Vec<super::peer::Ws> = Vec::new();
    while beside.len() < fixture.shards {
        let mut ws = fixture.websocket();
        if beside.iter().all(|other| other.sid.unwrap().shard != ws.sid.unwrap().shard) {
            ws.enter("/beside");
            assert_eq!(fixture.said(), "+/beside");
            beside.push(ws);
        } else {
            ws.close();
        }
    }
    beside
}

#[test]
fn on_a_websocket() {
    with_shards(|shards| {
        let fixture = start(shards, panicking, |_| {});
        let mut beside = beside(&fixture);
        for (packets, _, said) in CASES {
            // Ack ids go up in each namespace, so one that is answered is asked for first.
            let mut ws = fixture.connected();
            for packet in packets.split('\x1e') {
                let packet = if packet.starts_with("43") {
                    let question = ws.text();
                    format!("43{}[1]", question.strip_prefix("42").unwrap().split('[').next().unwrap())
                } else {
                    packet.to_owned()
                };
                drop(ws.client.send(tungstenite::Message::text(packet)));
            }
            let code = loop {
                match ws.client.read().unwrap() {
                    tungstenite::Message::Close(frame) => break u16::from(frame.unwrap().code),
                    _ => continue,
                }
            };
            assert_eq!(code, 1011, "{packets}");
            drop(ws);
            said.iter().for_each(|said| assert_eq!(fixture.said(), *said, "{packets}"));
            unharmed(&fixture, &mut beside);
        }
        let mut ws = fixture.websocket();
        ws.send("40{\"panic\":1}");
        assert_eq!(ws.close_code(), 1011);
        beside.into_iter().for_each(super::peer::Ws::close);
        (0..shards).for_each(|_| assert_eq!(fixture.said(), "-/beside transport close"));
        let metrics = fixture.end();
        assert_eq!((metrics.counter("panics"), metrics.counter("handler_panicked")), (Some(10), Some(10)));
    });
}

#[test]
fn on_polling() {
    with_shards(|shards| {
        let fixture = start(shards, panicking, |_| {});
        let mut beside = beside(&fixture);
        for (packets, is_later, said) in CASES {
            let mut poller = fixture.polling();
            let (first, last) = packets.split_once('\x1e').unwrap_or(("", packets));
            if !first.is_empty() {
                poller.post(first);
            }
            let last = if last.starts_with("43") {
                let question = poller.next();
                format!("43{}[1]", question.strip_prefix("42").unwrap().split('[').next().unwrap())
            } else {
                last.to_owned()
            };
            // What follows in the same body is not heard.
            let answer = poller.ask_post(format!("{last}\x1e3"));
            // The end of a socket that has left panics when its body is done with.
            assert_eq!(answer.status, if is_later { 200 } else { 500 }, "{packets}");
            said.iter().for_each(|said| assert_eq!(fixture.said(), *said, "{packets}"));
            poller.is_gone();
            unharmed(&fixture, &mut beside);
        }
        let mut poller = fixture.poller();
        assert_eq!(poller.ask_post("40{\"panic\":1}").status, 500);
        poller.is_gone();
        beside.into_iter().for_each(super::peer::Ws::close);
        (0..shards).for_each(|_| assert_eq!(fixture.said(), "-/beside transport close"));
        assert_eq!(fixture.end().counter("panics"), Some(10));
    });
}

#[test]
fn what_was_emitted_before_is_sent() {
    with_shards(|shards| {
        let fixture = start(shards, panicking, |_| {});
        let mut others: Vec<_> = (0..shards).map(|shard| fixture.connected_on(shard)).collect();
        let mut listener = fixture.polling();
        let mut poller = fixture.polling();
        assert_eq!(poller.ask_post("42[\"broadcast\"]").status, 500);
        assert_eq!([fixture.said(), fixture.said()], ["-/ transport error", "dropped"]);
        others.iter_mut().for_each(|ws| assert_eq!(ws.text(), "42[\"said\"]"));
        assert_eq!(listener.next(), "42[\"said\"]");
        fixture.stop();
    });
}

#[test]
fn pings_go_on() {
    with_shards(|shards| {
        let fixture = start(shards, panicking, |io| io.ping_interval = Duration::from_millis(100));
        let mut beside = beside(&fixture);
        for _ in 0..2 * shards {
            // In a tick of the shard's, by a connection handler and by an ack.
            let mut ws = fixture.websocket();
            ws.enter("/late");
            assert_eq!(fixture.said(), "-/late transport error");
            assert_eq!(ws.close_code(), 1011);
        }
        for ws in &mut beside {
            for _ in 0..3 {
                assert_eq!(ws.text(), "2");
                ws.send("3");
            }
        }
        fixture.stop();
    });
}
